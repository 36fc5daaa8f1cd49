"""The painted styles: deterministic, any size, rich in texture and in colour."""

import os
import subprocess
import sys
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from stylebench.images import PAINTINGS, PHOTOGRAPHS, read
from stylebench.images.painted import Painting

NAMES = ["brush", "pointillism", "mosaic", "woodcut", "stained-glass"]


@lru_cache
def _painting(name: str, size: int = 128) -> npt.NDArray[np.uint8]:
    return PAINTINGS[name].render(size)


def test_the_five_styles() -> None:
    assert list(PAINTINGS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_size_and_credit(name: str) -> None:
    painting = PAINTINGS[name]
    assert isinstance(painting, Painting)
    assert painting.description
    assert painting.source in PHOTOGRAPHS
    assert PHOTOGRAPHS[painting.source].credit in painting.credit
    picture = _painting(name)
    assert picture.dtype == np.uint8
    assert picture.shape == PHOTOGRAPHS[painting.source].render(128).shape
    assert max(picture.shape) == 128


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("brush", 256),
        ("pointillism", 640),
        ("mosaic", 301),
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


@pytest.mark.parametrize("name", ["pointillism", "mosaic", "woodcut", "stained-glass"])
def test_two_renderings_are_equal(name: str) -> None:
    np.testing.assert_array_equal(PAINTINGS[name].render(128), _painting(name))


def test_another_process_paints_the_same() -> None:
    code = (
        "from zlib import crc32\nfrom stylebench.images import PAINTINGS\n"
        "print(*(crc32(PAINTINGS[name].render(128)) for name in PAINTINGS))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"},
    ).stdout
    assert output.split() == [str(crc32(_painting(name).tobytes())) for name in NAMES]


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


def test_a_large_painting_is_the_1024_px_one_enlarged() -> None:
    small, large = (read("builtin:mosaic", size) for size in (1024, 1300))
    assert max(large.shape[:2]) == 1300
    back = Image.fromarray(large).resize(small.shape[1::-1], Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(back).astype(int) - small).mean() < 3
