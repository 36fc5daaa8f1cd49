"""How fast a closure evaluation is: against the plain way, the bare network, and the hardware.

All that is compared is measured in one run, in turns, and the median of the turns is taken: on a
shared machine times drift, ratios do not. Networks have random weights, pictures are noise; neither
matters for the time.
"""

import contextlib
import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from stylebench import runtime
from stylebench.backbones import graph, names
from stylebench.backbones.extractor import Backbone, build, random_network
from stylebench.backbones.names import BackboneName
from stylebench.backbones.spec import BackboneSpec
from stylebench.config import (
    LossSpec,
    NodeChoice,
    OptimiserSpec,
    Positive,
    SmoothingSpec,
    WeightsRef,
)
from stylebench.errors import InputError
from stylebench.images.decode import MAX_SIDE, MIN_SIDE
from stylebench.timing import ceiling
from stylebench.timing.plain import Plain, Step
from stylebench.transfer.objective import Objective
from stylebench.transfer.optimisers import iterate

Key = tuple[str, str]
"""What a step is, and its precision."""

TURNS = 5
DEFAULT = ("vgg19", "resnet50")
WARM_UP = {"cpu": 1, "cuda": 3}
"""Turns before the first that counts; on a GPU a closure is recorded at its third evaluation."""
AT_ONCE = {"cpu": 1, "cuda": 10}
"""Evaluations of a turn: as many as run on a GPU before somebody waits for it; one of the LONG."""
LONG = 0.1
"""Seconds of an evaluation next to which waiting for it is nothing."""


class Work(BaseModel):
    """One thing to measure: a backbone (without r- or p-), at a size, in batches, in a precision.

    `size` is the side of square pictures in px.
    """

    model_config = ConfigDict(frozen=True)

    arch: str
    size: PositiveInt
    batch: PositiveInt
    precision: str
    device: str

    @property
    def title(self) -> str:
        """What is measured, all of it."""
        return f"{self.arch} {self.size} px, batch of {self.batch}, {self.precision}, {self.device}"

    def pictures(self, count: int) -> Tensor:
        """Return noise: (count, 3, size, size)."""
        generator = torch.Generator().manual_seed(0)
        return torch.rand(count, 3, self.size, self.size, generator=generator).to(self.device)

    def backbone(
        self, options: Mapping[str, str] | None = None, nodes: NodeChoice | None = None
    ) -> Backbone:
        """Return the backbone with random weights."""
        ref = WeightsRef(source="random:0", options=dict(options or {}))
        return build(f"r-{self.arch}", ref, 0, nodes=nodes, precision=self.precision,
                     device=self.device)  # fmt: skip


def network(arch: str) -> str:
    """Return the name of a backbone without what does not change its time: r- or p-, timm's tag."""
    name = BackboneName.parse(arch)
    return name.name.partition(".")[0] if name.is_timm else name.name


def ours(
    work: Work, options: Mapping[str, str] | None = None, nodes: NodeChoice | None = None
) -> Step:
    """Return an evaluation of stylebench: network, losses, gradient, optimiser."""
    starts = work.pictures(work.batch)
    content, style = work.pictures(2).chunk(2)  # of all pairs, so that they are encoded once
    backbone, none = work.backbone(options, nodes), SmoothingSpec(name="none")
    objective = Objective(backbone, [(content, style)] * work.batch, none, LossSpec())

    def steps() -> Iterator[object]:
        while True:  # again where nothing is left to gain
            yield from iterate(objective, starts, OptimiserSpec(), evals=10**6)

    return functools.partial(next, steps())


def bare(work: Work) -> Step:
    """Return a way forward and back through the truncated network, without any loss."""
    backbone, images = work.backbone(), work.pictures(work.batch)
    with torch.no_grad():
        cotangents = [torch.rand_like(values) for values in backbone(images).values()]
    images.requires_grad_()
    return lambda: torch.autograd.grad(list(backbone(images).values()), images, cotangents)


def plain(work: Work) -> Step:
    """Return an evaluation of `Plain`, of one picture, with its network's random weights."""
    spec = names.find(f"r-{work.arch}")
    return Plain(spec, random_network(spec, 0), *work.pictures(2).chunk(2)).step


def measure(
    steps: Mapping[Key, Step],
    device: str,
    turns: int,
    *,
    enough: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Key, list[float]]:
    """Return the seconds of each step in each turn, after `WARM_UP` turns of each.

    There are `turns`, or as many as take `enough` seconds: one at least.
    """
    seconds: dict[Key, list[float]] = {key: [] for key in steps}
    kind = device.partition(":")[0]
    warm_up, at_once = (each.get(kind, each["cpu"]) for each in (WARM_UP, AT_ONCE))
    for turn in range(warm_up + turns):
        for key, step in steps.items():
            runtime.configure(tf32=key[1] == "tf32")
            count = 1 if min(seconds[key], default=0.0) > LONG else at_once
            began = clock()
            for _ in range(count):
                step()
            wait(device)
            seconds[key].append((clock() - began) / count)
        counted = {key: each[warm_up:] for key, each in seconds.items()}
        if turn >= warm_up and sum(map(sum, counted.values())) >= enough:
            break
    return counted


def wait(device: str) -> None:
    """Wait for a GPU to have done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def operations(spec: BackboneSpec, options: Mapping[str, str]) -> float:
    """Return the floating-point operations of one evaluation a pixel, at the backbone's own size.

    Twice those of maps and Gram matrices: weights are frozen, so that the way back has one product
    for each. Counted by torch on the meta device: nothing is computed, no weights are made.
    """
    part = spec.extractor(spec.sketch(options))
    with FlopCounterMode(display=False) as counter:
        maps = graph.shapes(part, spec.size)
    grams = (2 * maps[node.name][1] * math.prod(maps[node.name][1:]) for node in spec.style)
    return 2.0 * float(counter.get_total_flops() + sum(grams)) / math.prod(spec.size)


def _peak(method: Callable[[Work], Step], work: Work) -> float:
    memory = runtime.PeakMemory(work.device)
    runtime.configure(tf32=work.precision == "tf32")
    step = method(work)
    for _ in range(3):
        step()
    return memory.read()


def peak_mb(method: Callable[[Work], Step], work: Work) -> float:
    """Return the peak memory of a method in MB (1e6 bytes).

    On a CPU that of a process of its own, Python and torch included; on CUDA that of torch's
    allocator in this process, without what was allocated before.
    """
    try:
        if work.device.startswith("cuda"):
            before = torch.cuda.memory_allocated(work.device) / 1e6
            return _peak(method, work) - before
        with ProcessPoolExecutor(1, runtime.process_context()) as pool:
            return pool.submit(_peak, method, work).result()
    except RuntimeError as error:  # as torch's OutOfMemoryError is
        raise InputError(
            f"{work.title}, {method.__name__}: {error}; out of memory? "
            "use a smaller --size or --batch"
        ) from None


class Row(Work):
    """What was measured of one piece of work; None where there is no plain way.

    Attributes:
        seconds: of one evaluation of the whole batch.
        plain_seconds: of the plain way for the same pictures, one by one.
        speedup: plain_seconds / seconds.
        bare_ratio: seconds / those of the bare network in the same precision.
        share_of_ceiling: floating-point operations per second, as a share of the highest measured
            rate in the same precision (`stylebench.timing.ceiling`); None for tf32.
        peak_mb: see `peak_mb`; plain_peak_mb likewise.
    """

    seconds: Positive
    plain_seconds: Positive | None = None
    speedup: Positive | None = None
    bare_ratio: Positive | None = None
    share_of_ceiling: Positive | None = None
    peak_mb: Positive | None = None
    plain_peak_mb: Positive | None = None

    @property
    def memory_ratio(self) -> float | None:
        """peak_mb / plain_peak_mb."""
        return self.peak_mb and self.plain_peak_mb and self.peak_mb / self.plain_peak_mb


class Machine(BaseModel):
    """What was measured on; versions and more are not validated."""

    model_config = ConfigDict(extra="allow")

    threads: PositiveInt
    bf16_units: list[str] = []
    device: str = ""


def machine(device: str) -> Machine:
    """Return this machine with one of its devices."""
    cuda = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    known = {"processor": runtime.processor().get("cpu_name", ""), **runtime.environment()}
    return Machine(
        threads=torch.get_num_threads(),
        bf16_units=runtime.bf16_units(),
        device=cuda or device,
        **known,
    )


class Report(BaseModel):
    """What ``stylebench bench --json`` prints.

    `ceiling` has the medians of ``fp32_gflops`` and ``bf16_gflops``, where these were measured.
    """

    machine: Machine
    ceiling: dict[str, float] = {}
    rows: list[Row] = Field(min_length=1)


def works(
    archs: Sequence[str] = (),
    sizes: Sequence[int] = (),
    batches: Sequence[int] = (),
    precisions: Sequence[str] = (),
    device: str = "cpu",
) -> list[Work]:
    """Return what to measure; what is not given has a default.

    Raises:
        InputError: an unknown backbone, a number out of range, or a device or a precision that
            cannot be measured here.
    """
    for value in sizes:
        if not MIN_SIDE <= value <= MAX_SIDE:
            raise InputError(f"--size expects {MIN_SIDE} to {MAX_SIDE} px, found {value}")
    for value in batches:
        if value < 1:
            raise InputError(f"--batch expects a positive number, found {value}")
    gpu = device.startswith("cuda")
    if not gpu and device != "cpu":
        raise InputError(f"bench measures cpu and cuda, not {device}: use --device cpu")
    bare = [n.removeprefix("r-").removeprefix("p-") for n in names.listed(archs or DEFAULT)]
    expanded = names.expand(name if name == "all" else f"r-{name}" for name in bare)
    resolved = [runtime.resolve_precision(p, device) for p in precisions or ("auto", "fp32")]
    every = itertools.product(
        dict.fromkeys(map(network, expanded)),
        dict.fromkeys(sizes or [512]),
        dict.fromkeys(batches or ([1, 16] if gpu else [1])),
        dict.fromkeys(resolved),
    )
    return [
        Work(arch=arch, size=size, batch=batch, precision=precision, device=device)
        for arch, size, batch, precision in every
    ]


def run(wanted: Sequence[Work], tell: Callable[[str], None]) -> Report:
    """Measure; works that differ in precision alone are measured in the same turns."""
    runtime.configure()
    rows: list[Row] = []
    ceilings: list[dict[str, float]] = []
    for _, works in itertools.groupby(wanted, lambda work: (work.arch, work.size, work.batch)):
        group = list(works)
        tell(f"{' | '.join(work.title for work in group)} …")
        found, rates = _rows(group)
        rows += found
        ceilings.append(rates)
    return Report(
        machine=machine(wanted[0].device),
        ceiling={key: statistics.median(c[key] for c in ceilings) for key in ceilings[0]},
        rows=rows,
    )


def _rows(group: Sequence[Work]) -> tuple[list[Row], dict[str, float]]:
    """Return a row for each precision, and the ceiling as it was measured beside them."""
    first, device = group[0], group[0].device
    counts: dict[str, dict[str, float]] = {}
    steps: dict[Key, Step] = {}
    if not first.arch.startswith(names.TIMM):  # whose maps are not outputs of modules
        with contextlib.suppress(AttributeError, RuntimeError):
            steps["plain", "fp32"] = plain(first)
    for work in group:
        probes = ceiling.probes(work.precision, device)
        steps |= {(name, work.precision): step for name, (_, step) in probes.items()}
        counts[work.precision] = {name: count for name, (count, _) in probes.items()}
        steps["bare", work.precision] = bare(work)
        steps["ours", work.precision] = ours(work)
    took = measure(steps, device, TURNS)
    seconds = {key: statistics.median(each) for key, each in took.items()}
    rates = {
        precision: ceiling.highest(known, {name: seconds[name, precision] for name in known})
        for precision, known in counts.items()
        if known
    }
    count = first.batch * first.size**2 * operations(names.find(f"r-{first.arch}"), {}) / 1e9
    slow = first.batch * seconds["plain", "fp32"] if ("plain", "fp32") in steps else None
    slow_peak = peak_mb(plain, first) if slow else None
    found = []
    for work in group:
        own, rate = seconds["ours", work.precision], rates.get(work.precision)
        found.append(
            Row(
                **work.model_dump(),
                seconds=own,
                plain_seconds=slow,
                speedup=slow and slow / own,
                bare_ratio=own / seconds["bare", work.precision],
                share_of_ceiling=rate and count / own / rate,
                peak_mb=peak_mb(ours, work),
                plain_peak_mb=slow_peak,
            )
        )
    return found, {f"{precision}_gflops": rate for precision, rate in rates.items()}
