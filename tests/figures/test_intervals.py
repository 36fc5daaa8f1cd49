"""Intervals and paired tests: closed forms, enumeration, and a distribution with a known answer."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import bootstrap, rankdata, spearmanr, t, ttest_1samp, wilcoxon

from stylebench.figures.intervals import compare, detectable, holm, interval, spearman
from tests.often import often


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


@pytest.mark.parametrize("n", often({2, 6, 12, 14, 51}, [2, 3, 6, 12, 13, 14, 30, 50, 51]))
@pytest.mark.parametrize("digits", [9, 1, 0])
def test_numbers_are_those_of_scipy(n: int, digits: int) -> None:
    """With few digits there are ties and zeros."""
    for seed in range(3):
        values = np.random.default_rng(seed).normal(0.3, 2, n).round(digits)
        if not np.ptp(values):
            continue
        found = compare(values, np.zeros(n))
        if values.any():
            assert found.p == pytest.approx(wilcoxon(values).pvalue, rel=1e-9)
        wanted = bootstrap([np.sort(values)], np.mean, n_resamples=2000,
                           rng=np.random.default_rng(0)).confidence_interval  # fmt: skip
        if np.isfinite(wanted).all():
            ends = (found.difference.low, found.difference.high)
            assert ends == pytest.approx(tuple(wanted), rel=1e-9)


def test_arms_that_do_not_differ_and_pairs_that_are_not_known() -> None:
    assert compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).p == 1.0
    found = compare([1.0, math.nan], [0.0, 1.0])
    assert found.difference.n == 1
    assert math.isnan(found.p)
    with pytest.raises(ValueError, match="expected pairs, found 1 and 2"):
        compare([1.0], [1.0, 2.0])


@pytest.mark.parametrize("n", [6, 8, 12])
def test_a_detectable_difference_is_shown_by_four_of_five_experiments(n: int) -> None:
    """By simulation: experiments of n pairs whose true difference is the detectable one."""
    draws = np.random.default_rng(n)
    scatter = draws.normal(size=n)
    shift = detectable(0.3 + scatter)
    made = draws.normal(shift, scatter.std(ddof=1), size=(20_000, n))
    shown = np.mean(ttest_1samp(made, 0, axis=1).pvalue < 0.05)
    assert shown == pytest.approx(0.8, abs=0.01)


def test_what_so_few_pairs_cannot_show() -> None:
    few = np.arange(5.0)
    assert compare(few, few + 1).p > 0.05
    assert compare(few, few + 1).detectable == compare([1.0], [0.0]).detectable == math.inf
    values = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 9.0, math.nan])
    assert compare(values, np.zeros(7)).detectable == detectable(values[:6])
    assert detectable(np.ones(6)) == 0.0  # they do not scatter


@pytest.mark.parametrize(("n", "least"), [(6, 0.6), (8, 0.65), (12, 0.7)])
def test_wilcoxons_test_shows_a_detectable_difference_nearly_as_often(n: int, least: float) -> None:
    draws = np.random.default_rng(n)
    scatter = draws.normal(size=n)
    made = draws.normal(detectable(scatter), scatter.std(ddof=1), size=(2000, n))
    shown = np.mean(wilcoxon(made, axis=1).pvalue < 0.05)
    assert least < shown < 0.81


def test_spearman_of_a_textbook() -> None:
    # IQ and hours of television a week: ρ = 1 − 6·194/(10·99) = −29/165.
    iq = [106.0, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    hours = [7.0, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    found = spearman(iq, hours)
    assert found.rho == pytest.approx(-29 / 165)
    assert found.p == pytest.approx(0.627188, abs=1e-6)
    assert found.n == 10
    assert found.low < found.rho < found.high


def test_spearman_p_is_near_the_share_of_permutations() -> None:
    x, y = np.arange(8.0), np.array([2.0, 6, 4, 3, 8, 5, 1, 7])
    found = spearman(x, y)
    orders = np.array(list(permutations(y)))
    shuffled = (orders - y.mean()) @ (x - x.mean()) / np.square(x - x.mean()).sum()
    exact = (np.abs(shuffled) >= abs(found.rho) - 1e-12).mean()
    assert found.p == pytest.approx(exact, abs=0.01)


def test_spearman_interval_is_near_that_of_plain_resampling() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=40)
    y = x + random.normal(size=40)
    drawn = [spearmanr(x[i], y[i]).statistic for i in random.integers(0, 40, (1000, 40))]
    found = spearman(x, y)
    assert found.rho == pytest.approx(spearmanr(x, y).statistic)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.05)


def test_spearman_knows_ranks_alone_and_no_order() -> None:
    x = np.array([3.0, 1.0, 7.0, 2.0, 9.0, 4.0])
    y = np.array([1.0, 2.0, 8.0, 1.5, 7.0, 3.0])
    found = spearman(x, y)
    assert found == spearman(x[::-1], y[::-1])
    assert spearman(np.exp(x), y).rho == pytest.approx(found.rho)
    assert spearman(-x, y).rho == pytest.approx(-found.rho)
    assert spearman(x, x**3).rho == pytest.approx(1)


@pytest.mark.parametrize(
    ("x", "y", "n"),
    [
        ([], [], 0),
        ([1.0, 2.0], [1.0, 2.0], 2),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0], 4),
        ([1.0, math.nan, 3.0, 4.0], [1.0, 2.0, math.inf, 4.0], 2),
    ],
)
def test_spearman_where_there_is_none(x: list[float], y: list[float], n: int) -> None:
    found = spearman(x, y)
    assert found.n == n
    assert all(math.isnan(value) for value in (found.rho, found.low, found.high, found.p))


def test_spearman_of_pairs_that_are_none() -> None:
    with pytest.raises(ValueError, match="expected pairs, found 1 and 2"):
        spearman([1.0], [1.0, 2.0])


def test_holm() -> None:
    # The example of Holm's procedure with four tests: 0.01, 0.04, 0.03, 0.005.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
    found = holm([math.nan, 0.01, 0.2])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.02, 0.2])
    given = [0.01, 0.04]
    holm(np.array(given))
    assert given == [0.01, 0.04]
