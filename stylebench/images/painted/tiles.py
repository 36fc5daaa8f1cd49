"""The painted style made of tiles: mosaic."""

import numpy as np
import numpy.typing as npt

from stylebench.images.decode import Picture
from stylebench.images.painted.canvas import (
    MIN_CANVAS,
    Field,
    blur,
    canvas_shape,
    develop,
    emboss,
    grade,
    luma,
    noise,
    photograph,
    sample,
    zoom,
)

_TILES = 1700
_ROUNDS = 14  # of Lloyd's algorithm


def _floor() -> Field:
    """Return what the mosaic shows, (H, W, 3): the cup, in rings of sea colours for a table."""
    photo = grade(photograph("coffee") ** 0.72, 1.3, 1.15)
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32) / max(photo.shape)
    saucer = np.hypot((y - 0.402) / 0.245, (x - 0.464) / 0.345)
    cup = np.hypot((y - 0.19) / 0.168, (x - 0.488) / 0.203)
    outside = np.minimum((saucer - 1) * 0.29, (cup - 1) * 0.18)
    sea = np.array(
        [[0.93, 0.88, 0.74], [0.10, 0.42, 0.52], [0.05, 0.22, 0.38], [0.36, 0.70, 0.68]],
        dtype=np.float32,
    )
    wave = outside * 24 + 0.2 * np.sin(8 * np.arctan2(y - 0.38, x - 0.47))
    ring = np.array([2, 0, 3, 1, 2, 0, 3, 1, 2, 1, 0, 3, 1, 2, 0, 3])
    table = sea[ring[wave.clip(0, 15).astype(np.intp)]] * (0.55 + 0.6 * luma(photo))[..., None]
    return np.where((outside > 0.004)[..., None], table, photo)


def _directions(rgb: Field) -> Field:
    """Return the angle (H, W) that tiles take: across the nearest strong edge."""
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import canny

    edges = canny(blur(luma(rgb), 1.0), sigma=2.2, low_threshold=0.04, high_threshold=0.10)
    far = blur(np.asarray(distance_transform_edt(~edges), dtype=np.float32), 3.0)
    dy, dx = np.gradient(far)
    return np.asarray(np.arctan2(dy, dx), dtype=np.float32)


def _assign(
    sites: npt.NDArray[np.float64], angles: Field, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], Field, Field]:
    """Return each pixel's tile and its distances to the two nearest, all (H, W).

    The distance is the maximum norm in the tile's own axes, in units of the long side: what is
    nearest to a site is a square, turned as the tile is.
    """
    from scipy.spatial import cKDTree

    scale = 1 / max(shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    pixels = (np.stack([y.ravel(), x.ravel()], 1) + 0.5) * scale
    near = cKDTree(sites).query(pixels, k=7)[1]
    offset = (pixels[:, None] - sites[near]).astype(np.float32)
    cos, sin = np.cos(angles)[near], np.sin(angles)[near]
    across = np.abs(offset[..., 1] * cos + offset[..., 0] * sin)
    along = np.abs(offset[..., 0] * cos - offset[..., 1] * sin)
    distance = np.maximum(across, along)
    order = np.argpartition(distance, 1, axis=1)[:, :2]
    pair = np.take_along_axis(distance, order, 1)
    owner = np.take_along_axis(near, order, 1)
    first = pair.argmin(1)
    index = np.arange(len(first))
    return (
        owner[index, first].reshape(shape),
        pair[index, first].reshape(shape),
        pair[index, 1 - first].reshape(shape),
    )


def _settle(rng: np.random.Generator, directions: Field) -> tuple[npt.NDArray[np.float64], Field]:
    """Return the sites (n, 2) and angles (n) of tiles that fill the picture evenly."""
    long_side = max(directions.shape)
    bounds = np.array(directions.shape) / long_side
    sites = rng.random((_TILES, 2)) * bounds
    half = (directions.shape[0] // 2, directions.shape[1] // 2)
    y, x = (np.mgrid[: half[0], : half[1]].reshape(2, -1) + 0.5) / max(half)
    for _ in range(_ROUNDS):
        angles = sample(directions, sites)
        owner = _assign(sites, angles, half)[0].ravel()
        count = np.bincount(owner, minlength=_TILES)
        filled = count > 0
        centre = np.stack([np.bincount(owner, v, _TILES) for v in (y, x)], 1)
        sites[filled] = centre[filled] / count[filled, None]
    return sites, sample(directions, sites)


def mosaic(size: int) -> Picture:
    """Lay the coffee cup in square tiles that follow its edges.

    After A. Hausner, "Simulating decorative mosaics", SIGGRAPH 2001: a centroidal Voronoi diagram
    whose metric turns with the direction to the nearest edge. Tiles take one of a few smalti,
    each a little lighter, darker or tilted.
    """
    rng = np.random.default_rng(2001)
    photo = _floor()
    sites, angles = _settle(rng, _directions(photo))
    shape = canvas_shape("coffee", max(size, MIN_CANVAS))
    owner, first, second = _assign(sites, angles, shape)
    colours = sample(blur(photo, 1.5), sites)
    colours = colours + rng.normal(0, 0.05, (_TILES, 1)) + rng.normal(0, 0.03, (_TILES, 3))
    side = float(np.sqrt(shape[0] * shape[1] / _TILES)) / max(shape)
    inset = np.minimum((second - first) / 2, 0.56 * side - first) - 0.055 * side
    cover = (inset * max(shape) + 0.5).clip(0, 1)[..., None]
    tilt = rng.normal(0, 0.035, (_TILES, 2))
    relief = np.minimum(inset, 0.12 * side).clip(0, None)
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    slope = tilt[owner, 0] * (y - sites[owner, 0]) + tilt[owner, 1] * (x - sites[owner, 1])
    stone = zoom(noise(rng, (512, 512), 1.2), (max(shape), max(shape)))[: shape[0], : shape[1]]
    tiles = colours[owner] * (1 + 9 * slope / side * side / 0.02 * 0.1 + 0.05 * stone)[..., None]
    grout = np.array([0.33, 0.28, 0.24]) * (1 + 0.12 * stone[..., None])
    light = emboss(relief.astype(np.float32), 0.35)[..., None]
    return develop(
        np.asarray((cover * tiles + (1 - cover) * grout) * light, np.float32),
        canvas_shape("coffee", size),
    )
