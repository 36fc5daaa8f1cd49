"""Kill -9 of worker processes while a sweep runs.

python -m tests.faults.kill_workers
"""

import random
import time

from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

JOBS = 40


def measure(times: int) -> list[Outcome]:
    """Kill a random worker again and again, each time one that is at a job."""
    chance, kills, changed, sweeping = random.Random(0), 0, 0, True
    with sweeps.folder() as folder:
        config, out = sweeps.write(folder / "faults.yaml", evals=2000), folder / "out"
        process = sweeps.start(config, out, "--jobs", 2, "--batch", 1)
        seen: dict[str, tuple[int, int]] = {}
        while sweeping and kills < times:
            time.sleep(chance.uniform(0.3, 1.2))
            sweeping = process.poll() is None
            now = sweeps.stamps(out)
            changed += sum(now.get(job_id) != stamp for job_id, stamp in seen.items())
            seen = now
            busy = sweeps.workers(process.pid)
            if sweeping and busy and any(out.glob("jobs/.tmp-*")):
                kills += sweeps.kill(chance.choice(busy))
        _, errors = process.communicate()
        after = sweeps.stamps(out)
        changed += sum(after.get(job_id) != stamp for job_id, stamp in seen.items())
        broken = sweeps.broken(out)
        undisturbed = sweeps.run(config, folder / "undisturbed", "--jobs", 2, "--batch", 1)
        assert undisturbed.returncode == 0, undisturbed.stderr
        different = sweeps.differences(folder / "undisturbed", out)
    met = (process.returncode, kills, len(after), changed) == (0, times, JOBS, 0)
    trouble = "; ".join([*broken, *different, errors.strip()[-200:]])
    said = (
        f"{kills} kills; exit {process.returncode}, {len(after)} of {JOBS} jobs in place, "
        f"{changed} finished ones touched{'; ' + trouble if trouble else ''}"
    )
    return [
        Outcome(
            f"kill -9 of a worker, {times} times",
            "the sweep completes, jobs of others untouched, tables equal to the last bit",
            said,
            met and not broken and not different,
        )
    ]


if __name__ == "__main__":
    main(measure, 20, str(__doc__))
