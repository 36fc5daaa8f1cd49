"""An MLflow server that hangs, is killed and is started again in mid-sweep.

``python -m tests.faults.mlflow_down`` exits 1 unless every job is done, is in MLflow exactly once
after ``stylebench track``, and came about as soon as in a sweep whose server was well.
"""

import logging
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from stylebench import runtime, store
from stylebench.sweeps import run as flow
from stylebench.sweeps.experiment import load_sweep
from stylebench.tracking import background
from stylebench.tracking.place import Place
from tests.faults.outcome import Outcome, main
from tests.faults.server import Server, mlflow_on_postgres

SLOWER, SECONDS = 1.5, 5.0
"""The bar: so many times the undisturbed sweep, and so many seconds for the server's own start,
which takes half of a small machine. A sweep that waits for a server that hangs waits 30 s."""


class Listener:
    """A reporter that remembers when jobs came, and does things when so many have come."""

    def __init__(self, then: Mapping[int, Callable[[], object]] | None = None) -> None:
        self.messages: list[str] = []
        self.times: list[float] = []
        self._then = then or {}

    def message(self, text: str) -> None:
        """Remember a message."""
        self.messages.append(text)

    def begin(self, jobs: int, finished: int, titles: Mapping[str, str]) -> None:
        """Remember when the jobs began."""
        self.times.append(time.monotonic())

    def job(self, record: store.JobRecord) -> None:
        """Remember when a job came."""
        self.times.append(time.monotonic())
        self._then.get(len(self.times) - 1, lambda: None)()

    @property
    def seconds(self) -> float:
        """Seconds from the beginning to the last outcome."""
        return self.times[-1] - self.times[0]

    @property
    def longest(self) -> float:
        """The longest time between two outcomes in seconds."""
        return max(b - a for a, b in zip(self.times, self.times[1:], strict=False))


def run(
    out: Path, uri: str, seeds: list[int], then: Mapping[int, Callable[[], object]] | None = None
) -> Listener:
    """Run a sweep of one short job a seed, and return what it told."""
    keys = {
        "name": "mlflow-down", "arch": ["r-tiny"], "smoothing": ["none"], "content": ["chelsea"],
        "style": ["brush"], "statistics_images": [], "size": 32, "evals": 40, "seed": seeds,
    }  # fmt: skip
    told = Listener(then)
    flow.run(load_sweep(None, keys), flow.RunOptions(out=out, tracking=Place(uri)), told)
    return told


def logged(uri: str, out: Path) -> Counter[str]:
    """Return how often each job of a results folder is in MLflow, whole."""
    client, where = MlflowClient(uri), f"tags.`stylebench.out` = '{folder_id(out)}'"
    every = [found.experiment_id for found in client.search_experiments()]
    runs = client.search_runs(every, where, max_results=1000)
    ended = [run.data for run in runs if run.info.status in ("FINISHED", "FAILED")]
    return Counter(data.tags["job_id"] for data in ended if "job_id" in data.tags)


def folder_id(out: Path) -> str:
    """Return by what MLflow knows the runs of a results folder."""
    return (out / ".sweep-id").read_text(encoding="utf-8").split()[0]


def disturbed(server: Server, out: Path, jobs: int) -> Listener:
    """Run a sweep whose server hangs after a quarter of the jobs, is killed, and started again."""
    back = threading.Thread(target=server.start)
    told = run(out, server.uri, list(range(jobs)), {
        jobs // 4: lambda: server.signal(signal.SIGSTOP),
        jobs // 2: server.kill,
        3 * jobs // 4: back.start,
    })  # fmt: skip
    back.join()
    server.wait()
    return told


def figures(folder: Path, jobs: int) -> dict[str, Any]:
    """Run both sweeps and complete MLflow; return the figures."""
    with mlflow_on_postgres(folder) as server:
        run(folder / "warm", server.uri, [0])
        well = run(folder / "well", server.uri, list(range(jobs)))
        out = folder / "down"
        down = disturbed(server, out, jobs)
        before = logged(server.uri, out)
        done = background.complete(out, Place(server.uri), lambda text: None)
        after = logged(server.uri, out)
    finished = {record.job_id for record in store.records(out) if record.status == "ok"}
    limit = SLOWER * well.seconds + SECONDS
    return {
        "jobs": len(finished),
        "in_mlflow_before_track": len(before),
        "logged_by_track": done.logged,
        "in_mlflow_once": sum(n == 1 for n in after.values()),
        "seconds_server_well": round(well.seconds, 2),
        "seconds_server_down": round(down.seconds, 2),
        "seconds_allowed": round(limit, 2),
        "messages": [text for text in down.messages if "MLflow" in text],
        "ok": len(finished) == jobs and after == Counter(finished) and down.seconds <= limit,
    }


def measure(jobs: int) -> list[Outcome]:
    """Run both sweeps and tell how they went."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    runtime.configure(threads=1)
    with tempfile.TemporaryDirectory(prefix="stylebench-fault-") as folder:
        found = figures(Path(folder), jobs)
    said = (
        f"{found['jobs']} jobs done, {found['in_mlflow_once']} in MLflow once after track; "
        f"{found['seconds_server_down']} s with the server down and back, "
        f"{found['seconds_server_well']} s with it well"
    )
    return [
        Outcome(
            f"MLflow server (PostgreSQL) hung, killed and started in a sweep of {jobs} jobs",
            "no job lost, every job in MLflow once after `track`; at most "
            f"{SLOWER} times the time of a sweep with the server well, and {SECONDS:.0f} s",
            said,
            bool(found["ok"]),
        )
    ]


if __name__ == "__main__":
    main(measure, 20, str(__doc__))
