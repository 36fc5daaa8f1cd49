"""Feed-forward: style, content and seconds of optimisation and of trained networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylebench.config import OPTIMISE
from stylebench.figures import NoDataError, figure, layout, steps_of, table, trained
from stylebench.figures.arms import in_common, judged
from stylebench.figures.claims import UNIT, claims
from stylebench.figures.dots import Column as Judged
from stylebench.figures.dots import counts, draw_mean, judges_told, trouble
from stylebench.figures.intervals import Array, interval
from stylebench.figures.layout import annotate, below, narrow, wrapped
from stylebench.figures.style import OTHERS, caption, family, over_seeds
from stylebench.store import Results

NAME = "feedforward"
STYLE, CONTENT = "swd_share", "ssim"
REFERENCE = "p-vgg19"
"""The network whose arm without smoothing is that which the others of its system differ from."""
SYSTEMS = {
    OPTIMISE: ("optimisation", "o"), "sanet": ("SANet", "s"), "adain": ("AdaIN", "^"),
    "magenta": ("Magenta", "D"),
}  # fmt: skip
"""What systems are called, in order, and their markers."""
COLORS = {
    "p-vgg19": "#0072B2", "p-resnet50": "#D55E00", "r-vgg19": "#56B4E9", "r-resnet50": "#E69F00",
}  # fmt: skip
SCATTER, ROWS, NAMES, GAP = 4.0, 2.05, 2.1, 0.3
"""Inches: the first panel's side, a column of rows, their names, between columns."""
ROW, HEAD = 0.2, 0.85
"""Inches: a row, and title and names of columns."""


@dataclass(frozen=True)
class Arm:
    """A row of the figure: an arm of `arms.judged`, its parts, and how it is drawn."""

    name: str
    system: str
    network: str
    smoothing: str

    @property
    def called(self) -> str:
        """What stands before its row, under the name of its system."""
        if self.network == self.system:
            return "as published"
        return self.network + ("" if self.smoothing == "none" else f", {self.smoothing}")

    @property
    def look(self) -> dict[str, Any]:
        """The look of its marker: hollow under a smoothing."""
        color = COLORS.get(self.network, OTHERS[1][0])
        inside = color if self.smoothing == "none" else "white"
        return {
            "color": color, "marker": SYSTEMS[self.system][1], "linestyle": "", "markersize": 6,
            "markerfacecolor": inside, "markeredgewidth": 1.2,
        }  # fmt: skip


def _arms(results: Results, frame: pd.DataFrame) -> list[Arm]:
    """Return the arms of judged jobs, system by system."""
    systems = dict(zip(results.results["arch"], results.results["system"], strict=True))
    rows = frame[["arm", "arch", "smoothing"]].drop_duplicates("arm").astype(str)
    found = [
        Arm(arm, systems[arch], arch.removeprefix(f"{systems[arch]} "), smoothing)
        for arm, arch, smoothing in rows.itertuples(index=False, name=None)
    ]
    systems_, networks = list(SYSTEMS), list(COLORS)

    def place(arm: Arm) -> tuple[Any, ...]:
        known = networks.index(arm.network) if arm.network in networks else len(networks)
        return systems_.index(arm.system), known, family(arm.network), arm.smoothing != "none"

    return sorted((arm for arm in found if arm.system in SYSTEMS), key=place)


def _values(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric of each arm and pair, the mean over judges of all arms, and over seeds."""
    part = in_common(frame[frame["metric"] == metric])
    of = ["arm", *UNIT, "seed"]
    part = part.dropna(subset="value").groupby(of, observed=True)["value"].mean().reset_index()
    return over_seeds(part, ["arm", *UNIT]).set_index(["arm", *UNIT])[["value", "seeds"]]


def _of(values: pd.DataFrame, arm: str) -> "pd.Series[float]":
    names = values.index.get_level_values("arm").astype(str)
    found: pd.Series[float] = values.loc[names == arm, "value"].droplevel("arm")
    return found


def _numbers(values: "pd.Series[float]") -> Array:
    return np.asarray(values, dtype=np.float64)


def _reference(arm: Arm, arms: Sequence[Arm]) -> str:
    """Return the arm that an arm is told as a difference to; "" for none, or for itself."""
    same = [a.name for a in arms if (a.system, a.network, a.smoothing) == (
        arm.system, REFERENCE, "none")]  # fmt: skip
    return same[0] if same and same[0] != arm.name else ""


def _scatter(axes: Axes, arms: Sequence[Arm], style: pd.DataFrame, kept: pd.DataFrame) -> None:
    """Draw the mean of each arm, style upwards and content to the right, with their intervals."""
    for arm in arms:
        x, y = (interval(_numbers(_of(values, arm.name))) for values in (kept, style))
        axes.plot([x.low, x.high], [y.mean, y.mean], color=arm.look["color"], linewidth=0.8)
        axes.plot([x.mean, x.mean], [y.low, y.high], color=arm.look["color"], linewidth=0.8)
        axes.plot([x.mean], [y.mean], zorder=4, **arm.look)
    axes.set_xlabel("content kept: SSIM")
    axes.set_ylabel("style: SWD share")
    axes.set_title("Up and to the right is better", fontsize=8.5)


def _seconds(results: Results, arms: Sequence[Arm]) -> dict[str, Array]:
    """Return the seconds of the pictures of each arm: of one pass, or of an optimisation."""
    jobs = judged(results).drop_duplicates("job_id").set_index("job_id")["arm"].astype(str)
    rows = results.results.set_index("job_id")
    seconds = rows["pass_seconds"].fillna(rows["seconds"])
    known = seconds[seconds > 0]
    return {arm.name: _numbers(known[known.index.isin(jobs.index[jobs == arm.name])])
            for arm in arms}  # fmt: skip


def _column(
    axes: Axes, title: str, arms: Sequence[Arm], places: Sequence[float],
    values: Callable[[Arm], Array],
) -> None:  # fmt: skip
    """Draw values of every arm in its row."""
    found = [values(arm) for arm in arms]
    known = np.concatenate([each for each in found if len(each)] or [np.zeros(1)])
    if axes.get_xscale() == "log":
        axes.set_xlim(known.min() / 1.6, known.max() * 1.6)
    else:
        pad = 0.08 * max(np.ptp(known), 0.1)
        axes.set_xlim(min(known.min(), 0) - pad, max(known.max(), 0) + pad)
        axes.axvline(0, color="#777777", linewidth=0.9, zorder=1)
    for arm, place, each in zip(arms, places, found, strict=True):
        if len(each):
            draw_mean(axes, place, each, arm.look | {"markersize": 5}, upright=False)
    axes.set_title(title, fontsize=8.5)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _rows(arms: Sequence[Arm]) -> tuple[list[float], dict[str, float], float]:
    """Return the places of arms from the top in rows, those of systems' names, and the height."""
    places: list[float] = []
    heads: dict[str, float] = {}
    at = 0.5
    for arm in arms:
        if arm.system not in heads:
            heads[arm.system] = at
            at += 1
        places.append(at)
        at += 1
    return places, heads, at


def _entries(arms: Sequence[Arm]) -> dict[str, dict[str, Any]]:
    """Return the legend: systems by marker, networks by colour, smoothing by what is hollow."""
    grey = {"linestyle": "", "color": "#444444", "markersize": 6}
    found: dict[str, dict[str, Any]] = {
        SYSTEMS[system][0]: grey | {"marker": SYSTEMS[system][1]}
        for system in dict.fromkeys(arm.system for arm in arms)
    }
    for network in dict.fromkeys(arm.network for arm in arms if arm.network in COLORS):
        found[f"losses: {network}"] = {"linestyle": "-", "linewidth": 4, "color": COLORS[network]}
    for smoothing in dict.fromkeys(arm.smoothing for arm in arms if arm.smoothing != "none"):
        found[smoothing] = grey | {"marker": "o", "markerfacecolor": "white"}
    return found


def _note(results: Results, frame: pd.DataFrame, style: pd.DataFrame) -> str:
    jobs = results.results[results.results["status"] == "ok"]
    over = counts(style.reset_index(), ["arm"])
    told = (
        f"Means, bootstrap 95 % intervals over {over}; faint dots: pairs. Style: SWD share (0: the "
        "content picture, 1: the style's statistics), mean over judges.\n"
        f"Differences are paired: from the same system by {REFERENCE}, unsmoothed. One training of "
        "each network: intervals speak of these very ones."
    )
    common = in_common(frame[frame["metric"] == STYLE])
    keys = common[["metric", "judge", "judge_weights"]].drop_duplicates()
    judges = judges_told(Judged(*key) for key in keys.itertuples(index=False, name=None))
    seconds = f"Seconds on {', '.join(sorted(set(jobs['device'])))}, once networks are loaded."
    lines = [told, f"{judges}.  {seconds}", trouble(results), caption(results, jobs)]
    return "\n".join(filter(None, lines))


@figure(NAME, experiment=NAME)
def feedforward(results: Results) -> Figure:
    """Style against content, differences by loss network and smoothing, and seconds a picture."""
    frame = judged(results)
    style, kept = (_values(frame, metric) for metric in (STYLE, CONTENT))
    if not len(style) or not len(kept):
        raise NoDataError(f"no {STYLE} beside {CONTENT} that all arms were judged by")
    arms = _arms(results, frame)
    seconds = _seconds(results, arms)

    def difference(values: pd.DataFrame) -> Callable[[Arm], Array]:
        def of(arm: Arm) -> Array:
            other = _reference(arm, arms)
            if not other:
                return np.zeros(0)
            return _numbers((_of(values, arm.name) - _of(values, other)).dropna())

        return of

    here = results.results["model"].map(steps_of) > 0
    how = "; ".join(trained(results.results[here]))
    title = "Does the backbone decide in a trained network too?" + (f"  {how}" if how else "")
    note, entries = wrapped(_note(results, frame, style), 7.5), _entries(arms)
    if narrow():
        title = wrapped(title, 11)
    places, heads, rows = _rows(arms)
    foot = below(-(-len(entries) // layout.legend_columns(entries)), note) + 0.55
    height = HEAD + max(rows * ROW, SCATTER) + foot
    total = layout.width()
    made = Figure(figsize=(total, height))
    scale = total / layout.WIDTH

    def axes(left: float, width: float, tall: float) -> Axes:
        bottom = height - HEAD - tall
        return made.add_axes((left * scale / total, bottom / height, width * scale / total,
                              tall / height))  # fmt: skip

    _scatter(axes(0.6, SCATTER, max(rows * ROW, SCATTER)), arms, style, kept)
    columns = (
        (f"style − that of {REFERENCE}\nSWD share", difference(style), "linear"),
        (f"content − that of {REFERENCE}\nSSIM", difference(kept), "linear"),
        ("seconds a picture", lambda arm: seconds[arm.name], "log"),
    )
    left = 0.6 + SCATTER + NAMES + 0.2
    for number, (name, values, kind) in enumerate(columns):
        place = axes(left + number * (ROWS + GAP), ROWS, max(rows * ROW, SCATTER))
        place.set_ylim(rows, 0)
        place.set_xscale(kind)
        _column(place, name, arms, places, values)
        if kind == "log":
            layout.log_axis(place, across=True)
        if not number:
            _names(place, arms, places, heads)
    annotate(made, title, note, entries)
    return made


def _names(
    axes: Axes, arms: Sequence[Arm], places: Sequence[float], heads: dict[str, float]
) -> None:
    """Write the names of systems and arms left of the rows."""
    look: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    x = -NAMES / ROWS
    for system, place in heads.items():
        axes.text(x, place, SYSTEMS[system][0], fontsize=8.5, fontweight="bold", **look)
    for arm, place in zip(arms, places, strict=True):
        axes.text(x, place, f"   {arm.called}", fontsize=8, **look)


@table(NAME, experiment=NAME)
def comparisons(results: Results) -> pd.DataFrame:
    """Paired comparisons a − b: loss networks with p-vgg19, smoothing with none, systems.

    Of one system, each arm with p-vgg19's without smoothing, and each smoothed one with the same
    network's without; of systems, the arms of p-vgg19 without smoothing, and Magenta. difference:
    mean of a − b with its bootstrap 95 % interval; p: two-sided, Wilcoxon's signed-rank test, not
    corrected for the number of comparisons.
    """
    frame = judged(results)
    arms = _arms(results, frame)
    pairs = [(arm.name, other) for arm in arms if (other := _reference(arm, arms))]
    plain = {(arm.system, arm.network): arm.name for arm in arms if arm.smoothing == "none"}
    pairs += [
        (arm.name, plain[arm.system, arm.network])
        for arm in arms
        if arm.smoothing != "none" and (arm.system, arm.network) in plain
    ]
    first = [plain[s, n] for s, n in plain if n in (REFERENCE, "magenta")]
    pairs += [(a, b) for i, b in enumerate(first) for a in first[i + 1 :]]
    return claims(frame, list(dict.fromkeys(pairs)))
