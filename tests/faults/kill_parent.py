"""Kill -9 of a whole sweep at random moments, then resume.

python -m tests.faults.kill_parent
"""

import random
import time
from pathlib import Path

from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

JOBS = 40


def _once(folder: Path, count: float, wait: float) -> tuple[int, list[str]]:
    """Kill a sweep so many seconds after that many jobs; return (finished by then, troubles)."""
    config, out = folder / "faults.yaml", folder / f"out-{count:.3f}"
    process = sweeps.start(config, out, "--jobs", 2, "--batch", 1)
    while process.poll() is None and len(sweeps.stamps(out)) < count:
        time.sleep(0.01)
    time.sleep(wait)
    sweeps.kill(process.pid)
    process.communicate()  # workers hold the pipes, and end with their parent
    before = sweeps.stamps(out)
    troubles = [f"broken after the kill: {path}" for path in sweeps.broken(out)]
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


def measure(times: int) -> list[Outcome]:
    """Kill at moments spread over the whole run, tables and tracking at its end included."""
    with sweeps.folder() as folder:
        config = sweeps.write(folder / "faults.yaml", evals=100)
        whole = sweeps.run(config, folder / "undisturbed", "--jobs", 2, "--batch", 1)
        assert whole.returncode == 0, whole.stderr
        chance = random.Random(0)
        counts = [(JOBS + 1) * (index + chance.random()) / times for index in range(times)]
        found = [_once(folder, min(count, JOBS), chance.uniform(0.0, 0.5)) for count in counts]
    troubles = [trouble for _, each in found for trouble in each]
    finished = [count for count, _ in found]
    said = (
        f"{times} kills, with {min(finished)} to {max(finished)} jobs finished; "
        f"{'; '.join(troubles[:3]) or 'no difference after resume'}"
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
