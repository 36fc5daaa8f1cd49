"""Style at equal content: frontiers of arms over the weights of their style term."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import MEASURE
from stylebench.figures.claims import ARM, UNIT
from stylebench.figures.dots import JUDGED, Column, dots, foot
from stylebench.figures.frontiers import (
    CONTENT,
    compared,
    differences,
    frontiers,
    points,
)
from stylebench.figures.layout import TWO, panels
from stylebench.figures.style import SOLID, Look, arch_looks
from stylebench.store import Results
from stylebench.transfer import presets

NAME = "frontier"
YARDSTICK = "p-vgg19"
PRESETS = ("balanced", "robust")
"""Whose settings are called by their names."""
BESIDE = {("gradient", "fourier"): "robust, fourier"}
"""Settings that are a preset's but for the image: by balance and image."""
HEIGHT, GAP = 2.9, 0.85
"""Inches: a panel, and between rows of them."""
FEW = 2
"""Pairs under which the figure leaves a comparison out: it has no interval, and lacks metrics that
others have, of which the figure then shows none."""
MARGIN = 0.02
"""Of content, at the sides of a panel."""
DASHES: tuple[Any, ...] = (SOLID, (0, (4, 1.6)), (0, (1, 1.4)), (0, (6, 1.5, 1, 1.5)))
"""By setting, in order."""


def _points(results: Results, *, common: bool = True) -> pd.DataFrame:
    """Return `points`; where all settings are those of `PRESETS` these name them."""
    decided = ["balance", "image"]
    made = {name: presets.settings(name, {}) for name in PRESETS}
    known = BESIDE | {(each.loss.balance, each.image): name for name, each in made.items()}
    jobs = results.results
    preset = jobs["preset"].str.removesuffix(" (modified)")  # a style weight may be that of none
    found = pd.Series(jobs[decided].itertuples(index=False, name=None), jobs.index).map(known)
    if preset.isin(PRESETS).all() and found.notna().all():
        results = replace(results, results=jobs.assign(preset=found, balance="", image=""))
    return points(results, common=common)


def _arms(found: pd.DataFrame) -> pd.DataFrame:
    return found[ARM].drop_duplicates("arm").sort_values("arm")


def _look(row: "pd.Series[Any]", settings: list[str], looks: dict[str, Look]) -> dict[str, Any]:
    dashes = DASHES[settings.index(str(row["setting"])) % len(DASHES)]
    return looks[row["arch"]].line() | {"linestyle": dashes}


def _draw(axes: Axes, found: pd.DataFrame, look: dict[str, Any]) -> None:
    """Draw the frontiers of one arm faintly, and the mean of its pairs at each style weight."""
    for x, y in frontiers(found):
        axes.plot(x, y, color=look["color"], linewidth=0.7, alpha=0.13, zorder=1)
    means = _means(found)
    axes.plot(means["kept"], means["given"], zorder=3, **look | {"linewidth": 1.9, "markersize": 4})


def _means(found: pd.DataFrame) -> pd.DataFrame:
    """Return what an arm keeps and gives by style weight: means over the pairs that have all.

    Columns kept and given, by growing weight; no row where no pair has all weights.
    """
    known = found[np.isfinite(found["kept"]) & np.isfinite(found["given"])]
    pairs = known.groupby([*UNIT, "weight"], observed=True)[["kept", "given"]].mean().reset_index()
    weights = pairs.groupby(UNIT, observed=True)["weight"].transform("nunique")
    whole = pairs[weights == found["weight"].nunique()]
    means: pd.DataFrame = whole.groupby("weight")[["kept", "given"]].mean()
    return means


@figure(NAME, experiment=NAME)
def curves(results: Results) -> Figure:
    """Style against what is kept of the content, a curve an arm, every pair's frontier faint.

    The Gram share, which is near 1 for most, is in the table.
    """
    found, looks = _points(results), arch_looks(results)
    arms = _arms(found)
    settings = [str(name) for name in arms["setting"].cat.categories]
    styles = {str(row["arm"]): _look(row, settings, looks) for _, row in arms.iterrows()}
    every = found[MEASURE].drop_duplicates().itertuples(index=False)
    shown = [column for key in every if (column := Column(*key)).metric != "gram_share"]
    pairs = found[["content", "style"]].drop_duplicates()
    told = (
        f"Faint: the frontier of each of {len(pairs)} pairs over the style weights; bold: the mean "
        "of the pairs that have all, by weight. Up and to the right is better: more style at as "
        "much content."
    )
    drawn, places = panels(
        len(shown), "Style at equal content", foot(results, told, shown), styles,
        height=HEIGHT, gap=GAP, head=TWO,
    )  # fmt: skip
    for axes, column in zip(places, shown, strict=True):
        for arm, look in styles.items():
            _draw(axes, column.of(found[found["arm"].astype(str) == arm]), look)
        axes.set_xlim(found["kept"].min() - MARGIN, found["kept"].max() + MARGIN)
        if column.metric.endswith("_share"):
            axes.set_ylim(bottom=min(0.0, max(axes.get_ylim()[0], -0.25)), top=1.02)
        axes.set_title(column.title, fontsize=8.5)
        axes.set_xlabel(f"kept of the content: {CONTENT.upper()}")
    return drawn


def _against(found: pd.DataFrame) -> list[tuple[str, str]]:
    """Return each arm with those of the yardstick, and with the same backbone's of other settings.

    Raises:
        NoDataError: one arm alone.
    """
    arms = _arms(found)
    rows = arms[["arm", "backbone", "arch"]].astype(str).to_dict("records")
    pairs = [
        (a["arm"], b["arm"])
        for j, b in enumerate(rows)
        for i, a in enumerate(rows)
        if (a["backbone"] == b["backbone"] and i < j)
        or (b["arch"] == YARDSTICK and a["arch"] != YARDSTICK)
    ]
    if not pairs:
        raise NoDataError(f"nothing to compare: neither {YARDSTICK} nor two settings of a backbone")
    return pairs


@table(NAME, experiment=NAME)
def at_equal_content(results: Results) -> pd.DataFrame:
    """Style a − b at equal content, pair by pair, as the figure compares it.

    at: ``common`` is the mean over the contents that both arms reach (the area between their
    frontiers over its width); a number is one content (SSIM). difference with its bootstrap 95 %
    interval; p of Wilcoxon's test, not corrected; pairs: those in which both arms reach it, of all.
    Two arms are compared by every judge of both, also by one that is the backbone of a third.
    """
    found = _points(results, common=False)
    return compared(differences(frontiers(found), _against(found)))


@figure(f"{NAME}_differences", experiment=NAME)
def against_the_yardstick(results: Results) -> Figure:
    """Style of each arm minus another's at equal content, pair by pair."""
    found = _points(results)
    made = differences(frontiers(found), _against(found))
    made = made[(made["at"] == "common") & made["difference"].notna()]
    made = made.assign(arm=made["a"] + " − " + made["b"])
    pairs = made.drop_duplicates(["arm", *UNIT])["arm"].value_counts()
    few = sorted(pairs.index[pairs < FEW])
    made = made[~made["arm"].isin(few)]
    if not len(made):
        raise NoDataError(f"no two arms keep as much of the content on {FEW} pairs")
    arms = _arms(found).astype({"arm": str}).set_index("arm")
    order = list(arms.index)
    values = made.rename(columns={"difference": "value"}).assign(
        arch=made["a"].map(arms["arch"]),
        against=pd.Categorical("minus " + made["b"], [f"minus {name}" for name in order]),
        a=pd.Categorical(made["a"], order),
    )  # fmt: skip
    title = "Style at equal content: differences"
    what = f"Over the {CONTENT.upper()} that both arms reach. "
    if few:
        what += f"Left out, as under {FEW} pairs compare: {'; '.join(few)}. "
    every = (*JUDGED, "effectiveness")
    return dots(results, title, values, group="against", row="a", what=what, of_judges=every)
