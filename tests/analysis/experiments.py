"""Results folders of experiments with made-up numbers: arms, options and settings as one likes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stylebench import store
from stylebench.figures import load
from stylebench.store import Results
from stylebench.store.columns import (
    METRIC_COLUMNS,
    RESULT_COLUMNS,
    STATISTICS_COLUMNS,
    TRACE_COLUMNS,
)
from tests.results import STATISTIC_NAMES, _job

PAIRS = tuple((f"photo{number}", f"style{number}") for number in range(6))
JUDGES = (
    ("p-timm:efficientnet_lite0", "registry:efficientnet_lite0"),
    ("r-densenet121", "random:0"),
)
METRICS = (
    *((name, *judge) for name in ("gram_share", "swd_share") for judge in JUDGES),
    ("gram", *JUDGES[0]),
    ("swd", "r-vgg16", "random:0"),
    *((name, "", "") for name in ("texture_share", "colour_share", "ssim", "edges")),
)  # fmt: skip

Arm = dict[str, Any]
"""arch, smoothing, options {} and columns of results.parquet that differ from the others'."""


def arms(
    archs: Sequence[str], smoothings: Sequence[str] = ("none", "softmax"), **more: Any
) -> list[Arm]:
    """Return arms of ``arch+option=value`` names × smoothings."""
    found = []
    for name in archs:
        arch, *options = name.split("+")
        chosen = dict(option.split("=") for option in options)
        found += [{"arch": arch, "options": chosen, "smoothing": s, **more} for s in smoothings]
    return found


def score(arm: int, pair: int, seed: int, metric: int) -> float:
    """Return a made-up value: its mean over pairs and seeds 0, 1 grows by 0.05 an arm."""
    return (
        0.1
        + 0.05 * arm
        + 0.02 * (pair - 2.5) * (1 + 0.1 * arm)
        + 0.02 * (seed - 0.5)
        + 0.01 * metric
    )


def _jobs(given: Sequence[Arm], pairs: Sequence[tuple[str, str]], seeds: int) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for number, arm in enumerate(given):
        settings = {**arm, "options": json.dumps(arm["options"], sort_keys=True)}
        suffix = "".join(f"+{key}={value}" for key, value in sorted(arm["options"].items()))
        for pair in pairs:
            for seed in range(1 if arm["arch"].startswith("p-") else seeds):
                row = _job(len(rows), arm["arch"], arm["smoothing"], pair, seed) | settings
                rows.append(row | {"weights": row["weights"] + suffix, "_arm": number})
    return pd.DataFrame(rows)


def _metrics(jobs: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    rows = []
    for job in jobs.to_dict("records"):
        pair = list(pairs).index((job["content"], job["style"]))
        for number, (metric, judge, weights) in enumerate(METRICS):
            value = score(job["_arm"], pair, job["seed"], number)
            rows.append(
                {**job, "metric": metric, "judge": judge, "judge_weights": weights, "value": value}
            )
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def _statistics(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return all statistics, of the value of `statistic`, of three images and five stages."""
    keys = ["arch", "weights", "smoothing", "seed"]
    networks = jobs.drop_duplicates(keys)[[*keys, "_arm"]]
    rows = [
        (arch, weights, smoothing, image, f"stage{stage}", stage, name,
         statistic(stage, seed, place, arm, name), seed, 64, "aspect", image)
        for arch, weights, smoothing, seed, arm in networks.itertuples(index=False, name=None)
        for place, image in enumerate(("astronaut", "chelsea", "coffee"))
        for stage in range(5)
        for name in STATISTIC_NAMES
    ]  # fmt: skip
    columns = ["arch", "weights", "smoothing", "image", "layer", "stage", "statistic", "value",
               "seed", "size", "resize", "image_digest"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)[list(STATISTICS_COLUMNS)]


def statistic(stage: int, seed: int, image: int, arm: int, name: str) -> float:
    """Return a made-up value: no two arms, and no two statistics, have the same."""
    place = STATISTIC_NAMES.index(name)
    return 0.1 * (1 + stage) + 0.01 * seed + 0.001 * image + 0.02 * arm + 0.003 * place


def make(
    out: Path,
    name: str,
    given: Sequence[Arm],
    pairs: Sequence[tuple[str, str]] = PAIRS,
    seeds: int = 2,
) -> Results:
    """Write the results folder of an experiment and return it; load what draws it."""
    load()
    out.mkdir(exist_ok=True, parents=True)
    jobs = _jobs(given, pairs, seeds)
    jobs[list(RESULT_COLUMNS)].to_parquet(out / "results.parquet")
    _statistics(jobs).to_parquet(out / "stats.parquet")
    pd.DataFrame(columns=list(TRACE_COLUMNS)).to_parquet(out / "trace.parquet")
    _metrics(jobs, pairs).to_parquet(out / "metrics.parquet")
    run = {"command": "stylebench sweep", "environment": {"torch": "2.0"}, "config": {"name": name}}
    (out / "manifest.json").write_text(json.dumps({"runs": [run]}))
    return store.load(out)


def values(results: Results, **chosen: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return the values of metrics.parquet in the rows that have these values."""
    frame = results.metrics
    for key, value in chosen.items():
        frame = frame[frame[key] == value]
    return frame["value"].to_numpy(np.float64)
