"""Results folders from a stranger: every command on each of a thousand mutated ones.

Each command ends by itself, in one line where it refuses: never a traceback, a hang, a file that is
read, written or sent outside of the folder, a program that is started, or litter. `mutations` says
what is done to the folders, `outside` how it is seen. A case is its number and the seed:
``--only 17`` makes that one alone, and leaves its folder in place.

python -m tests.faults.stranger
"""

import argparse
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from multiprocessing import connection
from pathlib import Path
from typing import Any

from tests.faults import outcome, stranger_worker, sweeps

TIMES = 1000


def _results(root: Path) -> tuple[Path, Path]:
    """Return a good results folder, of which one stylisation is still to do, and its experiment."""
    experiment = sweeps.write(
        root / "x.yaml", content=["chelsea"], style=["brush", "mosaic"],
        statistics_images=["chelsea"], evals=3, gradients=True,
    )  # fmt: skip
    out = root / "results"
    run = stranger_worker.plain
    run(["sweep", str(experiment), "--out", str(out), "--device", "cpu"])
    run(["judge", str(out), "--judge", "r-tiny", "--device", "cpu"])
    run(["figures", str(out), "--only", "grid", "--only", "summary", "--only", "statistics"])
    run(["report", str(out)])
    holder = {"command": "stylebench sweep", "pid": 1, "host": "elsewhere", "began": time.time()}
    (out / ".holder.json").write_text(json.dumps(holder))
    return out, experiment


def _work(
    root: Path, results: Path, experiment: Path, numbers: Sequence[int], seed: int, to: Any
) -> None:
    """Judge cases in this process, and send how each went."""
    os.environ |= {
        "STYLEBENCH_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HOME": str(root / "home"),
        "STYLEBENCH_CACHE": str(root / "home" / "cache"), "MPLCONFIGDIR": str(root / "matplotlib"),
    }  # fmt: skip
    stranger_worker.load()
    from stylebench import runtime

    runtime.configure(threads=1)
    folder = stranger_worker.Folder(root, results, experiment)
    for number in numbers:
        done, ended = stranger_worker.judge(number, seed, folder)
        to.send((number, done, [asdict(each) for each in ended]))
    to.send(None)


def _cases(numbers: Sequence[int], seed: int, workers: int, root: Path) -> Iterator[Any]:
    """Yield how each case went: its number, what was done, and its commands."""
    results, experiment = _results(root)
    stranger_worker.own(root)
    receivers = []
    context = multiprocessing.get_context("spawn")
    for index in range(workers):
        receiver, sender = context.Pipe(duplex=False)
        args = (root / f"w{index}", results, experiment, numbers[index::workers], seed, sender)
        context.Process(target=_work, args=args, daemon=True).start()
        sender.close()
        receivers.append(receiver)
    while receivers:
        for ready in connection.wait(receivers):
            assert isinstance(ready, connection.Connection)
            found = ready.recv()
            if found is None:
                receivers.remove(ready)
            else:
                yield found


def _kind(finding: str) -> str:
    """Return a finding without what differs from case to case."""
    kind, _, rest = finding.partition(": ")
    if kind.endswith("outside"):
        return kind
    return re.sub(r"[0-9a-f]{8,}|\d+", "N", f"{kind}: {rest}")[:150]


def measure(numbers: Sequence[int], seed: int, workers: int, log: Path | None) -> outcome.Outcome:
    """Judge so many cases and tell how they went."""
    began, commands, slowest = time.monotonic(), 0, 0.0
    statuses: Counter[int] = Counter()
    took: Counter[str] = Counter()
    kinds: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="stylebench-stranger-") as name:
        Path(name).chmod(0o755)
        for case, (number, done, ended) in enumerate(_cases(numbers, seed, workers, Path(name))):
            if case and not case % 50:
                minutes = (time.monotonic() - began) / 60
                print(f"{case} of {len(numbers)} folders, {minutes:.0f} min", flush=True)
            for each in ended:
                commands += 1
                took[each["command"].split()[0]] += each["seconds"]
                statuses[each["status"]] += 1
                slowest = max(slowest, each["seconds"])
                for finding in each["findings"]:
                    line = f"{number}: stylebench {each['command']}: {finding}  <- {done}"
                    kinds.setdefault(f"{each['command'].split()[0]}: {_kind(finding)}", []).append(
                        line
                    )
                    if log:
                        with log.open("a") as file:
                            file.write(line + "\n")
    for kind, lines in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(lines)} × {kind}\n    {ascii(min(lines, key=len))[1:-1][:500]}")
    print(took)
    found = sum(map(len, kinds.values()))
    told = ", ".join(f"{count} ended with {status}" for status, count in sorted(statuses.items()))
    return outcome.Outcome(
        f"{len(numbers)} mutated results folders (seed {seed}), every command on each",
        "no traceback, nothing read, written or sent outside of the folder, no program started, "
        f"no hang over {stranger_worker.SECONDS:.0f} s of processor time, no litter",
        f"{commands} commands: {told}; {found} findings; slowest {slowest:.1f} s; "
        f"{(time.monotonic() - began) / 60:.0f} min",
        not found,
    )


def main() -> None:
    """Read the arguments, judge, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help=f"cases, default: {TIMES}")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, action="append", help="cases by number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--log", type=Path, help="write every finding there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome there too")
    asked = parser.parse_args()
    numbers = asked.only or range(asked.first, asked.first + asked.times)
    told = measure(numbers, asked.seed, min(asked.workers, len(numbers)), asked.log)
    sys.exit(outcome.tell([told], asked.json))


if __name__ == "__main__":
    main()
