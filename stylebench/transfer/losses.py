"""Losses of style transfer: pure functions of feature maps; the normalisation is a parameter."""

from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from stylebench.runtime import float32

Normalisation = Literal["paper", "released", "keras"]

CHUNK = 1024
"""Positions of one product on a GPU, see `products`."""
HALF = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 8)
"""Whether torch multiplies matrices in bf16 on a GPU and sums, and returns, float32."""


def products(flat: Tensor) -> Tensor:
    """Return F Fᵀ, summed in float32 at least.

    On a GPU F is cut along its positions into pieces of about CHUNK: a product of few channels over
    100,000 positions is one block of threads otherwise, and takes longer than the convolutions. In
    bf16 it runs on tensor cores; the products of bf16 numbers are exact in float32, so that sums in
    float32 round no more than those of float32 copies do.

    Args:
        flat: (B, D, M).

    Returns:
        (B, D, D).
    """
    if not flat.is_cuda:
        flat = float32(flat)
        return flat @ flat.mT
    batch, channels, positions = flat.shape
    parts = max(1, positions // CHUNK)
    whole = positions - positions % parts
    pieces = flat[..., :whole].reshape(batch, channels, parts, whole // parts).transpose(1, 2)
    found = _product(pieces.flatten(0, 1)).view(batch, parts, channels, channels).sum(dim=1)
    return found + _product(flat[..., whole:]) if whole < positions else found


def _product(flat: Tensor) -> Tensor:
    if HALF and flat.dtype == torch.bfloat16:
        found: Tensor = torch.bmm(flat, flat.mT, out_dtype=torch.float32)
        return found
    flat = float32(flat)
    return flat @ flat.mT


def gram(maps: Tensor) -> Tensor:
    """Return the Gram matrix per position, G/M = F Fᵀ / M.

    Source: eq. (1), G = F Fᵀ, divided by M = H·W so that pictures of different sizes compare.

    Args:
        maps: feature map (B, D, H, W).

    Returns:
        (B, D, D), symmetric and positive semi-definite, in float32 at least.
    """
    flat = maps.flatten(2)
    return products(flat) / flat.shape[2]


class _GramDistance(torch.autograd.Function):
    """‖Δ‖² with Δ = F Fᵀ/M − A, whose gradient is 4 Δ F / M, for a symmetric A.

    Autograd would take three products of matrices where this takes two. The map is kept in its own
    type; Δ is summed in float32 at least. The gradient has the map's type and layout in memory.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, maps: Tensor, target: Tensor) -> Tensor:
        flat = maps.flatten(2)
        delta = products(flat).div_(flat.shape[2]).sub_(target)  # rounded as in `gram`
        ctx.save_for_backward(maps, delta)
        return delta.square().flatten(1).sum(dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        maps, delta = ctx.saved_tensors
        flat = maps.flatten(2)
        factor = (delta * (4 / flat.shape[2] * gradient.view(-1, 1, 1))).to(maps.dtype)
        if maps.is_contiguous():
            return (factor @ flat).view_as(maps), None
        found: Tensor = (flat.mT @ factor).movedim(1, 2).reshape(maps.shape)
        return found, None


def gram_distance(maps: Tensor, target: Tensor) -> Tensor:
    """Return Σ (G/M − A)² over the entries of the Gram matrix of each image.

    Args:
        maps: feature map (B, D, H, W).
        target: A, (B, D, D) or (1, D, D), symmetric; it gets no gradient.

    Returns:
        (B,), in float32 at least.
    """
    return cast("Tensor", _GramDistance.apply(maps, target))


def content_factor(shape: tuple[int, ...], normalisation: Normalisation) -> float:
    """Return c in L_content = c·‖ΔF‖² for a map (B, D, H, W).

    ``paper``: 1/2, eq. (3). ``released``: the mean over all entries, 1/(D·M). ``keras``: 1.
    """
    _, d, h, w = shape
    return {"paper": 0.5, "released": 1 / (d * h * w), "keras": 1.0}[normalisation]


def style_factor(shape: tuple[int, ...], normalisation: Normalisation, pixels: int) -> float:
    """Return c in L_style,l = c·‖ΔG/M‖².

    ``paper``: 1/(4D²), eq. (4) with G/M for G, which is the same when both pictures have the same
    size and defined when they have not. ``released``: Gram matrices divided by D·M, squared
    differences averaged over D² entries: 1/D⁴. ``keras``: ‖ΔG‖²/(4·3²·(H·W)²) with G = M·(G/M) and
    the result's M for both pictures: M²/(36·(H·W)²). Source: Chollet's Keras example, which has
    both pictures in one size.

    Args:
        shape: (B, D, h, w) of the result's map; M = h·w.
        normalisation: which of the three.
        pixels: H·W of the result.
    """
    _, d, h, w = shape
    return {
        "paper": 1 / (4 * d**2),
        "released": 1 / d**4,
        "keras": (h * w / (6 * pixels)) ** 2,
    }[normalisation]


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return Σ (a − b)² over all but the first dimension; `b` broadcasts over the batch.

    Args:
        a: (B, …).
        b: (1, …) or (B, …).

    Returns:
        (B,).
    """
    return (a - b).square().flatten(1).sum(dim=1)


def total_variation(image: Tensor) -> Tensor:
    """Return the anisotropic total variation, squared and averaged over pixels and channels.

    (Σ (Δ_v x)² + Σ (Δ_h x)²) / (3·H·W). Source: Mahendran & Vedaldi 2015, eq. (2), with exponent
    β = 2.

    Args:
        image: (B, 3, H, W).

    Returns:
        (B,).
    """
    vertical = (image[..., 1:, :] - image[..., :-1, :]).square().flatten(1).sum(dim=1)
    horizontal = (image[..., :, 1:] - image[..., :, :-1]).square().flatten(1).sum(dim=1)
    return (vertical + horizontal) / image[0].numel()


def keras_total_variation(image: Tensor) -> Tensor:
    """Return Chollet's total variation: Σ ((Δ_v x)² + (Δ_h x)²)^1.25, summed over channels too.

    Both differences are to the next pixel, at the (H−1)·(W−1) positions that have both, of pixels
    in 0..255: a factor of 255^2.5. Source: total_variation_loss of the Keras example.

    Args:
        image: (B, 3, H, W), in [0, 1].

    Returns:
        (B,).
    """
    corner = image[..., :-1, :-1]
    vertical = (image[..., 1:, :-1] - corner).square()
    horizontal = (image[..., :-1, 1:] - corner).square()
    powers = (255**2 * (vertical + horizontal)).pow(1.25)
    return powers.flatten(1).sum(dim=1)
