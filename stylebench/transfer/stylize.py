"""Style transfer by optimisation of the image, after Gatys, Ecker, Bethge, CVPR 2016."""

import functools
import inspect
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

import pandas as pd
import PIL.Image
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from stylebench import runtime
from stylebench.backbones.extractor import Backbone
from stylebench.backbones.extractor import backbone as make
from stylebench.config import (
    PRESET,
    Start,
    TransferSettings,
    check_arguments,
)
from stylebench.errors import InputError, JobError, of_python
from stylebench.images import Resize, to_tensor
from stylebench.images.given import to_pixels
from stylebench.transfer import colours, given, presets, smoothing
from stylebench.transfer.objective import Evaluation, Objective, TermGradient
from stylebench.transfer.optimisers import Minimum, Progress, StopReason, minimise
from stylebench.transfer.parameterisation import Parameterisation, parameterise
from stylebench.transfer.step import Step, Watcher
from stylebench.transfer.targets import Blend, Regions, Style, pictures

EVALS = 200
"""Closure evaluations of `stylize` and of ``stylebench transfer``, at most."""
MOVED = 1 / 255
"""A result with a smaller root mean square distance from the start (one grey level) is flagged."""
FEW_EVALUATIONS = 5


@dataclass(frozen=True)
class Stylization:
    """What a stylisation gives.

    Attributes:
        tensor: (1, 3, H, W), in [0, 1]: the best iterate, clamped once, at the end.
        evaluations: the losses of every closure evaluation, in order.
        initial, final: the first evaluation, and that of the best iterate (before it is clamped).
        stop_reason: ``evaluations``, ``converged``, ``tolerance``, ``diverged``, or ``stopped`` by
            `progress`.
        objective_scale: power of two by which the objective was multiplied for the optimiser.
        style_layers: w_l·style_l of the best iterate by node.
        initial_gradient: L2 norm of the gradient of the loss by the pixels at the start.
        moved: root mean square change of the clamped pixels from the start.
        flags: ``did-not-move``, ``few-evaluations``, ``diverged``, as they apply.
        gradients: what each term asks of the picture near the start, if that was wanted.
        arch: the backbone's name.
    """

    tensor: Tensor = field(repr=False)
    evaluations: tuple[Evaluation, ...] = field(repr=False)
    initial: Evaluation
    final: Evaluation
    stop_reason: StopReason
    objective_scale: float
    style_layers: dict[str, float]
    initial_gradient: float
    moved: float
    flags: tuple[str, ...]
    gradients: tuple[TermGradient, ...] = ()
    arch: str = ""

    @property
    def image(self) -> PIL.Image.Image:
        """The result as a picture of Pillow's, 8-bit RGB."""
        return PIL.Image.fromarray(to_pixels(self.tensor))

    @property
    def loss(self) -> float:
        """The loss of the best iterate."""
        return self.final.loss

    @property
    def trace(self) -> pd.DataFrame:
        """A row for each closure evaluation: its number from 1, the loss, and its terms."""
        table = pd.DataFrame([asdict(step) for step in self.evaluations])
        table.insert(0, "evaluation", range(1, len(table) + 1))
        return table


def _start_image(start: Start, content: Tensor, style: Tensor, seed: int) -> Tensor:
    if start == "content":
        return content
    if start == "style":
        size = content.shape[-2:]
        return interpolate(style, size=size, mode="bilinear", antialias=True, align_corners=False)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(content.shape, generator=generator).to(content)


def _starts(
    how: TransferSettings,
    pairs: Sequence[tuple[Tensor, Style]],
    seeds: Sequence[int],
    starts: Sequence[Tensor | None],
) -> tuple[Tensor, Tensor]:
    """Return where optimisation begins, (B, 3, H, W), and where gradients of terms are measured."""
    images, anchors = [], []
    for (content, style), seed, start in zip(pairs, seeds, starts, strict=True):
        first = pictures(style)[0]
        own = _start_image(how.start if start is None else "content", content, first, seed)
        anchors.append(own)
        images.append(own if start is None else colours.prepared(how.colours, start, first)[0])
    return torch.cat(images), torch.cat(anchors)


def _check(pairs: Sequence[tuple[Tensor, Style]]) -> None:
    for content, style in pairs:
        named = [("content", content), *(("style", picture) for picture in pictures(style))]
        for name, picture in named:
            if picture.ndim != 4 or picture.shape[:2] != (1, 3):
                found = tuple(picture.shape)
                raise InputError(f"{name}: expected a tensor (1, 3, H, W), found {found}")
    sizes = {tuple(content.shape[-2:]) for content, _ in pairs}
    if len(sizes) != 1:
        told = " and ".join(f"{width}×{height}" for height, width in sorted(sizes))
        raise InputError(f"expected content pictures of one size in a batch, found {told} px")


def _prepared(how: TransferSettings, content: Tensor, style: Style) -> tuple[Tensor, Style]:
    """Return a pair with the colours that it is to be optimised in."""
    if not isinstance(style, Tensor):
        made = [colours.prepared(how.colours, content, picture) for picture in style.pictures]
        return made[0][0], replace(style, pictures=tuple(picture for _, picture in made))
    return colours.prepared(how.colours, content, style)


@of_python
def stylize(
    content: Any,
    style: Any,
    backbone: Any = "p-resnet50",
    *,
    size: int | None = None,
    resize: Resize | None = None,
    preset: str = PRESET,
    seed: int = 0,
    blend: Sequence[float] | None = None,
    masks: Any = None,
    start: Any = "content",
    strength: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool = False,
    progress: Watcher | None = None,
    **settings: Any,
) -> Stylization:
    """Return the content picture in the style of the other, as the backbone sees style.

    Args:
        content: what `stylebench.images.to_tensor` takes: a built-in's name, a path, a PIL picture,
            an array, a tensor (1, 3, H, W) in [0, 1].
        style: the same; or several that are mixed, a list, or a mapping of names to weights.
        backbone: a name as ``--arch`` takes it, a `Backbone`, or what
            `stylebench.backbones.extractor.backbone` makes one of.
        size: the long side of the pictures in px; 512 by default, and what it is for tensors.
        resize: ``aspect`` or ``squash``; as the preset has it by default.
        preset: ``robust``, ``balanced``, ``paper``, ``released`` or ``keras``.
        seed: of random weights, of a start from noise, and of the noise at which gradients of terms
            are measured.
        blend: weights of several styles; equal ones by default.
        masks: in place of a blend: where each style goes, pictures that are white there, in the
            proportions of the content, or arrays (H, W). One a style; None takes the rest, and so
            does the last style if there is one mask less.
        start: ``content``, ``style``, ``noise``, or a picture of the content's size, as the result
            of the frame before.
        strength: multiplies the weight of the style, `loss.style_weight`.
        weights: of a pretrained backbone: a file, or a source as ``--weights`` takes it.
        device: of a backbone that is named.
        precision: likewise: ``auto``, ``fp32``, ``tf32`` or ``bf16``.
        offline: never download weights.
        progress: called after each evaluation with a `stylebench.transfer.step.Step`: its `number`,
            `losses`, and the best `image` so far. Where it returns True the optimisation ends, and
            the best picture so far is the result; what it raises (KeyboardInterrupt) goes through.
        **settings: keys of `stylebench.config.TransferSettings`: smoothing, loss, optimiser, evals
            (200 here by default), tolerance, image, gradients, style_scale, colours.

    Raises:
        InputError: a picture that cannot be read, unknown names, values out of range.
        JobError: the loss stopped being finite before it fell below that of the start.
    """
    check_arguments(size=size, resize=resize, seed=seed, strength=strength)
    if not (progress is None or callable(progress)):
        raise InputError(f"progress: expected a function of a step, found {progress!r:.60}")
    by_name = isinstance(start, str) and start in get_args(Start)
    kinds = {"evals": EVALS, "start": start if by_name else "content"}
    known = inspect.signature(stylize).parameters.values()
    beside = [each.name for each in known if each.kind is each.KEYWORD_ONLY]
    asked = presets.settings(preset, {**kinds, **settings}, beside)
    asked = asked.model_copy(update={"loss": presets.stronger(asked.loss, strength)})
    smoothing.check(asked.smoothing)
    styles, weighed = given.mixture(style, blend)
    resize = resize or presets.PRESETS[preset].get("resize", "aspect")
    if isinstance(backbone, Backbone):
        runtime.configure(tf32=backbone.precision == "tf32")
        if weights is not None or offline or (device, precision) != ("auto", "auto"):
            raise InputError("weights, device, precision and offline are of a backbone by name")
    else:
        on = runtime.resolve_device(device)
        how = smoothing.precision(precision, asked.smoothing, on)
        backbone = make(
            backbone, weights=weights, seed=seed, device=on, precision=how, offline=offline
        )
    place = backbone.mean.device
    own = to_tensor(content, "content", size, resize).to(place)
    made = tuple(
        given.load_style(each, size, resize, asked.style_scale).to(place) for each in styles
    )
    if masks is not None and (blend is not None or isinstance(style, Mapping)):
        raise InputError("expected blend or masks, found both: each style has weight 1 in its mask")
    mixed: Style = Blend(made, weighed) if len(made) > 1 else made[0]
    if masks is not None:
        mixed = given.regions(masks, made, content, own)
    starts = [None if by_name else given.to_start(start, own, resize)]
    return stylize_batch(backbone, [(own, mixed)], asked, [seed], progress, starts)[0]


def stylize_batch(
    backbone: Backbone,
    pairs: Sequence[tuple[Tensor, Style]],
    settings: TransferSettings | None = None,
    seeds: Sequence[int] | None = None,
    progress: Watcher | None = None,
    starts: Sequence[Tensor | None] | None = None,
) -> list[Stylization]:
    """Stylise several pairs at once; each is optimised as it would be alone.

    Args:
        backbone: from ``stylebench.backbones.extractor``.
        pairs: (content, style), each (1, 3, H, W), RGB in [0, 1], on the backbone's device; all
            contents have one size. A style may be a blend or regions; a start from it is from its
            first picture.
        settings: those of the preset ``robust`` by default; pictures have their sizes, whatever
            `style_scale` says.
        seeds: one for each pair, see `stylize`; 0 by default.
        progress: see `stylize`; called for each pair in turn. One True ends all.
        starts: pictures (1, 3, H, W) to start from, in place of what the settings say; what
            ``balance: gradient`` measures is measured at the content there, so that the frames of a
            scene have one objective.

    Raises:
        InputError: a picture of another shape, contents of several sizes, an unknown smoothing or
            parameter, a layer weight for an unknown node, several pairs for ``lbfgsb``.
        JobError: the loss of a pair stopped being finite before it fell.
    """
    settings = settings or presets.settings(PRESET, {})
    seeds = seeds or [0] * len(pairs)
    _check(pairs)
    if settings.gradients and any(isinstance(style, Regions) for _, style in pairs):
        raise InputError("gradients: expected styles without masks")
    smoothing.check(settings.smoothing)
    contents = [content for content, _ in pairs]
    pairs = [_prepared(settings, *pair) for pair in pairs]
    images, anchors = _starts(settings, pairs, seeds, starts or [None] * len(pairs))
    space = parameterise(settings.image, images)
    objective = Objective(backbone, pairs, settings.smoothing, settings.loss, space)
    objective.balance_gradients(anchors, seeds)
    budgets = objective.gradients(anchors, seeds) if settings.gradients else [()] * len(pairs)

    def finished(index: int, vector: Tensor) -> Tensor:
        result = _picture(space, vector.view_as(images[0]))
        return colours.finished(settings.colours, contents[index], result)

    def watch(seen: Progress) -> bool:
        if progress is None:
            return False
        told = [
            progress(Step(seen.count, settings.evals, index, objective, seen.best[index],
                          functools.partial(finished, index, vector)))
            for index, vector in enumerate(seen.image)
        ]  # fmt: skip
        return any(told)

    start = space.vector(images)
    minima = minimise(
        objective, start, settings.optimiser, settings.evals, watch, settings.tolerance
    )
    made = [
        _stylization(objective, index, images[index : index + 1], space, found, settings.evals)
        for index, found in enumerate(minima)
    ]
    return [
        replace(
            each, tensor=finished(index, minima[index].image), gradients=budget, arch=backbone.arch
        )
        for index, (each, budget) in enumerate(zip(made, budgets, strict=True))
    ]


def _picture(space: Parameterisation, vector: Tensor) -> Tensor:
    """Return the picture (1, 3, H, W) of an iterate (3, H, W), clamped."""
    return space.image(vector.unsqueeze(0)).clamp(0, 1)


def _stylization(
    objective: Objective,
    index: int,
    start: Tensor,
    space: Parameterisation,
    found: Minimum,
    evals: int,
) -> Stylization:
    result = _picture(space, found.image)
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
        tensor=result,
        evaluations=tuple(evaluation for evaluation, _ in seen),
        initial=seen[0][0],
        final=seen[found.best][0],
        stop_reason=found.stop_reason,
        objective_scale=objective.scales[index],
        style_layers=seen[found.best][1],
        initial_gradient=objective.initial_gradients[index],
        moved=moved,
        flags=tuple(flag for flag, applies in checks.items() if applies),
    )
