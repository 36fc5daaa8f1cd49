"""The process in which hostile inputs meet the command line: warm, and killed if it has to be."""

import contextlib
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unittest import mock

from tests.faults.hostile import CANARY, FULL, Case, Kind
from tests.faults.hostile_weights import BACKBONE, good

SMALL = ("--arch", "r-tiny", "--size", "32")
_WEIGHTS = ("--arch", f"p-{BACKBONE}", "--size", "32", "--offline")
PLAIN = "plain.yaml"
"""An experiment beside the case, without statistics."""


@dataclass(frozen=True)
class Outcome:
    """How a case went: its worst exit status, what is wrong, processor time in s, and MB."""

    status: int
    finding: str
    seconds: float
    peak_mb: float


def commands(kind: Kind, name: str) -> list[tuple[str, ...]]:
    """Return the commands that read an input of a kind, as they are typed."""
    if kind == "yamls":
        return [("sweep", name, "--dry-run", "--out", "out")]
    if kind == "images":
        pictures = ("--content", name, "--style", "chelsea")
        return [
            ("sweep", PLAIN, "--dry-run", *SMALL, *pictures, "--out", "out"),
            ("transfer", name, "astronaut", "--arch", "r-tiny", "--size", "16", "--evals", "1",
             "--resize", "squash", "--device", "cpu", "-o", "out/made.png"),
        ]  # fmt: skip
    given = ("--weights", f"{BACKBONE}={name}")
    return [
        ("sweep", PLAIN, "--dry-run", *_WEIGHTS, *given, "--out", "out"),
        ("weights", "import", BACKBONE, name),
        ("transfer", "astronaut", "astronaut", *_WEIGHTS, *given, "--evals", "1",
         "--device", "cpu", "-o", "out/made.png"),
    ]  # fmt: skip


@contextlib.contextmanager
def _into(stream: Literal["stdout", "stderr"], path: Path) -> Iterator[None]:
    """Send what C and Python alike write into a stream of this process into a file."""
    number, errors = (1, "strict") if stream == "stdout" else (2, "backslashreplace")
    kept = os.dup(number)
    with (
        path.open("w", encoding="utf-8", errors=errors) as file,
        mock.patch.object(sys, stream, file),
    ):
        os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            os.dup2(kept, number)
            os.close(kept)


def run(args: Sequence[str], told: Path) -> tuple[int, str, float]:
    """Run ``stylebench ARGS`` here and return (exit status, what is wrong with it, peak in MB).

    A job begins the measurement of the peak anew: that of ``transfer`` is of its second half.
    """
    from stylebench import runtime
    from stylebench.cli.main import main

    memory = runtime.PeakMemory("cpu")
    before = memory.read()
    status, error = 0, ""
    with (
        _into("stdout", told / "out"),
        _into("stderr", told / "err"),
        mock.patch.object(sys, "argv", ["stylebench", *args]),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        except BaseException:
            status, error = 1, traceback.format_exc(limit=-3)
    lines = (told / "err").read_bytes().splitlines()
    error = error[:1500]
    if not error and status not in (0, 1, 2):
        error = f"exit status {status}"
    if not error and status and len(lines) != 1:
        error = f"exit status {status} with {len(lines)} lines: {b' / '.join(lines)[:600]!r}"
    error = error and f"stylebench {' '.join(args)}: {error}"
    return status, error, memory.read() - before


def judge(case: Case, folder: Path) -> Outcome:
    """Run the commands of a case in an empty folder, and return how they went."""
    began = time.process_time()
    place, told = folder / "case", folder / "told"
    for made in (place, told):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
    (place / case.name).write_bytes(case.data)
    (place / PLAIN).write_text("statistics_images: []\nsmoothing: [none]\n")
    os.chdir(place)
    os.environ["STYLEBENCH_CACHE"] = str(folder / "told" / "cache")
    found = [run(args, told) for args in commands(case.kind, case.name)]
    wrong = [error for _, error, _ in found if error]
    left = {path.name for path in place.iterdir()} - {case.name, PLAIN, "out"}
    if CANARY in left:
        wrong.append("it was executed: there is a canary")
    elif left:
        wrong.append(f"it wrote {sorted(left)}")
    statuses, _, peaks = zip(*found, strict=True)
    return Outcome(max(statuses), "; ".join(wrong), time.process_time() - began, max(peaks))


def _watch(memory: float) -> None:
    """End this process where it takes too much."""
    from stylebench import runtime

    used = runtime.PeakMemory("cpu")
    while used.read() < memory:
        time.sleep(0.05)
    os._exit(9)


def begin(folder: Path, memory: float) -> None:
    """Let this process know nothing of its machine's weights and networks, and load all it needs.

    It may take so many MB.
    """
    from stylebench import runtime

    os.environ |= {"STYLEBENCH_OFFLINE": "1", "TORCH_HOME": str(folder), "HF_HOME": str(folder),
                   "HF_HUB_OFFLINE": "1"}  # fmt: skip
    os.environ.pop("STYLEBENCH_WEIGHTS", None)
    runtime.configure(threads=1)
    for case in (Case("yamls", "x.yaml", FULL.encode(), "undamaged"), good()):
        judge(case, folder)
    threading.Thread(target=_watch, args=(memory,), daemon=True).start()
