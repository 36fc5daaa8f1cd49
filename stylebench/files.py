"""Files: the one door to those of a results folder, and what comes with the package.

A results folder may come from a stranger. The way of the data:
1. a caller names a file by its path, and the results folder that it is of, the `root`;
2. the root is opened wherever it is, as the user named it; all below it, folder by folder, is
   opened in the folder before, and never through a symbolic link;
3. what is read is a regular file of a stated size at most: no pipe, no device, no socket;
4. what is written goes into a new file of a random name, which takes the place of the old one;
5. so nothing outside the root is read or written, and a reader sees the old file or the new one.
"""

import contextlib
import errno
import fnmatch
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from stylebench.errors import InputError, describe

PACKAGE = Path(__file__).resolve().parent
TEMPORARY = f".{'[0-9a-f]' * 16}.part"
"""What files are called until they are whole."""
MOST = 1 << 28
"""Bytes of a file that is read as a whole."""

STALE = 86400.0
"""Seconds after which a temporary file is that of a process which was killed."""
_TIDY: set[tuple[int, int]] = set()
"""Folders (device, inode) that this process has tidied."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
KINDS = {
    stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device",
}  # fmt: skip
ABSENT = (FileNotFoundError, NotADirectoryError)
"""What is raised where there is no file: it was not written, or its folder is none."""


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


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    """Return the names on the way from the root to a path; InputError if it leads out of it."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ("..",)
    try:
        nameless = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        nameless = True
    if ".." in parts or nameless:
        raise InputError(f"{str(path)!r} is outside of {str(root)!r}, where alone it is looked for")
    return parts


def _check_kind(name: str, folder: int, path: Path, kind: int) -> None:
    """Raise InputError unless a name in a folder is of a kind; a file is no folder to be found."""
    found = stat.S_IFMT(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    if found == stat.S_IFREG and kind == stat.S_IFDIR:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
    if found != kind:
        wanted = "a folder" if kind == stat.S_IFDIR else "a regular file"
        why = "; links in a results folder are not followed" if found == stat.S_IFLNK else ""
        raise InputError(
            f"{str(path)!r} is {KINDS.get(found, 'no file')}, expected {wanted}{why}: remove it"
        )


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Have errors of the system name a path: those of descriptors name none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Tell in one line what keeps a file from being read, other than that there is none."""
    try:
        yield
    except ABSENT:
        raise
    except OSError as error:
        reason = (error.strerror or describe(error)).lower()
        raise InputError(
            f"{str(path)!r} cannot be read: {reason}; what is in it is not known, so nothing is "
            "done: see that it can be read, and run again"
        ) from error


@contextlib.contextmanager
def _folder(path: Path, root: Path, *, make: bool = False) -> Iterator[int]:
    """Yield a descriptor of a folder, which no link below the root leads to."""
    here, at = os.open(root, _FOLDER), root
    try:
        for name in _parts(path, root):
            at /= name
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=here)
            _check_kind(name, here, at, stat.S_IFDIR)
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def opened(path: Path, root: Path | None = None) -> BinaryIO:
    """Open a file to be read, through the door.

    Args:
        path: of the file.
        root: the results folder that it is of; by default the folder that it is in.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        InputError: it is outside the root, no regular file, or cannot be read.
    """
    root = path.parent if root is None else root
    if not _parts(path, root):
        raise InputError(f"{str(path)!r} is a folder, expected a regular file")
    with readable(path), _named(path), _folder(path.parent, root) as folder:
        _check_kind(path.name, folder, path, stat.S_IFREG)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.fdopen(os.open(path.name, flags, dir_fd=folder), "rb")


def read(path: Path, root: Path | None = None, most: int = MOST) -> bytes:
    """Return the bytes of a file, at most so many; arguments and errors as of `opened`."""
    with opened(path, root) as file, readable(path):
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(
            f"{str(path)!r} has over {most:,} bytes, which none of ours has: remove it"
        )
    return data


def read_text(path: Path, root: Path | None = None) -> str:
    """Return a text in UTF-8, as `read`; other bytes raise UnicodeDecodeError."""
    return read(path, root).decode("utf-8")


def size(path: Path, root: Path | None = None) -> int:
    """Return the bytes that a file has, which can be read; arguments and errors as of `opened`."""
    with opened(path, root) as file:
        return os.fstat(file.fileno()).st_size


def listed(folder: Path, root: Path | None = None, pattern: str = "[!.]*") -> list[Path]:
    """Return what a folder holds, by name: hidden files are not in it, nor is what is not there.

    Args:
        folder: reached through no link below the root.
        root: the results folder that it is of; by default itself.
        pattern: of the names.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with readable(folder), _named(folder), _folder(folder, root or folder) as here:
            names = [entry.name for entry in os.scandir(here)]
    except ABSENT:
        return []
    return [folder / name for name in sorted(names) if fnmatch.fnmatchcase(name, pattern)]


def make_folder(path: Path, root: Path) -> None:
    """Make a folder, and those on the way to it, in a root that is there."""
    with _named(path), _folder(path, root, make=True):
        pass


def exists(path: Path, root: Path | None = None) -> bool:
    """Tell whether there is a file that can be read; arguments and errors as of `opened`."""
    try:
        opened(path, root).close()
    except ABSENT:
        return False
    return True


def not_links(folders: Iterable[Path]) -> list[Path]:
    """Return folders that were found in another; InputError if one is a link to elsewhere."""
    found = list(folders)
    for link in filter(Path.is_symlink, found):
        raise InputError(
            f"{str(link)!r} is a symbolic link; in a folder of results folders links are not "
            "followed: name what it leads to by itself"
        )
    return found


def check_own(path: Path, root: Path) -> None:
    """Check what a library will write in place: a file of one name, or a folder without links.

    A file that has a second name (a hard link) would change under that name too. Nothing there is
    as it should be.

    Raises:
        InputError: it is something else, or cannot be read.
    """
    if path.is_dir() and not path.is_symlink():
        for below in listed(path, root, "*"):
            check_own(below, root)
        return
    try:
        with opened(path, root) as file:
            names = os.fstat(file.fileno()).st_nlink
    except ABSENT:
        return
    if names > 1:
        raise InputError(
            f"{str(path)!r} has {names} names (hard links), expected one, as it is written in "
            "place: put a copy of it there"
        )


@contextlib.contextmanager
def appending(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that is open for more, and made if need be; what it holds is kept.

    Raises:
        InputError: it is no regular file.
    """
    with _named(path), _folder(path.parent, path.parent) as folder:
        with contextlib.suppress(FileNotFoundError):
            _check_kind(path.name, folder, path, stat.S_IFREG)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        number = os.open(path.name, flags, 0o666, dir_fd=folder)
    with os.fdopen(number, "ab") as file:
        yield file


def _tidy(folder: int) -> None:
    """Remove temporary files that killed processes left in a folder a day ago, once a process."""
    status = os.fstat(folder)
    if (status.st_dev, status.st_ino) in _TIDY:
        return
    _TIDY.add((status.st_dev, status.st_ino))
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if fnmatch.fnmatchcase(entry.name, TEMPORARY):
                made = os.stat(entry.name, dir_fd=folder, follow_symlinks=False).st_mtime
                if time.time() - made >= STALE:
                    os.unlink(entry.name, dir_fd=folder)


def tidy(folder: Path, root: Path) -> None:
    """Remove temporary files that killed processes left in a folder, which need not be there.

    `replacing` does so wherever it writes; this is for folders into which it need not write again.
    """
    with contextlib.suppress(*ABSENT), readable(folder), _named(folder), _folder(folder, root) as n:
        _tidy(n)


@contextlib.contextmanager
def replacing(path: Path, root: Path | None = None) -> Iterator[BinaryIO]:
    """Yield a new, empty file in the same folder, which takes the place of `path` in the end.

    So a file is the old one or the whole new one, even when the disk is full or the block fails;
    where `path` is a link, or one name of several, what else it leads to is left alone.

    Args:
        path: of the file.
        root: the results folder that it is of, in which folders are made as need be; by default
            the folder that it is in.
    """
    temporary = f".{secrets.token_hex(8)}.part"
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
    with contextlib.ExitStack() as opened_folder:
        with _named(path):
            parts = _parts(path, path.parent if root is None else root)
            place = _folder(path.parent, root or path.parent, make=root is not None)
            folder = opened_folder.enter_context(place)
            _tidy(folder)
            number = os.open(temporary, flags, 0o666, dir_fd=folder)
        try:
            with os.fdopen(number, "wb") as file:
                yield file
            with _named(path):
                os.replace(temporary, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)


def remove(path: Path, root: Path) -> None:
    """Remove a regular file of a root; what is no such file, or not there, is left alone."""
    with contextlib.suppress(*ABSENT), _named(path), _folder(path.parent, root) as folder:
        if stat.S_ISREG(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(path.name, dir_fd=folder)


def write_text(path: Path, text: str, root: Path | None = None) -> None:
    """Write a text file in UTF-8, whole or not at all; `root` as of `replacing`."""
    with replacing(path, root) as file:
        file.write(text.encode("utf-8"))


def open_no_link(path: str, flags: int) -> int:
    """Open a file as `open` asks, if it is not a symbolic link: an ``opener`` for `open`."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
