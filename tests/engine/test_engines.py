"""What every engine must do: run here for this process alone and for two worker processes."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stylebench import engine, plan, store
from stylebench.config import JobSpec, StatisticsSpec
from stylebench.experiment import load_sweep

pytestmark = pytest.mark.usefixtures("one_thread")

WORKERS = (1, 2)
NUMBERS = ("evals", "loss_initial", "loss_final", "content_loss", "style_loss", "tv_loss", "moved",
           "initial_gradient", "objective_scale")  # fmt: skip

ENDLESS: dict[str, object] = {"evals": 10**7, "optimiser": {"name": "adam"},
                              "smoothing": ["none"], "statistics_images": []}  # fmt: skip

Spec = JobSpec | StatisticsSpec


def planned(**flags: object) -> list[Spec]:
    """Return the statistics and the two stylisations of one pair."""
    keys = {"arch": ["r-tiny"], "content": ["chelsea"], "style": ["brush"], "size": 32, "evals": 4,
            "statistics_images": ["chelsea"], **flags}  # fmt: skip
    made = plan.expand(load_sweep(None, keys))
    return [*made.statistics, *made.jobs]


def run(specs: Sequence[Spec], out: Path, workers: int) -> dict[str, dict[str, Any]]:
    """Return job id -> record of what an engine yields."""
    records = list(engine.run(specs, out, "cpu", workers))
    found = {record["job_id"]: record for record in records}
    assert len(found) == len(records), "each job is yielded once"
    return found


def assert_same(one: Path, other: Path) -> None:
    """Compare two tables; the number of threads may change the rounding."""
    table = pd.read_parquet(one)
    assert len(table) >= 3
    pd.testing.assert_frame_equal(table, pd.read_parquet(other), rtol=1e-4)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, dict[str, Any]]]:
    """Return workers -> (results folder, records) of the same jobs, one of which fails."""
    picture = tmp_path_factory.mktemp("pictures") / "mine.png"
    Image.new("RGB", (40, 30), "red").save(picture)
    specs = [*planned(), *planned(content=[str(picture)], statistics_images=[])]
    Image.new("RGB", (40, 30), "blue").save(picture)
    result = {}
    for workers in WORKERS:
        out = tmp_path_factory.mktemp("out")
        result[workers] = (out, run(specs, out, workers))
    return result


@pytest.mark.parametrize("workers", WORKERS)
def test_every_job_is_in_place(both: dict[int, tuple[Path, dict[str, Any]]], workers: int) -> None:
    out, found = both[workers]
    assert len(found) == 5
    for job_id, record in found.items():
        kind = store.FOLDERS[record["kind"]]
        assert json.loads((out / kind / job_id / "record.json").read_text()) == record
    names = [path.name for kind in store.FOLDERS.values() for path in (out / kind).iterdir()]
    assert sorted(names) == sorted(found)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_job_that_fails_costs_no_other(
    both: dict[int, tuple[Path, dict[str, Any]]], workers: int
) -> None:
    failed = [record for record in both[workers][1].values() if record["status"] != "ok"]
    assert len(failed) == 2
    for record in failed:
        assert record["status"] == "failed"
        assert record["spec"]["content"]["name"] == "mine"
        assert "the picture changed after the job was planned" in record["error"]


def test_engines_agree(both: dict[int, tuple[Path, dict[str, Any]]]) -> None:
    (here, alone), (there, together) = (both[workers] for workers in WORKERS)
    assert set(alone) == set(together)
    for job_id, record in alone.items():
        other = together[job_id]
        assert (record["status"], record["error"]) == (other["status"], other["error"])
        assert record["spec"] == other["spec"]
        if record["status"] != "ok":
            continue
        folder = Path(store.FOLDERS[record["kind"]], job_id)
        if record["kind"] == "statistics":
            assert_same(here / folder / "statistics.parquet", there / folder / "statistics.parquet")
            continue
        for key in NUMBERS:
            assert record[key] == pytest.approx(other[key], rel=1e-4), key
        assert_same(here / folder / "trace.parquet", there / folder / "trace.parquet")
        pictures = [store.read_picture(out / folder / "result.png") for out in (here, there)]
        assert np.abs(pictures[0].astype(int) - pictures[1].astype(int)).max() <= 1


@pytest.mark.parametrize("workers", WORKERS)
def test_nothing_to_do(workers: int, tmp_path: Path) -> None:
    assert run([], tmp_path, workers) == {}
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_worker_costs_its_own_job_alone(tmp_path: Path) -> None:
    endless = planned(**ENDLESS, seed=[0, 1])
    others = planned()
    assert len(endless) == 2

    def kill(victims: list[BaseProcess]) -> None:
        """Wait until both workers are at an endless job, then kill one of them."""
        end = time.monotonic() + 60
        while len(list(tmp_path.glob("jobs/.tmp-*"))) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        workers = multiprocessing.active_children()
        victims += workers
        os.kill(workers[0].pid or 0, signal.SIGKILL)

    workers: list[BaseProcess] = []
    thread = Thread(target=kill, args=[workers])
    thread.start()
    jobs = engine.run([*endless, *others], tmp_path, "cpu", 2)
    found = [next(jobs) for _ in range(1 + len(others))]
    thread.join()
    assert len(workers) == 2

    # The jobs that waited ran in a new worker, while the neighbour went on undisturbed.
    (died,) = [record for record in found if record["status"] != "ok"]
    (neighbour,) = [spec for spec in endless if spec.job_id != died["job_id"]]
    assert {r["job_id"] for r in found} == {died["job_id"], *(spec.job_id for spec in others)}
    assert workers[1].is_alive()
    assert list(tmp_path.glob(f"jobs/.tmp-{neighbour.job_id}-*"))
    os.kill(workers[1].pid or 0, signal.SIGKILL)
    (last,) = list(jobs)
    assert last["job_id"] == neighbour.job_id

    for record in (died, last):
        assert record["status"] == "failed"
        assert "the worker process died" in record["error"]
        assert store.read_record(tmp_path / "jobs" / record["job_id"]) == record
    assert {s.job_id for s in store.pending(tmp_path, [*endless, *others])} == {
        died["job_id"],
        last["job_id"],
    }
    assert not list(tmp_path.glob("jobs/.tmp-*"))
    table = store.compact(tmp_path)
    assert sorted(table["status"]) == ["failed", "failed", "ok", "ok"]
    assert table["evals"].dtype == "int64"


DEADLY = """
import os, pathlib, sys
from stylebench import engine, job, plan
from stylebench.experiment import load_sweep

real = job.load_pair

def load_pair(spec, device):
    if spec.content.name == "rocket":
        os._exit(9)
    return real(spec, device)

job.load_pair = load_pair  # in the workers too, which import this file

if __name__ == "__main__":
    keys = {"arch": ["r-tiny"], "size": 32, "resize": "squash", "evals": 2, "style": ["brush"],
            "statistics_images": [], "pairing": "product", "smoothing": ["none"],
            "content": ["chelsea", "coffee", "rocket", "flower"]}
    jobs = plan.expand(load_sweep(None, keys)).jobs
    for record in engine.run(jobs, pathlib.Path(sys.argv[1]), "cpu", 2):
        print(record["spec"]["content"]["name"], record["status"])
"""


def test_a_job_that_kills_its_worker_costs_its_batch_nothing(tmp_path: Path) -> None:
    script = tmp_path / "deadly.py"
    script.write_text(DEADLY)
    found = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(found.stdout.splitlines()) == [
        "chelsea ok", "coffee ok", "flower ok", "rocket failed",
    ]  # fmt: skip


def test_leaving_early_stops_the_workers(tmp_path: Path) -> None:
    (endless,) = planned(**ENDLESS)
    jobs = engine.run([endless, *planned()], tmp_path, "cpu", 2)
    first = next(jobs)
    assert first["status"] == "ok"
    shutil.copytree(tmp_path / store.FOLDERS[first["kind"]], tmp_path / "kept")
    assert isinstance(jobs, Generator)
    jobs.close()
    end = time.monotonic() + 30
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    assert multiprocessing.active_children() == []
    assert store.read_record(tmp_path / store.FOLDERS[first["kind"]] / first["job_id"]) == first
    assert not (tmp_path / "jobs" / endless.job_id).exists()
