"""bench/gpu.py at a toy's size, without a GPU: every step ends, and leaves what it should."""

import subprocess
import sys
from pathlib import Path

import pytest

from stylebench import store

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_every_step_leaves_its_text_and_the_experiment_its_tables(tmp_path: Path) -> None:
    command = [sys.executable, "bench/gpu.py", str(tmp_path / "out"), "--tiny", "--device", "cpu"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told = dict(line.split(": ", 1) for line in ran.stdout.splitlines())
    assert told.keys() == {"tests", "bench", "closure", "frontier"}
    assert all(how.startswith("exit 0, ") for how in told.values()), told
    results = store.load(tmp_path / "out" / "experiments" / "frontier")
    assert set(results.results["status"]) == {"ok"}
    assert (results.folder / "figures" / "grid.jpg").is_file()
    assert not (results.folder / "jobs").exists()
