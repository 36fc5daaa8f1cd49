"""Kill -9 of a whole sweep at random moments, then resume.

python -m tests.faults.kill_parent
"""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

JOBS = 40


def _begin(config: Path, out: Path) -> "subprocess.Popen[str]":
    return sweeps.start(config, out, "--jobs", 2, "--batch", 1)


def _wait(process: "subprocess.Popen[str]", out: Path, count: float) -> None:
    while process.poll() is None and len(sweeps.stamps(out)) < count:
        time.sleep(0.01)


def _once(folder: Path, count: float, wait: float) -> tuple[int, list[str]] | None:
    """Kill a sweep so many seconds after that many jobs; return (finished by then, troubles).

    None if it had ended before.
    """
    config, out = folder / "faults.yaml", folder / f"out-{count:.3f}-{wait:.3f}"
    process = _begin(config, out)
    _wait(process, out, count)
    time.sleep(wait)
    sweeps.kill(process.pid)
    _, errors = process.communicate()  # workers hold the pipes, and end with their parent
    if process.returncode == 0:
        return None
    before = sweeps.stamps(out)
    troubles = [f"broken after the kill: {path}" for path in sweeps.broken(out)]
    if process.returncode != -signal.SIGKILL:
        troubles.append(f"ended with {process.returncode} by itself: {errors[-300:]}")
    again = sweeps.run(config, out, "--jobs", 2, "--batch", 1)
    after = sweeps.stamps(out)
    if again.returncode:
        troubles.append(f"resume ended with {again.returncode}: {again.stderr[-300:]}")
    if len(after) != JOBS:
        troubles.append(f"{len(after)} jobs in place")
    if any(after.get(job_id) != stamp for job_id, stamp in before.items()):
        troubles.append("a finished job was done again")
    if wrong := sweeps.not_logged_once(out):
        troubles.append(f"{wrong} jobs are not in MLflow once")
    return len(before), troubles + sweeps.differences(folder / "undisturbed", out)


def _moments(times: int, starting: float) -> Iterator[tuple[float, float]]:
    """Yield (jobs, seconds after them): a quarter of the kills comes before the first job."""
    chance = random.Random(0)
    early = times // 4
    for index in range(early):
        yield 0, starting * (index + chance.random()) / early
    while True:
        for index in range(times - early):
            count = 1 + JOBS * (index + chance.random()) / (times - early)
            yield min(count, JOBS), chance.uniform(0.0, 0.5)


def measure(times: int) -> list[Outcome]:
    """Kill at moments spread over the whole run, from its start to tables and tracking."""
    with sweeps.folder() as folder:
        config, out = sweeps.write(folder / "faults.yaml", evals=100), folder / "undisturbed"
        began, whole = time.monotonic(), _begin(config, out)
        _wait(whole, out, 1)
        starting = time.monotonic() - began
        _, errors = whole.communicate()
        assert whole.returncode == 0, errors
        found: list[tuple[int, list[str]]] = []
        for moment in _moments(times, starting):
            if (one := _once(folder, *moment)) is not None:
                found.append(one)
            if len(found) == times:
                break
    troubles = [trouble for _, each in found for trouble in each]
    finished = [count for count, _ in found]
    said = (
        f"{times} kills, {finished.count(0)} of them before the first job, the last with "
        f"{max(finished)} finished; {'; '.join(troubles[:3]) or 'no difference after resume'}"
    )
    return [
        Outcome(
            f"kill -9 of the parent, {times} times in a sweep of {JOBS} jobs, then resume",
            "every job once, in MLflow too, no finished job redone, tables equal to the last bit",
            said,
            not troubles,
        )
    ]


if __name__ == "__main__":
    main(measure, 20, str(__doc__))
