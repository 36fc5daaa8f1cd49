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
from collections.abc import Callable
from typing import TYPE_CHECKING

from stylebench import runtime
from stylebench.config import Precision, SmoothingSpec
from stylebench.errors import InputError
from stylebench.registry import Registry, check_function, suggestion
from stylebench.runtime import float32

if TYPE_CHECKING:
    from torch import Tensor

Smoothing = Callable[..., "tuple[Tensor, float]"]
SMOOTHINGS: Registry[Smoothing] = Registry("smoothing")

LINEAR: set[str] = set()
"""Smoothings that a map in bf16 bears: they multiply it by a number (``mean`` by one of each image,
an average in float32), which leaves its relative error, 2⁻⁹, what it is. Others exponentiate it:
where it is 1000, as in a random ResNet-50, bf16 is off by up to 2, and softmax by a factor of up to
e². ``precision: auto`` is fp32 for them."""

DEEP_STAGE = 3
"""``layers: deep`` smooths the stages from this one on: the two deepest, as the released code."""


def _parameters(function: Smoothing) -> dict[str, float]:
    """Return the keyword parameters of a smoothing, which follow its maps, with their defaults."""
    keywords = list(inspect.signature(function).parameters.items())[1:]
    return {name: parameter.default for name, parameter in keywords}


def smoothing(name: str, *, linear: bool = False) -> Callable[[Smoothing], Smoothing]:
    """Register a function of maps under `name`; for `linear` see `LINEAR`.

    Raises:
        InputError: it is not of the form that the module's docstring states.
    """

    def decorate(function: Smoothing) -> Smoothing:
        check_function("smoothing", name, function, "maps", keywords=True)
        for key, value in _parameters(function).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                expected = f"{key} expects a positive number as default"
                raise InputError(f"smoothing {name!r}: {expected}, found {value!r}")
        SMOOTHINGS.add(name, function)
        if linear:
            LINEAR.add(name)
        return function

    return decorate


@smoothing("none", linear=True)
def none(maps: "Tensor") -> "tuple[Tensor, float]":
    """σ(F) = F."""
    return maps, 1.0


@smoothing("softmax")
def softmax(maps: "Tensor", temperature: float = 1.0) -> "tuple[Tensor, float]":
    """σ(F)_ik = exp(F_ik/T) / Σ_mn exp(F_mn/T), over channels and positions: eq. (11) for T = 1.

    Source: Wang, Li, Vasconcelos 2021, eq. (11).

    Args:
        maps: (B, D, H, W).
        temperature: T > 0.

    Returns:
        N·σ(F) of the same shape, mean 1, and 1/N, where N = D·H·W.
    """
    count = math.prod(maps.shape[1:])
    flat = (float32(maps) / temperature).flatten(1).softmax(dim=1) * count
    return flat.view_as(maps), 1 / count


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
    known = parameters(spec.name)
    for key, value in spec.params.items():
        if key not in known:
            listed = ", ".join(known) or "none"
            raise InputError(
                f"smoothing {spec.name!r} has no parameter {key!r}{suggestion(key, known)} "
                f"(known: {listed}, layers)"
            )
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"smoothing {spec.name!r}: {key} must be positive, found {value!r}")
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
    """Return the precision of a network; ``auto`` is fp32 for smoothings that exponentiate maps."""
    exact = asked == "auto" and spec.name not in LINEAR
    return runtime.resolve_precision("fp32" if exact else asked, device)


def apply(spec: SmoothingSpec, maps: "Tensor", stage: int) -> "tuple[Tensor, float]":
    """Return (map, unit) with σ(F) = unit · map, for the feature map of a node in `stage`."""
    if spec.layers == "deep" and stage < DEEP_STAGE:
        return maps, 1.0
    return SMOOTHINGS[spec.name](maps, **spec.params)
