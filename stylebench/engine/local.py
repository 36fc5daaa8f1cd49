"""Worker processes on this machine. A worker that dies costs its own job, no other."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, as_completed
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from stylebench import runtime, store
from stylebench.config import JobSpec, StatisticsSpec

Spec = JobSpec | StatisticsSpec


def _begin() -> None:
    """One thread a worker: two workers with two threads each can be 100 times slower."""
    runtime.configure(threads=1)


def _work(group: Sequence[Spec], out: Path, device: str) -> list[dict[str, Any]]:
    from stylebench.job import run_jobs

    return run_jobs(group, out, device)


def _died(spec: Spec, out: Path, device: str, reason: str) -> dict[str, Any]:
    """Write and return the record of a job whose worker did not live to write it."""
    record = {
        "job_id": spec.job_id,
        "kind": spec.kind,
        "status": "failed",
        "error": reason,
        "spec": spec.model_dump(mode="json"),
        "device": device,
        "environment": dict(runtime.environment()),
        "seconds": None,
        "finished": time.time(),
    }
    store.remove_stale(out, age=0, job_id=spec.job_id)
    with store.job_folder(out, spec.kind, spec.job_id) as folder:
        store.write_record(folder, record)
    return record


def run_local(
    groups: Sequence[Sequence[Spec]], out: Path, device: str, workers: int
) -> Iterator[dict[str, Any]]:
    """Run groups of jobs in `workers` processes and yield their records as they complete.

    A group whose worker dies is run again in halves after the others, until the job that kills is
    alone.
    """
    context, began = multiprocessing.get_context("spawn"), time.time()
    with ProcessPool(max_workers=workers, context=context, initializer=_begin) as pool:

        def schedule(group: Sequence[Spec]) -> Future[list[dict[str, Any]]]:
            future: Future[list[dict[str, Any]]] = pool.schedule(_work, args=[group, out, device])
            return future

        todo = list(groups)
        try:
            while todo:
                futures, todo = {schedule(group): group for group in todo}, []
                for future in as_completed(futures):
                    group = futures[future]
                    try:
                        yield from future.result()
                    except (ProcessExpired, CancelledError) as error:
                        written = [(spec, store.written(out, spec, began)) for spec in group]
                        yield from (record for _, record in written if record is not None)
                        left = [spec for spec, record in written if record is None]
                        if len(group) == 1 and left:
                            reason = f"the worker process died ({error}); out of memory?"
                            yield _died(left[0], out, device, reason)
                        elif left:
                            half = (len(left) + 1) // 2
                            todo += filter(None, (left[:half], left[half:]))
        except BaseException:  # an interrupt, or a disk that is full: do not run the rest first
            pool.stop()
            raise
