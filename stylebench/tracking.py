"""Records into MLflow: one parent run a sweep, one child a job, each job once, by one writer.

MLflow is a view of the results folder. A server that cannot be reached costs a warning; the next
run of the sweep logs what is missing.
"""

import contextlib
import logging
import math
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from stylebench import store, tables
from stylebench.config import JobSpec, SweepConfig
from stylebench.errors import InputError

BATCH = 1000
"""Metrics in one request: MLflow's own limit."""
EXPERIMENTS = 500
"""Experiments in one search for runs: each is a variable of an SQL statement."""
ENVIRONMENT = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""Set unless the user did. MLflow's own 7 retries keep quiet for minutes about a wrong address."""


class Tracker:
    """Writes the jobs of one results folder to an MLflow server or database.

    Args:
        out: results folder.
        config: of the sweep; its name is the MLflow experiment.
        uri: of the tracking server; None means ``sqlite:///OUT/mlflow.db``.

    Raises:
        InputError: the server or database cannot be used.
    """

    def __init__(self, out: Path, config: SweepConfig, uri: str | None = None) -> None:
        for key, value in ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._out, self._config = out, config
        self._moves = uri is None  # the database lies in the results folder and goes with it
        self.uri = uri or f"sqlite:///{out.resolve() / 'mlflow.db'}"
        if not uri and set("%?") & set(self.uri):  # MLflow and SQLAlchemy read these differently
            raise InputError(f"{self.uri} has % or ? in its path, which MLflow takes for another")
        try:
            self._client = MlflowClient(tracking_uri=self.uri)
            self._experiment = self._find_experiment()
            self._parent, self._known = self._find_runs()
        except Exception as error:  # of MLflow, and of whatever stands behind the address
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"MLflow at {self.uri}: {reason}") from None

    def _find_experiment(self) -> str:
        artifacts = _artifacts(self.uri)
        found = self._client.get_experiment_by_name(self._config.name)
        if found is None:
            return str(self._client.create_experiment(self._config.name, artifacts))
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        if self._moves and artifacts and found.artifact_location != artifacts:
            _move_artifacts(self._out / "mlflow.db", found.artifact_location, artifacts)
        return str(found.experiment_id)

    def _find_runs(self) -> tuple[str, dict[str, Any]]:
        """Return the parent run of this sweep, and all jobs of its results folder by job id."""
        known: dict[str, Any] = {}
        parent = ""
        where = f"tags.`stylebench.out` = '{_folder_id(self._out)}'"
        every = [found.experiment_id for found in _pages(self._client.search_experiments)]
        for some in _batches(every, EXPERIMENTS):
            for run in _pages(self._client.search_runs, some, where):
                if "job_id" in run.data.tags:
                    known[run.data.tags["job_id"]] = run
                elif run.info.experiment_id == self._experiment:
                    parent = run.info.run_id
        return parent or self._create(self._config.name, {}), known

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        tags = {"stylebench.out": _folder_id(self._out), "mlflow.runName": name, **tags}
        return str(self._client.create_run(self._experiment, tags=tags).info.run_id)

    def log(self, record: Mapping[str, Any]) -> None:
        """Log a job; one that is logged with the same outcome is left alone."""
        job_id = str(record["job_id"])
        known = self._known.get(job_id)
        stamp = f"{record['status']} {record['finished']}"
        if known is not None and known.data.tags.get("stylebench.logged") == stamp:
            return
        if known is not None:
            self._drop(known.info.run_id)
        spec = JobSpec.model_validate(record["spec"])
        arch = spec.arch + spec.weights.settings
        name = f"{arch} {spec.smoothing.label} {spec.content.name} {spec.style.name}"
        run_id = self._create(name, {"job_id": job_id, "mlflow.parentRunId": self._parent})
        self._log_job(run_id, record)
        ok = record["status"] == "ok"
        self._client.set_tag(run_id, "status", record["status"])
        self._client.set_tag(run_id, "error", record.get("error", ""))
        self._client.set_terminated(run_id, "FINISHED" if ok else "FAILED")
        self._client.set_tag(run_id, "stylebench.logged", stamp)
        self._known[job_id] = self._client.get_run(run_id)

    def _drop(self, run_id: str) -> None:
        """Delete the run of an earlier outcome, or of one that was logged in part.

        MLflow refuses other values of parameters and keeps both histories of metrics.
        """
        self._client.delete_tag(run_id, "job_id")
        self._client.delete_run(run_id)

    def _log_job(self, run_id: str, record: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param

        row = tables.result_row(dict(record))
        when = int(record["finished"] * 1000)
        numbers = {k: v for k, v in row.items() if isinstance(v, float) and math.isfinite(v)}
        params = {
            k: v
            for k, v in row.items()
            if isinstance(v, str | int)
            and k not in ("error", "job_id")
            and not k.endswith("picture")
        }
        self._client.log_batch(run_id, params=[Param(k, str(v)[:500]) for k, v in params.items()])
        metrics = [Metric(key, value, when, 0) for key, value in numbers.items()]
        folder = self._out / "jobs" / str(record["job_id"])
        if record["status"] == "ok":
            metrics += self._steps(folder, when)
            for name in ("result.png", "content.png", "style.png", "record.json"):
                self._client.log_artifact(run_id, str(folder / name))
        for batch in _batches(metrics, BATCH):
            self._client.log_batch(run_id, metrics=batch)

    def _steps(self, folder: Path, when: int) -> list[Any]:
        """Return the trace as stepwise metrics: one step an evaluation."""
        from mlflow.entities import Metric

        trace = pd.read_parquet(folder / "trace.parquet").set_index("evaluation")
        return [
            Metric(f"trace/{column}", float(value), when, int(str(step)))
            for column, values in trace.items()
            for step, value in values.items()
            if math.isfinite(value)
        ]

    def log_statistics(
        self, statistics: pd.DataFrame, records: Iterable[Mapping[str, Any]]
    ) -> None:
        """Log the means over images of the statistics of each job's backbone and smoothing."""
        from mlflow.entities import Metric

        keys = ["arch", "weights", "smoothing", "seed", "size", "resize"]
        means = statistics.groupby([*keys, "stage", "statistic"])["value"].mean().reset_index()
        for record in records:
            row = tables.result_row(dict(record))
            run = self._known.get(row["job_id"])
            if run is None or row["status"] != "ok" or "stylebench.statistics" in run.data.tags:
                continue
            mine = means[(means[keys] == [row[key] for key in keys]).all(axis=1)]
            when = int(record["finished"] * 1000)
            metrics = [
                Metric(f"statistics/{name}", float(value), when, int(stage))
                for stage, name, value in zip(
                    mine["stage"], mine["statistic"], mine["value"], strict=True
                )
                if math.isfinite(value)
            ]
            if metrics:
                for batch in _batches(metrics, BATCH):
                    self._client.log_batch(run.info.run_id, metrics=batch)
                self._client.set_tag(run.info.run_id, "stylebench.statistics", str(len(mine)))

    def finish(self, manifest: Mapping[str, Any], files: Iterable[Path]) -> None:
        """Log the sweep itself: its commands, and the files, manifest.json among them."""
        commands = [run["command"] for run in manifest["runs"]]
        self._client.set_tag(self._parent, "command", "\n".join(dict.fromkeys(commands)))
        for path in files:
            self._client.log_artifact(self._parent, str(path))
        self._client.set_terminated(self._parent, "FINISHED")


def _move_artifacts(database: Path, old: str, new: str) -> None:
    """Tell the database of a results folder that was moved where its artifacts are now."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old), old),
            )


def _folder_id(out: Path) -> str:
    """Return the identity of a results folder, kept in the folder so that it may be moved."""
    path = out / ".sweep-id"
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        store.write_text(path, os.urandom(8).hex())
    return path.read_text(encoding="utf-8").strip()


def _artifacts(uri: str) -> str | None:
    """Return the folder of the artifacts beside an SQLite database; servers have their own."""
    database = uri.removeprefix("sqlite:///")
    return None if database == uri else (Path(database).resolve().parent / "mlartifacts").as_uri()


def _pages(search: Callable[..., Any], *args: Any) -> Iterator[Any]:
    """Yield what a search of MLflow finds, which comes in pages."""
    token: str | None = ""
    while token is not None:
        page = search(*args, page_token=token or None)
        yield from page
        token = page.token or None


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
