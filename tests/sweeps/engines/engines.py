"""The engines as tests run them, and how to reach the processes in which their jobs run."""

import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stylebench import store
from stylebench.config import Spec
from stylebench.sweeps import engines, plan
from stylebench.sweeps.experiment import load_sweep
from tests.faults import sweeps

ENGINES = ("inline", "local", "ray")
OF_WORKERS = ("local", "ray")
"""Those whose jobs run in other processes, which can die."""
ENDLESS: dict[str, object] = {"evals": 10**7, "optimiser": {"name": "adam"},
                              "smoothing": ["none"], "statistics_images": []}  # fmt: skip


def options(name: str, **keys: Any) -> engines.EngineOptions:
    """Return an engine with two workers, or this process."""
    workers = 1 if name == "inline" else 2
    return engines.EngineOptions(
        name=name, **{"workers": workers, "batch": 1, "retries": 0, **keys}
    )


def planned(**flags: object) -> list[Spec]:
    """Return the statistics and the two stylisations of one pair."""
    keys = {"arch": ["r-tiny"], "content": ["chelsea"], "style": ["brush"], "size": 32, "evals": 4,
            "statistics_images": ["chelsea"], **flags}  # fmt: skip
    made = plan.expand(load_sweep(None, keys))
    return [*made.statistics, *made.jobs]


def run(specs: Sequence[Spec], out: Path, how: engines.EngineOptions) -> dict[str, store.JobRecord]:
    """Return job id -> record of what an engine yields."""
    records = list(engines.run(specs, out, how))
    found = {record.job_id: record for record in records}
    assert len(found) == len(records), "each job is yielded once"
    return found


def processes(name: str, *titles: bytes) -> list[int]:
    """Return the processes in which an engine runs jobs now, on Linux; of Ray by `titles` too."""
    if name == "local":
        return [child.pid or 0 for child in multiprocessing.active_children()]
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith((b"ray::_work", *titles)):
                found.append(int(place.parent.name))
        except OSError:  # it has ended
            continue
    return found


def wait_for(true: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait until something is true; fail if it does not become so."""
    assert sweeps.wait_for(true, seconds), "this took too long"
