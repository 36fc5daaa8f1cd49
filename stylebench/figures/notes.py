"""What is said under figures and tables of where their numbers come from."""

import json

import pandas as pd

from stylebench.config import OPTIMISE
from stylebench.errors import published_command
from stylebench.store import Results


def provenance(results: Results) -> list[str]:
    """Return the lines under every table: what was run, with which weights and versions."""
    frame = results.results
    lines = []
    if len(frame):
        done = frame[frame["status"] == "ok"]
        lines.append(_settings(done if len(done) else frame))
    elif len(results.statistics):
        lines.append(_statistics_settings(results.statistics))
    weights = {*frame["weights"], *results.statistics["weights"]}
    if weights:
        lines.append("weights: " + ", ".join(sorted(weights)))
    runs = results.manifest.get("runs", [])
    lines += [f"command: {published_command(str(run['command']))}" for run in runs]
    lines += [f"versions: {versions(run['environment'])}" for run in runs]
    return list(dict.fromkeys(lines))


def versions(environment: dict[str, str]) -> str:
    """Return the versions of what numbers come from, of a run's environment in a manifest."""
    known = [key for key in ("stylebench", "torch", "torchvision") if key in environment]
    return ", ".join(f"{key} {environment[key]}" for key in known)


def _settings(frame: pd.DataFrame) -> str:
    columns = ("preset", "size", "evals_budget", "start", "precision", "seed")
    names = {"size": "px", "evals_budget": "closure evaluations"}
    optimised = frame[frame["system"] == OPTIMISE]
    parts = []
    for column in columns if len(optimised) else ("size", "seed"):
        rows = optimised if len(optimised) else frame
        values = ", ".join(str(value) for value in sorted(set(rows[column])))
        parts.append(f"{values} {names[column]}" if column in names else f"{column} {values}")
    pairs = frame[["content", "style"]].drop_duplicates()
    return "; ".join([*parts, *trained(frame), f"pairs {len(pairs)}"])


QUICK, PUBLISHED = 16_000, 160_000
"""Steps of a training under which it is called quick, and those of SANet (Park & Lee 2019).

Trainings of AdaIN are compared with these, too.
"""


def steps_of(model: str) -> int:
    """Return the steps of a training, of a row's column model; 0 where it was none here."""
    steps = json.loads(model or "{}").get("steps")
    return steps if isinstance(steps, int) else 0


def is_quick(frame: pd.DataFrame) -> bool:
    """Tell whether one of the trained networks among jobs has had a quick training."""
    return any(0 < steps_of(model) < QUICK for model in set(frame["model"]))


def trained(frame: pd.DataFrame) -> list[str]:
    """Return what the trained networks among jobs are, by the steps of their trainings."""
    found: dict[int, set[str]] = {}
    rows = frame[frame["model"] != ""]
    for system, model in zip(rows["system"], rows["model"], strict=True):
        found.setdefault(steps_of(model), set()).add(str(system))
    told = []
    for steps, names in sorted(found.items()):
        quick = "quick: " if steps < QUICK else ""
        how = f"{quick}{steps:,} steps, published {PUBLISHED:,}" if steps else "as published"
        told.append(f"{', '.join(sorted(names))} ({how})")
    return told


def _statistics_settings(frame: pd.DataFrame) -> str:
    sizes, seeds = (", ".join(map(str, sorted(set(frame[key])))) for key in ("size", "seed"))
    return f"statistics alone; {sizes} px; seed {seeds}; images {frame['image'].nunique()}"
