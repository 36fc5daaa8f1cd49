"""What a tracking server shows of a job, read from the results folder.

A number is (name, step, value): steps are closure evaluations in ``trace/…``, stages in
``statistics/…``, and 0 elsewhere.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stylebench import files, store
from stylebench.config import JobSpec
from stylebench.errors import published
from stylebench.store import columns

Number = tuple[str, int, float]
Key = tuple[Any, ...]

LONGEST = {"parameter": 500, "error": 4000}
"""Characters that are kept: MLflow refuses more than 6000 of a parameter, 8000 of a tag."""
SETTINGS = ("content_weight", "style_weight", "tv_weight", "learning_rate", "style_scale",
            "tolerance", "strength")  # fmt: skip
"""Columns of numbers that were chosen, not measured: parameters, not metrics."""
KEY = ("arch", "weights", "smoothing", "seed", "size", "resize")
"""What a job has in common with the statistics of its backbone and smoothing."""


@dataclass(frozen=True)
class Entry:
    """A job as it is shown; `began` and `ended` are seconds since the epoch.

    `record` is its record.json as others may see it; empty for a job that failed.
    """

    job_id: str
    status: str
    error: str
    title: str
    key: Key
    params: Mapping[str, str]
    numbers: tuple[Number, ...]
    files: tuple[Path, ...]
    record: Mapping[str, Any]
    began: float
    ended: float

    @property
    def stamp(self) -> str:
        """The outcome: the same job run again has another one."""
        return f"{self.status} {self.ended}"


def read(out: Path, job_id: str) -> Entry | None:
    """Return a job of a results folder, or None if it is not in place.

    Raises:
        InputError: its folder is damaged.
    """
    folder = store.folder_of(out, "transfer", job_id)
    record = store.read_record(folder)
    if record is None:
        return None
    row, spec = columns.result_row(record), record.stylisation
    has_trace = "trace.parquet" in store.parts(spec)
    return Entry(
        job_id=job_id,
        status=record.status,
        error=record.error[: LONGEST["error"]],
        title=spec.title,
        key=tuple(row[name] for name in KEY),
        params=_params(row if isinstance(spec, JobSpec) else _without(row)),
        numbers=(*_numbers(row), *(_trace(folder) if record.ok and has_trace else ())),
        files=(folder / "result.png",) if record.ok else (),
        record=published(json.loads(record.json_text())) if record.ok else {},
        began=record.finished if record.started is None else record.started,
        ended=record.finished,
    )


def read_judged(out: Path, job_id: str) -> dict[str, float]:
    """Return the metrics of a job that are finite, by ``metric`` or ``metric/judge``.

    Where a judge has several weights, these follow. MLflow takes no other signs than these.
    """
    frame = store.read_metrics(store.folder_of(out, "transfer", job_id))
    weights = frame.groupby("judge")["judge_weights"].transform("nunique").gt(1)
    found = {}
    columns = (frame[name] for name in ("metric", "judge", "judge_weights", "value"))
    for metric, judge, file, value, several in zip(*columns, weights, strict=True):
        parts = [metric, judge, *([file] if several else [])]
        if math.isfinite(value):
            found["/".join(re.sub(r"[^\w. -]", "_", part) for part in parts if part)] = value
    return found


def digest(judged: Mapping[str, float]) -> str:
    """Return what tells metrics from others; "" for none."""
    text = json.dumps(sorted(judged.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16] if judged else ""


def read_means(out: Path, job_id: str) -> dict[Key, list[Number]]:
    """Return the means over images of the statistics of a backbone, by `Entry.key`.

    Raises:
        InputError: the folder is damaged.
    """
    folder = store.folder_of(out, "statistics", job_id)
    record = store.read_record(folder)
    means: dict[Key, list[Number]] = {}
    if record is None or not record.ok:
        return means
    table = store.read_part(folder, "statistics.parquet", columns.STATISTICS_COLUMNS)
    groups = table.groupby([*KEY, "statistic", "stage"], as_index=False)["value"].mean()
    for *key, name, stage, value in groups.itertuples(index=False, name=None):
        if math.isfinite(value):
            means.setdefault(tuple(key), []).append((f"statistics/{name}", int(stage), value))
    return means


def _without(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a trained network without settings of an optimisation."""
    return {key: value for key, value in row.items() if key not in columns.NOT_OPTIMISED}


def _params(row: Mapping[str, Any]) -> dict[str, str]:
    """Return text that is not empty, whole numbers, and other numbers that are settings."""
    return {
        name: str(value)[: LONGEST["parameter"]]
        for name, value in row.items()
        if (isinstance(value, str | int) or (name in SETTINGS and value is not None))
        and value != ""
        and name not in ("error", "job_id")
        and not name.endswith("picture")
    }


def _numbers(row: Mapping[str, Any]) -> Iterator[Number]:
    for name, value in row.items():
        if isinstance(value, float) and math.isfinite(value) and name not in SETTINGS:
            yield name, 0, value


def _trace(folder: Path) -> Iterator[Number]:
    """Yield the losses of every closure evaluation."""
    table = store.read_part(folder, "trace.parquet", columns.TRACE_COLUMNS)
    steps = table.pop("evaluation")
    for name in table:
        for step, value in zip(steps, table[name], strict=True):
            if math.isfinite(value):
                yield f"trace/{name}", int(step), float(value)


def sweeps(out: Path) -> list[tuple[float, str]]:
    """Return when each sweep of manifest.json began, in seconds since the epoch, and its name."""
    return [
        (datetime.fromisoformat(run["began"]).timestamp(), str(run["config"]["name"]))
        for run in store.read_manifest(out).get("runs", [])
        if run.get("began") and (run.get("config") or {}).get("name")
    ]


def listed(out: Path, *patterns: str) -> list[Path]:
    """Return what the patterns name, but folders; links to such are left for who opens them."""
    places = [out / pattern for pattern in patterns]
    found = [p for place in places for p in files.listed(place.parent, out, place.name)]
    return [path for path in found if path.is_symlink() or not path.is_dir()]


def is_ours(path: Path, out: Path) -> bool:
    """Tell whether a file is there, and no larger than any of ours: MLflow copies it whole."""
    try:
        return files.size(path, out) <= files.MOST
    except files.ABSENT:
        return False
