"""The painted style made of carved lines: woodcut."""

import numpy as np
from PIL import Image, ImageDraw

from stylebench.images.decode import Picture
from stylebench.images.painted.canvas import (
    MIN_CANVAS,
    Field,
    blur,
    canvas_shape,
    develop,
    luma,
    noise,
    photograph,
    tangent,
    tensor,
    zoom,
)

_SOURCE = "chelsea"
_BLOCK = 640  # long side in px of the carved block, whatever the size of the print
_INK = (0.07, 0.08, 0.16)
_PAPER = (0.95, 0.89, 0.75)
_OCHRE = (0.87, 0.58, 0.20)
_RUST = (0.72, 0.25, 0.13)
_INDIGO = (0.15, 0.32, 0.53)
_JADE = (0.66, 0.73, 0.38)


_OUTLINE = (
    (0.09, -0.01), (0.08, 0.12), (0.07, 0.26), (0.035, 0.33), (0.045, 0.43), (0.08, 0.52),
    (0.15, 0.61), (0.24, 0.68), (0.71, 0.68), (0.74, 0.60), (0.75, 0.53), (0.79, 0.46),
    (0.808, 0.40), (0.80, 0.28), (0.79, 0.19), (0.83, 0.12), (0.865, 0.02), (0.86, -0.01),
)  # fmt: skip


def _smooth_step(field: Field, edge: float, width: float) -> Field:
    ramp = ((field - edge) / width + 0.5).clip(0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), dtype=np.float32)


def _follow(field: Field, angle: Field, steps: int) -> Field:
    """Return the line integral convolution of `field` (H, W) along `angle`, `steps` px each way."""
    from scipy.ndimage import map_coordinates

    cos, sin = np.cos(angle), np.sin(angle)
    home = np.mgrid[: field.shape[0], : field.shape[1]].astype(np.float32)
    total = field.copy()
    for sign in (1.0, -1.0):
        position = home.copy()
        heading = np.stack([sin, cos]) * sign
        for _ in range(steps):
            position += heading
            rows = position[0].astype(np.intp).clip(0, field.shape[0] - 1)
            columns = position[1].astype(np.intp).clip(0, field.shape[1] - 1)
            ahead = np.stack([sin[rows, columns], cos[rows, columns]])
            turn = np.where((ahead * heading).sum(0) < 0, -1, 1)
            heading = (ahead * turn).astype(np.float32)
            total += map_coordinates(field, position, order=1, mode="nearest")
    return np.asarray(total / (2 * steps + 1))


def _shifted(field: Field, down: int, right: int) -> Field:
    """Return a field (H, W) moved by a few px, its border repeated."""
    rows = (np.arange(field.shape[0]) - down).clip(0, field.shape[0] - 1)
    columns = (np.arange(field.shape[1]) - right).clip(0, field.shape[1] - 1)
    return np.asarray(field[rows[:, None], columns])


def _cat(shape: tuple[int, int]) -> Field:
    """Return the mask (H, W) of the cat's head, 0 or 1, from a hand-drawn outline."""
    image = Image.new("L", (shape[1], shape[0]))
    scale = max(shape)
    ImageDraw.Draw(image).polygon([(x * scale, y * scale) for x, y in _OUTLINE], fill=255)
    return np.asarray(image, dtype=np.float32) / 255


def _waves(shape: tuple[int, int]) -> Field:
    """Return the angle of the lines behind the cat, in radians: wind around two curls."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / max(shape)
    flow = np.exp(0.35j * np.sin(11 * x + 5 * y))
    for cy, cx, radius in ((0.17, 0.93, 0.13), (0.52, 0.90, 0.15), (0.12, 0.02, 0.12)):
        dy, dx = y - cy, x - cx
        weight = 5 * np.exp(-(dx**2 + dy**2) / radius**2)
        flow += weight * np.exp(1j * (np.arctan2(dy, dx) + np.pi / 2 + 0.25))
    return np.asarray(np.angle(flow), dtype=np.float32)


def _carve(rng: np.random.Generator, grey: Field, cat: Field) -> tuple[Field, Field, Field]:
    """Return the lines (mean 0, deviation 1), the brightness and the outlines, each (H, W)."""
    block = (grey.shape[0], grey.shape[1])
    waves = _waves(block)
    jxx, jxy, jyy = tensor(grey, 5.0)
    jxx = jxx * cat + (1 - cat) * np.sin(waves) ** 2
    jxy = jxy * cat - (1 - cat) * np.sin(waves) * np.cos(waves)
    jyy = jyy * cat + (1 - cat) * np.cos(waves) ** 2
    angle = tangent(jxx, jxy, jyy)
    band = noise(rng, block, 1.0) - noise(rng, block, 2.2)
    lines = _follow(band, angle, 16)
    detail = blur(grey, 1.2)
    local = detail - blur(grey, 40)
    tone = cat * (0.55 * detail + 0.9 * local + 0.23) + (1 - cat) * (0.15 + 0.7 * blur(grey, 9.0))
    outline = cat * _follow(detail - 0.985 * blur(grey, 3.0), angle, 4)
    return (lines - lines.mean()) / lines.std(), tone, outline


def woodcut(size: int) -> Picture:
    """Print the cat from carved lines and four colour blocks, in the way of ukiyo-e.

    Lines: white noise smeared along the edges (B. Cabral and L. Leedom, "Imaging vector fields
    using line integral convolution", SIGGRAPH 1993) over the smoothed structure tensor (J. E.
    Kyprianidis and H. Kang, "Image and video abstraction by coherence-enhancing filtering",
    Eurographics 2011), cut at the photograph's brightness; outlines: the difference of Gaussians
    of H. Winnemöller, "XDoG", NPAR 2011. The blocks are printed a little out of register and
    show the grain of the wood.
    """
    rng = np.random.default_rng(1831)
    photo = photograph(_SOURCE, _BLOCK)
    shape = canvas_shape(_SOURCE, max(size, MIN_CANVAS))
    cat = blur(_cat((photo.shape[0], photo.shape[1])), 2.0)
    lines, tone, outline = (zoom(field, shape) for field in _carve(rng, luma(photo), cat))
    soft = zoom(blur(luma(photo), 4.0), shape)
    ink = _smooth_step(lines * 0.17 - (tone - 0.42), 0.0, 0.10)
    ink = np.maximum(ink, _smooth_step(-outline, 0.004, 0.012))
    wood = zoom(noise(rng, (300, 14), 0.8), shape)
    shift = (-round(0.003 * shape[1]), round(0.004 * shape[1]))  # out of register
    print_ = np.ones((*shape, 3), np.float32) * _PAPER
    warm = zoom(blur(photo[..., 0] - photo[..., 2], 3.0), shape)
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    left = 1 - np.hypot((y - 0.245) / 0.060, (x - 0.377) / 0.062)
    right = 1 - np.hypot((y - 0.293) / 0.052, (x - 0.706) / 0.036)
    eyes = _smooth_step(np.maximum(left, right), 0.0, 0.2)
    night = (1 - zoom(cat, shape)) * (1.04 - 0.7 * y * (0.6 + 0.4 * np.cos(9 * x)))  # bokashi
    for tint, mask in (
        (_OCHRE, _smooth_step(warm, 0.24, 0.03)),
        (_RUST, _smooth_step(warm - 0.6 * soft, 0.02, 0.03)),
        (_INDIGO, night),
        (_JADE, eyes),
    ):
        mask = _shifted(mask, *shift)
        cover = mask * (0.86 + 0.10 * wood.clip(-1.4, 1))
        print_ += cover[..., None] * (np.array(tint) - print_)
    print_ += (0.96 * ink)[..., None] * (np.array(_INK) - print_)
    return develop(print_, canvas_shape(_SOURCE, size))
