"""The unit of work: one stylisation, or the statistics of one backbone, from spec to record.

A job knows nothing of engines, other jobs or tracking. It writes into a temporary folder, which
`stylebench.store` moves into place when it is complete.
"""

import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stylebench import images, runtime, store
from stylebench.backbones.extractor import build
from stylebench.config import ImageRef, JobSpec, StatisticsSpec
from stylebench.errors import InputError
from stylebench.stats import measure_backbone
from stylebench.transfer import Stylization, stylize


def load_image(
    ref: ImageRef, size: int, resize: Literal["aspect", "squash"], device: str
) -> Tensor:
    """Return a picture as (1, 3, H, W) in [0, 1]; one that is not what was planned is refused."""
    if images.digest(ref.ref, size) != ref.digest:
        raise InputError(f"{ref.ref}: the picture changed after the job was planned; plan it again")
    pixels = torch.from_numpy(images.read(ref.ref, size, resize=resize).copy())
    return (pixels.permute(2, 0, 1).unsqueeze(0).float() / 255).contiguous().to(device)


def to_pixels(image: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return (1, 3, H, W) in [0, 1] as uint8 (H, W, 3)."""
    pixels = (image[0].detach().cpu().permute(1, 2, 0) * 255).round().clamp(0, 255)
    return pixels.to(torch.uint8).numpy()


def _fields(found: Stylization) -> dict[str, Any]:
    """Return what a stylisation adds to a record."""
    return {
        "evals": len(found.trace),
        "loss_initial": found.initial.loss,
        "loss_final": found.final.loss,
        "content_loss": found.final.content_loss,
        "style_loss": found.final.style_loss,
        "style_loss_initial": found.initial.style_loss,
        "tv_loss": found.final.tv_loss,
        "style_layers": found.style_layers,
        "stop_reason": found.stop_reason,
        "flags": list(found.flags),
        "moved": found.moved,
        "objective_scale": found.objective_scale,
        "initial_gradient": found.initial_gradient,
    }


def _stylize(spec: JobSpec, device: str, folder: Path) -> dict[str, Any]:
    backbone = build(
        spec.arch, spec.weights, spec.seed,
        nodes=spec.chosen, precision=spec.precision, device=device,
    )  # fmt: skip
    content = load_image(spec.content, spec.size, spec.resize, device)
    style = load_image(spec.style, spec.size, spec.resize, device)
    found = stylize(
        backbone,
        content,
        style,
        smooth=spec.smoothing,
        loss=spec.loss,
        optimiser=spec.optimiser,
        start=spec.start,
        evals=spec.evals,
        seed=spec.seed,
    )
    images.save(folder / "result.png", to_pixels(found.image))
    images.save(folder / "content.png", to_pixels(content))
    images.save(folder / "style.png", to_pixels(style))
    trace = pd.DataFrame([asdict(step) for step in found.trace])
    trace.insert(0, "evaluation", range(1, len(trace) + 1))
    trace.to_parquet(folder / "trace.parquet", index=False)
    return _fields(found)


def _statistics(spec: StatisticsSpec, device: str, folder: Path) -> dict[str, Any]:
    backbone = build(spec.arch, spec.weights, spec.seed, nodes=spec.chosen, device=device)
    rows = []
    for ref in spec.images:
        image = load_image(ref, spec.size, spec.resize, device)
        found = measure_backbone(backbone, image, spec.smoothing)
        place = {"image": ref.name, "image_digest": ref.digest}
        rows += [{**place, **asdict(value)} for value in found]
    table = pd.DataFrame(rows)
    table.insert(0, "arch", spec.arch)
    table.insert(1, "weights", spec.weights.label)
    table["seed"], table["size"], table["resize"] = spec.seed, spec.size, spec.resize
    table.to_parquet(folder / "statistics.parquet", index=False)
    return {"values": len(table)}


def run_job(spec: JobSpec | StatisticsSpec, out: Path, device: str = "cpu") -> dict[str, Any]:
    """Run one job and put its folder in place.

    Args:
        spec: what to compute.
        out: results folder of the sweep.
        device: as torch names it.

    Returns:
        The record: the spec, ``status`` ``ok`` or ``failed``, the numbers, ``error``, ``seconds``,
        ``peak_memory_mb`` and the environment. A failure of the job is a record, not an exception;
        only a disk that cannot be written raises.
    """
    runtime.configure()
    kind = "transfer" if isinstance(spec, JobSpec) else "statistics"
    record: dict[str, Any] = {
        "job_id": spec.job_id,
        "kind": kind,
        "status": "ok",
        "error": "",
        "spec": spec.model_dump(mode="json"),
        "device": device,
        "environment": dict(runtime.environment()),
    }
    memory, began = runtime.PeakMemory(device), time.time()
    with store.job_folder(out, kind, spec.job_id) as folder:
        try:
            if isinstance(spec, JobSpec):
                record |= _stylize(spec, device, folder)
            else:
                record |= _statistics(spec, device, folder)
        except InputError as error:
            record |= {"status": "failed", "error": str(error)}
        except Exception as error:
            last = str(error).strip().splitlines()
            text = f"{type(error).__name__}: {last[0] if last else ''}"
            record |= {"status": "failed", "error": text, "traceback": traceback.format_exc()}
        record["seconds"] = time.time() - began
        record["started"], record["finished"] = began, time.time()
        record["peak_memory_mb"] = memory.read()
        store.write_record(folder, record)
    return record
