"""Chosen nodes of torchvision's backbones. The oracle is torchvision: hooks on its networks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

from stylebench.backbones import names, pretrained
from stylebench.backbones.extractor import build, random_network
from stylebench.backbones.spec import ARCHS
from stylebench.config import NodeChoice, SmoothingSpec, WeightsRef
from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.transfer import smoothing
from tests.often import often

pytestmark = pytest.mark.usefixtures("no_weights")

IMAGE = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def choice(*style: int | str) -> NodeChoice:
    return NodeChoice(style=style, content=style[0])


def planned(arch: str, *style: int | str) -> plan.Plan:
    nodes = {"resnet18": choice(*style).model_dump()}
    flags = {"content": ["chelsea"], "style": ["brush"], "size": 32, "statistics_images": []}
    config = load_sweep(None, {"arch": [arch], "nodes": nodes, **flags})
    return plan.expand(config, offline=True)


def output(network: Any, path: str, image: Tensor) -> Tensor:
    """What a module of a plain network gives, as it was before anything changed it in place."""
    kept: list[Tensor] = []
    module = network.get_submodule(path)
    hook = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    with torch.no_grad():
        network.eval()(image)
    hook.remove()
    return kept[0]


def same(found: Tensor, expected: Tensor) -> None:
    """Equal but for the rounding of folded BatchNorm, which grows with depth."""
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * scale)


VGGS = [name for name in ARCHS if name.startswith("vgg")]


@pytest.mark.parametrize("name", VGGS)
def test_gatys_names_are_the_relus_of_each_vgg(name: str) -> None:
    """Counted in torchvision's own layers: a pooling ends a block."""
    with torch.device("meta"):
        layers = models.get_model(name, weights=None).features
    block, number, expected = 1, 0, {}
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.MaxPool2d):
            block, number = block + 1, 0
        if isinstance(layer, nn.ReLU):
            number += 1
            expected[f"relu{block}_{number}"] = f"features.{index}"
    assert ARCHS[name].aliases == expected
    assert len(expected) == int(name[3:5]) - 3


@pytest.mark.parametrize("arch", ["r-vgg19", "r-vgg16_bn", "r-vgg19+activation=leaky+pool=avg"])
def test_nodes_take_the_names_of_a_backbones_places(arch: str) -> None:
    name, options = names.parse(arch)
    spec = names.find(name)
    taken = NodeChoice(style=("relu1_1", "relu3_1", "relu3_3"), content="relu4_2")
    chosen = spec.choose(name, taken, options)
    assert [node.name for node in chosen.style] == ["relu1_1", "relu3_1", "relu3_3"]
    assert [node.stage for node in chosen.style] == [2, 3, 4]
    paths = tuple(spec.aliases[name] for name in ("relu1_1", "relu3_1", "relu3_3"))
    same_by_path = NodeChoice(style=paths, content=spec.aliases["relu4_2"])
    assert list(chosen.nodes) == list(spec.choose(name, same_by_path, options).nodes)


def test_other_backbones_take_the_names_of_their_nodes_too() -> None:
    chosen = names.find("r-resnet18").choose("r-resnet18", choice("stem", "stage2"))
    assert chosen.nodes == {"relu": "stem", "layer2": "stage2"}
    with pytest.raises(InputError, match="did you mean 'relu5_4'"):
        names.find("r-vgg19").choose("r-vgg19", choice("relu5_5"))
    with pytest.raises(InputError, match="no node 'relu5_4'"):
        names.find("r-vgg16").choose("r-vgg16", choice("relu5_4"))
    with pytest.raises(InputError, match=r"named twice: relu1_1, features\.1"):
        names.find("r-vgg19").choose("r-vgg19", choice("relu1_1", "features.1"))


@pytest.mark.parametrize(
    ("name", "deep", "behind"),
    [
        ("vgg11", "features.19", "features.18.weight"),
        ("mobilenet_v3_small", "features.12", "features.12.0.weight"),
    ],
)
def test_pretrained_weights_reach_to_the_deepest_node(
    name: str, deep: str, behind: str, tmp_path: Path
) -> None:
    """Behind the default nodes too, where a file may lack them and be good for these."""
    torch.manual_seed(3)
    network = getattr(models, name)(weights=None)
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier")}
    save_file(state, tmp_path / "whole.safetensors")
    given = {name: tmp_path / "whole.safetensors"}
    nodes = choice(ARCHS[name].style[0].path, deep)
    backbone = build(f"p-{name}", pretrained.resolve(f"p-{name}", 0, given=given, nodes=nodes), 0,
                     nodes=nodes)  # fmt: skip
    found = backbone(IMAGE)[deep]
    expected = output(network, deep, (IMAGE - backbone.mean) / backbone.std)
    same(found, expected)
    del state[behind]
    save_file(state, tmp_path / "cut.safetensors")
    given = {name: tmp_path / "cut.safetensors"}
    ref = pretrained.resolve(f"p-{name}", 0, given=given)
    with pytest.raises(InputError, match=f"it lacks {behind}"):
        pretrained.resolve(f"p-{name}", 0, given=given, nodes=nodes)
    with pytest.raises(InputError, match=f"lack {behind}"):
        build(f"p-{name}", ref, 0, nodes=nodes)


@pytest.mark.parametrize(
    ("name", "early", "late"),
    [
        pytest.param("inception_v3", "Conv2d_2b_3x3.bn", "Mixed_5d", marks=pytest.mark.slow),
        ("googlenet", "conv3.bn", "inception3b"),
        pytest.param("densenet121", "features.norm5", "relu", marks=pytest.mark.slow),
    ],
)
def test_functions_do_not_work_in_place(name: str, early: str, late: str) -> None:
    """torchvision calls ``relu(x, inplace=True)`` on these nodes' maps."""
    nodes = choice(early, late)
    backbone = build(f"r-{name}", WeightsRef(source="random:0"), 0, nodes=nodes)
    with torch.no_grad():
        found = backbone(IMAGE)
    network = random_network(ARCHS[name], 0)
    normalised = (IMAGE - backbone.mean) / backbone.std
    expected = output(network, early, normalised)
    assert expected.min() < 0
    same(found[early], expected)
    if late != "relu":
        same(found[late], output(network, late, normalised))
    else:
        same(found[late], functional.relu(expected))


@pytest.mark.parametrize(
    ("name", "path"),
    often(
        {"resnet18"},
        [
            ("resnet18", "layer2"),
            ("inception_v3", "Mixed_5d"),
            ("densenet121", "features.denseblock1"),
        ],
    ),
)
def test_a_module_is_its_output(name: str, path: str) -> None:
    backbone = build(f"r-{name}", WeightsRef(source="random:0"), 0, nodes=choice(path))
    network: nn.Module = random_network(ARCHS[name], 0)
    normalised = (IMAGE - backbone.mean) / backbone.std
    with torch.no_grad():
        same(backbone(IMAGE)[path], output(network, path, normalised))


RELUS = [f"features.{i}" for i in (1, 3, 6, 8, 11, 13, 15, 17, 20, 22, 24, 26, 29, 31, 33, 35)]
"""relu1_1, relu1_2, relu2_1 … relu5_4 of VGG-19."""
BLOCKS = [f"layer{s}.{b}" for s, count in enumerate((3, 4, 6, 3), 1) for b in range(count)]
"""Of ResNet-50 (He et al. 2016, table 1)."""


@pytest.mark.parametrize(
    ("name", "style", "per_stage"),
    [
        ("vgg19", RELUS, [2, 2, 4, 4, 4]),
        ("resnet50", ["relu", *BLOCKS], [1, 3, 4, 6, 3]),
        ("pseudo-vgg", ["relu", *BLOCKS], [1, 3, 4, 6, 3]),
        ("resnet50", ["conv1", "relu", "maxpool", *BLOCKS[:7]], [0, 0, 2, 4, 4]),
        ("timm:vit_tiny_patch16_224", [f"blocks.{i}" for i in range(12)], [0, 0, 0, 0, 12]),
        ("timm:resnet18", ["act1", *(f"{how}layer{i}" for i in (1, 2, 3, 4)
                                    for how in ("input of ", ""))], [1, 3, 2, 2, 1]),
    ],
)  # fmt: skip
def test_stages_of_many_nodes_follow_from_the_resolution(
    name: str, style: list[str], per_stage: list[int]
) -> None:
    """The coarsest maps are stage 4, those of twice the side 3, and so on."""
    arch = f"r-{name}"
    spec = names.find(arch).choose(arch, NodeChoice(style=tuple(style), content=style[-2]))
    assert [node.path for node in spec.style] == style
    expected = [stage for stage, count in enumerate(per_stage) for _ in range(count)]
    assert [node.stage for node in spec.style] == expected
    assert spec.content == spec.style[-2]


def test_resolutions_beyond_five_are_stage_0() -> None:
    nodes = NodeChoice(style=("features.1", "features.6", *RELUS[4:], "features.36", "avgpool"),
                       content="features.36")  # fmt: skip
    chosen = ARCHS["vgg19"].choose("r-vgg19", nodes)  # 224, 112, 56, 28, 14 and 7 px
    assert [node.stage for node in chosen.style[:3]] == [0, 0, 1]
    assert chosen.content.stage == 4


def test_up_to_five_stages_end_at_4() -> None:
    chosen = ARCHS["vgg19"].choose("r-vgg19", NodeChoice(style=tuple(RELUS[:5]), content=3))
    assert [node.stage for node in chosen.style] == [0, 1, 2, 3, 4]
    fewer = ARCHS["vgg19"].choose("r-vgg19", NodeChoice(style=tuple(RELUS[:2]), content=22))
    assert [node.stage for node in (*fewer.style, fewer.content)] == [3, 4, 3]


def test_deep_smooths_the_coarsest_two_resolutions_of_many_nodes() -> None:
    chosen = ARCHS["vgg19"].choose("r-vgg19", NodeChoice(style=tuple(RELUS), content=22))
    spec, maps = SmoothingSpec(name="softmax", layers="deep"), torch.rand(1, 3, 2, 2)
    smoothed = [n.path for n in chosen.style if smoothing.apply(spec, maps, n.stage)[0] is not maps]
    assert smoothed == RELUS[8:], "relu4_1 to relu5_4"


def test_weights_behind_the_default_nodes_are_needed_by_those_that_reach_there() -> None:
    chosen = ARCHS["vgg19"].choose("p-vgg19", NodeChoice(style=tuple(RELUS), content=22))
    assert chosen.unused == ("classifier.",)


def test_what_is_no_map_is_told_among_many_nodes() -> None:
    nodes = NodeChoice(style=(*RELUS, "flatten"), content=0)
    with pytest.raises(InputError, match=r"expected a map \(B, D, H, W\), flatten is a tensor"):
        ARCHS["vgg19"].choose("r-vgg19", nodes)


def test_a_module_and_its_last_node_are_one() -> None:
    nodes = NodeChoice(style=("layer1", "layer2"), content="layer2.1.relu_1")
    spec = ARCHS["resnet18"].choose("r-resnet18", nodes)
    assert spec.content == spec.style[1]
    with pytest.raises(InputError, match=r"named twice: layer1, layer1\.1\.relu_1"):
        ARCHS["resnet18"].choose("r-resnet18", choice("layer1", "layer1.1.relu_1"))


@pytest.mark.parametrize("node", ["avgpool", "relu"])
def test_maps_are_four_dimensional(node: str) -> None:
    planned("r-resnet18", "layer1", node)


@pytest.mark.parametrize("node", ["flatten", "fc", 69])
def test_what_is_no_map_is_told(node: int | str) -> None:
    with pytest.raises(InputError, match=r"r-resnet18: expected a map \(B, D, H, W\), .* is a"):
        planned("r-resnet18", "layer1", node)


def test_options_change_which_nodes_there_are() -> None:
    plain, without = "layer1.1.relu_1", "layer1.1.relu2"
    job = planned("r-resnet18+shortcut=off", without).optimisations[0]
    assert build(job.arch, job.weights, 0, nodes=job.chosen)(IMAGE)[without].shape[1] == 64
    planned("r-resnet18", plain)
    with pytest.raises(InputError, match=r"r-resnet18\+shortcut=off has no node 'layer1.1.relu_1'"):
        planned("r-resnet18+shortcut=off", plain)
    with pytest.raises(InputError, match=r"r-resnet18 has no node 'layer1\.1\.relu2'"):
        planned("r-resnet18,r-resnet18+shortcut=off", without)


def test_errors_list_ten_nodes() -> None:
    with pytest.raises(InputError) as found:
        planned("r-resnet18", "layer9")
    text = str(found.value)
    assert "did you mean 'layer4'" in text
    assert "(known: 0 x, 1 conv1, 2 bn1" in text
    assert "9 layer1.0.bn2 and 60 more; all: stylebench ls archs -v --arch r-resnet18)" in text


def test_indices_of_timm_are_timms() -> None:
    """TResNet's first map, of index 0, has no module: timm does not give it."""
    spec = names.find("r-timm:tresnet_m")
    chosen = spec.choose("r-timm:tresnet_m", choice(1, 4))
    assert [node.path for node in chosen.style] == ["body.layer1", "body.layer4"]
    for wrong in (0, ""):
        with pytest.raises(InputError, match=r"has no node .*known: 1 body\.layer1"):
            spec.choose("r-timm:tresnet_m", choice(wrong))
