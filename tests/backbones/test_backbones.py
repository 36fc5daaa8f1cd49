"""Backbones: what the surgery changes and nothing else, nodes, seeds, names."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import resnet50, vgg19
from torchvision.models.resnet import BasicBlock, Bottleneck

from stylebench.backbones import controls, names, paper
from stylebench.backbones.extractor import Backbone, build, random_network
from stylebench.backbones.spec import ARCHS, BackboneSpec, Node
from stylebench.config import WeightsRef
from stylebench.errors import InputError
from tests.often import often

PAIRS = [("resnet50", "noresnet50"), ("pseudo-resvgg", "pseudo-vgg")]
STAGES = ("layer1", "layer2", "layer3", "layer4")


def network(name: str) -> nn.Module:
    return random_network(ARCHS[name], seed=0).eval()


def built(arch: str, seed: int = 0) -> Backbone:
    return build(arch, WeightsRef(source=f"random:{seed}"), seed)


def blocks(model: nn.Module) -> dict[str, nn.Module]:
    return {
        f"{stage}.{name}": block
        for stage in STAGES
        for name, block in getattr(model, stage).named_children()
        if name != "pool"
    }


@pytest.mark.parametrize(("residual", "plain"), PAIRS)
def test_the_pairs_have_the_same_weights_but_for_the_shortcuts(residual: str, plain: str) -> None:
    a, b = network(residual).state_dict(), network(plain).state_dict()
    assert {key for key in a if key not in b} == {key for key in a if "downsample" in key}
    assert set(b) <= set(a)
    assert any("downsample" in key for key in a)
    for key, value in b.items():
        assert torch.equal(value, a[key]), key


@pytest.mark.parametrize(("residual", "plain"), PAIRS)
def test_the_pairs_differ_in_the_shortcut_alone(residual: str, plain: str) -> None:
    """Block by block: one is ReLU(R(x)), the other ReLU(x + R(x)), with the same R."""
    a, b = blocks(network(residual)), blocks(network(plain))
    assert list(a) == list(b)
    for name, block in a.items():
        assert isinstance(block, BasicBlock | Bottleneck)
        last = block.bn3 if isinstance(block, Bottleneck) else block.bn2
        branch: list[Tensor] = []
        hook = last.register_forward_hook(lambda m, i, o, log=branch: log.append(o.clone()))
        x = torch.rand(1, block.conv1.in_channels, 8, 8) - 0.5
        with torch.no_grad():
            shortcut = x if block.downsample is None else block.downsample(x)
            assert torch.equal(block(x), (branch[0] + shortcut).relu()), name
            assert torch.equal(b[name](x), branch[0].relu()), name
        hook.remove()


@pytest.mark.parametrize(("residual", "plain"), PAIRS)
def test_outside_the_blocks_the_pairs_are_the_same(residual: str, plain: str) -> None:
    a, b = network(residual), network(plain)
    for name, child in a.named_children():
        if name not in STAGES:
            assert repr(child) == repr(getattr(b, name)), name
    for stage in STAGES:
        kinds = [
            [repr(m) for n, m in getattr(model, stage).named_children() if n == "pool"]
            for model in (a, b)
        ]
        assert kinds[0] == kinds[1]


def test_random_weights_are_pytorchs_own() -> None:
    torch.manual_seed(5)
    expected = resnet50(weights=None).state_dict()
    found = random_network(ARCHS["resnet50"], seed=5).state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    random_network(ARCHS["tiny"], seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_differ() -> None:
    x = torch.rand(1, 3, 32, 32)
    assert not torch.equal(built("r-tiny", 0)(x)["stage0"], built("r-tiny", 1)(x)["stage0"])


def test_pseudo_networks_are_like_vgg() -> None:
    model = paper.pseudo_resvgg()
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert all(conv.stride == (1, 1) for conv in convolutions)
    assert {conv.kernel_size for conv in convolutions} == {(3, 3), (1, 1)}
    assert [len(blocks_of(model, stage)) for stage in STAGES] == [3, 4, 6, 3]
    pools = [m for m in model.modules() if isinstance(m, nn.MaxPool2d)]
    assert [pool.kernel_size for pool in pools] == [2] * 4
    maps = built("r-pseudo-vgg")(torch.rand(1, 3, 32, 48))
    assert [tuple(value.shape[1:]) for value in maps.values()] == [
        (64, 32, 48), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)
    ]  # fmt: skip


def blocks_of(model: nn.Module, stage: str) -> list[nn.Module]:
    return [m for n, m in getattr(model, stage).named_children() if n != "pool"]


def test_stride_in_moves_the_stride_of_resnet50() -> None:
    for value, expected in (("conv2", [(1, 1), (2, 2)]), ("conv1", [(2, 2), (1, 1)])):
        model = paper.resnet50()
        controls.apply(model, {"stride_in": value}, {"stride_in": "conv2"})
        for stage in (model.layer2, model.layer3, model.layer4):
            assert [stage[0].conv1.stride, stage[0].conv2.stride] == expected


def _rectifies(network: nn.Module) -> bool:
    """Tell whether ReLUs are all the activations of a network, gates aside."""
    kinds = {type(m) for m in network.modules() if type(m).__module__ == nn.ReLU.__module__}
    return kinds <= {nn.ReLU, nn.Sigmoid, nn.Hardsigmoid}


RANDOM = [name for name in names.known(hidden=True) if name.startswith("r-")]
OF_EACH_KIND = {
    "r-vgg11", "r-vgg19", "r-resnet18", "r-resnet50", "r-noresnet50", "r-pseudo-vgg",
    "r-pseudo-resvgg", "r-googlenet", "r-mobilenet_v2", "r-squeezenet1_1", "r-convnext_tiny",
    "r-tiny",
}  # fmt: skip


@pytest.mark.parametrize("arch", often(OF_EACH_KIND, RANDOM))
def test_every_backbone_on_the_bench(arch: str) -> None:
    """Matrix: nodes exist, maps are finite, behind ReLUs not negative; gradients reach images."""
    backbone, spec = built(arch), names.find(arch)
    side = max(spec.min_side, 40)
    image = torch.rand(1, 3, side, side + 16, generator=torch.Generator().manual_seed(0))
    image.requires_grad_()
    maps = backbone(image)
    assert set(maps) == {node.name for node in (*spec.style, spec.content)}
    assert [node.stage for node in spec.style] == [0, 1, 2, 3, 4]
    for value in maps.values():
        assert bool(torch.isfinite(value).all())
        assert value.min().item() >= 0 or not _rectifies(backbone)
    areas = [maps[node.name].shape[-1] for node in spec.style]
    assert all(deep <= shallow for shallow, deep in pairwise(areas))
    maps[spec.style[-1].name].sum().backward()
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize("name", [n for n, spec in ARCHS.items() if spec.checkpoint])
def test_checkpoints_are_torchvisions(name: str) -> None:
    urls = [weights.url for weights in models.get_model_weights(name)]
    assert ARCHS[name].checkpoint in [url.rsplit("/", 1)[-1] for url in urls]


@pytest.mark.parametrize("name", [n for n in ARCHS if n.startswith("vgg")])
def test_nodes_of_the_vggs_are_gatys(name: str) -> None:
    """relu<b>_<n> counted along torchvision's own layers: b pooling layers and n ReLUs on."""
    with torch.device("meta"):
        layers = ARCHS[name].build().features
    names, block, number = {}, 1, 0
    assert isinstance(layers, nn.Sequential)
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            number += 1
            names[f"features.{index}"] = f"relu{block}_{number}"
        elif isinstance(layer, nn.MaxPool2d):
            block, number = block + 1, 0
    nodes = ARCHS[name].nodes
    assert list(nodes.values()) == [*(f"relu{b}_1" for b in range(1, 6)), "relu4_2"]
    assert all(names[path] == node for path, node in nodes.items())


def test_a_picture_that_is_too_small_is_told() -> None:
    with pytest.raises(InputError, match="at least 75 px on the short side, found 80×60"):
        built("r-inception_v3")(torch.rand(1, 3, 60, 80))


def test_maps_equal_forward_hooks_and_dead_layers_are_gone() -> None:
    torch.manual_seed(0)
    plain = vgg19(weights=None).eval()
    expected: dict[str, Tensor] = {}
    for node in ARCHS["vgg19"].style:
        layer = plain.get_submodule(node.path)
        layer.register_forward_hook(lambda m, i, o, n=node.name: expected.update({n: o.clone()}))
    image = torch.rand(1, 3, 32, 32)
    backbone = built("r-vgg19")
    with torch.no_grad():
        plain((image - backbone.mean) / backbone.std)
        found = backbone(image)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert sum(p.numel() for p in backbone.parameters()) < 13e6


def test_a_node_before_a_relu_keeps_its_negatives() -> None:
    node = Node("conv1_1", "features.0", 0)
    spec = BackboneSpec(
        "VGG-19 seen before its first ReLU", ARCHS["vgg19"].target,
        (node, Node("relu1_1", "features.1", 0)), node,
    )  # fmt: skip
    maps = Backbone(spec, random_network(spec, 0))(torch.rand(1, 3, 16, 16))
    assert maps["conv1_1"].min() < 0
    assert torch.equal(maps["conv1_1"].relu(), maps["relu1_1"])


def test_names() -> None:
    assert list(names.expand(["all"])) == list(names.ALL)
    assert not any(names.expand(["all"]).values())
    assert list(names.expand(["p-vgg1[69]"])) == ["p-vgg19", "p-vgg16"]
    assert names.expand(["r-vgg19, r-pseudo-*"]) == {
        "r-vgg19": True, "r-pseudo-vgg": False, "r-pseudo-resvgg": False
    }  # fmt: skip
    assert names.expand(["all", "p-vgg19"])["p-vgg19"]
    assert "r-tiny" not in names.expand(["*"])
    assert names.expand(["r-tiny"]) == {"r-tiny": True}
    assert list(names.expand(["*-robust-*"])) == ["p-robust-resnet50"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r-resnet5", "did you mean 'r-resnet50'"),
        ("r-robust-resnet50", "did you mean 'p-robust-resnet50'"),
        ("p-noresnet50", "did you mean 'r-noresnet50'"),
        ("vgg19", "did you mean 'r-vgg19' or 'p-vgg19'"),
        ("x-*", "no backbone matches 'x-\\*'"),
        ("", "unknown backbone ''"),
    ],
)
def test_unknown_names_suggest(name: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        names.expand([name])


def test_options_are_checked() -> None:
    spec = ARCHS["resnet50"]
    with pytest.raises(InputError, match="has no option 'stride'"):
        spec.check_options("p-resnet50", {"stride": "conv1"})
    with pytest.raises(InputError, match="one of conv2, conv1, found 'conv3'"):
        spec.check_options("p-resnet50", {"stride_in": "conv3"})
