"""Statistics by stage: a line per backbone, a column per statistic, a row per smoothing.

Figure 3 of Wang, Li and Vasconcelos, CVPR 2021, equations (5) to (8): in networks with shortcuts
the activations of deep stages are peaky (large maxima, entropy near 0), and softmax smoothing takes
that away. These entropies measure scale: multiply a map by 0.001 and its softmax entropy becomes 1.
Six other statistics do not change then, so that they show shape alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stylebench.figures import NoDataError, figure
from stylebench.figures.layout import leftmost, log_axis, panels
from stylebench.figures.style import (
    STAGES,
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
    """A column: the statistic, its title and scale, and whether it is a scale-free one."""

    statistic: str
    title: str
    scale: str
    scale_free: bool


def known() -> dict[str, Panel]:
    """Return the panels of all registered statistics by name, scale-free ones last."""
    from stylebench.measures.statistics import STATISTICS  # it imports torch

    every = [Panel(name, s.title, s.scale, s.scale_free) for name, s in STATISTICS.items()]
    return {panel.statistic: panel for panel in sorted(every, key=lambda panel: panel.scale_free)}


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
            unit = panel.scale == "unit"
            low, high = (found[key].clip(0, 1) if unit else found[key] for key in ("low", "high"))
            axes.fill_between(place, low, high, color=look.color, alpha=alpha, linewidth=0)
            axes.plot(place, found["mean"], label=legend_label(name), **look.line())


def set_axes(axes: Axes, panel: Panel, stages: Sequence[int]) -> None:
    """Give a panel its ticks: stages across, and its scale."""
    axes.set_xticks(stages)
    axes.set_xlim(min(stages) - 0.25, max(stages) + 0.25)
    if panel.scale == "log":
        log_axis(axes)
    else:
        if panel.scale == "unit":
            axes.set_ylim(-0.04, 1.06)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if not axes.lines:
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color="#777777")


def draw_panels(results: Results, columns: Sequence[Panel], title: str) -> Figure:
    """Return the figure of statistics by stage.

    Args:
        results: with statistics; none raise NoDataError.
        columns: what is drawn.
        title: of the figure.
    """
    frame, note = _select(results)
    columns = [panel for panel in columns if panel.statistic in set(frame["statistic"])]
    frame = frame[frame["statistic"].isin([panel.statistic for panel in columns])]
    if not len(frame):
        raise NoDataError("none of this figure's statistics in these results")
    smoothings = order_smoothings(frame["smoothing"])
    present = set(frame["backbone"])
    styles = {name: look for name, look in looks(results).items() if name in present}
    stages = sorted(int(stage) for stage in set(frame["stage"]))
    note += (
        ".  Lines and bands: mean ± standard deviation over images and seeds, on log axes "
        "geometric ones.  p- pretrained (solid), r- random weights (dashed)."
    )
    note = f"{note}\n{STAGES.capitalize()}."
    places = list(product(smoothings, columns))
    made, every = panels(
        len(places), title, note, {shorten(n, 40): look.line() for n, look in styles.items()},
        across=len(columns), height=HEIGHT, gap=GAP, sharex=True,
    )  # fmt: skip
    for axes, (label, panel) in zip(every, places, strict=True):
        part = frame[(frame["smoothing"] == label) & (frame["statistic"] == panel.statistic)]
        _draw_lines(axes, part, panel, styles)
        set_axes(axes, panel, stages)
        if label == smoothings[0]:
            axes.set_title(panel.title)
        if label == smoothings[-1]:
            axes.set_xlabel("stage (4 = deepest)")
        if leftmost(axes):
            axes.set_ylabel(f"smoothing: {shorten(label, 34)}", fontweight="bold")
    return made


@figure("scale_free")
def scale_free(results: Results) -> Figure:
    """Statistics that a constant factor does not change, by stage, beside the paper's figure 3."""
    title = "Scale-free statistics of activations and Gram matrices"
    return draw_panels(results, [panel for panel in known().values() if panel.scale_free], title)


@figure("statistics")
def statistics(results: Results) -> Figure:
    """Maxima and entropies of activations and Gram matrices by stage (the paper's figure 3)."""
    columns = [panel for panel in known().values() if not panel.scale_free]
    return draw_panels(results, columns, "Activation and Gram statistics by stage")
