"""Means with intervals, and paired comparisons: scipy's bootstrap and Wilcoxon's test, seeded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
Values = Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A mean of `n` values with its 95 % interval, [low, high]."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """The mean of the differences a − b of paired values, its interval, and a test's p-value."""

    difference: Interval
    p: float


def interval(values: Values) -> Interval:
    """Return the mean with its bootstrap interval: 95 %, BCa, 2000 resamples, fixed seed.

    Values that are not finite are left out, and `n` counts the rest. They are taken as independent.
    Under two the interval is NaN; if all are equal it is the mean; where BCa is not defined it is
    the percentile interval. Source: Efron 1987; scipy.stats.bootstrap.

    Args:
        values: (n,), in any order: the same values give the same interval.
    """
    from scipy.stats import bootstrap

    known = np.sort(np.asarray(values, dtype=np.float64))
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, math.nan, math.nan, 1)
    if known[0] == known[-1]:
        return Interval(mean, mean, mean, len(known))
    for method in ("BCa", "percentile"):
        found = bootstrap(
            (known,), np.mean, n_resamples=RESAMPLES, method=method, rng=np.random.default_rng(0)
        ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return Interval(mean, float(found.low), float(found.high), len(known))


def compare(a: Values, b: Values) -> Comparison:
    """Return how two arms differ on the same pairs: the mean of a − b, and whether it is chance.

    The p-value is two-sided, of Wilcoxon's signed-rank test, exact for few pairs without ties; with
    n pairs it is 2/2ⁿ at least, so that under six pairs none is below 0.05. It is 1 if no pair
    differs, NaN under two pairs. Source: Wilcoxon 1945; scipy.stats.wilcoxon.

    Args:
        a: (n,); a pair in which one value is not finite is left out.
        b: (n,), in the order of `a`; another length raises ValueError.
    """
    from scipy.stats import wilcoxon

    if len(a) != len(b):
        raise ValueError(f"expected pairs, found {len(a)} and {len(b)} values")
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        p = math.nan
    elif not known.any():
        p = 1.0
    else:
        p = float(wilcoxon(known).pvalue)
    return Comparison(interval(known), p)
