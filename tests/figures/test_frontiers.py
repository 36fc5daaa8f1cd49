"""Frontiers and their differences: by hand, by the definition, by quadrature."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from stylebench.figures.frontiers import area, frontier, mean_difference, style_at


def test_only_points_that_none_beats_are_a_frontier() -> None:
    content = [0.2, 0.5, 0.4, 0.9, 0.9, math.nan, 0.1]
    style = [0.9, 0.6, 0.5, 0.1, 0.2, 2.0, 0.9]
    x, y = frontier(content, style)
    assert x.tolist() == [0.2, 0.5, 0.9]
    assert y.tolist() == [0.9, 0.6, 0.2]
    none = frontier([], [])
    assert [len(side) for side in none] == [0, 0]
    assert np.isnan(style_at(none, 0.5))


def test_frontier_equals_its_definition() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((40, 2)).round(1)  # ties
    kept = {
        tuple(p) for p in points
        if not any((q >= p).all() and (q > p).any() for q in points)
    }  # fmt: skip
    assert set(zip(*frontier(*points.T), strict=True)) == kept


def test_style_is_read_between_points_and_not_beyond() -> None:
    points = frontier([0.2, 0.6], [1.0, 0.2])
    assert style_at(points, 0.4) == pytest.approx(0.6)
    assert np.isnan(style_at(points, np.array([0.19, 0.61]))).all()
    assert np.isnan(style_at(frontier([0.4], [0.5]), 0.4))


def test_the_mean_difference_is_the_area_over_the_width() -> None:
    rng = np.random.default_rng(1)
    a, b = (frontier(*rng.random((12, 2)).T) for _ in range(2))
    low, high = max(a[0][0], b[0][0]), min(a[0][-1], b[0][-1])
    knots = sorted({*a[0], *b[0]})
    area, _ = quad(
        lambda c: float(np.interp(c, *a) - np.interp(c, *b)), low, high,
        points=[k for k in knots if low < k < high], limit=200,
    )  # fmt: skip
    assert mean_difference(a, b) == pytest.approx(area / (high - low), abs=1e-9)
    assert mean_difference(b, a) == -mean_difference(a, b)


def test_the_area_counts_the_content_picture() -> None:
    """From 0 to 0.4 the style 0.5, then straight lines to (0.8, 0.3) and (1, 0)."""
    found = area(frontier([0.4, 0.8, 0.9], [0.5, 0.3, -0.2]))
    assert found == pytest.approx(0.4 * 0.5 + 0.4 * 0.4 + 0.2 * 0.15)
    assert area(frontier([1.0], [0.0])) == 0
    assert area(frontier([0.5], [-1.0])) == 0
    assert math.isnan(area(frontier([], [])))
    below_zero = frontier([-0.5, 0.5], [1.0, 0.5])  # 0.75 at 0, to 0.5, and from there to (1, 0)
    assert area(below_zero) == pytest.approx(0.5 * 0.625 + 0.5 * 0.25)


def test_frontiers_that_share_no_content_are_not_compared() -> None:
    low, high = frontier([0.1, 0.2], [0.9, 0.8]), frontier([0.5, 0.6], [0.9, 0.8])
    assert math.isnan(mean_difference(low, high))
