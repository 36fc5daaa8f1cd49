"""BatchNorm folded into convolutions, and weights in bf16: the maps stay what torch gives."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import timm
import torch
from torch import Tensor, nn

from stylebench.backbones import controls, fold, names
from stylebench.backbones.extractor import Backbone, build, random_network
from stylebench.backbones.spec import ARCHS, Node
from stylebench.config import WeightsRef
from tests.often import often

RANDOM = {"running_mean": (-0.3, 0.3), "running_var": (0.5, 2), "weight": (0.5, 1.5),
          "bias": (-0.3, 0.3)}  # fmt: skip
"""Ranges of what BatchNorm holds: that of a new network is nearly the identity."""


def randomised(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, (low, high) in RANDOM.items():
                getattr(module, name).data.uniform_(low, high, generator=generator)
    return network


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def backbone_of(
    name: str, style: tuple[str, ...] = (), options: dict[str, str] | None = None
) -> Backbone:
    """A backbone that is not folded, with random norms; other nodes by their paths."""
    spec = names.find(f"r-{name}")
    if style:
        nodes = tuple(Node(path, path, 4) for path in style)
        spec = replace(spec, style=nodes, content=nodes[-1])
    network = randomised(random_network(spec, 0))
    controls.apply(network, options or {}, spec.defaults)
    return Backbone(spec, network)


def check(
    name: str,
    style: tuple[str, ...] = (),
    size: tuple[int, int] | None = None,
    options: dict[str, str] | None = None,
) -> tuple[int, int]:
    """Folded maps are those of before, in float64; return how many norms there were and are."""
    backbone = backbone_of(name, style, options).double()
    before, side = norms(backbone), max(names.find(f"r-{name}").min_side, 48)
    image = picture(*(size or (side, side + 16))).double()
    state = torch.get_rng_state()
    with torch.no_grad():
        expected = backbone(image)
        backbone.settle("fp32")
        found = backbone(image)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert set(found) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-9 * float(value.std()))
    return before, norms(backbone)


FOLDED = [
    name for name, spec in ARCHS.items() if "batchnorm" in spec.options and "r-" in spec.prefixes
]


@pytest.mark.parametrize(
    "name", often({"resnet18", "vgg11_bn", "noresnet50", "densenet121", "mobilenet_v2"}, FOLDED)
)
def test_folded_backbones_give_the_same_maps(name: str) -> None:
    """None is left but for densenet's, which stand before the convolution."""
    before, after = check(name)
    assert after == 0 or (name.startswith("densenet") and 0 < after < before)


@pytest.mark.parametrize(
    ("name", "other"),
    often(
        {"resnet18", "pseudo-resvgg"},
        [
            ("resnet18", {}),
            ("resnet50", {"shortcut": "pre-relu"}),
            ("noresnet50", {}),
            ("pseudo-resvgg", {"gamma": "0.5"}),
        ],
    ),
)
def test_norms_beside_blur_pooling_are_folded(name: str, other: dict[str, str]) -> None:
    assert check(name, options={"downsample": "blur", **other})[1] == 0


@pytest.mark.parametrize(
    ("model", "before", "after"),
    often({"tf_mobilenetv3_small_minimal_100", "resnetv2_50", "repvgg_a0"}, [
        ("resnet18", 20, 0),
        ("efficientnet_b0", 48, 0),
        ("tf_mobilenetv3_small_minimal_100", 34, 0),  # its padding depends on the size
        ("mobilenetv3_small_050", 34, 0),
        ("regnetx_002", 44, 0),
        ("resnetv2_50", 48, 16),  # BatchNormAct2d before the first convolution of each block
        ("densenet121", 121, 62),
        ("repvgg_a0", 61, 17),  # identity branches are a norm alone
        ("hrnet_w18_small", 87, 0),
        ("convnext_atto", 0, 0),
        ("nf_resnet26", 0, 0),  # standardised weights
    ]),
)  # fmt: skip
def test_folded_models_of_timm_give_the_same_maps(model: str, before: int, after: int) -> None:
    assert check(f"timm:{model}") == (before, after)


def test_a_model_that_takes_one_size_alone() -> None:
    assert check("timm:levit_128s", size=(224, 224)) == (4, 0)


@pytest.mark.parametrize(
    ("name", "style", "left"),
    [
        ("resnet18", ("conv1", "relu"), 1),
        ("resnet18", ("layer1.0.conv1", "layer1.0.bn1", "layer1.1.bn2"), 1),
        ("timm:test_resnet", ("input of layer1", "layer1"), 0),
    ],
)
def test_a_node_before_a_norm_keeps_its_map(name: str, style: tuple[str, ...], left: int) -> None:
    assert check(name, style)[1] == left


class Net(nn.Module):
    """A convolution and a norm, used as a function says."""

    def __init__(self, use: Callable[["Net", Tensor], Tensor], conv: nn.Conv2d) -> None:
        super().__init__()
        self.use, self.conv, self.norm = use, conv, nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"map": self.use(self, x)}


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight / self.weight.norm()
        return nn.functional.conv2d(x, weight, self.bias)


def plain() -> nn.Conv2d:
    return nn.Conv2d(3, 3, 3, padding=1)


def dead(net: Net, x: Tensor) -> Tensor:
    y: Tensor = net.conv(x)
    net.norm(y)
    return y


def sized(net: Net, x: Tensor) -> Tensor:
    y: Tensor = net.conv(x)
    result: Tensor = net.norm(y) * y.shape[-1] + y.dim()
    return result


@pytest.mark.parametrize(
    ("use", "conv", "folded"),
    [
        (lambda net, x: net.norm(net.conv(x)), plain(), 1),
        (lambda net, x: net.norm(net.conv(x)), nn.Conv2d(3, 3, 1, bias=False), 1),
        (lambda net, x: net.norm(net.conv(x)), nn.Conv2d(3, 3, 3, padding_mode="reflect"), 1),
        (sized, plain(), 1),
        (lambda net, x: net.norm(net.conv(x).relu()), plain(), 0),
        (lambda net, x: net.norm(net.conv(x).relu_()), plain(), 0),
        (lambda net, x: net.conv(net.norm(x)), plain(), 0),
        (lambda net, x: net.norm(net.conv(net.conv(x))), plain(), 0),
        (lambda net, x: net.norm(net.norm(net.conv(x))), plain(), 0),
        (lambda net, x: net.norm(y := net.conv(x)) + y, plain(), 0),
        (dead, plain(), 0),
        (lambda net, x: net.norm(net.conv(x)), Standardised(3, 3, 3), 0),
    ],
)  # fmt: skip
def test_only_a_norm_that_takes_the_convolution_alone(
    use: Callable[[Net, Tensor], Tensor], conv: nn.Conv2d, folded: int
) -> None:
    net, x = randomised(Net(use, conv)).double().eval(), picture(8, 8).double()
    with torch.no_grad():
        expected = net(x)["map"]
        assert fold.fold(net, (16, 16)) == folded
        torch.testing.assert_close(net(x)["map"], expected)


@pytest.mark.parametrize("how", ["train", "statistics"])
def test_norms_that_use_the_pictures_statistics_stay(how: str) -> None:
    net = randomised(Net(lambda net, x: net.norm(net.conv(x)), plain())).eval()
    assert isinstance(net, Net)
    if how == "train":
        net.norm.train()
    else:
        net.norm.running_mean = net.norm.running_var = None
    assert fold.fold(net, (16, 16)) == 0


def test_a_network_that_takes_other_sizes_stays() -> None:
    def use(net: Net, x: Tensor) -> Tensor:
        assert x.shape[-1] == 24, "24 px alone"
        result: Tensor = net.norm(net.conv(x))
        return result

    net = Net(use, plain()).eval()
    assert [fold.fold(net, (size, size)) for size in (16, 24)] == [0, 1]


def test_batchnorm_of_the_batch_is_not_folded() -> None:
    ref = WeightsRef(source="random:0", options={"batchnorm": "train"})
    assert norms(build("r-resnet18", ref, 0)) == 20
    assert norms(build("r-resnet18", WeightsRef(source="random:0"), 0)) == 0


@pytest.mark.parametrize("name", ["resnet18", "timm:tf_efficientnet_b0", "timm:densenet121"])
def test_bf16_is_torchs_own_autocast(name: str) -> None:
    """The maps of weights stored in bf16 are near fp32's, and are those of autocast to the bit.

    But for the first convolution, which sees the picture unrounded.
    """
    ours, folded = backbone_of(name), backbone_of(name)
    image = picture(64, 80).requires_grad_()
    ours.settle("bf16")
    folded.settle("fp32")
    maps, exact = ours(image), folded(image.detach())
    x = ((image - folded.mean) / folded.std).contiguous(memory_format=torch.channels_last)
    convolutions = [m for m in folded.modules() if isinstance(m, nn.Conv2d)]
    convolutions[0].to(memory_format=torch.channels_last)
    forward = convolutions[0].forward

    def unrounded(conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(inputs[0]).to(output.dtype)

    convolutions[0].register_forward_hook(unrounded)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = folded.features(x)
    for key, value in expected.items():
        assert maps[key].dtype == value.dtype
        assert torch.equal(maps[key], value)
        error = (maps[key].detach() - exact[key]).norm() / exact[key].norm()
        assert 0 < float(error) < 0.05, key
    assert torch.bfloat16 in {value.dtype for value in maps.values()}
    first, *others = (m.weight.dtype for m in ours.modules() if isinstance(m, nn.Conv2d))
    assert first == torch.float32
    assert set(others) == {torch.bfloat16}
    total = torch.stack([value.float().square().mean() for value in maps.values()]).sum()
    torch.autograd.backward(total)
    assert image.grad is not None
    assert image.grad.is_contiguous()
    assert image.grad.dtype == torch.float32
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", ["test_vit_relpos", "levit_128s"])
def test_a_network_built_again_is_folded_too(model: str, precision: str) -> None:
    """At its own size, where there is nothing to resample, it gives the same maps."""
    backbone = backbone_of(f"timm:{model}")
    side = timm.models.get_pretrained_cfg(model).input_size[-1]
    backbone.settle(precision)
    again = backbone.features._rebuilt((side, side))  # type: ignore[operator]
    first = backbone.features.maps.state_dict()  # type: ignore[union-attr]
    assert {k: v.dtype for k, v in again.state_dict().items()} == {
        k: v.dtype for k, v in first.items()
    }
    assert norms(again) == 0
    assert not any(module.training for module in again.modules())
    x = picture(side, side)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        maps, same = backbone.features(x), again(x)
    assert all(torch.equal(maps[name], same[name]) for name in maps)
