"""Loss curves: the loss of each job over its closure evaluations, relative to the first one.

Not in the paper, which shows pictures alone; it tells whether a picture that did not change had
nothing to descend, or was stopped, or diverged.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stylebench.figures import NoDataError, figure
from stylebench.figures.ends import Curve, relative
from stylebench.figures.layout import COLUMNS, leftmost, log_axis, panels
from stylebench.figures.style import (
    backbone_names,
    caption,
    one_setting,
    order_backbones,
    order_smoothings,
    shorten,
)
from stylebench.store import Results

HEIGHT, GAP = 1.75, 0.5
"""Inches: a panel, and between rows."""

CEILING, FLOOR = 30.0, 1e-12
"""Relative losses outside are not shown: L-BFGS without a line search can jump by 1e13."""

COLORS = ("#333333", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#0072B2")
STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (8, 2)), (0, (2, 2)))
"""By smoothing, in order; ``none`` is solid and dark."""


def _look(index: int) -> dict[str, Any]:
    color, style = COLORS[index % len(COLORS)], STYLES[index % len(STYLES)]
    return {"color": color, "linestyle": style, "linewidth": 1.3}


def _limits(curves: list[Curve]) -> tuple[float, float]:
    values = np.concatenate([ratio.dropna().to_numpy() for _, ratio in curves] or [np.ones(1)])
    values = values[(values >= FLOOR) & (values <= CEILING)]
    low, high = (values.min(), values.max()) if len(values) else (1.0, 1.0)
    return low / 1.4, max(high, 1.0) * 1.4


def _jobs(results: Results) -> tuple[pd.DataFrame, str]:
    """Return the jobs to draw, with columns backbone and curve, and a note on those left out."""
    frame = results.results[results.results["status"] == "ok"]
    frame = frame[frame["job_id"].isin(results.trace["job_id"])]
    if not len(frame):
        raise NoDataError("no traces of stylisations in these results")
    frame, note = one_setting(frame)
    traces = dict(iter(results.trace.groupby("job_id")))
    curves = [relative(traces[job]) for job in frame["job_id"]]
    frame = frame.assign(backbone=backbone_names(frame), curve=pd.Series(curves, frame.index))
    known = frame[frame["curve"].notna()]
    left = len(frame) - len(known)
    if not len(known):
        raise NoDataError("no trace begins with a positive, finite loss")
    if left:
        note = f"{note}; {left} jobs whose loss begins at 0 or NaN left out".lstrip("; ")
    return known, note


def _draw_panel(axes: Axes, part: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> None:
    for _, row in part.sort_values(["content", "style", "seed"]).iterrows():
        (place, ratio), look = row["curve"], looks[row["smoothing"]]
        axes.plot(place, ratio, marker="o" if len(ratio) == 1 else "", markersize=3.5, **look)
        seen = ratio.dropna()
        if row["stop_reason"] == "diverged" and len(seen):
            end = min(float(seen.iloc[-1]), CEILING * 0.9)
            axes.plot(place[seen.index[-1]], end, "x", color=str(look["color"]), markersize=7)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


@figure("curves")
def curves(results: Results) -> Figure:
    """Loss over closure evaluations, relative to the first; a panel per backbone, a line a job."""
    frame, note = _jobs(results)
    backbones = order_backbones(frame["backbone"])
    looks = {label: _look(i) for i, label in enumerate(order_smoothings(frame["smoothing"]))}
    told = ["A line per pair and seed"]
    if frame["stop_reason"].eq("diverged").any():
        told.append("× where a run diverged")
    if any((ratio > CEILING).any() for _, ratio in frame["curve"]):
        told.append(f"peaks above {CEILING:g} cut off")
    told = [f"{'; '.join(told)}.  {caption(results, frame)}", *([note] if note else [])]
    entries = {f"smoothing: {shorten(label, 40)}": look for label, look in looks.items()}
    made, every = panels(
        len(backbones), "Loss over closure evaluations", "; ".join(told), entries,
        height=HEIGHT, gap=GAP, sharex=True,
    )  # fmt: skip
    limits = _limits(list(frame["curve"]))
    for index, (axes, backbone) in enumerate(zip(every, backbones, strict=True)):
        _draw_panel(axes, frame[frame["backbone"] == backbone], looks)
        axes.set_ylim(*limits)
        log_axis(axes)
        axes.set_title(shorten(backbone, 48))
        if index + COLUMNS >= len(backbones):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("closure evaluation")
        if leftmost(axes):
            axes.set_ylabel("loss / first loss")
    return made
