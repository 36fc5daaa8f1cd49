"""A small results folder with made-up numbers, for the tests of figures and pages."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from stylebench import store
from stylebench.figures import load
from stylebench.store import Results
from stylebench.store.columns import (
    GRADIENT_COLUMNS,
    METRIC_COLUMNS,
    RESULT_COLUMNS,
    STATISTICS_COLUMNS,
    TRACE_COLUMNS,
)

FIGURE_NAMES = ["curves", "gradients", "grid", "scale_free", "statistics"]
TABLE_NAMES = ["comparisons", "gradients", "metrics", "statistics", "summary"]
STATISTIC_NAMES = [
    "max", "entropy", "gram_max", "gram_entropy", "l1_entropy", "max_over_mean",
    "participation_ratio", "gram_effective_rank", "gram_top_share", "gram_diagonal_share",
]  # fmt: skip
ARCHS = ("r-vgg19", "p-vgg19", "r-resnet50")


def _weights(arch: str, seed: int) -> str:
    return f"random:{seed}" if arch.startswith("r-") else "file:w.safetensors@sha256:0123456789ab"


def _job(
    number: int, arch: str, smoothing: str, pair: tuple[str, str], seed: int
) -> dict[str, Any]:
    job = f"{number:016x}"
    return {
        "job_id": job, "status": "ok", "arch": arch, "weights": _weights(arch, seed),
        "smoothing": smoothing, "content": pair[0], "style": pair[1], "seed": seed, "size": 64,
        "preset": "balanced", "start": "content", "evals": 4, "evals_budget": 4, "seconds": 1.5,
        "peak_memory_mb": 100.0 + number, "loss_initial": 10.0, "loss_final": 1.0,
        "content_loss": 0.5, "style_loss": 0.1 + 0.01 * number, "style_loss_initial": 1.0,
        "tv_loss": 0.0, "moved": 0.1, "stop_reason": "evaluations", "flags": "", "error": "",
        "precision": "fp32", "device": "cpu", "weights_sha256": "", "options": "{}",
        "resize": "aspect", "balance": "target", "normalisation": "paper", "content_weight": 1.0,
        "style_weight": 10.0, "tv_weight": 0.0, "layer_weights": "{}", "optimiser": "lbfgs",
        "learning_rate": 1.0, "history": 100, "line_search": "strong_wolfe",
        "content_digest": pair[0], "style_digest": pair[1],
        "picture": f"images/{job}.jpg", "content_picture": "images/content.jpg",
        "style_picture": "images/style.jpg", "image": "pixels", "nodes": "", "first_step": "1.0",
    }  # fmt: skip


def _results(
    archs: Sequence[str], smoothings: Sequence[str], pairs: Sequence[tuple[str, str]], seeds: int
) -> pd.DataFrame:
    keys = [
        (arch, smoothing, pair, seed)
        for arch in archs
        for pair in pairs
        for smoothing in smoothings
        for seed in range(1 if arch.startswith("p-") else seeds)
    ]
    rows = [_job(number, *key) for number, key in enumerate(keys)]
    return pd.DataFrame(rows, columns=list(RESULT_COLUMNS))


def _statistics(archs: Sequence[str], smoothings: Sequence[str], seeds: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        (arch, _weights(arch, seed), smoothing, image, f"stage{stage}", stage, name, value, seed,
         64, "aspect", image)
        for arch in archs
        for seed in range(1 if arch.startswith("p-") else seeds)
        for smoothing in smoothings
        for image in ("astronaut", "chelsea", "coffee")
        for stage in range(5)
        for name, value in zip(STATISTIC_NAMES, random.uniform(0.1, 1, 10), strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(STATISTICS_COLUMNS))


def _trace(results: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (job, step, 10.0 / step**2, 0.1, 1.0 / step, 0.0)
        for job in results.loc[results["status"] == "ok", "job_id"]
        for step in range(1, 5)
    ]
    return pd.DataFrame(rows, columns=list(TRACE_COLUMNS))


def _metrics(results: pd.DataFrame) -> pd.DataFrame:
    """Return one metric with a judge and one without, for every job."""
    frames = [
        results.assign(metric=metric, judge=judge, judge_weights=weights, value=value)
        for metric, judge, weights, value in (
            ("gram", "r-densenet121", "random:0", results["style_loss"]),
            ("ssim", "", "", 1 - results["style_loss"]),
        )
    ]
    return pd.concat(frames, ignore_index=True)[list(METRIC_COLUMNS)]


def _gradients(results: pd.DataFrame) -> pd.DataFrame:
    """Return two style terms, the content and a total variation of weight 0 for every job."""
    terms = [("style", "stem", 100.0), ("style", "deep", 1e-6), ("content", "deep", 3.0)]
    rows = [
        (job, term, layer, value)
        for job in results.loc[results["status"] == "ok", "job_id"]
        for term, layer, value in [*terms, ("tv", "", 0.0)]
    ]
    return pd.DataFrame(rows, columns=list(GRADIENT_COLUMNS))


def _write_pictures(out: Path, names: Sequence[str]) -> None:
    (out / "images").mkdir(exist_ok=True)
    for name in sorted({*names, "images/content.jpg", "images/style.jpg"} - {""}):
        random = np.random.default_rng(len(name))
        pixels = random.integers(0, 255, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(out / name)


def make(
    out: Path,
    archs: Sequence[str] = ARCHS,
    smoothings: Sequence[str] = ("none", "softmax"),
    pairs: Sequence[tuple[str, str]] = (("cat", "mosaic"), ("house", "brush")),
    seeds: int = 2,
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
) -> Results:
    """Write a results folder with made-up numbers and return it; load what draws it."""
    load()
    out.mkdir(exist_ok=True)
    results = change(_results(archs, smoothings, pairs, seeds))
    _write_pictures(out, list(results["picture"]))
    results.to_parquet(out / "results.parquet")
    _statistics(archs, smoothings, seeds).to_parquet(out / "stats.parquet")
    _trace(results).to_parquet(out / "trace.parquet")
    _metrics(results).to_parquet(out / "metrics.parquet")
    _gradients(results).to_parquet(out / "gradients.parquet")
    run = {"command": "stylebench sweep", "environment": {"torch": "2.0"}}
    manifest = {"runs": [run, run, {**run, "command": "stylebench stats"}]}
    (out / "manifest.json").write_text(json.dumps(manifest))
    return store.load(out)


def helper(name: str) -> ModuleType:
    """Return a module of analysis/, as `figures.load` imported it, or of stylebench.figures."""
    load()
    own = (module for key, module in sys.modules.items() if key.endswith(f"analysis.{name}"))
    return next(own, None) or importlib.import_module(f"stylebench.figures.{name}")


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title() == title)


def ydata(line: Line2D) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.asarray(line.get_ydata(), dtype=np.float64)


def xdata(line: Line2D) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.asarray(line.get_xdata(), dtype=np.float64)


def bars(axes: Axes) -> list[Line2D]:
    """Return the points of everything that has error bars, in the order in which it was drawn."""
    found = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
    return [container.lines[0] for container in found if container.lines[0] is not None]


def marks(axes: Axes) -> list[Line2D]:
    """Return the markers of means, in the order in which they were drawn."""
    solid = [line for line in axes.lines if line.get_alpha() is None]
    return [mark for mark in solid if mark.get_marker() not in ("None", "")]


def texts(figure: Figure) -> Iterator[str]:
    for text in figure.texts:
        yield text.get_text()
