"""The flow of a sweep: plan, run what is not done, track, make tables and figures."""

import contextlib
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import process
from pathlib import Path
from typing import Any, Protocol

from stylebench import files, named, runtime, store
from stylebench.config import Frozen, PictureSpec, Spec
from stylebench.errors import InputError, JobError, of_python, published
from stylebench.store import JobRecord, lock
from stylebench.sweeps import engines, plan, same, titles
from stylebench.sweeps.engines import EngineOptions
from stylebench.sweeps.experiment import load_sweep, naming, results_folder
from stylebench.sweeps.settings import SweepConfig
from stylebench.tracking import background
from stylebench.tracking.place import Place, chosen


def check_folder(
    out: Path,
    *,
    ours: Collection[str] = store.MARKS,
    flag: str = "--out",
    shared: bool = False,
    writes: bool = False,
) -> None:
    """Raise InputError for a folder that cannot be made, or that holds files of others.

    Args:
        out: the folder.
        ours: names of which one shows that it is ours, see `named.check_free`.
        flag: that names it.
        shared: it may hold files of others.
        writes: refuse a place, too, where no file can be made.
    """
    try:
        there = next(path for path in (out, *out.absolute().parents) if path.exists())
        if writes and there.is_dir():
            with tempfile.TemporaryFile(dir=there):
                pass
        if there == out and there.is_dir() and not shared:
            named.check_free(out, ours, flag)
    except OSError as error:
        raise InputError(f"cannot write into {str(out)!r}: {error.strerror}") from None
    if not there.is_dir():
        raise InputError(f"cannot write into {str(out)!r}: {str(there)!r} is not a folder")


class Reporter(Protocol):
    """What a sweep tells while it runs."""

    def message(self, text: str) -> None:
        """Tell one line."""

    def begin(self, jobs: int, finished: int, titles: Mapping[str, str]) -> None:
        """Tell how many jobs there are to do, and how many were done before.

        Args:
            jobs: to do.
            finished: before.
            titles: job id -> what the job is, other for each.
        """

    def job(self, record: JobRecord) -> None:
        """Tell the outcome of a job."""


@dataclass(frozen=True)
class RunOptions:
    """How and where a sweep runs: nothing here changes a number beyond its rounding.

    But for the device under ``precision: auto``, and then the jobs are others.
    """

    out: Path
    engine: EngineOptions = field(default_factory=EngineOptions)
    given: Mapping[str, str] = field(default_factory=dict)
    tracking: Place = field(default_factory=Place)
    offline: bool = False
    force: bool = False
    command: str = ""


@dataclass(frozen=True)
class Summary:
    """How a sweep ended: its jobs, statistics included, by status.

    `missing` were planned and left no outcome, as when somebody removed theirs, or the cluster was
    lost.
    `unjudged` are without all metrics, where the sweep measures them; `undrawn` counts figures and
    tables that are broken.
    """

    ok: int
    failed: int
    unavailable: int
    missing: int = 0
    unjudged: int = 0
    undrawn: int = 0


def write_manifest(
    options: RunOptions, config: Frozen, specs: Iterable[Spec], tell: Callable[[str], None]
) -> None:
    """Add this run to OUT/manifest.json, which says how what is in the folder was made.

    A run has its command, configuration, weights and versions; the same run again replaces itself.
    Reports, figures and MLflow show it: it has no secrets, and no folders of this machine.
    """
    weights = {(spec.arch, spec.weights.source): spec.weights for spec in specs}
    run = {
        "command": options.command,
        "config": config.model_dump(mode="json"),
        "weights": [
            {"arch": arch, **ref.model_dump(exclude={"path"})} for (arch, _), ref in weights.items()
        ],
        "environment": dict(runtime.environment()),
        "device": options.engine.device,
    }
    run = published(run)
    runs = store.read_manifest(options.out).get("runs", [])
    earlier = [old for old in runs if {k: v for k, v in old.items() if k != "began"} != run]
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    manifest = {"runs": [*earlier, {**run, "began": began}]}
    options.out.mkdir(parents=True, exist_ok=True)
    if kept := store.keep_manifest(options.out):
        tell(f"manifest.json is damaged; what is left of it is kept as {kept.name}")
    files.write_text(options.out / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def jobs(
    config: SweepConfig,
    options: RunOptions,
    tell: Callable[[str], None],
    *,
    pairs: bool = True,
    dry: bool = False,
) -> plan.Plan:
    """Return the jobs that a sweep comes to, see `plan.expand`.

    A `dry` run downloads nothing, so that weights which a run would download are no error.
    """
    return plan.expand(
        config,
        given=options.given,
        offline=options.offline or dry,
        strict=options.offline or not dry,
        pairs=pairs,
        device=options.engine.device,
        tell=tell,
    )


def run(config: SweepConfig, options: RunOptions, report: Reporter) -> Summary:
    """Run a sweep and return how it ended.

    Jobs that are in place are not run again; failed ones are. What is finished when this is
    interrupted stays.

    Raises:
        InputError: wrong input, before anything is run.
    """
    planned = jobs(config, options, report.message)
    with (
        lock.claim(options.out, options.command),
        background.opened(options.out, config.name, options.tracking, report.message) as log,
    ):
        lost = _work(config, planned, planned.missing, options, report, log)
        unjudged = _judge(options, report) if config.judge else 0
        undrawn = _draw(options.out, report)
    summary = _summary(planned, lost, options.out, report)
    return replace(summary, unjudged=unjudged, undrawn=undrawn)


class Quiet:
    """A reporter that tells nothing but what `tell` is called with."""

    def __init__(self, tell: Callable[[str], None] = lambda text: None) -> None:
        self.message = tell
        self._titles: Mapping[str, str] = {}

    def begin(self, jobs: int, finished: int, titles: Mapping[str, str]) -> None:
        """Tell how many jobs there are to do."""
        self._titles = titles
        self.message(f"{jobs} jobs to run, {finished} finished before")

    def job(self, record: JobRecord) -> None:
        """Tell the outcome of a job."""
        title = self._titles.get(record.job_id, record.spec.title)
        self.message(f"{record.status}  {title}")


@of_python
def sweep(
    experiment: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    jobs: int | None = None,
    device: str = "auto",
    weights: Mapping[str, str] | None = None,
    tracking_uri: str | None = None,
    experiment_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    offline: bool = False,
    force: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    **keys: Any,
) -> store.Results:
    """Run a sweep as ``stylebench sweep`` does, and return its results.

    Args:
        experiment: a YAML file, or the name of an experiment that comes with the package.
        out: results folder; results/NAME by default.
        profile: of the experiment.
        jobs: worker processes; by default all jobs run in this process.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        weights: backbone -> source, as ``--weights`` takes it.
        tracking_uri: of MLflow; $MLFLOW_TRACKING_URI or OUT/mlflow.db by default; ``off``: no
            tracking.
        experiment_name: of MLflow; $MLFLOW_EXPERIMENT_NAME or the sweep's name by default.
        tags: of every run in MLflow.
        offline: never download weights.
        force: run finished jobs again.
        tell: called with lines about how it goes, as `print` shows them.
        **keys: of `stylebench.sweeps.settings.SweepConfig`: arch, smoothing, content, style, size,
            evals, seed, preset …; they go before the experiment's.

    Raises:
        InputError: wrong input, before anything is run, or a script without a guard that a worker
            process imports. A job that fails is a row with its error.
    """
    if getattr(process.current_process(), "_inheriting", False):  # it imports the user's script
        raise InputError(
            "a worker process runs the script that started it: put what is to run once under "
            "`if __name__ == '__main__':`"
        )
    config = load_sweep(Path(experiment) if experiment is not None else None, keys, profile)
    runtime.configure()
    given_tags = [f"{key}={value}" for key, value in (tags or {}).items()]
    tracking = chosen(tracking_uri, experiment_name, given_tags)
    engine = engines.options.choose(
        "local" if (jobs or 1) > 1 else "inline", runtime.resolve_device(device), workers=jobs
    )
    options = RunOptions(
        out=Path(out) if out is not None else results_folder(config), engine=engine,
        given=dict(weights or {}), tracking=tracking, offline=offline, force=force,
        command="stylebench.sweep",
    )  # fmt: skip
    check_folder(options.out)
    with naming(Path(experiment) if experiment is not None else None, keys, profile):
        run(config, options, Quiet(tell))
    return store.load(options.out)


def _judge(options: RunOptions, report: Reporter) -> int:
    """Measure the metrics of what is finished; return of how many jobs some are missing."""
    from stylebench.sweeps import judge

    done = [record for record in store.records(options.out) if record.ok]
    if not done:
        return 0
    device = options.engine.device
    if options.engine.name == "ray" and device != "cpu":  # this machine may have none
        device = runtime.resolve_device("auto")
    workers = options.engine.workers if options.engine.name == "local" else 1
    asked = judge.JudgeOptions(device=device, workers=workers)
    try:
        return judge.run(options.out, asked, report.message, again=False).failed
    except InputError as error:
        report.message(f"not judged: {error}")
        return len(done)


def measure(config: SweepConfig, options: RunOptions, report: Reporter) -> Summary:
    """Measure the statistics of a sweep's backbones, without any stylisation or tracking.

    Raises:
        InputError: wrong input, before anything is run.
    """
    planned = jobs(config, options, report.message, pairs=False)
    with lock.claim(options.out, options.command):
        lost = _work(config, planned, None, options, report, lambda record: None)
        undrawn = _draw(options.out, report)
        return replace(_summary(planned, lost, options.out, report), undrawn=undrawn)


def _work(
    config: SweepConfig,
    planned: plan.Plan,
    missing: Sequence[PictureSpec] | None,
    options: RunOptions,
    report: Reporter,
    log: Callable[[JobRecord], None],
) -> set[str]:
    """Run what is not finished, and make the tables even when interrupted.

    Returns:
        The ids of jobs that were to do and were not done: what there is of them is of before.
    """
    from stylebench.measures.statistics import measured

    specs: list[Spec] = [*planned.statistics, *planned.jobs]
    todo = store.pending(
        options.out, specs, force=options.force, statistics=measured(), tell=report.message
    )
    store.remove_stale(options.out)
    lock.announce(options.out, specs)
    for job in planned.jobs:
        same.add_names(options.out, job)
    if todo or not store.read_manifest(options.out):
        every: list[Spec] = [*planned.jobs, *planned.missing, *planned.statistics]
        write_manifest(options, config, every, report.message)
    report.begin(len(todo), len(specs) - len(todo), titles.told_apart(specs))
    lost = {spec.job_id for spec in todo}
    try:
        with contextlib.closing(engines.run(todo, options.out, options.engine)) as records:
            for record in records:
                lost.discard(record.job_id)
                log(record)
                report.job(record)
    except JobError as error:  # no job can be done any more: tables are made of those that were
        report.message(str(error))
    finally:
        ids = {spec.job_id for spec in specs}
        options.out.mkdir(parents=True, exist_ok=True)  # somebody may have removed or renamed it
        store.compact(options.out, missing, ids, report.message)
    return lost


def _summary(planned: plan.Plan, lost: set[str], out: Path, report: Reporter) -> Summary:
    """Count the outcomes of the jobs of this sweep, and tell which have none: `lost` ones too."""
    specs: list[Spec] = [*planned.jobs, *planned.statistics]
    found = [*store.records(out), *store.records(out, "statistics")]
    status = {record.job_id: record.status for record in found if record.job_id not in lost}
    missing = [f"{spec.title} ({spec.job_id})" for spec in specs if spec.job_id not in status]
    if missing:
        report.message(
            f"{len(missing)} of {len(specs)} jobs have no outcome of this run in {out}: "
            f"{store.told(missing)}; run the same command again"
        )
    outcomes = [status[spec.job_id] for spec in specs if spec.job_id in status]
    unavailable = planned.missing or planned.missing_statistics
    return Summary(
        outcomes.count("ok"), outcomes.count("failed"), len(unavailable), missing=len(missing)
    )


def _tell_undefined(out: Path, report: Reporter) -> None:
    """Tell of which statistics and metrics of plug-ins some values are no number."""
    from stylebench.measures.metrics import METRICS
    from stylebench.measures.statistics import STATISTICS

    each = ((STATISTICS, "statistics"), (METRICS, "metrics"))
    of_plugins = [(r, kind, name) for r, kind in each for name in r if r.code(name)]
    results = store.load(out) if of_plugins else None
    for registry, kind, name in of_plugins:
        frame = getattr(results, kind)
        values = frame.loc[frame[registry.kind] == name, "value"]
        if wrong := sum(not math.isfinite(value) for value in values):
            told = f"{wrong} of {len(values)} values are not finite; figures leave them out"
            report.message(f"{registry.called(name)}: {told}")


def _draw(out: Path, report: Reporter) -> int:
    """Draw figures and tables; return how many are broken, not for want of data.

    Of those of any sweep nothing is told that have nothing to show here: `stylebench figures
    --verbose` does.
    """
    from stylebench import figures

    _tell_undefined(out, report)
    try:
        drawn = list(figures.draw(out))
    except InputError as error:
        report.message(f"no figures: {error}")
        return 1
    own = figures.experiments()
    wrong, idle = list[tuple[str, Exception]](), dict[str, dict[str, None]]()
    for name, found in drawn:
        if isinstance(found, figures.NoDataError):
            if name in own:
                idle.setdefault(str(found), {})[name] = None  # a figure and a table may share it
        elif isinstance(found, Exception):
            wrong.append((name, found))
    for line in dict.fromkeys(figures.told(*each) for each in wrong):  # two may have one name
        report.message(line)
    for why, names in idle.items():
        report.message(figures.told(", ".join(names), figures.NoDataError(why)))
    return len(wrong)
