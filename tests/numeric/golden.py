"""The golden table of entropy statistics: how it is made. ``make golden`` writes it again.

Means over the ten built-in photographs at 256 px, of the last node of each stage, random weights of
seed 0, BatchNorm in evaluation mode.
"""

from pathlib import Path

import pandas as pd
import torch

from stylebench import images, runtime
from stylebench.backbones.extractor import build
from stylebench.config import SmoothingSpec, WeightsRef
from stylebench.stats import measure_backbone

PATH = Path(__file__).parent.parent / "golden" / "entropy_statistics.csv"
ARCHS = ("r-vgg19", "r-resnet50", "r-noresnet50", "r-pseudo-vgg", "r-pseudo-resvgg")
SMOOTHINGS = (SmoothingSpec(name="none"), SmoothingSpec(name="softmax"))
SIZE, SEED = 256, 0
KEYS = ["arch", "smoothing", "stage", "statistic"]


def photographs() -> list[torch.Tensor]:
    """Return the ten photographs, each (1, 3, H, W) in [0, 1]."""
    return [
        torch.from_numpy(images.read(f"builtin:{name}", SIZE)).permute(2, 0, 1)[None].float() / 255
        for name in images.PHOTOGRAPHS
    ]


def measure() -> pd.DataFrame:
    """Return the table, one row for each backbone, smoothing, stage and statistic."""
    runtime.configure()
    rows = []
    for arch in ARCHS:
        backbone = build(arch, WeightsRef(source=f"random:{SEED}"), SEED)
        for image in photographs():
            found = measure_backbone(backbone, image, SMOOTHINGS)
            rows += [
                {"arch": arch, "smoothing": value.smoothing, "stage": value.stage,
                 "statistic": value.statistic, "value": value.value}
                for value in found
            ]  # fmt: skip
    means = pd.DataFrame(rows).groupby(KEYS, sort=True)["value"].mean()
    return means.reset_index()


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    measure().to_csv(PATH, index=False, float_format="%.9g", lineterminator="\n")
    print(PATH)
