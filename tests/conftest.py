"""What all tests share: one thread, and no weights or caches of the machine they run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stylebench import runtime


@pytest.fixture(scope="session", autouse=True)
def _arithmetic() -> None:
    runtime.configure(threads=min(2, torch.get_num_threads()))


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide every pretrained weights file of this machine."""
    monkeypatch.delenv("STYLEBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))
    monkeypatch.setenv("STYLEBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: a tiny network gains nothing by more, and waits for busy cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(before)
