"""Reading pictures: every mode and format, and what is refused."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stylebench import images
from stylebench.errors import InputError
from stylebench.images import formats
from tests.faults import hostile
from tests.images import files
from tests.images.pictures import GREYS, HEIGHT, QUADRANTS, WIDTH, corners, expand

# --- reading: modes and formats


def _rgb() -> Image.Image:
    return Image.fromarray(expand(QUADRANTS))


def _with_alpha() -> Image.Image:
    image = _rgb().convert("RGBA")
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[: HEIGHT // 2, : WIDTH // 2] = 0
    alpha[HEIGHT // 2 :, WIDTH // 2 :] = 128
    image.putalpha(Image.fromarray(alpha))
    return image


def _grey_alpha() -> Image.Image:
    image = Image.fromarray(expand(GREYS)).convert("LA")
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[: HEIGHT // 2, : WIDTH // 2] = 0
    image.putalpha(Image.fromarray(alpha))
    return image


def _palette() -> Image.Image:
    return _rgb().quantize(4, method=Image.Quantize.FASTOCTREE)


def _palette_see_through() -> Image.Image:
    image = _palette()
    image.info["transparency"] = image.getpixel((0, 0))
    return image


def _grey16() -> Image.Image:
    return Image.fromarray(expand(GREYS).astype(np.uint16) * 257)


def _grey32() -> Image.Image:
    return Image.fromarray(expand(GREYS).astype(np.int32) * 257)


WHITE = np.array((255, 255, 255))
SEE_THROUGH = QUADRANTS.astype(int)
SEE_THROUGH[0, 0] = WHITE
HALF = SEE_THROUGH.copy()
HALF[1, 1] = (QUADRANTS[1, 1].astype(int) * 128 + WHITE * 127) // 255
GREY = np.repeat(GREYS[..., None].astype(int), 3, 2)
GREY_SEE_THROUGH = GREY.copy()
GREY_SEE_THROUGH[0, 0] = WHITE
BITS = np.repeat(np.where(GREYS > 127, 255, 0)[..., None], 3, 2)


@pytest.mark.parametrize(
    ("make", "name", "expected", "tolerance"),
    [
        (_rgb, "rgb.png", QUADRANTS, 0),
        (_rgb, "rgb.bmp", QUADRANTS, 0),
        (_rgb, "rgb.tiff", QUADRANTS, 0),
        (_rgb, "rgb.jpg", QUADRANTS, 12),
        (_rgb, "rgb.webp", QUADRANTS, 12),
        (_rgb, "rgb.gif", QUADRANTS, 6),
        (lambda: _rgb().convert("YCbCr"), "ycbcr.jpg", QUADRANTS, 12),
        (lambda: _rgb().convert("YCbCr"), "ycbcr.tif", QUADRANTS, 12),
        (lambda: _rgb().convert("CMYK"), "cmyk.jpg", QUADRANTS, 12),
        (lambda: _rgb().convert("CMYK"), "cmyk.tif", QUADRANTS, 2),
        (_with_alpha, "rgba.png", HALF, 1),
        (_with_alpha, "rgba.tif", HALF, 1),
        (_with_alpha, "rgba.webp", HALF, 12),
        (_palette, "palette.png", QUADRANTS, 6),
        (_palette, "palette.gif", QUADRANTS, 6),
        (_palette_see_through, "see-through.png", SEE_THROUGH, 6),
        (_palette_see_through, "see-through.gif", SEE_THROUGH, 6),
        (lambda: Image.fromarray(expand(GREYS)), "grey.png", GREY, 0),
        (lambda: Image.fromarray(expand(GREYS)), "grey.jpg", GREY, 6),
        (_grey_alpha, "grey-alpha.png", GREY_SEE_THROUGH, 0),
        (
            lambda: Image.fromarray(expand(GREYS)).convert("1", dither=Image.Dither.NONE),
            "bits.png",
            BITS,
            0,
        ),
        (_grey16, "grey16.png", GREY, 0),
        (_grey16, "grey16.tif", GREY, 0),
        (_grey32, "grey32.tif", GREY, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_read_every_mode_and_format(
    tmp_path: Path,
    make: Callable[[], Image.Image],
    name: str,
    expected: np.ndarray,
    tolerance: int,
) -> None:
    path = tmp_path / name
    make().save(path)
    picture = images.read(str(path), WIDTH)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.writeable
    assert np.abs(corners(picture) - expected.astype(int)).max() <= tolerance


def test_read_16_bits_keeps_the_gradient(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65_535, 256).astype(np.uint16), (32, 1))
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    picture = images.read(str(tmp_path / "ramp.png"), 256)
    np.testing.assert_array_equal(picture[0, :, 0], np.arange(256))


ORIENTED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda corners: corners,
    2: np.fliplr,
    3: lambda corners: np.rot90(corners, 2),
    4: np.flipud,
    5: lambda corners: corners.transpose(1, 0, 2),
    6: lambda corners: np.rot90(corners, -1),
    7: lambda corners: np.rot90(corners, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_read_turns_the_picture_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"turned.{suffix}"
    _rgb().save(path, exif=exif)
    picture = images.read(str(path), WIDTH)
    assert picture.shape[:2] == ((HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT))
    expected = ORIENTED[orientation](QUADRANTS).astype(int)
    assert np.abs(corners(picture) - expected).max() <= 12


def test_read_survives_damaged_exif(tmp_path: Path) -> None:
    path = tmp_path / "odd.jpg"
    _rgb().save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert images.read(str(path), WIDTH).shape == (HEIGHT, WIDTH, 3)


def test_read_takes_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    _rgb().save(path, save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT), "black")])
    assert np.abs(corners(images.read(str(path), WIDTH)) - QUADRANTS).max() <= 6


@pytest.mark.parametrize(
    ("found", "size", "shape"),
    [
        ((640, 427), 256, (171, 256)),
        ((427, 640), 256, (256, 171)),
        ((100, 100), 256, (256, 256)),
        ((16, 16), 16, (16, 16)),
        ((31, 500), 300, (300, 19)),
    ],
)
def test_read_keeps_the_aspect_or_squashes(
    tmp_path: Path, found: tuple[int, int], size: int, shape: tuple[int, int]
) -> None:
    path = tmp_path / "grey.png"
    Image.new("L", found, 77).save(path)
    assert images.read(str(path), size).shape == (*shape, 3)
    assert images.read(str(path), size, resize="squash").shape == (size, size, 3)


def test_read_shrinks_with_antialias(tmp_path: Path) -> None:
    checker = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checker).save(tmp_path / "checker.png")
    picture = images.read(str(tmp_path / "checker.png"), 32)
    assert abs(float(picture[4:-4, 4:-4].mean()) - 127.5) < 2
    assert picture[4:-4, 4:-4].std() < 3


# --- a transparent colour (tRNS): the values that match it are white, by PNG's specification


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("high", [0, 0x4000])  # bits beyond a sample's do not count
def test_a_transparent_grey(tmp_path: Path, bits: int, high: int) -> None:
    if bits == 1 and high:
        pytest.skip("Pillow takes any key but 0 for 1")
    values = np.zeros((32, 32), int)
    values[:16] = 1
    key = files.chunk(b"tRNS", struct.pack(">H", 1 + high))
    files.write_png(tmp_path / "a.png", values, bits, key)
    picture = images.read(str(tmp_path / "a.png"), 32)
    assert (picture[:16] == 255).all()
    assert (picture[16:] == 0).all()
    files.write_png(tmp_path / "b.png", values, bits)
    picture = images.read(str(tmp_path / "b.png"), 32)
    assert (picture[:16] == 255 // (2**bits - 1)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits(tmp_path: Path, channels: int) -> None:
    """Two colours with the same high bytes are two."""
    values = np.full((32, 32, channels), 0x6480)
    values[:16, :, -1] = 0x6401
    pixels = values if channels == 3 else values[..., 0]
    key = files.chunk(b"tRNS", struct.pack(f">{channels}H", *values[0, 0]))
    exif = Image.Exif()
    exif[274] = 3
    turned = files.chunk(b"eXIf", exif.tobytes()[6:])
    files.write_png(tmp_path / "a.png", pixels, 16, key, turned)
    picture = images.read(str(tmp_path / "a.png"), 32)
    assert (picture[16:] == 255).all()
    assert (picture[:16] == 0x64).all()


@pytest.mark.parametrize("high", [0, 0x4000])
def test_a_transparent_colour_of_8_bits(tmp_path: Path, high: int) -> None:
    pixels = np.full((32, 32, 3), 9)
    pixels[:16] = 200, 60, 40
    key = files.chunk(b"tRNS", struct.pack(">3H", *(value + high for value in (200, 60, 40))))
    files.write_png(tmp_path / "a.png", pixels, 8, key)
    picture = images.read(str(tmp_path / "a.png"), 32)
    assert (picture[:16] == 255).all()
    assert (picture[16:] == 9).all()


# --- bad input


def _of_kind(header: bytes) -> Callable[[Path], None]:
    return lambda path: files.write_bmp(path, header, bytes(32 * 32 * 4))


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def _truncated(photo: Path) -> None:
    photo.write_bytes(photo.read_bytes()[:-40])


def _floating(photo: Path) -> None:
    photo.unlink()
    Image.fromarray(np.ones((32, 32), np.float32)).save(photo, format="TIFF")


def _beyond_16_bits(photo: Path) -> None:
    photo.unlink()
    Image.fromarray(np.full((32, 32), 70_000, np.int32)).save(photo, format="TIFF")


def _folder(photo: Path) -> None:
    photo.unlink()
    photo.mkdir()


def _pipe(photo: Path) -> None:
    photo.unlink()
    os.mkfifo(photo)


def _loop(photo: Path) -> None:
    photo.unlink()
    photo.symlink_to(photo)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "does not exist; check the path"),
        (_folder, "is a folder; expected a JPEG, PNG"),
        (_pipe, "is no regular file"),
        (_loop, "cannot be read"),
        (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
        (
            lambda path: os.truncate(path, 3 << 30),
            "has 3,221,225,472 bytes; expected at most 1,600,000,000: make it smaller",
        ),
        (lambda path: path.write_text("hello"), "is not a picture that can be read; expected JPEG"),
        (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "is not a picture"),
        (
            _of_kind(files.bmp_header(40, 16, 3) + struct.pack("<3I", 0xF00, 0xF0, 0xF)),
            r"is of a kind that cannot be read \(Unsupported BMP bitfields layout\); export it",
        ),
        (_of_kind(files.bmp_header(40, 2)), r"of a kind .* \(Unsupported BMP pixel depth \(2\)\)"),
        (_of_kind(files.bmp_header(40, 0, 5)), r"of a kind that cannot be read"),
        (
            lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)),
            "is a PNG that is damaged or of a kind that cannot be read; export it as PNG",
        ),
        (_truncated, "is damaged or cut off .*copy or export it again"),
        (_floating, "floating-point values; expected 8 or 16 bits"),
        (_beyond_16_bits, "grey values from 70000 to 70000; expected 0 to 65535"),
        (lambda path: Image.new("RGB", (15, 99)).save(path), "is 15×99 px; expected at least 16"),
        (lambda path: Image.new("L", (900, 30)).save(path), "at size 64 its short side would be 2"),
        (
            lambda path: path.write_bytes(_png_header(10_001, 10_000)),
            "10001×10000 px; expected at most 100,000,000 pixels",
        ),
        (lambda path: path.write_bytes(_png_header(60_000, 60_000)), "at most 100,000,000 pixels"),
        (lambda path: path.write_bytes(_png_header(9_500, 10_000)), "damaged or cut off"),
    ],
)
def test_read_refuses_with_one_line(
    photo: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(photo)
    with pytest.raises(InputError, match=message) as refusal:
        images.read(str(photo), 64)
    text = str(refusal.value)
    assert str(photo) in text
    assert "\n" not in text


def test_read_refuses_what_it_may_not_open(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", denied)
    with pytest.raises(InputError, match=r"photo.png' cannot be read: permission denied"):
        images.read(str(photo), 64)


@pytest.mark.parametrize("size", [-1, 0, 15, 10**6])
def test_read_refuses_sizes(photo: Path, size: int) -> None:
    with pytest.raises(InputError, match=f"size must be from 16 to 4096 px, not {size}"):
        images.read(str(photo), size)


def test_read_escapes_odd_names(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        images.read(str(tmp_path / "two\nlines\x1b.png"), 64)
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


def _check_harmless(path: Path) -> None:
    """Check that a file gives a picture or one line, and a digest whichever it is."""
    message, shape = "", (32, 32, 3)
    try:
        shape = images.read(str(path), 32).shape
    except InputError as refusal:
        message = str(refusal)
    assert "\n" not in message
    assert max(shape[:2]) == 32
    if path.stat().st_size:
        images.digest(str(path), 32)  # which reads headers too


@settings(max_examples=100, deadline=None)
@given(case=hostile.images())
def test_damage_gives_a_picture_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, case: hostile.Case
) -> None:
    path = tmp_path_factory.getbasetemp() / case.name
    path.write_bytes(case.data)
    _check_harmless(path)


SPECIMENS: list[tuple[str, dict[str, Any]]] = [
    ("specimen.ppm", {}),
    ("specimen.jp2", {}),
    ("specimen.avif", {}),
    ("profile.png", {"icc_profile": files.grey_profile(1.8)}),
    ("profile.jpg", {"icc_profile": files.grey_profile(1.8)}),
    ("profile.tif", {"icc_profile": files.grey_profile(1.8)}),
    ("planes.tif", {}),
    ("thumbnail.tif", {}),
    ("key.png", {}),
]


def _specimen(path: Path, options: dict[str, Any]) -> None:
    if path.stem == "planes":
        values = np.moveaxis(expand(QUADRANTS), -1, 0).astype(np.uint16) * 257
        tifffile.imwrite(path, values, photometric="rgb", planarconfig="separate")
    elif path.stem == "thumbnail":
        with tifffile.TiffWriter(path) as file:
            file.write(expand(GREYS)[::2], photometric="minisblack", subfiletype=1, subifds=1)
            file.write(expand(QUADRANTS), photometric="rgb", subfiletype=0)
    elif path.stem == "key":
        key = files.chunk(b"tRNS", struct.pack(">3H", *(QUADRANTS[0, 0].astype(int) * 257)))
        code = files.chunk(b"cICP", bytes((12, 13, 0, 1)))
        files.write_png(path, expand(QUADRANTS).astype(int) * 257, 16, code, key)
    else:
        image = Image.fromarray(expand(GREYS)) if path.stem == "profile" else _rgb()
        image.save(path, **options)


@pytest.mark.parametrize(("name", "options"), SPECIMENS, ids=str)
def test_specimens_are_read(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    if Path(name).suffix not in formats.suffixes():
        pytest.skip("not installed")
    _specimen(tmp_path / name, options)
    assert images.read(str(tmp_path / name), WIDTH).shape == (HEIGHT, WIDTH, 3)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damage_of_rarer_kinds_is_harmless_too(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    known = [s for s in SPECIMENS if Path(s[0]).suffix in formats.suffixes()]
    name, options = data.draw(st.sampled_from(known))
    path = tmp_path_factory.getbasetemp() / name
    _specimen(path, options)
    path.write_bytes(data.draw(hostile.damaged(path.read_bytes())))
    _check_harmless(path)
