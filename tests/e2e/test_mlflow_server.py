"""A sweep whose MLflow is a real server on PostgreSQL that hangs, is killed, or is not there."""

import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from stylebench import store
from stylebench.errors import InputError
from stylebench.tracking import background
from stylebench.tracking.place import Place
from tests.cli.bench import no_figures
from tests.faults.mlflow_down import Listener, folder_id, logged, run
from tests.faults.server import Server, binaries, mlflow_on_postgres

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.usefixtures("one_thread", "no_weights"),
    pytest.mark.skipif(
        binaries() is None, reason="no initdb and pg_ctl (Debian: apt install postgresql)"
    ),
]

WAITS = 15.0
"""Seconds between outcomes that betray a sweep that waits: half of an HTTP request's time limit, a
hundred times what a job takes."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mlflow_on_postgres(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_figures() -> Iterator[None]:
    with no_figures():
        yield


@pytest.fixture
def server(running: Server) -> Server:
    """Return the server, well: started again if the last test has left it dead."""
    if not running.alive:
        running.start()
    return running


def track(out: Path, server: Server) -> tuple[int, int]:
    done = background.complete(out, Place(server.uri), lambda text: None)
    assert not done.missing
    return done.logged, done.there


def jobs(out: Path) -> Counter[str]:
    """Return each job of a results folder once."""
    return Counter(record.job_id for record in store.records(out) if record.status == "ok")


def away(told: Listener) -> list[str]:
    return [text for text in told.messages if text.startswith("MLflow does not answer")]


@pytest.mark.slow
def test_a_server_that_hangs_in_mid_sweep(server: Server, tmp_path: Path) -> None:
    told = run(tmp_path / "out", server.uri, list(range(6)), {
        2: lambda: server.signal(signal.SIGSTOP),
        6: lambda: server.signal(signal.SIGCONT),
    })  # fmt: skip
    assert told.longest < WAITS
    assert len(jobs(tmp_path / "out")) == 6
    track(tmp_path / "out", server)
    assert logged(server.uri, tmp_path / "out") == jobs(tmp_path / "out")


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(background, "PATIENCE", 1.0)
        told = run(out, server.uri, list(range(6)), {2: server.kill})
    assert told.longest < WAITS
    assert len(jobs(out)) == 6
    assert len(away(told)) == 1
    last = told.messages[-1]
    assert last.endswith(f"complete with `stylebench track {out} --tracking-uri {server.uri}`")
    missing = int(last.split()[0])
    assert 4 <= missing <= 6

    with pytest.raises(InputError, match=r"MLflow at .*refused"):
        track(out, server)
    server.start()
    new, there = track(out, server)
    assert new + there == 6
    assert missing - 1 <= new <= missing  # the last request may have been carried out
    assert logged(server.uri, out) == jobs(out)
    assert track(out, server) == (0, 6)


@pytest.mark.slow
def test_a_server_that_is_not_there_at_all(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(out, server.uri, [0])
    server.kill()
    # An address that has answered for this folder is down; for a new folder, it may be mistyped.
    with monkeypatch.context() as patch:
        patch.setattr(background, "PATIENCE", 1.0)
        told = run(out, server.uri, [0, 1, 2])
    assert len(away(told)) == 1
    assert len(jobs(out)) == 3
    assert told.messages[-1].startswith("3 of 3 jobs are not in MLflow; ")
    with pytest.raises(InputError, match=r"MLflow at .*refused"):
        run(tmp_path / "new", server.uri, [0])
    assert not (tmp_path / "new" / "jobs").exists()
    server.start()
    assert track(out, server) == (2, 1)
    assert logged(server.uri, out) == jobs(out)


@pytest.mark.slow
def test_a_request_that_was_carried_out_twice(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, server.uri, [0, 1])
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("mlflow-down")
    assert experiment is not None
    job_id = sorted(jobs(out))[0]
    where = f"tags.job_id = '{job_id}' and tags.`stylebench.out` = '{folder_id(out)}'"
    (one,) = client.search_runs([experiment.experiment_id], where)
    client.create_run(experiment.experiment_id, tags=one.data.tags)
    whole = client.create_run(experiment.experiment_id, tags=one.data.tags)
    client.set_terminated(whole.info.run_id)
    assert logged(server.uri, out)[job_id] == 2
    assert track(out, server) == (0, 2)
    assert logged(server.uri, out) == jobs(out)
    files = client.list_artifacts(one.info.run_id)
    assert {item.path for item in files} == {"result.png", "record.json"}


@pytest.mark.slow
def test_a_copy_of_a_folder_has_runs_of_its_own(server: Server, tmp_path: Path) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    run(out, server.uri, [0, 1])
    shutil.copytree(out, copy)
    assert track(copy, server) == (0, 2)
    assert logged(server.uri, copy) == Counter()
    shutil.rmtree(copy / "jobs")
    run(copy, server.uri, [0, 1])
    for folder in (out, copy):
        assert logged(server.uri, folder) == jobs(folder)
        assert track(folder, server) == (0, 2)
