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
"""Memory of sweep and workers in the last tenth of the jobs against that in the second."""


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
        seen: list[float] = []
        while process.poll() is None:
            busy = sweeps.workers(process.pid)
            if len(busy) == 2 and any((folder / "out").glob("jobs/[!.]*")):
                seen.append(_memory([process.pid, *busy]))
            time.sleep(0.5)
        _, errors = process.communicate()
        wall = time.monotonic() - began
        records = store.records(folder / "out")
        lacking = sweeps.not_logged_once(folder / "out")
    computing = sum(record.seconds or 0.0 for record in records)
    tenth = max(1, len(seen) // 10)
    early, late = float(np.median(seen[tenth : 2 * tenth])), float(np.median(seen[-tenth:]))
    met = process.returncode == 0 and len(records) == jobs and not lacking
    counted = (
        f"{len(records)} jobs in {wall:.0f} s, exit {process.returncode}{errors[-200:]}, "
        f"{lacking} not in MLflow once"
    )
    overhead = (wall - computing / 2) / jobs
    return [
        Outcome(
            f"{jobs} tiny jobs: overhead",
            f"under {1000 * OVERHEAD:.0f} ms a job on two cores",
            f"{counted}, {computing:.0f} s of which two workers compute: {1000 * overhead:.1f} ms "
            "a job for all else, from the command to its end",
            met and overhead < OVERHEAD,
        ),
        Outcome(
            f"{jobs} tiny jobs: memory",
            f"flat: at most {GROWTH} times from the second tenth of the jobs to the last",
            f"{early:.0f} MB, then {late:.0f} MB, {late / early:.2f} times",
            met and late <= GROWTH * early,
        ),
    ]


if __name__ == "__main__":
    main(measure, 5000, str(__doc__))
