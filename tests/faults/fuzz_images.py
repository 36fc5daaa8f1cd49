"""Hostile pictures: real files of every format and mode, damaged, oversized or none at all."""

import functools
import io
import struct
import zlib
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image

from tests.faults.fuzz_bytes import DAMAGE, Case, dice

SIDE = 60_000
"""Pixels that a huge header claims on either side."""
LARGE = 9_990
"""Side of a picture just within the 100 million pixels that are allowed."""

_Options = dict[str, object]
_MODES: dict[str, tuple[tuple[str, _Options], ...]] = {
    "png": tuple((mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    "jpg": (("L", {}), ("RGB", {}), ("CMYK", {}), ("RGB", {"progressive": True})),
    "gif": (("P", {}), ("L", {}), ("RGB", {"save_all": True})),
    "tif": (
        *((mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")),
        ("RGB", {"compression": "tiff_lzw"}),
        ("RGB", {"compression": "tiff_adobe_deflate"}),
        ("RGB", {"compression": "jpeg"}),
        ("1", {"compression": "group4"}),
    ),
    "webp": (("RGB", {}), ("RGBA", {"lossless": True})),
    "bmp": (("1", {}), ("L", {}), ("P", {}), ("RGB", {})),
}
_SEEDS = tuple((suffix, mode, extra) for suffix, all_ in _MODES.items() for mode, extra in all_)


def _picture(mode: str) -> Image.Image:
    """Return a picture of 48 × 40 px in a mode of Pillow."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    pixels[:20] = 90
    made = Image.fromarray(pixels)
    if mode == "I;16":
        return Image.fromarray(np.asarray(made.convert("L")).astype(np.uint16) * 257)
    return made.convert(mode)


@functools.cache
def seed_file(index: int) -> tuple[str, bytes]:
    """Return (suffix, bytes) of a good picture, with EXIF where the format has it."""
    suffix, mode, extra = _SEEDS[index]
    options = dict(extra)
    if suffix in ("png", "jpg", "webp", "tif"):
        exif = Image.Exif()
        exif[274], exif[315] = 6, "somebody " * 20
        options["exif"] = exif
    if options.get("save_all"):
        options["append_images"] = [_picture("RGB").rotate(90), _picture("RGB").rotate(180)]
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    _picture(mode).save(file, kind, **options)
    return suffix, file.getvalue()


def seed_files() -> list[tuple[str, bytes]]:
    """Return (suffix, bytes) of all good pictures."""
    return [seed_file(index) for index in range(len(_SEEDS))]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _huge_png(data: bytes) -> bytes:
    return data[:8] + _png_chunk(b"IHDR", struct.pack(">II", SIDE, SIDE) + data[24:29]) + data[33:]


def _huge_jpg(data: bytes) -> bytes:
    place = next(data.find(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data)
    return data[: place + 5] + struct.pack(">HH", SIDE, SIDE) + data[place + 9 :]


def _huge_tif(data: bytes) -> bytes:
    """Return a TIFF whose width and height (tags 256 and 257, little endian) are huge."""
    changed = bytearray(data)
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] in (256, 257):
            struct.pack_into("<HII", changed, entry + 2, 4, 1, SIDE)
    return bytes(changed)


def _huge_webp(data: bytes) -> bytes:
    """Return a WebP with a canvas of 60000 × 60000 px (VP8X), or of the most that VP8L has."""
    if data[12:16] == b"VP8X":
        return data[:24] + struct.pack("<I", SIDE - 1)[:3] * 2 + data[30:]
    return data[:21] + b"\xff\xff\xff\x0f" + data[25:]


_HUGE: dict[str, Callable[[bytes], bytes]] = {
    "png": _huge_png,
    "jpg": _huge_jpg,
    "gif": lambda data: data[:6] + struct.pack("<HH", SIDE, SIDE) + data[10:],
    "tif": _huge_tif,
    "webp": _huge_webp,
    "bmp": lambda data: data[:18] + struct.pack("<ii", SIDE, SIDE) + data[26:],
}


def _exif_damaged(data: bytes, random: Random) -> bytes:
    """Return the data with noise where the EXIF block is, or at the end without one."""
    place = max(data.find(b"somebody"), data.find(b"Exif"), data.find(b"eXIf"), 0)
    start = max(place - random.randint(0, 60), 0)
    changed = bytearray(data)
    for index in range(start, min(start + random.randint(1, 40), len(data))):
        changed[index] = random.randrange(256)
    return bytes(changed)


@functools.cache
def large(mode: str) -> bytes:
    """Return a PNG of few bytes with nearly as many pixels as are allowed."""
    file = io.BytesIO()
    kind = "I;16" if mode == "I;16" else mode
    Image.new(kind, (LARGE, LARGE)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _text(random: Random) -> bytes:
    return random.choice(
        [b"", b"I am no picture\n" * 50, bytes(1000), b"<svg onload=alert(1)/>",
         b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"II*\0", b"RIFF\0\0\0\0WEBP", b"BM",
         b"%!PS\n(canary) (w) file", b"#!/bin/sh\ntouch canary\n"]
    )  # fmt: skip


def make(seed: int, number: int) -> Case:
    """Return hostile picture `number`."""
    random = dice("images", seed, number)
    index = random.randrange(len(_SEEDS))
    suffix, data = seed_file(index)
    what = f"{suffix} {_SEEDS[index][1]}"
    roll = random.random()
    if roll < 0.015:
        mode = random.choice(["1", "L", "P", "RGB", "RGBA", "I;16"])
        return Case("images", number, "x.png", large(mode), f"png {mode} of {LARGE}² px")
    if roll < 0.06:
        return Case("images", number, f"x.{suffix}", data, f"{what} undamaged")
    if roll < 0.12:
        return Case("images", number, f"x.{suffix}", _text(random), f"no picture named .{suffix}")
    if roll < 0.17:
        other = random.choice(list(_MODES))
        return Case("images", number, f"x.{other}", data, f"{what} named .{other}")
    if roll < 0.27:
        return Case("images", number, f"x.{suffix}", _HUGE[suffix](data), f"{what} huge header")
    if roll < 0.37:
        return Case("images", number, f"x.{suffix}", _exif_damaged(data, random), f"{what} exif")
    damage = random.choice(DAMAGE)
    return Case("images", number, f"x.{suffix}", damage(data, random), f"{what} {damage.__name__}")
