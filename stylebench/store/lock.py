"""Who writes into a results folder: one command at a time, and what it set out to do.

OUT/.lock         held while a command writes; the system lets go of it when the process dies
OUT/.holder.json  who holds it: command, process, machine, begin
OUT/.jobs.json    the ids of the jobs of the last sweep, for `stylebench status`
"""

import contextlib
import errno
import fcntl
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from stylebench import files
from stylebench.config import Spec
from stylebench.errors import DamagedError, InputError
from stylebench.files import ABSENT
from stylebench.store import models
from stylebench.store.models import Announced, Holder

WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks: there, two sweeps into one folder go unnoticed."""


@contextlib.contextmanager
def claim(out: Path, command: str) -> Iterator[None]:
    """Hold a results folder, which is made if need be, as its only writer.

    Raises:
        InputError: another command holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    place = out / ".holder.json"
    with files.appending(out / ".lock") as lock:
        _lock(lock, out)
        about = {"command": command, "pid": os.getpid(), "host": platform.node()}
        files.write_text(place, json.dumps({**about, "began": time.time()}))
        try:
            yield
        finally:
            place.unlink(missing_ok=True)


def _lock(file: BinaryIO, out: Path) -> None:
    """Lock a file until it is closed, where the file system has locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{str(out)!r} is being written by another command{_who(holder(out))}; wait for it, "
            "stop it, or choose another folder"
        ) from None
    except OSError as error:
        if error.errno not in WITHOUT:
            raise


def _who(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found["began"]))
    return f" ({found['command']}: process {found['pid']} on {found['host']}, since {began})"


def holder(out: Path) -> dict[str, Any] | None:
    """Return who holds a results folder: command, pid, host, began (seconds since the epoch).

    None if nobody does; one that was killed on this machine holds it no more.
    """
    try:
        found = models.read(out / ".holder.json", Holder)
    except (*ABSENT, DamagedError):
        return None
    if found.host == platform.node():
        try:
            os.kill(found.pid, 0)
        except ProcessLookupError:
            return None
        except OSError:
            pass
    return found.model_dump()


def announce(out: Path, specs: Iterable[Spec]) -> None:
    """Write down which jobs a sweep comes to, finished ones included."""
    jobs = [[spec.kind, spec.job_id] for spec in specs]
    files.write_text(out / ".jobs.json", json.dumps({"began": time.time(), "jobs": jobs}))


def announced(out: Path) -> tuple[float, list[tuple[str, str]]] | None:
    """Return when the last sweep began and its jobs as (kind, job id); None if none was begun.

    Raises:
        DamagedError: what is written of it is damaged.
        InputError: it cannot be read.
    """
    try:
        found = models.read(out / ".jobs.json", Announced)
    except ABSENT:
        return None
    return found.began, [*found.jobs]
