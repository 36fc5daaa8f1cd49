"""The estimates of time and disk: against hand counts, simple schedules and a real small sweep."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stylebench.backbones import names
from stylebench.cli.progress import Lines
from stylebench.config import SmoothingSpec, SweepConfig
from stylebench.errors import InputError
from stylebench.sweeps import plan, run
from stylebench.timing import bench, estimate, footprint
from stylebench.timing.estimate import Kind, Load, Rate
from tests.cli.bench import no_figures, with_database

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


def tiny(**changes: Any) -> plan.Plan:
    given = {"arch": ("r-tiny",), "size": 32, "evals": 5, "statistics_images": ("chelsea",)}
    return plan.expand(SweepConfig.model_validate({**given, "precision": "fp32", **changes}))


# ---------------------------------------------------------------------------------- operations


def test_operations_are_those_of_the_bench_and_of_a_hand_count() -> None:
    """r-tiny at 224 px: five 3×3 convolutions of 8 channels and five Gram matrices, there and back;
    the bench counts a real evaluation at 32 px, which has as many a pixel."""
    (job, *_) = tiny().jobs
    places = [1, 1 / 4, 1 / 16, 1 / 64, 1 / 256]
    channels = [3, 8, 8, 8, 8]
    forward = sum(2 * 9 * c * 8 * m for c, m in zip(channels, places, strict=True))
    grams = sum(2 * 8 * 8 * m for m in places)
    assert estimate.operations(job) == pytest.approx(2 * (forward + grams), rel=1e-9)
    counted = bench.gflop(bench.Work("tiny", 32, 1, "fp32", "cpu")) * 1e9 / 32**2
    assert estimate.operations(job) == pytest.approx(counted, rel=1e-9)


def test_operations_of_a_known_network() -> None:
    """VGG-19 to conv5_1 has 17.7 GMAC of convolutions at 224 px, by its table of layers."""
    layers = [(3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56)]
    layers += [(256, 256, 56)] * 3 + [(256, 512, 28)] + [(512, 512, 28)] * 3 + [(512, 512, 14)]
    convolutions = sum(2 * 9 * a * b * side**2 for a, b, side in layers)
    grams = [(64, 224), (128, 112), (256, 56), (512, 28), (512, 14)]
    expected = convolutions + sum(2 * d**2 * side**2 for d, side in grams)
    assert bench.forward_flop(names.find("r-vgg19"), {}) == pytest.approx(expected, rel=1e-9)


def test_a_network_that_computes_with_tensors_as_it_is_made_is_counted() -> None:
    assert bench.forward_flop(names.find("r-regnet_y_400mf"), {}) > 1e8


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


def _load(network: str, smoothing: str = "none", evals: float = 10, **changes: Any) -> Load:
    (job, *_) = tiny().jobs
    spec = job.model_copy(update=changes)
    return Load(Kind(network, smoothing, "fp32"), spec, 2, 100, evals)


def test_time_adds_evaluations_and_one_start_a_network() -> None:
    wanted = [_load("a"), _load("a"), _load("b", arch="r-vgg19")]
    rates = {
        Kind("a", "none", "fp32"): Rate(0.001, 5.0, "measured"),
        Kind("b", "none", "fp32"): Rate(0.002, 0.0, "operations"),
    }
    found = estimate.time(wanted, rates, 1)
    assert found.seconds == pytest.approx(2 * 10 * 2 * 100 * 0.001 + 5 + 10 * 2 * 100 * 0.002)
    assert found.shares == {"finished": 0, "measured": pytest.approx(9), "operations": 4}
    low, high = (
        9 * estimate.ERROR["measured"][end] + 4 * estimate.ERROR["operations"][end]
        for end in (0, 1)
    )
    assert [found.least, found.most] == pytest.approx([low, high])
    assert estimate.time(wanted, rates, 3).seconds == pytest.approx(7)


def test_batches_are_those_of_the_sweep() -> None:
    planned = tiny(content=("chelsea", "coffee", "china"), style=("brush", "brush", "brush"))
    loads = estimate.loads(planned.jobs, "cpu", 2)
    assert sum(load.batch for load in loads) == len(planned.jobs)
    assert max(load.batch for load in loads) <= 2
    assert {load.evals for load in loads} == {5}
    (statistics,) = estimate.loads(planned.statistics, "cpu", None)
    assert statistics.kind == Kind("tiny", "statistics", "fp32")
    assert statistics.evals == 2 * (1 + estimate.EIGENVALUES / statistics.pixels)


def test_kinds_tell_apart_what_costs_differently() -> None:
    (job, *_) = tiny().jobs
    changed = job.weights.model_copy(update={"options": {"gamma": "0.5"}})
    specs = [
        job,
        job.model_copy(update={"smoothing": SmoothingSpec(name="scale")}),
        job.model_copy(update={"precision": "bf16", "smoothing": SmoothingSpec(name="scale")}),
        job.model_copy(update={"arch": "r-resnet50"}),
        job.model_copy(update={"arch": "r-resnet50", "weights": changed}),
    ]
    assert len({estimate.kind(spec) for spec in specs}) == len(specs)
    same = job.model_copy(update={"seed": 3, "evals": 99})
    assert estimate.kind(same) == estimate.kind(job)


def test_nearest_goes_by_operations() -> None:
    flop = {"a": 100.0, "b": 1000.0}
    known = {
        Kind("a", "none", "fp32"): Rate(1.0, 0.0, "measured"),
        Kind("b", "none", "fp32"): Rate(20.0, 3.0, "measured"),
    }
    load = _load("c")
    own = estimate.operations(load.spec)
    near, other = ("a", "b") if abs(own / 100 - 1) < abs(own / 1000 - 1) else ("b", "a")
    found = estimate.nearest(load, known, flop)
    rate = known[Kind(near, "none", "fp32")].seconds
    assert found.seconds == pytest.approx(rate * own / flop[near])
    assert found.source == "operations"
    mine = estimate.nearest(_load(other, "softmax"), known, flop | {other: own})
    assert mine.seconds == known[Kind(other, "none", "fp32")].seconds


def test_the_most_work_is_measured_first_and_the_time_is_bounded() -> None:
    names = ("tiny", "vgg19", "alexnet")
    wanted = [_load(name, arch=f"r-{name}") for name in names]
    ticks = itertools.count(0, estimate.BUDGET * 0.6)
    asked: list[str] = []

    def measure_one(load: Load) -> Rate:
        asked.append(load.kind.network)
        return Rate(1.0, 0.0, "measured")

    found = estimate.measure_all(wanted, {}, measure_one, lambda: next(ticks))
    assert asked == ["vgg19"]
    rates = estimate.rates(wanted, found)
    assert {k.network: rate.source for k, rate in rates.items()} == {
        "tiny": "operations", "vgg19": "measured", "alexnet": "operations",
    }  # fmt: skip
    known = {Kind("vgg19", "none", "fp32"): Rate(1.0, 0.0, "finished")}
    estimate.measure_all(wanted, known, measure_one, lambda: 0.0)
    assert sorted(asked[1:]) == ["alexnet", "tiny"]


def test_each_network_is_measured_once_before_any_is_again() -> None:
    asked: list[tuple[str, str]] = []

    def measure_one(load: Load) -> Rate:
        asked.append(load.kind[:2])
        return Rate(1.0, 0.0, "measured")

    wanted = [
        _load("vgg19", "none", 30, arch="r-vgg19"),
        _load("vgg19", "softmax", 20, arch="r-vgg19"),
        _load("alexnet", "none", 10, arch="r-alexnet"),
    ]
    estimate.measure_all(wanted, {}, measure_one, lambda: 0.0)
    assert asked == [("vgg19", "none"), ("alexnet", "none"), ("vgg19", "softmax")]


def test_what_cannot_be_measured_is_left_to_operations() -> None:
    def refuse(load: Load) -> Rate:
        raise InputError("too small")

    wanted = [_load("tiny")]
    assert estimate.measure_all(wanted, {}, refuse, lambda: 0.0) == {}
    with pytest.raises(InputError, match="no time is known"):
        estimate.rates(wanted, {})


def test_a_kind_is_measured() -> None:
    for load in estimate.loads([*tiny().jobs, *tiny().statistics], "cpu", None):
        rate = estimate.measured(load, "cpu", 1)
        assert rate.source == "measured"
        assert rate.seconds > 0


def _bench(path: Path, **changes: Any) -> Path:
    row = {"arch": "tiny", "size": 10, "batch": 2, "precision": "fp32", "seconds": 4.0,
           "device": "cpu", **changes}  # fmt: skip
    path.write_text(json.dumps({"machine": {"threads": 4}, "rows": [row]}))
    return path


def test_a_bench_is_read(tmp_path: Path) -> None:
    path = _bench(tmp_path / "bench.json")
    kind = Kind("tiny", "none", "fp32")
    assert estimate.benched(path, 1) == {kind: Rate(4 / 2 / 100, 0.0, "measured")}
    assert estimate.benched(path, 2)[kind].seconds == pytest.approx(4 * 4 / 2 / 100)


@pytest.mark.parametrize("changes", [{"seconds": -1}, {"seconds": "x"}, {"size": 0}, {"batch": []}])
def test_a_wrong_bench_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--from .*expected"):
        estimate.benched(_bench(tmp_path / "bench.json", **changes), 1)


# ----------------------------------------------------------------------------------------- disk


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, plan.Plan]:
    """Return the folder of a sweep of four stylisations, with its own plan."""
    out = with_database(tmp_path_factory.mktemp("swept") / "out")
    config = SweepConfig(arch=("r-tiny",), size=96, evals=20, statistics_images=("chelsea",))
    with no_figures():
        run.run(config, run.Options(out=out, offline=True), Lines())
    return out, plan.expand(config)


def _used(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in [folder, *folder.rglob("*")])


def test_disk_is_that_of_a_real_sweep(swept: tuple[Path, plan.Plan]) -> None:
    """Without figures, which take a large part of a small sweep."""
    out, planned = swept
    found = footprint.disk([*planned.jobs, *planned.statistics])
    jobs = found - footprint.SWEEP
    database = _used(out / "mlflow.db")
    assert 0.6 < (_used(out) - database) / jobs < 1.6
    assert found < 3 * _used(out)


def test_disk_grows_with_pixels_and_evaluations() -> None:
    (job, *_) = tiny().jobs
    more = job.model_copy(update={"evals": job.evals + 1000})
    assert footprint.disk([more]) - footprint.disk([job]) == pytest.approx(
        1000 * footprint.EVALUATION
    )
    assert footprint.disk(()) == 0
    small, middle, large = (footprint.disk(tiny(size=size).jobs) for size in (64, 128, 256))
    assert (large - middle) / (middle - small) == pytest.approx(4, rel=0.05)


def test_weights_are_four_bytes_a_parameter() -> None:
    """143.67 M parameters of VGG-19, by torchvision's documentation: a file of 548 MiB."""
    (job, *_) = tiny().jobs
    size = footprint.download(job.model_copy(update={"arch": "p-vgg19"}))
    assert size / 2**20 == pytest.approx(548, rel=0.001)


# -------------------------------------------------------------------------------------- finished


def test_finished_jobs_tell_their_rate(swept: tuple[Path, plan.Plan]) -> None:
    out, planned = swept
    found = estimate.finished(out, "cpu")
    wanted = estimate.loads([*planned.jobs, *planned.statistics], "cpu", 1)
    assert {load.kind for load in wanted} == set(found)
    records = [json.loads(path.read_text()) for path in out.glob("*/*/record.json")]
    total = sum(record["seconds"] for record in records)
    longest = max(record["seconds"] for record in records)
    took = estimate.time(wanted, found, 1)
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
    assert estimate.finished(out, "cuda").keys() == estimate.finished(swept[0], "cpu").keys() - {
        load.kind for load in estimate.loads(swept[1].statistics, "cpu", 1)
    }
    assert estimate.finished(out, "cpu") == {}
