"""What ends an optimisation, and which iterate is kept, on losses that are given."""

import math

import pytest
import torch
from torch import Tensor

from stylebench.config import OptimiserSpec
from stylebench.transfer.optimisers import DIVERGED, PATIENCE, WINDOW, Objective, minimise

ADAM, LBFGSB = OptimiserSpec(name="adam"), OptimiserSpec(name="lbfgsb")
TORCH = OptimiserSpec(line_search="none", first_step="torch")


def objective_of(values: list[float]) -> tuple[list[Tensor], Objective]:
    """An objective that returns the given losses in turn, with a gradient of ones."""
    seen: list[Tensor] = []

    def objective(images: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(images.detach().clone())
        value = values[min(len(seen), len(values)) - 1]
        return torch.tensor([value], dtype=torch.float64), torch.ones_like(images)

    return seen, objective


@pytest.mark.parametrize(
    "spec",
    [ADAM, LBFGSB, TORCH],
    ids=["adam", "lbfgsb", "lbfgs"],
)
def test_divergence_is_detected_and_the_best_iterate_kept(spec: OptimiserSpec) -> None:
    seen, objective = objective_of([5.0, 1.0, *[2 * DIVERGED] * 50])
    (found,) = minimise(objective, torch.zeros(1, 3, 4, 4), spec, 50)
    assert (found.stop_reason, found.best, found.evaluations) == ("diverged", 1, 2 + PATIENCE)
    assert torch.equal(found.image, seen[1][0])


def test_a_line_search_that_finds_nothing_lower_ends_at_the_best_iterate() -> None:
    """As torch's does, when its bracket is narrower than 1e-9."""
    seen, objective = objective_of([5.0, 1.0, *[2 * DIVERGED] * 50])
    (found,) = minimise(objective, torch.zeros(1, 3, 4, 4), OptimiserSpec(), 50)
    assert (found.stop_reason, found.best) == ("converged", 1)
    assert found.evaluations < 2 + PATIENCE
    assert torch.equal(found.image, seen[1][0])


def test_one_step_too_far_is_not_divergence() -> None:
    _, objective = objective_of([5.0, 2 * DIVERGED * 5, 4.0, 3.0, 2.0, 1.0])
    (found,) = minimise(objective, torch.zeros(1, 3, 4, 4), ADAM, 6)
    assert (found.stop_reason, found.best) == ("evaluations", 5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_at_once(bad: float) -> None:
    seen, objective = objective_of([3.0, bad])
    (found,) = minimise(objective, torch.zeros(1, 3, 4, 4), ADAM, 50)
    assert (found.stop_reason, found.best, found.evaluations) == ("diverged", 0, 2)
    assert torch.equal(found.image, seen[0][0])


FALLING = [2.0**-number for number in range(10)]


@pytest.mark.parametrize("spec", [ADAM, LBFGSB, TORCH], ids=["adam", "lbfgsb", "lbfgs"])
def test_it_ends_where_the_loss_has_fallen_by_too_little(spec: OptimiserSpec) -> None:
    """The window from the last fall on is the first without one."""
    _, objective = objective_of(FALLING)
    start = torch.zeros(1, 3, 4, 4)
    (found,) = minimise(objective, start, spec, 100, tolerance=0.01)
    assert (found.stop_reason, found.best) == ("tolerance", len(FALLING) - 1)
    assert found.evaluations == len(FALLING) + WINDOW


def test_the_share_is_of_the_loss_before_and_none_is_never() -> None:
    slow = [0.999**number for number in range(100)]  # 2 % in 20 evaluations
    for tolerance, evaluations in ((0.0, 100), (0.019, 100), (0.021, WINDOW + 1)):
        _, objective = objective_of(slow)
        start = torch.zeros(1, 3, 4, 4)
        (found,) = minimise(objective, start, ADAM, 100, tolerance=tolerance)
        assert found.evaluations == evaluations


def test_each_picture_of_a_batch_ends_by_itself() -> None:
    """Of two parabolas the flat one is at its end far sooner; both end where they do alone."""
    start = torch.linspace(-1, 1, 48).view(1, 3, 4, 4)
    factors = torch.tensor([1.0, 1e-3])

    def of(rows: list[int]) -> Objective:
        def objective(images: Tensor) -> tuple[Tensor, Tensor]:
            weights = factors[rows].view(-1, 1, 1, 1) * torch.linspace(1, 9, 48).view(1, 3, 4, 4)
            loss = (weights * images.square()).sum(dim=(1, 2, 3)) + 1
            return loss.double(), 2 * weights * images

        return objective

    def ends(rows: list[int]) -> list[tuple[str, int, int]]:
        found = minimise(of(rows), start.repeat(len(rows), 1, 1, 1), ADAM, 400, tolerance=0.05)
        return [(each.stop_reason, each.best, each.evaluations) for each in found]

    both = ends([0, 1])
    assert both == ends([0]) + ends([1])
    assert both[1][2] < both[0][2] < 400
