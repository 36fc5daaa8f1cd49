"""Files: written whole or not at all, their sha256, and those that come with the package."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def locate(name: str) -> Path | None:
    """Return where a file or folder of the project is: ``analysis``, ``experiments`` or in docs.

    An installed package holds the two folders as ``_analysis`` and ``_experiments``. In a checkout
    they are beside the package; what lies beside an installed one is another's.
    """
    inside, beside = PACKAGE / f"_{name}", PACKAGE.parent / name
    if inside.exists():
        return inside
    checkout = (PACKAGE.parent / "pyproject.toml").is_file()
    return beside if checkout and beside.exists() else None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new, empty file in the same folder, which takes the place of `path` in the end.

    So a file is the old one or the whole new one, even when the disk is full or the block fails;
    where `path` is a link, the link is replaced and what it leads to is left alone.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def open_no_link(path: str, flags: int) -> int:
    """Open a file as `open` asks, if it is not a symbolic link: an ``opener`` for `open`."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
