"""What becomes of the content's colours: the style's, as they fall, or the content's, kept.

Source: Gatys, Bethge, Hertzmann & Shechtman 2016, "Preserving Color in Neural Artistic Style
Transfer", arXiv 1606.05897. Statistics are computed in float64.
"""

import torch
from torch import Tensor

from stylebench.config import Colours
from stylebench.runtime import float64

LUMA = (0.299, 0.587, 0.114)
"""Y of YIQ. I and Q are differences of R, G and B: adding one number to all three leaves them."""
FLAT = 1e-8
"""Deviations of pixels in [0, 1] up to this are rounding, and not scaled: one of a million pixels
of 8 bits that is off by a level is 4e-6."""


def luminance(image: Tensor) -> Tensor:
    """Return Y of YIQ, in R, G and B alike.

    Args:
        image: (1, 3, H, W).
    """
    wide = float64(image)
    weights = wide.new_tensor(LUMA).view(1, 3, 1, 1)
    return (wide * weights).sum(dim=1, keepdim=True).expand_as(wide).to(image)


def levelled(style: Tensor, content: Tensor) -> Tensor:
    """Return σ_C/σ_S·(S − μ_S) + μ_C, of two luminances: eq. (10); μ_C where the style is flat."""
    wide = [float64(picture) for picture in (style, content)]
    (s, spread), (c, wanted) = ((values.mean(), values.std(correction=0)) for values in wide)
    factor = wanted / spread if spread > FLAT else 0.0
    return ((float64(style) - s) * factor + c).to(style)


def _root(covariance: Tensor, power: float) -> Tensor:
    """Return a power of a covariance matrix; where it has no variance the power has none either."""
    values, vectors = torch.linalg.eigh(covariance)
    powers = torch.where(values > FLAT**2, values.clamp(min=FLAT**2) ** power, 0.0)
    found: Tensor = (vectors * powers) @ vectors.mT
    return found


def matched(style: Tensor, content: Tensor) -> Tensor:
    """Return the style picture with the mean and the covariance of the content's colours.

    S' = A (S − μ_S) + μ_C for each pixel, A = Σ_C^½ Σ_S^−½ with symmetric roots ("Image Analogies
    colour transfer" there). Of all A with A Σ_S Aᵀ = Σ_C, unlike the one of Cholesky factors, it
    does not hang on the order of the channels. Values may leave [0, 1].

    Args:
        style: (1, 3, H', W').
        content: (1, 3, H, W).
    """
    (s, of_style), (c, of_content) = (
        (flat.mean(dim=1, keepdim=True), torch.cov(flat, correction=0))
        for flat in (float64(picture)[0].flatten(1) for picture in (style, content))
    )
    change = _root(of_content, 0.5) @ _root(of_style, -0.5)
    pixels = change @ (float64(style)[0].flatten(1) - s) + c
    return pixels.view_as(style).to(style).contiguous()


def prepared(colours: Colours, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """Return the content and the style picture that are to be used in place of these."""
    if colours == "matched":
        return content, matched(style, content)
    if colours == "luminance":
        grey = luminance(content).contiguous()
        return grey, levelled(luminance(style), grey).contiguous()
    return content, style


def finished(colours: Colours, content: Tensor, result: Tensor) -> Tensor:
    """Return the picture that a result comes to: with ``luminance`` it takes the content's I and Q.

    Args:
        colours: as of `prepared`.
        content: (1, 3, H, W), as it was given.
        result: the same, in [0, 1].
    """
    if colours != "luminance":
        return result
    return (content + luminance(result) - luminance(content)).clamp(0, 1)
