"""What ends an optimisation, and which iterate is kept, on losses that are given."""

import math

import pytest
import torch
from torch import Tensor

from stylebench.config import OptimiserSpec
from stylebench.transfer.optimisers import DIVERGED, PATIENCE, Objective, minimise

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
