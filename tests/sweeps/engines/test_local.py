"""Worker processes of this machine: batches that a job kills, slots, workers of a dead parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stylebench.sweeps.engines.local import devices
from tests.faults.sweeps import children
from tests.sweeps.engines.engines import wait_for

DEADLY = """
import os, pathlib, sys
from stylebench.sweeps import engines, job, plan
from stylebench.sweeps.experiment import load_sweep

real = job.load_pair

def load_pair(spec, device):
    if spec.content.name == "rocket":
        os._exit(9)
    return real(spec, device)

job.load_pair = load_pair  # in the workers too, which import this file

if __name__ == "__main__":
    keys = {"arch": ["r-tiny"], "size": 32, "resize": "squash", "evals": 2, "style": ["brush"],
            "statistics_images": [], "pairing": "product", "smoothing": ["none"],
            "content": ["chelsea", "coffee", "rocket", "flower"]}
    jobs = plan.expand(load_sweep(None, keys)).jobs
    how = engines.EngineOptions(name="local", workers=2, retries=1)
    for record in engines.run(jobs, pathlib.Path(sys.argv[1]), how):
        print(record.stylisation.content.name, record.status, record.error[-13:])
"""


@pytest.mark.slow
def test_a_job_that_kills_its_worker_costs_its_batch_nothing(tmp_path: Path) -> None:
    script = tmp_path / "deadly.py"
    script.write_text(DEADLY)
    found = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(found.stdout.splitlines()) == [
        "chelsea ok ", "coffee ok ", "flower ok ", "rocket failed tried 2 times",
    ]  # fmt: skip


ENDLESS = """
import pathlib, sys
from stylebench.sweeps import engines
from tests.sweeps.engines.engines import ENDLESS, planned

if __name__ == "__main__":
    list(engines.run(planned(**ENDLESS), pathlib.Path(sys.argv[1]),
                    engines.EngineOptions(name="local", workers=1)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers in /proc")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    root = str(Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path / "out")], env=env)
    try:
        wait_for(lambda: list(tmp_path.glob("out/jobs/.tmp-*")))
        workers = children(parent.pid)
        assert workers
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not any(Path(f"/proc/{pid}/status").exists() for pid in workers), 10)
    finally:
        parent.kill()


def test_each_worker_has_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices("cpu", 3) == ["cpu"] * 3
    assert devices("cuda", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices("cuda:1", 2) == ["cuda:1", "cuda:1"]
