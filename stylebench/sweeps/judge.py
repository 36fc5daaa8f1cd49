"""The step after a sweep: metrics of finished stylisations, from the pictures in their folders.

Nothing is stylised again. What is there is kept, what is missing is computed, job by job, so that
an interruption loses one job's metrics at most. The metrics of a job lie in its own folder, because
a job that is run again replaces its folder: no metric can outlive the picture that it judged.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylebench import files, runtime, store
from stylebench.config import JobSpec
from stylebench.errors import DamagedError, InputError, describe
from stylebench.images import stored
from stylebench.measures import judges
from stylebench.measures.judges import Judge, Lpips
from stylebench.measures.metrics import METRICS, measure
from stylebench.store import JobRecord

Key = tuple[str, str, str]
"""Metric, judge and the identity of its weights."""
Found = dict[Key, float]


@dataclass(frozen=True)
class JudgeOptions:
    """Whom to ask and how: `names` of judges (none: `judges.choose`), `given` weights of theirs."""

    names: Sequence[str] = ()
    given: Mapping[str, str] | None = None
    device: str = "cpu"
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
    pixels = torch.from_numpy(np.array(stored.decode(data)))
    return (pixels.permute(2, 0, 1).unsqueeze(0).float() / 255).contiguous().to(device)


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


def _write(folder: Path, job_id: str, spec: JobSpec, found: Found) -> None:
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


def _judge_job(
    folder: Path, record: JobRecord, panel: Sequence[Judge | Lpips], options: JudgeOptions
) -> str:
    """Compute what is missing for a job, write it, and return how it went; "" if nothing was.

    Raises:
        InputError: its pictures cannot be read, or a metric failed; the others are written.
    """
    spec, began = record.stylisation, time.monotonic()
    known = _known(folder)
    asked = {_key(*item): item for item in judges.asked(spec.arch, panel)}
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
    if not out.is_dir():
        raise InputError(f"no folder {str(out)!r}; expected a results folder of stylebench sweep")
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


def _panel(
    archs: set[str], options: JudgeOptions, tell: Callable[[str], None]
) -> list[Judge | Lpips]:
    """Return the judges of these backbones' jobs, built."""
    chosen = (
        judges.named(options.names, options.given or {}, offline=options.offline)
        if options.names or options.given
        else judges.choose(archs)
    )
    for name, ref in chosen.items():
        tell(f"judge {name}: weights {ref.label}")
    panel: list[Judge | Lpips] = [*judges.make(chosen, options.device)]
    if (lpips := judges.lpips(options.device)) is not None:
        tell(f"judge {lpips.name}: weights {lpips.weights}")
        panel.append(lpips)
    return panel


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
    panel = _panel({record.stylisation.arch for record in jobs}, options, tell)
    failed = 0
    try:
        for number, record in enumerate(jobs, start=1):
            told = f"[{number}/{len(jobs)}] {record.spec.title}"
            try:
                done = _judge_job(out / "jobs" / record.job_id, record, panel, options)
                if done or again:
                    tell(f"{told}  {done or 'judged before'}")
            except InputError as error:
                failed += 1
                tell(f"{told}  not judged in full: {error}")
    finally:
        store.compact_metrics(out, jobs)
    return Summary(len(jobs) - failed, failed)
