"""Moments of a map's feature vectors: Gaussians fitted to two maps, and how close they are.

Source: the base E statistic of Yeh et al. 2020, "Improving style transfer with calibrated metrics".
There the directions are the principal ones of a set of reference pictures; here of the style alone.
"""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stylebench.runtime import float64
from stylebench.transfer import losses

MOST = (32, 48, 128, 256, 256)
"""Directions by stage, at most: those of Yeh et al. for relu1_1 to relu5_1 of VGG-19."""
POSITIONS = 4
"""Of a map for each direction, at least, so that a covariance is well conditioned."""
SHARE = 1e-4
"""Of a style's variance, that a direction holds at least: a divergence weighs all alike."""
LEAST = 1e-6
"""Divergence, that of equal maps too: below are the roundings of features in float32."""
FLAT = 1e-12
"""Of the mean square, below which a variance is rounding; also of the style's along a direction."""


@dataclass(frozen=True)
class Moments:
    """Moments of M feature vectors: `gram` E[f fᵀ] (D, D) and `mean` E[f] (D,), in float64."""

    gram: Tensor
    mean: Tensor
    positions: int

    @classmethod
    def of(cls, points: Tensor) -> "Moments":
        """Return those of points (D, M)."""
        wide = float64(points)
        return cls(losses.gram(wide[None, :, None])[0], wide.mean(dim=1), points.shape[1])

    @property
    def covariance(self) -> Tensor:
        """(D, D), that of a fit by maximum likelihood: divided by M."""
        return self.gram - torch.outer(self.mean, self.mean)

    @property
    def varies(self) -> bool:
        """Whether the map is finite and not constant."""
        return bool(self.covariance.trace() > FLAT * self.gram.trace())

    @functools.cached_property
    def principal(self) -> tuple[Tensor, Tensor]:
        """Variances (K,) in falling order and directions (D, K) that hold `SHARE` of the variance.

        K is 0 where the map does not vary.
        """
        if not self.varies:
            return self.mean[:0], self.gram[:, :0]
        values, vectors = torch.linalg.eigh(self.covariance)
        kept = min(int((values >= SHARE * values.sum()).sum()), max(MOST))
        return values.flip(0)[:kept], vectors.flip(1)[:, :kept].clone()


def closeness(result: Moments, style: Moments, most: int) -> float:
    """Return −ln KL(N(result) ‖ N(style)), along principal directions of the style; NaN for none.

    So many directions: `most`, a `POSITIONS`-th of the smaller map, and those of
    `Moments.principal`, at most; which they are does not hang on what the result shows. In the
    style's own deviations along them, with w the eigenvalues of the result's covariance and d the
    difference of the means, KL = (Σ (w − 1 − ln w) + ‖d‖²)/2, counted as `LEAST` at least.

    Args:
        result: of a map; NaN too where that is constant.
        style: of the style's map.
        most: directions.
    """
    values, directions = style.principal
    count = min(most, len(values), result.positions // POSITIONS, style.positions // POSITIONS)
    if not count or not result.varies:
        return math.nan
    scaled = directions[:, :count] / values[:count].sqrt()
    spread = torch.linalg.eigvalsh(scaled.mT @ result.covariance @ scaled).clamp(min=FLAT)
    apart = scaled.mT @ (result.mean - style.mean)
    divergence = float((spread - 1 - spread.log()).sum() + apart.square().sum()) / 2
    return -math.log(max(divergence, LEAST))
