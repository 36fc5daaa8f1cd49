"""Hostile inputs through the real command line: ``python -m tests.faults.fuzz``.

Each input is an error of ours in one line or a success: never a traceback, another exit status
than 0, 1 or 2, a hang, too much memory, or anything executed. What is not is a finding; it is
printed with the arguments that repeat it, and makes the exit status 1.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults import fuzz_images, fuzz_weights, fuzz_worker, fuzz_yamls, outcome
from tests.faults.fuzz_bytes import Case
from tests.faults.fuzz_worker import Outcome as Ended

SECONDS = 10.0
"""Of processor time for an input, all its commands together."""
WAITING = 6
"""How many times as long it may take by the clock: on a busy machine, or asleep."""
MEMORY = 2000.0
"""MB by which the peak resident set may grow."""
MAKERS = {"images": fuzz_images.make, "yamls": fuzz_yamls.make, "weights": fuzz_weights.make}


class Worker:
    """A warm process that judges cases; one that hangs or dies is replaced."""

    def __init__(self, folder: Path, warming: Sequence[Case]) -> None:
        self._folder, self._warming = folder, warming
        self._start()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        args = (theirs, self._folder, self._warming)
        self._process = spawn.Process(target=fuzz_worker.serve, args=args, daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def _used(self) -> tuple[float, float]:
        """Return (processor time in s, resident set in MB) so far; zeros off Linux."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0, 0.0
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def judge(self, case: Case) -> Ended:
        """Return how a case goes; one that takes too long or too much is killed."""
        end, before = time.monotonic() + WAITING * SECONDS, self._used()
        seconds = peak = 0.0
        try:
            self._pipe.send(case)
            while seconds < SECONDS and peak < 2 * MEMORY and time.monotonic() < end:
                if self._pipe.poll(0.05):
                    outcome: Ended = self._pipe.recv()
                    return replace(outcome, peak_mb=max(peak, outcome.peak_mb))
                now = self._used()
                seconds, peak = now[0] - before[0], max(peak, now[1] - before[1])
            finding = f"killed after {seconds:.1f} s with {peak:.0f} MB"
        except (EOFError, OSError):
            self._process.join()
            finding = f"the process died, exit code {self._process.exitcode}"
        self.close()
        self._start()
        return Ended(-1, finding, seconds, peak)

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


@dataclass
class Row:
    """A row of the summary: how the inputs of a kind went."""

    kind: str
    inputs: int = 0
    ok: int = 0
    refused: int = 0
    findings: list[dict[str, object]] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_mb: float = 0.0

    def add(self, case: Case, outcome: Ended, seed: int) -> str:
        """Count a case; return the line that tells of a finding, or nothing."""
        finding = outcome.finding
        if not finding and outcome.peak_mb > MEMORY:
            finding = f"{outcome.peak_mb:.0f} MB"
        self.inputs += 1
        self.slowest_s = max(self.slowest_s, outcome.seconds)
        self.peak_mb = max(self.peak_mb, outcome.peak_mb)
        if not finding:
            self.ok += outcome.status == 0
            self.refused += outcome.status != 0
            return ""
        repeat = f"--seed {seed} --only {case.label}"
        self.findings.append({"repeat": repeat, "mutation": case.mutation, "finding": finding})
        return f"{repeat}  ({case.mutation}): {finding}"


def cases(counts: Mapping[str, int], seed: int, only: str | None) -> Iterator[Case]:
    """Return the inputs: so many of each kind, or the one that `only` names."""
    wanted = [(kind, number) for kind, count in counts.items() for number in range(count)]
    if only:
        name, _, place = only.partition("/")
        wanted = [(name, int(place))]
    return (MAKERS[kind](seed, number) for kind, number in wanted)


def fuzz(inputs: Iterable[Case], seed: int) -> list[Row]:
    """Judge all inputs and print findings as they come."""
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory(prefix="stylebench-fuzz-") as folder:
        worker = Worker(Path(folder), [fuzz_yamls.good(), fuzz_weights.good()])
        for case in inputs:
            row = rows.setdefault(case.kind, Row(case.kind))
            if told := row.add(case, worker.judge(case), seed):
                print(told, flush=True)
        worker.close()
    return list(rows.values())


def table(rows: Iterable[Row]) -> list[str]:
    """Return the summary as a table in Markdown."""
    lines = ["| kind | inputs | ok | refused | findings | slowest s | peak MB |", "|---" * 7 + "|"]
    lines += [
        f"| {row.kind} | {row.inputs} | {row.ok} | {row.refused} | {len(row.findings)} | "
        f"{row.slowest_s:.1f} | {row.peak_mb:.0f} |"
        for row in rows
    ]
    return lines


def told(row: Row, seed: int) -> outcome.Outcome:
    """Return how a kind of input went, as every fault script tells it."""
    return outcome.Outcome(
        f"{row.inputs} mutated {row.kind} (seed {seed})",
        "an error of ours or success; never a traceback, over "
        f"{SECONDS:.0f} s of processor time, or over {MEMORY / 1000:.0f} GB",
        f"{row.ok} ok, {row.refused} refused, {len(row.findings)} findings; slowest "
        f"{row.slowest_s:.1f} s, at most {row.peak_mb:.0f} MB more",
        not row.findings,
    )


def main() -> None:
    """Read the arguments, fuzz, and tell."""
    parser = argparse.ArgumentParser(prog="tests.faults.fuzz", description=__doc__)
    for kind, count in (("images", 500), ("yamls", 500), ("weights", 100)):
        parser.add_argument(f"--{kind}", type=int, default=count, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="KIND/N", help="one input, as a finding names it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary there too")
    args = parser.parse_args()
    counts = {kind: getattr(args, kind) for kind in MAKERS}
    rows = fuzz(cases(counts, args.seed, args.only), args.seed)
    print("\n".join(table(rows)))
    sys.exit(outcome.tell([told(row, args.seed) for row in rows], args.json))


if __name__ == "__main__":
    main()
