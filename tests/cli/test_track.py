"""The command ``stylebench track``, with MLflow's own database."""

import errno
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stylebench import files, store
from stylebench.tracking import address, background, view
from stylebench.tracking.mlflow import Tracker
from tests.cli.bench import invoke, refused, tracked, with_database, write_yaml
from tests.e2e.folders import check_mlflow, done, job_tags, runs, sweep
from tests.often import often

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


def _logged(out: Path, *flags: object) -> tuple[int, int]:
    """Run the command; return how many jobs it says it logged, and how many were there."""
    run = invoke("track", out, *flags)
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
    client = tracked(out)
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
    client = tracked(out)
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


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", ["folder", "fifo", "link", "nobody's"])
def test_a_database_that_cannot_be_written_is_told_at_once(
    what: str, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = out / "mlflow.db"
    kept = place.rename(tmp_path / "kept.db")
    content = kept.read_bytes()
    if what == "folder":
        place.mkdir()
    elif what == "fifo":
        os.mkfifo(place)
    elif what == "link":
        place.symlink_to(kept)
    else:
        place.write_bytes(content)
        real = os.open

        def denied(path: Any, *args: Any, **keys: Any) -> int:
            if Path(path) == place.resolve():
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *args, **keys)

        monkeypatch.setattr(os, "open", denied)
    said = refused("track", out)
    assert said.startswith(f"stylebench: MLflow at sqlite:///{out}/mlflow.db: ")
    assert "makes it anew" not in said, "that would not help"
    assert kept.read_bytes() == content


def test_a_full_disk_is_told_with_its_remedy(out: Path) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as full:
        database.execute("CREATE TABLE a (b)")
    database.close()
    wrapped = RuntimeError("of MLflow")
    wrapped.__cause__ = full.value
    said = str(address.refused("sqlite:///x", wrapped, out))
    assert said.endswith(f"; make space, then `stylebench track {out}`")


def test_what_is_not_a_job_is_missed_too(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Tracker) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(background, "FIRST", 0.01)
    monkeypatch.setattr(Tracker, "finish", fail)
    run = invoke("track", out)
    assert run.status == 1
    assert "the sweep is not in MLflow: [Errno 28] No space left on device" in run.out
    assert "figures or statistics are not in MLflow; complete with `stylebench track " in run.out


def test_a_file_larger_than_any_of_ours_is_not_copied(out: Path) -> None:
    (out / "figures").mkdir(exist_ok=True)
    for name, size in (("curves.png", files.MOST + 1), ("grid.png", 9)):
        with (out / "figures" / name).open("wb") as file:
            file.truncate(size)
    invoke("track", out)
    copied = {path.name for path in (out / "mlartifacts").rglob("*.png")}
    assert "grid.png" in copied
    assert "curves.png" not in copied


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


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Return a folder whose database several results folders share."""
    return with_database(tmp_path / "server")


def _to(server: Path) -> tuple[str, str]:
    return "--tracking-uri", f"sqlite:///{server / 'mlflow.db'}"


def _live(server: Path) -> dict[str, dict[str, str]]:
    """Return run id -> tags of the jobs of all folders in a database."""
    client = tracked(server)
    every = [found.experiment_id for found in client.search_experiments()]
    found = client.search_runs(every, max_results=1000)
    return {r.info.run_id: r.data.tags for r in found if "mlflow.parentRunId" in r.data.tags}


def _copied(out: Path, how: str, to: Path) -> Path:
    if how == "jobs alone":
        shutil.copytree(out / "jobs", to / "jobs")
    else:
        without = shutil.ignore_patterns(".*") if how == "without dot files" else None
        shutil.copytree(out, to, ignore=without)
    return to


copies = pytest.mark.parametrize("how", ["whole", "without dot files", "jobs alone"])


@copies
def test_a_copy_logs_nothing_again(how: str, out: Path, server: Path, tmp_path: Path) -> None:
    assert _logged(out, *_to(server)) == (2, 0)
    before = _live(server)
    copy = _copied(out, how, tmp_path / "copy")
    for folder in (copy, out, copy):
        assert _logged(folder, *_to(server)) == (0, 2)
        assert _live(server) == before
    if how != "jobs alone":
        assert _logged(copy) == (0, 2)
        check_mlflow(copy)


@pytest.mark.parametrize("how", often({"whole"}, ["whole", "without dot files"]))
def test_a_copy_touches_no_run_of_another_folder(
    how: str, out: Path, server: Path, tmp_path: Path
) -> None:
    assert _logged(out, *_to(server)) == (2, 0)
    before = _live(server)
    copy = _copied(out, how, tmp_path / "copy")
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"])
    for _ in range(2):  # its own runs are replaced
        assert sweep("--out", copy, "--force", config, *_to(server)).status == 0
        after = _live(server)
        assert before.items() <= after.items()
        own = [tags["job_id"] for run_id, tags in after.items() if run_id not in before]
        assert Counter(own) == Counter(list(done(copy)))
    for folder in (out, copy, out):
        assert _logged(folder, *_to(server)) == (0, 2)
        assert _live(server) == after
    assert sweep("--out", copy, "--force", config).status == 0
    check_mlflow(copy)


def test_a_folder_that_was_renamed_is_the_same(out: Path, server: Path, tmp_path: Path) -> None:
    assert _logged(out, *_to(server)) == (2, 0)
    moved = out.rename(tmp_path / "moved")
    (tmp_path / "link").symlink_to(moved)
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"])
    for name in (moved, tmp_path / "link"):
        assert sweep("--out", name, "--force", config, *_to(server)).status == 0
        assert Counter(t["job_id"] for t in _live(server).values()) == Counter(list(done(moved)))
    assert _logged(moved, *_to(server)) == (0, 2)


def test_the_own_database_by_its_address_is_the_own_database(out: Path) -> None:
    assert _logged(out, *_to(out)) == (0, 2)
    check_mlflow(out)


@pytest.mark.parametrize("change", [{"config": None}, {"began": ""}])
def test_a_run_without_configuration_or_date(change: dict[str, Any], out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    (run,) = manifest["runs"]
    manifest["runs"].append({**run, **change})
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert _logged(out) == (0, 2)


def test_only_files_that_are_shown_are_uploaded(out: Path) -> None:
    (out / "figures" / "old").mkdir(parents=True)
    (out / "tables").mkdir(exist_ok=True)
    for name in ("figures/a.png", "figures/old/b.png", "tables/.DS_Store", "figures/.c.part"):
        (out / name).write_bytes(b"x")
    (out / "images" / "content_folder").mkdir()
    assert _logged(out) == (0, 2)
    parent, _, client = runs(out)
    sent = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {path for path in sent if path not in ("images", "manifest.json")} == {"a.png"}
    for make in (os.mkfifo, lambda path: path.symlink_to(out)):
        make(out / "figures" / "z")
        run = invoke("track", out)
        assert (run.status, "figures/z' is a " in run.out) == (1, True), run
        (out / "figures" / "z").unlink()


def test_the_identity_of_earlier_versions_is_taken_over_once(out: Path, tmp_path: Path) -> None:
    (out / ".sweep-id").write_text("0123456789abcdef\n")
    assert address.identity(out) == "0123456789abcdef"
    assert len((out / ".sweep-id").read_text().split()) == 3
    assert address.identity(out) == "0123456789abcdef"
    copy = Path(shutil.copytree(out, tmp_path / "copy"))
    assert address.identity(copy) != "0123456789abcdef"
    for text in ("no-word", "two words", "it' or", ""):
        (out / ".sweep-id").write_text(text)
        assert address.identity(out) not in text.split()


def _age(out: Path, job_id: str) -> None:
    """Give a job another outcome, as if it had been run again."""
    path = out / "jobs" / job_id / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "finished": record["finished"] + 10}))


@pytest.mark.parametrize("seed", often({0}, range(4)))
def test_each_job_is_there_once_whatever_is_deleted_and_restored(
    seed: int, out: Path, server: Path, tmp_path: Path
) -> None:
    copy = _copied(out, "whole", tmp_path / "copy")
    draw = random.Random(seed)
    client = tracked(server)

    def change() -> None:
        found = client.get_experiment_by_name("tiny")
        if draw.random() < 0.3:
            _age(draw.choice([out, copy]), draw.choice(sorted(done(out))))
        elif found is None or draw.random() < 0.3:
            _logged(draw.choice([out, copy]), *_to(server))
        elif found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        elif draw.random() < 0.5:
            client.delete_experiment(found.experiment_id)
        else:
            runs = client.search_runs([found.experiment_id])
            if runs:
                client.delete_run(draw.choice(runs).info.run_id)

    for _ in range(10):
        change()
    for folder in (out, copy, out):
        _logged(folder, *_to(server))
    outcomes = {
        (record.job_id, f"{record.status} {record.finished}")
        for folder in (out, copy)
        for record in done(folder).values()
    }
    live = [(tags.get("job_id"), tags["stylebench.logged"]) for tags in _live(server).values()]
    assert Counter(live) == Counter(list(outcomes))
