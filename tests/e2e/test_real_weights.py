"""With real weights: what the released code and every user of VGG sees.

Needs ``$STYLEBENCH_WEIGHTS`` with vgg19.safetensors and resnet50.safetensors; run with
``pytest -m weights``.
"""

import os
from pathlib import Path

import pytest
import torch

from stylebench import images, weights
from stylebench.backbones.extractor import build
from stylebench.stats import measure
from stylebench.transfer import stylize

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
    backbone = build("p-vgg19", weights.resolve("p-vgg19", 0, offline=True), 0)
    maps = backbone(picture("chelsea", 256))
    found = [measure(maps[node.name][0], ["max"])["max"] for node in backbone.style[1:]]
    assert all(500 < value < 30_000 for value in found)


def test_vgg_moves_the_picture_further_than_resnet() -> None:
    moved = {}
    for arch in ("p-vgg19", "p-resnet50"):
        backbone = build(arch, weights.resolve(arch, 0, offline=True), 0)
        found = stylize(backbone, picture("china"), picture("brush"), evals=40)
        moved[arch] = found.moved
    assert moved["p-vgg19"] > 1.3 * moved["p-resnet50"]
