"""What the metrics say of arms: which are shown together, a line under a picture, panels of dots.

Style, colour and content always stand beside each other: no single one is the quality.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stylebench.figures import NoDataError
from stylebench.store import Results

from ._arms import MEASURE, in_common, judged, scores
from ._common import Look, backbone_names, caption, looks, shorten
from ._furniture import TWO, annotate, panels
from ._strips import strip

UNDER_JUDGES = {"gram_share": "Gram distance", "swd_share": "feature distribution (SWD)"}
PLAIN = {"texture_share": "texture (Portilla–Simoncelli)", "colour_share": "colour (CIELAB)"}
CONTENT = {"ssim": "content: SSIM", "edges": "content: edge agreement"}
"""Metrics that are shown, and their names; the shares are of the way from content to style."""

JUDGES = 2
"""Judges shown at most, pretrained before random."""

LOWEST = -1.0
"""Values under it are drawn at the edge: a share has no lower bound."""

COLUMNS = 4
ROW, LEAST, GAP, LETTER = 0.2, 0.75, 0.78, 0.068
"""Inches: an arm, a panel at least, between rows of panels, a character of an arm's name."""

LABEL = 42
"""Characters of an arm's name, at most."""


@dataclass(frozen=True)
class Measure:
    """A metric under one judge (empty where it needs none), and what it is called in figures."""

    metric: str
    judge: str
    judge_weights: str
    title: str

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of this measure that have a value."""
        same: pd.Series[bool] = (
            frame["metric"].eq(self.metric)
            & frame["judge"].eq(self.judge)
            & frame["judge_weights"].eq(self.judge_weights)
        )
        found: pd.DataFrame = frame[same & np.isfinite(frame["value"])]
        return found

    @property
    def is_share(self) -> bool:
        """Whether 0 is the content picture and 1 the style's."""
        return self.metric.endswith("_share")


def judges(frame: pd.DataFrame, limit: int = JUDGES) -> list[tuple[str, str]]:
    """Return (judge, weights) of the shares in `frame`, pretrained first, `limit` at most."""
    asked = frame[frame["metric"].isin(UNDER_JUDGES) & frame["judge"].ne("")]
    found = set(zip(asked["judge"], asked["judge_weights"], strict=True))
    return sorted(found, key=lambda judge: (judge[0].startswith("r-"), judge))[:limit]


def measures(frame: pd.DataFrame, *, content: bool = True, limit: int = JUDGES) -> list[Measure]:
    """Return what is shown of metrics: style under the judges, texture and colour, content.

    Args:
        frame: of `_arms.judged`; judges that did not judge all arms are to be left out before.
        content: with the measures of the content.
        limit: judges at most.
    """
    under = [
        Measure(metric, judge, weights, f"{name}\njudge {judge}")
        for metric, name in UNDER_JUDGES.items()
        for judge, weights in judges(frame, limit)
    ]
    plain = PLAIN | (CONTENT if content else {})
    listed = [*under, *(Measure(metric, "", "", name) for metric, name in plain.items())]
    return [measure for measure in listed if len(measure.of(frame))]


def notes(frame: pd.DataFrame, *, content: bool = True) -> tuple[dict[str, str], str]:
    """Return a line for under each picture by job_id, and what it means.

    Style is the Gram share under each judge of `judges`; content is SSIM, or the texture's share in
    its place without `content`.
    """
    frame = in_common(frame)
    style = [m for m in measures(frame) if m.metric == "gram_share"]
    last, word = ("ssim", "SSIM") if content else ("texture_share", "texture")
    values = {m: m.of(frame).set_index("job_id")["value"] for m in measures(frame)}
    lines = {}
    for job in frame["job_id"].unique():
        shares = [f"{values[m][job]:z.2f}" for m in style if job in values[m]]
        parts = [f"style {', '.join(shares)}"] if shares else []
        parts += [
            f"{word} {found[job]:z.2f}"
            for m, found in values.items()
            if m.metric == last and job in found
        ]
        lines[str(job)] = "  ".join(parts)
    meaning = (
        f"style: share of the Gram distance covered, judge {', '.join(m.judge for m in style)}"
    )
    other = "SSIM: with the content" if content else "texture: share of its distance covered"
    return lines, "; ".join([*([meaning] if style else []), other]) + "."


def pictures(
    results: Results, jobs: pd.DataFrame, *, content: bool = True, told: str = ""
) -> Figure:
    """Return the sheet of pictures of jobs, with a line of scores under each where there are any.

    Args:
        results: the folder that has the pictures.
        jobs: as `_strips.strip` takes them.
        content: as `notes` takes it.
        told: a line under the sheet.
    """
    lines, meaning = notes(judged(results), content=content) if len(results.metrics) else ({}, "")
    return strip(results, jobs, notes=lines, told=[meaning, told])


def count(frame: pd.DataFrame) -> str:
    """Return how many pairs and seeds there are: ``6 pairs, 2 seeds``."""
    pairs, seeds = len(frame[["content", "style"]].drop_duplicates()), frame["seed"].nunique()
    return f"{pairs} pair{'s' * (pairs > 1)}, {seeds} seed{'s' * (seeds > 1)}"


def by_pair(frame: pd.DataFrame) -> pd.DataFrame:
    """Return metrics averaged over the seeds of each pair: intervals are over pairs."""
    keys = ["arm", *MEASURE, "content", "style"]
    return frame.groupby(keys, observed=True)["value"].mean().reset_index()


def look_of(results: Results, frame: pd.DataFrame) -> dict[str, Look]:
    """Return how each arm is drawn: as its backbone is in all figures."""
    names = dict(
        zip(results.results["job_id"], backbone_names(results.results), strict=True),
    )
    known = looks(results)
    first = frame.drop_duplicates("arm")
    return {
        str(arm): known[names[job]] for arm, job in zip(first["arm"], first["job_id"], strict=True)
    }


def marker(look: Look) -> dict[str, Any]:
    """Return keyword arguments of ``Axes.errorbar`` for a mean with its interval."""
    return {
        "color": look.color, "marker": look.marker, "markersize": 5, "elinewidth": 1.3,
        "markerfacecolor": look.color if look.pretrained else "white", "linestyle": "none",
    }  # fmt: skip


def _draw(axes: Axes, part: pd.DataFrame, places: dict[str, int], styles: dict[str, Look]) -> None:
    """Draw the values of one measure as dots and their means with intervals, an arm a line."""
    for arm, values in part.groupby("arm", observed=True)["value"]:
        look, place = styles[str(arm)], places[str(arm)]
        low = values < LOWEST
        options: dict[str, Any] = {
            "color": look.color,
            "alpha": 0.3,
            "linestyle": "none",
            "markeredgewidth": 0,
        }
        axes.plot(values[~low], [place] * int((~low).sum()), "o", markersize=4, **options)
        axes.plot([LOWEST] * int(low.sum()), [place] * int(low.sum()), "<", markersize=5, **options)
    table = scores(by_pair(part))
    for row in table.to_dict("records"):
        arm = str(row["arm"])
        if row["mean"] < LOWEST:
            axes.plot(LOWEST, places[arm], "<", color=styles[arm].color, markersize=7)
            continue
        low, high = (abs(row[key] - row["mean"]) for key in ("low", "high"))
        low = min(low, row["mean"] - LOWEST)
        error = None if np.isnan(low) else [[low], [high]]
        axes.errorbar(row["mean"], places[arm], xerr=error, **marker(styles[arm]))


def _furnish(axes: Axes, measure: Measure, places: dict[str, int]) -> None:
    axes.set_title(measure.title, fontsize=8.5)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    if measure.is_share:
        axes.axvline(0, color="#999999", linewidth=0.8, zorder=0)
        axes.axvline(1, color="#999999", linewidth=0.8, zorder=0)
        axes.set_xlabel("share covered: 0 = content, 1 = style")
    else:
        axes.set_xlabel("1 = the content picture")


def dots(
    results: Results, frame: pd.DataFrame, title: str, *, content: bool = True, told: str = ""
) -> Figure:
    """Return panels of the measures: a line an arm, single values as dots, means with intervals.

    Args:
        results: of the folder.
        frame: of `_arms.judged`, or a part of it.
        title: of the figure.
        content: with the measures of the content.
        told: a line of the note.

    Raises:
        NoDataError: no measure is common to all arms.
    """
    frame = in_common(frame)
    shown = measures(frame, content=content)
    if not shown:
        raise NoDataError("no metric that all arms have")
    arms = [arm for arm in frame["arm"].cat.categories if arm in set(frame["arm"])]
    places, styles = {str(arm): index for index, arm in enumerate(arms)}, look_of(results, frame)
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    labels = [shorten(arm, LABEL) for arm in places]
    jobs = results.results[results.results["job_id"].isin(frame["job_id"])]
    note = (
        f"Markers: mean and bootstrap 95 % interval over pairs; dots: single pictures "
        f"({count(frame)}); ◂ under {LOWEST:g}. Judges: networks that no arm optimised."
    )
    lines = [note, *([told] if told else []), caption(results, jobs)]
    height = max(LEAST, ROW * (len(arms) + 1))
    left = 0.3 + LETTER * max(map(len, labels))
    figure, grid = panels(
        rows,
        columns,
        height=height,
        gap=GAP,
        legend=(),
        left=left,
        notes=len(lines),
        sharex=False,
        head=TWO,
    )
    for index, axes in enumerate(axes for line in grid for axes in line):
        if index >= len(shown):
            axes.set_axis_off()
            continue
        _draw(axes, shown[index].of(frame), places, styles)
        _furnish(axes, shown[index], places)
        axes.set_yticks(range(len(arms)), labels if index % columns == 0 else [""] * len(arms))
    annotate(figure, title, "\n".join(lines), {})
    return figure
