"""A cluster of two machines: files travel, machines are lost, versions differ."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
from PIL import Image

from stylebench import __version__, images, runtime, store
from stylebench.config import Spec
from stylebench.errors import InputError
from stylebench.sweeps import engines
from stylebench.sweeps.engines import cluster, tries
from tests.sweeps.engines.engines import ENDLESS, options, planned, run

pytestmark = pytest.mark.usefixtures("one_thread")
ray = pytest.importorskip("ray")


def work(specs: list[Spec], sent: dict[str, Any], version: str = __version__) -> Any:
    """Run jobs as a task of the cluster does; return their files."""
    begun, done = ray.remote(cluster._work).remote(specs, "cpu", 0, sent, version)
    assert ray.get(begun) == []
    return ray.get(done)


def test_files_travel_where_the_machine_has_none(ray_cluster: Any, tmp_path: Path) -> None:
    picture = tmp_path / "mine.png"
    Image.radial_gradient("L").resize((40, 30)).save(picture)
    _, job, _ = planned(content=[str(picture)])
    away = cluster.moved(job, {str(picture): "/nowhere/mine.png"})
    sent = {"/nowhere/mine.png": ray.put(picture.read_bytes())}
    (files,) = work([away], sent)
    folder = tmp_path / "jobs" / job.job_id
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    record = store.read_record(folder)
    assert record is not None
    assert (record.status, record.error) == ("ok", "")
    assert record.job_id == job.job_id
    assert (store.read_picture(folder / "content.png") == images.read(str(picture), 32)).all()


def test_another_picture_of_that_name_is_not_taken(ray_cluster: Any, tmp_path: Path) -> None:
    picture, other = tmp_path / "mine.png", tmp_path / "theirs.png"
    Image.new("RGB", (40, 30), "red").save(picture)
    Image.new("RGB", (40, 30), "blue").save(other)
    _, job, _ = planned(content=[str(picture)])
    away = cluster.moved(job, {str(picture): str(other)})
    sent = {str(other): ray.put(picture.read_bytes())}
    (files,) = work([away], sent)
    (tmp_path / "content.png").write_bytes(files["content.png"])
    assert store.read_picture(tmp_path / "content.png")[0, 0].tolist() == [255, 0, 0]


def test_records_name_the_files_of_this_machine(ray_cluster: Any, tmp_path: Path) -> None:
    picture = tmp_path / "mine.png"
    Image.radial_gradient("L").resize((40, 30)).save(picture)
    (job,) = planned(content=[str(picture)], statistics_images=[], smoothing=["none"])
    found = run([job], tmp_path / "out", options("ray"))
    assert found[job.job_id].spec == job
    assert found[job.job_id].status == "ok"


def test_a_picture_that_is_gone_fails_its_job(ray_cluster: Any, tmp_path: Path) -> None:
    picture = tmp_path / "mine.png"
    Image.new("RGB", (40, 30), "red").save(picture)
    mine, other = (
        planned(content=[content], statistics_images=[], smoothing=["none"])[0]
        for content in (str(picture), "coffee")
    )
    picture.unlink()
    found = run([mine, other], tmp_path / "out", options("ray"))
    assert found[other.job_id].status == "ok"
    assert found[mine.job_id].status == "failed"
    assert "mine.png" in found[mine.job_id].error


@pytest.mark.slow
def test_a_machine_that_is_lost_costs_no_job(ray_cluster: Any, tmp_path: Path) -> None:
    node = ray_cluster.add_node(num_cpus=1)
    slow = planned(**{**ENDLESS, "evals": 1500, "seed": [0, 1, 2, 3]})
    jobs = engines.run(slow, tmp_path, options("ray", workers=3, retries=2))
    found = [next(jobs)]
    thread = Thread(target=lambda: found.extend(jobs))
    thread.start()
    ray_cluster.remove_node(node, allow_graceful=False)
    thread.join(120)
    assert {record.job_id: record.status for record in found} == {
        spec.job_id: "ok" for spec in slow
    }


def test_another_version_is_refused(ray_cluster: Any, tmp_path: Path) -> None:
    (job,) = planned(statistics_images=[], smoothing=["none"])
    with pytest.raises(InputError, match="install the same on all machines"):
        work([job], {}, "0.0.0")


def test_a_cluster_without_gpus_says_so(ray_cluster: Any, tmp_path: Path) -> None:
    (job,) = planned(statistics_images=[], smoothing=["none"])
    with pytest.raises(InputError, match="the Ray cluster has no GPU; add machines"):
        run([job], tmp_path, options("ray", workers=0, device="cuda"))
    assert ray.is_initialized(), "who joined the cluster leaves it"


def test_one_process_has_one_cluster(ray_cluster: Any, tmp_path: Path) -> None:
    (job,) = planned(statistics_images=[], smoothing=["none"])
    with pytest.raises(InputError, match=f"at {ray_cluster.address}, not 127.0.0.1:1; leave out"):
        run([job], tmp_path, options("ray", address="127.0.0.1:1"))


def test_tasks_wait_passively(ray_cluster: Any) -> None:
    """OpenMP reads this as torch is imported, which must not be before."""

    def first(work: Any, *args: Any) -> tuple[bool, dict[str, str | None]]:
        early = "torch" in sys.modules
        for name in runtime.WAITING:
            os.environ.pop(name, None)
        assert next(work(*args)) == []
        return early, {name: os.environ.get(name) for name in runtime.WAITING}

    task = ray.remote(first).options(runtime_env={"env_vars": {"OF": "a process of its own"}})
    found = ray.get(task.remote(cluster._work, [], "cpu", 0, {}, __version__))
    assert found == (False, runtime.WAITING)


NICENESS = """
import os, ray
from stylebench.sweeps.engines import cluster, tries

cluster._connect(ray, None)
print(ray.get(ray.remote(lambda: os.nice(0)).remote()))
"""


@pytest.mark.slow
def test_workers_of_a_cluster_that_is_started_here_are_as_nice_as_this_process() -> None:
    env = {key: value for key, value in os.environ.items() if key not in cluster.STARTED}
    ran = subprocess.run(
        [sys.executable, "-c", NICENESS], env=env, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [str(os.nice(0))]


ELSEWHERE = """
import ray
from stylebench.sweeps.engines import cluster, tries

def found():
    import stylebench
    return stylebench.__file__

cluster._connect(ray, None)
print(ray.get(ray.remote(found).remote()))
"""


@pytest.mark.slow
def test_workers_import_nothing_from_the_working_directory(tmp_path: Path) -> None:
    script, here = tmp_path / "script.py", tmp_path / "here"
    script.write_text(ELSEWHERE)
    here.mkdir()
    for name in ("stylebench", "torch", "signal", "pip"):
        (here / f"{name}.py").write_text(f"open('{here / 'ran'}', 'a').write('{name} ')")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    ran = subprocess.run(
        [sys.executable, str(script)], cwd=here, env=env, capture_output=True, text=True, check=True
    )
    assert Path(ran.stdout.strip()).parts[-2:] == ("stylebench", "__init__.py")
    assert not (here / "ran").exists()


LOST = """
import contextlib, os, pathlib, signal, sys
from stylebench import figures
from stylebench.sweeps import engines, run
from stylebench.sweeps.engines import head
from stylebench.sweeps.experiment import load_sweep
from tests.faults.sweeps import children

class Reporter(run.Quiet):
    def job(self, record):
        print(record.status)
        for pid in children(os.getpid()):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/exe").readlink().name == sys.argv[2]:
                    os.kill(pid, signal.SIGKILL)
                    head.SILENCE = 4.0 if sys.argv[2] == "gcs_server" else 60.0

figures.draw = lambda *_: iter(())
keys = {"arch": ["r-tiny"], "content": ["chelsea"], "style": ["brush"], "size": 32, "evals": 400,
        "smoothing": ["none"], "statistics_images": [], "seed": list(range(12))}
how = engines.EngineOptions(name="ray", workers=1, batch=1)
options = run.RunOptions(pathlib.Path(sys.argv[1]), how)
print(run.run(load_sweep(None, keys), options, Reporter(print)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds Ray's processes in /proc")
@pytest.mark.parametrize(
    ("process", "why"),
    [
        ("gcs_server", "its head has not answered for 4 s"),
        ("raylet", "its node on this machine has died"),
    ],
)
def test_a_cluster_that_is_lost_is_told_and_costs_no_job(
    process: str, why: str, tmp_path: Path
) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    env.pop("RAY_ADDRESS", None)
    script, out = tmp_path / "lost.py", tmp_path / "out"
    script.write_text(LOST)
    command = [sys.executable, "-u", str(script), str(out), process]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=200)
    told = ran.stdout.splitlines()  # Ray may end the process at its very end
    assert [line.partition(" ")[0] for line in told[1:-3]] == ["ok"] * told.count("ok"), ran.stdout
    assert f"the Ray cluster is lost: {why}; what is finished is kept" in ran.stdout
    done = told.count("ok")
    assert 1 <= done < 12
    assert "failed" not in told
    assert any(
        line.startswith(f"{12 - done} of 12 jobs have no outcome of this run in ") for line in told
    )
    assert told[-1].startswith(f"Summary(ok={done}, failed=0, ")
    assert list(store.load_results(out)["status"]) == ["ok"] * done


def test_what_the_object_store_does_not_take_fails_its_job_alone(
    ray_cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "mine.png"
    Image.radial_gradient("L").resize((40, 30)).save(picture)
    mine, other = (
        planned(content=[content], statistics_images=[], smoothing=["none"])[0]
        for content in (str(picture), "coffee")
    )

    def full(_: bytes) -> None:
        raise ray.exceptions.ObjectStoreFullError("no room\nand advice")

    monkeypatch.setattr(ray, "put", full)
    found = run([mine, other], tmp_path / "out", options("ray", retries=1))
    assert found[other.job_id].status == "ok"
    assert found[mine.job_id].status == "failed"
    said = "the cluster cannot take …/mine.png (ObjectStoreFullError: "
    assert found[mine.job_id].error.startswith(said)
    assert found[mine.job_id].error.endswith("; tried 2 times")
    assert "\n" not in found[mine.job_id].error


def test_a_worker_that_is_out_of_memory_is_told_as_such(ray_cluster: Any, tmp_path: Path) -> None:
    workers = cluster.RayWorkers([], tmp_path, options("ray"))
    lost = workers._lost(ray.exceptions.OutOfMemoryError("1 worker was killed\nadvice"), True)
    assert lost.reason == ("its machine ran out of memory (OutOfMemoryError: 1 worker was killed)")
    workers.close()


@pytest.mark.slow
def test_a_full_object_store_costs_no_job_while_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = []
    for number in range(8):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
        keys: dict[str, Any] = {"content": [str(tmp_path / f"{number}.png")]}
        groups.append(planned(**keys, statistics_images=[], smoothing=["none"]))
    held = WeakSet[Any]()

    class Held:
        """A picture in a store that has room for one."""

    def put(_: bytes) -> Held:
        if held:
            raise ray.exceptions.ObjectStoreFullError("no room")
        held.add(picture := Held())
        return picture

    class Task:
        """One that has begun, and then ended; what it reads is held meanwhile."""

        def __init__(self, *args: Any) -> None:
            self.args, self.answers = args, iter(list[list[dict[str, bytes]]]([[], [{}]]))

        def __next__(self) -> object:
            return next(self.answers)

    def wait(tasks: list[Task], **_: Any) -> tuple[list[Task], list[Task]]:
        return tasks[:1], tasks[1:]

    workers = object.__new__(cluster.RayWorkers)
    vars(workers).update(
        _ray=SimpleNamespace(put=put, wait=wait, get=lambda x: x, exceptions=ray.exceptions),
        _head=SimpleNamespace(trouble=str), _options=options("ray"), _task=Task,
        _running={}, _begun=set(), _refused=[], _sent={}, _plugins=[],
    )  # fmt: skip
    made = lambda _, spec, files: store.JobRecord.of(spec, status="ok", finished=1.0, seconds=1.0)  # noqa: E731
    monkeypatch.setattr(cluster.RayWorkers, "_write", made)
    records = list(tries.drive(groups, workers, tmp_path / "out", "cpu", retries=0))
    assert [record.status for record in records] == ["ok"] * 8
