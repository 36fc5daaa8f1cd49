"""Picture files: decoding whatever users have into 8-bit RGB, and saving.

A picture is an array of uint8, shape (H, W, 3), RGB. Everything that can be wrong with a file
raises InputError with one line that says what was expected, what was found and what to do.
"""

import logging
import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from stylebench.config import SIDES
from stylebench.errors import InputError, describe, is_full
from stylebench.files import replacing
from stylebench.images import colour, formats, png, profiles, tiff
from stylebench.images.formats import Opened

Picture = npt.NDArray[np.uint8]
Resize = Literal["aspect", "squash"]

MIN_SIDE, MAX_SIDE = SIDES
"""Of the working size."""
MAX_PIXELS = 100_000_000
MAX_BYTES = 16 * MAX_PIXELS
"""Of a file: four channels in float32, not compressed."""
_ONE = threading.Lock()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # its remarks are told as errors, or not

_UPRIGHT = {  # EXIF orientation (TIFF 6.0, tag 274) -> what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


SAVED = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Suffixes of pictures that are written -> their kinds."""


def check_saved(output: Path) -> None:
    """Raise InputError for an ``--output`` that is no name of a picture."""
    if output.suffix.lower() not in SAVED:
        raise InputError(f"--output expects a name in .png, .jpg or .jpeg, found {str(output)!r}")


def save(path: Path, array: Picture, quality: int = 92, root: Path | None = None) -> None:
    """Write a picture as PNG or JPEG, by the suffix of `path`, all or nothing.

    Args:
        path: where to; the folder is made if need be.
        array: uint8 (H, W, 3), RGB.
        quality: of a JPEG, 1 to 95.
        root: the results folder that it is of, as `stylebench.files.replacing` takes it.

    Raises:
        InputError: another suffix, another kind of array, or a place that cannot be written.
        OSError: the disk is full.
    """
    kind = SAVED.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"cannot save {str(path)!r}: expected a name in .png, .jpg or .jpeg")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"expected uint8 (H, W, 3), found {array.dtype} {array.shape}")
    options = {"quality": quality, "optimize": True} if kind == "JPEG" else {}
    try:
        if root is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, root) as file:
            Image.fromarray(np.ascontiguousarray(array)).save(file, format=kind, **options)
    except OSError as error:
        if is_full(error):
            raise
        raise InputError(f"cannot save {str(path)!r}: {reason(error)}") from error


def read_file(
    path: Path, size: int, resize: Resize, shown: Path | None = None, *, converted: bool = True
) -> Picture:
    """Return the picture in a file at the working size; see `stylebench.images.read`.

    Args:
        path: the file.
        size: the long side in px.
        resize: keep the aspect ratio, or squash to a square.
        shown: how messages name the file, if not by `path`.
        converted: to sRGB from the colour space that the file states; else the values as they are.

    Raises:
        InputError: the file cannot be read, or the picture is of no use.
    """
    check_file(path)
    shown = shown or path
    with _opened(path, shown) as opened:
        _target(shown, opened.size, size, resize)
        icc = profiles.find(opened.header, path, shown) if converted else None
        with _silent():
            image = opened.load()
        rgb = _to_rgb(shown, _upright(image), icc)
    return _resized(shown, rgb, size, resize)


def long_side(path: Path) -> int:
    """Return the long side of the picture in a file in px; InputError for what is no picture."""
    check_file(path)
    with _opened(path, path) as opened:
        return max(opened.size)


def is_amended(path: Path) -> bool:
    """Tell whether versions before 0.1 had other pixels of a file: see `stylebench.images.digest`.

    They knew no colour profiles, and not all samples of TIFF and PNG.
    """
    try:
        with _opened(path, path) as opened:
            return opened.amended or bool(profiles.find(opened.header, path, path))
    except InputError:
        return False


@contextmanager
def _opened(path: Path, shown: Path) -> Iterator[Opened]:
    """Open a picture file and read its header; whatever goes wrong within is an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata and large files
            if formats.sniff(path) == "TIFF":
                with tiff.opened(path, shown) as opened:
                    yield opened
            else:
                with Image.open(path, formats=list(formats.readable())) as image:
                    yield _by_pillow(image, path)
    except InputError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        _refuse(path, shown, error)


def _by_pillow(image: Image.Image, path: Path) -> Opened:
    def load() -> Image.Image:
        image.load()
        return png.transparent(image, path) if image.format == "PNG" else image

    amended = image.format == "PNG" and png.is_amended(image, path)
    return Opened(image, image.size, load, amended)


def _resized(path: Path, rgb: Image.Image, size: int, resize: Resize) -> Picture:
    target = _target(path, rgb.size, size, resize)
    return np.array(rgb if rgb.size == target else rgb.resize(target, Image.Resampling.LANCZOS))


def fit(image: Image.Image, shown: str, size: int, resize: Resize) -> Picture:
    """Return a picture of Pillow's at the working size, as `read_file` does that of a file.

    Args:
        image: of any mode.
        shown: what messages call it.
        size: the long side in px.
        resize: keep the aspect ratio, or squash to a square.
    """
    path = Path(shown)
    icc = profiles.find(image, None, path)
    if icc:
        image = image.copy()  # the caller's stays as it is
    return _resized(path, _to_rgb(path, _upright(image), icc), size, resize)


@contextmanager
def _silent() -> Iterator[None]:
    """Send to nowhere what libtiff and its like write to standard error, past Python.

    One thread at a time: another would take the nowhere of the first for standard error.
    """
    with _ONE:
        try:
            kept = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        if sys.stderr:
            sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def check_file(path: Path) -> None:
    """Raise InputError unless `path` is a regular file with something in it."""
    name = f"image {str(path)!r}"
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputError(f"{name} does not exist; check the path") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name} is a folder; expected a {formats.text()} file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name} is no regular file; expected a {formats.text()} file")
    if status.st_size == 0:
        raise InputError(f"{name} is empty (0 bytes); copy or export it again")
    if status.st_size > MAX_BYTES:
        found = f"{status.st_size:,} bytes"
        raise InputError(f"{name} has {found}; expected at most {MAX_BYTES:,}: make it smaller")


def _target(path: Path, found: tuple[int, int], size: int, resize: Resize) -> tuple[int, int]:
    """Return the size in px after resizing, as (W, H), or raise InputError on the header alone."""
    width, height = found
    name = f"image {str(path)!r} is {width}×{height} px"
    if width * height > MAX_PIXELS:
        raise InputError(f"{name}; expected at most {MAX_PIXELS:,} pixels: make it smaller first")
    if min(found) < MIN_SIDE:
        raise InputError(f"{name}; expected at least {MIN_SIDE} px on either side")
    if resize == "squash":
        return size, size
    scale = size / max(found)
    target = (round(width * scale), round(height * scale))
    if min(target) < MIN_SIDE:
        raise InputError(
            f"{name}: at size {size} its short side would be {min(target)} px, expected at least "
            f"{MIN_SIDE}; crop it or choose a larger size"
        )
    return target


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(274)
    except Exception:  # a damaged EXIF block does not make the picture unreadable
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_rgb(path: Path, image: Image.Image, icc: bytes | None = None) -> Image.Image:
    """Return the picture in 8-bit RGB, whatever its mode; `icc` is the profile of its colours."""
    if image.mode == "F":
        raise InputError(
            f"image {str(path)!r} holds floating-point values; expected 8 or 16 bits a channel: "
            "export it as PNG"
        )
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65_535:
            raise InputError(
                f"image {str(path)!r} holds grey values from {values.min()} to {values.max()}; "
                "expected 0 to 65535 (16 bits): export it as PNG"
            )
        image = Image.fromarray(tiff.to_8_bits(values, 16))
    if icc:
        image = colour.to_srgb(image, icc)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        rgba = Image.alpha_composite(Image.new("RGBA", image.size, "white"), rgba)
        return rgba.convert("RGB")
    return image.convert("RGB")


def _refuse(path: Path, shown: Path, error: Exception) -> NoReturn:
    """Raise the InputError that tells what Pillow's `error` means for the user."""
    name = f"image {str(shown)!r}"
    kind = formats.sniff(path)
    known = formats.readable().get(kind)
    if isinstance(error, Image.DecompressionBombError):
        text = f"{name} is too large; expected at most {MAX_PIXELS:,} pixels: make it smaller first"
    elif isinstance(error, UnidentifiedImageError) and known:
        text = f"{name} is a {known.name} that is damaged or of a kind that cannot be read; "
        text += "export it as PNG"
    elif isinstance(error, UnidentifiedImageError):
        why = formats.unread(path)
        text = f"{name} is not a picture that can be read"
        text += f" ({why})" if why else f"; expected {formats.text()}"
    elif isinstance(error, OSError) and error.errno is not None:
        text = f"{name} cannot be read: {reason(error)}"
    elif _is_unknown_kind(error):
        text = f"{name} is of a kind that cannot be read ({describe(error)}); export it as PNG"
    else:
        text = f"{name} is damaged or cut off ({describe(error)}); copy or export it again"
    raise InputError(text) from error


def _is_unknown_kind(error: Exception) -> bool:
    """Tell whether Pillow says that it does not know what a file holds, not that it is broken."""
    return "unsupported" in str(error).lower() or "not supported" in str(error).lower()


def reason(error: OSError) -> str:
    """Return what went wrong in the words of the system, on one line."""
    return (error.strerror or describe(error)).lower()
