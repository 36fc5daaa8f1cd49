"""Targets: what two pictures ask of a backbone's maps, encoded once for jobs that share them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.weak import WeakTensorKeyDictionary

from stylebench.backbones.spec import Node
from stylebench.config import SmoothingSpec
from stylebench.errors import InputError
from stylebench.images.decode import Picture
from stylebench.images.masks import regions
from stylebench.runtime import float32, float64
from stylebench.transfer import losses, smoothing

if TYPE_CHECKING:
    from stylebench.backbones.extractor import Backbone

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

    Of a region, `guide` is what maps are multiplied by, √M·T with Σ T² = 1 over the M positions,
    (1, 1, h, w), or None where that is 1; and `share` is λ, the weight of the region.
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
    guide: Tensor | None = None
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Blend:
    """Styles that are mixed: pictures (1, 3, H, W), and their shares, which add up to 1."""

    pictures: tuple[Tensor, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Regions:
    """Styles that have their places: pictures (1, 3, H', W'), and masks (1, 1, H, W) in [0, 1].

    The masks have the size of the content, and are white where their style goes.
    """

    pictures: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]

    @classmethod
    def of(
        cls,
        styles: Sequence[Tensor],
        given: Sequence[Picture | None],
        content: Tensor,
        names: Sequence[str],
    ) -> "Regions":
        """Return styles with masks, see `stylebench.images.masks.regions`; names are for errors."""
        shown = [f"mask of style {name!r}" for name in names]
        found = regions(given, content.shape[-2:], shown)
        return cls(tuple(styles), tuple(torch.from_numpy(m)[None, None].to(content) for m in found))


Style = Tensor | Blend | Regions


def pictures(style: Style) -> tuple[Tensor, ...]:
    """Return the pictures of a style, (1, 3, H, W) each; of a blend, and of regions, all."""
    return (style,) if isinstance(style, Tensor) else style.pictures


_ENCODED: "WeakKeyDictionary[Backbone, WeakTensorKeyDictionary]" = WeakKeyDictionary()
"""backbone -> picture -> what it asks: shared by the jobs that share both, and gone with either."""

Fitted = dict[str, "Tensor | None"]
"""Name of a node -> what `smoothing.fit` returned for the style's map there."""


def encode(
    backbone: "Backbone", content: Tensor, style: Style, smooth: SmoothingSpec
) -> tuple[Target, ...]:
    """Return the target of the content node, and those of the style nodes.

    Args:
        backbone: gives the maps.
        content: (1, 3, H, W).
        style: (1, 3, H', W'); a smoothing that is fitted is fitted to its maps. The targets of a
            blend are the weighted means of the Gram matrices of its styles; what is fitted is the
            weighted mean of what is fitted to each, and the same for all of them. Of regions
            there is a target each, node by node, and what is fitted is the mean by their areas.
        smooth: applied to the maps.

    Raises:
        InputError: a picture that is too small for the backbone.
    """
    node = backbone.content
    if isinstance(style, Tensor):
        fitted, styles = _of_style(backbone, style, smooth)
    elif isinstance(style, Blend):
        fitted, found = _of_several(backbone, style.pictures, style.shares, smooth)
        styles = tuple(_mixed(each, style.shares) for each in zip(*found, strict=True))
    else:
        areas = [float(float64(mask).mean()) for mask in style.masks]
        weights = [area / sum(areas) for area in areas]
        fitted, found = _of_several(backbone, style.pictures, weights, smooth)
        styles = tuple(target for each in zip(*found, strict=True) for target in each)
    own = fitted[node.name]
    told = () if own is None else tuple(own.flatten().tolist())

    def of_content(maps: Mapping[str, Tensor]) -> Target:
        return _target(node, maps, smooth, fitted, is_style=False)

    first = _once(backbone, content, "content", smooth, told, of_content)
    if isinstance(style, Regions):
        masks = style.masks * len(backbone.style)
        styles = tuple(
            _guided(each, mask, first.shapes[each.node])
            for each, mask in zip(styles, masks, strict=True)
        )
    return (first, *styles)


def _guided(target: Target, mask: Tensor, shape: tuple[int, ...]) -> Target:
    """Return the target of one region.

    G^r = (T∘F)(T∘F)ᵀ with Σ T² = 1, T ∝ the mask averaged down to the map: of a white mask that is
    the Gram matrix per position. Source: Gatys, Ecker, Bethge, Hertzmann & Shechtman 2017,
    "Controlling perceptual factors in neural style transfer", arXiv 1611.07865 ("guided Gram
    matrices").
    λ^r there is free; here it is the mean of the squared mask: where a mask is white, a pixel is
    pulled as hard as it would be without masks, however small the region is. The style picture's
    own guidance is white.

    Args:
        target: of the style's whole map.
        mask: (1, 1, H, W).
        shape: of the result's map, (1, D, h, w).
    """
    wide = float64(mask)
    small = adaptive_avg_pool2d(wide, (shape[-2], shape[-1]))
    guide = small / small.square().mean().sqrt()
    white = bool((guide == 1).all())
    share = float(wide.square().mean())
    return replace(target, guide=None if white else guide.to(target.value), share=share)


def _of_style(
    backbone: "Backbone", style: Tensor, smooth: SmoothingSpec, given: Fitted | None = None
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


def _of_several(
    backbone: "Backbone", styles: Sequence[Tensor], shares: Sequence[float], smooth: SmoothingSpec
) -> tuple[Fitted, list[tuple[Target, ...]]]:
    """Return what a smoothing takes from several styles, the weighted mean, and their targets."""
    found = [_of_style(backbone, picture, smooth) for picture in styles]
    fitted: Fitted = {}
    for name in found[0][0]:
        each = [own[name] for own, _ in found]
        known = [v for v in each if v is not None]
        fitted[name] = _mean(known, shares) if known else None
    if any(value is not None for value in fitted.values()):
        found = [_of_style(backbone, picture, smooth, fitted) for picture in styles]
    return fitted, [targets for _, targets in found]


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
    backbone: "Backbone",
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
