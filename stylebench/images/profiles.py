"""The colour space that a picture file states, wherever its format keeps it, as an ICC profile."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from stylebench.errors import InputError
from stylebench.images import colour
from stylebench.images.colour import Chromaticities, Curve

_HEAD = 1 << 20
"""So much of a file is searched for what Pillow does not tell."""
_PRIMARIES: dict[int, Chromaticities] = {  # ITU-T H.273, table 2
    1: colour.BT709,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), colour.D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), colour.D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), colour.D65),
    9: colour.BT2020,
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: colour.DISPLAY_P3,
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), colour.D65),
}
_CURVES = {  # ITU-T H.273, table 3
    **dict.fromkeys((1, 6, 14, 15), colour.BT709_CURVE),
    4: Curve(2.2),
    5: Curve(2.8),
    8: Curve(1.0),
    13: colour.SRGB,
}
_HDR = {16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2


def find(image: Image.Image, path: Path | None, shown: Path) -> bytes | None:
    """Return the ICC profile of a picture's colours; None where it states sRGB or nothing.

    Args:
        image: as Pillow opened it.
        path: the file; None if all that is known is what Pillow keeps of it.
        shown: how messages name it.

    Raises:
        InputError: its colours are in a space that cannot be brought to sRGB.
    """
    own = _OF_FORMAT.get(image.format or "")
    try:
        icc = own(image, path) if own and path else _embedded(image)
        icc = _exif(image) if icc is None else icc
        if not icc or colour.is_srgb(icc, image.mode):
            return None
    except ValueError as error:
        raise InputError(
            f"image {str(shown)!r} has {error}; expected one that can be brought to sRGB: convert "
            "it to sRGB and save it again"
        ) from error
    return icc


def _embedded(image: Image.Image) -> bytes | None:
    icc = image.info.get("icc_profile")
    return icc if isinstance(icc, bytes) and icc else None


def _coded(primaries: int, transfer: int) -> bytes:
    """Return the profile of code points of H.273, b"" for those that say nothing."""
    if transfer in _HDR:
        raise ValueError(f"the high dynamic range of {_HDR[transfer]}")
    if {primaries, transfer} <= {0, _UNSPECIFIED}:
        return b""
    try:
        space = _PRIMARIES[1 if primaries == _UNSPECIFIED else primaries]
        curve = _CURVES[13 if transfer == _UNSPECIFIED else transfer]
    except KeyError:
        codes = f"{primaries}, {transfer}"
        raise ValueError(f"a colour space of unknown code points (CICP {codes})") from None
    return colour.profile(space, (curve,))


def _stated(primaries: Chromaticities, curves: tuple[Curve, ...]) -> bytes | None:
    """Return the profile of numbers in a file, None if they are those of no colour space."""
    try:
        return colour.profile(primaries, curves)
    except ValueError:
        return None


def _exif(image: Image.Image) -> bytes | None:
    """Return the profile of Adobe RGB if EXIF says so: DCF's option files, or color space 2."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(0x8769).get(0xA001)
        index = str(exif.get_ifd(0xA005).get(1, ""))
    except Exception:  # a damaged EXIF block does not make the picture unreadable
        return None
    adobe = space == 2 or (space != 1 and index.startswith("R03"))
    return colour.profile(colour.ADOBE, (Curve(563 / 256),)) if adobe else None


def _png(image: Image.Image, path: Path) -> bytes | None:
    """Return what counts first of cICP, iCCP, sRGB, gAMA with cHRM (PNG, third edition, 13.1)."""
    for name, body in _png_chunks(path):
        if name == b"cICP" and len(body) == 4:
            if body[2] or not body[3]:
                raise ValueError("colours of a video (cICP: not RGB of full range)")
            return _coded(body[0], body[1])
    if icc := _embedded(image):
        return icc
    if "srgb" in image.info:
        return b""
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    primaries: Chromaticities = colour.BT709
    if points and len(points) == 8:
        white, *rest = zip(points[::2], points[1::2], strict=True)
        primaries = (*rest, white)
    close = max(abs(a - b) for p, q in zip(primaries, colour.BT709, strict=True)
                for a, b in zip(p, q, strict=True)) < 0.005  # fmt: skip
    if close and (not gamma or abs(gamma * 2.2 - 1) < 0.05):  # libpng takes this for sRGB too
        return None
    return _stated(primaries, (Curve(1 / gamma) if gamma else colour.SRGB,))


def _png_chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the small chunks before the pixels."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND"):
                return
            if length <= 64:
                yield name, file.read(length)
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)


def _tiff(image: Image.Image, path: Path) -> bytes | None:
    """Return the embedded profile, or that of tags 318, 319 and 301 (TIFF 6.0, section 20)."""
    tags: Any = getattr(image, "tag_v2", image.info)  # where `info` may have another page's profile
    icc = tags.get(34675)
    if isinstance(icc, bytes) and icc:
        return icc
    if 319 not in tags:
        return None
    try:
        numbers = [float(number) for number in (*tags[319], *tags.get(318, colour.D65))]
        table = tags.get(301, ())
        parts = 3 if len(table) % 3 == 0 else 1
        step = len(table) // parts
        curves = tuple(Curve(1, table=table[k * step : (k + 1) * step]) for k in range(parts))
    except (TypeError, ValueError, ArithmeticError):
        return None
    primaries = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    return _stated(primaries, curves if table else (Curve(2.2),)) if len(primaries) == 4 else None


def _bmp(image: Image.Image, path: Path) -> bytes | None:
    """Return the profile of a header of version 4 or 5 (BITMAPV5HEADER)."""
    with path.open("rb") as file:
        head = file.read(14 + 124)
        size, kind = struct.unpack_from("<I", head, 14)[0], head[70:74][::-1]
        if size < 108:
            return None
        if size >= 124 and kind == b"MBED":
            start, length = struct.unpack_from("<II", head, 14 + 112)
            file.seek(14 + start)
            return file.read(length)
    if size >= 124 and kind == b"LINK":
        raise ValueError("its colour profile in another file")
    if kind != bytes(4):
        return None
    ends = [number / 2**30 for number in struct.unpack_from("<9i", head, 74)]
    gammas = [number / 65536 for number in struct.unpack_from("<3I", head, 110)]
    points = [ends[0:3], ends[3:6], ends[6:9]]
    points.append([sum(column) for column in zip(*points, strict=True)])
    if not all(gammas) or not all(sum(point) for point in points):
        return None
    primaries = tuple((x / (x + y + z), y / (x + y + z)) for x, y, z in points)
    return _stated(primaries, tuple(map(Curve, gammas)))


def _gif(image: Image.Image, path: Path) -> bytes | None:
    """Return what follows the application extension ICCRGBG1012, in blocks of up to 255 bytes."""
    with path.open("rb") as file:
        data = file.read(_HEAD)
    at = data.find(b"\x21\xff\x0bICCRGBG1012")
    if at < 0:
        return None
    at, icc = at + 14, b""
    while at < len(data) and data[at]:
        icc += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    return icc


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the boxes of an ISO base media file, as far as `data` has them."""
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1 and at + 16 <= len(data):
            length, start = struct.unpack_from(">Q", data, start)[0], at + 16
        end = at + length if length else len(data)
        if end < start:
            return
        yield name, data[start:end]
        at = end


def _within(data: bytes, *names: bytes) -> Iterator[bytes]:
    """Yield the contents of the boxes at this path of names."""
    for name, body in _boxes(data):
        if name == names[0]:
            inner = body[4:] if name == b"meta" else body
            yield from _within(inner, *names[1:]) if names[1:] else [body]


def _heif(image: Image.Image, path: Path) -> bytes | None:
    """Return the embedded profile, or that of the code points (colr, nclx) of AVIF and HEIF."""
    if icc := _embedded(image):
        return icc
    with path.open("rb") as file:
        data = file.read(_HEAD)
    for body in _within(data, b"meta", b"iprp", b"ipco", b"colr"):
        if body[:4] == b"nclx" and len(body) >= 8:
            return _coded(*struct.unpack_from(">HH", body, 4))
    return None


def _jpeg2000(image: Image.Image, path: Path) -> bytes | None:
    """Return the profile of the first colour box (ISO 15444-1, I.5.3), which Pillow passes over."""
    with path.open("rb") as file:
        data = file.read(_HEAD)
    for body in _within(data, b"jp2h", b"colr"):
        if body[:1] in (b"\2", b"\3"):
            return body[3:]
        if body[:1] == b"\1" and len(body) >= 7:
            space = struct.unpack_from(">I", body, 3)[0]
            if space == 21:  # ROMM-RGB of JPX
                return colour.profile(colour.PROPHOTO, (Curve(1.8, c=1 / 16, d=1 / 32),))
            if space not in (12, 16, 17, 18):  # CMYK, sRGB, grey, sYCC
                raise ValueError(f"a colour space of JPEG 2000 that is not known here ({space})")
    return None


_OF_FORMAT: dict[str, Callable[[Image.Image, Path], bytes | None]] = {
    "PNG": _png,
    "TIFF": _tiff,
    "BMP": _bmp,
    "GIF": _gif,
    "AVIF": _heif,
    "HEIF": _heif,
    "JPEG2000": _jpeg2000,
}
