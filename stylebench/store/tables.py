"""The tables of a results folder, made from the folders of its jobs and read again.

OUT/results.parquet, stats, trace, gradients, metrics, images/: made from job folders.
OUT/accuracy.parquet: of the classifiers that `stylebench accuracy` trains.
OUT/manifest.json: see `stylebench.sweeps.run`.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from stylebench import files
from stylebench.config import JobSpec, PictureSpec
from stylebench.errors import DamagedError, InputError
from stylebench.files import ABSENT
from stylebench.store import columns, folder, models
from stylebench.store.folder import FOLDERS, GRADIENTS_FILE, survey
from stylebench.store.models import Manifest
from stylebench.store.parquet import read_parquet
from stylebench.store.record import JobRecord

if TYPE_CHECKING:
    import numpy as np

PREVIEW = 50
"""JPEG quality of the pictures in OUT/images, which are for looking; jobs keep lossless ones."""
MANIFEST, ACCURACY = "manifest.json", "accuracy.parquet"
TABLES = ("results.parquet", "stats.parquet", ACCURACY)
"""Of these each results folder has one when its first command has ended."""
MARKS = (*TABLES, *FOLDERS.values(), ".lock", ".jobs.json", "mlflow.db")
"""Of these each results folder has one as soon as a command writes into it."""


def _write_parquet(frame: pd.DataFrame, path: Path, root: Path) -> None:
    with files.replacing(path, root) as file:
        frame.to_parquet(file, index=False, compression="zstd")


def _joined(frames: Sequence[pd.DataFrame], schema: dict[str, str]) -> pd.DataFrame:
    full = [frame[list(schema)] for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else columns.frame([], schema)


def _latest(values: pd.DataFrame) -> pd.DataFrame:
    """Return the last statistics of each picture; files of equal bytes are one, named ``a=b``."""
    keys = [column for column in values if column not in ("value", "stage", "image_digest")]
    found = values.drop_duplicates(keys, keep="last", ignore_index=True)
    named = found[found["image_digest"].fillna("").ne("")].groupby("image_digest")["image"].unique()
    shared = {digest: "=".join(names) for digest, names in named.items() if len(names) > 1}
    if not shared:
        return found
    found["image"] = found["image_digest"].map(shared).fillna(found["image"])
    return found.drop_duplicates(keys, keep="last", ignore_index=True)


def _write_if_any(frame: pd.DataFrame, path: Path) -> None:
    """Write a table that not every results folder has, or remove it if it has no rows."""
    if len(frame):
        _write_parquet(frame, path, path.parent)
    else:
        path.unlink(missing_ok=True)


def read_picture(path: Path, root: Path | None = None) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return a picture that a job wrote, uint8 (H, W, 3), as it is; `root` as of `files.opened`."""
    import numpy as np

    from stylebench.images import stored

    return np.asarray(stored.read(path, path.parent if root is None else root))


def _copy_pictures(out: Path, row: dict[str, Any]) -> None:
    """Make the JPEGs in OUT/images, which people look at, from the lossless ones of the jobs."""
    from stylebench import images

    sources = {"picture": "result", "content_picture": "content", "style_picture": "style"}
    for column, name in sources.items():
        source, target = out / "jobs" / row["job_id"] / f"{name}.png", out / row[column]
        if not _is_fresh(target, source, out):
            images.save(target, read_picture(source, out), PREVIEW, out)


def _is_fresh(target: Path, source: Path, out: Path) -> bool:
    """Tell whether a preview is whole, and no older than the picture that it is of."""
    try:
        with files.opened(target, out) as preview, files.opened(source, out) as picture:
            seen, made = (os.fstat(file.fileno()) for file in (picture, preview))
            ends = preview.read(2)
            preview.seek(max(0, made.st_size - 2))
            whole = ends + preview.read(2) == b"\xff\xd8\xff\xd9"
    except ABSENT:
        return False
    return whole and made.st_mtime >= seen.st_mtime


def _unavailable_rows(out: Path) -> list[dict[str, Any]]:
    try:
        frame = _table(out, "results.parquet", columns.RESULT_COLUMNS)
    except DamagedError:
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

    def without_digests(spec: PictureSpec) -> str:
        code = dict.fromkeys(spec.code, "")
        blank = spec.with_pictures(lambda picture: picture.model_copy(update={"digest": ""}))
        blank = blank.model_copy(update={"code": code})
        if isinstance(spec, JobSpec) and code and not spec.chosen:
            blank = blank.model_copy(update={"nodes": {}})  # those of the network's own follow it
        return str(blank.model_dump())  # paths may be no UTF-8

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


def _taken(
    out: Path, jobs: Iterable[JobRecord], left: list[str]
) -> tuple[list[JobRecord], dict[str, list[pd.DataFrame]]]:
    """Return the jobs that can be read with their tables, by file; `left` takes why others not."""
    kept: list[JobRecord] = []
    found: dict[str, list[pd.DataFrame]] = {file: [] for file in columns.OF_FILE}
    for job in jobs:
        place = out / FOLDERS[job.kind] / job.job_id
        own = {
            file: schema
            for file, schema in columns.OF_FILE.items()
            if file in folder.parts(job.spec)
        }
        try:
            frames = {file: _frame(place, file, own[file]) for file in own} if job.ok else {}
            if job.ok and job.kind == "transfer":
                _copy_pictures(out, columns.result_row(job))
        except DamagedError as error:
            left.append(str(error))
            continue
        kept.append(job)
        for file, frame in frames.items():
            found[file].append(frame)
    return kept, found


def _frame(place: Path, file: str, schema: dict[str, str]) -> pd.DataFrame:
    """Return a table of a job."""
    return folder.read_part(place, file, schema).assign(job_id=place.name)


def compact(
    out: Path,
    missing: Iterable[PictureSpec] | None = None,
    planned: Collection[str] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Make the tables (results, stats, trace, gradients, metrics) and images/ from the job folders.

    Args:
        out: results folder.
        missing: jobs of this sweep without weights; they get rows of status ``unavailable``. None
            (no sweep, statistics alone) keeps those that are there.
        planned: ids of this sweep's jobs, see `newest`.
        tell: called with one line where folders are left out, which are damaged or of no job.

    Returns:
        The table of results.
    """
    (jobs, left), (statistics, others) = survey(out), survey(out, "statistics")
    left += others
    statistics.sort(key=lambda job: job.job_id in planned)
    jobs, found = _taken(out, newest(jobs, planned), left)
    absent = [columns.result_row(columns.unavailable(spec)) for spec in missing or ()]
    rows = [
        *map(columns.result_row, jobs),
        *(_unavailable_rows(out) if missing is None else absent),
    ]
    frame = columns.frame(rows, columns.RESULT_COLUMNS)
    _write_parquet(frame, out / "results.parquet", out)
    _, measured = _taken(out, _of_todays_code(statistics), left)
    values = _joined(measured["statistics.parquet"], columns.STATISTICS_COLUMNS)
    _write_parquet(_latest(values), out / "stats.parquet", out)
    trace = _joined(found["trace.parquet"], columns.TRACE_COLUMNS)
    _write_parquet(trace, out / "trace.parquet", out)
    gradients = _joined(found[GRADIENTS_FILE], columns.GRADIENT_COLUMNS)
    _write_if_any(gradients, out / GRADIENTS_FILE)
    compact_metrics(out, jobs)
    if left:
        tell(f"not in the tables: {folder.told(left)}")
    return frame


def read_metrics(place: Path) -> pd.DataFrame:
    """Return the metrics in a job folder: none if they are not there or not whole."""
    try:
        return _frame(place, "metrics.parquet", columns.METRIC_COLUMNS)[[*columns.METRIC_COLUMNS]]
    except DamagedError:
        return columns.frame([], columns.METRIC_COLUMNS)


def write_metrics(place: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the metrics of a job into its folder: they go with it when the job is run again."""
    frame = columns.frame(rows, columns.METRIC_COLUMNS)
    _write_parquet(frame, place / "metrics.parquet", place.parent.parent)


def write_accuracy(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write OUT/accuracy.parquet: a row a classifier, with `columns.ACCURACY_COLUMNS`.

    Those of other kinds of blocks and seeds that it has already stay.
    """
    new = columns.frame(rows, columns.ACCURACY_COLUMNS)
    both = pd.concat([_table(out, ACCURACY, columns.ACCURACY_COLUMNS), new])
    latest = both.drop_duplicates(["shortcut", "seed"], keep="last", ignore_index=True)
    _write_parquet(latest, out / ACCURACY, out)


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
    accuracy: pd.DataFrame = field(
        default_factory=lambda: columns.frame([], columns.ACCURACY_COLUMNS)
    )


def read_manifest(out: Path) -> dict[str, Any]:
    """Return OUT/manifest.json (see `stylebench.sweeps.run`); {} if there is none that is whole.

    Raises:
        InputError: there is one, which cannot be read.
    """
    try:
        return models.read(out / MANIFEST, Manifest).model_dump(exclude_unset=True)
    except (*ABSENT, DamagedError):
        return {}


def keep_manifest(out: Path) -> Path | None:
    """Rename a manifest that is damaged, so that nothing takes its place; return its new path."""
    path, kept = out / MANIFEST, out / "manifest.damaged.json"
    if not path.exists() or read_manifest(out):
        return None
    number = 1
    while os.path.lexists(kept):
        number += 1
        kept = out / f"manifest.damaged-{number}.json"
    return path.replace(kept)


def _table(out: Path, name: str, schema: dict[str, str]) -> pd.DataFrame:
    path = out / name
    try:
        frame = read_parquet(path, schema)
    except ABSENT:
        return columns.frame([], schema)
    except DamagedError as error:
        raise DamagedError(f"{path}: expected a parquet table of stylebench: {error}") from None
    if "first_step" in schema:
        frame = columns.of_earlier(frame)
    lacking = [column for column in schema if column not in frame]
    if lacking:
        raise DamagedError(
            f"{path}: expected the columns of this version, lacks {', '.join(lacking)}; run the "
            "sweep again, which makes the tables anew and keeps the finished jobs"
        )
    return frame


def holds_results(folder: Path) -> bool:
    """Return whether the folder itself is a results folder."""
    return any((folder / name).is_file() for name in TABLES)


def folders(out: Path) -> list[Path]:
    """Return the subfolders that are results folders, by name: ``fig3`` comes before ``fig10``."""
    found = files.not_links(f for f in files.listed(out) if holds_results(f))
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
        accuracy=_table(folder, ACCURACY, columns.ACCURACY_COLUMNS),
    )


def load_results(out: Path | str) -> pd.DataFrame:
    """Return results.parquet of a results folder: a row a job, with `columns.RESULT_COLUMNS`."""
    return load(out).results
