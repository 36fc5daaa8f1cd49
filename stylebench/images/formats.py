"""Which picture formats are read here, and what is known of the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, features


@dataclass(frozen=True)
class Format:
    """A format: its `name` in messages, `suffixes` of its files, and what Pillow needs for it."""

    name: str
    suffixes: tuple[str, ...]
    feature: str = ""
    package: str = ""

    @property
    def installed(self) -> bool:
        """Whether the installed Pillow reads it."""
        if self.package:
            return find_spec(self.package) is not None
        return not self.feature or self.feature in features.get_supported()

    @property
    def needs(self) -> str:
        """What to install where it is not read."""
        return self.package.replace("_", "-") or f"a Pillow with {self.feature}"


@dataclass(frozen=True)
class Opened:
    """A picture whose header was read.

    Args:
        header: Pillow's, with mode, format and info, and the size unless `size` is another.
        size: (W, H) in px.
        load: reads the pixels.
        amended: whether they are others than Pillow alone would read.
    """

    header: Image.Image
    size: tuple[int, int]
    load: Callable[[], Image.Image]
    amended: bool


_FORMATS = {  # by Pillow's names; each reads bytes alone, runs no other program and opens no file
    "JPEG": Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")),
    "PNG": Format("PNG", (".png", ".apng")),
    "WEBP": Format("WebP", (".webp",), feature="webp"),
    "TIFF": Format("TIFF", (".tif", ".tiff")),
    "BMP": Format("BMP", (".bmp", ".dib")),
    "GIF": Format("GIF", (".gif",)),
    "AVIF": Format("AVIF", (".avif", ".avifs"), feature="avif"),
    "JPEG2000": Format("JPEG 2000", (".jp2", ".j2k", ".jpx", ".j2c", ".jpc", ".jpf"), "jpg_2000"),
    "PPM": Format("PPM", (".ppm", ".pgm", ".pbm", ".pnm")),
    "HEIF": Format("HEIF", (".heic", ".heif", ".hif"), package="pillow_heif"),
}

RAW = "a camera's raw file: export it as JPEG, PNG or TIFF"
_RAW = ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw .orf "
_RAW += ".pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
_OTHERS = (
    ".ai .bpg .dcm .djvu .exr .flif .hdr .jxl .jxr .kra .ora .pct .pict .psb .svg .svgz .wbmp "
)
_OTHERS += ".wdp .xcf"  # which Pillow does not know by name

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"), (b"\xff\x4f\xff\x51", "JPEG2000"),
)  # fmt: skip
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"mif1": "HEIF", b"msf1": "HEIF", b"heic": "HEIF"}
_BRANDS |= dict.fromkeys((b"heix", b"hevc", b"heim", b"heis"), "HEIF")


@cache
def readable() -> dict[str, Format]:
    """Return the formats that are read here, by Pillow's names for them."""
    found = {name: kind for name, kind in _FORMATS.items() if kind.installed}
    if "HEIF" in found:
        import pillow_heif

        pillow_heif.register_heif_opener()
    return found


def text() -> str:
    """Return the formats that are read here, for messages."""
    *most, last = [kind.name for kind in readable().values()]
    return f"{', '.join(most)} or {last}"


@cache
def suffixes() -> tuple[str, ...]:
    """Return how the names of files end that are taken for pictures."""
    return tuple(sorted(suffix for kind in readable().values() for suffix in kind.suffixes))


def sniff(path: Path) -> str:
    """Return Pillow's name of the format that a file begins as, or "" if it is none of them."""
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError:
        return ""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], "")
    return next((name for magic, name in _MAGIC if start.startswith(magic)), "")


def unread(path: Path) -> str:
    """Return why a file that is a picture by its name or its first bytes cannot be read here.

    Returns:
        Some words for a message; "" if it can be read, or is no picture that is known here.
    """
    suffix = path.suffix.lower()
    found = sniff(path)
    named = next((name for name, kind in _FORMATS.items() if suffix in kind.suffixes), "")
    kind = _FORMATS.get(found or named)
    if kind and not kind.installed:
        return f"{kind.name}: install {kind.needs}, or save it as PNG"
    if suffix in _RAW.split():
        return RAW
    picture = suffix in _OTHERS.split() or suffix in Image.registered_extensions()
    return f"none of {text()}" if picture and suffix not in suffixes() else ""


def left_out(path: Path) -> str:
    """Return why a file in a folder of pictures is not taken; "" if it is no picture."""
    suffix = path.suffix.lower()
    if path.is_dir():
        try:
            held = any(file.suffix.lower() in suffixes() for file in path.iterdir())
        except OSError:
            held = False
        return "a folder: name it too" if held or suffix in suffixes() else ""
    if not path.is_file():
        return "no regular file" if suffix in suffixes() else ""
    if why := unread(path):
        return why
    kind = _FORMATS.get(sniff(path))
    return f"{kind.name} by its content: name it {kind.suffixes[0]}" if kind else ""


def listed(names: Iterable[tuple[str, str]], most: int = 5) -> str:
    """Return files with why they are left out, on one line: by reason, the first few by name.

    Args:
        names: (name, reason).
        most: so many names of a reason.
    """
    reasons: dict[str, list[str]] = {}
    for name, why in names:
        reasons.setdefault(why, []).append(name)
    parts = []
    for why, found in reasons.items():
        more = f" and {len(found) - most} more" if len(found) > most else ""
        parts.append(f"{', '.join(found[:most])}{more} ({why})")
    return "; ".join(parts)
