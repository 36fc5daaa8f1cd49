"""Sweeps of the tiny backbone for the fault scripts: begun, watched, killed and compared."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stylebench import store

QUIET = (
    sys.executable,
    "-c",
    "from stylebench import figures; figures.draw = lambda *_: iter(());"
    "from stylebench.cli.main import main; main()",
)
"""The command without figures, which take longer than all the rest of a tiny sweep."""
CHANGING = ["seconds", "finished", "peak_memory_mb", "batch"]
"""Columns of results.parquet that no two runs have in common."""


def write(path: Path, **changes: Any) -> Path:
    """Write an experiment: 5 × 4 pairs, 2 smoothings, which are 40 jobs, and no statistics."""
    config = {
        "name": "faults",
        "arch": ["r-tiny"],
        "smoothing": ["none", "softmax"],
        "content": ["chelsea", "coffee", "rocket", "flower", "china"],
        "style": ["brush", "mosaic", "pointillism", "woodcut"],
        "pairing": "product",
        "statistics_images": [],
        "size": 32,
        "evals": 60,
        "precision": "fp32",
        "optimiser": {"name": "adam"},
        **changes,
    }
    path.write_text(yaml.safe_dump(config))
    return path


def environment() -> dict[str, str]:
    """Return the environment of a sweep: one thread, so that numbers are equal to the last bit."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "STYLEBENCH_OFFLINE": "1"}


def start(
    config: Path, out: Path, *flags: object, stdout: int = subprocess.DEVNULL
) -> "subprocess.Popen[str]":
    """Start a sweep in a session of its own, so that all of its processes can be killed."""
    command = [*QUIET, "sweep", str(config), "--out", str(out), *map(str, flags)]
    return subprocess.Popen(
        command, env=environment(), start_new_session=True, text=True,
        stdout=stdout, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(config: Path, out: Path, *flags: object) -> "subprocess.CompletedProcess[str]":
    """Run a sweep to its end."""
    process = start(config, out, *flags, stdout=subprocess.PIPE)
    told, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, told, errors)


def kill(pid: int) -> bool:
    """Kill a process as the system does when memory is out; tell whether there was one."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def children(pid: int) -> list[int]:
    """Return the processes that any thread of a process started, on Linux."""
    found: list[int] = []
    for place in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, place.read_text().split())
    return found


def workers(pid: int) -> list[int]:
    """Return the worker processes of a sweep."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    """Return job id -> (inode, time of change) of the records of all jobs in place."""
    found = {}
    for path in out.glob("jobs/[!.]*/record.json"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            found[path.parent.name] = stat.st_ino, stat.st_mtime_ns
    return found


def differences(one: Path, other: Path) -> list[str]:
    """Return in which tables two results folders differ, but for times: equal to the last bit."""
    found = []
    for name in ("results.parquet", "trace.parquet"):
        mine, theirs = (_comparable(out / name) for out in (one, other))
        try:
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        except AssertionError as error:
            found.append(f"{name}: {' '.join(str(error).split())[:200]}")
    return found


def _comparable(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    frame = frame.drop(columns=[column for column in CHANGING if column in frame])
    keys = [column for column in ("job_id", "evaluation") if column in frame]
    return frame.sort_values(keys, ignore_index=True) if keys else frame


def broken(out: Path) -> list[str]:
    """Return the tables, pictures, databases and job folders that cannot be read whole."""
    found = []
    for path in out.rglob("*.parquet"):
        if ".tmp" not in str(path.relative_to(out)):
            try:
                pd.read_parquet(path)
            except (OSError, ValueError):
                found.append(str(path.relative_to(out)))
    for path in out.glob("images/[!.]*"):
        try:
            store.read_picture(path)
        except (OSError, ValueError):
            found.append(str(path.relative_to(out)))
    if (out / "mlflow.db").exists():
        try:
            with contextlib.closing(sqlite3.connect(out / "mlflow.db")) as database:
                ((said,),) = database.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.Error as error:
            said = str(error)
        found += [] if said == "ok" else [f"mlflow.db: {said}"]
    folders = [f for kind in store.FOLDERS.values() for f in (out / kind).glob("[!.]*")]
    return found + [str(f.relative_to(out)) for f in folders if store.read_record(f) is None]


def not_logged_once(out: Path) -> int:
    """Return how many jobs of those in place MLflow's database in OUT has not once and whole."""
    query = (
        "SELECT tags.value FROM tags JOIN runs USING (run_uuid) WHERE tags.key = 'job_id' "
        "AND runs.lifecycle_stage = 'active' AND runs.status IN ('FINISHED', 'FAILED')"
    )
    with contextlib.closing(sqlite3.connect(out / "mlflow.db")) as database:
        rows = database.execute(query).fetchall()
    counts = Counter(job_id for (job_id,) in rows)
    return sum(counts[job_id] != 1 for job_id in stamps(out))


def wait_for(true: Callable[[], object], seconds: float = 120.0) -> bool:
    """Wait until something is true and return whether it became so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield an empty folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="stylebench-faults-") as name:
        yield Path(name)
