"""What every engine must do, however it does it: ok, raises, dies, hangs, resume."""

import json
import multiprocessing
import shutil
import sys
from collections.abc import Generator
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stylebench import store
from stylebench.registry import PLUGINS, Registry, load_plugin
from stylebench.sweeps import engines, plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.job import run_jobs
from tests.faults.sweeps import kill
from tests.often import often
from tests.stylisers.tiny import model
from tests.sweeps.engines.engines import (
    ENDLESS,
    ENGINES,
    OF_WORKERS,
    options,
    planned,
    processes,
    run,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("one_thread")

NUMBERS = ("evals", "loss_initial", "loss_final", "content_loss", "style_loss", "tv_loss", "moved",
           "initial_gradient", "objective_scale")  # fmt: skip

every = pytest.mark.parametrize("name", ENGINES, indirect=True)
of_workers = pytest.mark.parametrize("name", OF_WORKERS, indirect=True)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers in /proc")


def assert_same(one: Path, other: Path) -> None:
    """Compare two tables; the number of threads may change the rounding."""
    table = pd.read_parquet(one)
    assert len(table) >= 3
    pd.testing.assert_frame_equal(table, pd.read_parquet(other), rtol=1e-4)


@pytest.mark.slow
@every
def test_a_trained_network_makes_the_same_pictures(name: str, tmp_path: Path) -> None:
    """Of which no engine needs to know anything: its file travels as weights do."""
    found = model(tmp_path / "train_mine", steps=1)
    keys = {"system": [str(found)], "content": ["chelsea", "coffee"], "style": ["brush", "mosaic"]}
    jobs = plan.expand(load_sweep(None, {**keys, "size": 48})).jobs
    records = run(jobs, tmp_path / "out", options(name))
    assert {record.status for record in records.values()} == {"ok"}, records
    assert len(records) == 4
    for job, record in zip(jobs, run_jobs(jobs, tmp_path / "here"), strict=True):
        folders = [store.place(tmp_path / place, job) for place in ("out", "here")]
        made, expected = (store.read_picture(folder / "result.png") for folder in folders)
        assert abs(made.astype(int) - expected).max() <= 1, "threads may change the rounding"
        assert records[job.job_id].spec == job
        assert records[job.job_id].model == record.model != {}


class Outcomes:
    """What each engine made of the same five jobs, two of which raise; each is run once."""

    def __init__(self, folder: Path) -> None:
        picture = folder / "mine.png"
        Image.new("RGB", (40, 30), "red").save(picture)
        self._specs = [*planned(), *planned(content=[str(picture)], statistics_images=[])]
        Image.new("RGB", (40, 30), "blue").save(picture)
        self.folder = folder
        self._found: dict[str, dict[str, store.JobRecord]] = {}

    def of(self, name: str) -> tuple[Path, dict[str, store.JobRecord]]:
        """Return (results folder, job id -> record)."""
        out = self.folder / name
        if name not in self._found:
            self._found[name] = run(self._specs, out, options(name))
        return out, self._found[name]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return Outcomes(tmp_path_factory.mktemp("engines"))


@every
def test_every_job_is_in_place(outcomes: Outcomes, name: str) -> None:
    out, found = outcomes.of(name)
    assert len(found) == 5
    for job_id, record in found.items():
        kind = store.FOLDERS[record.kind]
        assert (out / kind / job_id / "record.json").read_text() == record.json_text()
    names = [path.name for kind in store.FOLDERS.values() for path in (out / kind).iterdir()]
    assert sorted(names) == sorted(found)


@every
def test_a_job_that_raises_costs_no_other(outcomes: Outcomes, name: str) -> None:
    records = outcomes.of(name)[1].values()
    failed = [record for record in records if record.status != "ok"]
    assert len(failed) == 2
    for record in failed:
        assert record.status == "failed"
        assert record.stylisation.content.name == "mine"
        assert "the picture changed after the job was planned" in record.error
        assert "…/" in record.error
        assert str(outcomes.folder) not in record.error


@of_workers
def test_engines_agree(outcomes: Outcomes, name: str) -> None:
    (here, alone), (there, together) = outcomes.of("inline"), outcomes.of(name)
    assert set(alone) == set(together)
    for job_id, record in alone.items():
        other = together[job_id]
        assert record.status == other.status
        assert record.spec == other.spec
        if record.status != "ok":
            continue
        folder = Path(store.FOLDERS[record.kind], job_id)
        if record.kind == "statistics":
            assert_same(here / folder / "statistics.parquet", there / folder / "statistics.parquet")
            continue
        for key in NUMBERS:
            assert getattr(record, key) == pytest.approx(getattr(other, key), rel=1e-4), key
        assert_same(here / folder / "trace.parquet", there / folder / "trace.parquet")
        pictures = [store.read_picture(out / folder / "result.png") for out in (here, there)]
        assert np.abs(pictures[0].astype(int) - pictures[1].astype(int)).max() <= 1


@every
def test_nothing_to_do(name: str, tmp_path: Path) -> None:
    assert run([], tmp_path, options(name)) == {}
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("name", often({"inline", "local"}, ENGINES), indirect=True)
def test_resume(name: str, tmp_path: Path) -> None:
    specs = planned()
    first = engines.run(specs, tmp_path, options(name, workers=1))
    done = next(first)
    assert isinstance(first, Generator)
    first.close()
    todo = store.pending(tmp_path, specs)
    assert 0 < len(todo) < 3
    assert done.job_id not in {spec.job_id for spec in todo}
    assert set(run(todo, tmp_path, options(name, workers=1))) == {spec.job_id for spec in todo}
    assert store.pending(tmp_path, specs) == []
    assert json.loads((store.place(tmp_path, specs[0]) / "record.json").read_text())


@pytest.mark.slow
@linux
@of_workers
def test_a_worker_that_dies_costs_its_own_job_alone(name: str, tmp_path: Path) -> None:
    endless, others = planned(**ENDLESS), planned()
    assert len(endless) == 1
    jobs = engines.run([*endless, *others], tmp_path, options(name))
    found = [next(jobs) for _ in others]  # which the other worker does meanwhile
    assert {r.job_id: r.status for r in found} == {s.job_id: "ok" for s in others}
    last: list[store.JobRecord] = []
    thread = Thread(target=lambda: last.extend(jobs))
    thread.start()
    while thread.is_alive():  # the one that idles too
        for pid in processes(name):
            kill(pid)
        thread.join(20)  # sooner, and workers would be killed before they begin
    (died,) = last
    assert died.job_id == endless[0].job_id
    assert died.status == "failed"
    assert "the worker process died" in died.error or "its worker was lost" in died.error
    assert died.error.endswith("tried 1 times")
    assert store.read_record(tmp_path / "jobs" / died.job_id) == died
    assert {spec.job_id for spec in store.pending(tmp_path, [*endless, *others])} == {died.job_id}
    assert not list(tmp_path.glob("jobs/.tmp-*"))
    table = store.compact(tmp_path)
    assert sorted(table["status"]) == ["failed", "ok", "ok"]
    assert table["evals"].dtype == "int64"


@linux
@of_workers
def test_a_job_whose_worker_died_is_tried_again(name: str, tmp_path: Path) -> None:
    (slow,) = planned(**{**ENDLESS, "evals": 400})
    found: list[store.JobRecord] = []
    how = options(name, retries=1)
    thread = Thread(target=lambda: found.extend(engines.run([slow], tmp_path, how)))
    before = set(processes(name))
    thread.start()
    if name == "local":  # a worker that has begun the job
        wait_for(lambda: list(tmp_path.glob("jobs/.tmp-*")))
    else:
        wait_for(lambda: set(processes(name)) - before)
    kill((set(processes(name)) - before).pop())
    thread.join(90)
    assert [(record.job_id, record.status) for record in found] == [(slow.job_id, "ok")]


@pytest.mark.slow
@linux
@of_workers
def test_a_worker_that_dies_between_two_jobs_costs_nobody_a_try(name: str, tmp_path: Path) -> None:
    specs = planned()[:2]
    jobs = engines.run(specs, tmp_path, options(name, workers=1, retries=0))
    found, killed = [], []
    for record in jobs:  # the next job begins when its record is asked for
        found.append((record.job_id, record.error or "ok"))
        killed.append(processes(name, b"ray::IDLE"))
        for pid in killed[-1]:
            kill(pid)
    assert all(killed)
    assert found == [(spec.job_id, "ok") for spec in specs]


ASLEEP = """
import time

from stylebench.transfer.smoothing import smoothing


@smoothing("asleep")
def asleep(maps):
    '''σ(F) = F, in days: what hangs leaves the cores to others.'''
    time.sleep(1e6)
    return maps, 1.0
"""


@pytest.mark.slow
@of_workers
def test_a_job_that_hangs_is_stopped(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"asleep_{name}.py"
    file.write_text(ASLEEP)
    load_plugin(file)
    (hangs,), others = planned(smoothing=["asleep"], statistics_images=[]), planned()
    if name == "ray":  # whose workers stay, warm, for the next run
        run(others, tmp_path / "warm", options(name))
    found = run([hangs, *others], tmp_path, options(name, time_limit=15.0))
    failed = [record for record in found.values() if record.status != "ok"]
    assert [record.job_id for record in failed] == [hangs.job_id]
    assert "its time limit of 15 s" in failed[0].error
    assert len(found) == 1 + len(others)
    Registry.forget(file.name)
    del PLUGINS[file.name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local"], indirect=True)
def test_leaving_early_stops_the_workers(name: str, tmp_path: Path) -> None:
    (endless,) = planned(**ENDLESS)
    jobs = engines.run([endless, *planned()], tmp_path, options(name))
    first = next(jobs)
    assert first.status == "ok"
    shutil.copytree(tmp_path / store.FOLDERS[first.kind], tmp_path / "kept")
    assert isinstance(jobs, Generator)
    jobs.close()
    assert multiprocessing.active_children() == []
    assert store.read_record(tmp_path / store.FOLDERS[first.kind] / first.job_id) == first
    assert not (tmp_path / "jobs" / endless.job_id).exists()


MINE = """
from torch import nn

from stylebench.transfer.smoothing import smoothing


@smoothing("half", linear=True)
def half(maps):
    '''σ(F) = F/2.'''
    return maps / 2, 1.0


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU())
"""


@pytest.mark.slow
@every
def test_a_plug_in_travels_and_a_changed_one_is_another_job(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"mine_{name}.py"
    seen: list[set[str]] = []
    for source in (MINE, MINE.replace("(3, 4, 3, 2, 1)", "(3, 4, 5, 2, 2)")):
        file.write_text(source)
        specs = planned(arch=[f"{file}:Net"], smoothing=["half"])
        found = run(specs, tmp_path / "out", options(name, workers=1))
        assert [record.error for record in found.values() if not record.ok] == []
        seen.append(set(found))
    assert len(seen[0]) == len(seen[1]) == 2
    assert not seen[0] & seen[1]
    Registry.forget(file.name)
    del PLUGINS[file.name]
