"""What is in results folders and in MLflow, for the tests of sweeps."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any, cast

from mlflow import MlflowClient

from stylebench import store
from tests.cli.bench import Run, invoke, no_figures

Snapshot = dict[str, tuple[int, int]]


def snapshot(folder: Path) -> Snapshot:
    """Return path -> (inode, time of change) of everything below a folder."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {str(path.relative_to(folder)): (s.st_ino, s.st_mtime_ns) for path, s in found.items()}


def done(out: Path) -> dict[str, store.JobRecord]:
    """Return job id -> record of the stylisations that are in place."""
    return {record.job_id: record for record in store.records(out)}


def rows(out: Path) -> list[dict[str, Any]]:
    """Return results.parquet as dictionaries."""
    return cast("list[dict[str, Any]]", store.load_results(out).to_dict("records"))


def sweep(*args: object) -> Run:
    """Run a sweep that draws no figures, in this process."""
    with no_figures():
        return invoke("sweep", *args)


def job_tags(out: Path) -> Counter[str]:
    """Return how often each job id stands in MLflow's table of tags, deleted runs included."""
    connection = sqlite3.connect(out / "mlflow.db")
    try:
        rows = connection.execute("SELECT value FROM tags WHERE key = 'job_id'").fetchall()
    finally:
        connection.close()
    return Counter(value for (value,) in rows)


def runs(out: Path) -> tuple[Any, list[Any], Any]:
    """Return MLflow's parent run, its children, and the client that found them."""
    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    experiments = [e for e in client.search_experiments() if e.name != "Default"]
    assert [e.name for e in experiments] == ["tiny"]
    found = client.search_runs([experiments[0].experiment_id], max_results=1000)
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = [run for run in found if run not in parents]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parents[0].info.run_id}
    return parents[0], children, client


def check_mlflow(out: Path) -> None:
    """Check that MLflow has each job once, with the outcome that is in the results folder."""
    records = done(out)
    assert job_tags(out) == Counter(list(records))
    _, children, client = runs(out)
    assert Counter(run.data.tags["job_id"] for run in children) == Counter(list(records))
    for run in children:
        record = records[run.data.tags["job_id"]]
        assert run.data.tags["status"] == run.data.params["status"] == record.status
        assert run.info.status == ("FINISHED" if record.status == "ok" else "FAILED")
        if record.status == "ok":
            assert run.data.metrics["loss_final"] == record.loss_final
            history = client.get_metric_history(run.info.run_id, "trace/loss")
            assert [metric.step for metric in history] == list(range(1, (record.evals or 0) + 1))
