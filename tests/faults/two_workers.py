"""Two workers against one, with one thread each, at jobs that do nothing but compute.

python -m tests.faults.two_workers
"""

import time
from statistics import median

from stylebench.sweeps import engines, plan
from stylebench.sweeps.experiment import load_sweep
from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

BAR = 1.7
TURNS = 3


def _rate(jobs: int, workers: int) -> float:
    """Return jobs in a second, from the first outcome to the last, so without starting up."""
    with sweeps.folder() as folder:
        config = sweeps.write(
            folder / "faults.yaml", arch=["r-resnet18"], seed=list(range(max(1, jobs // 20))),
            smoothing=["none"], size=96, evals=20,
        )  # fmt: skip
        specs = plan.expand(load_sweep(config)).jobs
        how = engines.EngineOptions(name="local", workers=workers, batch=1)
        moments = []
        for record in engines.run(specs, folder / "out", how):
            assert record.status == "ok", record.error
            moments.append(time.monotonic())
    return (len(moments) - workers) / (moments[-1] - moments[workers - 1])


def measure(jobs: int) -> list[Outcome]:
    """Measure in turns, since other work on the machine comes and goes."""
    ratios = []
    for _ in range(TURNS):
        one = _rate(jobs, 1)
        ratios.append(_rate(jobs, 2) / one)
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return [
        Outcome(
            f"two workers against one, {jobs} jobs, {TURNS} turns",
            f"at least {BAR} times as many jobs in a second",
            f"median {median(ratios):.2f} ({shown})",
            median(ratios) >= BAR,
        )
    ]


if __name__ == "__main__":
    main(measure, 20, str(__doc__))
