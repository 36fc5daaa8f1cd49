"""Pictures in results folders: PNG and JPEG alone, as they were written there, in RGB.

A folder may come from a stranger. Files come through the door (`stylebench.files`), their formats
run no other program, and of what they hold beside pixels (place, owner, profile) nothing is kept.
"""

import contextlib
import io
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from stylebench import files
from stylebench.errors import DamagedError, describe
from stylebench.images.decode import MAX_SIDE

FORMATS = ("PNG", "JPEG")
MOST_PIXELS = MAX_SIDE**2
"""Of a picture; no job, and no figure, has more."""
SCANS = 100
"""Of a JPEG at most; those of ours have one. Each costs as much time as the whole picture."""
_SIGNATURE, _START, _END, _SCAN = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"\xff\xd9", b"\xff\xda"


def read(path: Path, root: Path) -> Image.Image:
    """Return a picture of a results folder.

    Args:
        path: of the file.
        root: the results folder.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        DamagedError: it is no picture of ours.
        InputError: it is outside the root, no regular file, or cannot be read.
    """
    try:
        return decode(files.read(path, root))
    except DamagedError as error:
        raise DamagedError(f"{str(path)!r} is {error}") from None


def found(name: str, root: Path) -> Image.Image | None:
    """Return a picture by its path in a results folder; None if it is not there or damaged.

    Raises:
        InputError: as `read`.
    """
    try:
        return read(root / name, root) if name else None
    except (*files.ABSENT, DamagedError):
        return None


def size(path: Path, root: Path) -> tuple[int, int]:
    """Return width and height of a picture of a results folder; arguments and errors as `read`."""
    with _opened(files.read(path, root)) as image:
        return image.size


def decode(data: bytes) -> Image.Image:
    """Return the picture in the bytes of a file, in RGB and with no metadata.

    Raises:
        DamagedError: there is none in them.
    """
    with _opened(data) as image:
        made = image.convert("RGB")
    made.info.clear()
    return made


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open a picture and read its header; whatever goes wrong within is a DamagedError."""
    if data.startswith(_START) and data.count(_SCAN) > SCANS:
        raise DamagedError(f"a JPEG of over {SCANS} scans, which none of ours has")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on large files, which are refused
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DamagedError(f"{image.width}×{image.height} px, over {MOST_PIXELS:,}")
                yield image
    except DamagedError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise DamagedError(f"no picture of ours ({describe(error)})") from None


def check(data: bytes) -> None:
    """Check the bytes of a file without decoding them: its header, and whether all was written.

    Raises:
        DamagedError: it is no picture of ours, or not whole.
    """
    with _opened(data):
        if not _is_whole(data):
            raise DamagedError("a picture that is not whole")


def _is_whole(data: bytes) -> bool:
    """Tell whether all of a PNG or JPEG was written: by the sums in a PNG, the end of a JPEG."""
    if not data.startswith(_SIGNATURE):
        return data.endswith(_END)
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND" and len(data) >= at + 12:
        end = at + 8 + int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        at = end + 4
    return kind == b"IEND"
