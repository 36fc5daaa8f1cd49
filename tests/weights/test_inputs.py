"""What weights take for a picture: stated, known, or told by their first layer; the right maps."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import conv2d

from stylebench import images
from stylebench.backbones import pretrained
from stylebench.backbones.extractor import build
from stylebench.backbones.spec import ARCHS
from stylebench.backbones.tiny import tiny
from stylebench.config import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.weights import files, inputs, sources

CAFFE_MEAN = (123.68, 116.779, 103.939)
"""Of RGB in 0..255: Simonyan & Zisserman 2015, as Caffe's model zoo states it (there as BGR)."""
STATED = {"order": "BGR", "scale": 255, "mean": CAFFE_MEAN[::-1], "std": 1}


def picture(name: str = "chelsea", size: int = 64) -> Tensor:
    pixels = images.read(images.PREFIX + name, size).copy()
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def unfolded(
    kernel: Tensor,
    bias: Tensor,
    scale: float = 255,
    mean: tuple[float, ...] = CAFFE_MEAN,
    std: tuple[float, ...] = (1, 1, 1),
    order: str = "bgr",
) -> tuple[Tensor, Tensor]:
    """Return a first layer for another input, in RGB here, from one for ImageNet's.

    The formula of shared weights of VGG-19: k = w/(255·std), b −= Σ k·255·(mean − caffe mean),
    times what the other input is divided by.
    """
    own, over = (np.array(v)[None, :, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    other, by = (np.array(v)[None, :, None, None] for v in (mean, std))
    made = kernel.double().numpy() / (scale * over)
    shift = (made * (scale * own - other)).sum((1, 2, 3))
    made = made * by
    return (
        torch.from_numpy(made[:, :: -1 if order == "bgr" else 1].copy()).float(),
        torch.from_numpy(bias.double().numpy() - shift).float(),
    )


@pytest.fixture
def tiny_files(pretrained_tiny: bytes, tmp_path: Path) -> tuple[Path, Path]:
    """Return a file of the tiny network's weights, and one of the same for BGR in 0..255."""
    state = dict(tiny().state_dict())
    generator = torch.Generator().manual_seed(0)
    state["stages.0.0.bias"] = torch.rand(8, generator=generator)
    save_file(state, tmp_path / "own.safetensors")
    first = "stages.0.0."
    pair = unfolded(state[f"{first}weight"], state[f"{first}bias"])
    state |= dict(zip((f"{first}weight", f"{first}bias"), pair, strict=True))
    save_file(state, tmp_path / "bgr.safetensors")
    return tmp_path / "own.safetensors", tmp_path / "bgr.safetensors"


def close(a: Tensor, b: Tensor) -> bool:
    """Compare maps: zeros at the edges are one mean or the other, which differ by 0.4 levels."""
    return torch.allclose(a, b, rtol=0.02, atol=0.02)


def maps(path: Path, **options: Any) -> dict[str, Tensor]:
    ref = pretrained.resolve("p-tiny", 0, given={"tiny": path}, **options)
    with torch.no_grad():
        return build("p-tiny", ref, 0).forward(picture())


def test_an_input_that_is_given_gives_the_maps_that_are_right(
    tiny_files: tuple[Path, Path],
) -> None:
    own, bgr = tiny_files
    expected, wrong = maps(own), maps(bgr)
    found = maps(bgr, taken={"tiny": InputSpec.model_validate(STATED)})
    for name, value in expected.items():
        assert close(found[name], value)
        assert not torch.allclose(wrong[name], value, rtol=0.1)


def test_the_first_layer_sees_what_torch_computes_by_hand(tiny_files: tuple[Path, Path]) -> None:
    bgr = tiny_files[1]
    state = load_file(bgr)
    pixels = 255 * picture().flip(1) - torch.tensor(CAFFE_MEAN[::-1]).view(1, 3, 1, 1)
    first = conv2d(pixels, state["stages.0.0.weight"], state["stages.0.0.bias"], padding=1).relu()
    found = maps(bgr, taken={"tiny": InputSpec.model_validate(STATED)})
    assert torch.allclose(found["stage0"], first, rtol=1e-4, atol=1e-4)


def test_a_file_states_its_input_and_what_is_given_goes_before_it(
    tiny_files: tuple[Path, Path], tmp_path: Path
) -> None:
    own, bgr = tiny_files
    path = tmp_path / "stated.safetensors"
    save_file(load_file(bgr), path, metadata={"input": json.dumps(STATED)})
    assert close(maps(path)["stage4"], maps(own)["stage4"])
    ref = pretrained.resolve("p-tiny", 0, given={"tiny": path})
    assert ref.label.endswith("+input=bgr*255-103.939,116.779,123.68")
    imagenet = InputSpec(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    ref = pretrained.resolve("p-tiny", 0, given={"tiny": path}, taken={"tiny": imagenet})
    assert ref.input is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [("RGB in [0, 1]", ""), ("7", ""), ('{"order": "gbr", "mean": 0}', "found"), ("{}", "found")],
)
def test_prose_states_nothing_and_a_wrong_mapping_is_told(
    tiny_files: tuple[Path, Path], tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "stated.safetensors"
    save_file(load_file(tiny_files[0]), path, metadata={"input": text})
    if not problem:
        assert pretrained.resolve("p-tiny", 0, given={"tiny": path}).input is None
        return
    with pytest.raises(InputError, match="expected input in its metadata"):
        pretrained.resolve("p-tiny", 0, given={"tiny": path})


def test_two_ways_to_say_an_input_are_one() -> None:
    in_bytes = InputSpec(scale=255, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    assert in_bytes.unit == InputSpec(mean=IMAGENET_MEAN, std=IMAGENET_STD).unit
    assert InputSpec.model_validate({"mean": 0.5, "std": 0.5}).mean == (0.5, 0.5, 0.5)


def test_an_input_is_part_of_a_jobs_identity_where_it_is_not_the_backbones_own(
    tiny_files: tuple[Path, Path], tmp_path: Path
) -> None:
    def job(more: str) -> Any:
        path = tmp_path / "a.yaml"
        path.write_text(f"arch: p-tiny\nsize: 64\nweights: {{tiny: {tiny_files[0]}}}\n{more}")
        return plan.expand(load_sweep(path)).jobs[0].job_id

    plain = job("")
    own = "{mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375], scale: 255}"
    assert job(f"input: {{tiny: {own}}}\n") == plain
    assert job("input: {tiny: {order: bgr, mean: 0.5, std: 0.5}}\n") != plain


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("{vgg19: {mean: 0}}", "input: p-vgg19 is not among the backbones to run"),
        ("{tiny: {mean: 0, std: 0}}", "input.tiny.std.0: expected more than 0"),
        ("{tiny: {mean: [1, 2]}}", "input.tiny.mean.2"),
        ("{tiny: {std: 1}}", "input.tiny.mean: expected a value"),
        ("{tiny: {mean: 0, order: rbg}}", "input.tiny.order"),
    ],
)
def test_an_input_that_cannot_be_is_told(tmp_path: Path, given: str, problem: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"arch: r-tiny\nsize: 64\ninput: {given}\n")
    with pytest.raises(InputError, match=problem):
        plan.expand(load_sweep(path))


def test_torchvisions_own_words_on_its_files() -> None:
    from torchvision.models import VGG16_Weights

    stated = VGG16_Weights.IMAGENET1K_FEATURES.transforms()
    found = sources.transform("vgg16", "88682ab5" + 56 * "0")
    assert found is not None
    assert (found.mean, found.std) == (tuple(stated.mean), tuple(stated.std))
    assert found.unit[1] == (0.48235, 0.45882, 0.40784)
    plain = sources.transform("vgg19", "dcbb9e9d" + 56 * "0")
    assert plain is not None
    assert plain.unit == ARCHS["vgg19"].input.unit
    assert sources.transform("vgg16", 64 * "0") is None
    assert sources.transform("tiny", 64 * "0") is None


@pytest.mark.parametrize("begin", ["d01eb7cb", "5891d200"])
def test_files_that_people_have_are_known_by_their_sha256(
    begin: str, tiny_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = files.sha256(tiny_files[1])
    monkeypatch.setitem(inputs.KNOWN, digest[:8], inputs.KNOWN[begin])
    ref = pretrained.resolve("p-tiny", 0, given={"tiny": tiny_files[1]})
    assert ref.input == inputs.KNOWN[begin]
    assert (ref.input.order, ref.input.scale, ref.input.std) == ("bgr", 255, (1, 1, 1))


def small(bias: bool) -> nn.Module:
    """Return a first layer of 64 filters, with BatchNorm behind it if it has no bias."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 64, 3, bias=bias)
    return nn.Sequential(conv) if bias else nn.Sequential(conv, nn.BatchNorm2d(64))


SIGNS = ((1, -1, 1), (1, 1, 1), (1, 1, -1))


def as_known(whose: int) -> dict[str, Tensor]:
    """Return a first layer with the filters by which known weights of VGG-19 are told."""
    state = {key: value.clone() for key, value in small(True).state_dict().items()}
    known = inputs.FIRST_LAYERS["vgg19"][whose]
    for (number, norms), signs in zip(known.filters.items(), SIGNS, strict=True):
        each = torch.tensor(norms) * torch.tensor(signs) / 3  # nine entries of one size
        state["0.weight"][number] = each[:, None, None].expand(3, 3, 3)
    for number, bias in zip(known.filters, known.biases, strict=False):
        state["0.bias"][number] = bias
    return state


OWN = InputSpec(mean=IMAGENET_MEAN, std=IMAGENET_STD)


@pytest.mark.parametrize("whose", [0, 1])
def test_known_weights_are_told_by_their_first_layer_in_either_layout(whose: int) -> None:
    state = as_known(whose)
    assert inputs.shown("vgg19", state, small(True), OWN) == (None, "")
    pair = unfolded(state["0.weight"], state["0.bias"])
    other = dict(zip(("0.weight", "0.bias"), pair, strict=True))
    assert inputs.shown("vgg19", other, small(True), OWN) == (inputs.OXFORD, "")
    other["0.weight"] = other["0.weight"].flip(1)
    assert inputs.shown("vgg19", other, small(True), OWN) == (inputs.CAFFE_RGB, "")


@pytest.mark.parametrize(
    ("order", "scale", "mean", "std", "told"),
    [
        ("bgr", 1, IMAGENET_MEAN, IMAGENET_STD, "1, mean: [0.406, 0.456, 0.485], std: [0.225, "),
        ("rgb", 1, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "1, mean: [0.5, 0.5, 0.5], std: [0.5, "),
        ("rgb", 255, (0, 0, 0), (1, 1, 1), "255, mean: [0, 0, 0], std: [1, 1, 1]"),
        ("bgr", 255, (127.5,) * 3, (127.5,) * 3, "1, mean: [0.5, 0.5, 0.5], std: [0.5, "),
        ("rgb", 1, (0, 0, 0), IMAGENET_STD, "1, mean: [0, 0, 0], std: [0.229, 0.224, 0.225]"),
    ],
)
def test_known_weights_for_another_input_are_doubted_and_the_input_is_solved(
    order: str, scale: float, mean: tuple[float, ...], std: tuple[float, ...], told: str
) -> None:
    state = as_known(0)
    pair = unfolded(state["0.weight"], state["0.bias"], scale, mean, std, order)
    other = dict(zip(("0.weight", "0.bias"), pair, strict=True))
    found, doubt = inputs.shown("vgg19", other, small(True), OWN)
    assert "0 is that of Oxford's weights for another order or scale" in doubt
    assert found is not None
    assert inputs.text(found).startswith(f"{{order: {order}, scale: {told}")


def test_unknown_weights_without_batchnorm_are_doubted_where_far_from_all_known() -> None:
    state = dict(small(True).state_dict())
    assert inputs.shown("vgg19", state, small(True), OWN) == (None, "")
    assert inputs.shown("vgg16", state, small(True), OWN) == (None, "")  # nobody's are known
    none = {key: value * float("nan") for key, value in state.items()}
    assert inputs.shown("vgg19", none, small(True), OWN) == (None, "")  # nothing can be told
    state["0.weight"] = state["0.weight"] / 57
    state["0.bias"] *= float("nan")  # which has no part in it
    found, doubt = inputs.shown("vgg19", state, small(True), OWN)
    assert found is None
    assert "as those of torchvision's weights" in doubt


@pytest.mark.parametrize(("factor", "doubted"), [(1, False), (57, True), (1 / 57, True)])
def test_batchnorm_tells_what_the_first_layer_saw_in_training(factor: float, doubted: bool) -> None:
    network = small(False)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    responses = conv2d((picture("coffee", 256) - mean) / std, state["0.weight"])
    state["1.running_var"] = responses.var((0, 2, 3))
    state["0.weight"] = state["0.weight"] * factor
    found, doubt = inputs.shown("any", state, network, OWN)
    assert found is None
    assert bool(doubt) == doubted, doubt


def test_a_doubt_is_told_in_one_line_that_says_what_to_do(tmp_path: Path, no_weights: None) -> None:
    spec = ARCHS["resnet18"]
    state = {k: v.clone() for k, v in spec.build().state_dict().items()}
    state["bn1.running_var"] *= 1e4
    path = tmp_path / "resnet18.safetensors"
    save_file(state, path)
    told: list[str] = []
    pretrained.resolve("p-resnet18", 0, given={"resnet18": path}, tell=told.append)
    assert len(told) == 1
    assert "\n" not in told[0]
    assert told[0].startswith("p-resnet18: warning: resnet18.safetensors: conv1 answers")
    assert "input: {resnet18: {order: bgr, scale: 255," in told[0]
    told.clear()
    pretrained.resolve("p-resnet18", 0, given={"resnet18": path}, taken={"resnet18": OWN},
                       tell=told.append)  # fmt: skip
    assert not told  # it was said


@pytest.mark.weights
def test_the_caffe_layout_of_vgg19_has_the_maxima_of_the_papers(tmp_path: Path) -> None:
    """342, 1822, 4131, 11499, 1625: those of the same weights folded to ImageNet's input."""
    state = load_file(Path(os.environ["STYLEBENCH_WEIGHTS"]) / "vgg19.safetensors")
    first = "features.0."
    pair = unfolded(state[f"{first}weight"].float(), state[f"{first}bias"].float())
    state |= dict(zip((f"{first}weight", f"{first}bias"), pair, strict=True))
    path = tmp_path / "caffe.pth"
    torch.save(state, path)
    ref = pretrained.resolve("p-vgg19", 0, given={"vgg19": path})
    assert ref.input == inputs.OXFORD
    backbone = build("p-vgg19", ref, 0)
    with torch.no_grad():
        found = backbone(picture())
    maxima = [float(found[node.name].max()) for node in backbone.style]
    assert maxima == pytest.approx([342, 1822, 4131, 11499, 1625], rel=2e-3)
