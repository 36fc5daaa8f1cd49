"""What ``stylebench plan`` tells of a sweep before it runs: jobs, time, disk and downloads."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stylebench import store
from stylebench.backbones import pretrained
from stylebench.config import PassSpec, Spec
from stylebench.sweeps import plan
from stylebench.sweeps.run import RunOptions, jobs
from stylebench.sweeps.settings import SweepConfig
from stylebench.timing import compare, estimate
from stylebench.weights import sources

STATES = ("to do", "finished", "to download", "unavailable")
SPREAD = 0.25
"""Share by which a sweep's disk departs from the estimate, at most; see `estimate.disk`."""

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
        time: of what is to do, without downloads, and without trained networks, which take a
            second or less for a picture.
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
    time: estimate.Time
    disk: Disk
    downloads: dict[str, float]
    judged: bool


def states(planned: plan.Plan, options: RunOptions) -> dict[str, str]:
    """Return the state of every job: job id -> one of `STATES`.

    Jobs without weights are planned again when the weights are there.
    """
    offline = options.offline or bool(os.environ.get(sources.OFFLINE))
    here: list[Spec] = [*planned.jobs, *planned.statistics]
    pending = {spec.job_id for spec in store.pending(options.out, here, force=options.force)}
    found = {s.job_id: "to do" if s.job_id in pending else "finished" for s in here}
    absent: list[Spec] = [*planned.missing, *planned.missing_statistics]
    for spec in absent:
        own = not isinstance(spec, PassSpec)
        can = own and not offline and bool(sources.providers(pretrained.wanted(spec.arch[2:])))
        found[spec.job_id] = "to download" if can else "unavailable"
    return found


def _count(specs: Iterable[Spec], state: Mapping[str, str]) -> Counts:
    found = Counter(state[spec.job_id] for spec in specs)
    return {name: found[name] for name in STATES}


def _free(out: Path) -> int:
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def make(
    config: SweepConfig, options: RunOptions, file: Path | None, tell: Callable[[str], None]
) -> Forecast:
    """Return what a sweep comes to; nothing is downloaded, and nothing written.

    Args:
        config: of the sweep.
        options: how and where it is to run.
        file: an output of ``stylebench bench --json``, in place of measuring; None measures.
        tell: called with lines on what is being done.

    Raises:
        InputError: wrong input, as of a sweep; a bench file that is none.
    """
    engine = options.engine
    planned = jobs(config, options, tell, dry=True)
    report = compare.read(file, "--from") if file else None
    state = states(planned, options)
    stylisations = [*planned.jobs, *planned.missing]
    statistics = [*planned.statistics, *planned.missing_statistics]
    every: list[Spec] = [*statistics, *stylisations]
    backbones: dict[str, list[Spec]] = {}
    for spec in every:
        backbones.setdefault(spec.arch + spec.weights.settings, []).append(spec)
    todo = [spec for spec in every if state[spec.job_id] in ("to do", "to download")]
    wanted = estimate.loads(todo, engine.device, engine.batch)
    rates = estimate.rates(wanted, options.out, engine, report, tell)
    size = estimate.disk(todo)
    absent = {spec.arch: spec for spec in todo if state[spec.job_id] == "to download"}
    return Forecast(
        name=config.name,
        out=str(options.out),
        workers=engine.workers,
        stylisations=_count(stylisations, state),
        statistics=_count(statistics, state),
        backbones={name: _count(specs, state) for name, specs in backbones.items()},
        time=estimate.duration(wanted, rates, engine),
        disk=Disk(size, size / (1 + SPREAD), size * (1 + SPREAD), _free(options.out)),
        downloads={arch: estimate.download(spec) for arch, spec in absent.items()},
        judged=config.judge,
    )
