"""The painted style made of dots: pointillism."""

import numpy as np
import numpy.typing as npt

from stylebench.images.decode import Picture
from stylebench.images.painted.canvas import (
    MIN_CANVAS,
    SKETCH,
    Field,
    blur,
    canvas_shape,
    develop,
    emboss,
    grade,
    photograph,
    sample,
    turn_hue,
)

_SOURCE = "flower"
_CLASSES = 3  # dots whose grid cells are three apart never overlap: drawn in one go


def _motif() -> Field:
    """Return what the dots show, (H, W, 3): the dahlia, crisp, before a pinwheel of colour.

    The pinwheel stands for the one in Signac's "Opus 217" (1890).
    """
    photo = photograph(_SOURCE)
    shape = (photo.shape[0], photo.shape[1])
    crisp = (photo + 1.8 * (photo - blur(photo, 5)) + 0.6 * (photo - blur(photo, 1.5))).clip(0, 1)
    flower = grade(crisp, 1.25, 1.1)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / max(shape)
    dy, dx = y - 0.345, x - 0.485
    distance = np.hypot(dy, dx)
    turn = np.arctan2(dy, dx) / (2 * np.pi) + 0.55 * distance
    palette = np.array(
        [
            [0.04, 0.22, 0.52],
            [0.07, 0.52, 0.55],
            [0.30, 0.20, 0.58],
            [0.10, 0.42, 0.26],
            [0.18, 0.45, 0.78],
            [0.52, 0.26, 0.55],
            [0.05, 0.34, 0.42],
        ],
        dtype=np.float32,
    )
    sector = (turn % 1) * 7
    colours = palette[sector.astype(np.intp)]
    bands = 0.5 + 0.5 * np.sin(2 * np.pi * (sector * 3 + 9 * distance))
    shade = 0.6 + 0.75 * bands * (sector % 1) + 0.5 * np.exp(-((distance - 0.24) ** 2) / 0.003)
    warm = blur(photo[..., 0] - photo[..., 2], 1.5)
    inside = (1 / (1 + np.exp((0.10 - warm) * 40)))[..., None]
    return np.asarray(inside * flower + (1 - inside) * colours * shade[..., None], np.float32)


def _palette_jitter(rng: np.random.Generator, colours: Field, accent: float) -> Field:
    """Return dot colours (n, 3): purer, hues scattered, some replaced by their complement.

    Args:
        rng: source of the scatter.
        colours: what the photograph shows, (n, 3).
        accent: share of complementary dots.
    """
    count = len(colours)
    strong = grade(colours, 1.3, 1.05)
    angle = rng.normal(0, 0.26, count)
    angle += np.where(rng.random(count) < accent, np.pi * rng.choice([-0.6, 0.6], count), 0)
    shifted = turn_hue(strong, angle)
    light = rng.normal(0.03, 0.055, (count, 1))
    return np.asarray((shifted + light).clip(0.02, 1), dtype=np.float32)


def _draw(
    canvas: Field,
    relief: Field,
    centres: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    colours: Field,
    pad: int,
) -> None:
    """Draw dots that do not overlap: centres (n, 2) and radii in px of the padded canvas."""
    reach = int(np.ceil(radii.max())) + 1
    offsets = np.arange(-reach, reach + 1)
    corner = np.floor(centres).astype(np.intp) + pad
    rows = (corner[:, 0, None] + offsets)[:, :, None]
    columns = (corner[:, 1, None] + offsets)[:, None, :]
    dy = rows + 0.5 - pad - centres[:, 0, None, None]
    dx = columns + 0.5 - pad - centres[:, 1, None, None]
    distance = np.hypot(dy, dx) / radii[:, None, None]
    alpha = ((1 - distance) * radii[:, None, None] + 0.5).clip(0, 1).astype(np.float32)
    dome = np.sqrt((1 - distance**2).clip(0, 1)).astype(np.float32)
    paint = colours[:, None, None, :] * (0.9 + 0.16 * dome[..., None])
    under = canvas[rows, columns]
    canvas[rows, columns] = under + alpha[..., None] * (paint - under)
    height = relief[rows, columns]
    relief[rows, columns] = height + alpha * (dome * radii[:, None, None] - height)


def pointillism(size: int) -> Picture:
    """Paint the dahlia in dots of three sizes, of purer colours than it has.

    The divisionist method of Seurat and Signac in the way of P. Haeberli, "Paint by numbers:
    abstract image representations", SIGGRAPH 1990: brush marks at scattered positions take the
    colour found there; hues are scattered, with complementary colours among them, for the eye
    to mix.
    """
    rng = np.random.default_rng(1886)
    photo = _motif()
    shape = canvas_shape(_SOURCE, max(size, MIN_CANVAS))
    long_side = max(shape)
    pad = int(np.ceil(8 / SKETCH * long_side)) + 2
    canvas = np.full((shape[0] + 2 * pad, shape[1] + 2 * pad, 3), (0.16, 0.13, 0.30), np.float32)
    relief = np.zeros(canvas.shape[:2], dtype=np.float32)
    for cell, fill, accent in ((8.0, 0.80, 0.06), (5.8, 0.60, 0.16), (4.4, 0.55, 0.08)):
        soft = blur(photo, cell / 3)
        rows, columns = np.mgrid[: photo.shape[0] / cell, : photo.shape[1] / cell]
        cells = np.stack([rows.ravel(), columns.ravel()], 1)
        jitter = rng.uniform(0.08, 0.92, cells.shape)
        centres = (cells + jitter) * cell / SKETCH
        radii = rng.uniform(0.75, 1.15, len(cells)) * fill * cell / SKETCH
        colours = _palette_jitter(rng, sample(soft, centres), accent)
        inside = (centres * long_side < shape).all(1) & (rng.random(len(cells)) > 0.12)
        kind = (cells % _CLASSES).astype(int) @ (_CLASSES, 1)
        for index in rng.permutation(_CLASSES**2):
            chosen = (kind == index) & inside
            _draw(
                canvas,
                relief,
                centres[chosen] * long_side,
                radii[chosen] * long_side,
                colours[chosen],
                pad,
            )
    inner = np.s_[pad:-pad, pad:-pad]
    light = emboss(relief[inner] / long_side * 0.5, 0.22)
    return develop(canvas[inner] * light[..., None], canvas_shape(_SOURCE, size))
