"""The command ``stylebench track``, with MLflow's own database."""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from stylebench import store
from stylebench.tracking import view
from tests.cli.bench import invoke, refused, with_database, write_yaml
from tests.e2e.folders import check_mlflow, done, job_tags, runs, sweep

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder of two jobs, all of them in its database."""
    folder = tmp_path_factory.mktemp("swept")
    out = with_database(folder / "out")
    assert sweep("--out", out, write_yaml(folder / "tiny.yaml", smoothing=["none"])).status == 0
    return out


@pytest.fixture
def out(swept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(swept, tmp_path / "out"))


def _logged(out: Path) -> tuple[int, int]:
    """Run the command; return how many jobs it says it logged, and how many were there."""
    run = invoke("track", out)
    assert (run.status, run.err) == (0, ""), run
    words = run.out.splitlines()[-1].split()
    assert words[1:3] == ["jobs", "logged,"]
    return int(words[0]), int(words[3])


def _view(out: Path) -> list[Any]:
    """Return what MLflow shows of the jobs, but for the names of runs."""
    _, children, client = runs(out)
    shown = []
    for run in children:
        histories = {
            key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
        }
        tags = {k: v for k, v in run.data.tags.items() if k != "mlflow.parentRunId"}
        times = run.info.start_time, run.info.end_time, run.info.status
        files = sorted(item.path for item in client.list_artifacts(run.info.run_id))
        shown.append([tags, run.data.params, histories, times, files])
    return sorted(shown, key=lambda each: str(each[0]["job_id"]))


def test_track_says_what_was_there(out: Path) -> None:
    before = _view(out)
    assert _logged(out) == (0, 2)
    assert _view(out) == before
    check_mlflow(out)


def test_track_makes_the_same_from_the_folder_alone(swept: Path, out: Path) -> None:
    shutil.rmtree(out / "mlartifacts")
    (out / ".tracked").unlink()
    with_database(out)
    assert _logged(out) == (2, 0)
    check_mlflow(out)
    assert _view(out) == _view(swept)
    parent, _, client = runs(out)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["command"].startswith("stylebench sweep --out ")
    assert [f.path for f in client.list_artifacts(parent.info.run_id, "images")]
    assert _logged(out) == (0, 2)


def test_a_job_that_is_there_twice_ends_as_one(out: Path) -> None:
    parent, (first, second), client = runs(out)
    experiment = first.info.experiment_id
    # Requests that timed out and were carried out nevertheless: a run without content, and a
    # whole one of an outcome long past.
    torn = client.create_run(experiment, tags=first.data.tags)
    stamp = {**second.data.tags, "stylebench.logged": "ok 1.5"}
    old = client.create_run(experiment, tags=stamp)
    client.set_terminated(old.info.run_id)
    again = {k: v for k, v in parent.data.tags.items() if k != "command"}
    parents = client.create_run(experiment, tags=again)
    assert set(job_tags(out).values()) == {2}
    assert _logged(out) == (0, 2)
    check_mlflow(out)
    _, left, _ = runs(out)
    assert {run.info.run_id for run in left} == {first.info.run_id, second.info.run_id}
    for run_id in (torn.info.run_id, old.info.run_id, parents.info.run_id):
        assert client.get_run(run_id).info.lifecycle_stage == "deleted"


def test_of_two_in_part_one_is_left_and_whole(out: Path) -> None:
    _, (first, _), client = runs(out)
    client.set_terminated(first.info.run_id, "RUNNING")
    client.create_run(first.info.experiment_id, tags=first.data.tags)
    assert _logged(out) == (1, 1)
    check_mlflow(out)


def test_a_deletion_that_was_cut_off_is_completed(out: Path) -> None:
    _, (first, _), client = runs(out)
    client.delete_tag(first.info.run_id, "job_id")
    assert _logged(out) == (1, 1)
    check_mlflow(out)
    assert client.get_run(first.info.run_id).info.lifecycle_stage == "deleted"


def test_statistics_that_came_after_their_jobs(out: Path) -> None:
    _, (first, _), client = runs(out)
    tags = {k: v for k, v in first.data.tags.items() if k != "stylebench.statistics"}
    history = client.get_metric_history(first.info.run_id, "statistics/entropy")
    bare = client.create_run(first.info.experiment_id, first.info.start_time, tags)
    client.set_terminated(bare.info.run_id)
    client.delete_tag(first.info.run_id, "job_id")
    assert _logged(out) == (0, 2)
    added = client.get_metric_history(bare.info.run_id, "statistics/entropy")
    assert [(m.step, m.value) for m in added] == [(m.step, m.value) for m in history]
    assert [m.step for m in added] == [0, 1, 2, 3, 4]


def test_sweeps_of_other_names_are_experiments_of_their_own(out: Path, tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "b.yaml", name="other", smoothing=["none"], seed=[7])
    first = set(done(out))
    assert sweep("--out", out, config).status == 0
    with_database(out)
    assert _logged(out) == (4, 0)
    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    for name, ids in (("tiny", first), ("other", set(done(out)) - first)):
        found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
        (parent,) = (run for run in found if "job_id" not in run.data.tags)
        jobs = {run.data.tags["job_id"]: run for run in found if run is not parent}
        assert set(jobs) == ids
        for run in jobs.values():
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert job_tags(out) == Counter(list(done(out)))


def test_jobs_of_no_sweep_get_the_name_of_the_folder(out: Path) -> None:
    (out / "manifest.json").unlink()
    with_database(out)
    assert _logged(out) == (2, 0)
    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    assert client.get_experiment_by_name("out") is not None


def test_a_damaged_job_costs_no_other(out: Path) -> None:
    job_id = sorted(done(out))[0]
    (out / "jobs" / job_id / "trace.parquet").write_bytes(b"no parquet")
    with_database(out)
    run = invoke("track", out)
    assert run.status == 1
    told = run.out.splitlines()
    assert any(line.startswith("not in MLflow: ") and "is damaged" in line for line in told)
    assert f"1 of 2 jobs are not in MLflow; complete with `stylebench track {out}`" in told
    assert told[-1].startswith("1 jobs logged, 0 were there: sqlite:///")
    assert job_tags(out) == Counter(list(set(done(out)) - {job_id}))


KILLED = """
import os, pathlib, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from stylebench.tracking.mlflow import Tracker

made = 0

@event.listens_for(Engine, "before_cursor_execute")
def count(_connection, _cursor, statement, *_others):
    global made
    made += not statement.lstrip().upper().startswith(("SELECT", "PRAGMA"))
    if made == 60:
        os.kill(os.getpid(), 9)

Tracker(pathlib.Path(sys.argv[1])).check()
"""


def test_a_kill_while_the_database_is_made(out: Path) -> None:
    (out / "mlflow.db").unlink()
    command = [sys.executable, "-c", KILLED, str(out)]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert _logged(out) == (2, 0)
    check_mlflow(out)


def test_a_damaged_database_is_told_with_its_remedy(out: Path) -> None:
    (out / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"nothing" * 100)
    said = refused("track", out)
    assert said.rstrip().endswith(f"remove it: `stylebench track {out}` makes it anew")


def test_wrong_input(out: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        assert "holds no jobs" in refused("track", folder)
    assert list((tmp_path / "empty").iterdir()) == []
    for uri in ("nonsense://x", "http://127.0.0.1:9", "http://me:secret@127.0.0.1:9"):
        said = refused("track", out, "--tracking-uri", uri)
        assert said.startswith(f"stylebench: MLflow at {uri.replace('me:secret', '***')}: ")
        assert "secret" not in said


def test_an_entry_is_the_record(out: Path) -> None:
    for job_id, record in done(out).items():
        entry = view.read(out, job_id)
        assert entry is not None
        numbers = {name: value for name, step, value in entry.numbers if step == 0}
        assert numbers["loss_final"] == record.loss_final
        assert entry.params["arch"] == "r-tiny"
        assert "" not in entry.params.values()
        assert [path.name for path in entry.files] == ["result.png"]
        assert entry.record["job_id"] == job_id
    assert view.read(out, "0" * 16) is None
    assert store.read_record(out / "jobs" / "0") is None


def test_an_experiment_that_was_deleted_comes_back_with_each_job_once(out: Path) -> None:
    before = _view(out)
    _, children, client = runs(out)
    client.delete_experiment(children[0].info.experiment_id)
    for _ in range(2):
        _logged(out)
        assert _view(out) == before
        check_mlflow(out)
    client.delete_experiment(children[0].info.experiment_id)
    client.restore_experiment(children[0].info.experiment_id)  # as people do, in the UI
    assert _logged(out)[0] == 0
    assert _view(out) == before
