"""The machine: device, threads, peak memory, and the versions that stand beside every number."""

import contextlib
import gc
import importlib.metadata
import os
import platform
import resource
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stylebench import __version__
from stylebench.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from stylebench.config import Precision

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "pandas", "mlflow", "pillow",
            "scikit-image", "scikit-learn")  # fmt: skip


def resolve_device(name: str, *, here: bool = True) -> str:
    """Return a torch device that exists here for ``auto | cpu | cuda | cuda:N | mps``.

    Args:
        name: the device.
        here: False lets ``cuda`` pass, which other machines may have.

    Raises:
        InputError: the name is none of these, or this machine has no such device.
    """
    import torch

    kind, _, index = name.partition(":")
    if name == "cuda" and not here:
        return name
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cpu":
        return name
    if name == "mps" and torch.backends.mps.is_available():
        return name
    count = torch.cuda.device_count() if kind == "cuda" else 0
    if count and (name == "cuda" or (index.isdigit() and int(index) < count)):
        return name
    if name in ("mps", "cuda") or (kind == "cuda" and index.isdigit()):
        raise InputError(f"--device {name}: this machine has no such device; use auto or cpu")
    raise InputError(f"--device expects auto, cpu, cuda, cuda:N or mps, found {name!r}")


WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
"""What `wait_passively` adds to the environment; the second, GNU's, is turns of a loop."""


def wait_passively() -> None:
    """Let threads that wait for each other soon sleep, unless the user has said how they wait.

    By default they spin for milliseconds, on cores that other programs need: beside as many busy
    processes as cores a job takes eleven times as long, and about twice as long if they soon sleep.
    GNU's OpenMP spins for 0.3 million turns by default; with none at all a quiet machine loses 5 %
    (docs/performance.md). OpenMP reads this once: call it before torch is imported, or before
    processes are started that import it.
    """
    if not WAITING.keys() & os.environ.keys():
        os.environ.update(WAITING)


_STARTING = threading.Lock()


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Have Python processes that are started meanwhile import nothing from the working directory.

    A results folder or a download may lie there, with a ``signal.py`` of anybody's. The variable is
    taken back: what a user starts later is no business of ours.
    """
    name = "PYTHONSAFEPATH"
    with _STARTING:
        before = os.environ.get(name)
        os.environ[name] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


class _SafeProcess(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802  multiprocessing's name
        with _safe_path():
            return SpawnProcess._Popen(process_obj)


class _SafeContext(SpawnContext):
    Process = _SafeProcess


def process_context() -> SpawnContext:
    """Return the context in which worker processes are started: anew, and under `_safe_path`.

    They import what this process can, from its ``sys.path``.
    """
    with _safe_path():
        resource_tracker.ensure_running()  # a process too, which the first semaphore would start
    return _SafeContext()


WEIGHTS = {"TORCH_HOME": "torch", "HF_HOME": "huggingface", "STYLEBENCH_CACHE": "stylebench"}
"""Where weights are looked for: variable -> folder in the user's cache."""


def have_home() -> None:
    """Have a home, where caches go, for a user without one to write into, as containers have.

    It is a folder of the user's own in that of temporary files, the same the next time. Weights in
    a home that can only be read are still found. Where no folder can be made, nothing is changed.
    """
    if not Path(os.environ.get("HOME", "/")).is_absolute():
        del os.environ["HOME"]  # the system knows the user's
    before = Path(os.path.expanduser("~"))  # noqa: PTH111  Path.expanduser raises
    if before.is_absolute() and os.access(before, os.R_OK | os.W_OK | os.X_OK):
        return
    with contextlib.suppress(OSError):
        os.environ["HOME"] = str(_temporary_home())
    for name, folder in WEIGHTS.items():
        cache = Path(os.environ.get("XDG_CACHE_HOME") or before / ".cache", folder)
        if cache.is_absolute() and os.access(cache, os.R_OK | os.X_OK):
            os.environ.setdefault(name, str(cache))


def _temporary_home() -> Path:
    """Return a folder of the user's own in that of temporary files."""
    home = Path(tempfile.gettempdir()) / f"stylebench-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        home.mkdir(0o700)
    status = home.lstat()
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if own and not status.st_mode & 0o077:
        return home
    return Path(tempfile.mkdtemp(prefix="stylebench-"))


PRECISIONS = ("auto", "fp32", "tf32", "bf16")


def _has_tensor_cores(device: str) -> bool:
    """Tell whether a CUDA device has tensor cores for bf16 and TF32: Ampere and later."""
    import torch

    if not device.startswith("cuda"):
        return False
    try:
        return torch.cuda.get_device_capability(device) >= (8, 0)
    except (RuntimeError, AssertionError):
        raise InputError(
            "which precisions a GPU is fast at cannot be asked of this machine, which has none; "
            "give --precision fp32 or bf16"
        ) from None


def processor() -> Mapping[str, object]:
    """Return what torch knows of the processor; nothing in a torch that cannot tell."""
    import torch

    known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return known


def bf16_units() -> list[str]:
    """Return the processor's units for products of bf16: ``amx_bf16``, ``avx512_bf16``."""
    known = processor()
    return [unit for unit in ("amx_bf16", "avx512_bf16") if known.get(unit)]


def _is_fast_at_bf16(device: str) -> bool:
    """Tell whether a device has units for products of bf16: AMX, AVX512-BF16 or tensor cores."""
    return bool(bf16_units()) if device == "cpu" else _has_tensor_cores(device)


def resolve_precision(name: str, device: str) -> "Precision":
    """Return ``fp32``, ``tf32`` or ``bf16`` for ``auto | fp32 | tf32 | bf16``.

    Args:
        name: ``auto`` is bf16 where the device is fast at it, fp32 elsewhere.
        device: as `resolve_device` returned it.

    Raises:
        InputError: the name is none of these, or tf32 where there is none.
    """
    if name not in PRECISIONS:
        raise InputError(f"--precision expects {', '.join(PRECISIONS)}, found {name!r}")
    if name == "auto":
        return "bf16" if _is_fast_at_bf16(device) else "fp32"
    if name == "tf32" and not _has_tensor_cores(device):
        raise InputError(
            f"--precision tf32 needs a CUDA GPU of compute capability 8.0 or later, not {device}; "
            "use auto or fp32"
        )
    return cast("Precision", name)


def configure(threads: int | None = None, *, tf32: bool = False) -> None:
    """Make fp32 mean fp32, cuDNN deterministic and denormals zero; set `threads` if given.

    Results are equal on the same machine and number of threads; others differ by rounding. Threads
    take over from the one that starts them what becomes of denormals: call this before the first
    tensor is made.

    Args:
        threads: of torch; as it is if None.
        tf32: let convolutions on CUDA round to TF32 (precision ``tf32``). Products of matrices,
            which are Gram matrices and L-BFGS's, never do.
    """
    import torch

    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False

    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_flush_denormal(True)
    if threads is not None:
        torch.set_num_threads(threads)


def float32(tensor: "Tensor") -> "Tensor":
    """Return a tensor in single precision, or as it is where it is wider."""
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def float64(tensor: "Tensor") -> "Tensor":
    """Return a tensor in double precision, on the CPU where its device has none (mps)."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def free_memory(device: str) -> None:
    """Give back what torch holds for tensors that are gone."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


class PeakMemory:
    """Peak memory in MB since the object was made.

    On CUDA the peak of the allocator; otherwise the peak resident set of this process, which Linux
    can reset; elsewhere it is the peak since the process began.
    """

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._device = device
        if self._cuda:
            import torch

            torch.cuda.reset_peak_memory_stats(device)
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def read(self) -> float:
        """Return the peak in MB (1e6 bytes)."""
        if self._cuda:
            import torch

            return float(torch.cuda.max_memory_allocated(self._device)) / 1e6
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return float(line.split()[1]) * 1024 / 1e6
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def environment() -> Mapping[str, str]:
    """Return what produced a number: versions of stylebench, Python and packages, and the CPU.

    MLflow is left out where it is not installed, see `stylebench.tracking.address.OFF`.
    """
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "stylebench": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": str(os.cpu_count()),
        **versions,
    }
