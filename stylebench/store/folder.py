"""The folders of jobs: put in place whole, read if they are whole, and what is still to do.

OUT/jobs/<job_id>/        record.json, result.png, content.png, style.png; trace.parquet of what
                          was optimised;
                          gradients.parquet, where the configuration asks for it; and
                          metrics.parquet, which `stylebench judge` adds later
OUT/statistics/<id>/      record.json, statistics.parquet

A folder has the name of its job's id, which is computed again from what the record says was done.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd

from stylebench import files
from stylebench.config import JobSpec, Kind, PassSpec, PictureSpec, Spec, StatisticsSpec
from stylebench.errors import DamagedError, InputError
from stylebench.files import ABSENT
from stylebench.store import columns, record
from stylebench.store.parquet import read_parquet
from stylebench.store.record import JobRecord

FOLDERS = {"transfer": "jobs", "statistics": "statistics"}
AnySpec = TypeVar("AnySpec", JobSpec, PictureSpec, StatisticsSpec, Spec)

PICTURES = ("result.png", "content.png", "style.png")
TRANSFER_FILES = (*PICTURES, "trace.parquet")
STATISTICS_FILES = ("statistics.parquet",)
GRADIENTS_FILE = "gradients.parquet"


@contextlib.contextmanager
def job_folder(out: Path, kind: str, job_id: str) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of the job's folder when the block succeeds.

    A reader sees the old folder, none, or the complete new one. A process that is killed leaves a
    ``.tmp-`` folder, which nobody reads and `remove_stale` removes.
    """
    final = folder_of(out, kind, job_id)
    parent = final.parent
    out.mkdir(parents=True, exist_ok=True)
    files.make_folder(parent, out)
    folder = parent / f".tmp-{job_id}-{secrets.token_hex(4)}"
    folder.mkdir()
    old = folder.with_name(folder.name + "-old")
    try:
        yield folder
        if os.path.lexists(final):
            final.replace(old)
        folder.replace(final)
    finally:
        if os.path.lexists(old) and not os.path.lexists(final):
            old.replace(final)
        for left in (folder, old):
            _remove(left)


def _remove(path: Path) -> None:
    """Remove a folder, or a file that was in the place of one, as far as it can be."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def folder_of(out: Path, kind: str, job_id: str) -> Path:
    """Return the folder of a job, two folders below the results folder.

    Raises:
        InputError: the id is no name of a folder.
    """
    if job_id in ("", ".", "..") or "/" in job_id or kind not in FOLDERS:
        raise InputError(f"expected the id of a job in {str(out)!r}, found {job_id!r} ({kind})")
    return out / FOLDERS[kind] / job_id


def place(out: Path, spec: Spec) -> Path:
    """Return the folder of a job."""
    return folder_of(out, spec.kind, spec.job_id)


def remove_stale(out: Path, age: float = files.STALE, job_id: str = "") -> None:
    """Remove what killed processes left, older than `age` seconds: folders, of one job or all.

    With those of all jobs, temporary files of a day ago too. Younger ones may be those of another
    process that writes into the same results folder.
    """
    left = [p for k in FOLDERS.values() for p in files.listed(out / k, out, f".tmp-{job_id}*")]
    if not job_id:
        made = (out, *(out / name for name in ("images", "figures", "tables")))
        for folder in (*made, *files.listed(out / FOLDERS["transfer"], out)):
            files.tidy(folder, out)
    for path in left:
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime >= age:
                _remove(path)


def write_record(folder: Path, job: JobRecord) -> None:
    """Write record.json."""
    files.write_text(folder / record.FILE, job.json_text())


def parts(spec: Spec) -> tuple[str, ...]:
    """Return what the folder of a finished job holds beside its record."""
    if isinstance(spec, StatisticsSpec):
        return STATISTICS_FILES
    if isinstance(spec, PassSpec):
        return PICTURES
    return (*TRANSFER_FILES, GRADIENTS_FILE) if spec.gradients else TRANSFER_FILES


def damaged(folder: Path, why: object) -> DamagedError:
    """Return the error of a job folder that does not hold what was written there."""
    return DamagedError(f"{folder} is damaged ({why})")


def _examine(folder: Path, job_id: str) -> JobRecord:
    """Return the record in a folder, if the folder is of this job and has its files.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no folder, or no record in it.
        DamagedError: it is not whole, or of another job or kind.
        InputError: it cannot be read.
    """
    found = record.read(folder)
    if FOLDERS[found.kind] != folder.parent.name:
        raise DamagedError(f"{folder} holds a job of another kind ({found.kind})")
    if not found.job_id == found.spec.job_id == job_id:
        raise DamagedError(
            f"{folder} holds what job {found.spec.job_id} is, which has a folder of that name"
        )
    for name in parts(found.spec) if found.ok else ():
        try:
            empty = not files.size(folder / name, folder.parent.parent)
        except ABSENT:
            raise damaged(folder, f"there is no {name}") from None
        if empty:
            raise damaged(folder, f"{name} is empty")
    return found


def read_record(folder: Path, job_id: str = "") -> JobRecord | None:
    """Return the record in a job folder, or None if the job is to do (again).

    That is one that is not there, not whole, or of another job.

    Args:
        folder: of the job, two folders below the results folder.
        job_id: by default the name of the folder.

    Raises:
        InputError: it cannot be read, which does not mean that nothing is there.
    """
    try:
        return _examine(folder, job_id or folder.name)
    except (*ABSENT, DamagedError):
        return None


def survey(out: Path, kind: Kind = "transfer") -> tuple[list[JobRecord], list[str]]:
    """Return the jobs that are in place, as `records`, and what is in place of others, and why."""
    found, left = [], []
    for folder in files.listed(out / FOLDERS[kind], out):
        try:
            job = _examine(folder, folder.name)
        except NotADirectoryError:
            continue
        except FileNotFoundError:
            left.append(f"{folder} holds no {record.FILE}")
        except DamagedError as error:
            left.append(str(error))
        else:
            found.append(job)
    return sorted(found, key=lambda job: (job.finished, job.job_id)), left


def records(out: Path, kind: Kind = "transfer") -> list[JobRecord]:
    """Return the records of all jobs that are in place, in the order in which they finished."""
    return survey(out, kind)[0]


def told(reasons: Sequence[str], most: int = 5) -> str:
    """Return the first few of several reasons on one line, and how many more there are."""
    more = len(reasons) - most
    return "; ".join(reasons[:most]) + (f"; and {more} more" if more > 0 else "")


def pending(
    out: Path,
    specs: Iterable[AnySpec],
    *,
    force: bool = False,
    statistics: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[AnySpec]:
    """Return the jobs that are to do.

    Args:
        out: results folder.
        specs: the jobs of a sweep.
        force: all of them are.
        statistics: what is measured of a backbone (`JobRecord.statistics`): where some of it is
            not there yet, the job is to do again. None: whatever was measured will do.
        tell: called with one line where finished jobs are damaged, as by a power cut: they are to
            do again.
    """
    todo, why = [], []
    for spec in specs:
        try:
            done = not force and _done(out, spec, statistics or {})
        except DamagedError as error:
            done = False
            why.append(str(error))
        todo += [] if done else [spec]
    if why:
        tell(f"run again, {len(why)} in all: {told(why)}")
    return todo


def _done(out: Path, spec: Spec, statistics: Mapping[str, str]) -> bool:
    """Tell whether the folder of a job is in place with status ok, and has these statistics.

    Raises:
        DamagedError: it is there, but not what was written.
    """
    folder = place(out, spec)
    try:
        found = _examine(folder, spec.job_id)
    except ABSENT:
        return False
    if not found.ok:
        return False
    for name in parts(spec):
        check(folder, name)
    if not isinstance(spec, StatisticsSpec) or not statistics:
        return True
    there = found.statistics
    if not there:  # of an earlier version, which had no plug-ins
        table = read_part(folder, STATISTICS_FILES[0], {"statistic": "str"})
        there = dict.fromkeys(table["statistic"], "")
    return statistics.items() <= there.items()


def check(folder: Path, name: str) -> None:
    """Raise DamagedError unless a file of a job folder is whole, as far as its format tells."""
    if name.endswith(".parquet"):
        read_part(folder, name, columns.OF_FILE[name])
        return
    from stylebench.images import stored

    try:
        stored.check(files.read(folder / name, folder.parent.parent))
    except DamagedError as error:
        raise damaged(folder, f"{name} is {error}") from None


def written(out: Path, spec: Spec, since: float) -> JobRecord | None:
    """Return the record of a job if it was finished after `since` (seconds since the epoch)."""
    found = read_record(place(out, spec))
    return found if found is not None and found.finished >= since else None


def read_part(folder: Path, name: str, schema: Mapping[str, str]) -> pd.DataFrame:
    """Return a table in a job folder with the columns of a schema, as `columns.typed`.

    Raises:
        DamagedError: it is not there, no table, or lacks a column other than the id of the job.
        InputError: it cannot be read.
    """
    try:
        found = read_parquet(folder / name, schema, folder.parent.parent)
    except ABSENT:
        raise damaged(folder, f"there is no {name}") from None
    except DamagedError as error:
        raise damaged(folder, f"{name}: {error}") from None
    if lacking := [column for column in schema if column not in found and column != "job_id"]:
        raise damaged(folder, f"{name} lacks {', '.join(lacking)}")
    return found
