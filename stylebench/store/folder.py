"""The results folder: atomic job folders, what is still to do, and the tables made from them.

OUT/jobs/<job_id>/        record.json, result.png, content.png, style.png, trace.parquet;
                          gradients.parquet, where the configuration asks for it; and
                          metrics.parquet, which `stylebench judge` adds later
OUT/statistics/<id>/      record.json, statistics.parquet
OUT/results.parquet, stats, trace, gradients, metrics, images/: made from those above.
OUT/manifest.json: see `stylebench.sweeps.run`.
"""

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
import pyarrow.parquet as pq

from stylebench.config import JobSpec, Kind, Spec, StatisticsSpec
from stylebench.errors import InputError, describe
from stylebench.files import replacing, write_text
from stylebench.store import columns, record
from stylebench.store.record import JobRecord

if TYPE_CHECKING:
    import numpy as np

FOLDERS = {"transfer": "jobs", "statistics": "statistics"}
AnySpec = TypeVar("AnySpec", JobSpec, StatisticsSpec, Spec)

TRANSFER_FILES = ("result.png", "content.png", "style.png", "trace.parquet")
STATISTICS_FILES = ("statistics.parquet",)
GRADIENTS_FILE = "gradients.parquet"
PREVIEW = 50
"""JPEG quality of the pictures in OUT/images, which are for looking; jobs keep lossless ones."""


@contextlib.contextmanager
def job_folder(out: Path, kind: str, job_id: str) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of the job's folder when the block succeeds.

    A reader sees the old folder, none, or the complete new one. A process that is killed leaves a
    ``.tmp-`` folder, which nobody reads and `remove_stale` removes.
    """
    parent = out / FOLDERS[kind]
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".tmp-{job_id}-", dir=parent))
    final, old = parent / job_id, folder.with_name(folder.name + "-old")
    try:
        yield folder
        folder.chmod(0o755)
        if final.exists():
            final.replace(old)
        folder.replace(final)
    finally:
        if old.exists() and not final.exists():
            old.replace(final)
        for left in (folder, old):
            shutil.rmtree(left, ignore_errors=True)


def place(out: Path, spec: Spec) -> Path:
    """Return the folder of a job."""
    return out / FOLDERS[spec.kind] / spec.job_id


def remove_stale(out: Path, age: float = 86400.0, job_id: str = "") -> None:
    """Remove what killed processes left: temporary folders (of one job) older than `age` seconds.

    Younger ones may be those of another process that writes into the same results folder.
    """
    for kind in FOLDERS.values():
        for folder in (out / kind).glob(f".tmp-{job_id}*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime >= age:
                    shutil.rmtree(folder)


def write_record(folder: Path, job: JobRecord) -> None:
    """Write record.json."""
    write_text(folder / record.FILE, job.json_text())


def _files(spec: Spec) -> tuple[str, ...]:
    """Return what the folder of a finished job holds beside its record."""
    if isinstance(spec, StatisticsSpec):
        return STATISTICS_FILES
    return (*TRANSFER_FILES, GRADIENTS_FILE) if spec.gradients else TRANSFER_FILES


def read_record(folder: Path) -> JobRecord | None:
    """Return the record in a job folder, or None if it is not whole: the job is to do again."""
    try:
        found = record.read(folder)
        whole = not found.ok or all((folder / f).stat().st_size for f in _files(found.spec))
    except (OSError, ValueError):
        return None
    return found if whole else None


def records(out: Path, kind: Kind = "transfer") -> list[JobRecord]:
    """Return the records of all jobs that are in place, in the order in which they finished."""
    folders = [f for f in (out / FOLDERS[kind]).glob("*") if not f.name.startswith(".")]
    pairs = [(folder.name, read_record(folder)) for folder in sorted(folders)]
    found = [job for name, job in pairs if job and (job.kind, job.job_id) == (kind, name)]
    return sorted(found, key=lambda job: (job.finished, job.job_id))


def pending(
    out: Path,
    specs: Iterable[AnySpec],
    *,
    force: bool = False,
    statistics: Mapping[str, str] | None = None,
) -> list[AnySpec]:
    """Return the jobs that are to do.

    Args:
        out: results folder.
        specs: the jobs of a sweep.
        force: all of them are.
        statistics: what is measured of a backbone (`JobRecord.statistics`): where some of it is
            not there yet, the job is to do again. None: whatever was measured will do.
    """
    return [spec for spec in specs if force or not _done(out, spec, statistics or {})]


def _done(out: Path, spec: Spec, statistics: Mapping[str, str]) -> bool:
    """Tell whether the folder of a job is in place with status ok, and has these statistics."""
    found = read_record(place(out, spec))
    if found is None or not found.ok:
        return False
    if not isinstance(spec, StatisticsSpec) or not statistics:
        return True
    there = found.statistics
    if not there:  # of an earlier version, which had no plug-ins
        try:
            table = read_parquet(place(out, spec) / STATISTICS_FILES[0])
        except (OSError, ValueError) as error:
            raise damaged(place(out, spec), error) from None
        there = dict.fromkeys(set(table.column("statistic").to_pylist()), "")
    return statistics.items() <= there.items()


def written(out: Path, spec: Spec, since: float) -> JobRecord | None:
    """Return the record of a job if it was finished after `since` (seconds since the epoch)."""
    found = read_record(place(out, spec))
    return found if found is not None and found.finished >= since else None


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    with replacing(path.absolute()) as temporary:  # pandas takes a path that begins with ~ for home
        frame.to_parquet(temporary, index=False, compression="zstd")


def read_parquet(path: Path) -> Any:
    """Return a table of pyarrow; pandas takes twice as long to open a small file."""
    with pq.ParquetFile(path.absolute()) as file:  # one that begins with ~ is taken for home
        return file.read()


def damaged(folder: Path, error: Exception) -> InputError:
    """Return the error of a job folder that cannot be read."""
    return InputError(f"{folder} is damaged ({describe(error)}); remove it and run again")


def _gather(
    out: Path, found: Iterable[JobRecord], file: str, schema: dict[str, str]
) -> pd.DataFrame:
    """Return one table of a parquet file in every job folder of status ok."""
    frames = []
    for job in found:
        if job.ok:
            folder = out / FOLDERS[job.kind] / job.job_id
            try:
                frame = read_parquet(folder / file).to_pandas()
            except (OSError, ValueError) as error:
                raise damaged(folder, error) from None
            frames.append(frame.assign(job_id=job.job_id))
    return _joined(frames, schema)


def _joined(frames: Sequence[pd.DataFrame], schema: dict[str, str]) -> pd.DataFrame:
    full = [frame[list(schema)] for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else columns.frame([], schema)


def _write_if_any(frame: pd.DataFrame, path: Path) -> None:
    """Write a table that not every results folder has, or remove it if it has no rows."""
    if len(frame):
        _write_parquet(frame, path)
    else:
        path.unlink(missing_ok=True)


def read_picture(path: Path) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return a picture that a job wrote, uint8 (H, W, 3), as it is."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _copy_pictures(out: Path, row: dict[str, Any]) -> None:
    """Make the JPEGs in OUT/images, which people look at, from the lossless ones of the jobs."""
    from stylebench import images

    sources = {"picture": "result", "content_picture": "content", "style_picture": "style"}
    for column, name in sources.items():
        source, target = out / "jobs" / row["job_id"] / f"{name}.png", out / row[column]
        fresh = target.exists() and target.stat().st_mtime >= source.stat().st_mtime
        if not fresh:
            target.parent.mkdir(exist_ok=True)
            try:
                picture = read_picture(source)
            except (OSError, ValueError) as error:
                raise damaged(source.parent, error) from None
            images.save(target, picture, PREVIEW)


def _unavailable_rows(out: Path) -> list[dict[str, Any]]:
    try:
        frame = _table(out, "results.parquet", columns.RESULT_COLUMNS)
    except InputError:
        return []
    rows = frame[frame["status"] == "unavailable"].to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def newest(jobs: Sequence[JobRecord], planned: Collection[str] = ()) -> list[JobRecord]:
    """Return stylisations without those of which a picture or a plug-in is another by now.

    That is a file that was changed, or a built-in picture of another version. Their folders stay,
    but nothing that averages over jobs may take the two for one.

    Args:
        jobs: in the order in which they finished; the last of those that differ in no more counts.
        planned: ids of jobs that count before others, whenever they finished.
    """

    def without_digests(spec: JobSpec) -> str:
        blank = {"digest": ""}
        pictures = {"content": spec.content.model_copy(update=blank),
                    "style": spec.style.model_copy(update=blank)}  # fmt: skip
        code = dict.fromkeys(spec.code, "")
        nodes = (
            spec.nodes if spec.chosen or not code else {}
        )  # those of the network's own follow it
        blanks = {**pictures, "code": code, "nodes": nodes}
        return spec.model_copy(update=blanks).model_dump_json()

    ordered = sorted(jobs, key=lambda job: job.job_id in planned)
    last = {without_digests(job.stylisation): job.job_id for job in ordered}
    kept = set(last.values())
    return [job for job in jobs if job.job_id in kept]


def _of_todays_code(statistics: Sequence[JobRecord]) -> list[JobRecord]:
    """Return statistics without those of a plug-in's earlier code: their layers may be others."""
    last = {
        (job.spec.label, job.spec.weights.label, tuple(job.spec.code)): job.spec.code
        for job in statistics
    }
    return [
        job
        for job in statistics
        if last[job.spec.label, job.spec.weights.label, tuple(job.spec.code)] == job.spec.code
    ]


def compact(
    out: Path, missing: Iterable[JobSpec] | None = None, planned: Collection[str] = ()
) -> pd.DataFrame:
    """Make the tables (results, stats, trace, gradients, metrics) and images/ from the job folders.

    Args:
        out: results folder.
        missing: jobs of this sweep without weights; they get rows of status ``unavailable``. None
            (no sweep, statistics alone) keeps those that are there.
        planned: ids of this sweep's jobs, see `newest`.

    Returns:
        The table of results.
    """
    jobs, statistics = newest(records(out), planned), records(out, "statistics")
    statistics.sort(key=lambda job: job.job_id in planned)
    statistics = _of_todays_code(statistics)
    absent = [columns.result_row(columns.unavailable(spec)) for spec in missing or ()]
    rows = [
        *map(columns.result_row, jobs),
        *(_unavailable_rows(out) if missing is None else absent),
    ]
    for row in rows:
        if row["status"] == "ok":
            _copy_pictures(out, row)
    frame = columns.frame(rows, columns.RESULT_COLUMNS)
    _write_parquet(frame, out / "results.parquet")
    values = _gather(out, statistics, "statistics.parquet", columns.STATISTICS_COLUMNS)
    keys = [column for column in values if column not in ("value", "stage", "image_digest")]
    latest = values.drop_duplicates(keys, keep="last", ignore_index=True)
    _write_parquet(latest, out / "stats.parquet")
    trace = _gather(out, jobs, "trace.parquet", columns.TRACE_COLUMNS)
    _write_parquet(trace, out / "trace.parquet")
    budgeted = [job for job in jobs if job.stylisation.gradients]
    gradients = _gather(out, budgeted, GRADIENTS_FILE, columns.GRADIENT_COLUMNS)
    _write_if_any(gradients, out / GRADIENTS_FILE)
    compact_metrics(out, jobs)
    return frame


def read_metrics(folder: Path) -> pd.DataFrame:
    """Return the metrics in a job folder: none if they are not there or not whole."""
    try:
        frame: pd.DataFrame = read_parquet(folder / "metrics.parquet").to_pandas()
        return frame[list(columns.METRIC_COLUMNS)]
    except (OSError, ValueError, KeyError):
        return columns.frame([], columns.METRIC_COLUMNS)


def write_metrics(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the metrics of a job into its folder: they go with it when the job is run again."""
    _write_parquet(columns.frame(rows, columns.METRIC_COLUMNS), folder / "metrics.parquet")


def compact_metrics(out: Path, jobs: Iterable[JobRecord]) -> None:
    """Make metrics.parquet from the folders of these jobs, or remove it if none has any."""
    found = [read_metrics(out / "jobs" / job.job_id) for job in jobs if job.ok]
    _write_if_any(_joined(found, columns.METRIC_COLUMNS), out / "metrics.parquet")


@dataclass(frozen=True)
class Results:
    """A results folder as tables: what every figure and every table is made from."""

    folder: Path
    results: pd.DataFrame
    statistics: pd.DataFrame
    trace: pd.DataFrame
    manifest: dict[str, Any]
    metrics: pd.DataFrame = field(default_factory=lambda: columns.frame([], columns.METRIC_COLUMNS))
    gradients: pd.DataFrame = field(
        default_factory=lambda: columns.frame([], columns.GRADIENT_COLUMNS)
    )


def read_manifest(out: Path) -> dict[str, Any]:
    """Return OUT/manifest.json (see `stylebench.sweeps.run`); {} if there is none that is whole."""
    try:
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        known = all({"command", "environment"} <= run.keys() for run in manifest["runs"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return manifest if known else {}


def _table(out: Path, name: str, schema: dict[str, str]) -> pd.DataFrame:
    path = out / name
    if not path.is_file():
        return columns.frame([], schema)
    try:
        frame: pd.DataFrame = read_parquet(path).to_pandas()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a parquet table of stylebench: {error}") from None
    if "first_step" in schema:
        frame = columns.of_earlier(frame)
    lacking = [column for column in schema if column not in frame]
    if lacking:
        raise InputError(
            f"{path}: expected the columns of this version, lacks {', '.join(lacking)}; run the "
            "sweep again, which makes the tables anew and keeps the finished jobs"
        )
    return frame


def holds_results(folder: Path) -> bool:
    """Return whether the folder itself is a results folder."""
    return any((folder / name).is_file() for name in ("results.parquet", "stats.parquet"))


def folders(out: Path) -> list[Path]:
    """Return the subfolders that are results folders, by name: ``fig3`` comes before ``fig10``."""
    found = [f for f in out.glob("[!.]*") if holds_results(f)]
    return sorted(found, key=lambda f: re.sub(r"\d+", lambda digits: digits[0].zfill(9), f.name))


def load(out: Path | str) -> Results:
    """Return the tables of a results folder; one that holds none raises InputError."""
    folder = Path(out)
    if not holds_results(folder):
        raise InputError(
            f"{str(folder)!r} holds no results (no results.parquet or stats.parquet); "
            "make some with `stylebench sweep` or `stylebench stats`"
        )
    return Results(
        folder=folder,
        results=_table(folder, "results.parquet", columns.RESULT_COLUMNS),
        statistics=_table(folder, "stats.parquet", columns.STATISTICS_COLUMNS),
        trace=_table(folder, "trace.parquet", columns.TRACE_COLUMNS),
        manifest=read_manifest(folder),
        metrics=_table(folder, "metrics.parquet", columns.METRIC_COLUMNS),
        gradients=_table(folder, GRADIENTS_FILE, columns.GRADIENT_COLUMNS),
    )


def load_results(out: Path | str) -> pd.DataFrame:
    """Return results.parquet of a results folder: a row a job, with `columns.RESULT_COLUMNS`."""
    return load(out).results
