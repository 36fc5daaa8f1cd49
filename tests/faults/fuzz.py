"""Hostile inputs through the real command line: ``python -m tests.faults.fuzz``.

Each input is an error of ours in one line or a success: never a traceback, another exit status
than 0, 1 or 2, a hang, too much memory, or anything executed. What is not is a finding: hypothesis
makes it as small as it can, prints how to repeat it (`reproduce_failure`), and tries it first the
next time; the exit status is 1.
"""

import argparse
import multiprocessing
import sys
import tempfile
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from pebble import ProcessExpired, ProcessPool

from tests.faults import fuzz_worker, hostile, hostile_weights, outcome
from tests.faults.hostile import Case

SECONDS = 10.0
"""Of processor time for an input, all its commands together."""
WAITING = 180.0
"""Seconds that it may take by the clock: on a busy machine, or asleep."""
MEMORY = 2000.0
"""MB by which the peak resident set may grow."""
COUNTS: dict[hostile.Kind, int] = {"images": 500, "yamls": 500, "weights": 100}
"""How many inputs of each kind are tried."""
DRAWN = {"images": hostile.images(), "yamls": hostile.yamls(), "weights": hostile_weights.weights()}
FIRST = {"images": hostile.largest, "yamls": list[Case], "weights": hostile_weights.bombs}
"""What is tried before those that are drawn."""


@dataclass
class Told:
    """How the inputs of a kind went."""

    inputs: int = 0
    ok: int = 0
    slowest_s: float = 0.0
    peak_mb: float = 0.0


def judge(pool: ProcessPool, folder: Path, case: Case) -> fuzz_worker.Outcome:
    """Return how a case goes in a warm process, which is replaced if it hangs or dies."""
    asked = pool.schedule(fuzz_worker.judge, args=[case, folder], timeout=WAITING)
    try:
        found: fuzz_worker.Outcome = asked.result()
    except TimeoutError:
        return fuzz_worker.Outcome(-1, f"killed after {WAITING:.0f} s", WAITING, 0)
    except ProcessExpired as error:
        return fuzz_worker.Outcome(-1, f"the process died: {error}", 0, 0)
    if not found.finding and (found.seconds > SECONDS or found.peak_mb > MEMORY):
        return replace(found, finding=f"{found.seconds:.1f} s, {found.peak_mb:.0f} MB")
    return found


def fuzz(kind: hostile.Kind, count: int, seed: int, folder: Path) -> tuple[Told, int]:
    """Judge so many inputs of a kind; return how they went, and the number of findings."""
    told, first = Told(), FIRST[kind]()[:count]
    spawn = multiprocessing.get_context("spawn")

    @hypothesis.seed(seed)
    @settings(
        max_examples=max(1, count - len(first)),
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        database=DirectoryBasedExampleDatabase(f".hypothesis/fuzz/{kind}"),
    )
    @hypothesis.given(DRAWN[kind])
    def is_refused_or_fine(case: Case) -> None:
        found = judge(pool, folder, case)
        assert not found.finding, found.finding
        told.inputs += 1
        told.ok += found.status == 0
        told.slowest_s = max(told.slowest_s, found.seconds)
        told.peak_mb = max(told.peak_mb, found.peak_mb)

    for case in reversed(first):
        is_refused_or_fine = hypothesis.example(case)(is_refused_or_fine)
    begin = (fuzz_worker.begin, [folder, 2 * MEMORY])
    with ProcessPool(1, initializer=begin[0], initargs=begin[1], context=spawn) as pool:
        try:
            is_refused_or_fine()
        except Exception as error:
            print("".join(traceback.format_exception_only(error)), flush=True)
            return told, 1
    return told, 0


def tell(kind: hostile.Kind, count: int, seed: int) -> outcome.Outcome:
    """Judge so many inputs of a kind, and tell it as every fault script does."""
    with tempfile.TemporaryDirectory(prefix="stylebench-fuzz-") as folder:
        told, findings = fuzz(kind, count, seed, Path(folder))
    return outcome.Outcome(
        f"{count} mutated {kind} (seed {seed})",
        "an error of ours or success; never a traceback, over "
        f"{SECONDS:.0f} s of processor time, or over {MEMORY / 1000:.0f} GB",
        f"{told.ok} ok, {told.inputs - told.ok} refused, {findings} findings; slowest "
        f"{told.slowest_s:.1f} s, at most {told.peak_mb:.0f} MB more",
        not findings,
    )


def main() -> None:
    """Read the arguments, fuzz, and tell."""
    parser = argparse.ArgumentParser(prog="tests.faults.fuzz", description=__doc__)
    for kind, count in COUNTS.items():
        parser.add_argument(f"--{kind}", type=int, default=count, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary there too")
    asked = parser.parse_args()
    counts = {kind: getattr(asked, kind) for kind in COUNTS}
    outcomes = [tell(kind, count, asked.seed) for kind, count in counts.items() if count]
    sys.exit(outcome.tell(outcomes, asked.json))


if __name__ == "__main__":
    main()
