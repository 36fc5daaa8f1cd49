"""The painted style made of panes: stained glass."""

import numpy as np
import numpy.typing as npt

from stylebench.images.decode import Picture
from stylebench.images.painted.canvas import (
    MIN_CANVAS,
    Field,
    blur,
    canvas_shape,
    develop,
    grade,
    luma,
    nearest_colour,
    noise,
    photograph,
    zoom,
)

_SOURCE = "astronaut"
_CARTOON = 512  # long side in px of the drawing that the panes are cut from
_HEAD = (0.262, 0.436)  # centre of the face, (y, x) in units of the long side
_LEAD = (0.05, 0.05, 0.06)
_JEWELS = (
    (0.86, 0.07, 0.10),
    (0.98, 0.42, 0.05),
    (1.00, 0.78, 0.12),
    (0.10, 0.62, 0.28),
    (0.05, 0.50, 0.62),
    (0.06, 0.18, 0.72),
    (0.42, 0.12, 0.62),
    (0.96, 0.90, 0.74),
)
_NIGHT = ((0.05, 0.14, 0.50), (0.28, 0.08, 0.46), (0.02, 0.34, 0.42), (0.05, 0.20, 0.62))
_SKY = ((0.16, 0.46, 0.90), (0.50, 0.78, 0.96), (0.10, 0.62, 0.72), (0.24, 0.34, 0.84))
_GOLD = ((1.00, 0.80, 0.20), (1.00, 0.66, 0.10), (0.98, 0.88, 0.42))
_PALE = ((0.94, 0.62, 0.60), (0.66, 0.86, 0.80), (0.98, 0.86, 0.56), (0.90, 0.88, 0.84))
_BROWN = (0.26, 0.10, 0.05)
_SKIN = (0.98, 0.76, 0.54)


def _cut(photo: Field) -> npt.NDArray[np.intp]:
    """Return the pane (H, W) that each pixel of the cartoon lies in; the face is the last one."""
    from skimage.segmentation import slic

    panes = slic(blur(photo, 1.5), n_segments=200, compactness=14, sigma=2, start_label=0)
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]] / _CARTOON
    panes[np.hypot((y - _HEAD[0]) / 0.098, (x - _HEAD[1]) / 0.076) < 1] = panes.max() + 1
    return np.unique(panes, return_inverse=True)[1].reshape(panes.shape)


def _stain(rng: np.random.Generator, photo: Field, panes: npt.NDArray[np.intp]) -> Field:
    """Return the colour of every pane, (n, 3)."""
    count = panes.max() + 1
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]] / _CARTOON
    area = np.bincount(panes.ravel())

    def mean(values: Field) -> Field:
        return np.asarray(np.bincount(panes.ravel(), values.ravel(), count) / area, np.float32)

    colour = np.stack([mean(channel) for channel in np.moveaxis(photo, -1, 0)], 1)
    chroma = colour.max(1) - colour.min(1)
    bright = luma(colour)
    pure = colour / (colour.max(1, keepdims=True) + 1e-3)
    jewel = np.array(_JEWELS, np.float32)[nearest_colour(pure, _JEWELS)]
    glass = jewel * (0.62 + 0.6 * bright)[:, None] + 0.25 * (colour - jewel)
    distance = np.hypot(mean(y) - _HEAD[0], mean(x) - _HEAD[1])
    pick = rng.integers(0, 12, count)
    dark = (bright < 0.22) & (chroma < 0.25)
    glass[dark] = np.array(_NIGHT, np.float32)[pick[dark] % 4]
    pale = ~dark & (chroma < 0.2)
    glass[pale] = np.array(_PALE, np.float32)[pick[pale] % 4] * (0.7 + 0.35 * bright[pale, None])
    sky = (bright > 0.55) & (chroma < 0.25) & (mean(y) < 0.62)
    ring = (distance * 14).astype(np.intp) + pick // 6
    glass[sky] = np.array(_SKY, np.float32)[ring[sky] % 4]
    halo = sky & (distance < 0.27)
    glass[halo] = np.array(_GOLD, np.float32)[pick[halo] % 3]
    glass += rng.normal(0, 0.05, (count, 1)) + rng.normal(0, 0.03, (count, 3))
    glass[-1] = _SKIN
    return np.asarray(glass)


def stained_glass(size: int) -> Picture:
    """Set the astronaut in panes of jewel-coloured glass between leads.

    After D. Mould, "A stained glass image filter", Eurographics Workshop on Rendering 2003:
    regions, colours of heraldic glass, leads; the regions are superpixels (R. Achanta et al.,
    "SLIC superpixels", PAMI 2012). Brown paint gives the drawing on the glass, as in windows.
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.segmentation import find_boundaries

    rng = np.random.default_rng(1144)
    photo = photograph(_SOURCE, _CARTOON)
    panes = _cut(grade(photo, 1.6, 1.15))
    glass = _stain(rng, grade(photo, 1.6, 1.15), panes)
    far = blur(np.asarray(distance_transform_edt(~find_boundaries(panes)), np.float32), 1.6)
    shape = canvas_shape(_SOURCE, max(size, MIN_CANVAS))
    far = zoom(far, shape) / _CARTOON
    y, x = (np.mgrid[: shape[0], : shape[1]] * _CARTOON / max(shape)).astype(np.intp)
    owner = panes[y.clip(0, panes.shape[0] - 1), x.clip(0, panes.shape[1] - 1)]
    grey = luma(photo)
    paint = zoom(blur(grey, 0.8) - blur(grey, 14), shape)
    face = (owner == len(glass) - 1).astype(np.float32)
    washes = sum(((-paint - cut) * 40).clip(0, 1) for cut in (0.015, 0.06, 0.12)) / 3
    brown = (washes * (0.30 + 0.55 * face))[..., None]
    streak = zoom(noise(rng, photo.shape[:2], 6.0), shape)
    ripple = zoom(noise(rng, photo.shape[:2], 1.6), shape)
    light = 0.80 + 0.38 * (1 - np.exp(-far * 90)) + 0.10 * streak + 0.06 * ripple
    light += (1 - face) * 0.6 * paint.clip(0, 0.4)
    stain = glass[owner].clip(0, 1)
    rgb = (stain + brown * (np.array(_BROWN) - stain)) * light[..., None]
    lead = (1 - (far - 0.0040) * max(shape) / 1.5).clip(0, 1)[..., None]
    shine = np.exp(-((far / 0.0022) ** 2))[..., None] * 0.22
    return develop(
        np.asarray(rgb * (1 - lead) + lead * (np.array(_LEAD) + shine), np.float32),
        canvas_shape(_SOURCE, size),
    )
