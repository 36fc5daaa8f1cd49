"""Panels of statistics by stage: a line per backbone, a column per statistic, a row a smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stylebench.figures import NoDataError
from stylebench.figures.layout import annotate, log_axis
from stylebench.figures.layout import panels as panel_grid
from stylebench.figures.style import (
    Look,
    backbone_names,
    legend_label,
    looks,
    order_smoothings,
    shorten,
)
from stylebench.store import Results

HEIGHT, GAP = 2.05, 0.16
"""Inches: a panel, and between rows."""

DODGE = 0.1
"""Backbones are drawn up to this far left and right of their stage, so that none hides another."""


@dataclass(frozen=True)
class Panel:
    """A column: the statistic, its title, and its scale (``log``, or ``unit`` for 0 to 1)."""

    statistic: str
    title: str
    scale: str


def by_stage(frame: pd.DataFrame, *, log: bool) -> pd.DataFrame:
    """Return mean and spread of values by stage; what is not finite is left out.

    Args:
        frame: columns stage, value; one statistic of one backbone over images and seeds.
        log: geometric mean and geometric standard deviation, of the positive values.

    Returns:
        Index stage; columns mean, low, high.
    """
    values = frame.loc[np.isfinite(frame["value"]), ["stage", "value"]]
    if log:
        values = values[values["value"] > 0]
        values = values.assign(value=np.log(values["value"]))
    groups = values.groupby("stage")["value"]
    mean, deviation = groups.mean(), groups.std().fillna(0.0)
    columns = {"mean": mean, "low": mean - deviation, "high": mean + deviation}
    return pd.DataFrame({k: np.exp(v) if log else v for k, v in columns.items()})


def _select(results: Results) -> tuple[pd.DataFrame, str]:
    """Return the statistics of one size (of most values) and the line under the figure."""
    frame = results.statistics
    if not len(frame):
        raise NoDataError("no statistics in these results")
    square = frame["resize"].eq("squash").map({True: " px square", False: " px"})
    shapes: pd.Series[str] = frame["size"].astype(str) + square
    counts = shapes.value_counts()
    size = counts.index[0]
    frame = frame[shapes == size]
    frame = frame.assign(backbone=backbone_names(frame))
    seeds = ", ".join(str(seed) for seed in sorted(set(frame["seed"])))
    note = f"{frame['image'].nunique()} images, {size}, seed {seeds}"
    if len(counts) > 1:
        note += f" (other sizes not shown: {', '.join(str(s) for s in sorted(counts.index[1:]))})"
    return frame, note


def _draw_lines(axes: Axes, frame: pd.DataFrame, panel: Panel, styles: dict[str, Look]) -> None:
    log = panel.scale == "log"
    alpha = min(0.13, 1 / len(styles))
    shifts = np.linspace(-DODGE, DODGE, len(styles)) if len(styles) > 1 else [0.0]
    for shift, (name, look) in zip(shifts, styles.items(), strict=True):
        found = by_stage(frame[frame["backbone"] == name], log=log)
        if len(found):
            place = found.index + shift
            low, high = (found[key] if log else found[key].clip(0, 1) for key in ("low", "high"))
            axes.fill_between(place, low, high, color=look.color, alpha=alpha, linewidth=0)
            axes.plot(place, found["mean"], label=legend_label(name), **look.line())


def _set_axes(axes: Axes, panel: Panel, stages: Sequence[int]) -> None:
    axes.set_xticks(stages)
    axes.set_xlim(min(stages) - 0.25, max(stages) + 0.25)
    if panel.scale == "log":
        log_axis(axes)
    else:
        axes.set_ylim(-0.04, 1.06)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if not axes.lines:
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color="#777777")


def draw_panels(results: Results, panels: Sequence[Panel], title: str) -> Figure:
    """Return the figure of statistics by stage.

    Args:
        results: with statistics; none raise NoDataError.
        panels: the columns.
        title: of the figure.
    """
    frame, note = _select(results)
    frame = frame[frame["statistic"].isin([panel.statistic for panel in panels])]
    if not len(frame):
        raise NoDataError("none of this figure's statistics in these results")
    smoothings = order_smoothings(frame["smoothing"])
    present = set(frame["backbone"])
    styles = {name: look for name, look in looks(results).items() if name in present}
    stages = sorted(int(stage) for stage in set(frame["stage"]))
    figure, grid = panel_grid(len(smoothings), len(panels), height=HEIGHT, gap=GAP, legend=styles)
    for row, label in enumerate(smoothings):
        for column, panel in enumerate(panels):
            axes = grid[row][column]
            part = frame[(frame["smoothing"] == label) & (frame["statistic"] == panel.statistic)]
            _draw_lines(axes, part, panel, styles)
            _set_axes(axes, panel, stages)
            if row == 0:
                axes.set_title(panel.title)
            if row == len(smoothings) - 1:
                axes.set_xlabel("stage (0 = stem)")
        grid[row][0].set_ylabel(f"smoothing: {shorten(label, 34)}", fontweight="bold")
    note += (
        ".  Lines and bands: mean ± standard deviation over images and seeds, on log axes "
        "geometric ones.  p- pretrained (solid), r- random weights (dashed)."
    )
    annotate(figure, title, note, {shorten(n, 40): look.line() for n, look in styles.items()})
    return figure
