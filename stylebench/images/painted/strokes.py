"""The painted style made of brush strokes: brush."""

import numpy as np
import numpy.typing as npt

from stylebench.images.decode import Picture
from stylebench.images.painted.canvas import (
    SKETCH,
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
    tensor,
)

Points = npt.NDArray[np.float64]


_KNOTS = np.linspace(-1, 1, 11)  # where, across a brush, the bristles differ


def _vortices(shape: tuple[int, int]) -> tuple[Field, Field, Field]:
    """Return the swirls of the sky: the direction's cos and sin, and a phase for colour bands."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(shape)
    flow_x, flow_y = np.ones(shape, np.float32), 0.35 * np.sin(9 * x + 2)
    phase = 40 * (y + 0.03 * np.sin(9 * x + 2))
    for cy, cx, radius, turn in (
        (0.16, 0.74, 0.17, 1),
        (0.10, 0.13, 0.13, -1),
        (0.40, 0.86, 0.12, -1),
        (0.30, 0.50, 0.10, 1),
        (0.42, 0.08, 0.12, 1),
    ):
        dy, dx = y - cy, x - cx
        distance = np.hypot(dy, dx) + 1e-6
        weight = np.exp(-((distance / radius) ** 2) * 1.2)
        spiral = 0.25
        flow_x += 6 * weight * (-turn * dy / distance + spiral * dx / distance)
        flow_y += 6 * weight * (turn * dx / distance + spiral * dy / distance)
        phase = phase * (1 - weight) + weight * (85 * distance + 2 * np.arctan2(dy, dx))
    norm = np.hypot(flow_x, flow_y) + 1e-6
    return flow_x / norm, flow_y / norm, phase


def _foliage(photo: Field, rgb: Field) -> Field:
    """Return `rgb` (H, W, 3) with livelier greens where the photograph has trees."""
    grey = luma(photo)
    leaves = photo[..., 1] > photo[..., 0] * 0.93
    leaves[: round(0.45 * len(photo))] = False
    spots = noise(np.random.default_rng(7), (photo.shape[0], photo.shape[1]), 2.2)
    foliage = np.array(
        [[0.02, 0.16, 0.20], [0.05, 0.42, 0.25], [0.55, 0.70, 0.12], [0.98, 0.80, 0.20]]
    )
    value = (3 * (1.3 * grey + 0.05 + 0.17 * spots)).clip(0, 2.999)
    low = value.astype(np.intp)
    green = foliage[low] + (value - low)[..., None] * (foliage[low + 1] - foliage[low])
    cover = blur(leaves.astype(np.float32), 2.0)[..., None] * 0.75
    return np.asarray(rgb * (1 - cover) + cover * green)


def _underpainting() -> tuple[Field, Field, Field]:
    """Return what the brush paints: colours (H, W, 3), and its direction's cos and sin (H, W)."""
    photo = photograph("china")
    shape = photo.shape[:2]
    rgb = grade(photo, 2.2, 1.15)
    cos, sin, phase = _vortices((shape[0], shape[1]))
    jxx, jxy, jyy = tensor(luma(photo), 2.5)
    rgb = _foliage(photo, rgb)
    pale = blur(luma(photo) - 1.2 * (photo.max(2) - photo.min(2)), 0.7)
    calm = (1 / (1 + np.exp((0.42 - pale) * 25))).astype(np.float32)  # sky and lake, not pagoda
    bands = np.array(
        [[0.05, 0.13, 0.42], [0.10, 0.33, 0.70], [0.35, 0.66, 0.86], [0.97, 0.86, 0.42]],
        dtype=np.float32,
    )
    wave = (0.5 + 0.5 * np.sin(phase)) ** 1.3 * 3
    low = np.floor(wave).clip(0, 2).astype(np.intp)
    part = (wave - low)[..., None]
    swirl = bands[low] * (1 - part) + bands[low + 1] * part
    rgb = rgb * (1 - 0.95 * calm[..., None]) + 0.95 * calm[..., None] * swirl
    weight = 0.02 * calm + 1e-4
    double = np.arctan2(
        -2 * jxy + weight**2 * 2 * cos * sin, -(jxx - jyy) + weight**2 * (cos**2 - sin**2)
    )
    angle = 0.5 * double
    flip = np.where(np.cos(angle) * cos + np.sin(angle) * sin < 0, -1, 1)
    return rgb.astype(np.float32), flip * np.cos(angle), flip * np.sin(angle)


def _layer(
    rng: np.random.Generator, target: Field, before: Field | None, cos: Field, sin: Field, r: float
) -> tuple[Points, Field]:
    """Return one layer's strokes: spines (n, k, 2) and colours (n, 3). `r` in sketch px."""
    height, width = target.shape[:2]
    step = max(3, round(r * 0.95))
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    starts = np.stack([rows.ravel(), columns.ravel()], 1) * 1.0
    starts += rng.uniform(-0.5, 0.5, starts.shape) * step
    if before is not None:
        error = blur(np.abs(target - before).sum(2), step / 2)
        starts = starts[sample(error, starts / SKETCH) > 0.08]
    colours = sample(target, starts / SKETCH)
    spine = [starts]
    direction = np.where(rng.random(len(starts)) < 0.5, -1.0, 1.0)[:, None] * np.ones(2)
    alive = np.ones(len(starts), dtype=bool)
    for count in range(5):
        here = spine[-1]
        ahead = np.stack([sample(sin, here / SKETCH), sample(cos, here / SKETCH)], 1)
        if count == 0:
            ahead = ahead * direction
        else:
            along = (ahead * direction).sum(1, keepdims=True)
            ahead = np.where(along < 0, -ahead, ahead) * 0.7 + 0.3 * direction
        direction = ahead / (np.linalg.norm(ahead, axis=1, keepdims=True) + 1e-9)
        if count >= 1:
            drift = np.abs(sample(target, here / SKETCH) - colours).sum(1)
            alive &= drift < 0.38
        spine.append(here + np.where(alive[:, None], direction * r * 1.35, 0))
    return np.stack(spine, 1) / SKETCH, colours


def _stroke(
    canvas: Field, relief: Field, spine: Points, radius: float, colour: Field, hairs: Field
) -> None:
    """Draw one stroke onto `canvas` (H, W, 3) and `relief` (H, W).

    Args:
        canvas: the painting so far.
        relief: the height of the paint so far, in units of a bristle's mark.
        spine: points (k, 2) in px.
        radius: half the width of the brush in px.
        colour: (3,).
        hairs: how much paint each part of the brush holds at the stroke's two ends, (2, 11).
    """
    steps = np.diff(spine, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    top, left = np.maximum(np.floor(spine.min(0) - radius - 1).astype(int), 0)
    bottom, right = np.minimum(np.ceil(spine.max(0) + radius + 2).astype(int), relief.shape)
    if top >= bottom or left >= right:
        return
    segments = np.concatenate([spine[:-1], steps / (lengths[:, None] + 1e-9)], 1)
    y0, x0, dy, dx = segments.astype(np.float32).T[..., None, None]  # each (k - 1, 1, 1)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - y0
    x = np.arange(left, right, dtype=np.float32) - x0
    ends = lengths.astype(np.float32)[:, None, None]
    along = np.minimum(np.maximum(y * dy + x * dx, 0), ends)
    distance = (y - along * dy) ** 2 + (x - along * dx) ** 2
    best = distance.argmin(0)[None]
    gap = np.sqrt(distance.min(0))
    side = np.take_along_axis(y * dx - x * dy, best, 0)[0]
    u = np.take_along_axis(along + ends.cumsum(0) - ends, best, 0)[0] / lengths.sum()
    v = np.copysign(gap, side) / radius
    first, last = (np.interp(v, _KNOTS, ends) for ends in hairs)
    bristles = first + u * (last - first)
    alpha = (radius * (1 - 0.25 * bristles) - gap + 0.5).clip(0, 1)
    alpha *= (1 - 2.5 * (u - 0.55 - 0.6 * bristles).clip(0, 1)).clip(0, 1)
    here = np.s_[top:bottom, left:right]
    cover = alpha[..., None].astype(np.float32)
    paint = colour * (0.82 + 0.36 * bristles[..., None])
    canvas[here] += cover * (paint - canvas[here])
    ridge = bristles + 0.5 * np.abs(v).clip(0, 1) ** 3
    relief[here] += alpha * (ridge - relief[here])


def brush(size: int) -> Picture:
    """Paint the pagoda in layers of curved strokes, from a wide brush to a fine one.

    After A. Hertzmann, "Painterly rendering with curved brush strokes of multiple sizes",
    SIGGRAPH 1998: a layer a brush size, strokes where the layer differs from what was painted
    before, spines along the edges. The difference is taken between the blurred references, not
    from the canvas, so that the layout does not depend on the size. Where the photograph is calm,
    strokes follow swirls. Bristles leave a relief that is lit, after A. Hertzmann, "Fast paint
    texture", NPAR 2002.
    """
    rng = np.random.default_rng(1998)
    rgb, cos, sin = _underpainting()
    shape = canvas_shape("china", max(size, 400))
    long_side = max(shape)
    canvas = np.full((*shape, 3), (0.10, 0.16, 0.30), dtype=np.float32)
    relief = np.zeros(shape, dtype=np.float32)
    before = None
    for r in (11.0, 6.5, 4.0, 2.5):
        target = blur(rgb, 0.5 * r)
        spines, colours = _layer(rng, target, before, cos, sin, r)
        jitter = rng.normal(0, 0.05, (len(colours), 1)) + rng.normal(0, 0.035, colours.shape)
        colours = (colours + jitter).clip(0, 1).astype(np.float32)
        hairs = rng.random((len(spines), 2, len(_KNOTS)))
        radius = r / SKETCH * long_side
        for i in rng.permutation(len(spines)):
            _stroke(canvas, relief, spines[i] * long_side, radius, colours[i], hairs[i])
        before = target
    light = emboss(relief * 0.004, 0.30)
    return develop(canvas * light[..., None], canvas_shape("china", size))
