"""Gatys et al. 2016, figure 4: content against style, by the ratio α/β of their weights."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure
from stylebench.store import Results

from ._arms import in_common, judged, labelled, scores
from ._common import Look, caption
from ._furniture import TWO, annotate, panels
from ._measured import COLUMNS, Measure, by_pair, count, look_of, measures, pictures

NAME = "gatys_tradeoff"
CONTENT = Measure("ssim", "", "", "SSIM with the content")
HEIGHT, GAP = 2.6, 0.5
"""Inches: a panel, and between rows of them."""


@figure(NAME, experiment=NAME)
def sheet(results: Results) -> Figure:
    """Pictures by α/β: small ones to the left have most style."""
    return pictures(results, labelled(results.results))


def _points(frame: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Return means and intervals of a style measure and of the content by arm, in their order."""
    style, content = (scores(by_pair(m.of(frame))).set_index("arm") for m in (measure, CONTENT))
    points = style.add_suffix("_style").join(content.add_suffix("_content"), how="inner")
    first = frame.drop_duplicates("arm").set_index("arm")
    points = points.join(first[["backbone"]])
    points["ratio"] = first["content_weight"] / first["style_weight"]
    return points.sort_values("ratio", kind="stable")


def _draw(axes: Axes, frame: pd.DataFrame, measure: Measure, styles: dict[str, Look]) -> None:
    values = measure.of(frame).merge(CONTENT.of(frame)[["job_id", "value"]], on="job_id")
    for arm, part in values.groupby("arm", observed=True):
        look = styles[str(arm)]
        axes.plot(
            part["value_y"], part["value_x"], "o", color=look.color, alpha=0.22, markersize=3.5,
            markeredgewidth=0,
        )  # fmt: skip
    for _, points in _points(frame, measure).groupby("backbone", observed=True):
        look = styles[str(points.index[0])]
        errors: dict[str, Any] = {
            axis: [
                points[f"mean_{name}"] - points[f"low_{name}"],
                points[f"high_{name}"] - points[f"mean_{name}"],
            ]
            for axis, name in (("xerr", "content"), ("yerr", "style"))
        }
        axes.errorbar(
            points["mean_content"], points["mean_style"], **errors, elinewidth=0.8, **look.line()
        )
        for place in (0, len(points) - 1):
            point = points.iloc[place]
            axes.annotate(
                f"{point['ratio']:.0e}".replace("e-0", "e-"),
                (point["mean_content"], point["mean_style"]),
                (-4, -9), textcoords="offset points", fontsize=7, color=look.color, ha="right",
            )  # fmt: skip


@figure(f"{NAME}_curve", experiment=NAME)
def curve(results: Results) -> Figure:
    """Share of the style against similarity to the content, a line a backbone through its α/β."""
    frame = in_common(judged(results))
    shown = [m for m in measures(frame) if m.is_share and m.metric != "swd_share"]
    if not shown or not len(CONTENT.of(frame)):
        raise NoDataError("no share of the style beside SSIM that all arms have")
    styles = look_of(results, frame)
    first = frame.drop_duplicates("backbone")
    entries = {
        str(name): styles[str(arm)].line()
        for name, arm in zip(first["backbone"], first["arm"], strict=True)
    }
    columns = min(COLUMNS, len(shown))
    made, grid = panels(
        -(-len(shown) // columns),
        columns,
        height=HEIGHT,
        gap=GAP,
        legend=entries,
        notes=2,
        head=TWO,
    )
    for axes, measure in zip((a for line in grid for a in line), shown, strict=False):
        _draw(axes, frame, measure, styles)
        axes.axhline(0, color="#999999", linewidth=0.8, zorder=0)
        axes.set_title(measure.title, fontsize=8.5)
        axes.set_xlabel("SSIM with the content")
    grid[0][0].set_ylabel("share: 0 = content, 1 = style")
    note = (
        f"Points: mean and bootstrap 95 % interval over pairs ({count(frame)}); faint: single "
        "pictures. The ends of a line are labelled with their α/β."
    )
    jobs = results.results[results.results["job_id"].isin(frame["job_id"])]
    title = "Style against content by α/β"
    annotate(made, title, f"{note}\n{caption(results, jobs)}", entries)
    return made
