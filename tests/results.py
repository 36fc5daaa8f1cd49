"""Results folders with made-up numbers: the one set for all tests of figures, tables and pages."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from stylebench import store
from stylebench.figures import FIGURES, TABLES, experiments, load
from stylebench.measures.statistics import STATISTICS
from stylebench.store import Results
from stylebench.store.columns import (
    ACCURACY_COLUMNS,
    GRADIENT_COLUMNS,
    METRIC_COLUMNS,
    NOT_OPTIMISED,
    RESULT_COLUMNS,
    STATISTICS_COLUMNS,
    TRACE_COLUMNS,
    frame,
    slug,
)

load()
FIGURE_NAMES = sorted({*FIGURES} - {*experiments()})
"""Of any sweep."""
TABLE_NAMES = sorted({*TABLES} - {*experiments()})
STATISTIC_NAMES = list(STATISTICS)
ARCHS = ("r-vgg19", "p-vgg19", "r-resnet50")
PAIRS = tuple((f"photo{number}", f"style{number}") for number in range(6))
DENSENET = ("r-densenet121", "random:0")
LITE = ("p-timm:efficientnet_lite0", "registry:efficientnet_lite0")
JUDGES = (LITE, DENSENET)
"""Each as (name, weights)."""
NOBODY = ("", "")

Arm = dict[str, Any]
"""arch, smoothing, options {} and columns of results.parquet that differ from the others'."""
Change = Callable[[pd.DataFrame], pd.DataFrame]
Scores = Callable[[pd.DataFrame], list[tuple[str, tuple[str, str], "pd.Series[float]"]]]
"""Makes of jobs the values of metrics: (metric, judge, a value for each job)."""


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


def network(
    system: str, seen_by: str, smoothing: str = "none", *, steps: int = 1000, **more: Any
) -> Arm:
    """Return an arm of a trained network; Magenta's is seen by "" and has no steps."""
    arch = f"{system} {seen_by}".strip()
    told = {"system": system, "loss_network": seen_by, "steps": steps}
    model = json.dumps(told if seen_by else {"system": system})
    name = f"model:train_{slug(f'{arch} {smoothing}')}@sha256:0123456789ab"
    own = {"system": system, "model": model, "weights": name, "pass_seconds": 0.2}
    own |= {"preset": "", "start": "", "precision": "", "image": "", "colours": "", "balance": ""}
    own |= {"normalisation": "", "optimiser": "", "line_search": "", "first_step": ""}
    own |= {"layer_weights": "", "stop_reason": "", "evals": 0, **NOT_OPTIMISED, **more}
    return {"arch": arch, "smoothing": smoothing, **own, "options": {}}


def _weights(arm: Mapping[str, Any], seed: int) -> str:
    file = "file:w.safetensors@sha256:0123456789ab"
    source = f"random:{seed}" if arm["arch"].startswith("r-") else file
    return source + "".join(f"+{key}={value}" for key, value in sorted(arm["options"].items()))


def _job(number: int, arm: Arm, pair: tuple[str, str], seed: int) -> dict[str, Any]:
    job = f"{number:016x}"
    return {
        "job_id": job, "status": "ok", "weights": _weights(arm, seed),
        "content": pair[0], "style": pair[1], "seed": seed, "size": 64,
        "preset": "balanced", "start": "content", "evals": 4, "evals_budget": 4, "seconds": 1.5,
        "peak_memory_mb": 100.0 + number, "loss_initial": 10.0, "loss_final": 1.0,
        "content_loss": 0.5, "style_loss": 0.1 + 0.01 * number, "style_loss_initial": 1.0,
        "tv_loss": 0.0, "moved": 0.1, "stop_reason": "evaluations", "flags": "", "error": "",
        "precision": "fp32", "device": "cpu", "weights_sha256": "",
        "resize": "aspect", "balance": "target", "normalisation": "paper", "content_weight": 1.0,
        "style_weight": 10.0, "tv_weight": 0.0, "layer_weights": "{}", "optimiser": "lbfgs",
        "learning_rate": 1.0, "history": 100, "line_search": "strong_wolfe",
        "content_digest": pair[0], "style_digest": pair[1],
        "picture": f"images/{job}.jpg", "content_picture": "images/content.jpg",
        "style_picture": "images/style.jpg", "image": "pixels", "nodes": "", "first_step": "1.0",
        "style_scale": 1.0, "colours": "style", "tolerance": 0.0,
        "loss_ratio": 0.1, "initial_gradient": 2.0, "system": "optimise", "model": "",
        "strength": 1.0, "pass_seconds": math.nan,
        **arm, "options": json.dumps(arm["options"], sort_keys=True),
    }  # fmt: skip


def _jobs(given: Sequence[Arm], pairs: Sequence[tuple[str, str]], seeds: int) -> pd.DataFrame:
    """Return the jobs, numbered by arm, pair and seed; `_arm` and `_pair` are for the scores."""
    rows: list[dict[str, Any]] = []
    for number, arm in enumerate(given):
        for place, pair in enumerate(pairs):
            for seed in range(1 if arm["arch"].startswith("p-") else seeds):
                row = _job(len(rows), arm, pair, seed)
                rows.append(row | {"_arm": number, "_pair": place})
    return pd.DataFrame(rows)


def statistic(stage: int, seed: int, image: int, arm: int, name: str) -> float:
    """Return a made-up value: no two arms, and no two statistics, have the same."""
    place = STATISTIC_NAMES.index(name)
    return 0.1 * (1 + stage) + 0.01 * seed + 0.001 * image + 0.02 * arm + 0.003 * place


def _statistics(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return all statistics of three images and five stages."""
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
    return pd.DataFrame(rows, columns=list(STATISTICS_COLUMNS))


def by_loss(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """One metric with a judge and one without."""
    return [("gram", DENSENET, jobs["style_loss"]), ("ssim", NOBODY, 1 - jobs["style_loss"])]


def by_number(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """Shares that grow with the number of the job, SSIM that falls with it."""
    number = jobs["job_id"].map(lambda job: int(job, 16)) / 100
    judges = (DENSENET, ("p-timm:judge", "file:j"))
    return [
        *(("gram_share", judge, 0.1 * (i + 1) + number) for i, judge in enumerate(judges)),
        *(("swd_share", judge, 0.5 - number) for judge in judges),
        ("texture_share", NOBODY, 0.3 + number),
        ("colour_share", NOBODY, 0.6 + number),
        ("ssim", NOBODY, 0.9 - number),
    ]


METRICS = (
    *((name, judge) for name in ("gram_share", "swd_share") for judge in JUDGES),
    ("gram", LITE),
    ("swd", ("r-vgg16", "random:0")),
    *((name, NOBODY) for name in ("texture_share", "colour_share", "ssim", "edges")),
)


def by_arm(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """Values whose mean over pairs and seeds 0, 1 grows by 0.05 an arm."""
    arm = jobs["_arm"]
    value = 0.1 + 0.05 * arm + 0.02 * (jobs["_pair"] - 2.5) * (1 + 0.1 * arm)
    value += 0.02 * (jobs["seed"] - 0.5)
    return [(metric, judge, value + 0.01 * place) for place, (metric, judge) in enumerate(METRICS)]


def metrics(jobs: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    """Return metrics.parquet of jobs."""
    frames = [
        jobs.assign(metric=metric, judge=judge, judge_weights=weights, value=value)
        for metric, (judge, weights), value in scores(jobs)
    ]
    return pd.concat(frames, ignore_index=True)[list(METRIC_COLUMNS)]


def _trace(done: Sequence[str]) -> pd.DataFrame:
    rows = [(job, n, 10.0 / n**2, 0.1, 1.0 / n, 0.0) for job in done for n in range(1, 5)]
    return pd.DataFrame(rows, columns=list(TRACE_COLUMNS))


def _gradients(done: Sequence[str]) -> pd.DataFrame:
    """Return two style terms, the content and a total variation of weight 0 for every job."""
    terms = [("style", "stem", 100.0), ("style", "deep", 1e-6), ("content", "deep", 3.0)]
    rows = [(job, *term) for job in done for term in [*terms, ("tv", "", 0.0)]]
    return pd.DataFrame(rows, columns=list(GRADIENT_COLUMNS))


def _accuracy(statistics: pd.DataFrame) -> pd.DataFrame:
    """Return classifiers of three kinds and two seeds, whose maps are those of the backbones."""
    known = sorted(set(statistics["weights"]))
    rows = [
        {
            "data": "digits", "shortcut": kind, "depth": 18, "width": 16, "epochs": 20,
            "seed": seed, "accuracy": (330 - 10 * place + seed) / 360,
            "correct": 330 - 10 * place + seed, "tested": 360, "train_accuracy": 0.99,
            "precision": "fp32", "trained": known[(place + seed) % len(known)], "random": known[0],
        }
        for place, kind in enumerate(("on", "pre-relu", "off"))
        for seed in (0, 1)
    ]  # fmt: skip
    return frame(rows, ACCURACY_COLUMNS)


def _write_pictures(out: Path, names: Sequence[str]) -> None:
    (out / "images").mkdir(exist_ok=True)
    for name in sorted({*names, "images/content.jpg", "images/style.jpg"} - {""}):
        random = np.random.default_rng(len(name))
        pixels = random.integers(0, 255, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(out / name)


def write(
    out: Path,
    given: Sequence[Arm],
    pairs: Sequence[tuple[str, str]],
    seeds: int,
    scores: Scores,
    change: Change = lambda frame: frame,
    name: str = "",
) -> Results:
    """Write a results folder with made-up numbers and return it.

    Args:
        out: the folder.
        given: the arms; random ones have jobs of all seeds, pretrained ones of seed 0.
        pairs: contents and styles.
        seeds: how many.
        scores: makes the metrics of the jobs.
        change: is laid on the jobs, before all but the statistics is made of them.
        name: of the experiment.
    """
    out.mkdir(exist_ok=True, parents=True)
    made = _jobs(given, pairs, seeds)
    jobs = change(made)
    _write_pictures(out, list(jobs["picture"]))
    done = list(jobs.loc[jobs["status"] == "ok", "job_id"])
    statistics = _statistics(made)
    tables = {
        "results": jobs[list(RESULT_COLUMNS)], "stats": statistics, "trace": _trace(done),
        "metrics": metrics(jobs, scores), "gradients": _gradients(done),
        "accuracy": _accuracy(statistics),
    }  # fmt: skip
    for key, table in tables.items():
        table.to_parquet(out / f"{key}.parquet")
    run = {"command": "stylebench sweep", "environment": {"torch": "2.0"}}
    run |= {"config": {"name": name}} if name else {}
    manifest = {"runs": [run, run, {**run, "command": "stylebench stats"}]}
    (out / "manifest.json").write_text(json.dumps(manifest))
    return store.load(out)


def make(
    out: Path,
    archs: Sequence[str] = ARCHS,
    smoothings: Sequence[str] = ("none", "softmax"),
    pairs: Sequence[tuple[str, str]] = (("cat", "mosaic"), ("house", "brush")),
    seeds: int = 2,
    change: Change = lambda frame: frame,
    scores: Scores = by_loss,
) -> Results:
    """Write the folder of a sweep of two pairs."""
    return write(out, arms(archs, smoothings), pairs, seeds, scores, change)


def scored(
    out: Path,
    archs: Sequence[str] = ("p-vgg19", "p-resnet50"),
    smoothings: Sequence[str] = ("none",),
    seeds: int = 1,
    **other: Any,
) -> Results:
    """Write a folder, as `make` does, whose scores follow from the numbers of its jobs."""
    return make(out, archs, smoothings, seeds=seeds, scores=by_number, **other)


def experiment(
    out: Path,
    name: str,
    given: Sequence[Arm],
    pairs: Sequence[tuple[str, str]] = PAIRS,
    seeds: int = 2,
) -> Results:
    """Write the folder of an experiment, whose scores follow from its arms."""
    return write(out, given, pairs, seeds, by_arm, name=name)


def gone_wrong(frame: pd.DataFrame) -> pd.DataFrame:
    """Let job 0 not move, 1 fail, 2 diverge and 3 be missing; p-vgg19 has no weights."""
    frame.loc[0, "flags"] = "did-not-move"
    frame.loc[1, ["status", "picture", "error"]] = ["failed", "", "RuntimeError: <x>"]
    frame.loc[2, ["stop_reason", "flags"]] = ["diverged", "diverged"]
    gone = frame["arch"] == "p-vgg19"
    columns = ["status", "weights", "picture", "content_picture", "style_picture"]
    frame.loc[gone, columns] = ["unavailable", "unavailable", "", "", ""]
    return frame.drop(index=3)


def varied(column: str, *values: float | str) -> Change:
    """Return a change that repeats all jobs, once with each value of a column."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return numbered([frame.assign(**{column: value}) for value in values])

    return change


def numbered(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the jobs of several frames, each with a number of its own."""
    jobs = pd.concat(frames, ignore_index=True)
    return jobs.assign(job_id=[f"{number:016x}" for number in range(len(jobs))])


def values(results: Results, **chosen: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return the values of metrics.parquet in the rows that have these values."""
    frame = results.metrics
    for key, value in chosen.items():
        frame = frame[frame[key] == value]
    return frame["value"].to_numpy(np.float64)
