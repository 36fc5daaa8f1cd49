"""How fast a closure evaluation is: against the plain way, the bare network, and the hardware.

All that is compared is measured in one run, in turns, and the median of the turns is taken: on a
shared machine times drift, ratios do not. Networks have random weights, pictures are noise; neither
matters for the time.
"""

import functools
import itertools
import math
import multiprocessing
import statistics
import time
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stylebench import runtime
from stylebench.backbones import graph, names
from stylebench.backbones.extractor import Backbone, build, random_network
from stylebench.backbones.spec import BackboneSpec
from stylebench.config import LossSpec, OptimiserSpec, SmoothingSpec, WeightsRef
from stylebench.errors import InputError
from stylebench.transfer.objective import Objective
from stylebench.transfer.optimisers import iterate

Method = Literal["plain", "bare", "ours"]
WARM_UP = 30
"""Evaluations that an optimiser has behind it when it is timed, as in the middle of a default job:
of a quadratic, which costs next to nothing, so that its history is filled."""
PRODUCT = {"cpu": 4096, "cuda": 8192}
"""Side of the matrices whose product is the ceiling of floating-point operations."""
COPIED = 2**28
"""Bytes copied to measure memory bandwidth; each is read once and written once."""


@dataclass(frozen=True)
class Work:
    """One thing to measure: a backbone (without r- or p-), at a size, in batches, in a precision.

    `size` is the side of square pictures in px.
    """

    arch: str
    size: int
    batch: int
    precision: str
    device: str


def _pictures(work: Work, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, work.size, work.size, generator=generator).to(work.device)


def _backbone(work: Work) -> Backbone:
    ref = WeightsRef(source="random:0")
    return build(f"r-{work.arch}", ref, 0, precision=work.precision, device=work.device)


def _easy(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return a quadratic with curvatures from 1 to 10, high above 0, and its gradient."""
    curvature = torch.linspace(1, 10, images[0].numel(), device=images.device).view_as(images[:1])
    gradient = curvature * (images - 0.5)
    return 1e12 + runtime.float64(gradient * (images - 0.5)).flatten(1).sum(dim=1) / 2, gradient


def evaluations(work: Work, backbone: Backbone, smoothing: SmoothingSpec) -> Iterator[None]:
    """Make one evaluation of stylebench at each step: network, losses, gradient, optimiser."""
    starts = _pictures(work, work.batch)
    content, style = _pictures(work, 2).chunk(2)  # of all pairs, so that they are encoded once
    objective = Objective(backbone, [(content, style)] * work.batch, smoothing, LossSpec())
    count = itertools.count()

    def warmed(images: Tensor) -> tuple[Tensor, Tensor]:
        return _easy(images) if next(count) < WARM_UP else objective(images)

    def run() -> Iterator[object]:  # again where nothing is left to gain
        while True:
            yield from iterate(warmed, starts, OptimiserSpec(), evals=10**6)

    steps = run()
    for _ in range(WARM_UP):
        next(steps)
    while True:
        runtime.configure(tf32=work.precision == "tf32")
        next(steps)
        yield


def ours(work: Work) -> Iterator[None]:
    """Make `evaluations` without smoothing."""
    yield from evaluations(work, _backbone(work), SmoothingSpec(name="none"))


def bare(work: Work) -> Iterator[None]:
    """Go forward and back through the truncated network at each step, without any loss."""
    backbone = _backbone(work)
    images = _pictures(work, work.batch)
    with torch.no_grad():
        cotangents = {name: torch.rand_like(m) for name, m in backbone(images).items()}
    images.requires_grad_()
    while True:
        runtime.configure(tf32=work.precision == "tf32")
        maps = backbone(images)
        torch.autograd.grad(list(maps.values()), images, [cotangents[name] for name in maps])
        yield


def can_be_plain(arch: str, size: int) -> bool:
    """Tell whether hooks can take the nodes' maps, and the whole network takes pictures of `size`.

    Nodes can be taken where they are outputs of modules.
    """
    spec = names.find(f"r-{arch}")
    if arch.startswith(names.TIMM):
        return False
    with torch.device("meta"):
        network = spec.build().eval()
        if any(path not in dict(network.named_modules()) for path in spec.nodes):
            return False
        try:
            network(torch.empty(1, 3, size, size))
        except RuntimeError:  # too small for the layers behind the last node
            return False
    return True


def plain(work: Work) -> Iterator[None]:
    """Make one evaluation at each step as published scripts do, one picture at a time.

    The whole network in float32 and its default layout, forward past the last layer in use, maps by
    forward hooks, a Gram loss for each style layer and the content loss, torch.optim.LBFGS as it
    is by default.
    """
    spec = names.find(f"r-{work.arch}")
    network = random_network(spec, 0).eval().requires_grad_(False).to(work.device)
    maps: dict[str, Tensor] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            maps[path] = output

        return hook

    for path in spec.nodes:
        network.get_submodule(path).register_forward_hook(keep(path))
    pictures = _pictures(work, 2)
    content, style = pictures[:1], pictures[1:]

    def gram(value: Tensor) -> Tensor:
        flat = value.flatten(2)
        return flat @ flat.mT / flat[0].numel()

    with torch.no_grad():
        network(content)
        wanted_content = maps[spec.content.path]
        network(style)
        wanted = {node.path: gram(maps[node.path]) for node in spec.style}
    image = content.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([image], max_iter=1)
    count = itertools.count()

    def closure() -> Tensor:
        optimiser.zero_grad()
        if next(count) < WARM_UP:
            loss, image.grad = _easy(image.detach())
            return loss[0]
        network(image)
        loss = nn.functional.mse_loss(maps[spec.content.path], wanted_content)
        for path, target in wanted.items():
            loss = loss + 1e3 * nn.functional.mse_loss(gram(maps[path]), target)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for index in itertools.count():
        runtime.configure()
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        if index >= WARM_UP:
            yield


@functools.cache
def _side(kind: torch.dtype, device: str) -> int:
    """Return the side of the matrices: 512 where the whole ones would take over 15 seconds.

    So they do on a processor without units for bf16, where oneDNN has no kernel to speak of.
    """
    side = PRODUCT.get(device.partition(":")[0], PRODUCT["cpu"])
    if device != "cpu":
        return side
    a = torch.rand(512, 512).to(kind)
    seconds = min(timeit.repeat(lambda: a @ a, number=1, repeat=3))
    return side if seconds * (side / 512) ** 3 < 15 else 512


def product(kind: torch.dtype, device: str) -> Iterator[None]:
    """Multiply two large square matrices at each step."""
    side = _side(kind, device)
    a, b = (torch.rand(side, side, device=device).to(kind) for _ in range(2))
    while True:
        runtime.configure()
        a @ b
        yield


def copy(device: str) -> Iterator[None]:
    """Copy `COPIED` bytes at each step."""
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    while True:
        target.copy_(source)
        yield


def measure(steps: Mapping[str, Iterator[None]], device: str, turns: int) -> dict[str, float]:
    """Return the median seconds of a step of each iterator, taken in turns after one step each."""

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    for iterator in steps.values():
        next(iterator)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, iterator in steps.items():
            wait()
            began = time.perf_counter()
            next(iterator)
            wait()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def sample(steps: Iterator[None], device: str, enough: float) -> tuple[float, float]:
    """Return (seconds before the first step, median seconds of the steps after it).

    Steps are made for `enough` seconds: one at least, nine at most. On a CPU they are the seconds
    of this process's threads, each its share: what other programs take is left out.
    """
    cpu = device == "cpu"
    clock, threads = (time.process_time, torch.get_num_threads()) if cpu else (time.perf_counter, 1)

    def step() -> float:
        began = clock()
        next(steps)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        return clock() - began

    first, seconds = step(), [step()]
    while sum(seconds) < enough and len(seconds) < 9:
        seconds.append(step())
    median = statistics.median(seconds)
    return max(0.0, first - median), median / threads


def forward_flop(spec: BackboneSpec, options: Mapping[str, str]) -> float:
    """Return the floating-point operations of maps and Gram matrices of a picture of its own size.

    Counted by torch on the meta device: nothing is computed, and no weights are made.
    """
    from torch.utils.flop_counter import FlopCounterMode

    part = spec.extractor(spec.sketch(options))
    with FlopCounterMode(display=False) as counter:
        maps = graph.shapes(part, spec.size)
    grams = (2 * maps[node.name][1] * math.prod(maps[node.name][1:]) for node in spec.style)
    return float(counter.get_total_flops() + sum(grams))


def gflop(work: Work) -> float:
    """Return the floating-point operations of one evaluation in 1e9, by torch's counter."""
    from torch.utils.flop_counter import FlopCounterMode

    backbone = _backbone(work)
    images = _pictures(work, 1)
    objective = Objective(backbone, [(images, images)], SmoothingSpec(name="none"), LossSpec())
    with FlopCounterMode(display=False) as counter:
        objective(images)
    return float(counter.get_total_flops()) * work.batch / 1e9


_METHODS: dict[Method, Callable[[Work], Iterator[None]]] = {
    "plain": plain,
    "bare": bare,
    "ours": ours,
}


def _peak(method: Method, work: Work, answer: Any) -> None:
    memory = runtime.PeakMemory(work.device)
    steps = _METHODS[method](work)
    for _ in range(2):
        next(steps)
    answer.put(memory.read())


def peak_mb(method: Method, work: Work) -> float:
    """Return the peak memory of a method in a process of its own, in MB (1e6 bytes).

    On a CPU that of the whole process, Python and torch included; on CUDA that of torch's
    allocator.
    """
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    process = context.Process(target=_peak, args=(method, work, answer))
    process.start()
    process.join()
    if process.exitcode:
        raise InputError(
            f"{method} of {work.arch} at {work.size} px, batch of {work.batch}, ended with status "
            f"{process.exitcode}; out of memory? use a smaller --size or --batch"
        )
    return float(answer.get())


@dataclass(frozen=True)
class Row:
    """What was measured of one piece of work; None where there is no plain way.

    Attributes:
        seconds: of one evaluation of the whole batch.
        plain_seconds: of the plain way for the same pictures, one by one.
        speedup: plain_seconds / seconds.
        bare_ratio: seconds / those of the bare network in the same precision.
        share_of_ceiling: floating-point operations per second, as a share of the measured rate of
            the matrix product in the same precision; None for tf32.
        peak_mb: see `peak_mb`; plain_peak_mb likewise.
    """

    arch: str
    size: int
    batch: int
    precision: str
    device: str
    seconds: float
    plain_seconds: float | None
    speedup: float | None
    bare_ratio: float
    share_of_ceiling: float | None
    peak_mb: float
    plain_peak_mb: float | None


def rows(
    arch: str, size: int, batch: int, precisions: Sequence[str], device: str, turns: int
) -> tuple[list[Row], dict[str, float]]:
    """Return a row for each precision, and the ceiling as it was measured beside them."""
    works = [Work(arch, size, batch, precision, device) for precision in precisions]
    hooked = can_be_plain(arch, size)
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    steps = {name: product(kind, device) for name, kind in kinds.items()}
    steps["copy"] = copy(device)
    if hooked:
        steps["plain"] = plain(works[0])
    for work in works:
        steps[f"bare {work.precision}"] = bare(work)
        steps[f"ours {work.precision}"] = ours(work)
    seconds = measure(steps, device, turns)
    ceiling = {
        f"{name}_gflops": 2 * _side(kind, device) ** 3 / seconds[name] / 1e9
        for name, kind in kinds.items()
    }
    ceiling["gbytes_per_s"] = 2 * COPIED / seconds["copy"] / 1e9
    plain_peak = peak_mb("plain", works[0]) if hooked else None
    plain_seconds = batch * seconds["plain"] if hooked else None
    operations = gflop(works[0])
    found = []
    for work in works:
        own = seconds[f"ours {work.precision}"]
        rate = ceiling.get(f"{work.precision}_gflops")
        found.append(
            Row(
                **vars(work),
                seconds=own,
                plain_seconds=plain_seconds,
                speedup=plain_seconds / own if plain_seconds else None,
                bare_ratio=own / seconds[f"bare {work.precision}"],
                share_of_ceiling=operations / own / rate if rate else None,
                peak_mb=peak_mb("ours", work),
                plain_peak_mb=plain_peak,
            )
        )
    return found, ceiling


def machine(device: str) -> dict[str, Any]:
    """Return what was measured on: processor, threads, units for bf16, device, versions."""
    cuda = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    return {
        "processor": str(runtime.processor().get("cpu_name", "")),
        "threads": torch.get_num_threads(),
        "bf16_units": runtime.bf16_units(),
        "device": cuda or device,
        **runtime.environment(),
    }
