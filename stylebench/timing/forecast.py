"""What ``stylebench plan`` tells of a sweep before it runs: jobs, time, disk and downloads."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stylebench import store
from stylebench.config import Spec, SweepConfig
from stylebench.sweeps import plan
from stylebench.sweeps.engines.options import slots
from stylebench.sweeps.experiment import arms
from stylebench.sweeps.run import Options
from stylebench.timing import estimate, footprint

STATES = ("to do", "finished", "to download", "unavailable")
SPREAD = 0.25
"""Share by which a sweep's disk departs from the estimate, at most; see `footprint.disk`."""

Counts = dict[str, int]


@dataclass(frozen=True)
class Disk:
    """Bytes that the jobs to do will take, the least and most likely, and those free at OUT."""

    bytes: float
    least: float
    most: float
    free: int


@dataclass(frozen=True)
class Forecast:
    """What a sweep comes to.

    Attributes:
        name: of the sweep.
        out: results folder.
        workers: processes that compute at the same time.
        stylisations: state (see `STATES`) -> number.
        statistics: likewise.
        backbones: name with options -> state -> stylisations and statistics.
        variants: what is its own -> state -> stylisations; empty where there are no variants. A
            stylisation of several variants counts in each.
        time: of what is to do, downloads excluded.
        rates: backbone -> where the time of its jobs is from, see `estimate.SOURCES`.
        disk: of what is to do.
        downloads: backbone -> bytes of its weights.
        judged: whether metrics are measured afterwards, which is not in `time`.
    """

    name: str
    out: str
    workers: int
    stylisations: Counts
    statistics: Counts
    backbones: dict[str, Counts]
    variants: dict[str, Counts]
    time: estimate.Time
    rates: dict[str, list[estimate.Source]]
    disk: Disk
    downloads: dict[str, float]
    judged: bool


def _label(spec: Spec) -> str:
    return spec.arch + spec.weights.settings


def _count(specs: Iterable[Spec], states: Mapping[str, str]) -> Counts:
    found = Counter(states[spec.job_id] for spec in specs)
    return {state: found[state] for state in STATES}


def states(planned: plan.Plan, out: Path, *, force: bool, offline: bool) -> dict[str, str]:
    """Return the state of every job: job id -> one of `STATES`.

    Args:
        planned: the jobs; those without weights are planned again when the weights are there.
        out: results folder.
        force: finished jobs are to do again.
        offline: nothing is downloaded.
    """
    from stylebench.backbones import pretrained
    from stylebench.weights import sources

    offline = offline or bool(os.environ.get(sources.OFFLINE))
    specs: list[Spec] = [*planned.jobs, *planned.statistics]
    pending = {spec.job_id for spec in store.pending(out, specs, force=force)}
    found = {s.job_id: "to do" if s.job_id in pending else "finished" for s in specs}
    absent: list[Spec] = [*planned.missing, *planned.missing_statistics]
    for spec in absent:
        can = not offline and bool(sources.providers(pretrained.wanted(spec.arch[2:])))
        found[spec.job_id] = "to download" if can else "unavailable"
    return found


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Return dotted path -> text of the leaves of nested mappings."""
    if isinstance(value, Mapping):
        items = (_flat(item, f"{path}.{key}" if path else str(key)) for key, item in value.items())
        return {key: text for found in items for key, text in found.items()}
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return {path: ", ".join(map(_text, value)) if listed else str(value)}


def _text(value: Any) -> str:
    """Return an entry of a list; a smoothing by its name and what else is not empty."""
    if isinstance(value, Mapping):
        return " ".join(str(item) for item in value.values() if item not in ({}, "all"))
    return str(value)


def names(configs: Sequence[SweepConfig]) -> list[str]:
    """Return what each of a sweep's variants has of its own: ``start noise, seed 0, 1``."""
    flat = [_flat(config.model_dump(mode="json")) for config in configs]
    keys = dict.fromkeys(key for each in flat for key in each)
    own = [key for key in keys if len({each.get(key) for each in flat}) > 1]
    texts = ["; ".join(f"{k} {each[k]}" for k in own if k in each) for each in flat]
    return [f"{number}: {text}" for number, text in enumerate(texts, start=1)]


def _busy() -> str:
    """Return a warning where other programs load the machine."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = load > (os.cpu_count() or 1) / 2
    return f" on a busy machine (load {load:.1f}): times may come out too long" if busy else ""


def _free(out: Path) -> int:
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def _times(
    todo: Sequence[Spec], options: Options, bench: Path | None, tell: Callable[[str], None]
) -> tuple[estimate.Time, dict[str, list[estimate.Source]]]:
    """Return the time of jobs, and where that of each backbone is from."""
    from stylebench import runtime

    known = estimate.benched(bench, options.engine.workers) if bench else {}
    wanted = estimate.loads(todo, options.engine.device, options.engine.batch)
    known |= estimate.finished(options.out, options.engine.device)
    if bench is None and any(load.kind not in known for load in wanted):
        runtime.configure(threads=1 if options.engine.workers > 1 else None)
        tell(f"measuring …{_busy()}")
        known |= estimate.measure_all(
            wanted,
            known,
            lambda load: estimate.measured(load, options.engine.device, options.engine.workers),
            time.monotonic,
        )
    found = estimate.rates(wanted, known)
    rates: dict[str, list[estimate.Source]] = {}
    for load in wanted:
        mine = rates.setdefault(_label(load.spec), [])
        source = found[load.kind].source
        if load.kind.smoothing != "statistics" and source not in mine:
            mine.append(source)
    # Processes that share cores, or a GPU, are no faster than as many as there are of these.
    at_once = min(options.engine.workers, slots(options.engine.device))
    return estimate.time(wanted, found, at_once), rates


def make(
    config: SweepConfig, options: Options, bench: Path | None, tell: Callable[[str], None]
) -> Forecast:
    """Return what a sweep comes to; nothing is downloaded, and nothing written.

    Args:
        config: of the sweep.
        options: how and where it is to run.
        bench: an output of ``stylebench bench --json``, in place of measuring; None measures.
        tell: called with lines on what is being done.

    Raises:
        InputError: wrong input, as of a sweep; a bench file that is none.
    """
    planned = plan.expand(
        config,
        given=options.given,
        offline=True,
        strict=options.offline,
        device=options.engine.device,
        tell=tell,
    )
    state = states(planned, options.out, force=options.force, offline=options.offline)
    stylisations = [*planned.jobs, *planned.missing]
    every: list[Spec] = [*planned.statistics, *planned.missing_statistics, *stylisations]
    todo = [spec for spec in every if state[spec.job_id] in ("to do", "to download")]
    known = {spec.job_id: spec for spec in stylisations}
    labels = names(arms(config)) if config.variants else []
    took, rates = _times(todo, options, bench, tell)
    size = footprint.disk(todo)
    absent = {s.arch: s for s in every if state[s.job_id] == "to download"}
    return Forecast(
        name=config.name,
        out=str(options.out),
        workers=options.engine.workers,
        stylisations=_count(stylisations, state),
        statistics=_count([s for s in every if s.kind == "statistics"], state),
        backbones={
            name: _count([s for s in every if _label(s) == name], state)
            for name in dict.fromkeys(map(_label, every))
        },
        variants={
            label: _count([known[job] for job in jobs], state)
            for label, jobs in zip(labels, planned.variants, strict=True)
        },
        time=took,
        rates=rates,
        disk=Disk(size, size / (1 + SPREAD), size * (1 + SPREAD), _free(options.out)),
        downloads={arch: footprint.download(spec) for arch, spec in absent.items()},
        judged=config.judge,
    )


def as_json(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as one JSON document; seconds, bytes."""
    return asdict(forecast)
