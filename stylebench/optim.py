"""Optimisers of one image: L-BFGS and Adam on a count of closure evaluations."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stylebench.config import OptimiserSpec

StopReason = Literal["evaluations", "converged", "diverged"]

DIVERGED = 1e4
PATIENCE = 10
"""So many evaluations in a row with a loss above DIVERGED times the lowest seen are divergence:
L-BFGS recovers from a single step that goes too far. A loss that is not finite counts as such a
step in a line search, which then shortens it, and is divergence without one."""


Objective = Callable[[Tensor], tuple[float, float]]


class _StopError(Exception):
    """Raised inside the closure to leave an optimiser that has no other way out."""


@dataclass(frozen=True)
class Minimum:
    """What `minimise` found: the best iterate, which evaluation that was, why it stopped."""

    image: Tensor
    best: int
    evaluations: int
    stop_reason: StopReason


class _Closure:
    """Counts evaluations, keeps the best iterate, and stops at the limit or on divergence."""

    def __init__(self, objective: Objective, image: Tensor, evals: int, line_search: bool) -> None:
        self.objective, self.image, self.evals = objective, image, evals
        self.line_search = line_search
        self.evaluations = 0
        self.lowest, self.lowest_scaled, self.above = float("inf"), float("inf"), 0
        self.best, self.best_image = 0, image.detach().clone()
        self.diverged = False

    def __call__(self) -> float:
        if self.evaluations >= self.evals:
            raise _StopError
        loss, scaled = self.objective(self.image)
        self.evaluations += 1
        if loss < self.lowest:
            self.lowest, self.lowest_scaled, self.best = loss, scaled, self.evaluations - 1
            self.best_image.copy_(self.image.detach())
        finite = math.isfinite(loss)
        self.above = 0 if finite and loss <= DIVERGED * self.lowest else self.above + 1
        recoverable = finite or (self.line_search and math.isfinite(self.lowest))
        if not recoverable or self.above >= PATIENCE:
            self.diverged = True
            raise _StopError
        return scaled if finite else self._barrier()

    def _barrier(self) -> float:
        """Return a high, flat loss in place of one that is not finite."""
        assert self.image.grad is not None
        self.image.grad.zero_()
        return DIVERGED * self.lowest_scaled


def _optimiser(image: Tensor, spec: OptimiserSpec, evals: int) -> torch.optim.Optimizer:
    if spec.name == "adam":
        return torch.optim.Adam([image], lr=spec.learning_rate)
    line_search = None if spec.line_search == "none" else spec.line_search
    # Tolerances of 0: with torch's defaults a loss of small scale stops after one evaluation.
    return torch.optim.LBFGS(
        [image],
        lr=spec.learning_rate,
        max_iter=evals + 1,
        max_eval=2 * evals + 1,
        history_size=spec.history,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn=line_search,
    )


def minimise(
    objective: Objective,
    start: Tensor,
    spec: OptimiserSpec,
    evals: int,
) -> Minimum:
    """Minimise an objective over an image.

    Args:
        objective: evaluates the loss at its argument and leaves the gradient in ``.grad``; returns
            (loss, scaled loss), the second being what the gradient belongs to.
        start: (B, 3, H, W), not changed.
        spec: the optimiser.
        evals: the most closure evaluations that it may take.

    Returns:
        The iterate with the lowest loss; ``stop_reason`` is ``evaluations`` (all were used),
        ``converged`` (the optimiser found no direction of descent) or ``diverged``.
    """
    image = start.detach().clone().contiguous().requires_grad_()
    searches = spec.name == "lbfgs" and spec.line_search != "none"
    closure = _Closure(objective, image, evals, searches)
    optimiser = _optimiser(image, spec, evals)
    try:
        while True:
            before = closure.evaluations
            optimiser.step(closure)
            if spec.name == "lbfgs" or closure.evaluations == before:
                break
    except _StopError:
        pass
    if closure.diverged:
        reason: StopReason = "diverged"
    else:
        reason = "evaluations" if closure.evaluations >= evals else "converged"
    return Minimum(closure.best_image, closure.best, closure.evaluations, reason)
