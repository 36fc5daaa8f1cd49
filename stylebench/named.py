"""Files and folders that a user names: they may be links and pipes, as those of `files` may not."""

import os
import select
import stat
import time
from collections.abc import Collection
from pathlib import Path

from stylebench import files
from stylebench.errors import InputError, describe, some

PRINTED = (".log", ".out", ".err", ".jsonl")
"""Ends of names of files into which people send what a command prints."""
PATIENCE = 10.0
"""Seconds in which something must come out of a pipe that a user names."""
WHOLE = 60.0
"""Seconds in which all of it must: one that has a byte now and then is never silent."""


def expanded(text: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` replaced by the user's home, or as it is where nobody knows one."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def read(path: Path, what: str, most: int) -> str:
    """Return the text of a file that a user names: through links, or out of a pipe.

    Args:
        path: of the file.
        what: is expected, in words.
        most: bytes.

    Raises:
        InputError: it cannot be read, is no UTF-8, has over `most` bytes, or is a pipe out of which
            nothing comes, or not all.
    """
    expected, data, began = f"{str(path)!r}: expected {what}", b"", time.monotonic()
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
            while len(data) <= most:
                if not select.select([file], [], [], PATIENCE)[0]:
                    raise InputError(f"{expected}, but nothing came for {PATIENCE:.0f} s")
                if time.monotonic() - began > WHOLE:
                    raise InputError(f"{expected}, but not all of it came in {WHOLE:.0f} s")
                block = file.read(1 << 20)
                if not block:
                    return data.decode("utf-8")
                data += block
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{expected}: {(error.strerror or describe(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{expected} in UTF-8: byte {error.start + 1:,} is not") from None
    except ValueError as error:  # a NUL in the path
        raise InputError(f"{expected}: {describe(error)}") from None
    raise InputError(f"{expected} of at most {most:,} bytes")


def check_regular(path: Path, what: str) -> None:
    """Raise InputError for a path that is there and is no regular file: a pipe, a device, a folder.

    Args:
        path: that a user names; links are followed.
        what: was expected, in words.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):  # who opens it tells why
        return
    if kind != stat.S_IFREG:
        raise InputError(f"{str(path)!r}: expected {what}, found {files.KINDS[kind]}")


def check_free(folder: Path, ours: Collection[str] = (), flag: str = "--out") -> None:
    """Raise InputError for a folder that is to be written and holds files of others.

    A new or empty one is free, and so is one with hidden files alone (.DS_Store, .gitkeep) or with
    what the command itself prints, which a shell or Slurm may send there.

    Args:
        folder: to be written.
        ours: names in it of which one shows that it is ours, and free as well. Then subfolders do
            not count: ours stand beside others, as in ``results``.
        flag: that names the folder.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{flag} {str(folder)!r} is a file; expected a new or empty folder")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if any(name in names for name in ours):
        return
    others = sorted(
        repr(name)
        for name in names
        if not name.startswith(".")
        and not name.endswith(PRINTED)
        and not (ours and (folder / name).is_dir())
    )
    if others:
        wanted = ", or one that the command made" if ours else ""
        raise InputError(
            f"{flag} {str(folder)!r} holds {some(others, 1)}; expected a new or empty "
            f"folder{wanted}: name another one"
        )
