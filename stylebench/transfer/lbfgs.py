"""L-BFGS for a batch of independent images, in steps of one closure evaluation.

Each image has its own history, line search and stop, and its iterates are those that
``torch.optim.LBFGS`` with both tolerances 0 and the same first step finds for it alone, rounding
aside (torch 2.14: a line search has no limit but that of all evaluations). All decisions are tensor
operations with one entry per image, so that nothing waits for the device.

Sources: Liu & Nocedal 1989 (the method); Byrd, Nocedal & Schnabel 1994, theorem 2.2 (the compact
form of the inverse Hessian); Nocedal & Wright 2006, algorithms 3.5 and 3.6 (strong Wolfe line
search), with the constants and interpolation of torch.optim.LBFGS, after minFunc.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from stylebench.runtime import float64

CURVATURE = 1e-10
"""A pair of step s and change of gradient y enters the history where y·s is above this (torch)."""
DECREASE, SLOPE = 1e-4, 0.9
"""c1 and c2 of the strong Wolfe conditions (torch)."""
NARROW = 1e-9
"""A search ends where the steps of its bracket differ by less, in the largest entry (torch)."""


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the dot products of rows: (B, n), (B, n) -> (B,).

    Summed in pairs, in the tensors' type: a product of matrices loses three digits in float32.
    """
    return (a * b).sum(dim=1)


def _rows(mask: Tensor, like: Tensor) -> Tensor:
    """Return a mask (B,) as (B, 1) on the device of `like`."""
    return mask.to(like.device).unsqueeze(1)


class History:
    """The last pairs (s, y) of each image, and the direction −H·g that they give.

    Args:
        like: (B, n), whose type and device the pairs have.
        length: the most pairs of an image.
    """

    def __init__(self, like: Tensor, length: int) -> None:
        batch, size = like.shape
        self._length, self._used = length, 0
        # Row `length` takes what is not to be kept. Memory is touched as rows come into use.
        self._s, self._y = (like.new_empty(batch, length + 1, size) for _ in range(2))
        zeros = float64(like.new_zeros(batch, length + 1, length + 1))
        self._sy, self._yy = zeros, zeros.clone()
        self._count = torch.zeros(batch, dtype=torch.long, device=zeros.device)
        self._batch = torch.arange(batch, device=zeros.device)

    def append(self, s: Tensor, y: Tensor, accepted: Tensor) -> None:
        """Keep the pairs (B, n) of the images that are `accepted` (B,) and have curvature."""
        if self._used < self._length:
            self._s[:, self._used] = self._y[:, self._used] = 0
            self._used += 1
        kept = accepted & (float64(dot(y, s)) > CURVATURE)
        slot = torch.where(kept, self._count % self._length, self._length)
        where = self._batch.to(s.device), slot.to(s.device)
        self._s[where], self._y[where] = s, y
        self._count += kept
        used, rows = self._used, self._batch
        products = [float64((v[:, :used] @ y.unsqueeze(2)).squeeze(2)) for v in (self._s, self._y)]
        self._sy[rows, :used, slot], self._yy[rows, :used, slot] = products
        self._yy[rows, slot, :used] = products[1]

    def direction(self, gradient: Tensor) -> Tensor:
        """Return −H·g for gradients (B, n); −g for an image without pairs.

        With the pairs in the order of their age, R = the upper triangle of SᵀY, D its diagonal and
        γ = (s·y)/(y·y) of the newest pair:

            H g = γ g + S u − γ Y p,  p = R⁻¹ Sᵀg,  u = R⁻ᵀ ((D + γ YᵀY) p − γ Yᵀg)
        """
        used = self._used
        if not used:
            return -gradient
        s, y = self._s[:, :used], self._y[:, :used]
        products = [float64((rows @ gradient.unsqueeze(2)).squeeze(2)) for rows in (s, y)]
        start = torch.where(self._count > used, self._count % used, 0)
        ages = torch.arange(used, device=start.device)
        order = (start.unsqueeze(1) + ages) % used
        rows, columns = self._batch[:, None, None], order[:, None, :]
        sy, yy = (m[rows, order[:, :, None], columns] for m in (self._sy, self._yy))
        sg, yg = (p.gather(1, order).unsqueeze(2) for p in products)
        diagonal = sy.diagonal(dim1=1, dim2=2)
        newest = (self._count.clamp(1, used) - 1).unsqueeze(1)
        curvature, square = (m.gather(1, newest) for m in (diagonal, yy.diagonal(dim1=1, dim2=2)))
        gamma = torch.where(curvature > 0, curvature / square, 1.0).unsqueeze(2)
        upper = sy.triu() + torch.diag_embed((diagonal == 0).to(sy))
        p = torch.linalg.solve_triangular(upper, sg, upper=True)
        right = diagonal.unsqueeze(2) * p + gamma * (yy @ p - yg)
        u = torch.linalg.solve_triangular(upper.mT, right, upper=False)
        u, p = (torch.zeros_like(v).scatter(1, order.unsqueeze(2), v) for v in (u, gamma * p))
        u, p, gamma = (v.to(gradient) for v in (u, p, gamma))
        found = (p.mT @ y) - (u.mT @ s)
        return found.squeeze(1).sub_(gamma.squeeze(2) * gradient)


@dataclass
class Point:
    """Points on the rays of a line search, one per image: step t, loss and slope, (B,) each."""

    t: Tensor
    loss: Tensor
    slope: Tensor

    def where(self, mask: Tensor, other: "Point") -> "Point":
        """Return this point where `mask` (B,) is true, `other` elsewhere."""
        return Point(
            torch.where(mask, self.t, other.t),
            torch.where(mask, self.loss, other.loss),
            torch.where(mask, self.slope, other.slope),
        )


def cubic_minimum(a: Point, b: Point, low: Tensor, high: Tensor) -> Tensor:
    """Return where the cubic through two points with slopes is lowest, within [low, high].

    Source: Nocedal & Wright 2006, eq. (3.59). Where it has no minimum: the middle of the bounds.
    """
    first = a.t <= b.t
    a, b = a.where(first, b), b.where(first, a)
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1.square() - a.slope * b.slope
    d2 = square.clamp_min(0).sqrt()
    at = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    at = torch.minimum(torch.maximum(at, low), high)
    return torch.where((square >= 0) & ~at.isnan(), at, (low + high) / 2)


class StrongWolfe:
    """The line searches of a batch: bracketing, then zoom, one evaluation a step.

    Attributes:
        trial: (B,), the steps at which to evaluate next.
        kept: the best points so far; those that are accepted where the search is done.
    """

    def __init__(self, start: Point, trial: Tensor, largest: Tensor) -> None:
        self._start = self.kept = self._other = start
        self.trial, self._largest = trial, largest
        self._count = torch.zeros_like(trial, dtype=torch.long)
        self._zoom, self._stalled = (torch.zeros_like(trial, dtype=torch.bool) for _ in range(2))
        self._kept_first = torch.ones_like(self._zoom)

    def restart(self, mask: Tensor, start: Point, trial: Tensor, largest: Tensor) -> None:
        """Begin a new search for the images of `mask` (B,), the others go on.

        `largest` (B,) are the largest magnitudes of the directions' entries.
        """
        self._largest = torch.where(mask, largest, self._largest)
        self._start = start.where(mask, self._start)
        self.kept = start.where(mask, self.kept)
        self.trial = torch.where(mask, trial, self.trial)
        self._count = self._count.masked_fill(mask, 0)
        self._zoom, self._stalled = self._zoom & ~mask, self._stalled & ~mask
        self._kept_first = self._kept_first | mask

    def step(self, loss: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Take the losses and slopes (B,) at `trial` and choose the next trial.

        Returns:
            (take, done), (B,) each: the trial became the point kept, which is neither the start nor
            an earlier trial; the search has ended with the point kept.
        """
        new, kept, start = Point(self.trial, loss, slope), self.kept, self._start
        too_high = loss > start.loss + DECREASE * new.t * start.slope
        flat = slope.abs() <= -SLOPE * start.slope
        # Bracketing: `kept` is the trial before.
        high = too_high | ((self._count > 1) & (loss >= kept.loss))
        found = ~self._zoom & ~high & flat
        bracketed = ~self._zoom & (high | (~flat & (slope >= 0)))
        expand = ~self._zoom & ~found & ~bracketed
        take_first = found | expand | (bracketed & (loss < kept.loss))
        # Zoom: `kept` is the lower end, `_other` the higher one.
        above = self._zoom & (too_high | (loss >= kept.loss))
        swapped = above & torch.where(self._kept_first, loss < kept.loss, loss <= kept.loss)
        below = self._zoom & ~above
        turned = below & ~flat & (slope * (self._other.t - kept.t) >= 0)
        take = take_first | swapped | below
        before = kept
        self.kept = new.where(take, kept)
        earlier = (bracketed & take) | swapped | turned
        self._other = before.where(
            earlier, new.where((bracketed & ~take) | (above & ~swapped), self._other)
        )
        self._kept_first = torch.where(bracketed, ~take, self._kept_first ^ swapped)
        self._zoom = self._zoom | bracketed
        self.trial = torch.where(expand, self._expanded(before, new), self._zoomed())
        self._count = self._count + 1
        width = (self.kept.t - self._other.t).abs() * self._largest
        return take, found | (below & flat) | (self._zoom & (width < NARROW))

    def _expanded(self, before: Point, new: Point) -> Tensor:
        low = new.t + 0.01 * (new.t - before.t)
        return cubic_minimum(before, new, low, new.t * 10)

    def _zoomed(self) -> Tensor:
        """Return the next trial between `kept` and `_other`, off the ends if it stays near them."""
        low = torch.minimum(self.kept.t, self._other.t)
        high = torch.maximum(self.kept.t, self._other.t)
        t = cubic_minimum(self.kept, self._other, low, high)
        margin = 0.1 * (high - low)
        near = torch.minimum(high - t, t - low) < margin
        push = near & (self._stalled | (t >= high) | (t <= low))
        self._stalled = self._zoom & near & ~push
        off = torch.where((t - high).abs() < (t - low).abs(), high - margin, low + margin)
        return torch.where(push, off, t)


class LBFGS:
    """Minimises a function for each row of a batch: evaluate at `trial`, call `step`, again.

    Args:
        start: (B, n).
        history: pairs kept per image.
        learning_rate: of the first trial of every iteration.
        line_search: with the strong Wolfe conditions, or none.
        first_step: the very first trial is −first_step · learning_rate · g; None: as torch's,
            whose first_step is min(1, 1/‖g‖₁).

    Attributes:
        trial: (B, n), where to evaluate next; of a stopped image its last iterate.
        stopped: (B,), images whose direction does not descend or whose step is 0.
    """

    def __init__(
        self,
        start: Tensor,
        history: int,
        learning_rate: float,
        line_search: bool,
        first_step: float | None = None,
    ) -> None:
        self.trial = self._x = start
        self._rate, self._searches, self._first_step = learning_rate, line_search, first_step
        self._history = History(start, history)
        self._search: StrongWolfe | None = None
        self._kept = self._gradient = self._direction = start

    def step(self, loss: Tensor, gradient: Tensor) -> None:
        """Take the losses (B,), in double precision, and gradients (B, n) at `trial`."""
        if self._search is None:
            self._begin(loss, gradient)
        else:
            self._go_on(self._search, loss, gradient)

    def _begin(self, loss: Tensor, gradient: Tensor) -> None:
        self._kept = self._gradient = gradient
        self._direction = -gradient
        if self._first_step is None:
            first = (1 / float64(gradient.abs().sum(dim=1))).clamp_max(1.0)
        else:
            first = torch.full_like(loss, self._first_step)
        start = Point(torch.zeros_like(loss), loss, self._slope(gradient))
        self._search = StrongWolfe(start, first * self._rate, self._largest())
        self.stopped = self._hopeless(start.slope)
        self._move(self._search)

    def _slope(self, gradient: Tensor) -> Tensor:
        return float64(dot(gradient, self._direction))

    def _largest(self) -> Tensor:
        return float64(self._direction.abs().amax(dim=1))

    def _hopeless(self, slope: Tensor) -> Tensor:
        """Return which images cannot descend: a slope above 0, or a gradient of 0."""
        return (slope > 0) | float64(self._gradient.abs().amax(dim=1)).eq(0)

    def _move(self, search: StrongWolfe) -> None:
        t = torch.where(self.stopped, 0.0, search.trial)
        self.trial = self._x + t.to(self._x).unsqueeze(1) * self._direction

    def _go_on(self, search: StrongWolfe, loss: Tensor, gradient: Tensor) -> None:
        slope = self._slope(gradient)
        if self._searches:
            take, done = search.step(loss, slope)
        else:
            search.kept = Point(search.trial, loss, slope)
            take = done = torch.ones_like(self.stopped)
        done = done & ~self.stopped
        self._kept = torch.where(_rows(take, gradient), gradient, self._kept)
        step = search.kept.t.to(gradient).unsqueeze(1) * self._direction
        ended = _rows(done, gradient)
        self._history.append(step, self._kept - self._gradient, done)
        self._x = torch.where(ended, self._x + step, self._x)
        self._gradient = torch.where(ended, self._kept, self._gradient)
        self._direction = torch.where(
            ended, self._history.direction(self._gradient), self._direction
        )
        slope = self._slope(self._gradient)
        still = float64(step.abs().amax(dim=1)).eq(0)
        self.stopped = self.stopped | (done & (still | self._hopeless(slope)))
        start = Point(torch.zeros_like(slope), search.kept.loss, slope)
        search.restart(done, start, torch.full_like(slope, self._rate), self._largest())
        self._move(search)
