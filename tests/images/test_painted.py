"""The painted styles: any size, rich in texture and in colour, with credits."""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from stylebench.images import PAINTINGS, PHOTOGRAPHS, read

NAMES = ["brush", "pointillism", "mosaic", "woodcut", "stained-glass"]
AFTER = ["china", "flower", "coffee", "chelsea", "astronaut"]
FILES = [
    "c21e0cf475542cfa",
    "58582b7b2eae0db5",
    "cebc39de786b98b0",
    "4bc4424c23846113",
    "0303b7dae6d440c0",
]
"""First digits of their sha256: another file is another picture, and another job."""


@lru_cache
def _painting(name: str, size: int = 128) -> npt.NDArray[np.uint8]:
    return PAINTINGS[name].render(size)


def test_the_five_styles() -> None:
    assert list(PAINTINGS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_size_and_credit(name: str) -> None:
    painting = PAINTINGS[name]
    assert painting.description
    source = AFTER[NAMES.index(name)]
    assert painting.credit.endswith(f"after {source!r} ({PHOTOGRAPHS[source].credit})")
    digest = hashlib.sha256(painting.path.read_bytes()).hexdigest()
    assert digest.startswith(FILES[NAMES.index(name)])
    with Image.open(painting.path) as picture:
        assert max(picture.size) == 1024
    assert max(_painting(name).shape) == 128
    notes = painting.path.with_name("README.md").read_text(encoding="utf-8")
    assert painting.path.name in notes


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("brush", 256),
        ("pointillism", 640),
        ("mosaic", 1300),
        ("woodcut", 32),
        ("stained-glass", 555),
    ],
)
def test_any_size_is_the_same_painting(name: str, size: int) -> None:
    picture = read(f"builtin:{name}", size)
    assert max(picture.shape[:2]) == size
    one, other = (
        np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BOX), dtype=float)
        for pixels in (picture, _painting(name))
    )
    assert np.abs(one - other).mean() < 8


@pytest.mark.parametrize("name", NAMES)
def test_texture_and_palette(name: str) -> None:
    picture = read(f"builtin:{name}", 256).astype(float) / 255
    grey = picture.mean(2)
    blocks = grey[: grey.shape[0] // 16 * 16, :256].reshape(-1, 16, 16, 16).std((1, 3))
    assert np.quantile(blocks, 0.1) > 0.02  # no big flat areas
    assert (picture.max(2) - picture.min(2)).mean() > 0.2  # strong colours
    assert picture.std() > 0.2


def test_palettes_differ() -> None:
    histograms = {}
    for name in NAMES:
        bins = (_painting(name) // 64).reshape(-1, 3) @ np.array([16, 4, 1])
        histograms[name] = np.bincount(bins, minlength=64) / len(bins)
    for i, one in enumerate(NAMES):
        for other in NAMES[i + 1 :]:
            overlap = np.minimum(histograms[one], histograms[other]).sum()
            assert overlap < 0.7, (one, other, overlap)
