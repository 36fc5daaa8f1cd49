"""Means, paired comparisons and rank correlations, with intervals: the bootstrap, seeded.

Tables have thousands of them: what scipy does for a mean and for ranks without ties is done here
in a few operations of numpy, to the same numbers, and remembered.
"""

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

RESAMPLES = 2000
ALPHA, POWER = 0.05, 0.8
"""Below which a p-value tells a difference, and of `detectable`: Cohen's convention."""
FEWEST = next(n for n in range(1, 99) if 2 / 2**n < ALPHA)
"""Pairs under which no p of Wilcoxon's test is below `ALPHA`: six."""
Array = np.ndarray[Any, np.dtype[np.float64]]
Values = Sequence[float] | Array


@dataclass(frozen=True)
class Interval:
    """A mean of `n` values with its 95 % interval, [low, high]."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """The mean of the differences a − b of paired values, its interval, and a test's p-value.

    `detectable` is the smallest difference that so many pairs would have shown (`detectable`).
    """

    difference: Interval
    p: float
    detectable: float


@dataclass(frozen=True)
class Correlation:
    """A rank correlation of `n` pairs of values, its 95 % interval [low, high] and a p-value."""

    rho: float
    low: float
    high: float
    p: float
    n: int


def interval(values: Values) -> Interval:
    """Return the mean with its bootstrap interval: 95 %, BCa, 2000 resamples, fixed seed.

    Values that are not finite are left out, and `n` counts the rest. They are taken as independent.
    Under two the interval is NaN; if all are equal it is the mean; where BCa is not defined it is
    the percentile interval. Source: Efron 1987; scipy.stats.bootstrap.

    Args:
        values: (n,), in any order: the same values give the same interval.
    """
    known = np.sort(np.asarray(values, dtype=np.float64))
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, math.nan, math.nan, 1)
    if known[0] == known[-1]:
        return Interval(mean, mean, mean, len(known))
    return Interval(mean, *_ends(known.tobytes()), len(known))


def over_draws(values: Values) -> Interval:
    """Return the mean of a few independent draws with Student's 95 % interval: mean ± t·s/√n.

    For seeds, of which there are three to ten: so few a bootstrap covers too seldom. Values that
    are not finite are left out, and `n` counts the rest; under two the interval is NaN. Source:
    Student 1908; scipy.stats.t, with n − 1 degrees of freedom.

    Args:
        values: (n,), in any order.
    """
    known = np.sort(np.asarray(values, dtype=np.float64))
    known = known[np.isfinite(known)]
    n = len(known)
    mean = float(known.mean()) if n else math.nan
    half = _quantile(n - 1) * float(known.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Interval(mean, mean - half, mean + half, n)


@functools.cache
def _quantile(freedom: int) -> float:
    """Return the quantile of Student's t beyond which half of `ALPHA` lies."""
    from scipy.stats import t

    return float(t.ppf(1 - ALPHA / 2, freedom))


def means(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the `interval` of each group of rows.

    Args:
        frame: with columns `keys`, value and seeds, as `style.over_seeds` returns it.
        keys: what makes a group.

    Returns:
        Index `keys`, sorted; columns mean, low, high, n and seeds (of a row, the fewest).
    """
    groups = frame.groupby(list(keys), observed=True, dropna=False)
    rows = [asdict(interval(values.to_numpy())) for _, values in groups["value"]]
    found = pd.DataFrame(rows, groups.size().index, ["mean", "low", "high", "n"])
    return found.assign(seeds=groups["seeds"].min())


@functools.lru_cache(maxsize=16)
def _draws(n: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return which of n values are in each resample, as scipy.stats.bootstrap draws them."""
    return np.random.default_rng(0).integers(0, n, (RESAMPLES, n))


@functools.lru_cache(maxsize=1 << 14)
def _ends(values: bytes) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the mean of values: float64, sorted, not all equal.

    BCa of Efron 1987, whose acceleration is from the means without one value each; the percentile
    interval where that is not defined.
    """
    from scipy.special import ndtr, ndtri

    known = np.frombuffer(values)
    n, mean = len(known), known.mean()
    drawn = known[_draws(n)].mean(axis=-1)
    below = (np.count_nonzero(drawn < mean) + np.count_nonzero(drawn <= mean)) / (2 * RESAMPLES)
    without = (known.sum() - known) / (n - 1)
    apart = (n - 1) * (without.mean() - without)
    tails = np.array([ALPHA / 2, 1 - ALPHA / 2])
    bias = ndtri(below)
    far = bias + ndtri(tails)
    with np.errstate(invalid="ignore", divide="ignore"):  # where BCa is not defined
        acceleration = (apart**3).sum() / n**3 / (6 * ((apart**2).sum() / n**2) ** 1.5)
        shares = ndtr(bias + far / (1 - acceleration * far))
    low, high = np.percentile(drawn, 100 * (shares if np.isfinite(shares).all() else tails))
    return float(low), float(high)


def _bootstrap(samples: Sequence[Array], statistic: Callable[..., Any]) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a statistic of samples, drawn together if several."""
    from scipy.stats import bootstrap

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore")  # that BCa is not defined is looked at below
            found = bootstrap(
                samples, statistic, n_resamples=RESAMPLES, paired=len(samples) > 1,
                vectorized=True, method=method, rng=np.random.default_rng(0),
            ).confidence_interval  # fmt: skip
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return float(found.low), float(found.high)


def compare(a: Values, b: Values) -> Comparison:
    """Return how two arms differ on the same pairs: the mean of a − b, and whether it is chance.

    The p-value is two-sided, of Wilcoxon's signed-rank test, exact up to 50 pairs, up to 13 where
    some tie or do not differ, else by its normal approximation; pairs that do not differ are left
    out. With n pairs it is 2/2ⁿ at least, so that under six none is below 0.05. It is 1 if no pair
    differs, NaN under two pairs. Source: Wilcoxon 1945; scipy.stats.wilcoxon.

    Args:
        a: (n,); a pair in which one value is not finite is left out.
        b: (n,), in the order of `a`; another length raises ValueError.
    """
    if len(a) != len(b):
        raise ValueError(f"expected pairs, found {len(a)} and {len(b)} values")
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        p = math.nan
    elif not known.any():
        p = 1.0
    else:
        p = _wilcoxon(known)
    return Comparison(interval(known), p, detectable(known))


EXACT, TIED = 50, 13
"""Pairs up to which all signs are counted, and with ties or zeros; scipy does the same."""


def _wilcoxon(differences: Array) -> float:
    """Return the p-value of Wilcoxon's signed-rank test, two-sided; zeros are left out."""
    known = differences[differences != 0]
    found = np.unique(np.abs(known), return_inverse=True, return_counts=True)
    _, place, counts = found
    exact = EXACT if len(counts) == len(differences) else TIED
    if len(differences) > exact:
        from scipy.stats import wilcoxon

        return float(wilcoxon(differences).pvalue)
    twice = (2 * np.cumsum(counts) - counts + 1)[place]  # ranks, the mean one of those that tie
    positive, total = int(twice[known > 0].sum()), int(twice.sum())
    probable = _cumulative(tuple(sorted(twice.tolist())))
    return float(min(1.0, 2 * probable[min(positive, total - positive)]))


@functools.lru_cache(maxsize=1024)
def _cumulative(ranks: tuple[int, ...]) -> Array:
    """Return how probable it is that signs drawn by lot give at most each sum of ranks."""
    counts = np.ones(1)
    for rank in ranks:
        shifted = np.zeros(len(counts) + rank)
        shifted[: len(counts)] = counts
        shifted[rank:] += counts
        counts = shifted
    return np.asarray(np.cumsum(counts) / 2.0 ** len(ranks))


def detectable(differences: Values) -> float:
    """Return the smallest mean difference that so many pairs would have shown.

    By a paired t-test, in four of five repetitions, at p < 0.05, two-sided, if differences scatter
    as these do: λ·s/√n, where λ is the noncentrality at which Student's t has that power.
    Wilcoxon's test shows it in two of three (six pairs) to three of four (twelve). What is smaller
    may be there unseen. Infinite under six pairs, where no p of Wilcoxon's is below 0.05.
    Source: Cohen 1988, ch. 2; scipy.special.nctdtrinc.

    Args:
        differences: (n,), finite.
    """
    n = len(differences)
    if n < FEWEST:
        return math.inf
    return float(_noncentrality(n - 1) * np.std(differences, ddof=1) / math.sqrt(n))


@functools.cache
def _noncentrality(freedom: int) -> float:
    """Return the noncentrality at which Student's t exceeds its critical value with `POWER`."""
    from scipy.special import nctdtrinc, stdtrit

    return float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, 1 - ALPHA / 2)))


def spearman(x: Values, y: Values) -> Correlation:
    """Return Spearman's ρ with its bootstrap interval: 95 %, BCa, 2000 resamples, fixed seed.

    The p-value is two-sided, of Student's t with n − 2 degrees of freedom, an approximation for few
    pairs. All is NaN under three pairs, or where all values of one side are equal; where BCa is not
    defined the interval is the percentile interval. Resamples in which one side is constant have no
    ρ and count as 0. Source: Spearman 1904; Efron 1987; scipy.stats.spearmanr and bootstrap.

    Args:
        x: (n,); a pair in which one value is not finite is left out. The order does not matter.
        y: (n,), in the order of `x`; another length raises ValueError.
    """
    from scipy.stats import spearmanr

    if len(x) != len(y):
        raise ValueError(f"expected pairs, found {len(x)} and {len(y)} values")
    pairs = np.stack([np.asarray(side, dtype=np.float64) for side in (x, y)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    a, b = pairs[:, np.lexsort(pairs[::-1])]
    if len(a) < 3 or a.min() == a.max() or b.min() == b.max():
        return Correlation(math.nan, math.nan, math.nan, math.nan, len(a))
    found = spearmanr(a, b)
    ends = _bootstrap([a, b], _rank_correlation)
    return Correlation(float(found.statistic), *ends, float(found.pvalue), len(a))


def _rank_correlation(x: Array, y: Array, axis: int = -1) -> Array:
    """Return Spearman's ρ along an axis; 0 where one side is constant."""
    from scipy.stats import pearsonr, rankdata

    ranks = (rankdata(side, axis=axis) for side in (x, y))
    found: Array = np.nan_to_num(pearsonr(*ranks, axis=axis).statistic)
    return found


def holm(p: Values) -> list[float]:
    """Return p-values corrected for their number, so that the family-wise error is bounded.

    The k-th smallest of m is multiplied by m − k + 1, and none is less than one before it or more
    than 1. NaN stays NaN and does not count. Source: Holm 1979.

    Args:
        p: (m,) of one family of tests; the result is in its order.
    """
    values = np.array(p, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    values[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return [float(value) for value in values]
