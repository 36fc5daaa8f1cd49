"""The estimates of time and disk: against hand counts, simple schedules and a real small sweep."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stylebench.cli.progress import Progress
from stylebench.config import NodeChoice, SmoothingSpec
from stylebench.errors import InputError
from stylebench.sweeps import plan, run
from stylebench.sweeps.engines.options import EngineOptions
from stylebench.sweeps.settings import SweepConfig
from stylebench.timing import bench, compare, estimate
from stylebench.timing.estimate import Kind, Load, Network, Rate
from tests.cli.bench import no_figures, with_database

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


def tiny(**changes: Any) -> plan.Plan:
    given = {"arch": ("r-tiny",), "size": 32, "evals": 5, "statistics_images": ("chelsea",)}
    return plan.expand(SweepConfig.model_validate({**given, "precision": "fp32", **changes}))


# ----------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_makespan_is_between_its_bounds(workers: int) -> None:
    durations = [5.0, 1.0, 2.0, 8.0, 1.0, 1.0, 4.0]
    found = estimate.makespan(durations, workers)
    bound = max(sum(durations) / workers, max(durations))
    assert bound <= found <= sum(durations) / workers + max(durations)
    assert estimate.makespan(durations, 1) == sum(durations)


def test_makespan_by_hand() -> None:
    assert estimate.makespan([3, 1, 1, 1, 4], 2) == 7
    assert estimate.makespan([], 2) == 0


ENGINE = EngineOptions(name="local", workers=1)


def _kind(network: str, precision: str = "fp32") -> Kind:
    return Kind(Network(network), precision)


def _load(network: str, evals: float = 10) -> Load:
    return Load(_kind(network), 2, 100, evals)


def test_time_adds_evaluations_and_one_start_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "slots", lambda device: 3)
    wanted = [_load("a"), _load("a"), _load("b")]
    rates = {_kind("a"): Rate(0.001, 5.0, "measured"), _kind("b"): Rate(0.002, 0.0, "operations")}
    found = estimate.duration(wanted, rates, ENGINE)
    assert found.seconds == pytest.approx(2 * 10 * 2 * 100 * 0.001 + 5 + 10 * 2 * 100 * 0.002)
    assert found.shares == {"finished": 0, "measured": pytest.approx(9), "operations": 4}
    low, high = (
        9 * estimate.ERROR["measured"][end] + 4 * estimate.ERROR["operations"][end]
        for end in (0, 1)
    )
    assert [found.least, found.most] == pytest.approx([low, high])
    several = estimate.duration(wanted, rates, EngineOptions(name="local", workers=9))
    assert several.seconds == pytest.approx(7)


def test_batches_are_those_of_the_sweep() -> None:
    planned = tiny(content=("chelsea", "coffee", "china"), style=("brush", "brush", "brush"))
    loads = estimate.loads(planned.jobs, "cpu", 2)
    assert sum(load.batch for load in loads) == len(planned.jobs)
    assert max(load.batch for load in loads) <= 2
    assert {load.evals for load in loads} == {5}
    (statistics,) = estimate.loads(planned.statistics, "cpu", None)
    assert statistics.kind == _kind("tiny")
    assert statistics.evals == 2 * (1 + estimate.EIGENVALUES / statistics.pixels)


def test_kinds_tell_apart_what_costs_differently() -> None:
    (job, *_) = tiny().optimisations
    changed = job.weights.model_copy(update={"options": {"gamma": "0.5"}})
    vgg = NodeChoice(style=("features.1",), content="features.1")
    specs = [
        job,
        job.model_copy(update={"precision": "bf16"}),
        job.model_copy(update={"arch": "r-vgg19"}),
        job.model_copy(update={"arch": "r-vgg19", "chosen": vgg}),
        job.model_copy(update={"arch": "r-resnet50"}),
        job.model_copy(update={"arch": "r-resnet50", "weights": changed}),
    ]
    assert len({estimate.kind(spec) for spec in specs}) == len(specs)
    same = {"seed": 3, "evals": 99, "smoothing": SmoothingSpec(name="softmax")}
    assert estimate.kind(job.model_copy(update=same)) == estimate.kind(job)


def test_nearest_goes_by_operations() -> None:
    known = {
        _kind("vgg16"): Rate(1.0, 0.0, "measured"),
        _kind("alexnet"): Rate(20.0, 3.0, "measured"),
    }
    own, near = (estimate.operations(Network(name)) for name in ("vgg19", "vgg16"))
    found = estimate.nearest(_kind("vgg19"), known)
    assert found.seconds == pytest.approx(own / near)
    assert found.source == "operations"
    other = estimate.nearest(_kind("alexnet", "bf16"), known)
    assert other.seconds == known[_kind("alexnet")].seconds
    changed = Network("vgg19", (("pool", "avg"),))
    assert estimate.nearest(Kind(changed, "fp32"), known).seconds == pytest.approx(own / near)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the networks that are measured, in their order: nothing is, and each takes 20 s."""
    found: list[str] = []
    ticks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: next(ticks) * 20.0)

    def measured(load: Load, device: str, workers: int) -> Rate:
        found.append(load.kind.network.name)
        if load.kind.network.name == "alexnet":
            raise InputError("too small")
        return Rate(1.0, 0.0, "measured")

    monkeypatch.setattr(estimate, "measured", measured)
    return found


def _rates(out: Path, *names: str) -> dict[str, str]:
    wanted = [_load(name) for name in names]
    found = estimate.rates(wanted, out, ENGINE, None, lambda text: None)
    return {kind.network.name: rate.source for kind, rate in found.items()}


def test_the_most_work_is_measured_first_and_the_time_is_bounded(
    asked: list[str], tmp_path: Path
) -> None:
    assert _rates(tmp_path, "tiny", "vgg19", "vgg11") == {
        "tiny": "operations", "vgg19": "measured", "vgg11": "operations",
    }  # fmt: skip
    assert asked == ["vgg19"]


def test_what_cannot_be_measured_is_left_to_operations(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "BUDGET", 1000.0)
    assert _rates(tmp_path, "alexnet", "tiny") == {"alexnet": "operations", "tiny": "measured"}
    with pytest.raises(InputError, match="no time is known"):
        _rates(tmp_path, "alexnet")


def test_what_is_known_is_not_measured(asked: list[str]) -> None:
    known = {_kind("vgg19"): Rate(1.0, 0.0, "finished")}
    assert set(estimate.measure_all([_load("vgg19"), _load("tiny")], known, "cpu", 1)) == {
        _kind("tiny")
    }
    assert asked == ["tiny"]


def test_a_kind_is_measured() -> None:
    for load in estimate.loads([*tiny().jobs, *tiny().statistics], "cpu", None):
        rate = estimate.measured(load, "cpu", 1)
        assert rate.source == "measured"
        assert rate.seconds > 0


def _bench(path: Path, *archs: str, **changes: Any) -> bench.Report:
    row = {"size": 10, "batch": 2, "precision": "fp32", "seconds": 4.0, "device": "cpu", **changes}
    rows = [{"arch": arch, **row} for arch in archs]
    path.write_text(json.dumps({"machine": {"threads": 4}, "rows": rows}))
    return compare.read(path, "--from")


def test_a_bench_is_read(tmp_path: Path) -> None:
    report = _bench(tmp_path / "bench.json", "tiny", "unknown")
    assert estimate.benched(report, 1) == {_kind("tiny"): Rate(4 / 2 / 100, 0.0, "measured")}
    assert estimate.benched(report, 2)[_kind("tiny")].seconds == pytest.approx(4 * 4 / 2 / 100)


@pytest.mark.parametrize("changes", [{"seconds": -1}, {"seconds": "x"}, {"size": 0}, {"batch": []}])
def test_a_wrong_bench_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--from .*expected"):
        _bench(tmp_path / "bench.json", "tiny", **changes)


# ----------------------------------------------------------------------------------------- disk


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, plan.Plan]:
    """Return the folder of a sweep of four stylisations, with its own plan."""
    out = with_database(tmp_path_factory.mktemp("swept") / "out")
    config = SweepConfig(arch=("r-tiny",), size=96, evals=20, statistics_images=("chelsea",))
    with no_figures():
        run.run(config, run.RunOptions(out=out, offline=True), Progress())
    return out, plan.expand(config)


def _used(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in [folder, *folder.rglob("*")])


@pytest.mark.slow
def test_disk_is_that_of_a_real_sweep(swept: tuple[Path, plan.Plan]) -> None:
    """Without figures, which take a large part of a small sweep."""
    out, planned = swept
    found = estimate.disk([*planned.jobs, *planned.statistics])
    jobs = found - estimate.SWEEP
    database = _used(out / "mlflow.db")
    assert 0.6 < (_used(out) - database) / jobs < 1.6
    assert found < 3 * _used(out)


def test_disk_grows_with_pixels_and_evaluations() -> None:
    (job, *_) = tiny().optimisations
    more = job.model_copy(update={"evals": job.evals + 1000})
    assert estimate.disk([more]) - estimate.disk([job]) == pytest.approx(1000 * estimate.EVALUATION)
    assert estimate.disk(()) == 0
    small, middle, large = (estimate.disk(tiny(size=size).jobs) for size in (64, 128, 256))
    assert (large - middle) / (middle - small) == pytest.approx(4, rel=0.05)


def test_weights_are_four_bytes_a_parameter() -> None:
    """143.67 M parameters of VGG-19, by torchvision's documentation: a file of 548 MiB."""
    (job, *_) = tiny().jobs
    size = estimate.download(job.model_copy(update={"arch": "p-vgg19"}))
    assert size / 2**20 == pytest.approx(548, rel=0.001)


# -------------------------------------------------------------------------------------- finished


def test_finished_jobs_tell_their_rate(swept: tuple[Path, plan.Plan]) -> None:
    out, planned = swept
    found = estimate.finished(out, "cpu")
    wanted = estimate.loads(planned.jobs, "cpu", 1)
    assert {load.kind for load in wanted} == set(found)
    records = [json.loads(path.read_text()) for path in out.glob("jobs/*/record.json")]
    total = sum(record["seconds"] for record in records)
    longest = max(record["seconds"] for record in records)
    took = estimate.duration(wanted, found, ENGINE)
    assert took.shares["finished"] == took.seconds
    assert total / len(records) <= took.seconds <= len(records) * longest
    assert estimate.finished(out, "cuda") == {}


def test_finished_jobs_of_any_gpu_tell_their_rate(
    swept: tuple[Path, plan.Plan], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(swept[0] / "jobs", out / "jobs")
    for index, path in enumerate(sorted(out.glob("jobs/*/record.json"))):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "device": f"cuda:{index % 2}"}))
    assert estimate.finished(out, "cuda").keys() == estimate.finished(swept[0], "cpu").keys()
    assert estimate.finished(out, "cpu") == {}
