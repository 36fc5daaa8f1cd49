"""Engines: where jobs run. Jobs meet only in the results folder, so any engine is equivalent."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stylebench.config import JobSpec, StatisticsSpec

Spec = JobSpec | StatisticsSpec


def run(specs: Sequence[Spec], out: Path, device: str, workers: int) -> Iterator[dict[str, Any]]:
    """Run jobs and yield their records as they complete.

    Args:
        specs: jobs, in the order in which to begin them.
        out: results folder.
        device: as torch names it.
        workers: 1 runs in this process with all cores; more run in that many processes, with one
            thread each.
    """
    if workers == 1:
        from stylebench.job import run_job

        return (run_job(spec, out, device) for spec in specs)
    from stylebench.engine.local import run_local

    return run_local(specs, out, device, workers)
