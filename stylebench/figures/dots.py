"""Dots: arms as rows, metrics as columns; means with intervals, and every pair as a faint dot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stylebench.figures import NoDataError
from stylebench.figures import layout as frame_of
from stylebench.figures.arms import MEASURE, in_common, judged, labelled
from stylebench.figures.claims import by_pair, judges
from stylebench.figures.intervals import interval
from stylebench.figures.layout import LINE, NARROW, annotate, below, narrow
from stylebench.figures.style import Look, arch_looks, caption, flagged, legend_label, shorten
from stylebench.store import Results

ROW, HEAD, LEFT, RIGHT, BETWEEN = 0.185, 0.92, 2.35, 0.1, 0.13
"""Inches: a row, title and columns' names, the rows' names, the right edge, between columns."""
SIDES = 0.18, 0.16
"""`RIGHT` and `BETWEEN` where a figure is narrower, and numbers stand at the ends of axes."""
NAME, JUDGE = 42, 24
"""Characters: of a row's name, of a judge's."""
FLAGGED, ARMS = 34, 5
"""Characters of an arm's name, and how many of them, where jobs with a flag are told."""
FLOOR = -1.0
"""Shares further below are drawn as arrows at the edge: a distance has no upper bound."""
SERIES = ("o", "D", "^")
SPREAD = 0.4
"""Of a row's height, between its series."""
JUDGED = ("gram_share", "swd_share")
"""What is shown of the style under each judge, unless a figure shows more."""
TITLES = {
    "gram_share": "Gram share", "swd_share": "SWD share", "effectiveness": "effectiveness",
    "texture_share": "texture share", "colour_share": "colour share", "ssim": "SSIM",
    "edges": "edges", "lpips": "LPIPS",
}  # fmt: skip
OF = {"texture_share": "of luminance", "colour_share": "CIELAB", "ssim": "with content",
      "edges": "with content", "lpips": "to content, less: nearer"}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A metric under a judge; `judge` and `weights` are empty where none is needed."""

    metric: str
    judge: str
    weights: str

    @property
    def title(self) -> str:
        """Two lines: the metric; its judge, or what it is of."""
        judge = shorten(self.judge.replace("timm:", ""), JUDGE)
        return f"{TITLES[self.metric]}\n{OF.get(self.metric, judge)}"

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of this metric and judge."""
        return frame[(frame[MEASURE] == [self.metric, self.judge, self.weights]).all(axis=1)]


def columns(frame: pd.DataFrame, of_judges: Sequence[str] = JUDGED) -> list[Column]:
    """Return style under each of `judges`, texture, colour and content, as far as they are there.

    Args:
        frame: of `judged` or `by_pair`, without NaN; where arms are compared, of `in_common`.
        of_judges: metrics that stand under each of them.
    """
    known = set(frame[MEASURE].drop_duplicates().itertuples(index=False, name=None))
    lpips = sorted(key for key in known if key[0] == "lpips")
    wanted = [
        *((metric, *judge) for metric in of_judges for judge in judges(frame)),
        *((metric, "", "") for metric in ("texture_share", "colour_share", "ssim")),
        *(lpips[:1] or [("edges", "", "")]),
    ]
    return [Column(*key) for key in wanted if key in known]


@dataclass(frozen=True)
class Layout:
    """Where the rows stand: (group, row) -> place from the top, in rows; the groups' headings."""

    rows: Mapping[tuple[str, str], float]
    heads: Mapping[str, float]
    height: float


def layout(frame: pd.DataFrame) -> Layout:
    """Return the places of the rows of a frame with columns group and row, ordered categories.

    Groups have headings unless each has but one row.
    """
    found = frame[["group", "row"]].drop_duplicates().sort_values(["group", "row"])
    sizes = found.groupby("group", observed=True).size()
    place, rows, heads = 0.5, {}, {}
    for group, size in sizes.items():
        if sizes.max() > 1:
            heads[str(group)] = place
            place += 1
        for row in found.loc[found["group"] == group, "row"]:
            rows[str(group), str(row)] = place
            place += 1
        place += 0.35 if size > 1 else 0
    return Layout(rows, heads, place - 0.5)


def draw_mean(
    axes: Axes, place: float, values: np.ndarray[Any, Any], look: dict[str, Any], *, upright: bool
) -> float:
    """Draw values of pairs as dots, their mean and its bootstrap interval; return the mean.

    Args:
        axes: with limits; what is below them, the mean too, becomes an arrow at the edge. On a
            logarithmic axis the mean is the geometric one.
        place: on the other axis.
        values: (n,).
        look: of the mean's marker.
        upright: the values' axis is y.
    """
    edge, kind = axes.get_xlim()[0], axes.get_xscale()
    if upright:
        edge, kind = axes.get_ylim()[0], axes.get_yscale()
    if kind == "log":
        found = interval(np.log(values))
        mean, low, high = (float(np.exp(v)) for v in (found.mean, found.low, found.high))
    else:
        found = interval(values)
        mean, low, high = found.mean, found.low, found.high

    def plot(along: Any, **style: Any) -> None:
        across = np.full(len(along), place)
        axes.plot(*((across, along) if upright else (along, across)), **style)

    inside, color, arrow = values[values >= edge], look["color"], "v" if upright else "<"
    dot = {"marker": ".", "linestyle": "", "markersize": 4, "markeredgewidth": 0, "alpha": 0.35}
    plot(inside, color=color, zorder=2, **dot)
    if len(inside) < len(values):
        plot([edge], color=color, clip_on=False, marker=arrow, markersize=4, alpha=0.5)
    plot([max(low, edge), high], color=color, linewidth=1.4)
    beyond = {"marker": arrow} if mean < edge else {}
    plot([max(mean, edge)], clip_on=False, zorder=4, **look | beyond)
    return max(mean, edge)


def limits(values: "pd.Series[float]", *, floor: bool) -> tuple[float, float]:
    """Return the ends of an axis that shows the values and zero, shares from `FLOOR` up."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    low = max(low, FLOOR) if floor else low
    pad = 0.05 * ((high - low) or 1.0)
    return low - pad, high + pad


def _column(
    axes: Axes, column: Column, frame: pd.DataFrame, places: Layout, looks: Mapping[str, Look],
    series: Sequence[str],
) -> None:  # fmt: skip
    found = column.of(frame)
    axes.set_xlim(*limits(found["value"], floor=column.metric.endswith("_share")))
    axes.set_ylim(places.height, 0)
    axes.axvline(0, color="#777777", linewidth=0.9, zorder=1)
    for number, ((group, row), place) in enumerate(places.rows.items()):
        part = found[(found["group"] == group) & (found["row"] == row)]
        there = [name for name in series if (part["series"] == name).any()]
        if len(series) > 1 and number % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", zorder=0, linewidth=0)
        for name in there:
            chosen = part[part["series"] == name]
            look = mark(looks[chosen["arch"].iloc[0]])
            if len(series) > 1:
                look |= {"marker": SERIES[series.index(name) % len(SERIES)], "markersize": 4}
            shift = SPREAD * (there.index(name) - (len(there) - 1) / 2)
            draw_mean(axes, place + shift, chosen["value"].to_numpy(), look, upright=False)
    axes.set_title(column.title, fontsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def mark(look: Look) -> dict[str, Any]:
    """Return the look of a mean: the marker of a line, without the line."""
    return look.line() | {"linestyle": "", "markersize": 5}


def counts(frame: pd.DataFrame, keys: Sequence[str] = ("arm", *MEASURE)) -> str:
    """Return what means are over: ``8 pairs, each averaged over 1–3 seeds``.

    Args:
        frame: of `by_pair`, or another with a row a pair and a column seeds.
        keys: what makes the rows of one mean.
    """
    pairs, seeds = frame.groupby(list(keys), observed=True).size(), frame["seeds"]
    told = f"{_range(pairs)} pair{'s' if pairs.max() > 1 else ''}"
    return f"{told}, each averaged over {_range(seeds)} seed{'s' if seeds.max() > 1 else ''}"


def _range(values: "pd.Series[int]") -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low}–{high}"


def trouble(results: Results) -> str:
    """Return lines of what did not go as planned: arms not there, diverged, or not moved; or ""."""
    jobs = results.results
    told = []
    for status in ("unavailable", "failed"):
        part = jobs[jobs["status"] == status]
        if len(part):
            names = ", ".join(sorted(set(part["arch"])))
            told.append(f"{status}: {len(part)} jobs of {names}")
    done = jobs[jobs["status"] == "ok"]
    for flag in ("diverged", "did-not-move"):
        count = int(flagged(done, flag).sum())
        if count:
            names = _arms_told(labelled(done).loc[flagged(done, flag), "arm"])
            met = int(flagged(done, "loss-met").sum()) if flag == "did-not-move" else 0
            but = f", the loss met in {met}" if met else ""
            told.append(f"{flag.replace('-', ' ')}{but}: {count} of {len(done)} jobs ({names})")
    return "\n".join(told)


def _arms_told(arms: "pd.Series[str]") -> str:
    """Return the names of arms with how many jobs each has, the first `ARMS` of them."""
    counted = arms.astype(str).groupby(arms, observed=True).size()
    told = [f"{shorten(str(arm), FLAGGED)}: {count}" for arm, count in counted.items()]
    more = [f"{len(told) - ARMS} more arms"] if len(told) > ARMS else []
    return "; ".join([*told[:ARMS], *more])


def drawn_once(results: Results) -> str:
    """Return of what intervals speak if random weights were drawn once; "" if several times."""
    jobs = results.results[results.results["status"] == "ok"]
    made_up = jobs[jobs["weights"].str.startswith("random")]
    draws = made_up.groupby(["arch", "options"])["weights"].nunique()
    if not draws.eq(1).any():
        return ""
    return "One seed of random weights: intervals speak of these very networks, not of others."


def judges_told(found: Iterable[Column]) -> str:
    """Return the judges of columns with the identity of their weights."""
    told = dict.fromkeys(f"{c.judge} ({c.weights})" for c in found if c.judge)
    return "judges: " + ", ".join(told) if told else "no judge is common to all arms"


def foot(results: Results, told: str, found: Sequence[Column]) -> str:
    """Return the lines under a figure of scores: `told`, judges and names, settings.

    Args:
        results: drawn from.
        told: what stands first.
        found: the columns that are drawn.

    Returns:
        Three lines, and those of `drawn_once` and `trouble` if there are any.
    """
    jobs = results.results[results.results["status"] == "ok"]
    second = f"{judges_told(found)}.  p- pretrained (filled), r- random weights (hollow)."
    cautions = [drawn_once(results), trouble(results)]
    return "\n".join(filter(None, [told, second, *cautions, caption(results, jobs)]))


def dots(
    results: Results, title: str, frame: pd.DataFrame | None = None, *, group: str = "backbone",
    row: str = "smoothing", what: str = "", of_judges: Sequence[str] = JUDGED,
) -> Figure:  # fmt: skip
    """Return the figure of arms × metrics.

    Args:
        results: drawn from.
        title: of the figure.
        frame: of `by_pair`, of all arms by default, or of `differences`; with a column series, a
            category, where a row holds several arms.
        group: column of the groups of rows, an ordered category.
        row: column of the rows, another.
        what: stands first in the note.
        of_judges: as that of `columns`.

    Raises:
        NoDataError: no metric that all arms were judged by.
    """
    frame = by_pair(judged(results)) if frame is None else frame
    frame = frame.assign(group=frame[group], row=frame[row])
    frame = frame if "series" in frame else frame.assign(series=pd.Categorical([""] * len(frame)))
    found = columns(in_common(frame), of_judges)
    if not found:
        raise NoDataError("no metric that all arms of these results were judged by")
    series = [str(name) for name in frame["series"].cat.categories]
    places = layout(frame)
    legend = series if len(series) > 1 else []
    shown = frame[frame["metric"].isin([column.metric for column in found])]
    told = (
        f"{what}Means and bootstrap 95 % intervals over {counts(shown)}; faint dots: single pairs; "
        "◂ beyond the edge. A share is 0 at the content picture and 1 at the style's statistics."
    )
    note = frame_of.wrapped(foot(results, told, found), 7.5)
    total, left, right, across = frame_of.width(), LEFT, RIGHT, len(found)
    between = BETWEEN
    if narrow():
        left, right, between = min(LEFT, 0.4 * total), *SIDES
        across = min(across, max(1, int((total - left - right + between) / (NARROW + between))))
        title = frame_of.wrapped(title, 11)
    foot_height = below(bool(legend), note) + 0.5
    bands, band = -(-len(found) // across), HEAD + places.height * ROW
    above = LINE * title.count("\n")
    height = bands * band + foot_height + above
    figure = Figure(figsize=(total, height))
    width = (total - left - right - (across - 1) * between) / across
    for number, column in enumerate(found):
        place, at = divmod(number, across)
        bottom = height - above - (place + 1) * band
        box = (left + at * (width + between), bottom, width, band - HEAD)
        axes = figure.add_axes((box[0] / total, box[1] / height, box[2] / total, box[3] / height))
        _column(axes, column, frame, places, arch_looks(results), series)
        if not at:
            _names(axes, places, left)
    entries = {
        name: {"marker": SERIES[number % len(SERIES)], "linestyle": "", "color": "#444444"}
        for number, name in enumerate(legend)
    }
    annotate(figure, title, note, entries)
    return figure


def _names(axes: Axes, places: Layout, left: float) -> None:
    """Write the names of groups and rows left of the first column."""
    x = -(left - 0.12) / (axes.get_position().width * frame_of.width())
    room = round(NAME * left / LEFT)
    look: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    for group, place in places.heads.items():
        axes.text(x, place, shorten(group, room), fontweight="bold", fontsize=8.5, **look)
    for (group, row), place in places.rows.items():
        name = f"   {row}" if places.heads else (group if len(group) else row)
        axes.text(x, place, legend_label(shorten(name, room)), fontsize=8, **look)
