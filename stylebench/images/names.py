"""Pictures by name: the built-in ones and the user's files, at the working size.

What to load is written as a reference: an absolute path, or ``builtin:<name>``.
"""

import contextlib
import errno
import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stylebench.errors import InputError, suggestion
from stylebench.files import sha256
from stylebench.images import formats
from stylebench.images.builtin import PAINTINGS, PHOTOGRAPHS, builtin
from stylebench.images.decode import (
    MAX_SIDE,
    MIN_SIDE,
    Picture,
    Resize,
    check_file,
    is_amended,
    long_side,
    read_file,
    reason,
)

Role = Literal["content", "style", "photograph", "mask", "start"]
ROLES: tuple[Role, Role] = ("content", "style")
"""Of a pair."""

PREFIX = "builtin:"


@dataclass(frozen=True)
class ImageSource:
    """One picture of a sweep: `name` for tables, `ref` for `read` and `digest`."""

    name: str
    ref: str


def resolve(
    value: str, role: Role, tell: Callable[[str], None] = lambda text: None
) -> list[ImageSource]:
    """Return the pictures that one value of ``--content`` or ``--style`` names, in order.

    Args:
        value: a built-in's name (with or without ``builtin:``), ``builtin`` for all photographs
            (content) or all painted styles (style), a file, a folder, or a comma list of these.
            A path that exists is taken whole, commas and all. A bare name without a suffix or a
            separator means the built-in first.
        role: which flag it came from.
        tell: called with a line for every folder of which something is left out.

    Raises:
        InputError: a name that is none of these, or a folder without pictures.
    """
    whole = _existing(value, role) is not None
    items = [value] if whole else [item.strip() for item in value.split(",")]
    return [source for item in items for source in _resolve_item(item, role, tell)]


def _resolve_item(item: str, role: Role, tell: Callable[[str], None]) -> list[ImageSource]:
    if not item:
        raise InputError(f"{role} has an empty entry; give a file, a folder or a built-in image")
    if item == "builtin":
        names = list(PHOTOGRAPHS if role in ("content", "photograph") else PAINTINGS)
        return [ImageSource(name, PREFIX + name) for name in names]
    name = item.removeprefix(PREFIX)
    if name in PHOTOGRAPHS or name in PAINTINGS:
        return [ImageSource(name, PREFIX + name)]
    path = None if item.startswith(PREFIX) else _existing(item, role)
    if path is None:
        raise InputError(
            f"{role} {item!r} is neither a file, a folder nor a built-in image"
            f"{suggestion(name, [*PHOTOGRAPHS, *PAINTINGS])} (stylebench ls images)"
        )
    files = _folder_files(path, role, tell) if path.is_dir() else [path]
    return [ImageSource(_printable(file.stem), _reference(file, role)) for file in files]


def _reference(file: Path, role: Role) -> str:
    """Return the absolute path of a file, as text that any table and manifest can hold."""
    ref = str(file.resolve())
    try:
        ref.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{role} {ref!r}: expected a file name in UTF-8, found other bytes; rename it"
        ) from None
    return ref


def _existing(text: str, role: Role) -> Path | None:
    """Return the path that `text` spells, or None where there is nothing."""
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError, RuntimeError):
        return None  # ValueError: a NUL character; RuntimeError: ~ of a user who does not exist
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # a long comma list is not a path
            return None
        raise InputError(f"{role} {text!r} cannot be read: {reason(error)}") from error
    return path


def _folder_files(folder: Path, role: Role, tell: Callable[[str], None]) -> list[Path]:
    """Return the pictures in a folder, in order; `tell` is told which are left out, and why."""
    name = f"{role} folder {str(folder)!r}"
    try:
        files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
        taken = [f for f in files if f.suffix.lower() in formats.suffixes() and f.is_file()]
        others = {f: formats.left_out(f) for f in sorted({*files}.difference(taken))}
    except OSError as error:
        raise InputError(f"{name} cannot be read: {reason(error)}") from error
    left = formats.listed((_printable(f.name), why) for f, why in others.items() if why)
    if not taken:
        found = f"left out: {left}" if left else f"expected files that end in {_suffixes()}"
        raise InputError(f"{name} holds no pictures; {found}")
    if left:
        tell(f"{name}: left out: {left}")
    return taken


def _suffixes() -> str:
    return " ".join(formats.suffixes())


def _printable(name: str) -> str:
    """Return `name` with what no table or terminal can show replaced by U+FFFD."""
    return "".join(char if char.isprintable() else "\ufffd" for char in name)


def unique_names(sources: Sequence[ImageSource]) -> list[ImageSource]:
    """Return `sources` without repeated references and with names that differ, in order.

    Built-ins keep their names. Files that share a name get their folder in front
    (``holiday-cat``), then their suffix behind, then a second folder, and at last a number.
    """
    kept = list({source.ref: source for source in sources}.values())
    labels = [_labels(source) for source in kept]
    names = [choices[0] for choices in labels]
    for level in range(1, 4):
        clashes = {name for name, count in Counter(names).items() if count > 1}
        names = [
            choices[min(level, len(choices) - 1)] if name in clashes else name
            for name, choices in zip(names, labels, strict=True)
        ]
    taken: set[str] = {source.name for source in kept if source.ref.startswith(PREFIX)}
    for index, source in enumerate(kept):
        if not source.ref.startswith(PREFIX):
            name, number = names[index], 2
            while names[index] in taken:
                names[index], number = f"{name}-{number}", number + 1
            taken.add(names[index])
    return [ImageSource(name, source.ref) for name, source in zip(names, kept, strict=True)]


def _labels(source: ImageSource) -> list[str]:
    if source.ref.startswith(PREFIX):
        return [source.name]
    path = Path(source.ref)
    parent, grandparent = path.parent.name, path.parent.parent.name
    labels = [
        source.name,
        f"{parent}-{path.stem}",
        f"{parent}-{path.name}",
        f"{grandparent}-{parent}-{path.name}",
    ]
    return [_printable(label) for label in labels]


def read(ref: str, size: int, *, resize: Resize = "aspect") -> Picture:
    """Return a picture at the working size.

    Args:
        ref: an absolute path or ``builtin:<name>``.
        size: the long side in px.
        resize: ``"aspect"`` keeps the aspect ratio (as ``-image_size`` of jcjohnson's
            neural-style does), ``"squash"`` gives `size` × `size`. Lanczos either way; small
            pictures are enlarged.

    Returns:
        uint8 (H, W, 3), sRGB by the colour space that a file states (built-ins: as stored),
        upright by its EXIF orientation, transparency on white.

    Raises:
        InputError: the file is missing, empty, damaged, no picture, under 16 px on a side before
            or after resizing, or over 100 million pixels (refused before it is decoded); a size
            out of range.
    """
    if not MIN_SIDE <= size <= MAX_SIDE:
        raise InputError(f"size must be from {MIN_SIDE} to {MAX_SIDE} px, not {size}")
    if not ref.startswith(PREFIX):
        return read_file(Path(ref), size, resize)
    return builtin(ref.removeprefix(PREFIX)).render(size, resize)


def own_size(ref: str) -> int:
    """Return the long side of a picture as it is in its file, in px; arguments as of `read`."""
    if not ref.startswith(PREFIX):
        return long_side(Path(ref))
    return long_side(builtin(ref.removeprefix(PREFIX)).path)


def digest(ref: str, size: int) -> str:
    """Return what identifies the content of a picture: 32 hexadecimal digits of a SHA-256.

    Args:
        ref: an absolute path or ``builtin:<name>``.
        size: the long side in px; it matters for built-ins only.

    Returns:
        The hash of a file's bytes, or of a built-in's shape and pixels at `size`. Files of which
        earlier versions took other pixels, knowing no colour profiles, have another than then.

    Raises:
        InputError: the file cannot be read.
    """
    if ref.startswith(PREFIX):
        return _of_pixels(ref, size)
    path = Path(ref)
    check_file(path)
    try:
        found = sha256(path)
        if is_amended(path):
            found = hashlib.sha256(f"{found} in sRGB".encode()).hexdigest()
        return found[:32]
    except OSError as error:
        raise InputError(f"image {ref!r} cannot be read: {reason(error)}") from error


def check_output(output: Path, pictures: Mapping[str, str]) -> None:
    """Raise InputError where an output is one of the pictures that it is made of.

    Args:
        output: to be written.
        pictures: what they are referred to by -> name.
    """
    for ref, name in pictures.items():
        same = False
        with contextlib.suppress(OSError, ValueError):  # no such file, as that of a built-in
            same = output.samefile(ref)
        if same:
            raise InputError(
                f"--output {str(output)!r} is {name}, of which the result is made; give another "
                "name"
            )


@functools.lru_cache(maxsize=1000)
def _of_pixels(ref: str, size: int) -> str:
    """Return the digest of a built-in picture, of a package that nobody changes meanwhile."""
    picture = read(ref, size)
    hashed = hashlib.sha256(f"{picture.shape}".encode())
    hashed.update(picture.data)
    return hashed.hexdigest()[:32]
