"""Intervals and paired tests: closed forms, enumeration, and a distribution with a known answer."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata, t

from stylebench.intervals import compare, interval


def test_interval_is_near_students_for_normal_values() -> None:
    values = np.random.default_rng(0).normal(3, 2, 60)
    half = float(t.ppf(0.975, 59)) * values.std(ddof=1) / math.sqrt(60)
    found = interval(values)
    assert found.n == 60
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.12 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.12 * half)


def test_interval_is_the_same_each_time_and_in_any_order() -> None:
    values = [0.2, 3.1, -1.0, 0.7, 2.2]
    assert interval(values) == interval(values[::-1]) == interval(values)


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).normal(0, 1, (100, 20))
    hits = sum(found.low <= 0 <= found.high for found in map(interval, draws))
    assert 87 <= hits <= 99


@pytest.mark.parametrize(
    ("values", "mean", "n"),
    [([], math.nan, 0), ([2.0], 2.0, 1), ([math.nan], math.nan, 0), ([math.inf, 2.0], 2.0, 1)],
)
def test_interval_of_less_than_two_values(values: list[float], mean: float, n: int) -> None:
    found = interval(values)
    assert found.n == n
    assert found.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_interval_of_equal_values_is_the_mean() -> None:
    found = interval([0.1, 0.1, 0.1, math.nan])
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.n == 3


def test_interval_of_two_values_lies_between_them() -> None:
    found = interval([1.0, 4.0])
    assert 1.0 <= found.low <= 2.5 <= found.high <= 4.0


def enumerated(differences: list[float]) -> float:
    """Return Wilcoxon's two-sided p-value by counting all signs."""
    ranks = rankdata(np.abs(differences))
    sums = np.array([np.dot(signs, ranks) for signs in product((-1, 1), repeat=len(ranks))])
    return float((np.abs(sums) >= abs(np.dot(np.sign(differences), ranks))).mean())


@pytest.mark.parametrize(
    "differences", [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, -2.0, 3.0, 4.0, -0.5, 6.0, 7.0, 0.7]]
)
def test_p_value_against_all_signs(differences: list[float]) -> None:
    b = [0.1 * index for index in range(len(differences))]
    a = [x + y for x, y in zip(differences, b, strict=True)]
    found = compare(a, b)
    assert found.p == pytest.approx(enumerated(differences))
    assert found.difference == interval(np.subtract(a, b))


def test_arms_that_do_not_differ_and_pairs_that_are_not_known() -> None:
    assert compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).p == 1.0
    found = compare([1.0, math.nan], [0.0, 1.0])
    assert found.difference.n == 1
    assert math.isnan(found.p)
    with pytest.raises(ValueError, match="expected pairs, found 1 and 2"):
        compare([1.0], [1.0, 2.0])
