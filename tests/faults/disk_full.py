"""A disk that is full, met while writing job folders, tables, pictures and MLflow's database.

python -m tests.faults.disk_full        (needs to mount a tmpfs: root, or user namespaces)
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

JOBS = 8
ENOUGH = "64m"


def _mount(place: Path, size: str, *options: str) -> None:
    option = ",".join([*options, f"size={size}"])
    command = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(place)]
    subprocess.run(command, check=True, capture_output=True)


def _once(folder: Path, kilobytes: int) -> tuple[str, list[str]]:
    """Fill a disk of that size, then make space; return (what it met, troubles)."""
    config, out = folder / "faults.yaml", folder / f"disk-{kilobytes}"
    out.mkdir()
    _mount(out, f"{kilobytes}k")
    try:
        full = sweeps.run(config, out, "--jobs", 2, "--batch", 1)
        troubles = [f"{kilobytes} kB: broken {path}" for path in sweeps.broken(out)]
        lines = full.stderr.strip().splitlines()
        said = lines[-1] if lines else ""
        if full.returncode not in (0, 1) or len(lines) > 1:
            troubles.append(f"{kilobytes} kB: exit {full.returncode}: {full.stderr[-300:]}")
        if full.returncode == 1 and "No space left on device" not in said:
            troubles.append(f"{kilobytes} kB: it said {said!r}")
        jobs, before = f"{len(sweeps.stamps(out))} jobs kept", sweeps.stamps(out)
        if full.returncode == 0 and (len(before) != JOBS or "not in MLflow" not in full.stdout):
            troubles.append(f"{kilobytes} kB: exit 0 with {jobs}: {full.stdout[-300:]}")
        _mount(out, ENOUGH, "remount")
        again = sweeps.run(config, out, "--jobs", 2, "--batch", 1)
        after = sweeps.stamps(out)
        if again.returncode or len(after) != JOBS:
            troubles.append(f"{kilobytes} kB: after space was made: {again.stderr[-300:]}")
        if any(after[job_id] != stamp for job_id, stamp in before.items()):
            troubles.append(f"{kilobytes} kB: a finished job was done again")
        if wrong := sweeps.not_logged_once(out):
            troubles.append(f"{kilobytes} kB: {wrong} jobs are not in MLflow once")
        troubles += sweeps.broken(out) + sweeps.differences(folder / "undisturbed", out)
    finally:
        subprocess.run(["umount", "-l", str(out)], check=False)
    return f"exit {full.returncode} with {jobs}", troubles


def measure(times: int) -> list[Outcome]:
    """Run a sweep on disks of sizes from nothing to nearly enough."""
    with sweeps.folder() as folder:
        changes = {"content": ["chelsea"], "size": 96, "evals": 20}
        config = sweeps.write(folder / "faults.yaml", **changes)
        whole = sweeps.run(config, folder / "undisturbed", "--jobs", 2, "--batch", 1)
        assert whole.returncode == 0, whole.stderr
        used = sum(f.stat().st_blocks * 512 for f in (folder / "undisturbed").rglob("*"))
        sizes = [round(used / 1024 * (index + 0.5) / times) for index in range(times)]
        found = [_once(folder, size) for size in sizes]
    troubles = [trouble for _, each in found for trouble in each]
    said = [f"{size} kB: {each}" for size, (each, _) in zip(sizes, found, strict=True)]
    return [
        Outcome(
            f"disk full at {times} places of a sweep that needs {used // 1024} kB",
            "one clear line, exit 1 (where MLflow's database alone does not fit: a line and 0), "
            "nothing corrupt; goes on after space is made",
            "; ".join(troubles or said),
            not troubles,
        )
    ]


def _as_root() -> None:
    """Run this script again in a user namespace if this user may not mount."""
    if os.geteuid() and "STYLEBENCH_NAMESPACE" not in os.environ and shutil.which("unshare"):
        command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m"]
        environment = {**os.environ, "STYLEBENCH_NAMESPACE": "1"}
        os.execvpe(command[0], [*command, "tests.faults.disk_full", *sys.argv[1:]], environment)


if __name__ == "__main__":
    _as_root()
    main(measure, 8, str(__doc__))
