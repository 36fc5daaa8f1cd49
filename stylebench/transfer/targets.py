"""Targets: what two pictures ask of a backbone's maps, encoded once for jobs that share them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from stylebench.backbones.extractor import Backbone
from stylebench.backbones.spec import Node
from stylebench.config import SmoothingSpec
from stylebench.errors import InputError
from stylebench.runtime import float32, float64
from stylebench.transfer import losses, smoothing

T = TypeVar("T")

EXTREME = 20
"""Maps whose mean magnitude is beyond 2^±EXTREME are multiplied by a power of two in the losses: a
random GoogLeNet ends at 1e-11, a random Inception-v3 at 1e9, and the squared distances of their
Gram matrices leave the range of float32. It goes into the weights of the terms, exactly."""


@dataclass(frozen=True)
class Target:
    """What one picture asks of one node: a map or, for style, a Gram matrix.

    `gain` is what the smoothed maps are multiplied by (see EXTREME), `unit` that of the smoothing
    divided by it, `fitted` what the smoothing took from the style's map (`smoothing.fit`), `shapes`
    are those of all maps of the picture, (1, D, H, W), by node; `square` is ‖value‖².
    """

    node: str
    stage: int
    is_style: bool
    value: Tensor
    gain: float
    unit: float
    fitted: Tensor | None
    shapes: dict[str, tuple[int, ...]]
    square: float


@dataclass(frozen=True, eq=False)
class Blend:
    """Styles that are mixed: pictures (1, 3, H, W), and their shares, which add up to 1."""

    pictures: tuple[Tensor, ...]
    shares: tuple[float, ...]


Style = Tensor | Blend


def pictures(style: Style) -> tuple[Tensor, ...]:
    """Return the pictures of a style, (1, 3, H, W) each; of a blend all."""
    return style.pictures if isinstance(style, Blend) else (style,)


_ENCODED: "WeakKeyDictionary[Backbone, WeakTensorKeyDictionary]" = WeakKeyDictionary()
"""backbone -> picture -> what it asks: shared by the jobs that share both, and gone with either."""

Fitted = dict[str, "Tensor | None"]
"""Name of a node -> what `smoothing.fit` returned for the style's map there."""


def encode(
    backbone: Backbone, content: Tensor, style: Style, smooth: SmoothingSpec
) -> tuple[Target, ...]:
    """Return the target of the content node, and those of the style nodes.

    Args:
        backbone: gives the maps.
        content: (1, 3, H, W).
        style: (1, 3, H', W'); a smoothing that is fitted is fitted to its maps. The targets of a
            blend are the weighted means of the Gram matrices of its styles; what is fitted is the
            weighted mean of what is fitted to each, and the same for all of them.
        smooth: applied to the maps.

    Raises:
        InputError: a picture that is too small for the backbone.
    """
    node = backbone.content
    fitted, styles = (
        _of_blend(backbone, style, smooth)
        if isinstance(style, Blend)
        else _of_style(backbone, style, smooth)
    )
    own = fitted[node.name]
    told = () if own is None else tuple(own.flatten().tolist())

    def of_content(maps: Mapping[str, Tensor]) -> Target:
        return _target(node, maps, smooth, fitted, is_style=False)

    return (_once(backbone, content, "content", smooth, told, of_content), *styles)


def _of_style(
    backbone: Backbone, style: Tensor, smooth: SmoothingSpec, given: Fitted | None = None
) -> tuple[Fitted, tuple[Target, ...]]:
    """Return what a smoothing takes from a style's maps, and its targets with that or a `given`."""
    nodes = sorted({*backbone.style, backbone.content}, key=lambda node: node.name)

    def make(maps: Mapping[str, Tensor]) -> tuple[Fitted, tuple[Target, ...]]:
        fitted = given or {n.name: smoothing.fit(smooth, maps[n.name], n.stage) for n in nodes}
        return fitted, tuple(
            _target(n, maps, smooth, fitted, is_style=True) for n in backbone.style
        )

    values = [given[node.name] for node in nodes] if given else []
    told = tuple(n for v in values if v is not None for n in v.flatten().tolist())
    return _once(backbone, style, "style", smooth, told, make)


def _of_blend(
    backbone: Backbone, blend: Blend, smooth: SmoothingSpec
) -> tuple[Fitted, tuple[Target, ...]]:
    """Return what a smoothing takes from the styles of a blend, and their mean targets."""
    found = [_of_style(backbone, picture, smooth) for picture in blend.pictures]
    fitted: Fitted = {}
    for name in found[0][0]:
        each = [own[name] for own, _ in found]
        known = [v for v in each if v is not None]
        fitted[name] = _mean(known, blend.shares) if known else None
    if any(value is not None for value in fitted.values()):
        found = [_of_style(backbone, picture, smooth, fitted) for picture in blend.pictures]
    nodes = zip(*(targets for _, targets in found), strict=True)
    return fitted, tuple(_mixed(targets, blend.shares) for targets in nodes)


def _mean(values: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    weighed = [share * float64(value) for value, share in zip(values, shares, strict=True)]
    return torch.stack(weighed).sum(dim=0).to(values[0])


def _mixed(targets: Sequence[Target], shares: Sequence[float]) -> Target:
    """Return the weighted mean of the targets of one node, at one gain."""
    gain = min(target.gain for target in targets)
    value = _mean([target.value * (gain / target.gain) ** 2 for target in targets], shares)
    units = [target.unit * target.gain for target in targets]
    unit = sum(u * share for u, share in zip(units, shares, strict=True)) / gain
    square = float(float64(value).square().sum())
    return replace(targets[0], value=value, gain=gain, unit=unit, square=square)


def _once(
    backbone: Backbone,
    picture: Tensor,
    role: Literal["content", "style"],
    smooth: SmoothingSpec,
    told: tuple[float, ...],
    make: Callable[[Mapping[str, Tensor]], T],
) -> T:
    """Return what is made of a picture's maps, made once for a role, a smoothing and a fit."""
    if backbone not in _ENCODED:
        _ENCODED.clear()  # jobs come backbone by backbone, and targets are large
        _ENCODED[backbone] = WeakTensorKeyDictionary()
    known = _ENCODED[backbone].setdefault(picture, {})  # type: ignore[no-untyped-call]
    code = str(smoothing.SMOOTHINGS.code(smooth.name))
    key = (picture._version, role, smooth.model_dump_json(), code, told)
    if key not in known:
        with torch.no_grad():
            try:
                maps = backbone(picture)
            except InputError as error:
                raise InputError(f"{role} picture: {error}") from error
            known[key] = make(maps)
    found: T = known[key]
    return found


def _target(
    node: Node,
    maps: Mapping[str, Tensor],
    smooth: SmoothingSpec,
    fitted: Fitted,
    *,
    is_style: bool,
) -> Target:
    own = fitted[node.name]
    smoothed, unit = smoothing.apply(smooth, maps[node.name], node.stage, own)
    gain = _gain(float(float64(smoothed).abs().mean()))
    if gain != 1:
        smoothed = float32(smoothed) * gain
    value = losses.gram(smoothed) if is_style else float32(smoothed).contiguous()
    square = float(float64(value).square().sum())
    shapes = {name: tuple(found.shape) for name, found in maps.items()}
    return Target(node.name, node.stage, is_style, value, gain, unit / gain, own, shapes, square)


def _gain(mean: float) -> float:
    """Return 1, or the power of two that brings an extreme mean magnitude to about 1."""
    if not (mean > 0 and math.isfinite(mean)) or abs(math.log2(mean)) <= EXTREME:
        return 1.0
    return 1 / power_of_two(mean)


def power_of_two(value: float) -> float:
    """Return the largest power of two that is not above a positive number."""
    return 2.0 ** math.floor(math.log2(value))
