"""5,000 tiny jobs: what scheduler, store, tables and tracking cost a job, and memory over time.

python -m tests.faults.many_jobs
"""

import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

from stylebench import store
from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

OVERHEAD = 0.050
"""Seconds a job."""
GROWTH = 1.25
"""Memory in the last tenth of the run against that in the second."""


def _pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    noise = np.random.default_rng(0)
    for index in range(count):
        pixels = noise.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.png")


def _memory(pids: list[int]) -> float:
    """Return the resident memory of processes in MB."""
    total = 0
    for pid in pids:
        try:
            pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        except OSError:
            continue
        total += int(pages) * os.sysconf("SC_PAGE_SIZE")
    return total / 1e6


def measure(jobs: int) -> list[Outcome]:
    """Run jobs of 16 px and 3 evaluations in two workers, from the command to its end."""
    seeds = max(1, jobs // 500)
    with sweeps.folder() as folder:
        _pictures(folder / "content", 25)
        _pictures(folder / "style", 20)
        config = sweeps.write(
            folder / "faults.yaml", content=[str(folder / "content")], smoothing=["none"],
            style=[str(folder / "style")], seed=list(range(seeds)), size=16, evals=3,
        )  # fmt: skip
        began = time.monotonic()
        process = sweeps.start(config, folder / "out", "--jobs", 2)
        seen: list[tuple[float, float]] = []
        while process.poll() is None:
            memory = _memory([process.pid, *sweeps.workers(process.pid)])
            seen.append((time.monotonic() - began, memory))
            time.sleep(0.5)
        _, errors = process.communicate()
        wall = time.monotonic() - began
        records = store.records(folder / "out")
    computing = sum(record["seconds"] for record in records)
    each = (2 * wall - computing) / max(1, len(records))
    steady = [memory for moment, memory in seen if 0.1 * wall < moment < 0.2 * wall]
    late = [memory for moment, memory in seen if moment > 0.9 * wall]
    growth = float(np.median(late) / np.median(steady))
    met = process.returncode == 0 and len(records) == jobs
    counted = f"{len(records)} jobs in {wall:.0f} s, exit {process.returncode} {errors[-200:]}"
    return [
        Outcome(
            f"{jobs} tiny jobs: overhead",
            f"under {1000 * OVERHEAD:.0f} ms a job on two cores, all but computing counted",
            f"{counted}: {1000 * each:.1f} ms of both cores, {1000 * wall / jobs:.1f} ms of time",
            met and each < OVERHEAD,
        ),
        Outcome(
            f"{jobs} tiny jobs: memory",
            f"flat: at most {GROWTH} times from the second tenth of the run to the last",
            f"{np.median(steady):.0f} MB, then {np.median(late):.0f} MB, {growth:.2f} times",
            met and growth <= GROWTH,
        ),
    ]


if __name__ == "__main__":
    main(measure, 5000, str(__doc__))
