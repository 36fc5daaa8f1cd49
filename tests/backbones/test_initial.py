"""Random weights whose residual branches are off: measured, made live, and told in job ids."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stylebench import images
from stylebench.backbones import initial, names, pretrained, shortcuts
from stylebench.backbones.extractor import build, random_network
from stylebench.backbones.spec import ARCHS
from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.settings import SweepConfig
from tests.often import often

ZERO = ["cs3darknet_focus_s", "mobilevit_xxs", "regnetx_002", "repvit_m1", "res2next50",
        "resnest14d"]  # fmt: skip
"""Of the arms of peakiness_predicts: a last norm of zero."""
NEARLY = ["edgenext_xx_small", "inception_next_atto"]
"""Of these arms: LayerScale of 1e-6."""
OTHERS = ["resnet18", "regnety_004", "nf_resnet26", "convnext_atto", "poolformer_s12", "levit_128s"]


def changes(arch: str, init: str = "") -> list[float]:
    ref = pretrained.resolve(arch, 0, options={"init": init} if init else {})
    return [branch.change for branch in shortcuts.measure(arch, ref).branches]


@pytest.mark.parametrize(
    "arch",
    [
        *(f"r-timm:{name}" for name in (ZERO[0], NEARLY[0], *OTHERS[:3])),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ["r-convnext_tiny"]
            + [f"r-timm:{name}" for name in ZERO[1:] + NEARLY[1:] + OTHERS[3:]]
        ),
    ],
)
def test_branches_that_are_off_as_built_are_live_by_default(arch: str) -> None:
    built, live = changes(arch, "as-built"), changes(arch)
    assert len(built) == len(live) >= 4
    assert min(built) < 1e-4
    assert sum(change < shortcuts.OFF for change in built) >= len(built) / 3
    assert min(live) > 0.004
    assert sorted(live)[len(live) // 2] > 0.009


@pytest.mark.parametrize("name", ["dla46x_c", "ghostnet_050", "resnetv2_18", "starnet_s050"])
def test_networks_whose_branches_are_live_as_built_stay_as_they_are(name: str) -> None:
    assert pretrained.resolve(f"r-timm:{name}", 0).options == {}
    assert min(changes(f"r-timm:{name}")) > 0.05


@pytest.mark.parametrize(
    ("arch", "count"),
    often({"vgg11", "resnet18", "timm:vit_tiny_patch16_224"},
          [("vgg11", 0), ("densenet121", 0), ("noresnet50", 0), ("resnet18", 8), ("resnet50", 16),
           ("mobilenet_v2", 10), ("timm:vit_tiny_patch16_224", 24), ("timm:resnet26d", 8)]),
)  # fmt: skip
def test_as_many_shortcuts_are_found_as_the_papers_draw(arch: str, count: int) -> None:
    assert len(changes(f"r-{arch}")) == count


def test_the_change_is_that_of_the_formula() -> None:
    """‖R(x)‖/‖x‖ from hooks on a ResNet-18: R is what bn2 gives, x what is added to it."""
    network = random_network(ARCHS["resnet18"], 0).eval()
    pixels = images.read(images.PREFIX + shortcuts.PHOTOGRAPH, 224, resize="squash").copy()
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in
                 ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # fmt: skip
    seen: dict[str, Tensor] = {}

    def keep(key: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[f"{key} in"], seen[key] = inputs[0].clone(), output.clone()

        return hook

    modules = dict(network.named_modules())
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    for block in blocks:
        for part in ("conv1", "bn2", "downsample"):
            if (key := f"{block}.{part}") in modules:
                modules[key].register_forward_hook(keep(key))
    with torch.no_grad():
        network((picture - mean) / std)
    expected = [
        float(seen[f"{b}.bn2"].norm() / seen.get(f"{b}.downsample", seen[f"{b}.conv1 in"]).norm())
        for b in blocks
    ]
    found = shortcuts.measure("r-resnet18", pretrained.resolve("r-resnet18", 0)).branches
    assert [branch.path for branch in found] == blocks
    assert [branch.change for branch in found] == pytest.approx(expected, rel=1e-4)


def test_gamma_is_the_factor_of_the_change() -> None:
    whole, half = changes("r-resnet18"), _with_gamma("0.5")
    assert half[0] == pytest.approx(whole[0] / 2, rel=1e-4)
    assert max(_with_gamma("0")) == 0


def _with_gamma(gamma: str) -> list[float]:
    ref = pretrained.resolve("r-resnet18", 0, options={"gamma": gamma})
    return [branch.change for branch in shortcuts.measure("r-resnet18", ref).branches]


def maxima(arch: str, **options: str) -> list[float]:
    pixels = images.read(images.PREFIX + "chelsea", 96).copy()
    backbone = build(arch, pretrained.resolve(arch, 0, options=options), 0)
    with torch.no_grad():
        maps = backbone(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)
    return [float(maps[node.name].max()) for node in backbone.style]


@pytest.mark.parametrize("model", often({"resnet18"}, ["resnet18", "resnet50"]))
def test_one_network_by_two_names_has_the_same_statistics(model: str) -> None:
    ours = maxima(f"r-{model}")
    assert maxima(f"r-timm:{model}") == pytest.approx(ours, rel=1e-3)
    off = maxima(f"r-{model}", gamma="0")
    assert maxima(f"r-timm:{model}", init="as-built") == pytest.approx(off, rel=1e-3)
    assert ours[-1] > 10 * off[-1]


def test_live_changes_what_multiplies_branches_and_nothing_else() -> None:
    spec = names.find("r-timm:convnext_atto")
    built, live = (random_network(spec, 3, how).state_dict() for how in ("as-built", "live"))
    changed = [key for key, value in built.items() if not torch.equal(value, live[key])]
    assert changed == [key for key in built if key.endswith("gamma")]
    assert all((live[key] == 1).all() for key in changed)


def test_torchvisions_initialisation_is_that_of_its_resnets() -> None:
    """Convolutions: normal, variance 2/(k²·output channels); norms 1 and 0 (He et al. 2015)."""
    found = random_network(names.find("r-timm:regnetx_002"), 0, "torchvision")
    for module in found.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            fan_out = module.out_channels * math.prod(module.kernel_size)
            std = float(module.weight.detach().std())
            assert std == pytest.approx(math.sqrt(2 / fan_out), rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()


@pytest.mark.parametrize("network", [nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.BatchNorm1d(4)])
def test_a_bias_of_zero_is_none_that_switches_off(network: nn.Module) -> None:
    assert not list(initial.dormant(network))
    nn.init.zeros_(network.get_parameter("weight"))
    assert len(list(initial.dormant(network))) == 1


def _ids(arch: str) -> tuple[str, str]:
    config = SweepConfig(
        arch=(arch,), content=("chelsea",), style=("mosaic",), size=64, evals=60, precision="fp32",
        smoothing=("none",), statistics_images=("chelsea",),
    )  # fmt: skip
    found = plan.expand(config)
    return found.jobs[0].job_id, found.statistics[0].job_id


BEFORE = {
    "r-timm:resnet18+init=as-built": ("5a1e9cddb3f090dd", "719fd0f6870277dc"),
    "r-convnext_tiny+init=as-built": ("0c768e22b67a227f", "f35f159a9b80aab5"),
    "r-timm:vgg11": ("ffb271027342b4ec", "92f14a2b1754b559"),
    "r-timm:vgg11+init=live": ("ffb271027342b4ec", "92f14a2b1754b559"),
    "r-resnet50+gamma=0.5": ("cb8948a5b35ecf8b", "65f788619de69bf3"),
}
"""Ids of these jobs, without init=…, before there was the option."""


@pytest.mark.parametrize("arch", BEFORE)
def test_jobs_that_compute_what_they_did_keep_their_ids(arch: str) -> None:
    assert _ids(arch) == BEFORE[arch]


@pytest.mark.parametrize("arch", ["r-timm:resnet18", "r-convnext_tiny"])
def test_jobs_that_came_to_mean_another_network_have_other_ids(arch: str) -> None:
    before = _ids(f"{arch}+init=as-built")
    assert not {*_ids(arch)} & {*before}
    assert _ids(arch) == _ids(f"{arch}+init=live")
    assert pretrained.resolve(arch, 0).settings == "+init=live"


def test_options_of_timms_models_may_stand_in_the_configuration() -> None:
    config = SweepConfig(
        arch=("r-timm:resnet18",), backbone_options={"timm:resnet18": {"init": "as-built"}},
        content=("chelsea",), style=("mosaic",), size=64, statistics_images=(),
    )  # fmt: skip
    assert plan.expand(config).jobs[0].weights.options == {"init": "as-built"}
    wrong = config.model_copy(update={"backbone_options": {"timm:resnet19": {}}})
    with pytest.raises(InputError, match="unknown timm model 'resnet19'"):
        plan.expand(wrong)


@pytest.mark.parametrize("arch", ["p-vgg19", "p-timm:resnet18"])
def test_pretrained_weights_have_no_initialisation(arch: str) -> None:
    with pytest.raises(InputError, match="has no option 'init'"):
        pretrained.resolve(arch, 0, options={"init": "live"})


@pytest.mark.parametrize(
    "model",
    often({ZERO[0], NEARLY[0], "dla46x_c", "test_resnet"},
          [*ZERO, *NEARLY, "vgg11", "dla46x_c", "xcit_nano_12_p8_224", "gmixer_24_224",
           "convnextv2_atto", "nfnet_l0", "dm_nfnet_f0", "test_resnet"]),
)  # fmt: skip
def test_the_table_of_models_says_which_are_dormant(model: str) -> None:
    built = names.find(f"r-timm:{model}").build()
    assert any(True for _ in initial.dormant(built)) == names.timm_models()[model][2]


def test_registered_backbones_say_whether_they_are_dormant() -> None:
    for name, spec in ARCHS.items():
        if "r-" in spec.prefixes and name in ("convnext_tiny", "regnet_y_400mf", "tiny", "vgg11"):
            assert any(True for _ in initial.dormant(spec.build())) == spec.dormant, name
