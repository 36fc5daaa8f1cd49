"""Two sweeps into one folder at the same time.

python -m tests.faults.two_sweeps
"""

from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

JOBS = 40


def _once() -> str:
    """Start two sweeps at once and return what is wrong."""
    with sweeps.folder() as folder:
        config, out = sweeps.write(folder / "faults.yaml", evals=100), folder / "out"
        both = [sweeps.start(config, out, "--jobs", 2, "--batch", 1) for _ in range(2)]
        ends = [(*process.communicate(), process.returncode) for process in both]
        codes = sorted(code for _, _, code in ends)
        (refusal,) = [err.strip() for _, err, code in ends if code == 2] or [""]
        if codes == [0, 2]:
            said = "is being written by another command" in refusal and len(refusal.splitlines())
            return "" if said == 1 and len(sweeps.stamps(out)) == JOBS else f"it said {refusal!r}"
        return f"they ended with {codes}: {[err[-200:] for _, err, _ in ends]}"


def measure(times: int) -> list[Outcome]:
    """Start both at the same moment, several times."""
    troubles = list(filter(None, [_once() for _ in range(times)]))
    return [
        Outcome(
            f"two sweeps into one folder at once, {times} times",
            "the second says so and stops, or both are right",
            "; ".join(troubles) or "one ran all jobs, the other said in one line who is at work",
            not troubles,
        )
    ]


if __name__ == "__main__":
    main(measure, 3, str(__doc__))
