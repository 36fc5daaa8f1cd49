"""Frontiers: how much style an arm gives at how much content, over the weights of its style term.

An arm is run with several style weights on the same pair. Each picture is a point (content kept,
style given); those that no other picture of the arm beats in both are its frontier. Two arms are
compared where both keep as much of the content.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from stylebench.figures import NoDataError
from stylebench.figures.arms import MEASURE, in_common, judged
from stylebench.figures.claims import ARM, UNIT
from stylebench.figures.intervals import Array, compare
from stylebench.figures.style import alike, over_seeds
from stylebench.store import Results

CONTENT = "ssim"
"""The metric of the content; see `stylebench.measures.metrics`."""
STYLE = ("gram_share", "swd_share", "texture_share", "colour_share", "effectiveness")
"""The metrics of the style: all but the last are shares of the way from the content picture."""
LEVELS = (0.3, 0.4, 0.5, 0.6)
"""Of `CONTENT`, at which the style is read off."""
LEAST = 2
"""Points of a frontier, at least: one has no length."""

Points = tuple[Array, Array]
"""Content and style, each (n,), by growing content."""


def frontier(content: Sequence[float] | Array, style: Sequence[float] | Array) -> Points:
    """Return the points that no other one beats in both, by growing content and falling style.

    Source: Pareto 1906; between two of them a straight line is taken.

    Args:
        content: (n,), more is better; a point with a value that is not finite is left out.
        style: (n,), more is better.
    """
    points = np.stack([np.asarray(side, dtype=np.float64) for side in (content, style)])
    points = points[:, np.isfinite(points).all(axis=0)]
    points = points[:, np.lexsort((points[1], points[0]))[::-1]]  # falling content, falling style
    best = np.maximum.accumulate(points[1]) if points.size else points[1]
    kept = np.r_[True, points[1][1:] > best[:-1]] if points.size else np.zeros(0, dtype=bool)
    x, y = points[:, kept][:, ::-1]
    return x, y


def style_at(points: Points, content: float | Array) -> Array:
    """Return the style of a frontier where it keeps so much content; NaN where it has no point."""
    x, y = points
    if len(x) < LEAST:
        return np.full(np.shape(content), np.nan)
    return np.asarray(np.interp(content, x, y, left=np.nan, right=np.nan))


def mean_difference(a: Points, b: Points) -> float:
    """Return the mean of style a − b over the contents that both frontiers reach; NaN for none.

    It is the area between the two over the width of what they have in common.
    """
    if min(len(a[0]), len(b[0])) < LEAST:
        return float("nan")
    low, high = max(a[0][0], b[0][0]), min(a[0][-1], b[0][-1])
    if not low < high:
        return float("nan")
    every = np.unique(np.r_[low, high, a[0], b[0]])
    every = every[(every >= low) & (every <= high)]
    difference = style_at(a, every) - style_at(b, every)
    return float(np.trapezoid(difference, every) / (high - low))


def area(points: Points) -> float:
    """Return the style that a frontier gives, averaged over all contents from 0 to 1.

    The content picture, which keeps all and gives nothing, belongs to every frontier: the style has
    to be told in shares, of which it has 0. Where less content is asked for than a frontier's first
    point keeps, that point serves. NaN without points.
    """
    if not len(points[0]):
        return float("nan")
    x, y = frontier(np.r_[points[0], 1.0], np.r_[points[1], 0.0])
    every = np.unique(np.r_[0.0, 1.0, x[(x > 0) & (x < 1)]])  # SSIM may be below 0
    return float(np.trapezoid(np.interp(every, x, y), every))


def points(results: Results, *, common: bool = True) -> pd.DataFrame:
    """Return what each job keeps and gives, with arms that do not tell style weights apart.

    Args:
        results: with metrics.
        common: leave out judges that did not judge every arm.

    Returns:
        Columns of `arms.judged`, of the metrics in `STYLE`, with kept (`CONTENT`) and given in
        place of the value, and weight, that of the style.

    Raises:
        NoDataError: no metrics, no `CONTENT` or no style that arms were judged by.
    """
    jobs = alike(results.results)
    frame = judged(replace(results, results=jobs.assign(style_weight=jobs["style_weight"].min())))
    kept = frame.loc[frame["metric"] == CONTENT].set_index("job_id")["value"]
    found = frame[frame["metric"].isin(STYLE)]
    found = in_common(found) if common else found
    weights = jobs.set_index("job_id")["style_weight"]
    found = found.rename(columns={"value": "given"}).assign(
        kept=found["job_id"].map(kept), weight=found["job_id"].map(weights)
    )
    if not found["kept"].notna().any():
        raise NoDataError(f"no style metric beside {CONTENT} that all arms were judged by")
    return found


def frontiers(found: pd.DataFrame) -> "pd.Series[Any]":
    """Return the frontier of each arm, metric, judge, pair and seed; found is that of `points`."""
    groups = found.groupby(["arm", *MEASURE, *UNIT, "seed"], observed=True)
    made = {
        key: frontier(part["kept"].to_numpy(), part["given"].to_numpy()) for key, part in groups
    }
    index = pd.MultiIndex.from_tuples(list(made), names=["arm", *MEASURE, *UNIT, "seed"])
    return pd.Series(list(made.values()), index, dtype=object)


def areas(found: pd.DataFrame) -> pd.DataFrame:
    """Return the `area` of each arm, metric, judge and pair, the mean over seeds.

    Of shares alone: effectiveness is not 0 at the content picture, so that it has no `area`.
    Only what was run with every style weight that there is counts: a frontier that lacks some of
    them, as where a job failed, is lower for that alone.

    Args:
        found: of `points`.

    Returns:
        The columns of `claims.by_pair`.
    """
    found = found[found["metric"].str.endswith("_share")]
    known = found[np.isfinite(found["kept"]) & np.isfinite(found["given"])]
    counts = known.groupby(["arm", *MEASURE, *UNIT, "seed"], observed=True)["weight"].nunique()
    whole = counts[counts == found["weight"].nunique()].index
    every = frontiers(known)
    values = every[every.index.isin(whole)].map(area).rename("value").reset_index()
    arms = found[ARM].drop_duplicates("arm").astype({"arm": str})
    return over_seeds(values.merge(arms, on="arm"), [*ARM, *MEASURE, *UNIT])


def differences(made: "pd.Series[Any]", arms: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Return style a − b at equal content, pair by pair: the mean over the seeds that both have.

    Args:
        made: of `frontiers`.
        arms: (a, b), names of arms.

    Returns:
        Columns a, b, `MEASURE`, content, style, seeds, at ("common" for `mean_difference`, or one
        of `LEVELS`) and difference; NaN where the two do not both reach it.
    """
    names = made.index.get_level_values("arm").astype(str)
    rows = []
    for a, b in arms:
        left, right = (made[names == name].droplevel("arm") for name in (a, b))
        for key in left.index.intersection(right.index):
            one, other = left[key], right[key]
            row = dict(zip(left.index.names, key, strict=True)) | {"a": a, "b": b}
            rows.append({**row, "at": "common", "difference": mean_difference(one, other)})
            for level in LEVELS:
                difference = float(style_at(one, level) - style_at(other, level))
                rows.append({**row, "at": str(level), "difference": difference})
    keys = ["a", "b", *MEASURE, *UNIT, "at"]
    frame = pd.DataFrame(rows, columns=[*keys, "seed", "difference"])
    groups = frame.groupby(keys, sort=False)["difference"]
    return groups.agg(difference="mean", seeds="count").reset_index()


def compared(found: pd.DataFrame) -> pd.DataFrame:
    """Return paired comparisons of style at equal content.

    Args:
        found: of `differences`.

    Returns:
        Columns a, b, `MEASURE`, at and those of `tested`; pairs are those in which both reach it.
    """
    named = found.rename(columns={"difference": "value"})
    return tested(named, ["a", "b", *MEASURE, "at"])


def tested(values: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return whether differences are chance, for each group of them.

    Args:
        values: with columns `keys` and value, a row a pair.
        keys: what makes a group.

    Returns:
        Columns `keys`, difference with its bootstrap 95 % interval low and high, p (Wilcoxon, not
        corrected), detectable (the smallest difference that so many pairs would have shown), pairs
        (of which the value is known) and of (all).
    """
    rows = []
    for key, part in values.groupby(list(keys), sort=False, observed=True):
        found = compare(part["value"].to_numpy(), np.zeros(len(part)))
        of = found.difference
        row = dict(zip(keys, key, strict=True)) | {"difference": of.mean, "low": of.low}
        row |= {"high": of.high, "p": found.p, "detectable": found.detectable}
        rows.append(row | {"pairs": of.n, "of": len(part)})
    return pd.DataFrame(rows)
