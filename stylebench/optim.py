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
"""So many evaluations in a row with a loss above DIVERGED times the lowest seen, or one that is not
finite, count as divergence; L-BFGS recovers from a single step that goes too far."""


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

    def __init__(
        self, objective: Callable[[Tensor], tuple[float, float]], image: Tensor, evals: int
    ):
        self.objective, self.image, self.evals = objective, image, evals
        self.evaluations = 0
        self.lowest, self.above = float("inf"), 0
        self.best, self.best_image = 0, image.detach().clone()
        self.diverged = False

    def __call__(self) -> float:
        if self.evaluations >= self.evals:
            raise _StopError
        loss, scaled = self.objective(self.image)
        self.evaluations += 1
        if loss < self.lowest:
            self.lowest, self.best = loss, self.evaluations - 1
            self.best_image.copy_(self.image.detach())
        self.above = self.above + 1 if loss > DIVERGED * self.lowest else 0
        if not math.isfinite(loss) or self.above >= PATIENCE:
            self.diverged = True
            raise _StopError
        return scaled


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
    objective: Callable[[Tensor], tuple[float, float]],
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
    closure = _Closure(objective, image, evals)
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
