"""How far a sweep is, seen from another terminal: read from its results folder alone."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stylebench import files
from stylebench.errors import InputError
from stylebench.store import folder, lock


@dataclass(frozen=True)
class Status:
    """The last sweep of a results folder.

    Attributes:
        folder: the results folder.
        holder: who writes into it: command, pid, host, began; None: nobody.
        jobs: stylisations and statistics of the sweep.
        ok: those that are finished.
        failed: what each that failed is, and why.
        begun: job folders that are being written; none are seen of jobs on other machines.
        left: expected seconds to the end at the pace of this run; None: not running, or too early.
    """

    folder: str
    holder: dict[str, Any] | None
    jobs: int
    ok: int
    failed: tuple[str, ...]
    begun: int
    left: float | None

    def json(self) -> dict[str, Any]:
        """Return all of it as JSON takes it."""
        return asdict(self)

    @property
    def to_do(self) -> int:
        """Jobs that have no outcome yet."""
        return self.jobs - self.ok - len(self.failed)


def read(out: Path) -> Status:
    """Return how far the last sweep into a results folder is.

    Raises:
        InputError: no sweep was begun there.
    """
    found = lock.announced(out)
    if found is None:
        raise InputError(f"{str(out)!r} holds no sweep; begin one with `stylebench sweep --out`")
    began, jobs = found
    holder = lock.holder(out)
    places = [folder.folder_of(out, kind, job_id) for kind, job_id in jobs]
    records = [record for place in places if (record := folder.read_record(place)) is not None]
    # A failed job of an earlier run is to do again.
    current = [r for r in records if r.ok or r.finished >= began or not holder]
    failed = [r for r in current if not r.ok]
    fresh = sum(r.finished >= began for r in current)
    pace = (time.time() - began) / fresh if holder and fresh else None
    return Status(
        folder=str(out),
        holder=holder,
        jobs=len(jobs),
        ok=len(current) - len(failed),
        failed=tuple(f"{r.spec.title}: {r.error}" for r in failed),
        begun=len({f.name.split("-")[1] for k in folder.FOLDERS.values()
                   for f in files.listed(out / k, out, ".tmp-*") if _since(f, began)}),
        left=None if pace is None else pace * (len(jobs) - len(current)),
    )  # fmt: skip


def _since(path: Path, began: float) -> bool:
    try:
        return path.lstat().st_mtime >= began
    except OSError:  # it has been finished meanwhile
        return False


def folders(out: Path) -> list[Path]:
    """Return a results folder, or those in a folder of such in which a sweep was begun."""
    if lock.announced(out) is not None:
        return [out]
    found = (path for path in files.listed(out) if (path / ".jobs.json").is_file())
    return files.not_links(found) or [out]
