"""Means and deviations of the channels of maps, and what AdaIN and SANet make of them."""

from torch import Tensor

EPSILON = 1e-5
"""Added to a variance before its root. Source: the released code of AdaIN and SANet."""


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return μ = mean F and σ = √(mean (F − μ)² + ε) over the positions of each channel.

    Source: Huang & Belongie 2017, eqs. (5) and (6), as the papers write them, divided by H·W. The
    released code divides by H·W − 1, which is not defined for a map of one position.

    Args:
        maps: (B, D, H, W).

    Returns:
        Two of (B, D, 1, 1).
    """
    mean = maps.mean(dim=(2, 3), keepdim=True)
    variance = (maps - mean).square().mean(dim=(2, 3), keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def normalised(maps: Tensor) -> Tensor:
    """Return (F − μ)/σ, mean 0 and variance 1 in each channel: F̄ of Park & Lee 2019."""
    mean, deviation = moments(maps)
    return (maps - mean) / deviation


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Return σ(F_s)·(F_c − μ(F_c))/σ(F_c) + μ(F_s): the content's map with the style's moments.

    Source: Huang & Belongie 2017, eq. (8).

    Args:
        content: (B, D, H, W).
        style: (B, D, H', W').
    """
    mean, deviation = moments(style)
    return deviation * normalised(content) + mean
