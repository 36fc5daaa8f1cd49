"""Picture files written byte by byte, and ICC profiles, for the tests of reading."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

SIDE = 32


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack(values: np.ndarray, bits: int) -> bytes:
    """Return rows of samples, most significant bit first, each row from a new byte on."""
    rows = values.reshape(len(values), -1, 1).astype(int)
    return np.packbits((rows >> np.arange(bits)[::-1] & 1).reshape(len(values), -1), 1).tobytes()


def write_png(path: Path, values: np.ndarray, bits: int, *chunks: bytes) -> None:
    """Write grey (H, W) or RGB (H, W, 3) samples of `bits`, with more chunks before the pixels."""
    rows = pack(values, bits)
    step = len(rows) // len(values)
    lines = b"".join(b"\0" + rows[i : i + step] for i in range(0, len(rows), step))
    colour = 0 if values.ndim == 2 else 2
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(lines))]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))


def write_tiff(
    path: Path, values: np.ndarray, bits: int, photometric: int, **tags: tuple[int, int, bytes]
) -> None:
    """Write samples of `bits` as a little-endian TIFF; more tags as (number, type, content)."""
    samples = 1 if values.ndim == 2 else values.shape[2]
    data = pack(values, bits)
    short = {256: [values.shape[1]], 257: [len(values)], 258: [bits] * samples, 259: [1]}
    short |= {262: [photometric], 277: [samples], 278: [len(values)]}
    entries = [(n, 3, struct.pack(f"<{len(v)}H", *v)) for n, v in short.items()]
    entries += [(273, 4, struct.pack("<I", 8)), (279, 4, struct.pack("<I", len(data)))]
    entries = sorted([*entries, *tags.values()])
    data += bytes(len(data) % 2)
    start = 8 + len(data)
    after, fields = start + 2 + 12 * len(entries) + 4, b""
    more = b""
    for number, kind, content in entries:
        count = len(content) // {3: 2, 4: 4, 5: 8}[kind]
        place = content.ljust(4, b"\0")
        if len(content) > 4:
            place = struct.pack("<I", after + len(more))
            more += content
        fields += struct.pack("<HHI", number, kind, count) + place
    head = struct.pack("<H", len(entries)) + fields + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + data + head + more)


def write_bmp(path: Path, header: bytes, pixels: bytes, after: bytes = b"") -> None:
    start = 14 + len(header)
    head = b"BM" + struct.pack("<IHHI", start + len(pixels) + len(after), 0, 0, start)
    path.write_bytes(head + header + pixels + after)


def bmp_header(size: int, bits: int, compression: int = 0) -> bytes:
    form = (40, SIDE, SIDE, 1, bits, compression, 0, 0, 0, 0, 0)
    return (struct.pack("<IiiHHIIiiII", *form)[4:]).join([struct.pack("<I", size), b""])


def _tagged(version: int, space: bytes, lab: bool, tags: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an ICC profile (ICC.1:2022, 7) with these tags."""
    tags = list(tags)
    offset, table, data = 132 + 12 * len(tags), b"", b""
    for name, body in tags:
        table += name + struct.pack(">II", offset + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(">II", offset + len(data), 0) + struct.pack(">I", version << 24)
    header += kind + space + (b"Lab " if lab else b"XYZ ") + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def rgb_profile(colorants: np.ndarray, curve: np.ndarray) -> bytes:
    """Return a profile of version 2: XYZ at D50 of red, green and blue, and light of a value."""
    xyz = [
        b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in c)) for c in colorants
    ]
    table = np.round(np.clip(curve, 0, 1) * 65535).astype(">u2")
    curv = b"curv" + struct.pack(">II", 0, len(table)) + table.tobytes()
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"rTRC", b"gTRC", b"bTRC")
    return _tagged(2, b"RGB ", False, zip(names, (*xyz, white, curv, curv, curv), strict=True))


def grey_profile(gamma: float) -> bytes:
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))
    return _tagged(2, b"GRAY", False, [(b"wtpt", white), (b"kTRC", curve)])


def cmyk_profile(corners: np.ndarray) -> bytes:
    """Return a profile of version 2 whose table holds L*a*b* (16, 3) of no and all of each ink."""
    scaled = corners * np.array((255 / 100, 1, 1)) + np.array((0, 128, 128))
    steps = bytes(range(256))
    table = (
        b"mft1"
        + bytes(4)
        + bytes((4, 3, 2, 0))
        + struct.pack(">9i", *np.eye(3).ravel().astype(int) * 65536)
    )
    table += steps * 4 + np.round(scaled).astype(np.uint8).tobytes() + steps * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    return _tagged(2, b"CMYK", True, [(b"wtpt", white), (b"A2B0", table)])
