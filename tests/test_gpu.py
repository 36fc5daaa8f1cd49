"""The same numbers on a GPU as on the CPU, up to rounding; batches, precisions and the bench."""

from pathlib import Path

import pytest
import torch

from stylebench import runtime
from stylebench.backbones.extractor import build
from stylebench.config import Image, SmoothingSpec, Spec, TransferSettings, WeightsRef
from stylebench.measures.statistics import measure_backbone
from stylebench.sweeps import engines, plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.run import sweep
from stylebench.timing import bench
from stylebench.transfer.graphs import Recorder
from stylebench.transfer.stylize import stylize_batch
from tests.transfer.pairs import stylize, three_pairs, vgg11

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]

RANDOM = WeightsRef(source="random:0")


def pictures() -> torch.Tensor:
    return torch.rand(4, 1, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def test_statistics_on_cuda_equal_the_cpu() -> None:
    found = {}
    for device in ("cpu", "cuda"):
        backbone = build("r-resnet50", RANDOM, 0, device=device)
        picture = pictures()[0].to(device)
        values = measure_backbone(backbone, picture, [SmoothingSpec(name="softmax")])
        found[device] = [value.value for value in values]
    assert found["cuda"] == pytest.approx(found["cpu"], rel=1e-3)


def test_transfer_on_cuda_equals_the_cpu() -> None:
    traces = {}
    for device in ("cpu", "cuda"):
        pairs = [(c.to(device), s.to(device)) for c, s in three_pairs(torch.float32)]
        made = stylize_batch(vgg11(torch.float32).to(device), pairs, TransferSettings(evals=6))
        traces[device] = [step.loss for one in made for step in one.evaluations]
    assert traces["cuda"] == pytest.approx(traces["cpu"], rel=1e-3)


def test_a_batch_equals_its_pairs_one_by_one() -> None:
    a, b, c, d = (picture.cuda().double() for picture in pictures())
    backbone = build("r-vgg11", WeightsRef(source="random:9"), 9, device="cuda").double()
    together = stylize_batch(backbone, [(a, b), (c, d)], TransferSettings(evals=12))
    for pair, found in zip(((a, b), (c, d)), together, strict=True):
        alone = stylize(*pair, backbone, evals=12)
        losses = [step.loss for step in alone.evaluations]
        assert [step.loss for step in found.evaluations] == pytest.approx(losses, rel=1e-8)


@pytest.mark.parametrize("image", ["pixels", "fourier"])
@pytest.mark.parametrize("smoothing", ["none", "softmax", "nested", "softmax-fitted"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_recorded_closure_gives_the_numbers_of_the_closure(
    monkeypatch: pytest.MonkeyPatch, precision: str, smoothing: str, image: Image
) -> None:
    pair = pictures()[0].cuda(), pictures()[1].cuda()
    backbone = build("r-resnet50", RANDOM, 0, precision=precision, device="cuda")
    settings = TransferSettings(evals=8, image=image, smoothing=SmoothingSpec(name=smoothing))
    replays: list[int] = []
    replay = torch.cuda.CUDAGraph.replay

    def counted(self: torch.cuda.CUDAGraph) -> None:
        replays.append(1)
        replay(self)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    recorded = stylize_batch(backbone, [pair], settings)[0]
    assert len(replays) == 6  # all but that which chooses the scale, and that which warms up
    monkeypatch.setattr(Recorder, "__call__", lambda self, closure, given: closure(given))
    plain = stylize_batch(backbone, [pair], settings)[0]
    assert recorded.evaluations == plain.evaluations
    assert recorded.tensor.equal(plain.tensor)


def test_a_closure_that_waits_for_the_device_is_called_as_it_is() -> None:
    def waits(given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (given * (2 if given.sum().item() > 0 else 3),)

    stream, one = torch.cuda.current_stream(), torch.ones(3, device="cuda")
    recorder = Recorder()
    assert [float(recorder(waits, sign * one)[0][0]) for sign in (1, -1, 1, -1)] == [2, -3, 2, -3]
    assert torch.cuda.current_stream() == stream
    again = Recorder()
    assert [float(again(lambda x: (x + 1,), k * one)[0][0]) for k in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize(("precision", "error"), [("bf16", 0.05), ("tf32", 0.005)])
def test_other_precisions_are_near_fp32_and_not_equal(precision: str, error: float) -> None:
    picture = pictures()[0].cuda()
    maps = {}
    for name in ("fp32", precision):
        runtime.configure(tf32=name == "tf32")
        with torch.no_grad():
            maps[name] = build("r-resnet50", RANDOM, 0, precision=name, device="cuda")(picture)
    runtime.configure()
    for key, exact in maps["fp32"].items():
        off = (maps[precision][key].float() - exact).norm() / exact.norm()
        assert 0 < float(off) < error, key


def test_the_engine_overlaps_groups_and_keeps_their_order(tmp_path: Path) -> None:
    keys = {"arch": ["r-tiny"], "size": 32, "evals": 4, "statistics_images": ["chelsea"]}
    made = plan.expand(load_sweep(None, keys), device="cuda")
    specs: list[Spec] = [*made.statistics, *made.jobs]
    records = list(engines.run(specs, tmp_path, engines.EngineOptions(device="cuda", batch=1)))
    assert [record.job_id for record in records] == [spec.job_id for spec in specs]
    assert {record.status for record in records} == {"ok"}


def test_the_bench_measures_batches() -> None:
    rows = bench.run(bench.works(["tiny"], [64], device="cuda"), lambda text: None).rows
    assert {row.batch for row in rows} == {1, 16}
    assert all(row.peak_mb for row in rows)


def test_workers_share_a_gpu_and_judge_on_it(tmp_path: Path) -> None:
    told: list[str] = []
    results = sweep(
        arch=["r-tiny"], smoothing=["none", "softmax"],
        content=["chelsea"], style=["brush", "mosaic"],
        size=48, evals=4, judge=True, out=tmp_path, jobs=2, device="cuda", tracking_uri="off",
        tell=told.append,
    )  # fmt: skip
    assert list(results.results["status"]) == ["ok"] * 4, told
    assert results.metrics["job_id"].nunique() == 4
