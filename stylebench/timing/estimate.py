"""How long jobs take on this machine, before they run.

An evaluation of a kind of job (`Kind`) costs so many seconds a pixel (`Rate`), and that is
known, best first, from finished jobs, from a measurement, or from the kind nearest to it by the
floating-point operations that torch counts. `ERROR` says how good each is.
"""

import functools
import heapq
import json
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from stylebench import images, store
from stylebench.backbones import names
from stylebench.config import JobSpec, Spec, StatisticsSpec
from stylebench.errors import InputError
from stylebench.sweeps import batches

Source = Literal["finished", "measured", "operations"]
SOURCES: tuple[Source, ...] = get_args(Source)
ERROR: dict[Source, tuple[float, float]] = {
    "finished": (0.8, 1.3),
    "measured": (0.7, 1.8),
    "operations": (0.5, 3.0),
}
"""What a time may be of the one that is estimated, least and most, by where that comes from.

Judged by the records of sweeps of 32 to 208 jobs, two workers on two cores of a shared machine,
where the same evaluations took from a quarter to three times their median by what else ran. The
total of fig4, to which `SHARED` was not fitted, was 1.1 times the estimate. Of those to which it
was, measured with an earlier order of kinds, fig1_2 took 1.7 times, peakiness_predicts (mostly by
operations) 0.9, texture 1.0 with all kinds measured and 1.5 with two of six.
Single kinds took 0.7 to 2.0 times what was measured. By operations they took 0.4 to 2.3 times from
another network (10th and 90th percentile); 3.3 times those of texture with its many nodes, and up
to 30 times small networks of many cheap layers, which have a small share.
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
ENOUGH = 0.5
"""Seconds in which a kind is measured, after its first evaluation; one evaluation at least."""


class Kind(NamedTuple):
    """What decides the cost of an evaluation of a pixel; weights and seed do not.

    `network` is the backbone without prefix and tag, with options and chosen nodes; `smoothing` is
    ``statistics`` where there is no stylisation.
    """

    network: str
    smoothing: str
    precision: str


class Rate(NamedTuple):
    """Seconds of an evaluation a pixel, seconds before the first one, and where that is from."""

    seconds: float
    start: float
    source: Source


@dataclass(frozen=True)
class Load:
    """A group of jobs that is computed together: pictures (batch, 3, H, W), H·W `pixels` each."""

    kind: Kind
    spec: Spec
    batch: int
    pixels: int
    evals: float

    @property
    def work(self) -> float:
        """Evaluations × pixels."""
        return self.evals * self.batch * self.pixels


def options(spec: Spec) -> dict[str, str]:
    """Return the options of a job's backbone that change something."""
    return names.find(spec.arch).settled(spec.weights.options)


def kind(spec: Spec) -> Kind:
    """Return the kind of a job."""
    changed = "".join(f"+{key}={value}" for key, value in options(spec).items())
    nodes = spec.chosen.model_dump_json() if spec.chosen else ""
    network = spec.arch[2:].partition(".")[0] + changed + nodes
    if isinstance(spec, StatisticsSpec):
        return Kind(network, "statistics", "fp32")
    return Kind(network, spec.smoothing.label, spec.precision)


@functools.lru_cache(maxsize=4096)
def pixels(ref: str, size: int, resize: Literal["aspect", "squash"]) -> int:
    """Return the pixels H·W of a picture at the working size."""
    return math.prod(images.read(ref, size, resize=resize).shape[:2])


def loads(specs: Sequence[Spec], device: str, batch: int | None) -> list[Load]:
    """Return what jobs come to, in batches as a sweep computes them, in its order."""
    found = []
    for group in batches.groups(specs, device, batch):
        spec = group[0]
        if isinstance(spec, StatisticsSpec):
            sides = [pixels(image.ref, spec.size, spec.resize) for image in spec.images]
            mean = round(statistics.mean(sides))
            evals = len(sides) * len(spec.smoothing) * (1 + EIGENVALUES / mean)
            found.append(Load(kind(spec), spec, 1, mean, evals))
        else:
            side = pixels(spec.content.ref, spec.size, spec.resize)
            found.append(Load(kind(spec), spec, len(group), side, spec.evals))
    return found


def finished(out: Path, device: str) -> dict[Kind, Rate]:
    """Return the median rate of each kind of which OUT holds finished jobs of this device.

    They are taken to have had as many threads each as those to come.
    """
    found: dict[Kind, list[float]] = {}
    for record in [*store.records(out), *store.records(out, "statistics")]:
        here = device in (record.device, record.device.partition(":")[0])
        if not record.ok or not here or record.seconds is None:
            continue
        try:
            (load,) = loads([record.spec], device, 1)
        except InputError:  # a picture that is no longer there
            continue
        work = load.work * (load.evals if record.evals is None else record.evals) / load.evals
        if work:
            found.setdefault(load.kind, []).append(record.seconds / work)
    return {k: Rate(statistics.median(each), 0.0, "finished") for k, each in found.items()}


def benched(path: Path, workers: int) -> dict[Kind, Rate]:
    """Return the rates in a file of ``stylebench bench --json``: medians over sizes and batches.

    Of several workers each has one thread: on a CPU it needs at most as many times the time as the
    file's threads were, which is assumed.

    Raises:
        InputError: it is no such file.
    """
    found: dict[Kind, list[float]] = {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        for row in report["rows"]:
            threads = report["machine"]["threads"] if workers > 1 and row["device"] == "cpu" else 1
            rate = threads * float(row["seconds"]) / (int(row["batch"]) * int(row["size"]) ** 2)
            found.setdefault(Kind(row["arch"], "none", row["precision"]), []).append(rate)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise InputError(
            f"--from {str(path)!r}: expected what `stylebench bench --json` prints: {error}"
        ) from None
    if not found or not all(0 < rate < math.inf for each in found.values() for rate in each):
        raise InputError(f"--from {str(path)!r}: expected rows with positive seconds; bench again")
    return {k: Rate(statistics.median(each), 0.0, "measured") for k, each in found.items()}


@functools.lru_cache(maxsize=1024)
def _operations(arch: str, nodes: str, settings: tuple[tuple[str, str], ...]) -> float:
    from stylebench.config import NodeChoice
    from stylebench.timing.bench import forward_flop

    backbone = names.find(arch)
    choice = NodeChoice.model_validate_json(nodes) if nodes else None
    backbone = backbone.choose(arch, choice, dict(settings))
    return 2 * forward_flop(backbone, dict(settings)) / math.prod(backbone.size)


def operations(spec: Spec) -> float:
    """Return the floating-point operations of one evaluation a pixel, at the backbone's own size.

    Twice those forward: weights are frozen, so that the way back has one product for each.
    """
    nodes = spec.chosen.model_dump_json() if spec.chosen else ""
    return _operations(spec.arch, nodes, tuple(options(spec).items()))


def _steps(load: Load, side: int, device: str) -> Iterator[None]:
    from stylebench.backbones.extractor import build
    from stylebench.config import SmoothingSpec, WeightsRef
    from stylebench.timing import bench

    spec, name = load.spec, load.kind.network.partition("+")[0].partition("{")[0]
    ref = WeightsRef(source="random:0", options=options(spec))
    precision = load.kind.precision
    backbone = build(f"r-{name}", ref, 0, nodes=spec.chosen, precision=precision, device=device)
    smooth = spec.smoothing if isinstance(spec, JobSpec) else SmoothingSpec(name="none")
    work = bench.Work(name, side, load.batch, precision, device)
    yield from bench.evaluations(work, backbone, smooth)


def measured(load: Load, device: str, workers: int) -> Rate:
    """Measure evaluations of a kind: random weights, noise, a square picture of as many pixels.

    Of several workers on a CPU each has one thread, which the caller sets, and is slower by SHARED.
    """
    from stylebench.timing import bench

    most = LARGEST.get(device.partition(":")[0], load.pixels)
    side = round(math.sqrt(min(load.pixels, most)))
    start, seconds = bench.sample(_steps(load, side, device), device, ENOUGH)
    slower = SHARED if workers > 1 and device == "cpu" else 1.0
    return Rate(slower * seconds / (load.batch * side**2), start, "measured")


def measure_all(
    wanted: Sequence[Load],
    known: Mapping[Kind, Rate],
    measure: Callable[[Load], Rate],
    clock: Callable[[], float],
) -> dict[Kind, Rate]:
    """Measure the kinds that are not known, for about `BUDGET` seconds.

    Those with most work come first, but of each network and precision one before any other.
    Statistics are measured where nothing else is to be of their network. What cannot be measured,
    as a network that takes no picture of that size, is left out: its jobs will say why.

    Args:
        wanted: what there is to do.
        known: kinds that need no measurement.
        measure: returns the rate of a load's kind.
        clock: returns seconds.
    """
    total: dict[Kind, float] = {}
    largest: dict[Kind, Load] = {}
    stylised = {load.kind.network for load in wanted if load.kind.smoothing != "statistics"}
    for load in wanted:
        idle = load.kind.smoothing == "statistics" and load.kind.network in stylised
        if load.kind in known or idle:
            continue
        total[load.kind] = total.get(load.kind, 0.0) + load.work * operations(load.spec)
        largest[load.kind] = max(largest.get(load.kind, load), load, key=lambda x: x.batch)
    found: dict[Kind, Rate] = {}
    began = clock()
    for each in _ordered(total):
        if clock() - began > BUDGET:
            break
        try:
            found[each] = measure(largest[each])
        except (InputError, RuntimeError):
            continue
    return found


def _ordered(total: Mapping[Kind, float]) -> list[Kind]:
    """Return kinds with most work first, one of each network and precision before a second."""
    before: Counter[tuple[str, str]] = Counter()
    rank: dict[Kind, int] = {}
    for each in sorted(total, key=lambda key: -total[key]):
        rank[each] = before[each.network, each.precision]
        before[each.network, each.precision] += 1
    return sorted(rank, key=lambda key: rank[key])


def nearest(load: Load, known: Mapping[Kind, Rate], flop: Mapping[str, float]) -> Rate:
    """Return the rate of a kind that is not known, by the operations of the nearest that is.

    That is one of the same network if there is any, then of the same precision, then the nearest
    in operations, then of the same smoothing.

    Args:
        load: of the kind.
        known: not empty.
        flop: network -> operations a pixel.
    """
    own = operations(load.spec)

    def distance(other: Kind) -> tuple[bool, bool, float, bool]:
        apart = abs(math.log(flop[other.network] / own))
        mine = load.kind
        return (
            other.network != mine.network,
            other.precision != mine.precision,
            apart,
            other.smoothing != mine.smoothing,
        )

    best = min(known, key=distance)
    share = own / flop[best.network]
    return Rate(known[best].seconds * share, known[best].start, "operations")


def rates(wanted: Sequence[Load], known: Mapping[Kind, Rate]) -> dict[Kind, Rate]:
    """Return the rate of every kind that there is to do; `nearest` gives those that are not known.

    Raises:
        InputError: nothing is known of any network that is counted.
    """
    flop = {load.kind.network: operations(load.spec) for load in wanted}
    flop |= {k.network: _known_operations(k.network) for k in known if k.network not in flop}
    usable = {k: rate for k, rate in known.items() if flop[k.network]}
    if wanted and not usable:
        raise InputError("no time is known of any backbone; expected one that can be measured")
    return {
        load.kind: known[load.kind] if load.kind in known else nearest(load, usable, flop)
        for load in wanted
    }


def _known_operations(network: str) -> float:
    """Return the operations of a network that is known by name alone; 0 if they are not counted."""
    try:
        return _operations(f"r-{network}", "", ())
    except InputError:
        return 0.0


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


def time(wanted: Sequence[Load], found: Mapping[Kind, Rate], workers: int) -> Time:
    """Return how long loads take in their order; a network is built once for its first load."""
    built: set[tuple[str, str]] = set()
    parts: list[tuple[float, Source]] = []
    for load in wanted:
        rate, name = found[load.kind], (load.spec.arch, load.kind.precision)
        parts.append((rate.seconds * load.work + rate.start * (name not in built), rate.source))
        built.add(name)
    shares = {s: sum(seconds for seconds, source in parts if source == s) for s in SOURCES}
    low, high = (
        makespan([seconds * ERROR[source][end] for seconds, source in parts], workers)
        for end in (0, 1)
    )
    return Time(makespan([seconds for seconds, _ in parts], workers), low, high, shares)
