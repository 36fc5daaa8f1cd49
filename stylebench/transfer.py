"""Style transfer by optimisation of the image, after Gatys, Ecker, Bethge, CVPR 2016."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from stylebench import losses, smoothing
from stylebench.backbones.extractor import Backbone
from stylebench.config import LossSpec, OptimiserSpec, SmoothingSpec
from stylebench.errors import InputError
from stylebench.optim import StopReason, minimise
from stylebench.runtime import float64

Start = Literal["content", "style", "noise"]

MOVED = 1 / 255
"""A result with a smaller root mean square distance from the start (one grey level) is flagged."""
FEW_EVALUATIONS = 5
FIRST_STEP = 1 / 25
"""Mean change of a pixel, in [0, 1], by a step along the whole negative gradient at the start: the
objective is scaled so that it is this much; see `Objective.__call__`."""
PROBE = 0.1
"""Standard deviation of the noise (pixels in [0, 1]) added to the start where gradient norms are
measured for ``balance: gradient``; at the content picture itself the content gradient is zero."""


@dataclass(frozen=True)
class Evaluation:
    """One closure evaluation: the total loss and its terms, before α, β and γ."""

    loss: float
    content_loss: float
    style_loss: float
    tv_loss: float


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
        initial_gradient: L2 norm of the gradient of the loss at the start.
        moved: root mean square change of the clamped pixels from the start.
        flags: ``did-not-move``, ``few-evaluations``, ``diverged``, as they apply.
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


@dataclass(frozen=True)
class _Term:
    """One squared distance: which map, its target, its factor c (c·distance is the term)."""

    node: str
    stage: int
    target: Tensor
    factor: float
    weight: float  # α, or β·w_l
    is_style: bool


class Objective:
    """The loss of an image and its gradient. Targets are encoded once, here.

    Args:
        backbone: gives the feature maps.
        content: (1, 3, H, W) in [0, 1].
        style: (1, 3, H', W') in [0, 1].
        smooth: applied to the maps in the losses.
        spec: normalisation, balance and weights.
    """

    def __init__(
        self,
        backbone: Backbone,
        content: Tensor,
        style: Tensor,
        smooth: SmoothingSpec,
        spec: LossSpec,
    ) -> None:
        names = [node.name for node in backbone.style]
        for name in spec.layer_weights:
            if name not in names:
                known = ", ".join(names)
                raise InputError(f"layer_weights: no style node {name!r} (known: {known})")
        self._backbone, self._smooth, self.spec = backbone, smooth, spec
        self.scale = 0.0  # of the objective; chosen at the first evaluation
        self.initial_gradient = math.nan
        self._tv_factor = 1.0
        self.trace: list[Evaluation] = []
        self.style_layers: list[dict[str, float]] = []
        with torch.no_grad():
            maps = backbone(content)
            node = backbone.content
            self._terms = [self._content_term(node.name, node.stage, maps[node.name])]
            maps = backbone(style)
            self._terms += [self._style_term(n.name, n.stage, maps[n.name]) for n in backbone.style]

    def _content_term(self, name: str, stage: int, maps: Tensor) -> _Term:
        target, unit = smoothing.apply(self._smooth, maps, stage)
        factor = losses.content_factor(tuple(maps.shape), self.spec.normalisation) * unit**2
        factor = self._balanced(factor, target)
        return _Term(name, stage, target, factor, self.spec.content_weight, is_style=False)

    def _style_term(self, name: str, stage: int, maps: Tensor) -> _Term:
        smoothed, unit = smoothing.apply(self._smooth, maps, stage)
        target = losses.gram(smoothed)
        factor = losses.style_factor(maps.shape[1], self.spec.normalisation) * unit**4
        weight = self.spec.style_weight * self.spec.layer_weights.get(name, 1.0)
        return _Term(name, stage, target, self._balanced(factor, target), weight, is_style=True)

    def _balanced(self, factor: float, target: Tensor) -> float:
        """Return 1/‖target‖² for ``balance: target``; the unit of the smoothing cancels."""
        if self.spec.balance != "target":
            return factor
        norm = float(float64(target).square().sum())
        return 1 / norm if norm > 0 else 0.0

    def _distances(self, image: Tensor) -> Tensor:
        """Return the squared distances of all terms, and the total variation, as one vector."""
        maps = self._backbone(image)
        values = []
        for term in self._terms:
            smoothed, _ = smoothing.apply(self._smooth, maps[term.node], term.stage)
            found = losses.gram(smoothed) if term.is_style else smoothed
            values.append(losses.squared_distance(found, term.target)[0])
        values.append(losses.total_variation(image)[0])
        return torch.stack(values)

    def balance_gradients(self, start: Tensor, seed: int) -> None:
        """Divide each term by the L2 norm of its own gradient near `start` (see PROBE)."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(start.shape, generator=generator).to(start)
        image = (start + PROBE * noise).requires_grad_()
        distances = self._distances(image)
        terms = []
        for index, term in enumerate(self._terms):
            (gradient,) = torch.autograd.grad(distances[index], image, retain_graph=True)
            norm = float(float64(gradient).norm())
            factor = 1 / norm if norm > 0 else 0.0
            terms.append(_Term(**{**vars(term), "factor": factor}))
        self._terms = terms
        (gradient,) = torch.autograd.grad(distances[-1], image)
        norm = float(float64(gradient).norm())
        self._tv_factor = 1 / norm if norm > 0 else 0.0

    def _coefficients(self) -> list[float]:
        weights = [term.factor * term.weight for term in self._terms]
        return [*weights, self._tv_factor * self.spec.tv_weight]

    def evaluation(self, distances: Sequence[float]) -> Evaluation:
        """Return the losses that belong to a vector of distances, in double precision."""
        terms = [t.factor * d for t, d in zip(self._terms, distances[:-1], strict=True)]
        style = [
            self.spec.layer_weights.get(term.node, 1.0) * value
            for term, value in zip(self._terms[1:], terms[1:], strict=True)
        ]
        self.style_layers.append(
            {term.node: value for term, value in zip(self._terms[1:], style, strict=True)}
        )
        content, tv = terms[0], self._tv_factor * distances[-1]
        total = (
            self.spec.content_weight * content
            + self.spec.style_weight * sum(style)
            + self.spec.tv_weight * tv
        )
        return Evaluation(total, content, sum(style), tv)

    def __call__(self, image: Tensor) -> tuple[float, float]:
        """Evaluate the loss at `image` and leave the gradient of the scaled loss in ``image.grad``.

        The scale is a power of two, chosen at the first evaluation so that the mean of |gradient|
        is in [1, 2) times FIRST_STEP. Rounding aside, L-BFGS takes the same steps for any scale as
        long as it has a curvature pair. torch's drops pairs with y·s ≤ 1e-10 and then steps along
        −g itself: a large gradient throws the picture far out, a small one crawls. With this scale
        such a step is a change of some ten grey levels.

        Returns:
            (loss, scaled loss).
        """
        coefficients = self._coefficients()
        first = self.scale == 0.0
        if first:
            self.scale = _power_of_two(1 / max(max(coefficients), 1e-300))
        distances = self._distances(image)
        exact = torch.tensor([c * self.scale for c in coefficients], dtype=torch.float64)
        weights = exact.to(distances.dtype).to(distances.device)
        image.grad = None
        (weights * distances).sum().backward()  # type: ignore[no-untyped-call]
        assert image.grad is not None
        if first:
            self._rescale(image.grad)
        found = self.evaluation([float(d) for d in distances.detach().tolist()])
        self.trace.append(found)
        return found.loss, found.loss * self.scale

    def _rescale(self, gradient: Tensor) -> None:
        self.initial_gradient = float(float64(gradient).norm()) / self.scale
        norm = float(float64(gradient).abs().sum())
        if norm > 0 and math.isfinite(norm):
            factor = _power_of_two(FIRST_STEP * gradient.numel() / norm) * 2
            gradient *= factor
            self.scale *= factor


def _power_of_two(value: float) -> float:
    """Return the largest power of two that is not above a positive number."""
    return 2.0 ** math.floor(math.log2(value))


def _start_image(start: Start, content: Tensor, style: Tensor, seed: int) -> Tensor:
    if start == "content":
        return content
    if start == "style":
        size = content.shape[-2:]
        return interpolate(style, size=size, mode="bilinear", antialias=True, align_corners=False)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(content.shape, generator=generator).to(content)


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
        seed: of a start from noise, and of the probe of ``balance: gradient``.

    Raises:
        InputError: a picture of another shape, no evaluations, an unknown smoothing or parameter,
            a layer weight for an unknown node.
    """
    for name, picture in (("content", content), ("style", style)):
        if picture.ndim != 4 or picture.shape[:2] != (1, 3):
            found_shape = tuple(picture.shape)
            raise InputError(f"{name}: expected a tensor (1, 3, H, W), found {found_shape}")
    if evals < 1:
        raise InputError(f"evals: expected at least 1, found {evals}")
    spec, smooth = loss or LossSpec(), smooth or SmoothingSpec(name="none")
    smoothing.check(smooth)
    objective = Objective(backbone, content, style, smooth, spec)
    image = _start_image(start, content, style, seed)
    if spec.balance == "gradient":
        objective.balance_gradients(image, seed)
    found = minimise(objective, image, optimiser or OptimiserSpec(), evals)
    result = found.image.clamp(0, 1)
    moved = float((result - image.clamp(0, 1)).square().mean().sqrt())
    checks = {
        "did-not-move": not moved >= MOVED,
        "few-evaluations": found.evaluations < min(FEW_EVALUATIONS, evals),
        "diverged": found.stop_reason == "diverged",
    }
    return Stylization(
        image=result,
        trace=tuple(objective.trace),
        initial=objective.trace[0],
        final=objective.trace[found.best],
        stop_reason=found.stop_reason,
        objective_scale=objective.scale,
        style_layers=objective.style_layers[found.best],
        initial_gradient=objective.initial_gradient,
        moved=moved,
        flags=tuple(flag for flag, applies in checks.items() if applies),
    )
