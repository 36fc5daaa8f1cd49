"""Optimisers of a batch of independent images on a count of closure evaluations."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from stylebench.config import OptimiserSpec
from stylebench.errors import InputError
from stylebench.runtime import float64
from stylebench.transfer.lbfgs import LBFGS

StopReason = Literal["evaluations", "converged", "diverged", "stopped", "tolerance"]

DIVERGED = 1e4
PATIENCE = 10
"""So many evaluations in a row with a loss above DIVERGED times the lowest seen are divergence:
L-BFGS recovers from a single step that goes too far. A loss that is not finite counts as such a
step in a line search, which then shortens it, and is divergence without one."""
RESTART = 20
"""Evaluations after which scipy's L-BFGS-B begins anew, without its history; it ends its line
search first. Source: ``maxfun`` of each call of fmin_l_bfgs_b in Chollet's Keras example (2016)."""
WINDOW = 20
"""Evaluations within which the lowest loss has to fall by the tolerance: single ones of a line
search go up, and so does that of a batch whose ReLUs change over."""
LOOK_EVERY = 10
"""Evaluations on a GPU from one look at whether all images have stopped to the next: to look is to
wait for the device."""

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]


class Optimiser(Protocol):
    """Minimises a function of each row of a batch: evaluate it at `trial`, call `step`, again."""

    trial: Tensor
    stopped: Tensor

    def step(self, loss: Tensor, gradient: Tensor) -> None:
        """Take the losses (B,) and gradients (B, n) at `trial` and choose the next one."""


class Adam:
    """torch's Adam: each entry of the batch is its own, so that images are independent."""

    def __init__(self, start: Tensor, learning_rate: float) -> None:
        self.trial = start.clone()
        self.stopped = torch.zeros(len(start), dtype=torch.bool, device=start.device)
        self._adam = torch.optim.Adam([self.trial], lr=learning_rate)

    def step(self, loss: Tensor, gradient: Tensor) -> None:
        """Take the gradients (B, n) at `trial` and choose the next one."""
        self.trial.grad = gradient
        self._adam.step()


@dataclass(frozen=True)
class Minimum:
    """What `minimise` found for one image.

    Attributes:
        image: (3, H, W), the iterate with the lowest loss.
        best: which evaluation that was.
        evaluations: how many were made.
        stop_reason: ``evaluations`` (all were used), ``converged`` (the optimiser found no
            direction of descent), ``tolerance`` (it fell by too little), ``diverged``, or
            ``stopped`` by who watched.
    """

    image: Tensor
    best: int
    evaluations: int
    stop_reason: StopReason


class Progress:
    """The best iterates of a batch, and which images go on; `count` evaluations were seen."""

    def __init__(self, images: Tensor, line_search: bool, tolerance: float = 0.0) -> None:
        zeros = torch.zeros(len(images), dtype=torch.long, device=float64(images[:0]).device)
        self.image = images.clone()
        self.best, self.evaluations, self._above = zeros, zeros.clone(), zeros.clone()
        self.lowest = torch.full_like(zeros, torch.inf, dtype=torch.float64)
        self.diverged = torch.zeros_like(zeros, dtype=torch.bool)
        self.converged, self.settled = self.diverged.clone(), self.diverged.clone()
        self._tolerance, self._earlier = tolerance, deque[Tensor](maxlen=WINDOW)
        self._line_search, self.count, self.stopped = line_search, 0, False

    def going(self) -> Tensor:
        """Return (B,): which images have not stopped."""
        return ~(self.diverged | self.converged | self.settled)

    def see(
        self, images: Tensor, loss: Tensor, gradient: Tensor, index: int
    ) -> tuple[Tensor, Tensor]:
        """Take evaluation `index` and return what the optimiser shall know of it.

        Where a loss is not finite that is a high, flat one.
        """
        self.count = index + 1
        going = self.going()
        better = going & (loss < self.lowest)
        self.lowest = torch.where(better, loss, self.lowest)
        self.best = torch.where(better, index, self.best)
        self.image = torch.where(better.to(images.device).view(-1, 1), images, self.image)
        self.evaluations = self.evaluations + going
        finite = loss.isfinite()
        self._above = torch.where(finite & (loss <= DIVERGED * self.lowest), 0, self._above + 1)
        recoverable = finite
        if self._line_search:
            recoverable = finite | self.lowest.isfinite()
        self.diverged = self.diverged | (going & (~recoverable | (self._above >= PATIENCE)))
        if self._tolerance:
            if len(self._earlier) == WINDOW:
                enough = self.lowest <= (1 - self._tolerance) * self._earlier[0]
                self.settled = self.settled | (going & ~self.diverged & ~enough)
            self._earlier.append(self.lowest)
        flat = (~finite).to(gradient.device).view(-1, 1)
        return torch.where(finite, loss, DIVERGED * self.lowest), gradient.masked_fill(flat, 0.0)


Watch = Callable[[Progress], bool | None]
"""Called after each closure evaluation; True ends the optimisation."""


def _optimiser(start: Tensor, spec: OptimiserSpec) -> Optimiser:
    if spec.name == "adam":
        return Adam(start, spec.learning_rate)
    first = None if spec.first_step == "torch" else spec.first_step
    return LBFGS(start, spec.history, spec.learning_rate, spec.line_search != "none", first)


class _StopError(Exception):
    """Raised in the function that scipy minimises, as it takes no more evaluations."""


def _by_scipy(
    objective: Objective, start: Tensor, history: int, evals: int, watch: Watch, tolerance: float
) -> Progress:
    """Minimise over one image (1, 3, H, W) by runs of scipy's L-BFGS-B; arguments as of `minimise`.

    Its variables are the pixels in [0, 1], in float64; the objective sees them in the type of
    `start`. Both tolerances are 0. It has converged where a run takes no step, or sees nothing
    lower than the runs before it; scipy's "converged" says only that one iteration lowered nothing.
    """
    from scipy.optimize import minimize

    if len(start) != 1:
        raise InputError(
            f"optimiser lbfgsb: expected one picture, found a batch of {len(start)}; "
            "stylise them one by one"
        )
    progress = Progress(start.detach().flatten(1), line_search=True, tolerance=tolerance)

    def value(x: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, np.ndarray[Any, Any]]:
        index = int(progress.evaluations)
        if index == evals:
            raise _StopError
        trial = torch.from_numpy(x).to(start).view(1, -1)
        loss, gradient = objective(trial.view_as(start))
        loss, gradient = progress.see(trial, loss, gradient.flatten(1), index)
        progress.stopped = bool(watch(progress))
        if progress.stopped or not progress.going().any():
            raise _StopError
        return float(loss), float64(gradient)[0].cpu().numpy()

    x, before = float64(progress.image)[0].cpu().numpy(), progress.lowest
    with suppress(_StopError):
        while not progress.converged.all():
            found = minimize(
                value, x, jac=True, method="L-BFGS-B",
                options={"maxcor": history, "maxfun": RESTART, "ftol": 0, "gtol": 0},
            )  # fmt: skip
            progress.converged = (progress.lowest >= before) | (found.nit == 0)
            x, before = found.x, progress.lowest
    return progress


def iterate(
    objective: Objective,
    start: Tensor,
    spec: OptimiserSpec,
    evals: int,
    tolerance: float = 0.0,
) -> Iterator[Progress]:
    """Yield after each closure evaluation, until there were `evals` or all images have stopped.

    Args:
        objective: maps (B, 3, H, W) to losses (B,), in double precision, and their gradients.
        start: (B, 3, H, W), not changed.
        spec: the optimiser, ``lbfgs`` or ``adam``: scipy's calls the objective itself.
        evals: the most closure evaluations that it may take.
        tolerance: an image has stopped where its lowest loss fell by less than this share of itself
            in `WINDOW` evaluations; 0: it goes on.
    """
    optimiser = _optimiser(start.detach().flatten(1).contiguous(), spec)
    searches = spec.name == "lbfgs" and spec.line_search != "none"
    progress = Progress(optimiser.trial, searches, tolerance)
    for index in range(evals):
        trial = optimiser.trial
        loss, gradient = objective(trial.view_as(start))
        loss, gradient = progress.see(trial, loss, gradient.flatten(1), index)
        if index + 1 < evals:
            optimiser.step(loss, gradient)
            progress.converged = progress.converged | (progress.going() & optimiser.stopped)
        yield progress
        looks = not start.is_cuda or (index + 1) % LOOK_EVERY == 0
        if looks and not progress.going().any():
            return


def minimise(
    objective: Objective,
    start: Tensor,
    spec: OptimiserSpec,
    evals: int,
    watch: Watch = lambda progress: None,
    tolerance: float = 0.0,
) -> list[Minimum]:
    """Minimise an objective over each image of a batch; arguments as of `iterate`.

    Args:
        objective: as of `iterate`, and so are the others.
        start: the same.
        spec: any optimiser.
        evals: the same.
        watch: called after each evaluation; where it returns True it was the last.
        tolerance: as of `iterate`.

    Returns:
        For each image the iterate with the lowest loss, and how it ended.

    Raises:
        InputError: several images for ``lbfgsb``.
    """
    if spec.name == "lbfgsb":
        progress = _by_scipy(objective, start, spec.history, evals, watch, tolerance)
    else:
        for progress in iterate(objective, start, spec, evals, tolerance):
            progress.stopped = bool(watch(progress))
            if progress.stopped:
                break
    ways: tuple[tuple[StopReason, Tensor], ...] = (
        ("diverged", progress.diverged),
        ("converged", progress.converged),
        ("tolerance", progress.settled),
    )
    left: StopReason = "stopped" if progress.stopped else "evaluations"
    return [
        Minimum(
            image.view(start.shape[1:]),
            int(progress.best[index]),
            int(progress.evaluations[index]),
            next((reason for reason, applies in ways if applies[index]), left),
        )
        for index, image in enumerate(progress.image)
    ]
