"""Statistics of feature maps: the paper's (5)-(8), and scale-free ones beside them.

Each takes a feature map F of one image, D channels × M positions, and its Gram matrix G/M, and
returns a number. Every one is computed in float64.

To add one: a function decorated with ``@statistic(name, scale_free=…)`` that takes a `Maps`.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pandas as pd
import torch
from pydantic import ValidationError
from torch import Tensor

from stylebench import runtime
from stylebench.config import SmoothingSpec, check_arguments, first_problem
from stylebench.errors import InputError, of_python, suggestion
from stylebench.images import to_tensor
from stylebench.registry import Registry, check_function, check_number, summary
from stylebench.runtime import float64
from stylebench.transfer import smoothing as smoothings
from stylebench.transfer.losses import gram
from stylebench.transfer.smoothing import softmax_entropy

if TYPE_CHECKING:
    from stylebench.backbones.extractor import Backbone
    from stylebench.backbones.shortcuts import Branch

Smoothing: TypeAlias = str | Mapping[str, Any] | SmoothingSpec
"""As a user may give one."""


class Maps:
    """A feature map and what statistics share: its Gram matrix and the eigenvalues of that.

    Args:
        maps: feature map of one image, (D, H, W), any real type.
    """

    def __init__(self, maps: Tensor) -> None:
        self.values = float64(maps)

    @cached_property
    def gram(self) -> Tensor:
        """G/M = F Fᵀ / M, (D, D)."""
        return gram(self.values.unsqueeze(0))[0]

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Eigenvalues of G/M that can differ from zero, ascending, (min(D, M),), none negative.

        F Fᵀ and Fᵀ F have the same ones, so the smaller of the two is decomposed.
        """
        flat = self.values.flatten(1)
        d, m = flat.shape
        matrix = self.gram if d <= m else flat.T @ flat / m
        values: Tensor = torch.linalg.eigvalsh(matrix)
        return values.clamp_min(0)


Scale = Literal["linear", "log", "unit"]
"""Of an axis; ``unit`` goes from 0 to 1."""


@dataclass(frozen=True)
class Statistic:
    """A named statistic: what computes it, and how it is drawn.

    Attributes:
        compute: the function.
        scale_free: multiplying F by a constant does not change it.
        title: over a panel.
        scale: of its axis.
    """

    compute: Callable[[Maps], Tensor | float]
    scale_free: bool
    title: str
    scale: Scale

    @property
    def description(self) -> str:
        """The first line of the docstring."""
        return summary(self.compute)


STATISTICS: Registry[Statistic] = Registry("statistic")
BRANCH_CHANGE = "branch_change"
"""The one statistic that is not of a map but of a block, see `measure_branches`."""


def statistic(
    name: str, *, scale_free: bool, title: str = "", scale: Scale = "linear"
) -> Callable[[Callable[[Maps], Tensor | float]], Callable[[Maps], Tensor | float]]:
    """Register a function of `Maps` under `name`, which is its title unless there is another.

    Raises:
        InputError: it takes something else, or has no docstring.
    """

    def decorate(function: Callable[[Maps], Tensor | float]) -> Callable[[Maps], Tensor | float]:
        check_function("statistic", name, function, "maps")
        STATISTICS.add(name, Statistic(function, scale_free, title or name, scale))
        return function

    return decorate


def _entropy(p: Tensor) -> Tensor:
    """Return −Σ p log p with 0·log 0 = 0."""
    terms: Tensor = torch.special.entr(p)
    return terms.sum()


@statistic("max", scale_free=False, title="activation maximum, eq. (5)", scale="log")
def maximum(maps: Maps) -> Tensor:
    """Activation maximum: max over channels and positions of F. Source: paper, eq. (5)."""
    return maps.values.max()


@statistic("entropy", scale_free=False, title="activation entropy, eq. (6)", scale="unit")
def entropy(maps: Maps) -> Tensor:
    """Normalised activation entropy: −Σ p log p / log(D·M), p = softmax of F. Paper, eq. (6).

    In [0, 1]. That p is a softmax is inferred: only that gives the curves which the paper shows.
    It measures scale: F·c has entropy → 1 for c → 0.
    """
    return softmax_entropy(maps.values)


@statistic("gram_max", scale_free=False, title="Gram maximum (G/M), eq. (7)", scale="log")
def gram_max(maps: Maps) -> Tensor:
    """Gram maximum: max over i, j of G_ij/M. Source: paper, eq. (7), with G/M for G."""
    return maps.gram.max()


@statistic("gram_entropy", scale_free=False, title="Gram entropy (G/M), eq. (8)", scale="unit")
def gram_entropy(maps: Maps) -> Tensor:
    """Normalised Gram entropy: −Σ q log q / log D², q = softmax of G/M. Paper, eq. (8).

    In [0, 1]; the softmax and the division by M are inferred.
    """
    return softmax_entropy(maps.gram)


@statistic("l1_entropy", scale_free=True, title="entropy of |F|/Σ|F|", scale="unit")
def l1_entropy(maps: Maps) -> Tensor | float:
    """Normalised entropy of p = |F|/Σ|F|: −Σ p log p / log(D·M). Shannon 1948.

    1 is uniform, 0 is a single active entry; NaN if F is zero everywhere.
    """
    absolute = maps.values.abs().flatten()
    if absolute.numel() == 1:
        return 1.0
    return _entropy(absolute / absolute.sum()) / math.log(absolute.numel())


@statistic("max_over_mean", scale_free=True, title="max|F| / mean|F|", scale="log")
def max_over_mean(maps: Maps) -> Tensor:
    """Largest magnitude over mean magnitude: max|F| / mean|F|, in [1, D·M]; NaN if F is zero."""
    absolute = maps.values.abs()
    return absolute.max() / absolute.mean()


@statistic("participation_ratio", scale_free=True, title="participation ratio", scale="log")
def participation_ratio(maps: Maps) -> Tensor:
    """Share of entries that carry the energy: (ΣF²)² / (D·M·ΣF⁴), in [1/(D·M), 1].

    Source: Bell & Dean 1970 (atomic vibrations), here for the entries of a map.
    """
    scaled = maps.values / maps.values.abs().max()  # the fourth power of large maps stays in range
    square = scaled.square()
    return square.sum().square() / (square.square().sum() * square.numel())


@statistic("gram_effective_rank", scale_free=True, title="effective rank of G", scale="log")
def gram_effective_rank(maps: Maps) -> Tensor:
    """Effective rank of the Gram matrix: exp(−Σ p log p), p = λ/Σλ, in [1, min(D, M)].

    Source: Roy & Vetterli 2007, with the eigenvalues λ of G.
    """
    values = maps.eigenvalues
    return _entropy(values / values.sum()).exp()


@statistic("gram_top_share", scale_free=True, title="share of G's top eigenvalue", scale="unit")
def gram_top_share(maps: Maps) -> Tensor:
    """Share of the largest eigenvalue of the Gram matrix: λ_1/Σλ, in [1/min(D, M), 1]."""
    values = maps.eigenvalues
    return values[-1] / values.sum()


@statistic("gram_diagonal_share", scale_free=True, title="share of G's diagonal", scale="unit")
def gram_diagonal_share(maps: Maps) -> Tensor:
    """Share of the Gram matrix's energy on its diagonal: Σ_i G_ii² / Σ_ij G_ij², in [1/D, 1]."""
    return maps.gram.diagonal().square().sum() / maps.gram.square().sum()


def measure(maps: Tensor, names: Iterable[str] | None = None) -> dict[str, float]:
    """Return statistics of one feature map.

    Args:
        maps: (D, H, W).
        names: of statistics; all of them by default.

    Returns:
        name -> value; NaN where a statistic is not defined (a map that is zero everywhere).
    """
    shared = Maps(maps)
    return {
        name: check_number(STATISTICS[name].compute(shared), STATISTICS.called(name))
        for name in names or STATISTICS
    }


def measured() -> dict[str, str]:
    """Return the statistics that are measured, with the digests of those of plug-ins, else ""."""
    known = {name: "".join(STATISTICS.code(name).values()) for name in STATISTICS}
    return {**known, BRANCH_CHANGE: ""}


@dataclass(frozen=True)
class Measurement:
    """One value: the statistic of a layer's map, raw or smoothed."""

    smoothing: str
    layer: str
    stage: int
    statistic: str
    value: float


def measure_backbone(
    backbone: "Backbone", image: Tensor, smooth: Iterable[SmoothingSpec]
) -> list[Measurement]:
    """Return all statistics of one image, for each smoothing: of the style nodes' maps, of blocks.

    Args:
        backbone: gives the maps, in one pass.
        image: (1, 3, H, W) in [0, 1].
        smooth: smoothings; ``none`` gives the statistics of the raw maps. Smoothed maps are the
            σ(F) of the paper, not the multiple of it that the losses use.
    """
    from stylebench.backbones import shortcuts  # it imports torchvision

    found, branches = [], []
    maps, staged = shortcuts.staged(backbone, image)
    for spec in smooth:
        for node in backbone.style:
            smoothed, unit = smoothings.apply(spec, float64(maps[node.name]), node.stage)
            values = measure((smoothed * unit)[0])
            found += [
                Measurement(spec.label, node.name, node.stage, name, value)
                for name, value in values.items()
            ]
        if spec.name == "none":
            branches += measure_branches(staged, spec.label)
    return found + branches


def measure_branches(staged: "Iterable[tuple[Branch, int]]", smoothing: str) -> list[Measurement]:
    """Change of a block's input by its branch: ‖R(x)‖/‖x‖, x being what the shortcut gives.

    In [0, ∞); near 0 the block does nothing. A row for each block that leads to the nodes in use:
    its layer is the module that holds the branch, its stage that of the next node. Without
    smoothing, if that is among those asked for: the maps in the network are never smoothed.
    """
    return [
        Measurement(smoothing, branch.path, stage, BRANCH_CHANGE, branch.change)
        for branch, stage in staged
    ]


@of_python
def statistics(
    backbone: Any,
    images: Any,
    smoothing: Smoothing | Sequence[Smoothing] = ("none", "softmax"),
    *,
    size: int | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Return all statistics of a backbone's style nodes on some pictures.

    Args:
        backbone: a `Backbone`, or what `stylebench.backbones.extractor.backbone` makes one of.
        images: one picture or a list of them, each as `stylebench.images.to_tensor` takes it.
        smoothing: names or specifications; ``none`` gives the statistics of the raw maps.
        size: long side of the pictures in px; 512 by default, and what it is for tensors.
        **options: of `stylebench.backbones.extractor.backbone`.

    Returns:
        A row for each image (its number from 0), smoothing, layer (with its stage) and statistic,
        and for each block with a shortcut, see `measure_branches`.

    Raises:
        InputError: a picture that cannot be read, unknown names, values out of range.
    """
    from stylebench.backbones.extractor import backbone as make  # it imports torchvision

    check_arguments(size=size, seed=options.get("seed", 0))
    for name in options:
        if name not in (known := inspect.signature(make).parameters):
            raise InputError(f"statistics: unknown argument {name!r}{suggestion(name, known)}")
    network = make(backbone, **options)
    runtime.configure(tf32=network.precision == "tf32")
    if not isinstance(smoothing, str) and not smoothing:
        raise InputError("smoothing: expected one at least, as none, found an empty list")
    each_of = [*smoothing] if isinstance(smoothing, list | tuple) else [smoothing]
    try:
        specs = [SmoothingSpec.model_validate(each) for each in each_of]
    except ValidationError as error:
        path, expected, found = first_problem(error)
        where = ": ".join(filter(None, ("smoothing", path)))
        raise InputError(f"{where}: {expected}, found {found!r:.60}") from None
    for spec in specs:
        smoothings.check(spec)
    pictures = images if isinstance(images, list | tuple) else [images]
    rows = []
    for number, picture in enumerate(pictures):
        pixels = to_tensor(picture, size=size).to(network.mean.device)
        found = measure_backbone(network, pixels, specs)
        rows += [{"image": number, **asdict(value)} for value in found]
    return pd.DataFrame(rows)
