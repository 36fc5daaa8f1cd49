"""TIFF: which of its pictures is meant, and samples that Pillow takes for others.

Pillow reads what it reads right. What it does not know, or reads wrong, tifffile reads where it is
plain: unsigned grey or RGB of 8 or 16 bits, not compressed, so that no file grows in memory.
"""

import contextlib
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImagePalette
from PIL.TiffImagePlugin import IFDRational

from stylebench.errors import InputError
from stylebench.images import formats
from stylebench.images.formats import Opened

if TYPE_CHECKING:
    from tifffile import TiffPage

logging.getLogger("tifffile").addHandler(logging.NullHandler())
_MAX_PAGES = 1000
_REDUCED, _MASK = 1, 4  # bits of the tag NewSubfileType
_OLD_REDUCED = 2  # of the tag SubfileType
_CFA, _LINEAR_RAW = 32803, 34892
_OLD_SUBFILE_TYPE, _ORIENTATION, _COLOR_MAP, _SUBSAMPLING = 255, 274, 320, 530
_EXIF, _DNG_VERSION, _COLOR_SPACE = 34665, 50706, 0xA001
_COLOURS = (301, 318, 319, 34675)  # transfer function, white point, primaries, ICC profile
_RATIONALS = (5, 10)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_SIGNED, _FLOAT = 2, 3
_PREMULTIPLIED, _STRAIGHT = 1, 2
_SEPARATE = 2


def to_8_bits(values: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint8]:
    """Return unsigned values of up to 16 bits, rounded to 8."""
    found, most = np.empty(values.shape, np.uint8), (1 << bits) - 1
    for row in range(0, len(values), 64):  # few at a time: 100 million values are 400 MB in 32 bits
        wide = values[row : row + 64].astype(np.uint32)
        found[row : row + 64] = (wide * 255 + most // 2) // most
    return found


@contextlib.contextmanager
def opened(path: Path, shown: Path) -> Iterator[Opened]:
    """Open the full picture of a TIFF file.

    Args:
        path: the file.
        shown: how messages name it.

    Raises:
        InputError: a camera's raw file, a thumbnail alone, or samples that cannot be read.
    """
    import tifffile

    with path.open("rb") as start:
        if start.read(10)[8:] == b"CR":  # Canon's raw files have this in their headers
            raise InputError(f"image {str(shown)!r} is {formats.RAW}")
    with contextlib.ExitStack() as stack:
        page, by_tifffile = None, False
        frame: int | None = 0
        try:
            file = stack.enter_context(tifffile.TiffFile(path))
            page, frame = _full_picture(file, shown)
            by_tifffile = _check_samples(page, shown) or frame is None
        except InputError:
            raise
        except Exception:  # what is damaged for tifffile may be a picture for Pillow
            page = None
        if not by_tifffile:
            try:
                image = stack.enter_context(Image.open(path, formats=["TIFF"]))
                image.seek(frame or 0)
            except Exception:
                if page is None:
                    raise
            else:
                yield _by_pillow(image, frame)
                return
        yield _by_tifffile(page, shown)


def _refuse(shown: Path, what: str, wanted: str = "8 or 16 bits a channel") -> InputError:
    return InputError(f"image {str(shown)!r} holds {what}; expected {wanted}: export it as PNG")


def _full_picture(file: Any, shown: Path) -> tuple["TiffPage", int | None]:
    """Return the first page that is neither a thumbnail nor a mask, and its number for Pillow.

    Pillow has no number for pages that stand below another (the tag SubIFDs).

    Raises:
        InputError: a camera's raw file, or thumbnails alone.
    """
    pages = list(itertools.islice(file.pages, _MAX_PAGES))
    below = [sub for page in pages if page.subifds for sub in page.pages or ()]
    sensors = any(int(page.photometric) in (_CFA, _LINEAR_RAW) for page in (*pages, *below))
    if sensors or _DNG_VERSION in pages[0].tags:
        raise InputError(f"image {str(shown)!r} is {formats.RAW}")
    for frame, page in [*enumerate(pages), *((None, page) for page in below)]:
        if not _is_secondary(page):
            return page, frame
    raise InputError(
        f"image {str(shown)!r} holds small versions of a picture alone; expected the full one: "
        "export it as PNG"
    )


def _is_secondary(page: "TiffPage") -> bool:
    """Tell whether a page is a smaller version of another, or the mask of one."""
    old = page.tags.valueof(_OLD_SUBFILE_TYPE)
    return bool(int(page.subfiletype) & (_REDUCED | _MASK)) or old == _OLD_REDUCED


def _check_samples(page: "TiffPage", shown: Path) -> bool:
    """Tell whether Pillow reads a page wrong; InputError for what tifffile does not read either."""
    kind, bits = int(page.sampleformat or 1), page.bitspersample
    if kind >= _FLOAT and kind != 4:
        raise _refuse(shown, "floating-point values")
    if kind == _SIGNED and bits != 32:  # as which Pillow saves grey of 16 bits
        raise _refuse(shown, f"signed values of {bits} bits")
    samples, separate = page.samplesperpixel, int(page.planarconfig or 1) == _SEPARATE
    if int(page.photometric) == _YCBCR and int(page.compression) == 1:
        steps = page.tags.valueof(_SUBSAMPLING, (2, 2))
        if tuple(steps) != (1, 1):
            raise _refuse(shown, "subsampled YCbCr that is not compressed")
    return bool(separate and samples > 1 and bits != 8)


def _by_pillow(image: Image.Image, frame: int | None) -> Opened:
    """Return what Pillow opened, with what it takes for granted of palettes and grey put right."""
    tags: Any = getattr(image, "tag_v2", {})
    bits, white_is_zero = tags.get(258, (1,))[0], tags.get(262) == _WHITE_IS_ZERO
    colours = tags.get(_COLOR_MAP, ())
    grey = image.mode.startswith("I;16") and (bits < 16 or white_is_zero)
    narrow = image.mode == "P" and colours and max(colours) < 256  # as libtiff's checkcmap

    def load() -> Image.Image:
        image.load()
        if narrow:
            image.putpalette(ImagePalette.raw("RGB;L", bytes(colours)).getdata()[1], "RGB;L")
        if image.mode == "La":
            return image.convert("LA")
        if not grey:
            return image
        values = to_8_bits(np.asarray(image), bits)
        made = Image.fromarray(np.invert(values) if white_is_zero else values)
        made.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
        return made

    amended = bool(grey or narrow or frame or image.mode == "La")
    return Opened(image, image.size, load, amended)


def _header(page: Any, mode: str) -> Image.Image:
    """Return a picture without pixels that states its colours: tags by number, in `info`."""
    header = Image.new(mode, (1, 1))
    header.format = "TIFF"
    info: dict[Any, Any] = header.info
    for tag in (tag for tag in page.tags if tag.code in _COLOURS):
        value = tag.value
        if isinstance(value, np.ndarray):  # transfer functions
            value = tuple(value.ravel().tolist())
        if tag.dtype in _RATIONALS:
            value = tuple(map(IFDRational, value[::2], value[1::2]))
        info[tag.code] = value
    exif = page.tags.valueof(_EXIF)
    if isinstance(exif, dict):
        header.getexif().get_ifd(_EXIF)[_COLOR_SPACE] = exif.get("ColorSpace")
    return header


def _by_tifffile(page: Any, shown: Path) -> Opened:
    """Return a page that Pillow does not read, or not right."""
    photometric, bits = int(page.photometric), page.bitspersample
    colours = 3 if photometric == _RGB else 1
    extra = [int(kind) for kind in page.extrasamples or ()][: page.samplesperpixel - colours]
    alpha = bool(extra) and extra[0] in (_PREMULTIPLIED, _STRAIGHT)
    plain = (
        photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
        and bits in (8, 16)
        and int(page.compression) == 1
        and page.samplesperpixel >= colours
        and page.imagedepth == 1
        and not (alpha and photometric == _WHITE_IS_ZERO)
        and sum(page.databytecounts) <= page.nbytes + (1 << 20)
    )
    if not plain:
        name = getattr(page.photometric, "name", "unknown")
        packed = "" if int(page.compression) == 1 else f", {page.compression.name} compression"
        what = f"{page.samplesperpixel} × {bits} bits ({name}{packed})"
        raise _refuse(shown, what, "grey or RGB of 8 or 16 bits, here not compressed")
    modes = {1: ("L", "LA", "La"), 3: ("RGB", "RGBA", "RGBa")}[colours]
    header = _header(page, modes[alpha])
    orientation = page.tags.valueof(_ORIENTATION)

    def load() -> Image.Image:
        values = page.asarray()
        if int(page.planarconfig or 1) == _SEPARATE and values.ndim == 3:
            values = np.moveaxis(values, 0, -1)
        values = values.reshape(page.imagelength, page.imagewidth, -1)[..., : colours + alpha]
        values = values if bits == 8 else to_8_bits(values, bits)
        values = np.invert(values) if photometric == _WHITE_IS_ZERO else values
        size = (page.imagewidth, page.imagelength)
        mode = modes[2 if alpha and extra[0] == _PREMULTIPLIED else alpha]
        made = Image.frombytes(mode, size, np.ascontiguousarray(values).tobytes())
        made = made.convert(modes[1]) if alpha else made
        made.getexif()[_ORIENTATION] = orientation or 1
        return made

    return Opened(header, (page.imagewidth, page.imagelength), load, amended=True)
