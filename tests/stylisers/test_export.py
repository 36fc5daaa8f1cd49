"""Stylisers in ONNX: the same pictures at every size, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stylebench.errors import InputError, JobError
from stylebench.stylisers import ort
from stylebench.stylisers.styliser import Styliser, load
from tests.cli.bench import invoke, refused
from tests.stylisers.tiny import model

onnx = pytest.importorskip("onnx", reason="needs stylebench[onnx]")
published = pytest.importorskip("tests.stylisers.published", reason="needs stylebench[onnx]")
export = pytest.importorskip("stylebench.stylisers.export", reason="needs stylebench[onnx]")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def magenta(tmp_path_factory: pytest.TempPathFactory) -> Styliser:
    made: Styliser = published.magenta(tmp_path_factory.mktemp("magenta"))
    return made


@pytest.fixture(scope="module")
def adain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("adain"), method="adain", steps=2)


def compare(data: bytes, styliser: Styliser, content: tuple[int, int], style: tuple[int, int],
            strength: float) -> float:  # fmt: skip
    """Return the largest difference of two pictures."""
    random = torch.Generator().manual_seed(content[0])
    first, second = (torch.rand(1, 3, *size, generator=random) for size in (content, style))
    found = ort.Session(data, "file")(
        content=first.numpy(), style=second.numpy(), strength=np.array([strength], np.float32)
    )
    return float((torch.from_numpy(found) - styliser.stylise(first, second, strength)).abs().max())


SIZES = [((48, 64), (80, 72), 1.0), ((71, 53), (49, 101), 0.4), ((40, 41), (33, 40), 0.0)]


def test_magenta_is_one_network_in_onnx(magenta: Styliser) -> None:
    made = export.export(magenta)
    assert made.error < 1e-5
    found = onnx.load_from_string(made.data)
    onnx.checker.check_model(found, full_check=True)
    assert [each.name for each in found.graph.input] == ["content", "style", "strength"]
    card = json.loads(next(p.value for p in found.metadata_props if p.key == "stylebench"))
    assert card == {"name": "magenta", "sha256": magenta.sha256, "half": False}
    for content, style, strength in SIZES:
        assert compare(made.data, magenta, content, style, strength) < 1e-5


def test_half_the_weights_are_half_the_size(magenta: Styliser) -> None:
    whole, half = export.export(magenta), export.export(magenta, half=True)
    assert len(half.data) < 0.65 * len(whole.data)
    assert 0 < half.error <= half.bound
    onnx.checker.check_model(onnx.load_from_string(half.data), full_check=True)


@pytest.mark.slow
def test_adain_is_exported_by_the_command(adain: Path, tmp_path: Path) -> None:
    path = tmp_path / "adain.onnx"
    done = invoke("export", adain, path)
    assert done.status == 0, done.err
    assert "adain" in done.out
    assert "bound 0.0001)" in done.out
    data, about = export.read(path)
    assert about.card is not None
    assert about.card.encoder == "r-tiny"
    for content, style, strength in SIZES:
        assert compare(data, load(adain), content, style, strength) < 1e-4
    assert str(tmp_path) not in about.model_dump_json()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "encoder", "stride"),
    [("sanet", "r-tiny", 8), ("sanet", "r-vgg11", 8), ("sanet", "r-resnet18", 8),
     ("adain", "r-tiny", 4), ("adain", "r-timm:efficientnet_lite0", 8)],
)  # fmt: skip
def test_any_method_and_encoder(method: str, encoder: str, stride: int, tmp_path: Path) -> None:
    styliser = load(model(tmp_path, method=method, encoder=encoder, stride=stride, steps=2))
    data = export.export(styliser).data
    for content, style, strength in SIZES:
        sides = [(a + 40, b + 40) for a, b in (content, style)]
        assert compare(data, styliser, sides[0], sides[1], strength) < 1e-4


def test_what_makes_other_pictures_is_not_written(
    magenta: Styliser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BOUND", 1e-12)
    with pytest.raises(JobError, match=r"differ by .* nothing was written"):
        export.export(magenta)


def test_bad_input_is_one_line(tmp_path: Path, adain: Path) -> None:
    out = tmp_path / "out.onnx"
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "text.safetensors").write_text("no model")
    for model_, path, reason in (
        (adain, tmp_path / "out.pt", "export expects a name in .onnx"),
        (adain, tmp_path / "folder.onnx", "is a folder; expected the name of an ONNX file"),
        (adain, tmp_path / "none" / "out.onnx", "no folder"),
        (tmp_path / "none.safetensors", out, "(expected MODEL.safetensors that"),
        (tmp_path / "text.safetensors", out, "expected a model that `stylebench train` wrote"),
        ("registry:vgg19", out, "no model 'registry:vgg19'"),
    ):
        assert reason in refused("export", model_, path)
    assert not out.exists()


def test_what_is_no_onnx_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    with pytest.raises(InputError, match=r"expected an ONNX file .* found no file"):
        export.read(path)
    path.write_bytes(b"no network")
    with pytest.raises(InputError, match="expected an ONNX network"):
        export.read(path)
    path.write_bytes(published._file(published.PREDICT))
    with pytest.raises(InputError, match=r"`stylebench export` wrote, found another network"):
        export.read(path)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("[" * 100_000, "card: "),
        ("{" * 2_000_000, "found a card of 2,000,000 characters"),
        ("[]", "card: "),
        ('{"name": "x"}', "card: sha256: expected a value"),
        (json.dumps({"name": "x", "sha256": "\x1b[31m", "half": False}), "card: sha256: "),
        (json.dumps({"name": "x" * 101, "sha256": "0" * 64, "half": False}), "card: name: "),
        (json.dumps({"name": "x", "sha256": "0" * 64, "half": False, "card": {}}), "card: card."),
        (json.dumps({"name": "x", "sha256": "0" * 64, "half": False}), "other inputs or outputs"),
    ],
    ids=["deep", "long", "list", "half", "digest", "name", "card", "network"],
)
def test_an_onnx_file_of_a_stranger_is_one_line(tmp_path: Path, told: str, message: str) -> None:
    """Its network is another, and its card is what a stranger writes."""
    path, found = tmp_path / "other.onnx", onnx.load_from_string(published._file(published.PREDICT))
    about = found.metadata_props.add()
    about.key, about.value = "stylebench", told
    onnx.save(found, path)
    with pytest.raises(InputError, match=message) as error:
        export.read(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
