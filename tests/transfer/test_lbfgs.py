"""The batched L-BFGS against torch.optim.LBFGS, one image at a time, in float64."""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stylebench.transfer.lbfgs import LBFGS, Point, cubic_minimum

EVALUATIONS = 40


class _EnoughError(Exception):
    pass


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def quartic(x: Tensor) -> Tensor:
    """A sum of Gram-like squares, as a style loss is, with a content term."""
    generator = torch.Generator().manual_seed(5)
    filters, wanted = torch.randn(2, 12, 20, generator=generator, dtype=torch.float64)
    goal = wanted[:, 0]
    maps = torch.outer(filters @ x, filters @ x)
    return (maps - torch.outer(goal, goal)).square().sum() / 1e3 + x.square().sum()


def kinked(x: Tensor) -> Tensor:
    """A kink that no slope condition is met at: one search goes on for ever."""
    total = x.sum() - 1
    return torch.maximum(total, -3 * total).abs() + 1e-3 * x.square().sum()


def flat(x: Tensor) -> Tensor:
    """Long steps: the bracket has to grow many times."""
    return (1e-6 * (x - 3) ** 2).sum()


def walls(x: Tensor) -> Tensor:
    """Many local minima: the searches zoom."""
    return (x.square() + 3 * (5 * x).sin() ** 2).sum()


def torch_iterates(
    function: Callable[[Tensor], Tensor], start: Tensor, **settings: Any
) -> list[Tensor]:
    """Return the points at which torch.optim.LBFGS evaluates a function, in order."""
    x = start.clone().requires_grad_()
    seen: list[Tensor] = []
    optimiser = torch.optim.LBFGS(
        [x], max_iter=99, max_eval=999, tolerance_grad=0, tolerance_change=0, **settings
    )

    def closure() -> Tensor:
        if len(seen) == EVALUATIONS:
            raise _EnoughError
        seen.append(x.detach().clone())
        optimiser.zero_grad()
        loss = function(x)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    with contextlib.suppress(_EnoughError):
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    return seen


def our_iterates(
    function: Callable[[Tensor], Tensor], starts: Tensor, optimiser: LBFGS
) -> tuple[Tensor, Tensor]:
    """Return the points (B, evaluations, n), and how many each image took: (B,)."""
    seen, taken = [], torch.zeros(len(starts), dtype=torch.long)
    going = torch.ones(len(starts), dtype=torch.bool)
    for _ in range(EVALUATIONS):
        points = optimiser.trial.detach().clone().requires_grad_()
        seen.append(points.detach())
        taken += going
        losses = torch.stack([function(point) for point in points])
        (gradient,) = torch.autograd.grad(losses.sum(), points)
        optimiser.step(losses.detach(), gradient)
        going &= ~optimiser.stopped
    return torch.stack(seen, dim=1), taken


@pytest.mark.parametrize("function", [rosenbrock, quartic, flat, walls, kinked])
@pytest.mark.parametrize("search", ["strong_wolfe", None])
@pytest.mark.parametrize("history", [3, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rate", [1.0, pytest.param(0.05, marks=pytest.mark.slow)])
def test_iterates_equal_torchs(
    function: Callable[[Tensor], Tensor], search: str | None, history: int, rate: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([[0.1], [0.5], [1.0], [2.0], [0.0]])
    starts = (torch.randn(5, 20, generator=generator) * scales).double()
    points, taken = our_iterates(
        function, starts, LBFGS(starts.clone(), history, rate, search is not None)
    )
    compared = 0
    scale = 1 + starts.abs().max()
    for image, start in enumerate(starts):
        expected = torch_iterates(
            function, start, lr=rate, history_size=history, line_search_fn=search
        )
        nudged = torch_iterates(
            function, start + 1e-15 * scale, lr=rate, history_size=history, line_search_fn=search
        )
        for index, (point, twin) in enumerate(zip(expected, nudged, strict=False)):
            size = float(point.norm()) or 1.0
            if float((point - twin).norm()) > 1e-11 * size:
                break  # from here on torch does not agree with itself
            compared += 1
            assert index < taken[image]
            assert float((points[image, index] - point).norm()) <= 1e-9 * size, (image, index)
    assert compared >= 10


@pytest.mark.parametrize("function", [rosenbrock, quartic, walls])
@pytest.mark.parametrize("search", ["strong_wolfe", None])
@pytest.mark.parametrize("log_first", [-12, -3])
def test_iterates_equal_torchs_with_the_same_first_step(
    function: Callable[[Tensor], Tensor], search: str | None, log_first: int
) -> None:
    """torch's first step hangs on the unit of x, as all later ones do not: z = x / unit.

    A power of two rounds nothing.
    """
    start = torch.randn(20, generator=torch.Generator().manual_seed(0)).double() * 0.5
    x = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x)
    norm = float(gradient.abs().sum())
    unit = 2.0 ** (log_first + round(math.log2(norm)))
    first = unit**2 * min(1.0, 1 / (unit * norm))
    settings: dict[str, Any] = {"lr": 1.0, "history_size": 8, "line_search_fn": search}
    expected, nudged = (
        torch_iterates(lambda z: function(unit * z), begin / unit, **settings)
        for begin in (start, start + 1e-15)
    )
    ours = LBFGS(start[None].clone(), 8, 1.0, search is not None, first)
    points, _ = our_iterates(function, start[None], ours)
    assert float((points[0, 1] - start).norm()) == pytest.approx(first * float(gradient.norm()))
    compared = 0
    for found, point, twin in zip(points[0], expected, nudged, strict=False):
        size = float(point.norm()) or 1.0
        if float((point - twin).norm()) > 1e-11 * size:
            break  # from here on torch does not agree with itself
        compared += 1
        assert float((found - unit * point).norm()) <= 1e-9 * unit * size, compared
    assert compared >= 5


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    starts = torch.linspace(-1, 2, 40, dtype=torch.float64).view(2, 20)
    together, _ = our_iterates(walls, starts, LBFGS(starts.clone(), 5, 1.0, True))
    alone, _ = our_iterates(walls, starts[1:], LBFGS(starts[1:].clone(), 5, 1.0, True))
    torch.testing.assert_close(together[1:], alone, rtol=1e-9, atol=0)


def test_a_neighbour_that_is_not_finite_does_no_harm() -> None:
    starts = torch.linspace(-1, 2, 40, dtype=torch.float64).view(2, 20)

    def broken(x: Tensor) -> Tensor:
        return walls(x) * (torch.nan if x[0] < -0.9 else 1.0)

    together, _ = our_iterates(broken, starts, LBFGS(starts.clone(), 5, 1.0, True))
    alone, _ = our_iterates(walls, starts[1:], LBFGS(starts[1:].clone(), 5, 1.0, True))
    torch.testing.assert_close(together[1:], alone, rtol=1e-9, atol=0)


def test_cubic_minimum_is_that_of_the_cubic() -> None:
    """f(t) = t³ − 2t² + 1 has its minimum at 4/3."""

    def at(t: float) -> Point:
        values = (t, t**3 - 2 * t**2 + 1, 3 * t**2 - 4 * t)
        return Point(*(torch.tensor([v], dtype=torch.float64) for v in values))

    bounds = torch.zeros(1).double(), torch.full((1,), 3.0).double()
    assert cubic_minimum(at(0.5), at(2.5), *bounds).item() == pytest.approx(4 / 3, rel=1e-12)
    assert cubic_minimum(at(2.5), at(0.5), *bounds).item() == pytest.approx(4 / 3, rel=1e-12)
    near = torch.zeros(1).double(), torch.ones(1).double()
    assert cubic_minimum(at(0.5), at(2.5), *near).item() == 1
