"""Weights as torchvision and timm publish them: other keys, other layouts, other normalisations."""

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from stylebench.backbones import pretrained
from stylebench.backbones.extractor import build
from stylebench.config import NodeChoice, StatisticsSpec, WeightsRef
from stylebench.errors import InputError
from stylebench.weights import hub

pytestmark = pytest.mark.usefixtures("no_weights")

IMAGE = torch.rand(1, 3, 80, 80, generator=torch.Generator().manual_seed(0))


def old_densenet() -> tuple[Any, dict[str, Tensor]]:
    """DenseNet-121, and its state as in densenet121-a639ec97.pth: norm.1 for norm1."""
    network = models.densenet121(weights=None)
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))([12]\.)")
    return network, {old.sub(r"\1.\2", k): v for k, v in network.state_dict().items()}


def with_heads(function: Any) -> tuple[Any, dict[str, Tensor]]:
    """A network, and its state with the heads that it is trained with."""
    network = function(weights=None, aux_logits=True, init_weights=False, transform_input=True)
    state = network.state_dict()
    assert any(key.startswith(("aux1.", "AuxLogits.")) for key in state)
    return network, state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("densenet121", "features.denseblock2"),
        ("googlenet", "inception3b"),
        ("inception_v3", "Mixed_5d"),
    ],
)
def test_keys_of_torchvisions_files(name: str, block: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, state = old_densenet() if name == "densenet121" else with_heads(getattr(models, name))
    torch.save(state, tmp_path / "w.pth")
    ref = pretrained.resolve(f"p-{name}", 0, given={name: tmp_path / "w.pth"})
    backbone = build(f"p-{name}", ref, 0, nodes=NodeChoice(style=(block,), content=block))
    kept: list[Tensor] = []
    network.get_submodule(block).register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    with torch.no_grad():
        network.eval()((IMAGE - backbone.mean) / backbone.std)
        found = backbone(IMAGE)[block]
    scale = float(kept[0].abs().max())
    torch.testing.assert_close(found, kept[0], rtol=1e-3, atol=1e-4 * scale)


def test_a_file_that_timms_own_filter_cannot_take(tmp_path: Path) -> None:
    """ConvNeXt's looks for a key that a ResNet's state dict lacks."""
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    given = {"timm:test_convnext": tmp_path / "w.safetensors"}
    with pytest.raises(InputError) as found:
        pretrained.resolve("p-timm:test_convnext", 0, given=given)
    text = str(found.value)
    assert "expected the weights of timm:test_convnext, but it lacks head.norm.bias" in text
    assert "\n" not in text
    assert len(re.findall(r"[a-z0-9_]+\.(?:weight|bias|running_mean|running_var)", text)) <= 5


MODEL, OWN, OTHER = "mobilenetv4_conv_small", "e2400_r224_in1k", "e3600_r256_in1k"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub have one file for all tags of MODEL."""
    path = tmp_path / "w.safetensors"
    save_file(timm.create_model(MODEL).state_dict(), path)
    monkeypatch.setattr(hub, "_of_hub", lambda source, config, offline: path)


@pytest.mark.slow
def test_normalisation_is_that_of_the_weights(published: None, tmp_path: Path) -> None:
    """Whether the tag stands in the name or in the source; a file has that of the name."""

    def found(arch: str, source: str = "auto") -> tuple[WeightsRef, list[float], list[float]]:
        ref = pretrained.resolve(arch, 0, given={arch[2:]: source})
        backbone = build(arch, ref, 0)
        return ref, backbone.mean.flatten().tolist(), backbone.std.flatten().tolist()

    def stated(tag: str) -> tuple[list[float], list[float]]:
        config = timm.models.get_pretrained_cfg(f"{MODEL}.{tag}")
        return list(config.mean), list(config.std)

    assert stated(OWN) != stated(OTHER)
    bare = f"p-timm:{MODEL}"
    cases = {
        (bare, "auto"): OWN,
        (bare, f"timm:{OWN}"): OWN,
        (bare, f"timm:{OTHER}"): OTHER,
        (f"{bare}.{OTHER}", "auto"): OTHER,
        (f"{bare}.{OTHER}", f"timm:{OTHER}"): OTHER,
        (bare, f"file:{tmp_path / 'w.safetensors'}"): OWN,
    }
    refs = {}
    for (arch, source), tag in cases.items():
        refs[arch, source], *normalisation = found(arch, source)
        for value, expected in zip(normalisation, stated(tag), strict=True):
            assert value == pytest.approx(expected)
    own, other = refs[bare, "auto"], refs[bare, f"timm:{OTHER}"]
    assert own.sha256 == other.sha256
    assert job(own).job_id != job(other).job_id, "the same file, seen through two normalisations"


def job(ref: WeightsRef) -> StatisticsSpec:
    return StatisticsSpec(
        arch=f"p-timm:{MODEL}", nodes={}, weights=ref, smoothing=(), images=(), size=32,
        resize="aspect", seed=0,
    )  # fmt: skip


def test_a_source_that_contradicts_the_name_is_refused(published: None) -> None:
    name = f"timm:{MODEL}.{OTHER}"
    with pytest.raises(InputError, match=f"names the weights '{OTHER}', found the source .*{OWN}"):
        pretrained.resolve(f"p-{name}", 0, given={name: f"timm:{OWN}"})
