"""The loss of a batch of images and its gradient, from targets that are encoded once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from stylebench.backbones.extractor import Backbone
from stylebench.config import LossSpec, SmoothingSpec
from stylebench.errors import InputError
from stylebench.runtime import float32, float64
from stylebench.transfer import losses, smoothing
from stylebench.transfer.graphs import Recorder
from stylebench.transfer.parameterisation import PIXELS, Parameterisation
from stylebench.transfer.targets import Style, Target, encode, power_of_two

FIRST_STEP = 1 / 25
"""Mean change of a pixel, in [0, 1], by a step along the whole negative gradient at the start: the
objective is scaled so that it is this much; see `Objective.__call__`."""
PROBE = 0.1
"""Standard deviation of the noise (pixels in [0, 1]) added to the start where gradient norms are
measured, for ``balance: gradient`` and `Objective.gradients`; at the content picture itself the
content gradient is zero."""


@dataclass(frozen=True)
class Evaluation:
    """One closure evaluation: the total loss and its terms, before α, β and γ."""

    loss: float
    content_loss: float
    style_loss: float
    tv_loss: float


@dataclass(frozen=True)
class TermGradient:
    """What one term of the loss asks of the picture: the gradient budget has one of each.

    Attributes:
        term: ``content``, ``style`` (one of each style node) or ``tv``.
        layer: name of the node; empty for the total variation.
        gradient: L2 norm of ∂(weighted term)/∂x at the start plus noise (see PROBE), x the pixels
            in [0, 1]; the weight has all in it: α, β·w_l or γ, the normalisation or balance, and
            the unit of the smoothing. It is multiplied in double precision.
    """

    term: Literal["content", "style", "tv"]
    layer: str
    gradient: float


@dataclass(frozen=True)
class _Term:
    """One squared distance: which map, its targets, c and the weight of each image's term.

    c·distance is the term; its weight is α, or β·w_l. `gains`, `fitted` and `guides` are those of
    the targets, (B, 1, 1, 1) or (B, 1, h, w); None where all gains are 1, where nothing is fitted,
    where no guide is other than 1. A node has a term for each region; `shares` are their λ.
    """

    node: str
    stage: int
    targets: Tensor
    gains: Tensor | None
    fitted: Tensor | None
    guides: Tensor | None
    shares: list[float]
    factors: list[float]
    weight: float
    is_style: bool


class Objective:
    """The losses of a batch of images and their gradients.

    Args:
        backbone: gives the feature maps.
        pairs: of each image the content picture (1, 3, H, W), in [0, 1], all of one size, and the
            style picture (1, 3, H', W'), or a blend of several.
        smooth: applied to the maps in the losses.
        spec: normalisation, balance and weights.
        space: what the objective is a function of; the pixels by default.

    Attributes:
        scales: of each image's objective; a power of two, chosen at the first evaluation.
        initial_gradients: L2 norms of the gradients of the losses by the pixels at the start.

    Raises:
        InputError: a layer weight for a node that the backbone has not.
    """

    def __init__(
        self,
        backbone: Backbone,
        pairs: Sequence[tuple[Tensor, Style]],
        smooth: SmoothingSpec,
        spec: LossSpec,
        space: Parameterisation = PIXELS,
    ) -> None:
        names = [node.name for node in backbone.style]
        for name in spec.layer_weights:
            if name not in names:
                known = ", ".join(names)
                raise InputError(f"layer_weights: no style node {name!r} (known: {known})")
        self._backbone, self._smooth, self._space, self.spec = backbone, smooth, space, spec
        encoded = [encode(backbone, content, style, smooth) for content, style in pairs]
        if len({len(targets) for targets in encoded}) > 1:
            raise InputError("masks: expected as many regions in each pair of a batch")
        self._shapes, self._pixels = encoded[0][0].shapes, pairs[0][0][0, 0].numel()
        self._terms = [self._term(group) for group in zip(*encoded, strict=True)]
        self._tv_factors = [1.0 for _ in pairs]
        self.scales: list[float] = []
        self.initial_gradients: list[float] = []
        self._coefficients: tuple[Tensor, Tensor] | None = None
        self._seen: list[Tensor] = []
        self._recorder = Recorder()

    def _term(self, targets: Sequence[Target]) -> _Term:
        """Return the term of one node, from the targets of the images."""
        spec, first = self.spec, targets[0]
        shape = self._shapes[first.node]
        if first.is_style:
            weight = spec.style_weight * spec.layer_weights.get(first.node, 1.0)
            factor = losses.style_factor(shape, spec.normalisation, self._pixels)
            factors = [factor * t.unit**4 for t in targets]
        else:
            weight = spec.content_weight
            factor = losses.content_factor(shape, spec.normalisation)
            factors = [factor * t.unit**2 for t in targets]
        if spec.balance == "target":  # the unit of the smoothing cancels
            factors = [1 / t.square if t.square > 0 else 0.0 for t in targets]
        shares = [t.share for t in targets]
        factors = [factor * share for factor, share in zip(factors, shares, strict=True)]
        values = torch.cat([t.value for t in targets])
        gains = values.new_tensor([t.gain for t in targets]).view(-1, 1, 1, 1)
        needed = gains if (gains != 1).any() else None
        fits = [t.fitted for t in targets if t.fitted is not None]
        fitted = torch.cat(fits) if fits else None
        return _Term(
            first.node, first.stage, values, needed, fitted, self._guides(targets), shares,
            factors, weight, first.is_style,
        )  # fmt: skip

    def _guides(self, targets: Sequence[Target]) -> Tensor | None:
        """Return what the maps of one node are multiplied by, (B, 1, h, w); None where by 1."""
        if all(target.guide is None for target in targets):
            return None
        ones = targets[0].value.new_ones(1, 1, *self._shapes[targets[0].node][-2:])
        return torch.cat([ones if t.guide is None else t.guide for t in targets])

    def _distances(self, images: Tensor) -> Tensor:
        """Return the squared distances of all terms, and the total variation: (terms + 1, B)."""
        maps = self._backbone(images)
        values, done = [], {}
        for term in self._terms:
            key = term.node, term.is_style
            if key not in done:  # the regions of a node share it
                found = maps[term.node]
                done[key], _ = smoothing.apply(self._smooth, found, term.stage, term.fitted)
            smoothed = done[key]
            if term.gains is not None:
                smoothed = float32(smoothed) * term.gains
            if term.guides is not None:
                smoothed = float32(smoothed) * term.guides
            if term.is_style:
                values.append(losses.gram_distance(smoothed, term.targets))
            else:
                values.append(losses.squared_distance(float32(smoothed), term.targets))
        is_keras = self.spec.normalisation == "keras"
        variation = losses.keras_total_variation if is_keras else losses.total_variation
        values.append(variation(images))
        return torch.stack(values)

    def _gradient_norms(self, start: Tensor, seeds: Sequence[int]) -> list[list[float]]:
        """Return the L2 norms of the gradients of `_distances` near `start` (see PROBE).

        Args:
            start: pixels (B, 3, H, W).
            seeds: of the noise of each image.

        Returns:
            A row for each distance, an entry for each image.
        """
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = torch.cat([torch.randn(start[:1].shape, generator=g) for g in generators])
        images = (start + PROBE * noise.to(start)).requires_grad_()
        norms = []
        for row in self._distances(images):
            (gradient,) = torch.autograd.grad(row.sum(), images, retain_graph=True)
            norms.append(float64(gradient).flatten(1).norm(dim=1).tolist())
        return norms

    def balance_gradients(self, start: Tensor, seeds: Sequence[int]) -> None:
        """Divide each term by the L2 norm of its own gradient, if ``balance: gradient`` asks so.

        Arguments as of `_gradient_norms`.

        That of a region is multiplied by √λ, so that each of its pixels, of which there are λ of
        all, is pulled as hard as without masks.
        """
        if self.spec.balance != "gradient":
            return
        norms = self._gradient_norms(start, seeds)
        inverse = [[1 / norm if norm > 0 else 0.0 for norm in row] for row in norms]
        self._terms = [
            replace(
                term, factors=[f * share**0.5 for f, share in zip(row, term.shares, strict=True)]
            )
            for term, row in zip(self._terms, inverse[:-1], strict=True)
        ]
        self._tv_factors = inverse[-1]

    def gradients(self, start: Tensor, seeds: Sequence[int]) -> list[tuple[TermGradient, ...]]:
        """Return the gradient budget of each image; arguments as of `_gradient_norms`."""
        weights, _ = self._weights([1.0] * len(start), start)
        norms = weights.new_tensor(self._gradient_norms(start, seeds))
        return [
            (
                *(
                    TermGradient("style" if term.is_style else "content", term.node, value)
                    for term, value in zip(self._terms, column[:-1], strict=True)
                ),
                TermGradient("tv", "", column[-1]),
            )
            for column in (weights * norms).T.tolist()
        ]

    def _weights(self, scales: Sequence[float], like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients of the scaled distances: in double, and in the images' type."""
        rows = [[f * term.weight for f in term.factors] for term in self._terms]
        rows.append([f * self.spec.tv_weight for f in self._tv_factors])
        exact = torch.tensor(rows, dtype=torch.float64) * torch.tensor(scales, dtype=torch.float64)
        exact = exact.to(float64(like[:0]).device)
        return exact, exact.to(like)

    def __call__(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled losses and their gradients.

        The scale of an image is a power of two, chosen at the first evaluation so that a step along
        −g changes a pixel by [1, 2) times FIRST_STEP in the mean: by |g|, or in another space by
        |T Tᵀ g| (`stylebench.transfer.parameterisation`), where g is the gradient by the pixels.

        The first step of L-BFGS is a share of −g (`OptimiserSpec.first_step`). Rounding aside, it
        takes the same steps for any scale as long as it has a curvature pair. It drops pairs with
        y·s ≤ 1e-10, as torch's does, and then steps along −g itself: a large gradient throws the
        picture far out, a small one crawls. With this scale such a step is a change of some ten
        grey levels.

        Args:
            vectors: (B, 3, H, W), in the space of the parameterisation.

        Returns:
            (B,) in double precision, and (B, 3, H, W).
        """
        if self._coefficients is not None:
            return self._kept(*self._recorder(self._by_vectors, vectors))
        exact, _ = self._weights([1.0] * len(vectors), vectors)
        self.scales = [power_of_two(1 / max(v, 1e-300)) for v in exact.amax(dim=0).tolist()]
        self._coefficients = self._weights(self.scales, vectors)
        distances, gradient = self._evaluate(vectors)
        gradient = self._rescaled(gradient)
        return self._kept(distances, self._space.gradient(gradient))

    def _evaluate(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances, and the gradient of the scaled losses by the pixels."""
        assert self._coefficients is not None
        images = self._space.image(vectors.detach()).requires_grad_()
        distances = self._distances(images)
        (self._coefficients[1] * distances).sum().backward()  # type: ignore[no-untyped-call]
        assert images.grad is not None
        return distances.detach(), images.grad

    def _by_vectors(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances, and the gradient of the scaled losses by the vectors."""
        distances, gradient = self._evaluate(vectors)
        return distances, self._space.gradient(gradient)

    def _kept(self, distances: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the distances for the trace; return the scaled losses with the gradient."""
        assert self._coefficients is not None
        self._seen.append(distances)
        return (self._coefficients[0] * float64(distances)).sum(dim=0), gradient

    def _rescaled(self, gradient: Tensor) -> Tensor:
        """Choose the scales from the first gradient by the pixels, and return it with these."""
        norms = float64(gradient).flatten(1).norm(dim=1).tolist()
        self.initial_gradients = [
            norm / scale for norm, scale in zip(norms, self.scales, strict=True)
        ]
        step = float64(self._space.image(self._space.gradient(gradient))).flatten(1)
        factors = [
            2 * power_of_two(FIRST_STEP * step.shape[1] / total)
            if 0 < total < math.inf and FIRST_STEP * step.shape[1] / total > 0
            else 1.0
            for total in step.abs().sum(dim=1).tolist()
        ]
        self.scales = [s * f for s, f in zip(self.scales, factors, strict=True)]
        self._coefficients = self._weights(self.scales, gradient)
        return gradient * gradient.new_tensor(factors).view(-1, 1, 1, 1)

    def trace(self, image: int, count: int) -> list[tuple[Evaluation, dict[str, float]]]:
        """Return the losses of one image at its first `count` evaluations, in double precision.

        Returns:
            For each evaluation the losses, and w_l·style_l by node.
        """
        seen = torch.stack(self._seen[:count])[:, :, image].double().cpu().tolist()
        return [self._losses(image, distances) for distances in seen]

    def losses(self, image: int, index: int) -> Evaluation:
        """Return the losses of one image at an evaluation, from 0."""
        return self._losses(image, self._seen[index][:, image].double().tolist())[0]

    def _losses(self, image: int, distances: list[float]) -> tuple[Evaluation, dict[str, float]]:
        spec = self.spec
        values = [t.factors[image] * d for t, d in zip(self._terms, distances[:-1], strict=True)]
        layers = dict.fromkeys((term.node for term in self._terms[1:]), 0.0)
        for term, value in zip(self._terms[1:], values[1:], strict=True):
            layers[term.node] += spec.layer_weights.get(term.node, 1.0) * value
        content, style = values[0], sum(layers.values())
        tv = self._tv_factors[image] * distances[-1]
        total = spec.content_weight * content + spec.style_weight * style + spec.tv_weight * tv
        return Evaluation(total, content, style, tv), layers
