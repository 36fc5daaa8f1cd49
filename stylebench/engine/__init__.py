"""Engines: where jobs run. Jobs meet only in the results folder, so any engine is equivalent."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
    from stylebench.job import compute, save

    for group in groups:
        for outcome in compute(group, device):
            yield save(outcome, out)


def _on_gpu(groups: Sequence[Sequence[Spec]], out: Path, device: str) -> Iterator[dict[str, Any]]:
    """Compute; meanwhile save what was computed before, and load what comes next."""
    from stylebench.job import compute, load_pair, save

    def load(group: Sequence[Spec]) -> None:
        for spec in group:
            if isinstance(spec, JobSpec):
                load_pair(spec, device)

    saving: list[Future[dict[str, Any]]] = []
    with ThreadPoolExecutor(1) as aside:
        for group, following in zip(groups, [*groups[1:], []], strict=True):
            aside.submit(load, following)  # where that fails, the job says so in its turn
            computed = compute(group, device)
            yield from (future.result() for future in saving)
            saving = [aside.submit(save, outcome, out) for outcome in computed]
        yield from (future.result() for future in saving)
