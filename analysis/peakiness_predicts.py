"""Does a statistic of its feature maps predict how well a backbone stylises?

The paper says that peaky maps, with large maxima and a softmax entropy near 0, are why residual
networks stylise badly. Here each of its four statistics, and six that do not change with the scale
of the maps, stand against the scores of many backbones. `predictors` says what a correlation over
architectures can and cannot tell.
"""

from itertools import product

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import MEASURE
from stylebench.figures.dots import TITLES as SCORES
from stylebench.figures.dots import Column, columns, counts, trouble
from stylebench.figures.layout import COLUMNS, TWO, leftmost, panels
from stylebench.figures.predictors import (
    AVERAGED,
    DEEPEST,
    FEWEST,
    GROUPS,
    correlations,
    jobs,
    means,
    of_group,
    predictors,
)
from stylebench.figures.statistics import known
from stylebench.figures.style import FAMILIES, Look, caption, family, natural, shorten
from stylebench.store import Results

NAME = "peakiness_predicts"
ROW, GAP, HEIGHT, LEFT = 0.21, 0.8, 2.1, 2.0
"""Inches: a statistic, between rows of panels, a scatter plot, the names of statistics."""

COLORS = {True: "#D55E00", False: "#0072B2"}
"""Of statistics: the paper's, the scale-free ones."""

OTHER = Look("#9A9A9A", ".", pretrained=True)


@table(NAME, experiment=NAME)
def every(results: Results) -> pd.DataFrame:
    """Spearman's ρ of every statistic with every score over backbones.

    A score is the mean over pairs, seeds averaged first; a statistic the mean over images, at the
    deepest stage or over all stages (log10 of maxima, ratios and ranks). low, high: bootstrap 95 %
    interval over backbones, which takes them as independent; p: not corrected for the number of
    statistics; p_holm: corrected for the statistics of one group, metric and judge, not for groups
    and scores.
    """
    frame, values = jobs(results), predictors(results)
    parts = {}
    asked = frame.loc[frame["metric"].isin(SCORES), MEASURE].drop_duplicates()
    for column in (Column(*key) for key in asked.itertuples(index=False, name=None)):
        for group in GROUPS:
            scores = of_group(means(frame, column), group)
            if len(scores) >= FEWEST:
                parts[group, column.metric, column.judge] = correlations(values, scores)
    if not parts:
        raise NoDataError(f"fewer than {FEWEST} backbones have statistics and metrics")
    found = pd.concat(parts, names=["backbones", "metric", "judge"]).reset_index([0, 1, 2])
    free = {name: panel.scale_free for name, panel in known().items()}
    found.insert(5, "scale_free", found["statistic"].map(free))
    return found.reset_index(drop=True)


def _draw(axes: Axes, found: pd.DataFrame) -> None:
    """Draw ρ with its interval, a line a statistic; filled at the deepest stage, else hollow."""
    titles = known()
    order = list(titles)
    for row in found.dropna(subset="rho").to_dict("records"):
        deepest = row["stages"] == DEEPEST
        color = COLORS[not titles[row["statistic"]].scale_free]
        place = order.index(row["statistic"]) + (-0.17 if deepest else 0.17)
        low, high = row["rho"] - row["low"], row["high"] - row["rho"]
        axes.errorbar(
            row["rho"], place, xerr=[[max(low, 0)], [max(high, 0)]], color=color, marker="o",
            markersize=4.5, markerfacecolor=color if deepest else "white", elinewidth=1.1,
        )  # fmt: skip
    axes.axvline(0, color="#777777", linewidth=0.9, zorder=0)
    papers = sum(not panel.scale_free for panel in titles.values())
    axes.axhline(papers - 0.5, color="#999999", linewidth=0.7, linestyle=(0, (3, 3)))
    axes.set(xlim=(-1.04, 1.04), ylim=(len(order) - 0.4, -0.6))
    axes.set_xlabel("Spearman's ρ")


@figure(NAME, experiment=NAME)
def coefficients(results: Results) -> Figure:
    """Spearman's ρ of statistics and scores over the random backbones, a panel a score."""
    frame, values = jobs(results), predictors(results)
    found = {c: of_group(means(frame, c), "random") for c in columns(frame)}
    found = {c: scores for c, scores in found.items() if len(scores) >= FEWEST}
    if not found:
        raise NoDataError(f"fewer than {FEWEST} random backbones have statistics and metrics")
    titles = [panel.title for panel in known().values()]
    look = {"marker": "o", "linestyle": "none"}
    entries = {
        "the paper's statistics, eqs. (5) to (8)": {**look, "color": COLORS[True]},
        "scale-free statistics": {**look, "color": COLORS[False]},
        "deepest stage": {**look, "color": "#555555"},
        AVERAGED: {**look, "color": "#555555", "markerfacecolor": "white"},
    }
    note = _foot(
        results,
        "Random backbones alone. Lines: bootstrap 95 % interval over backbones, taken as "
        "independent; no correction for the number of statistics. Scores: means over "
        f"{counts(frame)}.",
    )
    made, panel = panels(
        len(found), "Rank correlation of statistics and scores over backbones", note, entries,
        height=ROW * (len(titles) + 1), gap=GAP, left=LEFT, head=TWO,
    )  # fmt: skip
    for axes, (column, scores) in zip(panel, found.items(), strict=True):
        _draw(axes, correlations(values, scores))
        axes.set_title(f"{column.title} (n = {len(scores)})", fontsize=8)
        labels = [shorten(title, 34) if leftmost(axes) else "" for title in titles]
        axes.set_yticks(range(len(titles)), labels)
    return made


def _foot(results: Results, told: str) -> str:
    """Return the lines under a figure: `told`, `trouble` if there is any, and the settings."""
    return "\n".join(filter(None, [told, trouble(results), caption(results, results.results)]))


def _best(values: pd.DataFrame, scores: "list[pd.Series[float]]") -> str:
    """Return the scale-free statistic whose ρ at the deepest stage is largest over the scores."""
    found = pd.concat([correlations(values, part) for part in scores])
    free = [name for name, panel in known().items() if panel.scale_free]
    found = found[(found["stages"] == DEEPEST) & found["statistic"].isin(free)]
    strength = found.assign(rho=found["rho"].abs()).groupby("statistic", sort=False)["rho"].mean()
    if not strength.notna().any():
        raise NoDataError("no scale-free statistic differs between the backbones")
    return str(strength.idxmax())


def _look(backbone: str) -> Look:
    arch = backbone.split(" ")[0]
    if family(arch) not in FAMILIES:
        return OTHER
    return Look(*FAMILIES[family(arch)], pretrained=not arch.startswith("r-"))


def _scatter(axes: Axes, statistic: "pd.Series[float]", scores: "pd.Series[float]") -> None:
    """Draw a point a backbone, the paper's over the others."""
    both = pd.concat([statistic, scores], axis=1, keys=["x", "y"], join="inner").dropna()
    for name in sorted(both.index, key=lambda name: _look(name) is not OTHER):
        point, look = both.loc[name], _look(name)
        axes.plot(point["x"], point["y"], **{**look.line(), "linestyle": "none", "markersize": 6})


@figure("peakiness_scatter", experiment=NAME)
def scatter(results: Results) -> Figure:
    """Scores of all backbones against the paper's entropy and the best scale-free statistic."""
    frame, values = jobs(results), predictors(results)
    found = {c: means(frame, c) for c in columns(frame) if c.metric != "swd_share"}
    found = {c: scores for c, scores in found.items() if len(scores) >= FEWEST}
    style = [s for c, s in found.items() if c.metric in ("gram_share", "texture_share")]
    if not style:
        raise NoDataError(f"fewer than {FEWEST} backbones have statistics and metrics")
    found = dict(list(found.items())[: COLUMNS + 1])
    chosen = ("entropy", _best(values, style))
    names = {name.split(" ")[0]: _look(name).line() for name in frame["backbone"].unique()}
    paper = {arch: look for arch, look in names.items() if family(arch) in FAMILIES}
    order = sorted(paper, key=lambda arch: (list(FAMILIES).index(family(arch)), natural(arch)))
    entries = {arch: {**paper[arch], "linestyle": "none"} for arch in order}
    entries["other backbones"] = {**OTHER.line(), "linestyle": "none"}
    note = _foot(
        results,
        "A point is a backbone: statistic at the deepest stage, mean over images; score, mean over "
        f"{counts(frame)}. Below: of {sum(p.scale_free for p in known().values())} scale-free "
        "statistics the one with the largest mean |ρ| here, so that it looks better than it is.",
    )
    made, panel = panels(
        2 * len(found), "Scores against statistics of the deepest stage", note, entries,
        across=len(found), height=HEIGHT, gap=GAP, head=TWO,
    )  # fmt: skip
    for axes, (statistic, (column, scores)) in zip(
        panel, product(chosen, found.items()), strict=True
    ):
        _scatter(axes, values[(statistic, DEEPEST)], scores)
        axes.set_title(column.title, fontsize=8.5)
        panel_of = known()[statistic]
        axes.set_xlabel(("log10 " if panel_of.scale == "log" else "") + panel_of.title)
    return made
