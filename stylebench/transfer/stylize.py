"""Style transfer by optimisation of the image, after Gatys, Ecker, Bethge, CVPR 2016."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from stylebench.backbones.extractor import Backbone
from stylebench.config import Image, LossSpec, OptimiserSpec, SmoothingSpec
from stylebench.errors import InputError, JobError
from stylebench.transfer import smoothing
from stylebench.transfer.objective import Evaluation, Objective, TermGradient
from stylebench.transfer.optimisers import Minimum, StopReason, minimise
from stylebench.transfer.parameterisation import Parameterisation, parameterise

Start = Literal["content", "style", "noise"]

MOVED = 1 / 255
"""A result with a smaller root mean square distance from the start (one grey level) is flagged."""
FEW_EVALUATIONS = 5


@dataclass(frozen=True)
class Stylization:
    """What `stylize` returns.

    Attributes:
        image: (1, 3, H, W), in [0, 1]: the best iterate, clamped once, at the end.
        trace: the losses of every closure evaluation, in order.
        initial, final: the first evaluation, and that of the best iterate (before it is clamped).
        stop_reason: ``evaluations``, ``converged`` or ``diverged``.
        objective_scale: power of two by which the objective was multiplied for the optimiser.
        style_layers: w_l·style_l of the best iterate by node.
        initial_gradient: L2 norm of the gradient of the loss by the pixels at the start.
        moved: root mean square change of the clamped pixels from the start.
        flags: ``did-not-move``, ``few-evaluations``, ``diverged``, as they apply.
        gradients: what each term asks of the picture near the start, if that was wanted.
    """

    image: Tensor
    trace: tuple[Evaluation, ...]
    initial: Evaluation
    final: Evaluation
    stop_reason: StopReason
    objective_scale: float
    style_layers: dict[str, float]
    initial_gradient: float
    moved: float
    flags: tuple[str, ...]
    gradients: tuple[TermGradient, ...]


def _start_image(start: Start, content: Tensor, style: Tensor, seed: int) -> Tensor:
    if start == "content":
        return content
    if start == "style":
        size = content.shape[-2:]
        return interpolate(style, size=size, mode="bilinear", antialias=True, align_corners=False)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(content.shape, generator=generator).to(content)


def _check(pairs: Sequence[tuple[Tensor, Tensor]], evals: int) -> None:
    for pair in pairs:
        for name, picture in zip(("content", "style"), pair, strict=True):
            if picture.ndim != 4 or picture.shape[:2] != (1, 3):
                found = tuple(picture.shape)
                raise InputError(f"{name}: expected a tensor (1, 3, H, W), found {found}")
    sizes = {tuple(content.shape[-2:]) for content, _ in pairs}
    if len(sizes) != 1:
        raise InputError(f"expected content pictures of one size in a batch, found {sorted(sizes)}")
    if evals < 1:
        raise InputError(f"evals: expected at least 1, found {evals}")


def stylize(
    backbone: Backbone,
    content: Tensor,
    style: Tensor,
    *,
    smooth: SmoothingSpec | None = None,
    loss: LossSpec | None = None,
    optimiser: OptimiserSpec | None = None,
    start: Start = "content",
    evals: int = 60,
    seed: int = 0,
    image: Image = "pixels",
    gradients: bool = False,
) -> Stylization:
    """Return the content picture in the style of the other, as the backbone sees style.

    Args:
        backbone: from ``stylebench.backbones.extractor.build``.
        content: (1, 3, H, W), RGB in [0, 1], on the backbone's device.
        style: (1, 3, H', W'), the same.
        smooth: smoothing of the maps in the losses; none by default.
        loss: weights, normalisation, balance; the preset ``balanced`` by default.
        optimiser: L-BFGS with a line search by default.
        start: where the optimisation begins.
        evals: closure evaluations, at most.
        seed: of a start from noise, and of the noise at which gradients of terms are measured.
        image: what is optimised, ``pixels`` or ``fourier``
            (`stylebench.transfer.parameterisation`).
        gradients: whether to measure what each term asks of the picture.

    Raises:
        InputError: a picture of another shape, no evaluations, an unknown smoothing or parameter,
            a layer weight for an unknown node, an unknown parameterisation.
        JobError: the loss stopped being finite before it fell below that of the start.
    """
    (found,) = stylize_batch(
        backbone, [(content, style)], smooth=smooth, loss=loss, optimiser=optimiser,
        start=start, evals=evals, seeds=[seed], image=image, gradients=gradients,
    )  # fmt: skip
    return found


def stylize_batch(
    backbone: Backbone,
    pairs: Sequence[tuple[Tensor, Tensor]],
    *,
    smooth: SmoothingSpec | None = None,
    loss: LossSpec | None = None,
    optimiser: OptimiserSpec | None = None,
    start: Start = "content",
    evals: int = 60,
    seeds: Sequence[int] | None = None,
    image: Image = "pixels",
    gradients: bool = False,
) -> list[Stylization]:
    """Stylise several pairs at once; each is optimised as `stylize` does it alone.

    Args:
        backbone: from ``stylebench.backbones.extractor.build``.
        pairs: (content, style), as for `stylize`; all contents have one size.
        smooth: as for `stylize`, and so are the others without an explanation here.
        loss: see `smooth`.
        optimiser: see `smooth`.
        start: see `smooth`.
        evals: closure evaluations of each pair, at most.
        seeds: one for each pair; 0 by default.
        image: see `smooth`.
        gradients: see `smooth`.

    Raises:
        InputError: as `stylize`, contents of several sizes, several pairs for ``lbfgsb``.
        JobError: the loss of a pair stopped being finite before it fell.
    """
    _check(pairs, evals)
    seeds = seeds or [0] * len(pairs)
    spec, smooth = loss or LossSpec(), smooth or SmoothingSpec(name="none")
    smoothing.check(smooth)
    images = torch.cat(
        [_start_image(start, *pair, seed) for pair, seed in zip(pairs, seeds, strict=True)]
    )
    space = parameterise(image, images)
    objective = Objective(backbone, pairs, smooth, spec, space)
    if spec.balance == "gradient":
        objective.balance_gradients(images, seeds)
    budgets = objective.gradients(images, seeds) if gradients else [()] * len(pairs)
    minima = minimise(objective, space.vector(images), optimiser or OptimiserSpec(), evals)
    return [
        _stylization(objective, index, images[index : index + 1], space, found, evals, budget)
        for index, (found, budget) in enumerate(zip(minima, budgets, strict=True))
    ]


def _stylization(
    objective: Objective,
    index: int,
    start: Tensor,
    space: Parameterisation,
    found: Minimum,
    evals: int,
    gradients: tuple[TermGradient, ...],
) -> Stylization:
    result = space.image(found.image.unsqueeze(0)).clamp(0, 1)
    moved = float((result - start.clamp(0, 1)).square().mean().sqrt())
    checks = {
        "did-not-move": not moved >= MOVED,
        "few-evaluations": found.evaluations < min(FEW_EVALUATIONS, evals),
        "diverged": found.stop_reason == "diverged",
    }
    seen = objective.trace(index, found.evaluations)
    last = seen[-1][0].loss
    if found.best == 0 and not math.isfinite(last):
        raise JobError(
            f"the loss became {last} at evaluation {found.evaluations}, before any was below that "
            "of the start: look at the weights of network and losses, and the learning rate"
        )
    return Stylization(
        image=result,
        trace=tuple(evaluation for evaluation, _ in seen),
        initial=seen[0][0],
        final=seen[found.best][0],
        stop_reason=found.stop_reason,
        objective_scale=objective.scales[index],
        style_layers=seen[found.best][1],
        initial_gradient=objective.initial_gradients[index],
        moved=moved,
        flags=tuple(flag for flag, applies in checks.items() if applies),
        gradients=gradients,
    )
