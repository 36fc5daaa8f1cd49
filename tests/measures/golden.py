"""The golden tables of entropy statistics: how they are made. ``make golden`` writes them again.

Means over built-in photographs at 256 px, of the last node of each stage, random weights of seed 0,
BatchNorm in evaluation mode: over the first two, which every test run measures, and over all ten.

As AVX2, as SSE 4.1, with one thread and with two, values differ by up to 2e-4 of themselves (the
entropy of peaky maps), half of them by less than 1e-8. So the tables have four digits, and a row
that is still right stays as it is: whatever changes in it is no rounding.
"""

from pathlib import Path

import pandas as pd
import torch

from stylebench import images, runtime
from stylebench.backbones.extractor import build
from stylebench.config import SmoothingSpec, WeightsRef
from stylebench.measures.statistics import BRANCH_CHANGE, measure_backbone

FOLDER = Path(__file__).parent.parent / "golden"
PATHS = {2: FOLDER / "entropy_statistics_of_2.csv", 10: FOLDER / "entropy_statistics.csv"}
"""Number of photographs -> table of their means."""
ARCHS = ("r-vgg19", "r-resnet50", "r-noresnet50", "r-pseudo-vgg", "r-pseudo-resvgg")
SMOOTHINGS = (SmoothingSpec(name="none"), SmoothingSpec(name="softmax"))
SIZE, SEED = 256, 0
KEYS = ["arch", "smoothing", "stage", "statistic"]
RTOL, ATOL = 1e-3, 1e-8
"""Room for the fifth digit and the rounding of other processors and thread counts."""


def photographs(count: int) -> list[torch.Tensor]:
    """Return the first photographs, each (1, 3, H, W) in [0, 1]."""
    return [
        torch.from_numpy(images.read(f"builtin:{name}", SIZE)).permute(2, 0, 1)[None].float() / 255
        for name in list(images.PHOTOGRAPHS)[:count]
    ]


def measure(count: int) -> "pd.Series[float]":
    """Return means over so many photographs by `KEYS`: backbone, smoothing, stage, statistic."""
    runtime.configure()
    rows = []
    for arch in ARCHS:
        backbone = build(arch, WeightsRef(source=f"random:{SEED}"), SEED)
        for image in photographs(count):
            found = measure_backbone(backbone, image, SMOOTHINGS)
            rows += [
                {"arch": arch, "smoothing": value.smoothing, "stage": value.stage,
                 "statistic": value.statistic, "value": value.value}
                for value in found
                if value.statistic != BRANCH_CHANGE
            ]  # fmt: skip
    return pd.DataFrame(rows).groupby(KEYS, sort=True)["value"].mean()


def read(path: Path) -> "pd.Series[float]":
    """Return a committed table, by `KEYS`."""
    return pd.read_csv(path).set_index(KEYS)["value"]


def is_right(found: "pd.Series[float]", expected: "pd.Series[float]") -> "pd.Series[bool]":
    """Return which values are those expected, rounding aside."""
    return (found - expected).abs() <= ATOL + RTOL * expected.abs()


def write(found: "pd.Series[float]", path: Path) -> None:
    """Write a table; rows that are right stay as they are."""
    kept = (read(path) if path.exists() else found[:0]).reindex(found.index)
    table = found.mask(is_right(found, kept), kept)
    table.reset_index().to_csv(path, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    for count, path in PATHS.items():
        write(measure(count), path)
        print(path)
