"""Precision: which one a device gets, and what is refused."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stylebench import runtime
from stylebench.errors import InputError


@pytest.fixture
def arithmetic() -> Iterator[None]:
    yield
    runtime.configure()


def machine(
    monkeypatch: pytest.MonkeyPatch,
    cpu: dict[str, bool] | None = None,
    gpu: tuple[int, int] = (7, 5),
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: cpu or {}, raising=False)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: gpu)


@pytest.mark.parametrize(
    ("device", "known", "precision"),
    [
        ("cpu", {}, "fp32"),
        ("cpu", {"cpu": {"amx_bf16": False, "avx512_bf16": False, "avx512_f": True}}, "fp32"),
        ("cpu", {"cpu": {"amx_bf16": True}}, "bf16"),
        ("cpu", {"cpu": {"amx_bf16": False, "avx512_bf16": True}}, "bf16"),
        ("cuda", {"gpu": (7, 5), "cpu": {"amx_bf16": True}}, "fp32"),
        ("cuda:1", {"gpu": (8, 0)}, "bf16"),
        ("cuda", {"gpu": (12, 0)}, "bf16"),
        ("mps", {"cpu": {"amx_bf16": True}}, "fp32"),
    ],
)
def test_auto_is_bf16_where_the_device_is_fast_at_it(
    device: str, known: dict[str, Any], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, **known)
    assert runtime.resolve_precision("auto", device) == precision


def test_auto_is_fp32_where_torch_tells_nothing_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("torch.cpu.get_capabilities", raising=False)
    assert runtime.resolve_precision("auto", "cpu") == "fp32"


def test_what_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpu=(8, 6))
    for device in ("cpu", "cuda", "mps"):
        assert runtime.resolve_precision("fp32", device) == "fp32"
        assert runtime.resolve_precision("bf16", device) == "bf16"
    assert runtime.resolve_precision("tf32", "cuda:0") == "tf32"


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
def test_tf32_elsewhere_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {"amx_bf16": True}, gpu=(7, 5))
    with pytest.raises(InputError, match=rf"tf32 needs .*, not {device}; use auto or fp32"):
        runtime.resolve_precision("tf32", device)


def test_unknown_precisions_are_told() -> None:
    with pytest.raises(InputError, match="expects auto, fp32, tf32, bf16, found 'fp16'"):
        runtime.resolve_precision("fp16", "cpu")


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_for_convolutions_alone(tf32: bool) -> None:
    runtime.configure(tf32=tf32)
    assert torch.backends.cudnn.allow_tf32 == tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_denormals_are_zero_on_every_thread() -> None:
    """In a process of its own: threads keep the mode in which they were started."""
    code = (
        "import torch; from stylebench import runtime; runtime.configure(threads=2); "
        "x = torch.full((2**22,), 1e-38) * 0.01; assert torch.get_num_threads() == 2; "
        "print(int((x != 0).sum()))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "0"


gnu = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libgomp tells how it waits")
SPINS = re.compile(r"GOMP_SPINCOUNT = '(\d+)'")

OF_WORKERS = """
import torch
from tests.sweeps.engines.engines import options, planned, run
from pathlib import Path
import sys

if __name__ == "__main__":
    specs = planned(smoothing=["none"], statistics_images=[], evals=1)
    run(specs, Path(sys.argv[1]), options("local", workers=1))
"""


def spins(*command: str, **given: str) -> list[str]:
    """Return how long threads spin in each process of a command that loads OpenMP, in turns."""
    env = {key: value for key, value in os.environ.items() if key not in runtime.WAITING}
    env |= {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": os.pathsep.join(sys.path), **given}
    ran = subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, check=True
    )
    return SPINS.findall(ran.stderr)


@gnu
def test_the_command_waits_passively() -> None:
    """OpenMP itself says so."""
    command = "from stylebench.cli.main import main; main()"
    assert spins("-c", command, "ls", "statistics") == [runtime.WAITING["GOMP_SPINCOUNT"]]


@pytest.mark.slow
@gnu
def test_workers_wait_passively_whoever_starts_them(tmp_path: Path) -> None:
    """From Python, where torch was imported before: this process spins, its worker does not."""
    script = tmp_path / "of_workers.py"
    script.write_text(OF_WORKERS)
    parent, *workers = spins(str(script), str(tmp_path / "out"))
    assert int(parent) > int(runtime.WAITING["GOMP_SPINCOUNT"])
    assert set(workers) == {runtime.WAITING["GOMP_SPINCOUNT"]}


@pytest.mark.parametrize(
    "given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "infinity"}, {}]
)
def test_who_says_how_threads_wait_is_obeyed(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in runtime.WAITING:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    runtime.wait_passively()
    found = {name: os.environ[name] for name in runtime.WAITING if name in os.environ}
    assert found == (given or runtime.WAITING)


def hostile(folder: Path, *names: str) -> Path:
    """Make a folder of modules of these names, each of which writes its name into ``ran``."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.py").write_text(f"open('{folder / 'ran'}', 'a').write('{name} ')")
    return folder


def run_in(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with a hostile working directory; nothing of it may run."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONSAFEPATH", None)
    ran = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert not (folder / "ran").exists(), (folder / "ran").read_text()
    assert ran.returncode == 0, ran.stderr
    return ran


STARTED = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from stylebench import runtime

if __name__ == "__main__":
    with ProcessPoolExecutor(1, runtime.process_context()) as pool:
        print(pool.submit(len, "abc").result())
    print("PYTHONSAFEPATH" in os.environ)
"""


def test_worker_processes_import_nothing_from_the_working_directory(tmp_path: Path) -> None:
    modules = ("signal", "struct", "pickle", "selectors", "socket", "warnings", "stylebench")
    (tmp_path / "script.py").write_text(STARTED)
    folder = hostile(tmp_path / "here", *modules)
    ran = run_in(folder, str(tmp_path / "script.py"))
    assert ran.stdout.split() == ["3", "False"]
    assert ran.stderr == ""


def test_all_worker_processes_are_started_so() -> None:
    root = Path(runtime.__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.py")}
    starts = re.compile(r"get_context\(|ProcessPool\w*\(|Process\(|Popen\(|subprocess\.\w+\(")
    found = {name for name, text in sources.items() if starts.search(text)}
    ours = {"timing/bench.py", "sweeps/engines/local.py", "sweeps/judge.py"}
    assert found == {*ours, "weights/packages.py", "runtime.py"}
    assert all("process_context()" in sources[name] for name in ours)


def test_the_module_as_a_command_takes_packages_from_where_they_are_installed(
    tmp_path: Path,
) -> None:
    folder = hostile(tmp_path / "here", "typer", "torch", "numpy", "multiprocessing")
    assert "softmax" in run_in(folder, "-m", "stylebench", "ls", "smoothings").stdout
