"""Pretrained weights recognise what they were trained on: a wrong layout or input would not.

Needs weights of resnet50 (``stylebench weights get resnet50 --from registry``, or
``$STYLEBENCH_WEIGHTS``) and ``$STYLEBENCH_IMAGENET10``, a folder of photographs named after their
class, such as ``n02099601_golden_retriever.jpg``; run with ``pytest -m weights``.
"""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision import models

from stylebench import weights
from stylebench.backbones import controls, pretrained
from stylebench.backbones.extractor import random_network
from stylebench.backbones.spec import ARCHS
from stylebench.errors import UnavailableError

FOLDER = os.environ.get("STYLEBENCH_IMAGENET10", "")
PHOTOGRAPHS = sorted(Path(FOLDER).rglob("n*_*.jp*g")) if FOLDER else []
CATEGORIES = models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(not PHOTOGRAPHS, reason="no photographs in $STYLEBENCH_IMAGENET10"),
]


def right(options: dict[str, str], state: dict[str, torch.Tensor]) -> float:
    """Return the share of photographs whose class a ResNet-50 finds at first."""
    network = random_network(ARCHS["resnet50"], 0).eval()
    network.load_state_dict(state, strict=False)
    controls.apply(network, options, ARCHS["resnet50"].defaults)
    prepare = models.ResNet50_Weights.IMAGENET1K_V1.transforms()
    found: list[bool] = []
    for path in PHOTOGRAPHS:
        with Image.open(path) as photograph, torch.no_grad():
            answer = int(network(prepare(photograph.convert("RGB"))[None]).argmax())
        expected = path.stem.partition("_")[2].replace("_", " ")
        found.append(bool(CATEGORIES[answer] == expected))
    return sum(found) / len(found)


@pytest.mark.parametrize("source", ["auto", "registry:resnet50"])
def test_resnet50_recognises_85_percent(source: str) -> None:
    try:
        ref = pretrained.resolve("p-resnet50", 0, given={"resnet50": source}, offline=True)
    except UnavailableError as error:
        pytest.skip(str(error))
    share = right(ref.options, weights.load_state(ref.path))
    print(f"{ref.label}: {share:.1%} of {len(PHOTOGRAPHS)} photographs")
    assert share >= 0.85
