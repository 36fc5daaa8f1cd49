"""The step after a sweep: metrics of finished stylisations, from the pictures in their folders.

Nothing is stylised again. What is there is kept, what is missing is computed, job by job, so that
an interruption loses one job's metrics at most. The metrics of a job lie in its own folder, because
a job that is run again replaces its folder: no metric can outlive the picture that it judged.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from stylebench import files, runtime, store
from stylebench.config import PassSpec, PictureSpec, WeightsRef
from stylebench.errors import DamagedError, InputError, describe
from stylebench.images import stored
from stylebench.images.given import of_pixels
from stylebench.measures import judges
from stylebench.measures.judges import Judge, Lpips
from stylebench.measures.metrics import METRICS, measure
from stylebench.store import JobRecord
from stylebench.sweeps import titles
from stylebench.sweeps.engines import local

Key = tuple[str, str, str]
"""Metric, judge and the identity of its weights."""
Found = dict[Key, float]


@dataclass(frozen=True)
class JudgeOptions:
    """Whom to ask and how: `names` of judges (none: `judges.choose`), `given` weights of theirs.

    `workers` are processes, one thread each; with one, this process has all its threads.
    """

    names: Sequence[str] = ()
    given: Mapping[str, str] | None = None
    device: str = "cpu"
    workers: int = 1
    offline: bool = False
    force: bool = False


@dataclass(frozen=True)
class Summary:
    """How it ended: stylisations that have all their metrics, and those that could not be."""

    judged: int
    failed: int


@functools.lru_cache(maxsize=32)
def _decoded(data: bytes, device: str) -> Tensor:
    """Return the picture of a file as (1, 3, H, W) in [0, 1].

    Equal files give one tensor, so that judges look but once at the pictures that jobs share.
    """
    return of_pixels(np.asarray(stored.decode(data))).contiguous().to(device)


def _pictures(folder: Path, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return result, content and style of a job."""
    paths = (folder / f"{name}.png" for name in ("result", "content", "style"))
    try:
        data = [files.read(path, folder.parent.parent) for path in paths]
        result, content, style = (_decoded(each, device) for each in data)
    except (FileNotFoundError, DamagedError) as error:
        raise store.damaged(folder, error) from None
    return result, content, style


def _key(name: str, judge: Judge | Lpips | None) -> Key:
    return (name, judge.name, judge.weights) if judge else (name, "", "")


def _known(folder: Path) -> Found:
    frame = store.read_metrics(folder)
    keys = zip(frame["metric"], frame["judge"], frame["judge_weights"], strict=True)
    return dict(zip(keys, frame["value"], strict=True))


def _write(folder: Path, job_id: str, spec: PictureSpec, found: Found) -> None:
    job = {
        "job_id": job_id,
        "arch": spec.arch,
        "smoothing": spec.smoothing.label,
        "content": spec.content.name,
        "style": spec.style.name,
        "seed": spec.seed,
    }
    names = ("metric", "judge", "judge_weights")
    rows = [
        {**job, **dict(zip(names, key, strict=True)), "value": value}
        for key, value in found.items()
    ]
    store.write_metrics(folder, rows)


def _seen_by(spec: PictureSpec) -> tuple[str, ...]:
    """Return the backbones that a picture was made by: they do not judge it."""
    return spec.seen_by if isinstance(spec, PassSpec) else (spec.arch,)


def _judge_job(
    folder: Path, record: JobRecord, panel: Sequence[Judge | Lpips], options: JudgeOptions
) -> str:
    """Compute what is missing for a job, write it, and return how it went; "" if nothing was.

    Raises:
        InputError: its pictures cannot be read, or a metric failed; the others are written.
    """
    spec, began = record.stylisation, time.monotonic()
    known = _known(folder)
    asked = {_key(*item): item for item in judges.asked(_seen_by(spec), panel)}
    own = {name for name in METRICS if METRICS.code(name)}  # whose code may have changed
    todo = {
        key: item
        for key, item in asked.items()
        if options.force or key not in known or item[0] in own
    }
    if not todo:
        return ""
    found = {key: value for key, value in known.items() if key not in todo}
    pictures = _pictures(folder, options.device)
    refused: dict[str, None] = {}
    for key, (name, judge) in todo.items():
        try:
            found[key] = measure(name, *pictures, judge)
        except InputError as error:
            refused[str(error)] = None
        except Exception as error:
            refused[f"{name}: {type(error).__name__}: {describe(error)}"] = None
    _write(folder, record.job_id, spec, found)
    if refused:
        raise InputError("; ".join(refused))
    seen = {judge.name: None for _, judge in todo.values() if judge}
    by = f" by {', '.join(seen)}" if seen else ""
    return f"{len(todo)} metrics{by}  {time.monotonic() - began:.1f} s"


def _finished(out: Path, tell: Callable[[str], None]) -> list[JobRecord]:
    """Return the jobs that the tables show; `tell` is told what is left out."""
    shown = set(store.load(out).results["job_id"]) if store.holds_results(out) else set()
    found, left = store.survey(out)
    if left:
        tell(f"not judged: {store.told(left)}")
    jobs = [job for job in store.newest(found, shown) if job.ok]
    if not jobs:
        raise InputError(
            f"{str(out)!r} holds no finished stylisation with its pictures (no jobs/…/result.png); "
            "make some with `stylebench sweep`"
        )
    return jobs


def _panel(chosen: Mapping[str, WeightsRef], device: str) -> list[Judge | Lpips]:
    return [*judges.make(chosen, device), *filter(None, [judges.lpips(device)])]


def _chosen(
    archs: set[tuple[str, ...]], options: JudgeOptions, tell: Callable[[str], None]
) -> dict[str, WeightsRef]:
    """Return the judges of these backbones' jobs with their weights, and tell of them."""
    chosen = (
        judges.named(options.names, options.given or {}, offline=options.offline)
        if options.names or options.given
        else judges.choose(archs)
    )
    for name, ref in chosen.items():
        own = [arch for arch in archs if not judges.judged_by(arch, name)]
        what = "nothing here" if len(own) == len(archs) else "not what its own architecture made"
        tell(f"judge {name}: weights {ref.label}" + (f"; it judges {what}" if own else ""))
    if label := judges.lpips_weights():
        tell(f"judge {Lpips.name}: weights {label}")
    return chosen


class _Court:
    """Judges the jobs of a folder; that of a worker process is made once, by `_begin`."""

    here: "_Court | InputError"

    def __init__(self, out: Path, chosen: Mapping[str, WeightsRef], options: JudgeOptions) -> None:
        self._jobs, self._options = out / "jobs", options
        self._panel = _panel(chosen, options.device)

    def judge(self, record: JobRecord) -> str | InputError:
        """Return what `_judge_job` returns or raises."""
        try:
            return _judge_job(self._jobs / record.job_id, record, self._panel, self._options)
        except InputError as error:
            return error


def _begin(
    plugins: Sequence[Path], out: Path, chosen: Mapping[str, WeightsRef], options: JudgeOptions
) -> None:
    local.begin(plugins)
    try:
        _Court.here = _Court(out, chosen, options)
    except Exception as error:  # told by every job: what an initializer raises is lost
        told = str(error) if isinstance(error, InputError) else describe(error)
        _Court.here = InputError(told)


def _in_worker(record: JobRecord) -> str | InputError:
    court = _Court.here
    return court.judge(record) if isinstance(court, _Court) else court


def _judged(
    jobs: Sequence[JobRecord], out: Path, chosen: Mapping[str, WeightsRef], options: JudgeOptions
) -> Generator[str | InputError, None, None]:
    """Yield for each job in turn how it went: see `_judge_job`.

    Raises:
        InputError: worker processes end, as where there is too little memory for so many.
    """
    workers = min(options.workers, len(jobs))
    if workers == 1:
        yield from map(_Court(out, chosen, options).judge, jobs)
        return
    pool = ProcessPoolExecutor(
        workers, runtime.process_context(), _begin, (local.plugin_files(), out, chosen, options)
    )
    try:
        yield from pool.map(_in_worker, jobs)
    except BrokenExecutor:
        raise InputError(
            "a worker process that judged died; out of memory? What was judged is kept; judge "
            "again with fewer --jobs"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run(
    out: Path, options: JudgeOptions, tell: Callable[[str], None], *, again: bool = True
) -> Summary:
    """Judge the finished stylisations of a results folder and gather OUT/metrics.parquet.

    Args:
        out: results folder with its job folders.
        options: judges, device; `force` computes what these judges said before again.
        tell: called with a line for every judge and every job.
        again: whether to tell of jobs that were judged before.

    Raises:
        InputError: no such folder, none with stylisations, or a judge that cannot be had.
    """
    jobs = _finished(out, tell)
    runtime.configure()
    chosen = _chosen({_seen_by(record.stylisation) for record in jobs}, options, tell)
    names = titles.told_apart(record.spec for record in jobs)
    failed = 0
    try:
        with contextlib.closing(_judged(jobs, out, chosen, options)) as outcomes:
            for number, (record, done) in enumerate(zip(jobs, outcomes, strict=True), start=1):
                told = f"[{number}/{len(jobs)}] {names[record.job_id]}"
                if isinstance(done, InputError):
                    failed += 1
                    tell(f"{told}  not judged in full: {done}")
                elif done or again:
                    tell(f"{told}  {done or 'judged before'}")
    finally:
        store.compact_metrics(out, jobs)
    return Summary(len(jobs) - failed, failed)
