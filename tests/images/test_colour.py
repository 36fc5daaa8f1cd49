"""Colour spaces of files: what sRGB (200, 60, 40) is stored as in another space is read as that.

The stored values come from formulas: the chromaticities and curves of each space's own standard, in
float64, and from littlecms for profiles that are tables. No code of stylebench has a part in them.
"""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from stylebench import images
from stylebench.errors import InputError
from tests.images import files
from tests.images.files import SIDE

COLOUR = np.array((200, 60, 40))
D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), D65)
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50)
APPLE = ((0.625, 0.34), (0.28, 0.595), (0.155, 0.07), D65)
BRADFORD = np.array(
    [(0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)]
)

Light = Callable[[np.ndarray], np.ndarray]


def srgb_light(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def power(gamma: float) -> Light:
    return lambda x: x**gamma


def bt709_light(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45))


def xyz(xy: tuple[float, float]) -> np.ndarray:
    return np.array((xy[0], xy[1], 1 - xy[0] - xy[1])) / xy[1]


def colorants(space: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Return XYZ at D50 of red, green and blue, as rows."""
    *ends, white = map(xyz, space)
    matrix = np.stack(ends, 1)
    matrix = matrix * np.linalg.solve(matrix, white)
    adapt = np.diag(BRADFORD @ xyz(D50) / (BRADFORD @ white))
    return np.asarray((np.linalg.inv(BRADFORD) @ adapt @ BRADFORD @ matrix).T)


def stored(space: tuple[tuple[float, float], ...], light: Light) -> tuple[int, int, int]:
    """Return the values that show `COLOUR` in a space."""
    wanted = np.linalg.solve(colorants(space).T, colorants(SRGB).T @ srgb_light(COLOUR / 255))
    values = np.linspace(0, 1, 255 * 64 + 1)
    found = np.round(np.interp(wanted, light(values), values) * 255).astype(int)
    return int(found[0]), int(found[1]), int(found[2])


def profile(space: tuple[tuple[float, float], ...], light: Light) -> bytes:
    return files.rgb_profile(colorants(space), light(np.linspace(0, 1, 1024)))


def flat(colour: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), colour)


def check(path: Path, expected: np.ndarray = COLOUR, tolerance: int = 2) -> None:
    picture = images.read(str(path), SIDE).astype(int)
    assert np.abs(picture - expected).max() <= tolerance


SPACES: dict[str, tuple[tuple[tuple[float, float], ...], Light, tuple[int, int, int]]] = {
    "display-p3": (P3, srgb_light, (185, 71, 50)),
    "adobe": (ADOBE, power(563 / 256), (173, 62, 45)),
    "prophoto": (PROPHOTO, power(1.8), (136, 70, 39)),
    "apple": (APPLE, power(1.8), (182, 38, 29)),
    "linear": (SRGB, power(1.0), (147, 12, 5)),
}


@pytest.mark.parametrize("name", SPACES)
def test_the_formulas_give_published_values(name: str) -> None:
    space, light, published = SPACES[name]
    assert np.abs(np.subtract(stored(space, light), published)).max() <= 1


@pytest.mark.parametrize("name", SPACES)
def test_an_embedded_profile_is_brought_to_srgb(tmp_path: Path, name: str) -> None:
    space, light, _ = SPACES[name]
    flat(stored(space, light)).save(tmp_path / "a.png", icc_profile=profile(space, light))
    check(tmp_path / "a.png", tolerance=4 if name == "linear" else 2)  # 8 bits of light are coarse


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 100, "subsampling": 0}),
        ("a.jpe", {"quality": 100, "subsampling": 0, "format": "JPEG"}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_a_profile_counts_in_every_format(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    flat((185, 71, 50)).save(tmp_path / name, icc_profile=profile(P3, srgb_light), **options)
    check(tmp_path / name)


def test_a_profile_counts_in_avif(tmp_path: Path) -> None:
    pytest.importorskip("PIL._avif")
    icc = profile(P3, srgb_light)
    flat((185, 71, 50)).save(tmp_path / "a.avif", icc_profile=icc, quality=100, subsampling="4:4:4")
    check(tmp_path / "a.avif", tolerance=3)


def test_a_profile_counts_under_transparency_and_palettes(tmp_path: Path) -> None:
    icc, path = profile(P3, srgb_light), tmp_path / "a.png"
    flat((185, 71, 50, 128), "RGBA").save(path, icc_profile=icc)
    check(path, COLOUR * 128 // 255 + 127)
    flat((185, 71, 50)).quantize(2).save(path, icc_profile=icc)
    check(path)


def test_grey_has_its_own_profiles(tmp_path: Path) -> None:
    light = (100 / 255) ** 1.8
    expected = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    for mode, value in (("L", (100,)), ("LA", (100, 255))):
        flat(value, mode).save(tmp_path / "a.png", icc_profile=files.grey_profile(1.8))
        check(tmp_path / "a.png", np.array([expected] * 3), 1)
    flat((100,), "L").save(tmp_path / "b.png", icc_profile=profile(APPLE, power(1.8)))
    check(tmp_path / "b.png", np.array([expected] * 3), 1)


def inks() -> bytes:
    corners = np.zeros((16, 3))
    for number in range(16):
        c, m, y, k = (number >> 3) & 1, (number >> 2) & 1, (number >> 1) & 1, number & 1
        light = (1 - 0.45 * c) * (1 - 0.5 * m) * (1 - 0.1 * y) * (1 - 0.85 * k)
        corners[number] = 100 * light, 70 * m - 35 * c, 90 * y - 45 * c
    return files.cmyk_profile(corners)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg"])
def test_cmyk_is_as_littlecms_has_it(tmp_path: Path, name: str) -> None:
    icc, colour = inks(), (20, 190, 160, 30)
    flat(colour, "CMYK").save(tmp_path / name, icc_profile=icc, quality=100)
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    expected = ImageCms.profileToProfile(
        flat(colour, "CMYK"), source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert expected is not None
    rgb = np.asarray(expected)[0, 0].astype(int)
    assert np.abs(rgb - np.asarray(flat(colour, "CMYK").convert("RGB"))[0, 0]).max() > 9
    check(tmp_path / name, rgb, 3)


def test_a_picture_of_pillow_has_its_profile_too() -> None:
    picture = flat((185, 71, 50))
    picture.info["icc_profile"] = profile(P3, srgb_light)
    found = images.to_tensor(picture, size=SIDE)[0, :, 0, 0].numpy() * 255
    assert np.abs(found - COLOUR).max() <= 2
    assert picture.getpixel((0, 0)) == (185, 71, 50)


# --- where a format says it without a profile


def test_png_says_it_in_chunks(tmp_path: Path) -> None:
    def write(name: str, colour: tuple[int, int, int], *chunks: bytes) -> Path:
        files.write_png(tmp_path / name, np.full((SIDE, SIDE, 3), colour), 8, *chunks)
        return tmp_path / name

    gamma = files.chunk(b"gAMA", struct.pack(">I", 100_000))
    adobe = [round(n * 100_000) for xy in (D65, *ADOBE[:3]) for n in xy]
    points = files.chunk(b"cHRM", struct.pack(">8I", *adobe))
    power_22 = files.chunk(b"gAMA", struct.pack(">I", 45_470))
    srgb, code = files.chunk(b"sRGB", b"\0"), files.chunk(b"cICP", bytes((12, 13, 0, 1)))
    check(write("gamma.png", stored(SRGB, power(1.0)), gamma), tolerance=4)
    check(write("points.png", stored(ADOBE, power(1 / 0.4547)), power_22, points))
    check(write("code.png", stored(P3, srgb_light), code))
    check(write("code-first.png", stored(P3, srgb_light), code, srgb, gamma))
    check(write("bt709.png", stored(SRGB, bt709_light), files.chunk(b"cICP", b"\1\1\0\1")))
    check(write("srgb-first.png", (200, 60, 40), srgb, gamma, points), tolerance=0)
    usual = files.chunk(b"gAMA", struct.pack(">I", 45_455))
    check(write("usual.png", (200, 60, 40), usual), tolerance=0)  # what stands beside sRGB for it
    nothing = files.chunk(b"cHRM", bytes(32))
    check(write("nothing.png", (200, 60, 40), nothing), tolerance=0)


@pytest.mark.parametrize(
    ("kind", "how"),
    [(kind, how) for kind in ("jpg", "webp", "png") for how in ("index", "space")]
    + [("tif", "space")],  # Pillow writes no index into TIFF
)
def test_exif_says_adobe_rgb(tmp_path: Path, kind: str, how: str) -> None:
    exif = Image.Exif()
    inner = exif.get_ifd(0x8769)
    inner[0xA001] = 2 if how == "space" else 0xFFFF
    if how == "index":
        inner[0xA005] = {1: "R03"}
    options: dict[str, dict[str, Any]] = {
        "jpg": {"quality": 100, "subsampling": 0},
        "webp": {"lossless": True},
    }
    picture = flat(stored(ADOBE, power(563 / 256)))
    picture.save(tmp_path / f"a.{kind}", exif=exif.tobytes(), **options.get(kind, {}))
    check(tmp_path / f"a.{kind}")


def test_exif_that_says_srgb_changes_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 1
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    flat((200, 60, 40)).save(tmp_path / "a.webp", exif=exif, lossless=True)
    check(tmp_path / "a.webp", tolerance=0)


@pytest.mark.parametrize("table", [False, True])
def test_tiff_says_it_in_tags(tmp_path: Path, table: bool) -> None:
    def rationals(*numbers: float) -> bytes:
        return b"".join(struct.pack("<II", round(n * 10_000), 10_000) for n in numbers)

    light = power(1.8) if table else power(2.2)
    tags = {"white": (318, 5, rationals(*D65))}
    tags["primaries"] = (319, 5, rationals(*(n for xy in ADOBE[:3] for n in xy)))
    if table:
        curve = np.round(light(np.linspace(0, 1, 256)) * 65535).astype("<u2")
        tags["curve"] = (301, 3, curve.tobytes())
    pixels = np.full((SIDE, SIDE, 3), stored(ADOBE, light))
    files.write_tiff(tmp_path / "a.tif", pixels, 8, 2, **tags)
    check(tmp_path / "a.tif")


@pytest.mark.parametrize("how", ["tags", "curve", "curves", "exif"])
def test_tiff_that_pillow_does_not_read_says_it_too(tmp_path: Path, how: str) -> None:
    """16 bits in planes; the EXIF block, behind the file, has color space 2."""
    light = power({"tags": 2.2, "exif": 563 / 256}.get(how, 1.8))
    planes = np.full((3, SIDE, SIDE), np.array(stored(ADOBE, light))[:, None, None] * 257, "u2")
    ends = [
        n
        for xy in (*ADOBE[:3], D65)
        for n in (round(xy[0] * 1e4), 10_000, round(xy[1] * 1e4), 10_000)
    ]
    tags: dict[str, list[Any]] = {
        "tags": [(319, 5, 6, ends[:12], True), (318, 5, 2, ends[12:], True)],
        "exif": [(65000, 4, 1, 10**8, True)],
    }
    curve = np.round(light(np.linspace(0, 1, 1 << 16)) * 65535).astype(int).tolist()
    for name, count in (("curve", 1), ("curves", 3)):
        tags[name] = [*tags["tags"], (301, 3, count * len(curve), count * curve, True)]
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, planes, photometric="rgb", planarconfig="separate", extratags=tags[how], byteorder="<"
    )
    if how == "exif":  # which tifffile does not write
        data, entry = path.read_bytes(), struct.pack("<HHI", 65000, 4, 1)
        assert data.count(entry) == 1
        data = data.replace(
            entry + struct.pack("<I", 10**8), struct.pack("<HHII", 34665, 4, 1, len(data))
        )
        path.write_bytes(data + struct.pack("<HHHIII", 1, 0xA001, 3, 1, 2, 0))
    check(path)


def test_a_profile_of_tiff_is_of_its_page_alone(tmp_path: Path) -> None:
    icc, stored_p3 = profile(P3, srgb_light), stored(P3, srgb_light)
    for thumbnail, full, colour in ((icc, None, (200, 60, 40)), (None, icc, stored_p3)):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            small, large = (np.full((side, side, 3), colour, np.uint8) for side in (SIDE, 2 * SIDE))
            file.write(small, photometric="rgb", subfiletype=1, iccprofile=thumbnail)
            file.write(large, photometric="rgb", iccprofile=full)
        check(tmp_path / "a.tif")


def _bmp(path: Path, kind: bytes, ends: bytes, colour: tuple[int, int, int], icc: bytes) -> None:
    pixels = bytes(colour[::-1]) * SIDE**2
    header = files.bmp_header(124, 24) + bytes(16) + kind + ends
    header += struct.pack("<4I", 4, 124 + len(pixels), len(icc), 0)
    files.write_bmp(path, header, pixels, icc)


def test_bmp_says_it_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    _bmp(path, b"DEBM", bytes(48), stored(P3, srgb_light), profile(P3, srgb_light))
    check(path)
    *ends, white = map(xyz, ADOBE)
    matrix = np.stack(ends, 1)
    fixed = (matrix * np.linalg.solve(matrix, white)).T.ravel() * 2**30
    gammas = struct.pack("<3I", *[round(65536 * 1.8)] * 3)
    numbers = struct.pack("<9i", *np.round(fixed).astype(int)) + gammas
    _bmp(path, bytes(4), numbers, stored(ADOBE, power(1.8)), b"")
    check(path)
    for kind in (bytes(4), b"BGRs", b" niW"):
        _bmp(path, kind, bytes(48), (200, 60, 40), b"")
        check(path, tolerance=0)
    _bmp(path, b"KNIL", bytes(48), (200, 60, 40), b"c:\\a.icc")
    with pytest.raises(InputError, match="its colour profile in another file"):
        images.read(str(path), SIDE)


def test_gif_says_it_in_an_extension(tmp_path: Path) -> None:
    made, icc = io.BytesIO(), profile(P3, srgb_light)
    flat((185, 71, 50)).quantize(2).save(made, "GIF")
    data = made.getvalue()
    start = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    parts = [icc[i : i + 255] for i in range(0, len(icc), 255)]
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    extension = b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0"
    (tmp_path / "a.gif").write_bytes(data[:start] + extension + data[start:])
    check(tmp_path / "a.gif")


@pytest.mark.parametrize("how", ["profile", "romm"])
def test_jpeg_2000_says_it_in_a_box(tmp_path: Path, how: str) -> None:
    pytest.importorskip("PIL._imaging")
    space, light = (P3, srgb_light) if how == "profile" else (PROPHOTO, power(1.8))
    made = io.BytesIO()
    flat(stored(space, light)).save(made, "JPEG2000")
    data = made.getvalue()
    at, outer = data.index(b"colr") - 4, data.index(b"jp2h") - 4
    length, whole = struct.unpack_from(">I", data, at)[0], struct.unpack_from(">I", data, outer)[0]
    body = (
        b"\2\0\0" + profile(space, light) if how == "profile" else b"\1\0\0" + bytes((0, 0, 0, 21))
    )
    box = struct.pack(">I4s", 8 + len(body), b"colr") + body
    head = data[:outer] + struct.pack(">I", whole + len(box) - length) + data[outer + 4 : at]
    (tmp_path / "a.jp2").write_bytes(head + box + data[at + length :])
    check(tmp_path / "a.jp2")


def test_avif_says_it_in_code_points(tmp_path: Path) -> None:
    pytest.importorskip("PIL._avif")
    made, path = io.BytesIO(), tmp_path / "a.avif"
    flat(stored(P3, srgb_light)).save(made, "AVIF", quality=100, subsampling="4:4:4")
    data = made.getvalue()
    at = data.index(b"nclx") + 4
    path.write_bytes(data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :])
    check(path, tolerance=3)
    path.write_bytes(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])
    with pytest.raises(InputError, match="has the high dynamic range of PQ; expected one that"):
        images.read(str(path), SIDE)


# --- what is refused, and what stays as it was


@pytest.mark.parametrize(
    ("mode", "icc", "message"),
    [
        ("RGB", b"garbage" * 40, "has a damaged colour profile; expected one that can be brought"),
        ("CMYK", profile(P3, srgb_light), "has a colour profile for RGB colours; expected"),
        ("RGB", inks(), "has a colour profile for CMYK colours; expected"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(
    tmp_path: Path, mode: str, icc: bytes, message: str
) -> None:
    Image.new(mode, (SIDE, SIDE)).save(tmp_path / "a.tif", icc_profile=icc)
    with pytest.raises(InputError, match=message) as refusal:
        images.read(str(tmp_path / "a.tif"), SIDE)
    assert str(tmp_path / "a.tif") in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "body", [b"\x09\x10\0\1", b"\x09\x12\0\1", b"\1\x0d\1\1", b"\1\x0d\0\0", b"\x63\x0d\0\1"]
)
def test_png_codes_without_a_formula_are_refused(tmp_path: Path, body: bytes) -> None:
    pixels = np.full((SIDE, SIDE, 3), 90)
    files.write_png(tmp_path / "a.png", pixels, 8, files.chunk(b"cICP", body))
    with pytest.raises(
        InputError, match=r"a.png' has .*; expected one that can be brought to sRGB"
    ):
        images.read(str(tmp_path / "a.png"), SIDE)


def test_profiles_of_srgb_change_no_pixel_and_no_digest(tmp_path: Path) -> None:
    ramp = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (srgb, profile(SRGB, srgb_light)):
        Image.fromarray(ramp).save(tmp_path / "a.png", icc_profile=icc)
        check(tmp_path / "a.png", ramp, 0)
    Image.fromarray(ramp).save(tmp_path / "b.png")
    check(tmp_path / "b.png", ramp, 0)


def test_digests_change_where_the_reading_did(tmp_path: Path) -> None:
    from hashlib import sha256

    def plain(path: Path) -> bool:
        return images.digest(str(path), 64) == sha256(path.read_bytes()).hexdigest()[:32]

    path = tmp_path / "a.png"
    flat((9, 9, 9)).save(path)
    assert plain(path)
    flat((9, 9, 9)).save(path, icc_profile=profile(SRGB, srgb_light))
    assert plain(path)
    flat((9, 9, 9)).save(path, icc_profile=profile(P3, srgb_light))
    assert not plain(path)
    files.write_png(path, np.ones((SIDE, SIDE)), 4, files.chunk(b"tRNS", b"\0\1"))
    assert not plain(path)
    files.write_png(path, np.ones((SIDE, SIDE)), 8, files.chunk(b"tRNS", b"\0\1"))
    assert plain(path)
    files.write_tiff(tmp_path / "a.tif", np.full((SIDE, SIDE), 512), 12, 1)
    assert not plain(tmp_path / "a.tif")
    files.write_tiff(tmp_path / "a.tif", np.full((SIDE, SIDE), 512), 16, 1)
    assert plain(tmp_path / "a.tif")


def test_builtins_are_as_they_are_stored() -> None:
    builtin = images.PHOTOGRAPHS["rocket"]  # whose profile is Adobe RGB's
    with Image.open(builtin.path) as stored_as:
        assert stored_as.info["icc_profile"]
        width, height = stored_as.size
        np.testing.assert_array_equal(builtin.render(max(width, height)), np.asarray(stored_as))
