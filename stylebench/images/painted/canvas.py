"""What the painted styles share: source photographs, fields, noise, lighting, colour.

Colours are floating in 0…1, shape (H, W, 3) or (n, 3). Positions are (y, x) in units of the long
side, so that a painting is laid out once and drawn at any size.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylebench.images.builtin import PHOTOGRAPHS
from stylebench.images.decode import Picture

Field = npt.NDArray[np.floating[Any]]

SKETCH = 384
"""Long side in px at which every painting is laid out, whatever its size."""

MIN_CANVAS = 512
"""Least long side in px at which a painting is drawn; smaller ones are scaled down from it."""


def photograph(name: str, size: int = SKETCH) -> Field:
    """Return a built-in photograph, float32 (H, W, 3) in 0…1, its long side `size` px."""
    return PHOTOGRAPHS[name].render(size).astype(np.float32) / 255


def canvas_shape(name: str, size: int) -> tuple[int, int]:
    """Return (H, W) of the photograph at `size`."""
    height, width, _ = PHOTOGRAPHS[name].render(size).shape
    return height, width


def zoom(field: Field, shape: tuple[int, int]) -> Field:
    """Return a field (H, W) or (H, W, C), bicubically resized to `shape` (with antialias)."""
    if field.ndim == 3:
        return np.stack([zoom(channel, shape) for channel in np.moveaxis(field, 2, 0)], axis=2)
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    resized = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.float32)


def develop(rgb: Field, shape: tuple[int, int]) -> Picture:
    """Return a painting as uint8, scaled to `shape` (H, W)."""
    pixels: Picture = np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)
    if pixels.shape[:2] == shape:
        return pixels
    image = Image.fromarray(pixels).resize((shape[1], shape[0]), Image.Resampling.LANCZOS)
    return np.array(image, dtype=np.uint8)


def blur(field: Field, sigma: float) -> Field:
    """Return a field (H, W) or (H, W, C), blurred by a Gaussian of `sigma` px."""
    from scipy.ndimage import gaussian_filter

    sigmas = (sigma, sigma, 0)[: field.ndim]
    return np.asarray(gaussian_filter(field, sigmas), dtype=np.float32)


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Field:
    """Return smooth noise (H, W) of mean 0 and deviation 1 with grains of about `sigma` px."""
    grains = blur(rng.standard_normal(shape, dtype=np.float32), sigma)
    return np.asarray((grains - grains.mean()) / (grains.std() + 1e-9), dtype=np.float32)


def luma(rgb: Field) -> Field:
    """Return the brightness (Rec. 601) of colours (…, 3)."""
    return np.asarray(rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32), dtype=np.float32)


def grade(rgb: Field, saturation: float, contrast: float) -> Field:
    """Return colours (…, 3) pushed away from grey and from middle brightness."""
    grey = luma(rgb)[..., None]
    strong = grey + saturation * (rgb - grey)
    return np.asarray((0.5 + contrast * (strong - 0.5)).clip(0, 1), dtype=np.float32)


def nearest_colour(rgb: Field, palette: Sequence[Sequence[float]]) -> npt.NDArray[np.intp]:
    """Return the index of the palette's nearest entry for colours (…, 3)."""
    entries = np.array(palette, dtype=np.float32)
    return np.asarray(((rgb[..., None, :] - entries) ** 2).sum(-1).argmin(-1))


def tensor(grey: Field, sigma: float) -> tuple[Field, Field, Field]:
    """Return the smoothed structure tensor of a grey image: J_xx, J_xy, J_yy, each (H, W)."""
    soft = blur(grey, 1.0)
    dy, dx = (np.asarray(slope) for slope in np.gradient(soft))
    return blur(dx * dx, sigma), blur(dx * dy, sigma), blur(dy * dy, sigma)


def tangent(jxx: Field, jxy: Field, jyy: Field) -> Field:
    """Return the angle along edges, in radians from the x axis, of a structure tensor."""
    return np.asarray(0.5 * np.arctan2(2 * jxy, jxx - jyy) + np.pi / 2, dtype=np.float32)


def sample(field: Field, positions: npt.NDArray[np.floating]) -> Field:
    """Return a field's values at positions (n, 2), (y, x) in units of its long side."""
    height, width = field.shape[:2]
    rows, columns = np.moveaxis((positions * max(height, width)).astype(np.intp), -1, 0)
    return np.asarray(field[rows.clip(0, height - 1), columns.clip(0, width - 1)])


def emboss(height: Field, strength: float) -> Field:
    """Return the light (H, W) of a relief lit from the upper left; 1 is neutral.

    Args:
        height: relief in units of the long side.
        strength: how much a slope of 1 lightens or darkens.
    """
    dy, dx = np.gradient(height * max(height.shape))
    return np.asarray(1 + strength * np.tanh(dx * 0.6 + dy * 0.8), dtype=np.float32)


def turn_hue(rgb: Field, angle: npt.NDArray[np.floating]) -> Field:
    """Return colours (…, 3) with their chroma turned by `angle` (…) radians in the YIQ plane."""
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    y, i, q = np.moveaxis(rgb @ to_yiq.T, -1, 0)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.stack([y, cos * i - sin * q, sin * i + cos * q], -1)
    return np.asarray((turned @ np.linalg.inv(to_yiq).T).clip(0, 1), dtype=np.float32)
