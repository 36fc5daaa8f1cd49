"""Gatys et al. 2016, figure 4: content against style, by the ratio α/β of their weights."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure
from stylebench.figures.arms import in_common, judged
from stylebench.figures.claims import by_pair
from stylebench.figures.dots import Column, columns, counts, draw_mean, foot, limits, mark
from stylebench.figures.layout import TWO, panels
from stylebench.figures.measured import pictures
from stylebench.figures.style import Look, arch_looks
from stylebench.store import Results

NAME = "gatys_tradeoff"
CONTENT = Column("ssim", "", "")
SHARES = ("gram_share", "texture_share", "colour_share")
HEIGHT, GAP = 2.6, 0.8
"""Inches: a panel, and between rows of them."""

MARGIN = 0.1
"""Of SSIM: left and right of the values."""


@figure(NAME, experiment=NAME, sheet=True)
def sheet(results: Results) -> Figure:
    """Pictures by α/β: small ones to the left have most style."""
    return pictures(results)


def _draw(
    axes: Axes, style: pd.DataFrame, content: pd.DataFrame, looks: Mapping[str, Look]
) -> None:
    """Draw means of both by arm, a line a backbone through its settings.

    Args:
        axes: empty.
        style: the values of one column, of `by_pair`; goes up.
        content: those of `CONTENT`; goes right.
        looks: by architecture.
    """
    axes.set_xlim(content["value"].min() - MARGIN, content["value"].max() + MARGIN)
    axes.set_ylim(*limits(style["value"], floor=True))
    axes.axhline(0, color="#777777", linewidth=0.9, zorder=1)
    for _, line in style.groupby("backbone", observed=True):
        look, points = looks[line["arch"].iloc[0]], {}
        for arm, part in line.groupby("arm", observed=True):
            right = content.loc[content["arm"] == arm, "value"].to_numpy()
            x, up = float(right.mean()), part["value"].to_numpy()
            y = draw_mean(axes, x, up, mark(look), upright=True)
            draw_mean(axes, y, right, mark(look), upright=False)
            points[str(part["setting"].iloc[0])] = (x, y)
        axes.plot(*zip(*points.values(), strict=True), **look.line() | {"marker": ""})
        for setting in list(points)[:: max(len(points) - 1, 1)]:
            axes.annotate(
                setting, points[setting], (-4, -9), textcoords="offset points", fontsize=7,
                color=look.color, ha="right",
            )  # fmt: skip


@figure(f"{NAME}_curve", experiment=NAME)
def curve(results: Results) -> Figure:
    """Share of the style against similarity to the content, a line a backbone through its α/β."""
    values, looks = in_common(by_pair(judged(results))), arch_looks(results)
    content = CONTENT.of(values)
    found = [column for column in columns(values) if column.metric in SHARES]
    if not found or not len(content):
        raise NoDataError("no share of the style beside SSIM that all arms have")
    archs = values.drop_duplicates("backbone").sort_values("backbone")
    entries = {
        str(name): looks[arch].line()
        for name, arch in zip(archs["backbone"], archs["arch"], strict=True)
    }
    told = (
        f"Crosses: means and bootstrap 95 % intervals over {counts(values)}; faint dots: single "
        "pairs, each value on its axis. A share is 0 at the content picture and 1 at the style's "
        "statistics."
    )
    note = foot(results, told, found)
    made, every = panels(
        len(found), "Style against content by α/β", note, entries, height=HEIGHT, gap=GAP, head=TWO
    )
    for axes, column in zip(every, found, strict=True):
        _draw(axes, column.of(values), content, looks)
        axes.set_title(column.title, fontsize=8.5)
        axes.set_xlabel(CONTENT.title.replace("\n", " "))
    return made
