"""scipy's L-BFGS-B as an optimiser of images, against fmin_l_bfgs_b called as in Keras' example."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.optimize import fmin_l_bfgs_b, rosen, rosen_der
from torch import Tensor

from stylebench.config import OptimiserSpec
from stylebench.errors import InputError
from stylebench.transfer.optimisers import Objective, minimise

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
SHAPE = (1, 3, 4, 4)
START = torch.linspace(-1.5, 2, 48, dtype=torch.float64).view(SHAPE)
MINIMUM = np.linspace(0.2, 0.8, 48)


def quadratic(x: np.ndarray) -> tuple[float, np.ndarray]:
    curvature = np.linspace(1, 1000, 48)
    return float((curvature * (x - MINIMUM) ** 2).sum() / 2), curvature * (x - MINIMUM)


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    return float(rosen(x)), rosen_der(x)


def spied(function: Function) -> tuple[list[np.ndarray], Objective]:
    """Return a function as an objective of images, and the list of where it was evaluated."""
    seen: list[np.ndarray] = []

    def objective(images: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(images.double().flatten().numpy().copy())
        loss, gradient = function(seen[-1])
        return torch.tensor([loss], dtype=torch.float64), torch.from_numpy(gradient).to(
            images
        ).view_as(images)

    return seen, objective


def scipys(function: Function, history: int, steps: int, dtype: torch.dtype) -> list[np.ndarray]:
    """Return where fmin_l_bfgs_b evaluates a function of pixels of a type, in runs of maxfun=20."""
    seen: list[np.ndarray] = []

    def rounded(x: np.ndarray) -> tuple[float, np.ndarray]:
        seen.append(torch.from_numpy(x).to(dtype).double().numpy().copy())
        loss, gradient = function(seen[-1])
        return loss, torch.from_numpy(gradient).to(dtype).double().numpy()

    x = START.to(dtype).double().numpy().ravel()
    for _ in range(steps):
        x, _, _ = fmin_l_bfgs_b(rounded, x, m=history, factr=0, pgtol=0, maxfun=20)
    return seen


@pytest.mark.parametrize("function", [quadratic, rosenbrock])
@pytest.mark.parametrize("history", [3, 10])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_evaluates_where_the_keras_example_does(
    function: Function, history: int, dtype: torch.dtype
) -> None:
    seen, objective = spied(function)
    spec = OptimiserSpec(name="lbfgsb", history=history)
    (found,) = minimise(objective, START.to(dtype), spec, 70)
    expected = scipys(function, history, 4, dtype)
    assert_array_equal(seen, expected[:70])
    assert (found.stop_reason, found.evaluations) == ("evaluations", 70)
    losses = [function(x)[0] for x in seen]
    assert found.best == losses.index(min(losses))
    assert found.image.dtype == dtype
    assert_array_equal(found.image.double().flatten().numpy(), seen[found.best])


@pytest.mark.parametrize("evals", [1, 2, 20, 21, 22, 45])
def test_takes_no_evaluation_beyond_its_count(evals: int) -> None:
    seen, objective = spied(rosenbrock)
    (found,) = minimise(objective, START, OptimiserSpec(name="lbfgsb"), evals)
    assert len(seen) == found.evaluations == evals
    assert found.stop_reason == "evaluations"


def test_ends_at_the_minimum_of_a_quadratic() -> None:
    seen, objective = spied(quadratic)
    (found,) = minimise(objective, START, OptimiserSpec(name="lbfgsb"), 5000)
    assert found.stop_reason == "converged"
    assert len(seen) == found.evaluations < 5000
    np.testing.assert_allclose(found.image.flatten().numpy(), MINIMUM, atol=1e-9)


def test_a_gradient_of_zero_at_the_start_ends_at_once() -> None:
    seen, objective = spied(quadratic)
    start = torch.from_numpy(MINIMUM.copy()).view(SHAPE)
    (found,) = minimise(objective, start, OptimiserSpec(name="lbfgsb"), 50)
    assert (found.stop_reason, found.evaluations, len(seen)) == ("converged", 1, 1)
    assert torch.equal(found.image, start[0])


def test_a_direction_that_leads_only_uphill_is_convergence() -> None:
    def misled(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float((x**2).sum()), -2 * x

    seen, objective = spied(misled)
    (found,) = minimise(objective, START, OptimiserSpec(name="lbfgsb"), 500)
    assert (found.stop_reason, found.best) == ("converged", 0)
    assert len(seen) < 50


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_a_step_too_far(bad: float) -> None:
    def walled(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = quadratic(x)
        return (bad, gradient * bad) if len(seen) in (2, 3, 30) else (loss, gradient)

    seen, objective = spied(walled)
    (found,) = minimise(objective, START, OptimiserSpec(name="lbfgsb"), 60)
    assert (found.stop_reason, found.evaluations) == ("evaluations", 60)
    assert quadratic(seen[found.best])[0] < 1e-3 * quadratic(seen[0])[0]
    seen, objective = spied(lambda x: (bad, x))
    (found,) = minimise(objective, START, OptimiserSpec(name="lbfgsb"), 60)
    assert (found.stop_reason, found.evaluations, len(seen)) == ("diverged", 1, 1)


def test_several_pictures_are_refused() -> None:
    _, objective = spied(quadratic)
    with pytest.raises(InputError, match=r"lbfgsb: expected one picture, found a batch of 2"):
        minimise(objective, START.repeat(2, 1, 1, 1), OptimiserSpec(name="lbfgsb"), 5)
