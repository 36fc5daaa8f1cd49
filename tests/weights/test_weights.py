"""Weights: where they are looked for, what is refused, what identifies them."""

import functools
import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stylebench import weights
from stylebench.backbones import pretrained
from stylebench.backbones.extractor import build
from stylebench.backbones.spec import ARCHS
from stylebench.errors import InputError, UnavailableError
from stylebench.weights import download, manage, packages

pytestmark = pytest.mark.usefixtures("no_weights")


@functools.cache
def _state(name: str) -> dict[str, Tensor]:
    spec = ARCHS[name]
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in spec.build().state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(shape, generator=generator).half() * 0.02
        for key, shape in shapes.items()
        if not key.startswith(spec.unused) and not key.endswith("num_batches_tracked")
    }


def state(name: str) -> dict[str, Tensor]:
    """Random float16 weights of the part of a backbone that is used; the tensors are shared."""
    return dict(_state(name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights")
    for name in ("vgg19", "resnet50"):
        save_file(state(name), path / f"{name}.safetensors")
    return path


def test_random_weights_are_named_by_their_seed() -> None:
    assert pretrained.resolve("r-vgg19", 3).label == "random:3"


def test_a_given_file_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEBENCH_WEIGHTS", "/nowhere")
    path = folder / "vgg19.safetensors"
    ref = pretrained.resolve("p-vgg19", 0, given={"vgg19": path})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (ref.source, ref.sha256, ref.options) == ("file:vgg19.safetensors", digest, {})
    assert ref.label == f"file:vgg19.safetensors@sha256:{digest[:12]}"


def test_the_weights_of_the_file_are_in_the_network(folder: Path) -> None:
    ref = pretrained.resolve("p-vgg19", 0, given={"vgg19": folder / "vgg19.safetensors"})
    first = next(build("p-vgg19", ref, 0).features.parameters())
    assert torch.equal(first, state("vgg19")["features.0.weight"].float())


def test_the_folder_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEBENCH_WEIGHTS", str(folder))
    assert pretrained.resolve("p-vgg19", 0, offline=True).source == "file:vgg19.safetensors"
    monkeypatch.setenv("STYLEBENCH_WEIGHTS", str(folder / "none"))
    with pytest.raises(InputError, match="expected an existing folder"):
        pretrained.resolve("p-vgg19", 0, offline=True)


def test_the_cache_of_torchvision(pretrained_tiny: bytes, tmp_path: Path) -> None:
    path = Path(torch.hub.get_dir()) / "checkpoints" / ARCHS["tiny"].checkpoint
    assert tmp_path in path.parents
    path.parent.mkdir(parents=True)
    path.write_bytes(pretrained_tiny)
    ref = pretrained.resolve("p-tiny", 0, offline=True)
    assert ref.source == f"torchvision:{path.name}"


def test_nothing_at_hand_names_the_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise UnavailableError("no route")

    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    monkeypatch.setattr(download, "fetch", refuse)
    monkeypatch.setattr(packages, "fetch", refuse)
    for offline in (True, False):
        with pytest.raises(UnavailableError) as found:
            pretrained.resolve("p-vgg19", 0, offline=offline)
        for remedy in ("--weights vgg19=PATH", "$STYLEBENCH_WEIGHTS", "weights get vgg19"):
            assert remedy in str(found.value)
        assert ("no route; no route" in str(found.value)) is not offline


def test_offline_never_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (download, packages):
        monkeypatch.setattr(module, "fetch", lambda *args: pytest.fail("tried"))
    for source in ("auto", "torchvision:resnet50-0676ba61.pth", "registry:resnet50"):
        with pytest.raises(UnavailableError):
            pretrained.resolve("p-resnet50", 0, given={"resnet50": source}, offline=True)


@pytest.mark.slow
def test_the_layout_of_resnet50(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = folder / "resnet50.safetensors"
    given = {"resnet50": plain}
    ref = pretrained.resolve("p-resnet50", 0, given=given)
    assert (ref.options, ref.label[-16:]) == ({"stride_in": "conv2"}, "+stride_in=conv2")
    stated = tmp_path / "resnet50.safetensors"
    save_file(state("resnet50"), stated, metadata={"stride_in": "conv1"})
    ref = pretrained.resolve("p-resnet50", 0, given={"resnet50": stated})
    assert ref.options == {"stride_in": "conv1"}
    network = build("p-resnet50", ref, 0)
    assert network.features.get_submodule("layer2.0.conv1").stride == (2, 2)
    chosen = pretrained.resolve(
        "p-resnet50", 0, given={"resnet50": stated}, options={"stride_in": "conv2"}
    )
    assert chosen.options == {"stride_in": "conv2"}
    monkeypatch.setitem(weights.KNOWN_FILES, weights.sha256(plain), {"stride_in": "conv1"})
    assert pretrained.resolve("p-resnet50", 0, given=given).options == {"stride_in": "conv1"}


def test_weights_that_changed_after_planning_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vgg19.safetensors"
    save_file(state("vgg19"), path)
    ref = pretrained.resolve("p-vgg19", 0, given={"vgg19": path})
    save_file({key: value * 2 for key, value in state("vgg19").items()}, path)
    with pytest.raises(InputError, match="changed after the job was planned"):
        build("p-vgg19", ref, 1)


def test_a_classifier_of_another_size_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.safetensors"
    tens = {"fc.weight": torch.zeros(10, 2048), "fc.bias": torch.zeros(10)}
    save_file(state("resnet50") | tens, path)
    build("p-resnet50", pretrained.resolve("p-resnet50", 0, given={"resnet50": path}), 0)


@pytest.fixture(scope="module")
def resnet50(folder: Path) -> dict[str, Tensor]:
    """Return what p-resnet50 has of the weights that `state` gives it."""
    ref = pretrained.resolve("p-resnet50", 0, given={"resnet50": folder / "resnet50.safetensors"})
    return build("p-resnet50", ref, 0).features.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefix", "nested"),
    [("", False), ("module.", True), ("module.model.", True), ("attacker.model.", False)],
)
def test_robust_weights_are_those_of_resnet50_by_other_names(
    resnet50: dict[str, Tensor], tmp_path: Path, prefix: str, nested: bool
) -> None:
    """As the package robustness and DataParallel name them, with its normaliser."""
    plain = state("resnet50")
    found = {prefix + key: value for key, value in plain.items()}
    if "model." in prefix:
        root = prefix.partition("model.")[0].removesuffix("attacker.")
        found |= {f"{root}{name}.new_{value}": torch.zeros(3, 1, 1)
                  for name in ("normalizer", "attacker.normalize")
                  for value in ("mean", "std")}  # fmt: skip
    path = tmp_path / "robust.pt"
    torch.save({"model": found, "epoch": 1} if nested else found, path)
    manage.import_file("robust-resnet50", path, pretrained.check)
    ref = pretrained.resolve("p-robust-resnet50", 0)
    assert ref.source == "file:robust-resnet50.pth"
    robust = build("p-robust-resnet50", ref, 0).features
    found = robust.state_dict()
    assert found.keys() == resnet50.keys()
    for key, value in resnet50.items():
        assert torch.equal(found[key], value)


def test_the_weights_of_the_attacked_model_may_stand_there_twice(tmp_path: Path) -> None:
    plain, path = state("resnet50"), tmp_path / "robust.pt"
    both = ("module.model.", "module.attacker.model.")
    torch.save({prefix + key: value for key, value in plain.items() for prefix in both}, path)
    pretrained.resolve("p-robust-resnet50", 0, given={"robust-resnet50": path})
    torch.save({f"vgg.{k}": v for k, v in plain.items()}, path)
    assert "expected the weights of robust-resnet50, but it lacks" in refused(
        path, "robust-resnet50"
    )


def test_robust_weights_that_are_not_here_say_where_they_are() -> None:
    with pytest.raises(UnavailableError) as found:
        pretrained.resolve("p-robust-resnet50", 0)
    text = str(found.value)
    assert "\n" not in text
    for part in ("--weights robust-resnet50=PATH", "Salman et al. 2020", "resnet50_l2_eps3.ckpt"):
        assert part in text
    assert "weights get" not in text
    with pytest.raises(UnavailableError, match="torchvision publishes no weights of robust-"):
        pretrained.resolve("p-robust-resnet50", 0, given={"robust-resnet50": "torchvision"})


def refused(path: Path, name: str = "vgg19") -> str:
    with pytest.raises(InputError) as found:
        pretrained.resolve(f"p-{name}", 0, given={name: path})
    text = str(found.value)
    assert "\n" not in text
    return text


def test_another_architecture_names_at_most_five_keys(folder: Path) -> None:
    text = refused(folder / "resnet50.safetensors")
    assert "expected the weights of vgg19, but it lacks features.0.bias" in text
    assert "and 24 more; has unknown bn1.bias, bn1.running_mean and 263 more" in text
    assert text.count("features.") == 2


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    wrong = state("vgg19")
    wrong["features.0.bias"] = wrong["features.0.bias"].clone()
    wrong["features.0.bias"][0] = torch.nan
    save_file(wrong, tmp_path / "w.safetensors")
    assert "NaN or infinity in features.0.bias" in refused(tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04K\x05.", b"PK\x03\x04junk"])
def test_corrupt_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    assert "expected" in refused(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path, zipped: bool) -> None:
    path, small = tmp_path / "w.pth", {"features.0.weight": torch.zeros(2, 3)}
    torch.save(small, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 7):
        path.write_bytes(content[:length])
        assert str(path) in refused(path)
        damaged = bytearray(content)
        damaged[length] ^= 0x55
        path.write_bytes(damaged)
        assert str(path) in refused(path)  # of another architecture, if it is read at all


@pytest.mark.parametrize("what", [{0: torch.zeros(1)}, [torch.zeros(1)], {"a": 1}, 3])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, what: object) -> None:
    torch.save(what, tmp_path / "w.pth")
    assert "expected a state dict of tensors" in refused(tmp_path / "w.pth")


@pytest.mark.filterwarnings("error")
def test_warnings_of_torch_stay_off_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=4))
    assert "it was not executed" in refused(path)


def test_flags() -> None:
    found = pretrained.parse_given(["vgg19=a=b.pth", "p-resnet50=c"])
    assert found == {"vgg19": "a=b.pth", "resnet50": "c"}
