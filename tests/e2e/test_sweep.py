"""Sweeps from the command line to the results folder and MLflow, with the tiny backbone."""

import importlib.metadata
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image

from stylebench import plan, store, tracking
from stylebench.config import load_sweep
from stylebench.stats import STATISTICS
from stylebench.transfer import Stylization, stylize
from tests.cli.bench import NO_FIGURES, Run, invoke, no_figures, with_database, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

RESULTS = ["job_id", "status", "arch", "weights", "smoothing", "content", "style", "seed", "size",
           "evals", "seconds", "loss_initial", "loss_final", "content_loss", "style_loss",
           "stop_reason", "error"]  # fmt: skip
STATS = ["arch", "weights", "smoothing", "image", "layer", "stage", "statistic", "value", "seed"]
PAIRS = [("chelsea", "mosaic"), ("china", "brush")]

Snapshot = dict[str, tuple[int, int]]


def snapshot(folder: Path) -> Snapshot:
    """Return path -> (inode, time of change) of everything below a folder."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {str(path.relative_to(folder)): (s.st_ino, s.st_mtime_ns) for path, s in found.items()}


def done(out: Path) -> dict[str, dict[str, Any]]:
    """Return job id -> record of the stylisations that are in place."""
    return {record["job_id"]: record for record in store.records(out)}


def rows(out: Path) -> list[dict[str, Any]]:
    """Return results.parquet as dictionaries."""
    return cast("list[dict[str, Any]]", store.load_results(out).to_dict("records"))


def sweep(*args: object) -> Run:
    """Run a sweep that draws no figures, in this process."""
    with no_figures():
        return invoke("sweep", *args)


# ---------------------------------------------------------------------------------- in MLflow


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
        assert run.data.tags["status"] == run.data.params["status"] == record["status"]
        assert run.info.status == ("FINISHED" if record["status"] == "ok" else "FAILED")
        if record["status"] == "ok":
            assert run.data.metrics["loss_final"] == record["loss_final"]
            history = client.get_metric_history(run.info.run_id, "trace/loss")
            assert [metric.step for metric in history] == list(range(1, record["evals"] + 1))


# ------------------------------------------------------------------------------ a whole sweep


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Return a sweep of two smoothings and two pairs: nothing is left out, nothing pretended."""
    folder = tmp_path_factory.mktemp("swept")
    out = folder / "out"
    return invoke("sweep", "--out", out, write_yaml(folder / "tiny.yaml")), out


@pytest.fixture
def copy(swept: tuple[Run, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Return (YAML, OUT) of the sweep, copied to another place."""
    shutil.copytree(swept[1], tmp_path / "copy")
    return write_yaml(tmp_path / "tiny.yaml"), tmp_path / "copy"


def test_all_is_well(swept: tuple[Run, Path]) -> None:
    run, out = swept
    assert run.status == 0, run
    assert run.out.splitlines()[-1].startswith("5 ok, 0 failed, 0 unavailable in")
    expected = {"results.parquet", "stats.parquet", "trace.parquet", "mlflow.db", "manifest.json",
                "jobs", "images", "figures"}  # fmt: skip
    assert expected <= {path.name for path in out.iterdir()}
    for figure in ("grid", "statistics", "scale_free", "curves"):
        assert (out / "figures" / f"{figure}.png").is_file()
    assert not [path for path in out.rglob("*") if "tmp" in path.name]


def test_results(swept: tuple[Run, Path]) -> None:
    frame = pd.read_parquet(swept[1] / "results.parquet")
    assert [column for column in frame.columns if column in RESULTS] == RESULTS
    assert len(frame) == 4
    assert {(row.content, row.style) for row in frame.itertuples()} == set(PAIRS)
    assert Counter(frame["smoothing"]) == {"none": 2, "softmax": 2}
    for column, value in {"status": "ok", "arch": "r-tiny", "weights": "random:0", "seed": 0,
                          "size": 32, "error": "", "preset": "balanced"}.items():  # fmt: skip
        assert (frame[column] == value).all(), column
    assert frame["evals"].between(1, 5).all()
    assert (frame["seconds"] > 0).all()
    assert (frame["peak_memory_mb"] > 10).all()
    numbers = ["loss_initial", "loss_final", "content_loss", "style_loss"]
    assert np.isfinite(frame[numbers].to_numpy()).all()
    assert (frame["loss_final"] <= frame["loss_initial"]).all()
    assert frame["stop_reason"].isin(["evaluations", "converged", "diverged"]).all()
    plain = frame[frame["smoothing"] == "none"]
    assert (plain["loss_final"] < 0.9 * plain["loss_initial"]).all()
    assert (plain["evals"] == 5).all()
    assert frame.equals(store.load_results(swept[1]))
    assert set(frame["job_id"]) == {path.name for path in (swept[1] / "jobs").iterdir()}


def test_statistics(swept: tuple[Run, Path]) -> None:
    frame = pd.read_parquet(swept[1] / "stats.parquet")
    assert [column for column in frame.columns if column in STATS] == STATS
    assert set(frame["statistic"]) == set(STATISTICS)
    assert set(frame["smoothing"]) == {"none", "softmax"}
    assert set(frame["stage"]) == {0, 1, 2, 3, 4}
    assert set(frame["image"]) == {"chelsea"}
    assert len(frame) == 2 * 5 * len(list(STATISTICS))
    assert np.isfinite(frame["value"]).all()
    mean = frame[frame["statistic"] == "entropy"].groupby("smoothing")["value"].mean()
    assert 0 <= mean["none"] < mean["softmax"] <= 1 + 1e-6


def test_traces(swept: tuple[Run, Path]) -> None:
    trace = pd.read_parquet(swept[1] / "trace.parquet")
    assert set(trace["job_id"]) == {row["job_id"] for row in rows(swept[1])}
    for row in rows(swept[1]):
        steps = trace[trace["job_id"] == row["job_id"]]
        assert list(steps["evaluation"]) == list(range(1, row["evals"] + 1))
        assert steps["loss"].iloc[0] == row["loss_initial"]
        assert steps["loss"].min() == row["loss_final"]


def test_records_and_pictures(swept: tuple[Run, Path]) -> None:
    out = swept[1]
    for row in rows(out):
        folder = out / "jobs" / row["job_id"]
        record = json.loads((folder / "record.json").read_text())
        assert (record["job_id"], record["status"]) == (row["job_id"], "ok")
        assert record["loss_final"] == row["loss_final"]
        assert {"torch", "stylebench", "python"} <= set(record["environment"])
        for column in ("picture", "content_picture", "style_picture"):
            path = out / row[column]
            assert path.parent == out / "images"
            with Image.open(path) as picture:
                assert picture.format == "JPEG"
                assert max(picture.size) == 32
        result, content = (store.read_picture(folder / f"{n}.png") for n in ("result", "content"))
        assert result.shape == content.shape
        assert result.shape == (21, 32, 3), "the aspect ratio is kept"
        if row["smoothing"] == "none":
            assert not np.array_equal(result, content)


def test_manifest(swept: tuple[Run, Path]) -> None:
    (run,) = json.loads((swept[1] / "manifest.json").read_text())["runs"]
    assert run["command"].startswith("stylebench sweep --out ")
    assert run["config"]["arch"] == ["r-tiny"]
    assert [(w["arch"], w["source"]) for w in run["weights"]] == [("r-tiny", "random:0")]
    assert run["environment"]["torch"] == importlib.metadata.version("torch")


def test_mlflow_has_parameters_metrics_and_pictures(swept: tuple[Run, Path]) -> None:
    out = swept[1]
    check_mlflow(out)
    parent, children, client = runs(out)
    assert len(children) == 4
    assert parent.data.tags["command"].startswith("stylebench sweep --out ")
    logged = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"manifest.json", "grid.png", "statistics.png"} <= logged
    records = done(out)
    for run in children:
        record = records[run.data.tags["job_id"]]
        spec, params = record["spec"], run.data.params
        assert params["arch"] == "r-tiny"
        assert params["smoothing"] == spec["smoothing"]["name"]
        assert (params["content"], params["style"]) in PAIRS
        assert (params["size"], params["seed"], params["preset"]) == ("32", "0", "balanced")
        for key in ("content_loss", "style_loss", "loss_initial", "seconds", "peak_memory_mb"):
            assert run.data.metrics[key] == pytest.approx(record[key])
        trace = pd.read_parquet(out / "jobs" / record["job_id"] / "trace.parquet")
        for column in ("loss", "content_loss", "style_loss"):
            history = client.get_metric_history(run.info.run_id, f"trace/{column}")
            assert [metric.value for metric in history] == pytest.approx(list(trace[column]))
        entropies = client.get_metric_history(run.info.run_id, "statistics/entropy")
        assert sorted(metric.step for metric in entropies) == [0, 1, 2, 3, 4]
        files = {item.path: item.file_size for item in client.list_artifacts(run.info.run_id)}
        for name in ("result.png", "content.png", "style.png"):
            assert files[name] == (out / "jobs" / record["job_id"] / name).stat().st_size


# ----------------------------------------------------------------------------------- run again


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
        assert record["finished"] > finished[job_id]["finished"]
        assert record["loss_final"] == pytest.approx(finished[job_id]["loss_final"], rel=1e-4)
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


# ------------------------------------------------------------------------------ jobs that fail


def _fails_when_smoothed(*args: Any, **settings: Any) -> Stylization:
    if settings["smooth"].name == "softmax":
        raise RuntimeError("no luck\nat all")
    return stylize(*args, **settings)


def test_a_failed_job_is_told_kept_and_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = write_yaml(tmp_path / "tiny.yaml"), with_database(tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr("stylebench.job.stylize", _fails_when_smoothed)
        run = sweep("--out", out, config)
    assert run.status == 1
    assert run.out.splitlines()[-1].startswith("3 ok, 2 failed, 0 unavailable in")
    assert len([line for line in run.out.splitlines() if "] failed  r-tiny  softmax" in line]) == 2
    for row in rows(out):
        failed = row["smoothing"] == "softmax"
        assert row["status"] == ("failed" if failed else "ok")
        assert row["error"] == ("RuntimeError: no luck" if failed else "")
        assert np.isnan(row["loss_final"]) == failed
    check_mlflow(out)
    finished = [row["job_id"] for row in rows(out) if row["status"] == "ok"]
    assert len(finished) == 2
    kept = {job_id: snapshot(out / "jobs" / job_id) for job_id in finished}

    again = sweep("--out", out, config)
    assert again.status == 0
    assert "2 jobs to run, 3 finished before" in again.out
    assert "MLflow failed" not in again.out
    assert set(store.load_results(out)["status"]) == {"ok"}
    assert {job_id: snapshot(out / "jobs" / job_id) for job_id in kept} == kept
    check_mlflow(out)


def test_a_group_without_weights_goes_on(tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml", arch=["r-tiny", "p-*"], smoothing=["none"])
    out = with_database(tmp_path / "out")
    run = sweep("--offline", "--out", out, config)
    assert run.status == 0
    assert run.out.splitlines()[-1].startswith("3 ok, 0 failed, 4 unavailable in")
    frame = store.load_results(out)
    assert Counter(zip(frame["arch"], frame["status"], strict=True)) == {
        ("r-tiny", "ok"): 2,
        ("p-vgg19", "unavailable"): 2,
        ("p-resnet50", "unavailable"): 2,
    }
    missing = frame[frame["status"] == "unavailable"]
    assert (missing["weights"] == "unavailable").all()
    for row in cast("list[dict[str, str]]", missing.to_dict("records")):
        assert f"no weights for {row['arch']}" in row["error"]
        assert f"--weights {row['arch'][2:]}=PATH" in row["error"]
    assert not set(missing["job_id"]) & set(done(out))
    assert set(pd.read_parquet(out / "stats.parquet")["arch"]) == {"r-tiny"}
    check_mlflow(out)
    assert sweep("--offline", "--out", out, config).status == 0
    assert len(store.load_results(out)) == 6


# --------------------------------------------------------------------------------- interrupted


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
        time.sleep(0.01)


def long_sweep(path: Path) -> Path:
    """Write a sweep of six jobs that take a while each."""
    return write_yaml(path, smoothing=["none"], seed=[0, 1, 2], evals=300, statistics_images=[],
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


@pytest.mark.parametrize("jobs", [1, 2])
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
    assert {record["status"] for record in finished.values()} == {"ok"}
    assert sorted(store.load_results(out)["job_id"]) == sorted(finished)
    assert set(job_tags(out)) <= set(finished)
    assert max(job_tags(out).values()) == 1
    if jobs == 1:  # workers are stopped where they are; their jobs are begun anew
        assert not list(out.glob("jobs/.tmp-*"))


# ------------------------------------------------------------------------------------ tracking


@pytest.mark.timeout(90)
@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nonsense://x", "sqlite:///{}/garbage.db"])
def test_tracking_server_that_cannot_be_reached(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    (tmp_path / "garbage.db").write_text("this is no database " * 100)
    config, out = write_yaml(tmp_path / "tiny.yaml"), tmp_path / "out"
    run = sweep("--tracking-uri", uri.format(tmp_path), "--out", out, config)
    assert run.status == 2
    lines = [line for line in run.err.splitlines() if line.startswith("stylebench: ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"stylebench: MLflow at {uri.format(tmp_path)}: ")
    assert len(lines[0]) < 400
    assert "Traceback" not in run.err
    assert not (out / "jobs").exists()


def test_damaged_database_does_not_stop_a_sweep(tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    out = tmp_path / "out"
    out.mkdir()
    (out / "mlflow.db").write_text("this is no database " * 100)
    run = sweep("--out", out, config)
    assert run.status == 0
    assert "not tracked: MLflow at sqlite:///" in run.out
    assert "Traceback" not in run.err
    assert set(store.load_results(out)["status"]) == {"ok"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["q?x", "p%41"])
def test_folder_that_mlflow_would_misread(name: str, tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    run = sweep("--out", tmp_path / name, config)
    assert run.status == 0
    assert "not tracked: sqlite:///" in run.out
    assert {path.name for path in tmp_path.iterdir()} == {name, config.name}
    assert set(store.load_results(tmp_path / name)["status"]) == {"ok"}


def test_other_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    database = with_database(tmp_path / "elsewhere") / "mlflow.db"
    out = tmp_path / "out"
    run = sweep("--tracking-uri", f"sqlite:///{database}", "--out", out, config)
    assert run.status == 0
    assert not (out / "mlflow.db").exists()
    assert job_tags(database.parent) == Counter(list(done(out)))
    assert list((tmp_path / "elsewhere" / "mlartifacts").rglob("result.png"))
    assert not list((tmp_path / "here").iterdir())


def test_jobs_are_found_among_many_experiments(
    copy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = copy
    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    names = {client.get_experiment(client.create_experiment(f"other-{i}")).name for i in range(5)}
    one_by_one = partial(client.search_experiments, max_results=1)
    assert names < {found.name for found in tracking._pages(one_by_one)}
    monkeypatch.setattr(tracking, "EXPERIMENTS", 2)
    assert sweep("--out", out, config).status == 0
    assert job_tags(out) == Counter(list(done(out)))


# --------------------------------------------------------------------------- names and identity


def picture(path: Path, colour: str = "red") -> Path:
    """Write a small picture with something in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.new("RGB", (40, 32), colour)
    made.paste(Image.linear_gradient("L").resize((20, 20)), (5, 5))
    made.save(path, "PNG")
    return path


def test_job_id_does_not_depend_on_paths_and_names(tmp_path: Path) -> None:
    first = picture(tmp_path / "a" / "one.png")
    second = tmp_path / "b" / "two words.png"
    second.parent.mkdir()
    shutil.copy(first, second)
    other = picture(tmp_path / "a" / "other.png", "blue")

    def ids(content: Path, **changes: object) -> list[str]:
        config = write_yaml(tmp_path / "x.yaml", content=[str(content)], style=["brush"], **changes)
        return [spec.job_id for spec in plan.expand(load_sweep(config)).jobs]

    assert ids(first) == ids(second) == ids(first, name="another", description="words")
    assert len(set(ids(first))) == 2
    assert not set(ids(first)) & set(ids(other))
    for changes in ({"size": 48}, {"evals": 6}, {"seed": [1]}, {"start": "noise"},
                    {"precision": "bf16"}, {"loss": {"style_weight": 3}}):  # fmt: skip
        assert not set(ids(first)) & set(ids(first, **changes)), changes
    (spec, _) = plan.expand(load_sweep(tmp_path / "x.yaml")).jobs
    renamed = spec.model_copy(update={"preset": "paper"})
    assert renamed.job_id == spec.job_id, "the name of the preset is no meaning"


NAMES = ["two words", "it's \"quoted\"", "ünï ☃ 画像", "two\nlines", "-.-", "-rf", "a,b",
         "$(id) `id`", "x" * 240, "con|<>:?*\\", "[red]x[]"]  # fmt: skip


def test_odd_names_stay_inside_the_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, below = tmp_path / "photos", tmp_path / "cwd" / "below"
    for index, name in enumerate(NAMES):
        picture(photos / f"{name}.png", f"rgb({20 * index}, 90, 0)")
    picture(tmp_path / ("y" * 200) / f"{'x' * 240}.png", "white")
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    out = tmp_path / 'it\'s "my" résults ☃'
    with_database(out)
    before = {path for path in tmp_path.rglob("*") if out not in path.parents}
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    run = sweep("--out", out, "--style", "../../photos/../photos/two words.png",
                "--content", f"../../{'y' * 200}", "--content", "../../photos", config)  # fmt: skip
    assert run.status == 0, run
    frame = store.load_results(out)
    assert len(frame) == len(NAMES) + 1
    assert set(frame["status"]) == {"ok"}
    assert frame["content"].is_unique
    assert not frame["content"].str.contains("\n").any()
    after = {path for path in tmp_path.rglob("*") if out not in path.parents}
    assert after == before | {config}
    assert frame["picture"].is_unique
    for name in frame[["picture", "content_picture", "style_picture"]].to_numpy().ravel():
        assert Path(name).parent == Path("images")
        assert (out / name).is_file()
    check_mlflow(out)


@pytest.mark.parametrize(
    "name", ["../../../../evil", "/tmp/evil", "x" * 300, "", "a\nb", "..", "%s"]
)
def test_names_in_a_job_stay_inside_the_results_folder(name: str, tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], content=["chelsea"],
                        style=["brush"], evals=2, statistics_images=[])  # fmt: skip
    out = tmp_path / "deep" / "deeper" / "out"
    spec = json.loads(invoke("sweep", "--dry-run", "--json", config).out)
    spec["content"]["name"] = spec["style"]["name"] = name
    assert invoke("run-job", "-", "--out", out, stdin=json.dumps(spec)).status == 0
    table = store.compact(out)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path for path in files if out not in path.parents} == {config}
    assert list(table["content"]) == [name]
    assert len([path for path in files if path.parent == out / "images"]) == 3
    assert store.pending(out, plan.expand(load_sweep(config)).jobs) == []
