"""The bench: what it counts and measures, and that its check can fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stylebench.backbones import names
from stylebench.cli.bench import lines
from stylebench.errors import InputError
from stylebench.timing import bench, ceiling, compare
from stylebench.timing.plain import Step
from tests.cli.bench import invoke, refused

pytestmark = pytest.mark.usefixtures("one_thread")


def work(batch: int = 1, **changes: Any) -> bench.Work:
    given = {"arch": "tiny", "size": 32, "precision": "fp32", "device": "cpu", **changes}
    return bench.Work(batch=batch, **given)


# ---------------------------------------------------------------------------------- operations


def test_operations_are_counted_as_by_hand_and_as_of_a_real_evaluation() -> None:
    """r-tiny: five 3×3 convolutions of 8 channels, forward and back; a Gram matrix for each."""
    places = [1, 1 / 4, 1 / 16, 1 / 64, 1 / 256]
    channels = [3, 8, 8, 8, 8]
    convolutions = sum(2 * 9 * c * 8 * m for c, m in zip(channels, places, strict=True))
    grams = sum(2 * 8 * 8 * m for m in places)
    found = bench.operations(names.find("r-tiny"), {})
    assert found == pytest.approx(2 * (convolutions + grams), rel=1e-9)
    step = bench.ours(work())
    with FlopCounterMode(display=False) as counter:
        step()
    assert found == pytest.approx(counter.get_total_flops() / 32**2, rel=1e-9)


def test_operations_of_a_known_network() -> None:
    """VGG-19 to conv5_1 has 17.7 GMAC of convolutions at 224 px, by its table of layers."""
    layers = [(3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56)]
    layers += [(256, 256, 56)] * 3 + [(256, 512, 28)] + [(512, 512, 28)] * 3 + [(512, 512, 14)]
    convolutions = sum(2 * 9 * a * b * side**2 for a, b, side in layers)
    grams = [(64, 224), (128, 112), (256, 56), (512, 28), (512, 14)]
    expected = 2 * (convolutions + sum(2 * d**2 * side**2 for d, side in grams)) / 224**2
    assert bench.operations(names.find("r-vgg19"), {}) == pytest.approx(expected, rel=1e-9)


def test_a_network_that_computes_with_tensors_as_it_is_made_is_counted() -> None:
    assert bench.operations(names.find("r-regnet_y_400mf"), {}) > 1e3


# ------------------------------------------------------------------------------------ measuring


def test_steps_are_measured_in_turns_after_one_of_each() -> None:
    turns, now = [], 0.0

    def step(name: str, seconds: list[float]) -> Step:
        left = iter([0.3, *seconds])

        def take() -> None:
            nonlocal now
            turns.append(name)
            now += next(left)

        return take

    steps = {("a", "fp32"): step("a", [0.01, 0.2]), ("b", "fp32"): step("b", [0.1, 0.1])}
    found = bench.measure(steps, "cpu", 2, clock=lambda: now)
    assert turns == ["a", "b"] * 3
    assert found["a", "fp32"] == pytest.approx([0.01, 0.2])
    assert found["b", "fp32"] == pytest.approx([0.1, 0.1])
    assert bench.measure({("m", "fp32"): lambda: None}, "mps", 1)  # whose plan asks for a time
    long = {("c", "fp32"): step("c", [0.1] * 9)}
    enough = bench.measure(long, "cpu", 9, enough=0.15, clock=lambda: now)
    assert len(enough["c", "fp32"]) == 2


@pytest.mark.parametrize("method", [bench.ours, bench.bare, bench.plain])
@pytest.mark.parametrize("batch", [1, 2])
def test_every_method_makes_evaluation_after_evaluation(method: Any, batch: int) -> None:
    step = method(work(batch))
    for _ in range(15):
        step()


@pytest.fixture(scope="module")
def found() -> bench.Report:
    """Return the report of one work; its ceiling is that of small ones, as large take long."""
    wanted = bench.works(["tiny"], sizes=[32], precisions=["fp32"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(ceiling.SIDES, "cpu", (256, 512))
        patched.setattr(ceiling, "MAPS", ((64, 32),))
        return bench.run(wanted, lambda text: None)


@pytest.mark.slow
def test_the_report_has_what_is_promised(found: bench.Report) -> None:
    told = found.model_dump()
    assert told["ceiling"].keys() == {"fp32_gflops"}
    assert {"processor", "threads", "bf16_units", "device", "torch"} <= told["machine"].keys()
    (row,) = found.rows
    assert set(row.model_dump()) == {
        "arch", "size", "batch", "precision", "device", "seconds", "plain_seconds", "speedup",
        "bare_ratio", "share_of_ceiling", "peak_mb", "plain_peak_mb",
    }  # fmt: skip
    assert row.plain_seconds
    assert row.share_of_ceiling
    assert row.peak_mb
    assert row.speedup == pytest.approx(row.plain_seconds / row.seconds)
    assert 0 < row.share_of_ceiling < 1
    assert row.peak_mb > 50
    text = lines(found)
    assert "tiny" in text[-1]
    assert f"{row.speedup:.2f}×" in text[-1]


def test_the_ceiling_is_the_fastest_of_products_and_convolutions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ceiling.SIDES, "cpu", (32, 64))
    monkeypatch.setattr(ceiling, "MAPS", ((4, 16), (8, 8)))
    for precision, kind in ceiling.TYPES.items():
        probes = ceiling.probes(precision, "cpu")
        assert len(probes) == 4
        for count, step in probes.values():
            with FlopCounterMode(display=False) as counter:
                made = step()
            assert isinstance(made, torch.Tensor)
            assert made.dtype == kind
            assert counter.get_total_flops() == pytest.approx(count * 1e9, rel=1e-9)
    assert ceiling.probes("tf32", "cpu") == {}
    assert ceiling.highest({"a": 2.0, "b": 3.0}, {"a": 0.5, "b": 1.0}) == 4.0


def test_there_is_no_plain_way_where_hooks_do_not_reach_or_the_picture_is_too_small() -> None:
    with pytest.raises(RuntimeError):
        bench.plain(work(arch="vgg19", size=16))
    with pytest.raises(AttributeError):
        bench.plain(work(arch="densenet121", size=64))


# ------------------------------------------------------------------------------ scope and check


def test_works_have_defaults() -> None:
    found = bench.works(precisions=["fp32"])
    assert [w.title for w in found] == [
        "vgg19 512 px, batch of 1, fp32, cpu", "resnet50 512 px, batch of 1, fp32, cpu",
    ]  # fmt: skip
    given = bench.works(["p-vgg19, r-vgg19", "all"], [64], [1, 2], ["fp32", "bf16", "fp32"])
    assert len({w.title for w in given}) == len(given) == 5 * 2 * 2
    assert {w.arch for w in given[:4]} == {"vgg19"}


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--arch", "vgg91"], "did you mean 'r-vgg19'"),
        (["--arch", "vgg19+pool=avg"], "unknown backbone 'r-vgg19+pool=avg'"),
        (["--size", "0"], "--size expects 16 to 4096 px, found 0"),
        (["--size", "1000000"], "--size expects 16 to 4096 px"),
        (["--batch", "-1"], "--batch expects a positive number"),
        (["--precision", "fp8"], "--precision expects"),
        (["--check", "nowhere.json"], "expected what `stylebench bench --json` prints"),
    ],
)
def test_wrong_input_is_one_line(flags: list[str], text: str) -> None:
    assert text in refused("bench", *flags)


def test_check_tells_worse_ratios_and_no_others(found: bench.Report, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(found.model_dump_json())
    reference = compare.reference(file, "cpu")
    assert compare.worse(found, reference) == []

    def now(**factors: float) -> bench.Report:
        (row,) = found.rows
        changed = {key: factor * getattr(row, key) for key, factor in factors.items()}
        return found.model_copy(update={"rows": [row.model_copy(update=changed)]})

    assert compare.worse(now(seconds=100, speedup=1.5), reference) == []  # no times
    told = compare.worse(now(speedup=0.7, bare_ratio=1.3, peak_mb=1.3), reference)
    assert [line.split(": ")[1].split(" was")[0] for line in told] == [
        "speedup", "bare ratio", "memory ratio",
    ]  # fmt: skip
    (row,) = found.rows
    none = found.model_copy(update={"rows": [row.model_copy(update={"speedup": None})]})
    assert "it was not measured" in compare.worse(none, reference)[0]
    assert len(compare.worse(found.model_copy(update={"rows": []}), reference)) == 4


def test_check_refuses_what_it_cannot_compare(found: bench.Report, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text("{}")
    with pytest.raises(InputError, match="expected what `stylebench bench --json` prints"):
        compare.reference(file, "cpu")
    machine = found.machine.model_copy(update={"bf16_units": ["another"]})
    file.write_text(found.model_copy(update={"machine": machine}).model_dump_json())
    with pytest.raises(InputError, match="ratios cannot be compared"):
        compare.reference(file, "cpu")


def test_the_reference_of_results_is_read() -> None:
    found = compare.read(Path("results/reference/bench.json"), "--check")
    assert {row.arch for row in found.rows} == set(bench.DEFAULT)


def test_the_command_checks(
    tmp_path: Path, found: bench.Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It measures what `found` has measured."""

    def run(wanted: list[bench.Work], tell: Callable[[str], None]) -> bench.Report:
        assert wanted == [work()]
        tell("measured")
        return found

    monkeypatch.setattr(bench, "run", run)
    file = tmp_path / "bench.json"
    (row,) = found.rows
    better = row.model_copy(update={"size": 48})  # never measured
    file.write_text(found.model_copy(update={"rows": [better]}).model_dump_json())
    flags = ["--arch", "tiny", "--size", 32, "--precision", "fp32", "--json", "--check", file]
    done = invoke("bench", *flags)
    assert done.status == 1
    assert done.err.startswith("measured\n")
    assert "it was not measured" in done.err
    assert bench.Report.model_validate_json(done.out).rows[0].title == row.title
