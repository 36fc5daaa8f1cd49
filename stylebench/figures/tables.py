"""Tables: the outcome of the stylisations, and the statistics of the deepest stage.

The summary answers what the paper's figures 1 and 2 show in pictures: which backbone, with which
smoothing, moves the picture towards the style. The statistics are the right ends of figure 3.
"""

import math

import numpy as np
import pandas as pd

from stylebench.figures import NoDataError, table
from stylebench.figures.style import (
    SETTINGS,
    STAGES,
    flagged,
    listed,
    ranked,
    shorten,
    told_settings,
)
from stylebench.store import Results

NUMBERS = (
    "style_loss_ratio", "content_loss", "moved_grey_levels", "did_not_move", "loss_met", "diverged",
    "evals", "seconds", "peak_memory_mb",
)  # fmt: skip


def _finite(values: "pd.Series[float]") -> "pd.Series[float]":
    return values[np.isfinite(values)]


def _numbers(jobs: pd.DataFrame) -> dict[str, float]:
    """Return what is known of jobs that are ok."""
    ratio = _finite(jobs["style_loss"] / jobs["style_loss_initial"])
    return {
        "style_loss_ratio": math.exp(ratio[ratio > 0].map(math.log).mean()),
        "content_loss": float(_finite(jobs["content_loss"]).mean()),
        "moved_grey_levels": float(_finite(jobs["moved"]).mean()) * 255,
        "did_not_move": float(flagged(jobs, "did-not-move").mean()),
        "loss_met": float(flagged(jobs, "loss-met").mean()),
        "diverged": float(flagged(jobs, "diverged").mean()),
        "evals": float(jobs["evals"].mean()),
        "seconds": float(_finite(jobs["seconds"]).mean()),
        "peak_memory_mb": float(jobs["peak_memory_mb"].max()),
    }


@table("summary")
def summary(results: Results) -> pd.DataFrame:
    """Outcome of the stylisations: a row per backbone, smoothing and status.

    style_loss_ratio: style loss over that at the start, geometric mean over jobs; content_loss,
    moved_grey_levels (root mean square change of the pixels, of 255), evals and seconds: means;
    did_not_move, diverged: shares; loss_met: the share that did not move though the loss fell to
    half of its start or less; peak_memory_mb: the largest.
    """
    frame = results.results
    if not len(frame):
        raise NoDataError("no stylisations in these results (statistics alone)")
    frame = ranked(frame)
    several = told_settings(frame)
    status = pd.Categorical(frame["status"], ["ok", "failed", "unavailable"])
    rows = []
    keys = [*SETTINGS, "backbone", "smoothing", "status"]
    for values, jobs in frame.assign(status=status).groupby(keys, observed=True, dropna=False):
        row = dict(zip(keys, values, strict=True))
        errors = [error for error in jobs["error"] if error]
        rows.append(
            {
                **{key: row[key] for key in several},
                "arch": jobs["arch"].iloc[0],
                "weights": listed(jobs["weights"]),
                "smoothing": row["smoothing"],
                "status": row["status"],
                "jobs": len(jobs),
                "pairs": len(jobs[["content", "style"]].drop_duplicates()),
                **(_numbers(jobs) if row["status"] == "ok" else {}),
                "reason": shorten(errors[0], 120) if errors else "",
            }
        )
    named = ["arch", "weights", "smoothing", "status", "jobs", "pairs"]
    return pd.DataFrame(rows, columns=[*several, *named, *NUMBERS, "reason"])


@table("statistics")
def statistics(results: Results) -> pd.DataFrame:
    """Statistics of the last stage, mean and standard deviation over images and seeds.

    branch_change is over the stage's blocks with a shortcut too.
    """
    frame = results.statistics
    if not len(frame):
        raise NoDataError("no statistics in these results")
    frame = ranked(frame)
    last = frame.groupby("backbone", observed=True)["stage"].transform("max")
    frame = frame[frame["stage"] == last]
    several = len(set(frame["resize"])) > 1
    names, rows = list(dict.fromkeys(frame["statistic"])), []
    keys = ["size", "resize", "backbone", "smoothing"]
    for (size, resize, _, label), part in frame.groupby(keys, observed=True, dropna=False):
        row: dict[str, object] = {
            "preset": listed(results.results["preset"]) or "–",  # of the stylisations beside them
            "size": size,
            **({"resize": resize} if several else {}),
            "arch": part["arch"].iloc[0],
            "weights": listed(part["weights"]),
            "smoothing": label,
            "stage": part["stage"].iloc[0],
            "layer": listed(part.loc[part["statistic"] != "branch_change", "layer"]),
            "images": part["image"].nunique(),
            "seeds": part["seed"].nunique(),
        }
        for name in names:
            values = _finite(part.loc[part["statistic"] == name, "value"])
            row |= {name: values.mean(), f"{name}_std": values.std()}
        rows.append(row)
    found = pd.DataFrame(rows)
    found.attrs["note"] = STAGES
    return found
