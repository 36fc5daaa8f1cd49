"""Engines: where jobs run. Jobs meet only in the results folder, so any engine is equivalent."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stylebench import batching
from stylebench.config import JobSpec, StatisticsSpec

Spec = JobSpec | StatisticsSpec


def run(
    specs: Sequence[Spec], out: Path, device: str, workers: int, batch: int | None = None
) -> Iterator[dict[str, Any]]:
    """Run jobs and yield their records as they complete.

    Args:
        specs: jobs, in the order in which to begin them.
        out: results folder.
        device: as torch names it.
        workers: 1 runs in this process with all cores; more run in that many processes, with one
            thread each.
        batch: the most stylisations to compute together; None: `stylebench.batching` decides.
    """
    groups = batching.groups(specs, device, batch)
    if workers == 1:
        return (_on_gpu if device.startswith("cuda") else _here)(groups, out, device)
    from stylebench.engine.local import run_local

    return run_local(groups, out, device, workers)


def _here(groups: Sequence[Sequence[Spec]], out: Path, device: str) -> Iterator[dict[str, Any]]:
    from stylebench.job import run_jobs

    for group in groups:
        yield from run_jobs(group, out, device)


def _on_gpu(groups: Sequence[Sequence[Spec]], out: Path, device: str) -> Iterator[dict[str, Any]]:
    """Run two groups at a time: one computes, the other loads or saves."""
    from stylebench.job import run_jobs

    with ThreadPoolExecutor(2) as pool:
        for records in pool.map(lambda group: run_jobs(group, out, device), groups):
            yield from records
