"""Gaussians fitted to maps and `effectiveness`: torch's divergence, closed forms."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from stylebench.backbones.extractor import build
from stylebench.config import WeightsRef
from stylebench.measures.metrics import METRICS, measure
from stylebench.measures.moments import LEAST, MOST, Moments, closeness
from tests.measures.test_metrics import make_judge, picture

pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(dimensions: int, points: int, seed: int = 0) -> Tensor:
    """Return points (D, M) with a mean and a covariance of their own."""
    draw = torch.Generator().manual_seed(seed)
    mixed = torch.randn(dimensions, dimensions, generator=draw).double()
    found = mixed @ torch.randn(dimensions, points, generator=draw).double()
    return found + torch.randn(dimensions, 1, generator=draw).double()


def divergence(points: Tensor, target: Tensor, count: int) -> float:
    """Return torch's KL divergence of two Gaussians, on the target's first principal directions."""
    directions = torch.linalg.svd(target.cov(correction=0)).U[:, :count]
    a, b = (
        MultivariateNormal(p.mean(dim=1), p.cov(correction=0))
        for p in (directions.T @ points, directions.T @ target)
    )
    return float(kl_divergence(a, b))


@pytest.mark.parametrize(("points", "most", "count"), [(400, 4, 4), (400, 32, 6), (12, 32, 3)])
def test_closeness_against_torch(points: int, most: int, count: int) -> None:
    """As many directions as there are, as is asked for, and as the smaller map has positions."""
    a, b = drawn(6, points, seed=1), drawn(6, 500, seed=2)
    found = closeness(Moments.of(a), Moments.of(b), most)
    assert found == pytest.approx(-math.log(divergence(a, b, count)), rel=1e-9)
    swapped = closeness(Moments.of(b), Moments.of(a), most)
    assert swapped == pytest.approx(-math.log(divergence(b, a, count)), rel=1e-9)


@pytest.mark.parametrize("factor", [0.1, 0.9, 1.1, 10.0])
def test_closeness_of_scaled_and_of_moved_gaussians(factor: float) -> None:
    """KL(sX ‖ X) = D (s² − 1 − ln s²)/2 about the mean; a shift by one deviation each is D/2."""
    points, count = drawn(5, 300), 5
    middle = points.mean(dim=1, keepdim=True)
    style, scaled = Moments.of(points), Moments.of((points - middle) * factor + middle)
    expected = count * (factor**2 - 1 - 2 * math.log(factor)) / 2
    assert closeness(scaled, style, 32) == pytest.approx(-math.log(expected), rel=1e-9)
    deviation = torch.linalg.cholesky(points.cov(correction=0)) @ torch.ones(5, 1).double()
    moved = Moments.of(points + factor * deviation)
    assert closeness(moved, style, 32) == pytest.approx(-math.log(count * factor**2 / 2), rel=1e-9)


def test_closeness_knows_no_scale_and_no_axes() -> None:
    a, b = drawn(5, 300, seed=1), drawn(5, 300, seed=2)
    turn = torch.linalg.qr(drawn(5, 5, seed=3)).Q
    found = closeness(Moments.of(1e-4 * turn @ a), Moments.of(1e-4 * turn @ b), 3)
    assert found == pytest.approx(closeness(Moments.of(a), Moments.of(b), 3), rel=1e-9)


def test_a_direction_that_holds_next_to_nothing_does_not_count() -> None:
    points = drawn(3, 400, seed=4)
    points -= points.mean(dim=1, keepdim=True)
    white = torch.linalg.cholesky(points.cov(correction=0)).inverse() @ points
    for small, count in ((0.02, 3), (0.005, 2)):  # of the variance 2e-4 and 1e-5
        style = white * torch.tensor([[1.0], [1.0], [small]]).double()
        found = closeness(Moments.of(2 * style), Moments.of(style), 32)
        assert found == pytest.approx(-math.log(count * (3 - math.log(4)) / 2), rel=1e-9)


def test_equal_and_degenerate_maps() -> None:
    points = drawn(4, 300)
    style = Moments.of(points)
    assert closeness(style, style, 32) == pytest.approx(-math.log(LEAST))
    assert closeness(Moments.of(points + 1e-5), style, 32) == pytest.approx(-math.log(LEAST))
    flat, few = Moments.of(points[:, :1].expand(-1, 300)), Moments.of(points[:, :3])
    zero = Moments.of(torch.zeros(4, 300).double())
    wrong = Moments.of(torch.full((4, 300), math.nan).double())
    for other in (flat, few, zero, wrong):
        assert math.isnan(closeness(other, style, 32))
        assert math.isnan(closeness(style, other, 32))
    dead = points.clone()
    dead[0] = 0.5
    assert math.isfinite(closeness(Moments.of(dead), style, 32))
    assert closeness(Moments.of(dead), style, 32) < closeness(Moments.of(2 * points), style, 32)


def test_effectiveness_against_torch() -> None:
    content, style = picture("chelsea", 96), picture("mosaic", 128)
    backbone = build("r-tiny", WeightsRef(source="random:0"), 0)
    with torch.no_grad():
        maps, of_style = backbone(content), backbone(style)
    terms = []
    for node in backbone.style:
        a, b = (found[node.name][0].flatten(1).double() for found in (maps, of_style))
        values = torch.linalg.eigvalsh(b.cov(correction=0))
        worth = int((values >= 1e-4 * values.sum()).sum())
        count = min(MOST[node.stage], a.shape[1] // 4, b.shape[1] // 4, worth)
        terms.append(-math.log(divergence(a, b, count)))
    found = measure("effectiveness", content, content, style, make_judge("r-tiny"))
    assert found == pytest.approx(sum(terms) / len(terms), rel=1e-6)


def test_effectiveness_grows_with_the_part_that_is_the_style() -> None:
    """Side by side; laid over each other the two lose contrast, and half of the way is needed."""
    judge = make_judge("r-squeezenet1_1")
    content, style = picture("coffee", 128, square=True), picture("mosaic", 128, square=True)
    results = [torch.cat([style[..., :n], content[..., n:]], dim=3) for n in (0, 32, 64, 96, 128)]
    found = [measure("effectiveness", result, content, style, judge) for result in results]
    assert found == sorted(found)
    assert len(set(found)) == len(found)
    assert found[-1] == pytest.approx(-math.log(LEAST))
    halfway = measure("effectiveness", (content + style) / 2, content, style, judge)
    assert found[0] < halfway < found[-1]


def test_effectiveness_is_nan_where_a_map_has_too_few_positions() -> None:
    judge, image = make_judge("r-tiny"), picture("chelsea", 64, square=True)
    small = torch.nn.functional.avg_pool2d(image, 4)  # the deepest map has one position
    assert math.isnan(measure("effectiveness", small, small, image, judge))
    assert math.isnan(measure("effectiveness", image, image, small, judge))


def test_what_is_no_distance_has_no_share() -> None:
    assert {"gram_share", "swd_share", "texture_share", "colour_share"} < set(METRICS)
    assert "effectiveness_share" not in METRICS
