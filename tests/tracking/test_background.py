"""The thread that logs: a tracker of its own stands in for MLflow, and does what it is told."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stylebench.errors import InputError
from stylebench.tracking import background
from stylebench.tracking.background import Writer, completing
from stylebench.tracking.place import EXPERIMENT, Place

JOBS = [f"job-{i}" for i in range(5)]


class Mlflow:
    """Stands in for a tracker: fails while it is `down`, at some jobs always, or hangs."""

    uri, own = "http://me:secret@server", False

    def __init__(self) -> None:
        self.connected = False
        self.down = self.slow = False
        self.poison: set[str] = set()
        self.damaged: set[str] = set()
        self.go_on = threading.Event()
        self.done: list[str] = []
        self.connections = self.tries = 0

    def connect(self) -> None:
        self.tries += 1
        if self.down:
            raise ConnectionRefusedError("nobody listens")
        self.connections += 1
        self.connected = True

    def log(self, job_id: str) -> bool:
        if self.slow:
            assert self.go_on.wait(20)
        if self.down or job_id in self.poison:
            raise ConnectionResetError(f"refused {job_id}")
        if job_id in self.damaged:
            raise InputError(f"{job_id} is damaged")
        self.done.append(job_id)
        return True

    def finish(self) -> None:
        if self.down:
            raise ConnectionRefusedError
        self.done.append("the sweep")


@pytest.fixture
def mlflow() -> Iterator[Mlflow]:
    made = Mlflow()
    yield made
    made.go_on.set()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST", 0.01)
    monkeypatch.setattr(background, "LAST", 0.02)
    monkeypatch.setattr(background, "PATIENCE", 0.5)


def begun(mlflow: Mlflow, tmp_path: Path) -> tuple[Writer, list[str]]:
    told: list[str] = []
    return Writer(mlflow, tmp_path, told.append), told  # type: ignore[arg-type]


def until(condition: object) -> None:
    end = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_all_is_logged_in_order_and_then_the_sweep(mlflow: Mlflow, tmp_path: Path) -> None:
    made, told = begun(mlflow, tmp_path)
    for job_id in JOBS:
        made.put("transfer", job_id)
    made.close()
    assert mlflow.done == [*JOBS, "the sweep"]
    assert (made.logged, made.there, made.missing, made.late) == (5, 0, set(), False)
    assert told == []
    assert mlflow.connections == 1


def test_what_is_in_the_folder_comes_first(mlflow: Mlflow, tmp_path: Path) -> None:
    for name in ("b", "a", ".tmp-c-1"):
        (tmp_path / "jobs" / name).mkdir(parents=True)
    made, _ = begun(mlflow, tmp_path)
    made.put("transfer", "c")
    made.close()
    assert mlflow.done == ["a", "b", "c", "the sweep"]


def test_jobs_do_not_wait_for_a_server_that_hangs(mlflow: Mlflow, tmp_path: Path) -> None:
    mlflow.slow = True
    made, _ = begun(mlflow, tmp_path)
    for job_id in JOBS:
        made.put("transfer", job_id)  # would wait 20 s
    assert mlflow.done == []
    assert made.missing == set(JOBS)
    mlflow.go_on.set()
    made.close()
    assert mlflow.done == [*JOBS, "the sweep"]


def test_a_server_that_goes_and_comes_back(mlflow: Mlflow, tmp_path: Path) -> None:
    made, told = begun(mlflow, tmp_path)
    made.put("transfer", JOBS[0])
    until(lambda: mlflow.done)
    mlflow.down = True
    for job_id in JOBS[1:]:
        made.put("transfer", job_id)
    before = mlflow.tries
    until(lambda: mlflow.tries > before + 3)
    mlflow.down = False
    until(lambda: len(mlflow.done) == 5)
    connections = mlflow.connections
    made.close()
    assert mlflow.done == [*JOBS, "the sweep"]
    assert mlflow.connections == connections + 1, "looks at the end what came late"
    assert [text.partition(" (")[0] for text in told] == [
        "MLflow does not answer",
        "MLflow is back",
    ]
    assert told[0].endswith("; the sweep goes on, what is missing is logged later")


def test_gives_up_a_server_that_gets_nothing_done(mlflow: Mlflow, tmp_path: Path) -> None:
    mlflow.down = True
    made, told = begun(mlflow, tmp_path)
    for job_id in JOBS:
        made.put("transfer", job_id)
    made.close()
    assert made.late
    assert told[-1] == (
        "5 of 5 jobs are not in MLflow; complete with "
        f"`stylebench track {tmp_path} --tracking-uri 'http://***@server'`"
    )
    assert len(told) == 2
    made._thread.join(5)
    assert not made._thread.is_alive()


def test_what_completes_mlflow_names_what_flags_named(tmp_path: Path) -> None:
    tags = {"who": "x y"}
    flags = Place("http://a", "b", tags)
    given = f"stylebench track {tmp_path} --tracking-uri http://a"
    assert completing(tmp_path, flags, "http://a") == f"{given} --experiment-name b --tag 'who=x y'"
    variables = Place("http://a", "b", {}, (EXPERIMENT,))
    assert completing(tmp_path, variables, "http://a") == given, "track heeds the variable itself"
    assert completing(tmp_path, Place()) == f"stylebench track {tmp_path}"


def test_gives_up_a_server_that_hangs(mlflow: Mlflow, tmp_path: Path) -> None:
    mlflow.slow = True
    made, told = begun(mlflow, tmp_path)
    made.put("transfer", JOBS[0])
    made.close()
    assert told[-1].startswith("1 of 1 jobs are not in MLflow; ")


def test_a_job_that_mlflow_refuses_costs_no_other(mlflow: Mlflow, tmp_path: Path) -> None:
    mlflow.poison = {JOBS[1]}
    mlflow.damaged = {JOBS[3]}
    made, told = begun(mlflow, tmp_path)
    for job_id in JOBS:
        made.put("transfer", job_id)
    made.close()
    assert mlflow.done == [JOBS[0], JOBS[2], JOBS[4], "the sweep"]
    assert made.missing == {JOBS[1], JOBS[3]}
    assert f"{JOBS[1]} is not in MLflow: refused {JOBS[1]}" in told
    assert f"not in MLflow: {JOBS[3]} is damaged" in told
    assert told[-1].startswith("2 of 5 jobs are not in MLflow; ")


def test_gives_up_a_server_that_refuses_every_job(mlflow: Mlflow, tmp_path: Path) -> None:
    jobs = [f"{number:016x}" for number in range(200)]
    mlflow.poison = set(jobs)
    made, told = begun(mlflow, tmp_path)
    for job_id in jobs:
        made.put("transfer", job_id)
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 3
    assert made.late
    assert told[-1].startswith("200 of 200 jobs are not in MLflow; ")


@pytest.mark.parametrize("state", ["down", "slow"])
def test_an_interrupt_does_not_wait(mlflow: Mlflow, tmp_path: Path, state: str) -> None:
    setattr(mlflow, state, True)
    made, _ = begun(mlflow, tmp_path)
    made.put("transfer", JOBS[0])
    made.put("transfer", JOBS[1])
    until(lambda: mlflow.tries)
    began = time.monotonic()
    made.stop(0.2)
    assert time.monotonic() - began < 10
    mlflow.go_on.set()
    made._thread.join(5)
    assert not made._thread.is_alive()
    assert JOBS[1] not in mlflow.done
