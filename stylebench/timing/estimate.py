"""How long jobs take on this machine and how much disk they need, before they run.

An evaluation of a kind of job (`Kind`) costs so many seconds a pixel (`Rate`), and that is
known, best first, from finished jobs, from a measurement, or from the kind nearest to it by the
floating-point operations that torch counts. `ERROR` says how good each is.
"""

import contextlib
import functools
import heapq
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch

from stylebench import images, runtime, store
from stylebench.backbones import names
from stylebench.backbones.spec import ARCHS
from stylebench.config import JobSpec, NodeChoice, PassSpec, Spec, StatisticsSpec
from stylebench.errors import InputError
from stylebench.images import stored
from stylebench.sweeps import batches
from stylebench.sweeps.engines.options import EngineOptions, slots
from stylebench.timing import bench

Source = Literal["finished", "measured", "operations"]
ERROR: dict[Source, tuple[float, float]] = {
    "finished": (0.8, 1.3),
    "measured": (0.7, 1.8),
    "operations": (0.5, 3.0),
}
"""What a time may be of the one that is estimated, least and most, by where that comes from.

Judged by the records of sweeps of 32 to 208 jobs, two workers on two cores of a shared machine.
Together they took 0.9 to 1.7 times the estimate. Single kinds took 0.7 to 2.0 times what was
measured; by operations 0.4 to 2.3 times from another network (10th and 90th percentile), and up to
30 times small networks of many cheap layers, which have a small share.
"""
SHARED = 1.25
"""How much slower an evaluation is where several workers share caches and memory of a CPU: medians
over the kinds of fig1_2, texture and peakiness_predicts were 1.24, 1.27 and 1.29."""
EIGENVALUES = 30e3
"""Statistics of one picture under one smoothing take as long as an evaluation of it and one of so
many pixels: eigenvalues cost the same whatever the size (measured at 128 and 256 px)."""
BUDGET = 30.0
"""Seconds after which no further kind begins to be measured."""
LARGEST = {"cpu": 2**16}
"""Pixels of a picture that is measured, at most, by device: time is close to linear in them."""
TURNS, ENOUGH = 9, 0.5
"""A kind is measured so many times at most, or for so many seconds, after its first evaluation."""


class Network(NamedTuple):
    """A backbone without prefix and tag, its options that change something, and chosen nodes."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    nodes: NodeChoice | None = None


class Kind(NamedTuple):
    """What decides the cost of an evaluation of a pixel; weights and seed do not.

    Nor do smoothings: they took 1.00 to 1.08 times as long as none.
    """

    network: Network
    precision: str


class Rate(NamedTuple):
    """Seconds of an evaluation a pixel, seconds before the first one, and where that is from."""

    seconds: float
    start: float
    source: Source


class Load(NamedTuple):
    """A group of jobs that is computed together: pictures (batch, 3, H, W), H·W `pixels` each."""

    kind: Kind
    batch: int
    pixels: int
    evals: float

    @property
    def work(self) -> float:
        """Evaluations × pixels."""
        return self.evals * self.batch * self.pixels


def kind(spec: JobSpec | StatisticsSpec) -> Kind:
    """Return the kind of a job."""
    options = names.find(spec.arch).settled(spec.weights.options)
    network = Network(bench.network(spec.arch), tuple(options.items()), spec.chosen)
    return Kind(network, "fp32" if isinstance(spec, StatisticsSpec) else spec.precision)


@functools.lru_cache(maxsize=4096)
def pixels(ref: str, size: int, resize: Literal["aspect", "squash"]) -> int:
    """Return the pixels H·W of a picture at the working size."""
    return math.prod(images.read(ref, size, resize=resize).shape[:2])


def loads(specs: Sequence[Spec], device: str, batch: int | None) -> list[Load]:
    """Return what jobs come to, in batches as a sweep computes them, in its order.

    Those of trained networks, which take a second or less for a picture, are left out.
    """
    found = []
    for group in batches.groups(specs, device, batch):
        spec = group[0]
        if isinstance(spec, StatisticsSpec):
            sides = [pixels(image.ref, spec.size, spec.resize) for image in spec.images]
            mean = round(statistics.mean(sides))
            evals = len(sides) * len(spec.smoothing) * (1 + EIGENVALUES / mean)
            found.append(Load(kind(spec), 1, mean, evals))
        elif isinstance(spec, JobSpec):
            side = pixels(spec.content.ref, spec.size, spec.resize)
            found.append(Load(kind(spec), len(group), side, spec.evals))
    return found


@functools.cache
def operations(network: Network) -> float:
    """Return the floating-point operations of one evaluation a pixel; see `bench.operations`."""
    name, options = network.name, dict(network.options)
    spec = ARCHS[name] if name in ARCHS else names.find(f"r-{name}")
    return bench.operations(spec.choose(name, network.nodes, options), options)


def _medians(found: Iterable[tuple[Kind, float]], source: Source) -> dict[Kind, Rate]:
    rates: defaultdict[Kind, list[float]] = defaultdict(list)
    for each, seconds in found:
        rates[each].append(seconds)
    return {k: Rate(statistics.median(each), 0.0, source) for k, each in rates.items()}


def finished(out: Path, device: str) -> dict[Kind, Rate]:
    """Return the median rate of each kind of which OUT has finished stylisations of this device.

    They are taken to have had as many threads each as those to come. Their pictures are those in
    their folders: what a record of another's says of where they were is not looked for.
    """
    found = []
    for record in store.records(out):
        here = device in (record.device, record.device.partition(":")[0])
        spec = record.spec
        if isinstance(spec, PassSpec):
            continue
        if record.ok and here and record.seconds and record.evals:
            with contextlib.suppress(InputError):  # a plug-in that is not there, a damaged picture
                width, height = stored.size(store.place(out, spec) / "content.png", out)
                rate = record.seconds / (record.evals * width * height)
                found.append((kind(spec), rate))
    return _medians(found, "finished")


def benched(report: bench.Report, workers: int) -> dict[Kind, Rate]:
    """Return the rates in a report of ``stylebench bench``: medians over sizes and batches.

    Of several workers each has one thread: on a CPU it needs at most as many times the time as the
    report's threads did, which is assumed. Networks that are not known are left out.
    """
    found = []
    for row in report.rows:
        threads = report.machine.threads if workers > 1 and row.device == "cpu" else 1
        each = Kind(Network(row.arch), row.precision)
        with contextlib.suppress(InputError):
            operations(each.network)
            found.append((each, threads * row.seconds / (row.batch * row.size**2)))
    return _medians(found, "measured")


def measured(load: Load, device: str, workers: int) -> Rate:
    """Measure evaluations of a kind: random weights, noise, a square picture of as many pixels.

    Of several workers on a CPU each has one thread, which the caller sets, and is slower by
    `SHARED`. On a CPU they are the seconds of this process's threads, each its share: what other
    programs take is left out.
    """
    cpu = device == "cpu"
    clock, threads = (time.process_time, torch.get_num_threads()) if cpu else (time.perf_counter, 1)
    side = round(math.sqrt(min(load.pixels, LARGEST.get(device.partition(":")[0], load.pixels))))
    network, precision = load.kind.network, load.kind.precision
    work = bench.Work(
        arch=network.name, size=side, batch=load.batch, precision=precision, device=device
    )
    began = clock()
    step = bench.ours(work, dict(network.options), network.nodes)
    start = clock() - began
    times = bench.measure({("", precision): step}, device, TURNS, enough=ENOUGH, clock=clock)
    seconds = statistics.median(times["", precision]) / threads
    slower = SHARED if workers > 1 and cpu else 1.0
    return Rate(slower * seconds / (load.batch * side**2), start, "measured")


def measure_all(
    wanted: Sequence[Load], known: Mapping[Kind, Rate], device: str, workers: int
) -> dict[Kind, Rate]:
    """Measure the kinds that are not known, those with most work first, for about `BUDGET` seconds.

    What cannot be measured, as a network that takes no picture of that size, is left out: its jobs
    will say why.
    """
    total: defaultdict[Kind, float] = defaultdict(float)
    largest: dict[Kind, Load] = {}
    for load in wanted:
        if load.kind not in known:
            total[load.kind] += load.work * operations(load.kind.network)
            largest[load.kind] = max(largest.get(load.kind, load), load, key=lambda x: x.batch)
    found: dict[Kind, Rate] = {}
    end = time.monotonic() + BUDGET
    for each in sorted(total, key=lambda each: -total[each]):
        if time.monotonic() > end:
            break
        with contextlib.suppress(InputError, RuntimeError):
            found[each] = measured(largest[each], device, workers)
    return found


def nearest(wanted: Kind, known: Mapping[Kind, Rate]) -> Rate:
    """Return the rate of a kind that is not known, by the operations of the nearest that is.

    That is one of the same network if there is any, then of the same precision, then the nearest
    in operations.

    Raises:
        InputError: nothing is known.
    """
    if not known:
        raise InputError("no time is known of any backbone; expected one that can be measured")
    own = operations(wanted.network)

    def distance(other: Kind) -> tuple[bool, bool, float]:
        apart = abs(math.log(operations(other.network) / own))
        return other.network != wanted.network, other.precision != wanted.precision, apart

    best = min(known, key=distance)
    share = own / operations(best.network)
    return Rate(known[best].seconds * share, known[best].start, "operations")


def rates(
    wanted: Sequence[Load],
    out: Path,
    engine: EngineOptions,
    report: bench.Report | None,
    tell: Callable[[str], None],
) -> dict[Kind, Rate]:
    """Return the rate of every kind that there is to do: from OUT's finished jobs, or a report.

    Without a report (None), what is not known is measured, which `tell` is called to say.
    """
    known = benched(report, engine.workers) if report else {}
    known |= finished(out, engine.device)
    kinds = dict.fromkeys(load.kind for load in wanted)
    if report is None and any(each not in known for each in kinds):
        runtime.configure(threads=1 if engine.workers > 1 else None)
        tell("measuring …")
        known |= measure_all(wanted, known, engine.device, engine.workers)
    return {each: known[each] if each in known else nearest(each, known) for each in kinds}


@dataclass(frozen=True)
class Time:
    """Seconds until all is done, the least and most that are likely, and those by source.

    `shares` are seconds of work, of all workers together.
    """

    seconds: float
    least: float
    most: float
    shares: dict[Source, float]


def makespan(durations: Iterable[float], workers: int) -> float:
    """Return when the last ends where each worker takes the next as soon as it is free."""
    free = [0.0] * workers
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def duration(wanted: Sequence[Load], found: Mapping[Kind, Rate], engine: EngineOptions) -> Time:
    """Return how long loads take in their order; a network is built once for its first load.

    Workers that share cores, or a GPU, are no faster than as many as there are of these.
    """
    at_once = min(engine.workers, slots(engine.device))
    built: set[Kind] = set()
    parts: list[tuple[float, Source]] = []
    for load in wanted:
        rate = found[load.kind]
        parts.append(
            (rate.seconds * load.work + rate.start * (load.kind not in built), rate.source)
        )
        built.add(load.kind)
    shares = {s: sum(t for t, source in parts if source == s) for s in get_args(Source)}
    low, high = (makespan([t * ERROR[s][end] for t, s in parts], at_once) for end in (0, 1))
    return Time(makespan([t for t, _ in parts], at_once), low, high, shares)


PIXEL = 4.9
"""Bytes a pixel of lossless pictures, in the job's folder and in MLflow's, and of their previews:
2.4 each in the mean of 17 sweeps, whose means are from 1.8 to 3.0."""
JOB = 80e3
"""Bytes of a stylisation beside its pictures: records, metrics, blocks that are not full, MLflow's
database (30e3), its part of the figures (10e3)."""
EVALUATION = 1.1e3
"""Bytes of an evaluation: four metrics in MLflow's database, a row of trace.parquet."""
NETWORK = 20e3
"""Bytes of the statistics of a backbone."""
SWEEP = 2.5e6
"""Bytes of figures, tables and an empty database."""


def disk(specs: Sequence[Spec]) -> float:
    """Return the bytes that a sweep of jobs puts into its folder, MLflow's own copies included.

    Measured over 18 sweeps of 8 to 210 jobs at 128 to 256 px, blocks of 4096 bytes: they took 0.82
    to 1.13 times as much. MLflow keeps what came before, too: with jobs that were run again, and
    figures that were drawn under other names, 1.0 to 2.0 times.
    """
    total = SWEEP if specs else 0.0
    for spec in specs:
        if isinstance(spec, StatisticsSpec):
            total += NETWORK
        else:
            content = pixels(spec.content.ref, spec.size, spec.resize)
            style = pixels(spec.style.ref, spec.style_size, spec.resize)
            evals = spec.evals if isinstance(spec, JobSpec) else 0
            total += PIXEL * (2 * content + style) + JOB + EVALUATION * evals
    return total


def download(spec: Spec) -> float:
    """Return the bytes of a backbone's weights in float32, the file that is downloaded."""
    network = names.find(spec.arch).sketch({})
    return 4.0 * sum(parameter.numel() for parameter in network.parameters())
