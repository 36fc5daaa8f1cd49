"""TIFF: samples as tifffile, numpy or a formula has them, and which picture of a file is read."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from stylebench import images
from stylebench.errors import InputError
from stylebench.images import decode
from tests.images import files
from tests.images.files import SIDE

SHAPE = (SIDE, SIDE)
STEPS = np.zeros(SHAPE, int)
STEPS[:16, 16:], STEPS[16:, :16], STEPS[16:, 16:] = 1, 2, 3
EIGHT = np.array((32, 100, 180, 255))[STEPS]
"""Grey levels of 8 bits, one in each quarter."""


def check(path: Path, expected: np.ndarray, tolerance: int = 1) -> None:
    picture = images.read(str(path), SIDE).astype(int)
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, 2)
    assert np.abs(picture - expected).max() <= tolerance


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        images.read(str(path), SIDE)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_unsigned_grey_of_every_depth(tmp_path: Path, bits: int) -> None:
    most = (1 << bits) - 1
    values = np.round(EIGHT / 255 * most).astype(int)
    files.write_tiff(tmp_path / "a.tif", values, bits, photometric=1)
    check(tmp_path / "a.tif", np.round(values / most * 255))
    if bits != 12:  # tifffile unpacks twelve bits with imagecodecs alone
        raw = tifffile.imread(tmp_path / "a.tif") if bits in (1, 8, 16) else values
        np.testing.assert_array_equal(raw, values)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_white_is_zero(tmp_path: Path, bits: int) -> None:
    most = (1 << bits) - 1
    values = np.round(EIGHT / 255 * most).astype(int)
    files.write_tiff(tmp_path / "a.tif", values, bits, photometric=0)
    check(tmp_path / "a.tif", 255 - np.round(values / most * 255))


GREY = (EIGHT * 257).astype(np.uint16)
RGB = np.stack([GREY, GREY[::-1], GREY.T], -1)
ALPHA = np.full((*SHAPE, 4), 255, np.uint8)
ALPHA[:16] = (100, 50, 25, 128)
STRAIGHT = np.where(ALPHA[..., 3:] == 128, (177, 152, 140), 255)
PREMULTIPLIED = np.where(ALPHA[..., 3:] == 128, (227, 177, 152), 255)
"""On white: v·a + 255·(1 − a), and v + 255·(1 − a)."""


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        (GREY, {"photometric": "minisblack", "byteorder": ">"}, EIGHT),
        (GREY, {"photometric": "miniswhite", "byteorder": ">"}, 255 - EIGHT),
        (GREY, {"photometric": "miniswhite", "byteorder": "<"}, 255 - EIGHT),
        (GREY, {"photometric": "minisblack", "tile": (16, 16)}, EIGHT),
        (GREY, {"photometric": "minisblack", "compression": "zlib", "predictor": True}, EIGHT),
        (RGB, {"photometric": "rgb", "byteorder": ">"}, RGB // 257),
        (RGB, {"photometric": "rgb", "compression": "zlib", "predictor": True}, RGB // 257),
        (np.moveaxis(RGB, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}, RGB // 257),
        (
            np.moveaxis(RGB // 257, -1, 0).astype(np.uint8),
            {"photometric": "rgb", "planarconfig": "separate"},
            RGB // 257,
        ),
        (ALPHA, {"photometric": "rgb", "extrasamples": ["unassalpha"]}, STRAIGHT),
        (ALPHA, {"photometric": "rgb", "extrasamples": ["assocalpha"]}, PREMULTIPLIED),
        (
            ALPHA.astype(np.uint16) * 257,
            {"photometric": "rgb", "extrasamples": ["assocalpha"]},
            PREMULTIPLIED,
        ),
        (
            ALPHA[..., [0, 3]],
            {"photometric": "minisblack", "extrasamples": ["assocalpha"], "planarconfig": "contig"},
            PREMULTIPLIED[..., 0],
        ),
        (
            ALPHA[..., [0, 3]].astype(np.uint16) * 257,
            {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"},
            STRAIGHT[..., 0],
        ),
        (
            ALPHA[..., [0, 3]].astype(np.uint16) * 257,
            {"photometric": "minisblack", "extrasamples": ["assocalpha"], "planarconfig": "contig"},
            PREMULTIPLIED[..., 0],
        ),
    ],
)
def test_what_tifffile_writes(
    tmp_path: Path, values: np.ndarray, options: dict[str, Any], expected: np.ndarray
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), values)
    check(tmp_path / "a.tif", expected, 2)


@pytest.mark.parametrize("scale", [1, 257])
def test_palettes_of_8_and_of_16_bits(tmp_path: Path, scale: int) -> None:
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :4] = np.array(((200, 60, 40), (1, 2, 3), (255, 255, 255), (0, 99, 0))).T
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STEPS.astype(np.uint8), photometric="palette", colormap=colours * scale)
    check(path, colours[:, :4].T[STEPS], 0)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.int8, {}, "holds signed values of 8 bits; expected 8 or 16 bits a channel"),
        (np.int16, {}, "holds signed values of 16 bits"),
        (np.float16, {}, "holds floating-point values; expected 8 or 16 bits"),
        (np.float32, {}, "holds floating-point values"),
        (np.float64, {}, "holds floating-point values"),
        (np.complex64, {}, "holds floating-point values"),
        (np.uint32, {"byteorder": ">"}, r"holds 1 × 32 bits \(MINISBLACK\)"),
        (np.uint64, {}, r"holds 1 × 64 bits \(MINISBLACK\)"),
        (np.uint8, {"photometric": "cfa"}, "is a camera's raw file: export it as JPEG"),
    ],
)
def test_other_samples_are_refused(
    tmp_path: Path, values: type, options: dict[str, Any], message: str
) -> None:
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "a.tif", (EIGHT // 3).astype(values), **options)
    refused(tmp_path / "a.tif", message)


@pytest.mark.parametrize("bits", [6, 10, 14, 24])
def test_other_depths_are_refused(tmp_path: Path, bits: int) -> None:
    files.write_tiff(tmp_path / "a.tif", EIGHT * 0, bits, photometric=1)
    refused(tmp_path / "a.tif", rf"holds 1 × {bits} bits \(MINISBLACK\); expected grey or RGB of 8")


def test_subsampled_ycbcr_as_it_is_is_refused(tmp_path: Path) -> None:
    path, steps = tmp_path / "a.tif", (530, 3, struct.pack("<2H", 2, 2))
    files.write_tiff(path, np.full((*SHAPE, 3), 128), 8, 6, steps=steps)
    refused(path, "holds subsampled YCbCr that is not compressed")


# --- which picture

BIG = np.full((64, 64, 3), (200, 60, 40), np.uint8)
SMALL = np.full((SIDE, SIDE, 3), 10, np.uint8)


THUMBNAIL, FULL = (SMALL, {"subfiletype": 1}), (BIG, {"subfiletype": 0})
ABOVE: dict[str, int] = {"subifds": 1}
"""What follows lies below this picture."""


@pytest.mark.parametrize(
    "pages",
    [
        [THUMBNAIL, FULL],
        [(SMALL, {"subfiletype": 1} | ABOVE), FULL],
        [(BIG, ABOVE), THUMBNAIL],
    ],
    ids=["a thumbnail first", "a full picture below its thumbnail", "a pyramid"],
)
def test_the_full_picture_is_read(
    pages: list[tuple[npt.NDArray[np.uint8], dict[str, int]]], tmp_path: Path
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for pixels, tags in pages:
            file.write(pixels, photometric="rgb", **tags)  # type: ignore[arg-type]
    check(tmp_path / "a.tif", np.full((*SHAPE, 3), BIG[0, 0]), 0)


def test_of_several_pages_the_first_is_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([BIG, BIG * 0]), photometric="rgb")
    check(tmp_path / "a.tif", np.full((*SHAPE, 3), BIG[0, 0]), 0)


def test_masks_and_old_marks_of_thumbnails_are_passed_over(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(SMALL[..., 0] > 0, photometric="mask", subfiletype=4)
        file.write(SMALL, photometric="rgb", extratags=[(255, 3, 1, 2, True)])
        file.write(BIG, photometric="rgb")
    check(tmp_path / "a.tif", np.full((*SHAPE, 3), BIG[0, 0]), 0)


def test_a_thumbnail_alone_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SMALL, photometric="rgb", subfiletype=1)
    refused(tmp_path / "a.tif", "holds small versions of a picture alone; expected the full one")


@pytest.mark.parametrize("mark", ["cfa", "linear raw", "version", "canon"])
def test_raw_files_are_refused(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "a.tif"
    tags = [(50706, 1, 4, b"\1\4\0\0", True)] if mark == "version" else []
    with tifffile.TiffWriter(path) as file:
        first: Any = {"photometric": "rgb", "subfiletype": 1, "extratags": tags}
        file.write(SMALL, **first, subifds=0 if mark in ("version", "canon") else 1)
        if mark in ("cfa", "linear raw"):
            kind: Any = "cfa" if mark == "cfa" else "linear_raw"
            values = BIG[..., 0] if mark == "cfa" else BIG
            file.write(values.astype(np.uint16), photometric=kind, subfiletype=0)
    if mark == "canon":
        data = bytearray(path.read_bytes())
        data[8:10] = b"CR"
        path.write_bytes(data)
    refused(path, "is a camera's raw file: export it as JPEG, PNG or TIFF")


def test_no_more_is_read_than_the_picture_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, many = tmp_path / "a.tif", np.zeros((3, *SHAPE), np.uint16)
    with monkeypatch.context() as few:
        few.setattr(decode, "MAX_PIXELS", 1000)
        few.setattr(tifffile.TiffPage, "asarray", None)  # it is refused before
        tifffile.imwrite(path, many, photometric="rgb", planarconfig="separate")
        refused(path, r"is 32×32 px; expected at most 1,000 pixels")
    tifffile.imwrite(path, many, photometric="rgb", compression="zlib", planarconfig="separate")
    refused(path, r"holds 3 × 16 bits \(RGB, ADOBE_DEFLATE compression\); expected")


def test_the_picture_is_upright_and_in_srgb_whoever_reads_it(tmp_path: Path) -> None:
    turned = (274, 3, 1, 6, True)
    tifffile.imwrite(
        tmp_path / "a.tif", np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate",
        extratags=[turned],
    )  # fmt: skip
    check(tmp_path / "a.tif", np.rot90(RGB // 257, -1))
    Image.fromarray((RGB // 257).astype(np.uint8)).save(tmp_path / "b.tif", exif=_turned())
    check(tmp_path / "b.tif", np.rot90(RGB // 257, -1))


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif
