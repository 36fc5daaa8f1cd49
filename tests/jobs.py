"""Made-up jobs, and job folders as `run_job` leaves them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stylebench import images, store
from stylebench.config import (
    ImageRef,
    JobSpec,
    LossSpec,
    OptimiserSpec,
    SmoothingSpec,
    WeightsRef,
)
from stylebench.store import JobRecord

BUDGET = {"term": ["content", "tv"], "layer": ["stage3", ""], "gradient": [2.0, 0.0]}


def job(**changes: Any) -> JobSpec:
    fields: dict[str, Any] = {
        "arch": "p-vgg19",
        "nodes": {"features.1": "relu1_1"},
        "weights": WeightsRef(source="file:a.safetensors", sha256="a" * 64, path="/x/a"),
        "smoothing": SmoothingSpec(name="none"),
        "content": ImageRef(name="c", ref="/x/c.png", digest="1"),
        "style": ImageRef(name="s", ref="/x/s.png", digest="2"),
        "preset": "balanced",
        "loss": LossSpec(),
        "optimiser": OptimiserSpec(),
        "start": "content",
        "size": 64,
        "resize": "aspect",
        "evals": 5,
        "seed": 0,
        "precision": "fp32",
    }
    return JobSpec(**{**fields, **changes})


def finish(out: Path, spec: JobSpec, status: str = "ok", **fields: Any) -> None:
    """Put a job in place as run_job does, with a grey picture."""
    known = {"finished": 1.0, "seconds": 1.0, "evals": 2, **fields}
    record = JobRecord.of(spec, status=status, **known)
    with store.job_folder(out, "transfer", spec.job_id) as folder:
        for name in ("result", "content", "style"):
            images.save(folder / f"{name}.png", np.full((20, 30, 3), 99, np.uint8))
        trace = {"evaluation": [1, 2], "loss": [2.0, 1.0], "content_loss": [0.0, 0.1],
                 "style_loss": [2.0, 0.9], "tv_loss": [0.0, 0.0]}  # fmt: skip
        pd.DataFrame(trace).to_parquet(folder / "trace.parquet")
        if spec.gradients:
            pd.DataFrame(BUDGET).to_parquet(folder / "gradients.parquet")
        store.write_record(folder, record)


def add(out: Path, arch: str = "r-vgg19", **changes: Any) -> JobSpec:
    """Put a finished job with noise for pictures in place."""
    weights = WeightsRef(source="random:0")
    spec = job(arch=arch, weights=weights, **changes)
    finish(out, spec)
    draw = np.random.default_rng(len(spec.content.name))
    for name in ("result", "content", "style"):
        pixels = draw.integers(0, 256, (64, 72, 3), dtype=np.uint8)
        images.save(out / "jobs" / spec.job_id / f"{name}.png", pixels)
    store.compact(out)
    return spec
