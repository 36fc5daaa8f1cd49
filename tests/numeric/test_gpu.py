"""The same numbers on a GPU as on the CPU, up to rounding."""

import pytest
import torch

from stylebench.backbones.extractor import build
from stylebench.config import LossSpec, SmoothingSpec, WeightsRef
from stylebench.stats import measure_backbone
from stylebench.transfer import stylize

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_transfer_and_statistics_on_cuda_equal_the_cpu() -> None:
    content, style = torch.rand(2, 1, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    found = {}
    for device in ("cpu", "cuda"):
        backbone = build("r-resnet50", WeightsRef(source="random:0"), 0, device=device)
        pair = content.to(device), style.to(device)
        values = measure_backbone(backbone, pair[0], [SmoothingSpec(name="softmax")])
        loss = LossSpec(balance="target", style_weight=10)
        first = stylize(backbone, *pair, loss=loss, evals=5).trace
        found[device] = [step.loss for step in first], [value.value for value in values]
    assert found["cuda"][0] == pytest.approx(found["cpu"][0], rel=1e-3)
    assert found["cuda"][1] == pytest.approx(found["cpu"][1], rel=1e-3)
