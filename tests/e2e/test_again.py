"""Sweeps that are run again, killed or interrupted."""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from stylebench import store
from stylebench.cli.progress import Progress
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from tests.cli.bench import NO_FIGURES, Run, with_database, write_yaml
from tests.e2e.folders import check_mlflow, done, job_tags, runs, snapshot, sweep

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


def test_again_does_nothing(copy: tuple[Path, Path], swept: tuple[Run, Path]) -> None:
    config, out = copy
    before = {kind: snapshot(out / kind) for kind in ("jobs", "statistics", "images")}
    first = pd.read_parquet(out / "results.parquet")
    manifest = (out / "manifest.json").read_text()
    original = set(snapshot(swept[1]))
    run = sweep("--out", out, config)
    assert run.status == 0
    assert "0 jobs to run, 5 finished before" in run.out
    assert {kind: snapshot(out / kind) for kind in before} == before
    pd.testing.assert_frame_equal(pd.read_parquet(out / "results.parquet"), first)
    assert (out / "manifest.json").read_text() == manifest
    check_mlflow(out)
    # The folder was moved: MLflow's files are looked for, and written, where it is now.
    assert set(snapshot(swept[1])) == original
    parent, children, client = runs(out)
    for logged in (parent, *children):
        assert logged.info.artifact_uri.startswith((out / "mlartifacts").as_uri())
        assert client.list_artifacts(logged.info.run_id)


def test_force_runs_all_again(copy: tuple[Path, Path]) -> None:
    config, out = copy
    before, finished = snapshot(out / "jobs"), done(out)
    run = sweep("--out", out, "--force", config)
    assert run.status == 0
    assert "5 jobs to run" in run.out
    after, again = snapshot(out / "jobs"), done(out)
    assert set(after) == set(before)
    assert all(after[job_id][0] != before[job_id][0] for job_id in again)
    for job_id, record in again.items():
        assert record.finished > finished[job_id].finished
        assert record.loss_final == pytest.approx(finished[job_id].loss_final, rel=1e-4)
    check_mlflow(out)


def test_more_jobs_into_the_same_folder(copy: tuple[Path, Path], tmp_path: Path) -> None:
    _, out = copy
    before = snapshot(out / "jobs")
    run = sweep("--out", out, write_yaml(tmp_path / "tiny.yaml", seed=[0, 3], evals=5))
    assert run.status == 0
    assert "5 jobs to run, 5 finished before" in run.out
    after = snapshot(out / "jobs")
    assert {path: after[path] for path in before} == before
    assert Counter(store.load_results(out)["seed"]) == {0: 4, 3: 4}
    seeds = [run["config"]["seed"] for run in store.read_manifest(out)["runs"]]
    assert seeds == [[0], [0, 3]]
    check_mlflow(out)


@pytest.mark.parametrize("damage", ["no record", "cut off record", "no folder"])
def test_a_job_without_its_record_is_run_again(copy: tuple[Path, Path], damage: str) -> None:
    config, out = copy
    job_id = sorted(done(out))[0]
    record = out / "jobs" / job_id / "record.json"
    if damage == "no folder":
        shutil.rmtree(record.parent)
    elif damage == "no record":
        record.unlink()
    else:
        record.write_bytes(record.read_bytes()[:100])
    run = sweep("--out", out, config)
    assert run.status == 0
    assert "1 jobs to run, 4 finished before" in run.out
    assert len(store.load_results(out)) == 4
    check_mlflow(out)


def test_what_was_logged_in_part_is_logged_once(copy: tuple[Path, Path]) -> None:
    config, out = copy
    _, children, client = runs(out)
    client.delete_tag(children[0].info.run_id, "stylebench.logged")
    client.delete_tag(children[1].info.run_id, "stylebench.logged")
    client.set_terminated(children[1].info.run_id, "RUNNING")
    assert sweep("--out", out, config).status == 0
    check_mlflow(out)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start sweeps as processes of their own session, which do not outlive the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*NO_FIGURES, *map(str, args)], start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until a condition holds while a process runs."""
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def long_sweep(path: Path) -> Path:
    """Write a sweep of six jobs that take a while each."""
    return write_yaml(path, smoothing=["none"], seed=[0, 1, 2], evals=150, statistics_images=[],
                      optimiser={"name": "adam"})  # fmt: skip


def test_killed_sweep_goes_on_where_it_was(
    tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    config, out = long_sweep(tmp_path / "tiny.yaml"), with_database(tmp_path / "out")
    planned = [spec.job_id for spec in plan.expand(load_sweep(config)).jobs]
    process = started("sweep", "--out", out, config)
    wait_for(lambda: len(done(out)) >= 2 and bool(list(out.glob("jobs/.tmp-*"))), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = done(out)
    assert 2 <= len(finished) < 6
    assert list(out.glob("jobs/.tmp-*")), "killed within a job"
    before = {job_id: snapshot(out / "jobs" / job_id) for job_id in finished}

    again = sweep("--out", out, config)
    assert again.status == 0
    left = 6 - len(finished)
    assert f"{left} jobs to run, {len(finished)} finished before" in again.out
    assert {job_id: snapshot(out / "jobs" / job_id) for job_id in before} == before
    assert {job_id: done(out)[job_id] for job_id in finished} == finished
    assert sorted(path.name for path in (out / "jobs").glob("[!.]*")) == sorted(planned)
    frame = store.load_results(out)
    assert sorted(frame["job_id"]) == sorted(planned)
    assert set(frame["status"]) == {"ok"}
    check_mlflow(out)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_control_c_keeps_what_is_finished(
    jobs: int, tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    config, out = long_sweep(tmp_path / "tiny.yaml"), with_database(tmp_path / "out")
    process = started("sweep", "--jobs", jobs, "--out", out, config)
    wait_for(lambda: len(job_tags(out)) >= 2 and bool(list(out.glob("jobs/.tmp-*"))), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    finished = done(out)
    assert 2 <= len(finished) < 6
    last = told.splitlines()[-1]
    assert last.startswith("stopped: ")
    assert "of 6 jobs were finished and are kept in" in last
    assert "run the same command again to go on" in last
    assert "Traceback" not in told + errors
    assert {record.status for record in finished.values()} == {"ok"}
    assert sorted(store.load_results(out)["job_id"]) == sorted(finished)
    assert set(job_tags(out)) <= set(finished)
    assert max(job_tags(out).values()) == 1
    if jobs == 1:  # workers are stopped where they are; their jobs are begun anew
        assert not list(out.glob("jobs/.tmp-*"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["one", "all", "renamed", "in the end"])
def test_outcomes_that_are_taken_away_are_missed(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"]), tmp_path / "out"
    told = Progress.job
    taken: list[str] = []

    def take(self: Progress, record: store.JobRecord) -> None:
        told(self, record)
        if self.done == (self.jobs if how == "in the end" else 2):
            taken.append(record.job_id)
            if how == "one":
                shutil.rmtree(out / store.FOLDERS[record.kind] / record.job_id)
            elif how == "renamed":
                out.rename(tmp_path / "elsewhere")
            else:
                shutil.rmtree(out)

    monkeypatch.setattr(Progress, "job", take)
    database = with_database(tmp_path / "database") / "mlflow.db"
    flags = ("--batch", 1, "--out", out, "--tracking-uri", f"sqlite:///{database}", config)
    run = sweep(*flags)
    gone = {"one": 1, "all": 2, "renamed": 2, "in the end": 3}[how]
    assert run.status == 1
    assert run.err == ""
    (line,) = (line for line in run.out.splitlines() if "no outcome" in line)
    assert line.startswith(f"{gone} of 3 jobs have no outcome of this run in {out}: ")
    assert taken[0] in line
    assert f"{3 - gone} ok, 0 failed, 0 unavailable, {gone} missing in " in run.out
    monkeypatch.undo()
    assert f"{gone} jobs to run" in sweep(*flags).out
