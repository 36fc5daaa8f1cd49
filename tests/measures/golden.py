"""The golden table of entropy statistics: how it is made. ``make golden`` writes it again.

Means over the ten built-in photographs at 256 px, of the last node of each stage, random weights of
seed 0, BatchNorm in evaluation mode.

As AVX2, as SSE 4.1, with one thread and with two, values differ by up to 2e-4 of themselves (the
entropy of peaky maps), half of them by less than 1e-8. So the table has four digits, and a row that
is still right stays as it is: whatever changes in it is no rounding.
"""

from pathlib import Path

import pandas as pd
import torch

from stylebench import images, runtime
from stylebench.backbones.extractor import build
from stylebench.config import SmoothingSpec, WeightsRef
from stylebench.measures.statistics import measure_backbone

PATH = Path(__file__).parent.parent / "golden" / "entropy_statistics.csv"
ARCHS = ("r-vgg19", "r-resnet50", "r-noresnet50", "r-pseudo-vgg", "r-pseudo-resvgg")
SMOOTHINGS = (SmoothingSpec(name="none"), SmoothingSpec(name="softmax"))
SIZE, SEED = 256, 0
KEYS = ["arch", "smoothing", "stage", "statistic"]
RTOL, ATOL = 1e-3, 1e-8
"""Room for the fifth digit and the rounding of other processors and thread counts."""


def photographs() -> list[torch.Tensor]:
    """Return the ten photographs, each (1, 3, H, W) in [0, 1]."""
    return [
        torch.from_numpy(images.read(f"builtin:{name}", SIZE)).permute(2, 0, 1)[None].float() / 255
        for name in images.PHOTOGRAPHS
    ]


def measure() -> "pd.Series[float]":
    """Return the table by `KEYS`: backbone, smoothing, stage and statistic."""
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
    return pd.DataFrame(rows).groupby(KEYS, sort=True)["value"].mean()


def read() -> "pd.Series[float]":
    """Return the committed table, by `KEYS`."""
    return pd.read_csv(PATH).set_index(KEYS)["value"]


def is_right(found: "pd.Series[float]", expected: "pd.Series[float]") -> "pd.Series[bool]":
    """Return which values are those expected, rounding aside."""
    return (found - expected).abs() <= ATOL + RTOL * expected.abs()


def write(found: "pd.Series[float]") -> None:
    """Write the table; rows that are right stay as they are."""
    kept = (read() if PATH.exists() else found[:0]).reindex(found.index)
    table = found.mask(is_right(found, kept), kept)
    table.reset_index().to_csv(PATH, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    write(measure())
    print(PATH)
