"""A data set and a training of a second or two."""

from pathlib import Path
from typing import Any

import torch

from stylebench.classifiers.data import DataSet, Split
from stylebench.classifiers.settings import AccuracySettings
from stylebench.classifiers.training import Training


def split(count: int, seed: int, side: int = 8) -> Split:
    random = torch.Generator().manual_seed(seed)
    pictures = torch.randint(256, (count, 3, side, side), generator=random, dtype=torch.uint8)
    return Split(pictures, torch.arange(count) % 4)


def data(**changes: Any) -> DataSet:
    parts = {"train": split(26, 0), "test": split(12, 1), "mirrored": True, **changes}
    return DataSet("digits", 4, **parts)


def settings(**changes: Any) -> AccuracySettings:
    own: dict[str, Any] = {
        "data": "digits", "depth": 18, "width": 8, "epochs": 3, "batch": 8, "checkpoint": 1,
        "precision": "fp32", "seed": 0,
    }  # fmt: skip
    return AccuracySettings.model_validate(own | changes)


def training(out: Path, kind: str = "on", seed: int = 0, **changes: Any) -> Training:
    return Training(settings(**changes), kind, seed, data(), out)
