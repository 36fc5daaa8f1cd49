"""Engines: where jobs run. Jobs meet only in the results folder, so any engine is equivalent.

``inline``  in this process, with all of its cores or on one GPU
``local``   in worker processes of this machine (`stylebench.sweeps.engines.local`)
``ray``     on the machines of a Ray cluster (`stylebench.sweeps.engines.cluster`)

Of every engine holds: each job ends as one record, which is in place when it is yielded. Of those
with workers too: one that dies or hangs costs its own job a try, and the rest of its batch a new
beginning (`stylebench.sweeps.engines.tries`).
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stylebench.config import Spec
from stylebench.store import JobRecord
from stylebench.sweeps import batches
from stylebench.sweeps.engines.options import EngineOptions
from stylebench.sweeps.engines.tries import Workers, drive

__all__ = ["EngineOptions", "run"]


def run(
    specs: Sequence[Spec], out: Path, options: EngineOptions
) -> Generator[JobRecord, None, None]:
    """Run jobs and yield their records as they complete.

    Args:
        specs: jobs, in the order in which to begin them.
        out: results folder.
        options: the engine.

    Raises:
        OSError: the results folder cannot be written.
        InputError: the engine cannot be had.
    """
    groups = batches.groups(specs, options.device, options.batch)
    if options.name == "inline":
        run_groups = _on_gpu if options.device.startswith("cuda") else _here
        yield from run_groups(groups, out, options.device)
    elif groups:
        with contextlib.closing(_workers(groups, out, options)) as workers:
            yield from drive(groups, workers, out, options.device, options.retries)


def _workers(groups: Sequence[Sequence[Spec]], out: Path, options: EngineOptions) -> Workers:
    if options.name == "local":
        from stylebench.sweeps.engines.local import LocalWorkers, devices

        places = devices(options.device, min(options.workers, len(groups)))
        return LocalWorkers(out, places, options.time_limit)
    from stylebench.sweeps.engines.cluster import RayWorkers

    return RayWorkers(groups, out, options)


def _here(groups: Sequence[Sequence[Spec]], out: Path, device: str) -> Iterator[JobRecord]:
    from stylebench.sweeps.job import run_jobs

    for group in groups:
        yield from run_jobs(group, out, device)


def _on_gpu(groups: Sequence[Sequence[Spec]], out: Path, device: str) -> Iterator[JobRecord]:
    """Run two groups at a time: one computes, the other loads or saves."""
    from stylebench.sweeps.job import run_jobs

    with ThreadPoolExecutor(2) as pool:
        for records in pool.map(lambda group: run_jobs(group, out, device), groups):
            yield from records
