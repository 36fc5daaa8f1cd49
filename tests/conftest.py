"""What all tests share: one thread, no weights or caches of their machine, made-up results."""

import dataclasses
import functools
import gc
import hashlib
import io
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from stylebench import files, runtime
from stylebench.tracking import address

runtime.wait_passively()

import torch  # noqa: E402  after OpenMP has been told how to wait

from stylebench.backbones.spec import ARCHS  # noqa: E402
from stylebench.backbones.tiny import tiny  # noqa: E402
from stylebench.registry import PLUGINS, Registry  # noqa: E402

if TYPE_CHECKING:
    from stylebench.store import Results


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Return a process more than there are cores: tests of engines and servers mostly wait."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one process, and all that look for Ray's processes in one."""
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class ByFile(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/sweeps/engines" if file.startswith("tests/sweeps/engines/") else file

    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what stays in one process and mostly waits, so that others never wait for it."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/sweeps/engines/"))


def pytest_collection_finish() -> None:
    """Leave what is there for good out of garbage collections: else one takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _arithmetic() -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    runtime.configure(threads=max(1, min(2, torch.get_num_threads() // workers)))


@pytest.fixture(scope="session", autouse=True)
def _interrupts() -> None:
    """Let commands that tests start be interrupted: behind ``&`` a shell has them ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_mlflow_of_this_machine() -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """Let typer make its commands once: else it does so for each of thousands that tests run."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("typer.main.get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_empty_database() -> Iterator[None]:
    """Let MLflow make its tables once, as it takes seconds for them; folders begin with a copy."""
    create = address.create

    @functools.cache
    def made() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            create(Path(folder, "mlflow.db"))
            return Path(folder, "mlflow.db").read_bytes()

    def copy(place: Path) -> None:
        with files.replacing(place) as file:
            file.write(made())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(address, "create", copy)
        yield


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide every pretrained weights file of this machine, and never download any."""
    monkeypatch.setenv("STYLEBENCH_OFFLINE", "1")
    monkeypatch.delenv("STYLEBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))
    monkeypatch.setenv("STYLEBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> "Results":
    """Return a results folder with made-up numbers."""
    from tests.results import make

    return make(tmp_path_factory.mktemp("results") / "out")


@pytest.fixture
def pretrained_tiny(no_weights: None, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Give the tiny backbone a checkpoint, which a server may publish; return its bytes."""
    buffer = io.BytesIO()
    torch.save(tiny().state_dict(), buffer)
    name = f"tiny-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth"
    published = dataclasses.replace(ARCHS["tiny"], checkpoint=name)
    monkeypatch.setitem(ARCHS._entries, "tiny", published)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: a tiny network gains nothing by more, and waits for busy cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(before)


@pytest.fixture
def unloaded() -> Iterator[None]:
    """Forget the plug-ins that a test loads."""
    before = set(PLUGINS)
    yield
    for name in set(PLUGINS) - before:
        Registry.forget(name)
        del PLUGINS[name]
