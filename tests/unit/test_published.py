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

from stylebench import weights
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
    ref = weights.resolve(f"p-{name}", 0, given={name: tmp_path / "w.pth"})
    backbone = build(f"p-{name}", ref, 0, nodes=NodeChoice(style=(block,), content=block))
    kept: list[Tensor] = []
    network.get_submodule(block).register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    with torch.no_grad():
        network.eval()((IMAGE - backbone.mean) / backbone.std)
        torch.testing.assert_close(backbone(IMAGE)[block], kept[0])


def test_a_file_that_timms_own_filter_cannot_take(tmp_path: Path) -> None:
    """ConvNeXt's looks for a key that a ResNet's state dict lacks."""
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    given = {"timm:test_convnext": tmp_path / "w.safetensors"}
    with pytest.raises(InputError) as found:
        weights.resolve("p-timm:test_convnext", 0, given=given)
    text = str(found.value)
    assert "expected the weights of timm:test_convnext, but it lacks head.norm.bias" in text
    assert "\n" not in text
    assert len(re.findall(r"[a-z0-9_]+\.(?:weight|bias|running_mean|running_var)", text)) <= 5
