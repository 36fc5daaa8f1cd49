"""Colours of other colour spaces into sRGB, by ICC profiles and littlecms."""

import io
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Chromaticities = tuple[tuple[float, float], ...]
"""x and y of red, green, blue and white."""

D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
BT709 = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50)

_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(
    [(0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)]
)


MOST_STEPS = 4096
"""Of a curve: littlecms takes no 65,536, which TIFF has for 16 bits."""


@dataclass(frozen=True)
class Curve:
    """From a channel's value x in [0, 1] to light: (a x + b)^gamma, below d it is c x.

    `table` takes the place of all of them: the light at equal steps of x, from 0 to 65535.
    """

    gamma: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    table: tuple[int, ...] = ()

    def tag(self) -> bytes:
        """Return it as an ICC profile has it (ICC.1:2022, 10.6 and 10.18)."""
        if self.table:
            count = min(len(self.table), MOST_STEPS)
            stride = (len(self.table) - 1) / max(count - 1, 1)
            table = (self.table[round(step * stride)] for step in range(count))
            return b"curv" + struct.pack(f">II{count}H", 0, count, *table)
        numbers = (self.gamma, self.a, self.b, self.c, self.d)
        return b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(*numbers)


SRGB = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1."""
BT709_CURVE = Curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
"""The inverse of the camera's curve in ITU-R BT.709."""


class MismatchError(ValueError):
    """A profile is not of pictures of this kind, or no profile at all; the text says which."""


def _fixed(*numbers: float) -> bytes:
    """Return numbers as ICC's s15Fixed16; struct.error for those that it cannot hold."""
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _xyz(xy: tuple[float, float]) -> npt.NDArray[np.float64]:
    x, y = xy
    return np.array((x, y, 1 - x - y)) / y


def profile(primaries: Chromaticities, curves: tuple[Curve, ...]) -> bytes:
    """Return the ICC profile of an RGB space.

    Args:
        primaries: of red, green, blue and white.
        curves: of red, green and blue, or one for all.

    Raises:
        ValueError: there is no such space, as where its primaries lie on a line.
    """
    with np.errstate(all="ignore"):
        try:
            red, green, blue, white = (_xyz(xy) for xy in primaries)
            matrix = np.stack((red, green, blue), axis=1)
            matrix = matrix * np.linalg.solve(matrix, white)
            scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
            columns = (np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ matrix).T
            bodies = [b"XYZ " + struct.pack(">I", 0) + _fixed(*xyz) for xyz in (*columns, _D50)]
            bodies += [curve.tag() for curve in (curves * 3)[:3]]
        except (ArithmeticError, OverflowError, struct.error, np.linalg.LinAlgError) as error:
            raise ValueError(f"no colour space has these primaries and curves: {error}") from None
    offset, entries, data = 128 + 4 + 12 * len(bodies), b"", b""
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"rTRC", b"gTRC", b"bTRC")
    for name, body in zip(names, bodies, strict=True):
        entries += name + struct.pack(">II", offset + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    form = ">I4xI4s4s4s12x4s28x"
    header = struct.pack(form, offset + len(data), 4 << 24, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header = (header + _fixed(*_D50)).ljust(128, b"\0")
    return header + struct.pack(">I", len(bodies)) + entries + data


_SRGB = profile(BT709, (SRGB,))


def _mode(mode: str) -> str:
    """Return the mode of the colours of pictures of `mode`, without palette or transparency."""
    if mode in ("CMYK", "LAB"):
        return mode
    return "L" if mode[:1] in ("1", "L", "I", "F") else "RGB"


def _transform(icc: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform, str]:
    """Return what takes pictures into sRGB, and the mode in which it takes them."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = source.profile.xcolor_space.strip()
        kind = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}.get(space, "")
        if kind not in ((mode, "RGB") if mode == "L" else (mode,)):
            raise MismatchError(f"a colour profile for {space or 'unknown'} colours")
        target = ImageCms.ImageCmsProfile(io.BytesIO(_SRGB))
        return ImageCms.buildTransform(source, target, kind, "RGB"), kind
    except (ImageCms.PyCMSError, OSError) as error:
        raise MismatchError("a damaged colour profile") from error


def is_srgb(icc: bytes, mode: str) -> bool:
    """Tell whether a profile moves no colour by more than one of 255 levels.

    Args:
        icc: the profile.
        mode: of the picture, Pillow's.

    Raises:
        MismatchError: the profile is not of pictures in this mode.
    """
    transform, kind = _transform(icc, _mode(mode))
    if kind not in ("RGB", "L"):
        return False
    if kind == "RGB":
        levels = np.arange(0, 256, 15, dtype=np.uint8)
        probe = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    else:
        probe = np.arange(256, dtype=np.uint8)[None]
    found = np.asarray(transform.apply(Image.fromarray(probe))).astype(int)
    return bool(np.abs(found - probe.reshape(1, len(found[0]), -1)).max() <= 1)


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Return a picture in sRGB, of mode RGB or, if it has transparency, RGBA.

    Args:
        image: of any mode; it may be changed.
        icc: the profile of its colours. The intent is perceptual, littlecms's and Pillow's default.

    Raises:
        MismatchError: the profile is not of pictures in this mode.
    """
    transform, kind = _transform(icc, _mode(image.mode))
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    image = image if image.mode == kind else image.convert(kind)
    if kind == "RGB":
        transform.apply_in_place(image)
    else:
        image = transform.apply(image)
    if alpha:
        image.putalpha(alpha)
    return image
