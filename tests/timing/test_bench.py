"""The bench: what it counts against hand counts, and that its check can fail."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stylebench.cli.bench import lines
from stylebench.config import SweepConfig
from stylebench.errors import InputError
from stylebench.timing import bench, report

pytestmark = pytest.mark.usefixtures("one_thread")


def test_operations_are_counted_as_by_hand() -> None:
    """r-tiny: five 3×3 convolutions of 8 channels, forward and back; a Gram matrix for each."""
    pixels = [32 * 32, 16 * 16, 8 * 8, 4 * 4, 2 * 2]
    channels = [3, 8, 8, 8, 8]
    convolutions = sum(2 * 9 * c * 8 * m for c, m in zip(channels, pixels, strict=True))
    grams = sum(2 * 8 * 8 * m for m in pixels)
    work = bench.Work("tiny", 32, 3, "fp32", "cpu")
    assert bench.gflop(work) == pytest.approx(3 * 2 * (convolutions + grams) / 1e9, rel=1e-12)


def test_the_median_of_turns_is_taken() -> None:
    turns = []

    def step(name: str, pauses: list[float]) -> Iterator[None]:
        for pause in [0.0, *pauses]:
            turns.append(name)
            time.sleep(pause)
            yield

    found = bench.measure(
        {"a": step("a", [0.01, 0.3, 0.02]), "b": step("b", [0.1, 0.1, 0.1])}, "cpu", 3
    )
    assert turns == ["a", "b"] * 4
    assert 0.02 <= found["a"] < 0.09
    assert 0.1 <= found["b"] < 0.29


@pytest.mark.parametrize("method", [bench.ours, bench.bare, bench.plain])
@pytest.mark.parametrize("batch", [1, 2])
def test_every_method_makes_evaluation_after_evaluation(method: Any, batch: int) -> None:
    steps = method(bench.Work("tiny", 32, batch, "fp32", "cpu"))
    for _ in range(15):
        next(steps)


def test_plain_is_where_hooks_reach_the_nodes() -> None:
    assert bench.can_be_plain("vgg19", 64)
    assert bench.can_be_plain("resnet50", 64)
    assert not bench.can_be_plain("vgg19", 16)
    assert not bench.can_be_plain("timm:resnet18", 64)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    scope = report.scope(
        None, archs=["tiny"], sizes=[32], batches=[], precisions=["fp32"], device="cpu", quick=True
    )
    return report.run(scope, lambda text: None)


def test_the_report_has_what_is_promised(found: dict[str, Any]) -> None:
    assert {"fp32_gflops", "bf16_gflops", "gbytes_per_s"} == found["ceiling"].keys()
    assert {"processor", "threads", "bf16_units", "device", "torch"} <= found["machine"].keys()
    (row,) = found["rows"]
    assert set(row) == {
        "arch", "size", "batch", "precision", "device", "seconds", "plain_seconds", "speedup",
        "bare_ratio", "share_of_ceiling", "peak_mb", "plain_peak_mb",
    }  # fmt: skip
    assert row["speedup"] == pytest.approx(row["plain_seconds"] / row["seconds"])
    assert 0 < row["share_of_ceiling"] < 1
    assert row["peak_mb"] > 50
    text = lines(found)
    assert "tiny" in text[-1]
    assert f"{row['speedup']:.2f}×" in text[-1]


def test_the_precisions_of_an_experiment_are_those_of_its_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    config = SweepConfig(arch=("r-tiny",), size=32, statistics_images=())
    found = dict.fromkeys(job.precision for job in report.stylisations(config, "cpu"))
    assert list(found) == ["bf16", "fp32"]


def test_check_tells_worse_ratios_and_no_others(found: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(found))
    reference = report.read(file)
    assert report.check(found, reference) == []
    now = json.loads(json.dumps(found))
    now["rows"][0]["seconds"] *= 100  # times are not compared
    now["rows"][0]["speedup"] *= 1.5
    assert report.check(now, reference) == []
    now["rows"][0]["speedup"] = 0.7 * found["rows"][0]["speedup"]
    now["rows"][0]["bare_ratio"] = 1.3 * found["rows"][0]["bare_ratio"]
    now["rows"][0]["peak_mb"] = 1.3 * found["rows"][0]["peak_mb"]
    told = report.check(now, reference)
    assert [line.split(": ")[1].split(" is")[0] for line in told] == [
        "speedup", "bare_ratio", "peak memory / plain",
    ]  # fmt: skip
    now["rows"][0]["speedup"] = None
    assert "speedup was" in report.check(now, reference)[0]
    now["rows"] = []
    assert len(report.check(now, reference)) == 4


def test_check_refuses_what_it_cannot_compare(found: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text("{}")
    with pytest.raises(InputError, match="expected what `stylebench bench --json` prints"):
        report.read(file)
    other = json.loads(json.dumps(found))
    other["machine"]["bf16_units"] = ["another"]
    file.write_text(json.dumps(other))
    with pytest.raises(InputError, match="ratios cannot be compared"):
        report.check(found, report.read(file))


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"archs": ["vgg91"]}, "did you mean 'r-vgg19'"),
        ({"sizes": [0]}, "--size expects 16 to 4096 px"),
        ({"sizes": [10**6]}, "--size expects 16 to 4096 px"),
        ({"archs": ["vgg19+pool=avg"]}, "bench measures backbones without options"),
        ({"batches": [-1]}, "--batch expects a positive number"),
        ({"precisions": ["fp8"]}, "--precision expects"),
    ],
)
def test_wrong_scopes_are_told(flags: dict[str, Any], text: str) -> None:
    given: dict[str, Any] = {"archs": [], "sizes": [], "batches": [], "precisions": []} | flags
    with pytest.raises(InputError, match=text):
        report.scope(None, **given, device="cpu", quick=True)


def test_scopes_have_defaults() -> None:
    none: dict[str, Any] = {"archs": [], "sizes": [], "batches": [], "precisions": ["fp32"]}
    quick = report.scope(None, **none, device="cpu", quick=True)
    assert (quick.archs, quick.sizes, quick.batches) == (("vgg19", "resnet50"), (512,), (1,))
    config = SweepConfig(arch=("p-vgg19", "r-vgg19", "r-resnet50+gamma=0.5"), size=64)
    assert report.scope(config, **none, device="cpu", quick=False).archs == ("vgg19", "resnet50")
    assert report.scope(config, **none, device="cpu", quick=False).sizes == (64,)
