"""timm's models by name. The oracle is timm: its features_only networks, built at the same seed."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stylebench.backbones import names, pretrained
from stylebench.backbones import timm as ours
from stylebench.backbones.extractor import Backbone, build, random_network
from stylebench.config import WeightsRef
from stylebench.errors import InputError, UnavailableError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep

FEW = (
    "test_resnet", "test_convnext", "test_mambaout", "test_vit", "test_vit_relpos",
    "mobilenetv3_small_050",
)  # fmt: skip
"""Five levels; a stem; channels last; columns; built again for a size; a class of its own."""
ELSEWHERE = {"xception41p": "timm's hooks are after the activation, forward_intermediates before"}
WITHOUT_HEAD = ("EfficientNetFeatures", "MobileNetV3Features", "HighResolutionNetFeatures")
"""Classes of timm that make no head, and so have other random draws than the whole network."""
STRAY = 0.01
"""Parameters that take no part, at most: timm keeps a few that no module uses."""


def smallest() -> list[str]:
    """The smallest model of each family, of at most 200 million parameters."""
    best: dict[str, tuple[int, str]] = {}
    for model, (family, parameters, _) in names.timm_models().items():
        if not model.startswith("test_") and parameters <= 200e6:
            best[family] = min(best.get(family, (parameters, model)), (parameters, model))
    return [model for _, model in best.values()]


def built(model: str, **other: Any) -> Backbone:
    return build(f"r-timm:{model}", WeightsRef(source="random:0"), 0, **other)


def picture(*size: int) -> Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))


def features_only(model: str, indices: list[int], x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Maps of timm's own feature network, NCHW, and the picture: x, or one of the model's size."""
    dynamic = {"dynamic_img_size": True} if ours.outline(model).dynamic else {}
    torch.manual_seed(0)
    network = timm.create_model(model, features_only=True, out_indices=indices, **dynamic).eval()
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    if type(network).__name__ in WITHOUT_HEAD:
        torch.manual_seed(0)
        state = timm.create_model(model).state_dict()
        network.load_state_dict({key: state[key] for key in network.state_dict()})
    channels = network.feature_info.channels()
    with torch.no_grad():
        try:
            maps = network(x)
        except (RuntimeError, AssertionError):
            x = picture(*ours.outline(model).size)
            maps = network(x)
    if any(value.shape[1] != d for value, d in zip(maps, channels, strict=True)):
        maps = [value.movedim(-1, 1) for value in maps]
    return maps, x


def check(model: str) -> None:
    """Builds, equals timm's maps, finite, gradients reach the image, nothing behind is kept."""
    spec = names.find(f"r-timm:{model}")
    known = ours.outline(model).paths
    inner = [node for node in spec.style if not node.path.startswith(ours.INPUT)]
    assert 2 <= len(spec.style) <= 5
    assert [node.stage for node in spec.style] == list(range(5 - len(spec.style), 5))
    assert spec.content == spec.style[-2]
    backbone = Backbone(spec, random_network(spec, 0))
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.modules())
    indices = [known.index(node.path) for node in inner]
    expected, image = features_only(model, indices, picture(64, 96))
    image.requires_grad_()
    backbone.requires_grad_(True)
    maps = backbone.features(image)
    assert set(maps) == {node.name for node in spec.style}
    for node, value in zip(inner, expected, strict=True):
        assert maps[node.name].shape == value.shape, node
        if model not in ELSEWHERE:
            torch.testing.assert_close(maps[node.name], value, rtol=1e-4, atol=1e-4)
    assert all(bool(torch.isfinite(value).all()) for value in maps.values())
    total = torch.stack([value.square().mean() for value in maps.values()]).sum()
    torch.autograd.backward(total)
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0
    sizes = [(p.numel(), p.grad is not None) for p in backbone.parameters()]
    assert sum(n for n, used in sizes if not used) <= STRAY * sum(n for n, _ in sizes)


@pytest.mark.parametrize("model", FEW)
def test_a_model_of_a_kind(model: str) -> None:
    check(model)


@pytest.mark.slow
@pytest.mark.parametrize("model", smallest())
def test_every_family(model: str) -> None:
    check(model)


def test_there_are_enough_families() -> None:
    assert len(smallest()) >= 60


@pytest.mark.parametrize("model", [*FEW, "swiftformer_xs"])
def test_two_builds_are_equal(model: str) -> None:
    spec = names.find(f"r-timm:{model}")
    a, b = (random_network(spec, 7).state_dict() for _ in range(2))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_nodes_of_each_rule() -> None:
    def nodes(model: str) -> list[str]:
        return [f"{n.name}={n.path}" for n in names.find(f"r-timm:{model}").style]

    layers = [f"stage{i}=layer{i}" for i in range(1, 5)]
    assert nodes("resnet18") == ["stage0=act1", *layers]
    assert nodes("convnext_atto") == [
        "stem=input of stages.0", *(f"stage{i}=stages.{i - 1}" for i in range(1, 5))
    ]  # fmt: skip
    blocks = (1, 3, 6, 8, 11)
    assert nodes("vit_tiny_patch16_224") == [f"stage{i}=blocks.{b}" for i, b in enumerate(blocks)]
    assert [text[:6] for text in nodes("levit_128s")] == ["stage2", "stage3", "stage4"]
    vgg = names.find("r-timm:vgg11")
    assert [n.path for n in vgg.style] == [f"features.{i}" for i in (1, 4, 9, 14, 19)]


def test_the_stem_is_what_enters_the_first_stage() -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_convnext").eval()
    backbone = built("test_convnext")
    x = picture(64, 96)
    with torch.no_grad():
        expected = network.stem((x - backbone.mean) / backbone.std)
        assert torch.equal(backbone(x)["stem"], expected)


@pytest.mark.parametrize("model", ["test_vit", "test_vit_relpos", "swinv2_cr_tiny_ns_224"])
@pytest.mark.parametrize("size", [(75, 101), (96, 64), (32, 160)])
def test_pictures_of_any_size(model: str, size: tuple[int, int]) -> None:
    backbone = built(model)
    maps = backbone(picture(*size))
    first, last = (ours.outline(model).reductions[i] for i in (0, -1))
    shapes = [tuple(maps[node.name].shape[2:]) for node in backbone.style]
    assert shapes[1] in {tuple(-(-s // first) for s in size), tuple(s // first for s in size)}
    assert shapes[-1] == tuple(-(-s // last) for s in size)


def test_a_network_built_again_has_the_same_weights() -> None:
    """At its own size, where there is nothing to resample, it gives the same maps."""
    backbone = built("test_vit_relpos")
    again = backbone.features._rebuilt((160, 160))  # type: ignore[operator]
    x = picture(160, 160)
    with torch.no_grad():
        maps, same = backbone.features(x), again(x)
    assert all(torch.equal(maps[name], same[name]) for name in maps)


def test_sizes_that_a_network_cannot_take_are_told() -> None:
    with pytest.raises(InputError, match=r"cannot take pictures of 96×64 px.* 224×224 px"):
        built("convit_tiny")(picture(64, 96))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("timm:resnet1", "unknown timm model 'resnet1'; did you mean 'resnet1"),
        ("p-timm:resnet18.a1_in", "no weights 'a1_in'; did you mean 'a1_in1k'"),
        ("r-timm:resnet18.a1_in1k", "a tag names weights; expected r-timm:resnet18"),
        ("timm:nothing*", "no backbone matches 'r-timm:nothing\\*'"),
    ],
)
def test_unknown_names(name: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        names.expand([name])


def test_names() -> None:
    assert names.expand(["timm:resnet18"]) == {"r-timm:resnet18": True}
    assert list(names.expand(["p-timm:resnet18d, r-timm:resnet18?"])) == [
        "p-timm:resnet18d", "r-timm:resnet18d"
    ]  # fmt: skip
    assert not any("timm:" in name for name in names.expand(["*"]))
    assert len(names.expand(["timm:*"])) > 1300


def test_the_limit_takes_the_smallest_of_each_family() -> None:
    models = ("vgg13", "vgg11", "resnet34", "resnet18", "dla34")
    archs = names.expand(["all", *(f"timm:{model}" for model in models)])
    found = list(names.limited(archs, len(names.ALL) + 4))
    assert found[: len(names.ALL)] == list(names.ALL)
    timms = [name.removeprefix("r-timm:") for name in found[len(names.ALL) :]]
    assert timms == ["resnet18", "dla34", "vgg11", "resnet34"]  # 12, 16, 133 and 22 million
    assert names.limited(archs, None) == archs


def test_the_table_of_models_is_timms() -> None:
    for model in ("resnet18", "vit_tiny_patch16_224", "vgg11"):
        family, parameters, _ = names.timm_models()[model]
        with torch.device("meta"):
            network: nn.Module = timm.create_model(model)
        assert parameters == sum(p.numel() for p in network.parameters())
        assert model in timm.list_models(module=family)


def test_pretrained_weights_are_where_timm_puts_them(tmp_path: Path) -> None:
    """A file for `timm:NAME` gives the maps that timm's own pretrained feature network gives."""
    model, path = "test_resnet", tmp_path / "w.safetensors"
    torch.manual_seed(3)
    save_file(timm.create_model(model).state_dict(), path)
    given = pretrained.parse_given([f"timm:{model}={path}"])
    ref = pretrained.resolve(f"p-timm:{model}", 0, given=given, offline=True)
    backbone = build(f"p-timm:{model}", ref, 0)
    oracle = timm.create_model(
        model, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, features_only=True
    ).eval()
    config = timm.models.get_pretrained_cfg(model)
    x = picture(64, 96)
    with torch.no_grad():
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (config.mean, config.std))
        expected = oracle((x - mean) / std)
        found = backbone(x)
    for value, map_ in zip(expected, found.values(), strict=True):
        torch.testing.assert_close(map_, value)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(InputError, match="expected the weights of timm:test_vit, but it lacks"):
        pretrained.resolve("p-timm:test_vit", 0, given={"timm:test_vit": path})


def test_no_weights_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"--weights timm:test_resnet=PATH"):
        pretrained.resolve("p-timm:test_resnet", 0, offline=True)


def planned(**flags: Any) -> plan.Plan:
    base = {"size": 32, "evals": 3, "statistics_images": []}
    return plan.expand(load_sweep(None, base | flags), offline=True)


@pytest.mark.parametrize(
    ("name", "style", "content", "paths"),
    [
        ("timm:test_resnet", ["act1", 2, "layer4"], "layer3", ["act1", "layer2", "layer4"]),
        ("timm:test_convnext", ["input of stages.2"], 1, ["input of stages.2"]),
        ("vgg19", ["features.0", "features.1"], "features.1", ["features.0", "features.1"]),
    ],
)
def test_nodes_can_be_chosen(name: str, style: list[Any], content: Any, paths: list[str]) -> None:
    chosen = {name: {"style": style, "content": content}}
    job = planned(
        arch=[f"r-{name}"], nodes=chosen, content=["chelsea"], style=["brush"]
    ).optimisations[0]
    backbone = build(job.arch, job.weights, 0, nodes=job.chosen)
    assert [node.path for node in backbone.style] == paths
    assert [node.stage for node in backbone.style] == list(range(5 - len(style), 5))
    assert set(backbone(picture(32, 48))) == set(job.nodes.values())
    plain = planned(arch=[f"r-{name}"], content=["chelsea"], style=["brush"]).jobs[0]
    assert job.job_id != plain.job_id


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ({"timm:test_resnet": {"style": ["layer9"], "content": 1}}, "no node 'layer9'.*0 act1"),
        ({"timm:test_resnet": {"style": [99], "content": 1}}, "no node 99 .*4 layer4"),
        ({"timm:test_resnet": {"style": [1, "layer1"], "content": 1}}, "is named twice"),
        ({"timm:resnet18": {"style": [1], "content": 1}}, "not among the backbones to run"),
    ],
)
def test_wrong_nodes_are_told(nodes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        planned(arch=["timm:test_resnet"], nodes=nodes)
