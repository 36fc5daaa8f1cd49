"""Downloads of weights over HTTP: resumed after a break, checked, moved into place at once."""

import http.client
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from stylebench import files
from stylebench.errors import UnavailableError, describe
from stylebench.weights.files import sha256

TIMEOUT = 10.0
"""Seconds without an answer, or without a byte, after which a connection is given up."""
TRIES = 5
"""Connections for one file, at most; more than one only if the server began to answer."""
PAUSE = 1.0
"""Seconds between two tries."""
WINDOW, SLOWEST = 30.0, 1000.0
"""Seconds over which the speed is looked at, and bytes a second below which a connection is given
up: a server that sends a byte now and then would never be silent."""
_BLOCK = 1 << 18

Found = tuple[str, Path]
"""The source of weights, as tables show it, and the file."""


class DamagedError(UnavailableError):
    """A file that is on this machine, but is not what it must be."""

    def __init__(self, found: Found, problem: str) -> None:
        super().__init__(f"{found[0]} is damaged: {found[1]}: {problem}")
        self.found, self.problem = found, problem


def stated(name: str) -> str:
    """Return the first digits of its sha256 that a file's name states, as in torch.hub, if any."""
    found = re.search(r"-([0-9a-f]{8,})\.", name)
    return found[1] if found else ""


def have(found: Found, digest: str, offline: bool) -> bool:
    """Return whether a file is on this machine, with a sha256 that begins so.

    Raises:
        UnavailableError: it is not, and `offline`.
    """
    source, path = found
    there = path.is_file()
    begins = sha256(path)[: len(digest)] if there else ""
    if there and begins == digest:
        return True
    if offline and there:
        raise DamagedError(found, f"expected sha256 {digest[:12]}, found {begins[:12]}")
    if offline:
        raise UnavailableError(f"{source} is not on this machine")
    return False


class _BrokenError(Exception):
    """A transfer that stopped early, or a server that is busy: worth another try."""


def of_torch(url: str, source: str, *, offline: bool) -> Path:
    """Return a checkpoint in torch's cache, where torchvision and timm keep theirs.

    Args:
        url: where it is; the end of its name states its sha256.
        source: its name in messages.
        offline: never download.
    """
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not have((source, path), stated(path.name), offline):
        fetch(url, path)
    return path


def fetch(url: str, path: Path) -> None:
    """Download `url` to `path`, which is either complete and checked afterwards or not there.

    The bytes go to ``<name>.part`` beside it. What is there of an earlier try is asked to be
    continued (Range); a server that cannot begins again. A name such as ``vgg19-dcbb9e9d.pth``
    states the first digits of the file's sha256, as in torch.hub. Of a name that states none, an
    earlier run's part may be of another file, and is thrown away. Progress is shown on standard
    error if that is a terminal.

    Raises:
        UnavailableError: no connection, an HTTP error, too many breaks, or another sha256.
    """
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not stated(path.name):
        part.unlink(missing_ok=True)
    for attempt in range(1, TRIES + 1):
        try:
            _transfer(url, part)
            break
        except _BrokenError as error:
            if attempt == TRIES:
                raise UnavailableError(
                    f"{url}: the download broke {TRIES} times ({error}); run it again to go on"
                ) from None
            time.sleep(PAUSE)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or describe(error)
            code = f"HTTP {error.code} " if isinstance(error, urllib.error.HTTPError) else ""
            raise UnavailableError(f"{url}: {code}{reason}") from None
    _check_hash(url, path.name, part)
    part.replace(path)


def _check_hash(url: str, name: str, part: Path) -> None:
    expected = stated(name)
    found = files.sha256(part)
    if not found.startswith(expected):
        part.unlink()
        raise UnavailableError(
            f"{url}: expected a sha256 that begins with {expected}, found {found[:12]}; the "
            "download was removed, run it again"
        )


def _transfer(url: str, part: Path) -> None:
    """Make one connection, and append to `part` or begin it again, until it is complete."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "stylebench"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer
            part.unlink()
            raise _BrokenError("it could not be continued") from None
        if error.code >= 500:
            raise _BrokenError(f"HTTP {error.code}") from None
        raise
    with answer:
        resumed = answer.status == 206
        length = int(answer.headers.get("Content-Length") or 0)
        total = length + (have if resumed else 0) if length else 0
        with open(part, "ab" if resumed else "wb", opener=files.open_no_link) as file:
            _copy(answer, file, total)
    if total and part.stat().st_size != total:
        raise _BrokenError(f"{part.stat().st_size} of {total} bytes came")


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, total: int) -> None:
    """Copy an answer to a file, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    name = Path(file.name).name.removesuffix(".part")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task(name, total=total or None, completed=file.tell())
        began, came = time.monotonic(), 0
        try:
            while block := answer.read1(_BLOCK):  # what there is, where read waits for all of it
                file.write(block)
                progress.update(task, advance=len(block))
                came += len(block)
                if time.monotonic() - began > WINDOW:
                    if came < WINDOW * SLOWEST:
                        raise _BrokenError(f"{came} bytes in {WINDOW:.0f} s")
                    began, came = time.monotonic(), 0
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(describe(error)) from None
