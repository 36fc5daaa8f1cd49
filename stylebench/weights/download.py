"""Downloads of weights over HTTP: resumed after a break, checked, moved into place at once."""

import hashlib
import http.client
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from stylebench.errors import UnavailableError
from stylebench.weights.files import line

TIMEOUT = 10.0
"""Seconds without an answer, or without a byte, after which a connection is given up."""
TRIES = 5
"""Connections for one file, at most; more than one only if the server began to answer."""
PAUSE = 1.0
"""Seconds between two tries."""
_BLOCK = 1 << 18


class _BrokenError(Exception):
    """A transfer that stopped early, or a server that is busy: worth another try."""


def fetch(url: str, path: Path) -> None:
    """Download `url` to `path`, which is either complete and checked afterwards or not there.

    The bytes go to ``<name>.part`` beside it. What is there of an earlier try is asked to be
    continued (Range); a server that cannot begins again. A name such as ``vgg19-dcbb9e9d.pth``
    states the first digits of the file's sha256, as in torch.hub. Progress is shown on standard
    error if that is a terminal.

    Raises:
        UnavailableError: no connection, an HTTP error, too many breaks, or another sha256.
    """
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
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
            reason = getattr(error, "reason", None) or line(error)
            code = f"HTTP {error.code} " if isinstance(error, urllib.error.HTTPError) else ""
            raise UnavailableError(f"{url}: {code}{reason}") from None
    _check_hash(url, path.name, part)
    part.replace(path)


def _check_hash(url: str, name: str, part: Path) -> None:
    stated = re.search(r"-([0-9a-f]{8,})\.", name)
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if stated and not found.startswith(stated[1]):
        part.unlink()
        raise UnavailableError(
            f"{url}: expected a sha256 that begins with {stated[1]}, found {found[:12]}; the "
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
        with part.open("ab" if resumed else "wb") as file:
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
        try:
            while block := answer.read(_BLOCK):
                file.write(block)
                progress.update(task, advance=len(block))
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(line(error)) from None
