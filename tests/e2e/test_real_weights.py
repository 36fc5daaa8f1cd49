"""With real weights: what the released code and every user of VGG sees.

Needs ``$STYLEBENCH_WEIGHTS`` with vgg19.safetensors and resnet50.safetensors; run with
``pytest -m weights``.
"""

import os
import statistics
from pathlib import Path

import pytest
import torch

from stylebench import images, runtime
from stylebench.backbones import pretrained
from stylebench.backbones.extractor import build
from stylebench.config import LossSpec, SmoothingSpec
from stylebench.measures.statistics import measure
from stylebench.transfer.objective import Objective
from tests.transfer.pairs import stylize

FOLDER = os.environ.get("STYLEBENCH_WEIGHTS", "")
pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(
        not (Path(FOLDER) / "vgg19.safetensors").is_file(), reason="no $STYLEBENCH_WEIGHTS"
    ),
]


def picture(name: str, size: int = 160) -> torch.Tensor:
    pixels = torch.from_numpy(images.read(f"builtin:{name}", size))
    return pixels.permute(2, 0, 1)[None].float() / 255


def test_vgg_has_the_scale_of_its_original_weights() -> None:
    """Maxima of 2,000 to 12,000, measured when the weights were converted."""
    backbone = build("p-vgg19", pretrained.resolve("p-vgg19", 0, offline=True), 0)
    maps = backbone(picture("chelsea", 256))
    found = [measure(maps[node.name][0], ["max"])["max"] for node in backbone.style[1:]]
    assert all(500 < value < 30_000 for value in found)


def test_vgg_moves_the_picture_further_than_resnet() -> None:
    moved = {}
    for arch in ("p-vgg19", "p-resnet50"):
        backbone = build(arch, pretrained.resolve(arch, 0, offline=True), 0)
        found = stylize(picture("china"), picture("brush"), backbone, evals=40)
        moved[arch] = found.moved
    assert moved["p-vgg19"] > 1.3 * moved["p-resnet50"]


PAIRS = (
    ("chelsea", "brush"), ("china", "mosaic"), ("astronaut", "stained-glass"),
    ("coffee", "woodcut"), ("flower", "pointillism"), ("rocket", "brush"),
)  # fmt: skip


@pytest.mark.skipif(
    runtime.resolve_precision("auto", "cpu") != "bf16", reason="this processor is slow at bf16"
)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("arch", ["p-vgg19", "p-resnet50"])
def test_bf16_reaches_the_loss_of_fp32_in_as_many_evaluations(arch: str) -> None:
    """The losses of the results, clamped as they are saved, evaluated in fp32."""
    ref = pretrained.resolve(arch, 0, offline=True)
    networks = {p: build(arch, ref, 0, precision=p) for p in ("fp32", "bf16")}
    ratios = []
    for content, style in ((picture(a, 256), picture(b, 256)) for a, b in PAIRS):
        losses = {}
        for precision, network in networks.items():
            result = stylize(content, style, network, evals=60).tensor
            exact = Objective(
                networks["fp32"], [(content, style)], SmoothingSpec(name="none"), LossSpec()
            )
            exact(result)
            losses[precision] = exact.trace(0, 1)[0][0].loss
        ratios.append(losses["bf16"] / losses["fp32"])
    print(arch, [round(ratio, 4) for ratio in ratios])
    assert statistics.median(ratios) < 1.02
    assert max(ratios) < 1.10
