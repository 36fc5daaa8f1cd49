"""Smoothings of feature maps, applied in losses and statistics, never in the network.

A smoothing maps F to σ(F). It is computed as N·σ(F) together with the unit 1/N, because σ itself is
so small (1e-6 and below) that the losses underflow and the maps are full of denormals. The unit of
the target goes into the weights of the loss in double precision, which is exact where both maps
have the same size. Where the style picture has another size, N·σ(F) is what is compared, as G/M is
for Gram matrices: σ itself is smaller for a larger picture, its Gram matrix out of reach.

To add one: a function with the signature of `softmax`, decorated with ``@smoothing(name)``. Its
keyword parameters become keys in YAML: positive numbers, and whole ones from the default on where
that is an int.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from stylebench import runtime
from stylebench.config import Precision, SmoothingSpec
from stylebench.errors import InputError, suggestion
from stylebench.registry import Registry, check_function
from stylebench.runtime import float32

if TYPE_CHECKING:
    from torch import Tensor

Smoothing = Callable[..., "tuple[Tensor, float]"]
Fit = Callable[..., "Tensor"]
SMOOTHINGS: Registry[Smoothing] = Registry("smoothing")

DEEP_STAGE = 3
"""``layers: deep`` smooths the stages from this one on: the two deepest, as the released code."""


def _parameters(function: Smoothing) -> dict[str, float]:
    """Return the keyword parameters of a smoothing, which follow its maps, with their defaults.

    What stands behind a ``*`` is none: it is handed in by `apply`.
    """
    keywords = list(inspect.signature(function).parameters.items())[1:]
    return {name: p.default for name, p in keywords if p.kind is not p.KEYWORD_ONLY}


def smoothing(
    name: str, *, linear: bool = False, fit: Fit | None = None, shares: Sequence[str] = ()
) -> Callable[[Smoothing], Smoothing]:
    """Register a function of maps under `name`.

    Args:
        name: of the smoothing.
        linear: a map in bf16 bears it: it multiplies it by a number (``mean`` by one of each image,
            an average in float32), which leaves its relative error, 2⁻⁹, what it is. Others
            exponentiate it: where it is 1000, as in a random ResNet-50, bf16 is off by up to 2, and
            softmax by a factor of up to e². ``precision: auto`` is fp32 for them.
        fit: of one that is fitted to the style: makes (B, 1, 1, 1) of maps (B, D, H, W) and the
            parameters.
        shares: parameters between 0 and 1; the others are positive.

    Raises:
        InputError: it is not of the form that the module's docstring states.
    """

    def decorate(function: Smoothing) -> Smoothing:
        check_function("smoothing", name, function, "maps", keywords=True)
        for key, value in _parameters(function).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                expected = f"{key} expects a positive number as default"
                raise InputError(f"smoothing {name!r}: {expected}, found {value!r}")
        return SMOOTHINGS.add(name, function, linear=linear, fit=fit, shares=shares)

    return decorate


@smoothing("none", linear=True)
def none(maps: "Tensor") -> "tuple[Tensor, float]":
    """σ(F) = F."""
    return maps, 1.0


@smoothing("softmax")
def softmax(maps: "Tensor", temperature: "float | Tensor" = 1.0) -> "tuple[Tensor, float]":
    """σ(F)_ik = exp(F_ik/T) / Σ_mn exp(F_mn/T), over channels and positions: eq. (11) for T = 1.

    Source: Wang, Li, Vasconcelos 2021, eq. (11).

    Args:
        maps: (B, D, H, W).
        temperature: T > 0; of each image where it is (B, 1, 1, 1).

    Returns:
        N·σ(F) of the same shape, mean 1, and 1/N, where N = D·H·W.
    """
    count = math.prod(maps.shape[1:])
    flat = _softmax((float32(maps) / temperature).flatten(1)) * count
    return flat.view_as(maps), 1 / count


def _softmax(rows: "Tensor") -> "Tensor":
    """Return the softmax of each row (B, N); torch's on a GPU is one block of threads a row."""
    if not rows.is_cuda:
        return rows.softmax(dim=1)
    exponentials = (rows - rows.detach().amax(dim=1, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=1, keepdim=True)


@smoothing("nested")
def nested(maps: "Tensor", times: int = 2) -> "tuple[Tensor, float]":
    """σ(F) = softmax(N·softmax(F)), over channels and positions: a softmax of a softmax.

    Source: this bench; eq. (11) twice. The inner softmax is multiplied by N, so that its mean is 1:
    its own entries are about 1/N, 1e-6 and below, and the softmax of numbers that small is uniform
    to 1e-6, with nothing of F left. A peak of N·softmax(F) grows sharper.

    Args:
        maps: (B, D, H, W).
        times: softmaxes in all, 2 or more.

    Returns:
        N·σ(F) of the same shape, mean 1, and 1/N, where N = D·H·W.
    """
    smoothed, unit = softmax(maps)
    for _ in range(int(times) - 1):
        smoothed, unit = softmax(smoothed)
    return smoothed, unit


@smoothing("mean", linear=True)
def mean(maps: "Tensor") -> "tuple[Tensor, float]":
    """σ(F) = F / mean|F|, the mean over channels and positions of each image: scale taken away.

    Source: this bench, the control that changes a map's scale and nothing else. A map that is zero
    everywhere stays zero. The mean is a function of the image, and the gradient goes through it.

    Args:
        maps: (B, D, H, W).

    Returns:
        σ(F) of the same shape, mean magnitude 1, and the unit 1.
    """
    maps = float32(maps)
    size = maps.abs().mean(dim=(1, 2, 3), keepdim=True)
    return maps / size.where(size > 0, 1.0), 1.0


@smoothing("softmax-mean")
def softmax_mean(maps: "Tensor", temperature: float = 1.0) -> "tuple[Tensor, float]":
    """σ(F) = softmax(F / (T·mean|F|)), over channels and positions: eq. (11) free of scale.

    Source: this bench; `softmax` after `mean`, so that T means the same in every network and layer.

    Args:
        maps: (B, D, H, W).
        temperature: T > 0, in mean magnitudes of F.

    Returns:
        N·σ(F) of the same shape, mean 1, and 1/N, where N = D·H·W.
    """
    return softmax(mean(maps)[0], temperature)


def softmax_entropy(values: "Tensor") -> "Tensor":
    """Return −Σ p log p / log N, p = softmax over all N entries: eqs. (6) and (8); 1 for N = 1."""
    flat = values.flatten()
    if flat.numel() == 1:
        return flat.new_ones(())
    log_p = flat.log_softmax(dim=0)
    return -(log_p.exp() * log_p).sum() / math.log(flat.numel())


def temperature_at(maps: "Tensor", entropy: float = 0.9) -> "Tensor":
    """Return T at which the entropy (6) of F/T is `entropy`, for each image: (B, 1, 1, 1).

    The entropy grows with T, from log(ties of the maximum)/log N at 0 to 1. T lies between 2⁻¹⁰
    and 2³⁰ of the map's range, max F − min F, and is the end of that where no T between gives the
    entropy; it is 1 for a map that is constant. Brent's method on log₂ T.

    Args:
        maps: (B, D, H, W).
        entropy: in (0, 1).
    """
    from scipy.optimize import brentq

    found = []
    for image in float32(maps.detach()):
        shifted = image - image.max()  # softmax is the same, and rounds less
        spread = -float(shifted.min())

        def excess(log: float, shifted: "Tensor" = shifted, spread: float = spread) -> float:
            return float(softmax_entropy(shifted / (spread * 2**log))) - entropy

        low, high = -10.0, 30.0
        if not (0 < spread < math.inf):
            found.append(1.0)
        elif excess(low) >= 0 or excess(high) <= 0:
            found.append(spread * 2 ** (low if excess(low) >= 0 else high))
        else:
            found.append(spread * 2 ** brentq(excess, low, high, xtol=1e-4, rtol=1e-6))
    return maps.new_tensor(found, dtype=float32(maps[:0]).dtype).view(-1, 1, 1, 1)


@smoothing("softmax-fitted", fit=temperature_at, shares=("entropy",))
def softmax_fitted(
    maps: "Tensor", entropy: float = 0.9, *, fitted: "Tensor | None" = None
) -> "tuple[Tensor, float]":
    """σ(F) = softmax(F/T), T such that the entropy (6) of F/T is `entropy`: eq. (11) free of scale.

    Source: this bench. T is fitted to the style's map of each node and is the same for all maps of
    that node, so that no peak saturates the softmax by its size alone.

    Args:
        maps: (B, D, H, W).
        entropy: in (0, 1), of the style's map.
        fitted: T, (B, 1, 1, 1); without it that of `maps` themselves.

    Returns:
        N·σ(F) of the same shape, mean 1, and 1/N, where N = D·H·W.
    """
    return softmax(maps, temperature_at(maps, entropy) if fitted is None else fitted)


@smoothing("softmax-channels")
def softmax_channels(maps: "Tensor", temperature: float = 1.0) -> "tuple[Tensor, float]":
    """Softmax over the channels at each position: the authors' first released code, for T = 1.

    Args:
        maps: (B, D, H, W).
        temperature: T > 0.

    Returns:
        D·σ(F) of the same shape, mean 1, and 1/D.
    """
    count = maps.shape[1]
    return (float32(maps) / temperature).softmax(dim=1) * count, 1 / count


@smoothing("softmax-space")
def softmax_space(maps: "Tensor", temperature: float = 1.0) -> "tuple[Tensor, float]":
    """Softmax over the positions in each channel.

    Args:
        maps: (B, D, H, W).
        temperature: T > 0.

    Returns:
        M·σ(F) of the same shape, mean 1, and 1/M, where M = H·W.
    """
    count = maps.shape[2] * maps.shape[3]
    flat = (float32(maps) / temperature).flatten(2).softmax(dim=2) * count
    return flat.view_as(maps), 1 / count


@smoothing("scale", linear=True)
def scale(maps: "Tensor", alpha: float = 0.001) -> "tuple[Tensor, float]":
    """σ(F) = α·F: the authors' present released code, with α = 0.001 on the two deepest stages.

    In a loss it is a change of that layer's weight and nothing else: α⁴ for style, α² for content.
    """
    return maps, alpha


def parameters(name: str) -> dict[str, float]:
    """Return the parameters of a smoothing with their defaults."""
    return _parameters(SMOOTHINGS[name])


def check(spec: SmoothingSpec) -> None:
    """Raise InputError if the smoothing or one of its parameters is unknown or out of range."""
    known, shares = parameters(spec.name), SMOOTHINGS.fact(spec.name, "shares") or ()
    for key, value in spec.params.items():
        if key not in known:
            listed = ", ".join(known) or "none"
            raise InputError(
                f"smoothing {spec.name!r} has no parameter {key!r}{suggestion(key, known)} "
                f"(known: {listed}, layers)"
            )
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"smoothing {spec.name!r}: {key} must be positive, found {value!r}")
        if key in shares and not value < 1:
            raise InputError(f"smoothing {spec.name!r}: {key} must be below 1, found {value:g}")
        least = known[key]
        if isinstance(least, int) and not (value >= least and value == int(value)):
            raise InputError(
                f"smoothing {spec.name!r}: {key} must be a whole number of at least {least}, "
                f"found {value:g}"
            )


def canonical(spec: SmoothingSpec) -> SmoothingSpec:
    """Return the specification without what makes no difference.

    That is parameters at their defaults, and the layers of ``none``.
    """
    defaults = parameters(spec.name)
    params = {key: value for key, value in spec.params.items() if value != defaults[key]}
    layers = "all" if spec.name == "none" else spec.layers
    return SmoothingSpec(name=spec.name, layers=layers, params=params)


def precision(asked: str, spec: SmoothingSpec, device: str) -> Precision:
    """Return the precision of a network; ``auto`` is fp32 for smoothings that exponentiate maps.

    For ``softmax-fitted`` too, whose exponents are bounded: in tf32 it ends elsewhere, and earlier
    (docs/performance.md).
    """
    exact = asked == "auto" and not SMOOTHINGS.fact(spec.name, "linear")
    return runtime.resolve_precision("fp32" if exact else asked, device)


def _spares(spec: SmoothingSpec, stage: int) -> bool:
    return spec.layers == "deep" and stage < DEEP_STAGE


def fit(spec: SmoothingSpec, maps: "Tensor", stage: int) -> "Tensor | None":
    """Return what a smoothing takes from the style's map of a node, None where it takes nothing."""
    own: Fit | None = SMOOTHINGS.fact(spec.name, "fit")
    return None if own is None or _spares(spec, stage) else own(maps, **spec.params)


def apply(
    spec: SmoothingSpec, maps: "Tensor", stage: int, fitted: "Tensor | None" = None
) -> "tuple[Tensor, float]":
    """Return (map, unit) with σ(F) = unit · map, for the feature map of a node in `stage`.

    Args:
        spec: names the smoothing and its parameters.
        maps: (B, D, H, W).
        stage: of the node.
        fitted: what `fit` returned for the style's map; without it a smoothing that is fitted is
            fitted to these maps themselves.

    Raises:
        InputError: the smoothing returns something else.
    """
    if _spares(spec, stage):
        return maps, 1.0
    how = {} if fitted is None else {"fitted": fitted}
    found: Any = SMOOTHINGS[spec.name](maps, **spec.params, **how)
    match found:
        case (map_, Real() as unit) if getattr(map_, "shape", None) == maps.shape:
            if math.isfinite(unit):
                return map_, float(unit)
    parts = found if isinstance(found, tuple | list) else [found]
    told = ", ".join(
        f"{type(p).__name__} of shape {tuple(p.shape)}" if hasattr(p, "shape") else f"{p!r:.40}"
        for p in parts
    )
    raise InputError(
        f"{SMOOTHINGS.called(spec.name)}: expected a map of shape {tuple(maps.shape)} and a "
        f"number, found {told}"
    )
