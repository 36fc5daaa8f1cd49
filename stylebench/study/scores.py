"""Numbers of a study: Bradley–Terry scores, agreement, and metrics against preferences."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 1000
ENDS = (2.5, 97.5)
"""Percentiles of a 95 % interval."""
Array = np.ndarray[Any, np.dtype[np.float64]]


def bradley_terry(wins: Array, near: Array | None = None) -> Array:
    """Return the Bradley–Terry scores of arms, of mean 0: log-odds that one is preferred.

    A tie counts as half a win of each. One tie of every two arms is added, so that the score of an
    arm that always wins is finite. Source: Bradley and Terry 1952; Maystre and Grossglauser 2015,
    choix.

    Args:
        wins: (n, n), how often the arm of the row was preferred to that of the column.
        near: scores of nearly the same wins, from which it begins, and is exact to 1e-4.
    """
    import choix

    prior = 0.5 * (1 - np.eye(len(wins)))
    found: Array = choix.ilsr_pairwise_dense(
        np.asarray(wins) + prior,
        initial_params=near,
        max_iter=10_000,
        tol=1e-8 if near is None else 1e-4,
    )
    centred: Array = found - found.mean()
    return centred


def intervals(wins: Array, chance: np.random.Generator) -> Array:
    """Return 95 % intervals of the scores: (n, 2).

    Percentiles of a bootstrap that draws participants and pairs of pictures, each with
    replacement: they speak of other people and other pictures. With one of both, the other alone
    is drawn; with one participant and one pair there is none, NaN. Source: Owen 2007.

    Args:
        wins: (participants, pairs, n, n), as of `bradley_terry`.
        chance: draws.
    """
    people, pairs, n, _ = wins.shape
    if people * pairs == 1:
        return np.full((n, 2), math.nan)
    drawn = [
        np.einsum(
            "i,j,ijkl->kl",
            chance.multinomial(people, np.full(people, 1 / people)),
            chance.multinomial(pairs, np.full(pairs, 1 / pairs)),
            wins,
        )
        for _ in range(RESAMPLES)
    ]
    near = bradley_terry(wins.sum((0, 1)))
    found: Array = np.percentile([bradley_terry(each, near) for each in drawn], ENDS, axis=0).T
    return found


def krippendorff(units: Sequence[Sequence[object]]) -> float:
    """Return Krippendorff's alpha of nominal values: 1 is agreement, 0 that of chance.

    Units with fewer than two values do not count. NaN where nothing is left, or all values are one
    and the same. Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.

    Args:
        units: the values that each unit was given, without those that are missing.
    """
    paired = [unit for unit in units if len(unit) > 1]
    values = sorted({value for unit in paired for value in unit}, key=repr)
    met = np.zeros((len(values), len(values)))
    for unit in paired:
        counts = np.array([sum(v == value for v in unit) for value in values], dtype=float)
        met += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    of_each = met.sum(axis=1)
    total = of_each.sum()
    by_chance = total**2 - (of_each**2).sum()
    if not by_chance:
        return math.nan
    return float(1 - (total - 1) * (total - np.trace(met)) / by_chance)


def rank_agreement(x: Array, y: Array) -> float:
    """Return Spearman's ρ of differences whose sign is a matter of naming: a − b, or b − a.

    It is that of all differences together with their negatives, and so the same however the two of
    a comparison are ordered. NaN where one side has no difference.

    Args:
        x: (n,), finite.
        y: (n,).
    """
    return float(_rank_agreements(x, y, np.ones((1, len(x))))[0])


def _rank_agreements(x: Array, y: Array, weights: Array) -> Array:
    """Return `rank_agreement` under each row of weights (m, n): how often a difference counts.

    A rank less the mean of ranks is half the sum of the signs of what a value is above or below.
    """
    a, b = (weights @ (np.sign(v[:, None] - v) + np.sign(v[:, None] + v)).T / 2 for v in (x, y))
    products = ((weights * one * other).sum(axis=1) for one, other in ((a, b), (a, a), (b, b)))
    both, of_a, of_b = products
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(of_a * of_b > 0, both / np.sqrt(of_a * of_b), math.nan)
    return found


def agreement_interval(
    x: Array, y: Array, groups: Sequence[object], chance: np.random.Generator
) -> tuple[float, float]:
    """Return the 95 % interval of `rank_agreement`: percentiles over pairs of pictures drawn anew.

    Args:
        x: (n,).
        y: (n,).
        groups: (n,), the pair of pictures of each; NaN with under two of them.
        chance: draws.
    """
    names = [*dict.fromkeys(groups)]
    if len(names) < 2:
        return math.nan, math.nan
    place = np.array([names.index(group) for group in groups])
    drawn = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    found = _rank_agreements(x, y, drawn[:, place].astype(float))
    known = found[np.isfinite(found)]
    low, high = np.percentile(known, ENDS) if len(known) else (math.nan, math.nan)
    return float(low), float(high)
