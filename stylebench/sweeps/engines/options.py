"""Which engine, and what it may spend on a job; no number depends on it."""

import math
import os
from dataclasses import dataclass
from typing import Any

from stylebench.errors import InputError

ENGINES = ("inline", "local", "ray")
TIME_LIMIT = 86400.0
"""Seconds: a day. Long enough for any job of ours, short enough for a worker that hangs."""
RETRIES = 2


@dataclass(frozen=True)
class EngineOptions:
    """Where jobs run, and how often and how long each may be tried.

    Attributes:
        name: one of `ENGINES`.
        device: as torch names it; ``cuda`` with several workers is all GPUs in turn.
        workers: processes of ``local``, one thread each; at most so many tasks at once of ``ray``,
            where 0 is what the cluster has room for.
        batch: the most stylisations to compute together; None: `stylebench.sweeps.batches` decides.
        time_limit: seconds for each job of a group before its worker is stopped; 0: none.
        retries: how often a job is tried again after its worker died or was stopped.
        address: of a Ray cluster; None starts one on this machine, or takes the one that
            ``RAY_ADDRESS`` names.
    """

    name: str = "inline"
    device: str = "cpu"
    workers: int = 1
    batch: int | None = None
    time_limit: float = TIME_LIMIT
    retries: int = RETRIES
    address: str | None = None


def choose(name: str, device: str, **given: Any) -> EngineOptions:
    """Return an engine's options; what is not given (None) is as it is best for that engine.

    Raises:
        InputError: no such engine, a value out of range, or one that means nothing to this engine.
    """
    if name not in ENGINES:
        raise InputError(f"--engine expects {', '.join(ENGINES)}, found {name!r}")
    keys = {key: value for key, value in given.items() if value is not None}
    if name == "inline" and keys.get("workers", 1) > 1:
        raise InputError("--engine inline has one process; use --engine local for --jobs")
    for key, flag in (("time_limit", "--time-limit"), ("retries", "--retries")):
        if name == "inline" and key in keys:
            raise InputError(f"{flag} is of worker processes; add --engine local")
        if not 0 <= keys.get(key, 0) < math.inf:
            none = " (0: no limit)" if key == "time_limit" else ""
            raise InputError(f"{flag} expects 0 or more{none}, found {keys[key]:g}")
    if name != "ray" and "address" in keys:
        raise InputError("--address is of a Ray cluster; add --engine ray")
    if name == "ray" and device not in ("cpu", "cuda"):
        raise InputError(f"--engine ray expects --device cpu or cuda, found {device!r}")
    workers = {"inline": 1, "local": slots(device), "ray": 0}[name]
    return EngineOptions(name=name, device=device, **{"workers": workers, **keys})


def slots(device: str) -> int:
    """Return the workers that this machine has room for: cores, or GPUs."""
    if device != "cuda":
        return (os.cpu_count() or 1) if device == "cpu" else 1
    import torch

    return torch.cuda.device_count()
