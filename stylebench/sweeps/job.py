"""The unit of work: one stylisation, or the statistics of one backbone, from spec to record.

A job knows nothing of engines, other jobs or tracking. Stylisations that share everything but their
pictures are computed as a batch, each is its own job nevertheless. A job is written into a
temporary folder, which `stylebench.store` moves into place when it is complete.
"""

import contextlib
import functools
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from stylebench import images, runtime, store
from stylebench.backbones.extractor import build
from stylebench.config import (
    ImageRef,
    JobSpec,
    PassSpec,
    PictureSpec,
    Spec,
    StatisticsSpec,
    Stylisation,
)
from stylebench.errors import InputError, JobError, one_line, published
from stylebench.images.given import Pixels, of_pixels, to_pixels
from stylebench.measures.statistics import measure_backbone, measured
from stylebench.registry import check_code
from stylebench.store import JobRecord
from stylebench.transfer.step import Watcher
from stylebench.transfer.stylize import MOVED, Stylization, stylize_batch
from stylebench.transfer.targets import Blend, Regions, Style, pictures

_COMPUTING = threading.Lock()


@functools.lru_cache(maxsize=8)
def load_image(
    ref: ImageRef, size: int, resize: Literal["aspect", "squash"], device: str
) -> Tensor:
    """Return a picture as (1, 3, H, W) in [0, 1]; one that is not what was planned is refused.

    The last ones are kept, and with them what backbones see in them: do not change them.
    """
    if images.digest(ref.ref, size) != ref.digest:
        why = "the picture changed after the job was planned; plan it again"
        if ref.ref.startswith(images.PREFIX):
            why = (
                "it has other pixels here than where the job was planned: scikit-image, "
                "scikit-learn or Pillow is of another version; install those of constraints.txt"
            )
        raise InputError(f"{ref.ref}: {why}")
    return of_pixels(images.read(ref.ref, size, resize=resize)).contiguous().to(device)


@dataclass(frozen=True)
class Outcome:
    """What is known of a job when it is computed, and what goes into its folder, by file name."""

    known: dict[str, Any]
    pictures: dict[str, Pixels] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def _fields(found: Stylization) -> dict[str, Any]:
    """Return what a stylisation adds to a record."""
    return {
        "evals": len(found.evaluations),
        "loss_initial": found.initial.loss,
        "loss_final": found.final.loss,
        "content_loss": found.final.content_loss,
        "style_loss": found.final.style_loss,
        "style_loss_initial": found.initial.style_loss,
        "tv_loss": found.final.tv_loss,
        "style_layers": found.style_layers,
        "stop_reason": found.stop_reason,
        "flags": found.flags,
        "moved": found.moved,
        "objective_scale": found.objective_scale,
        "initial_gradient": found.initial_gradient,
    }


def load_pair(spec: PictureSpec, device: str) -> tuple[Tensor, Style]:
    """Return the content and the style of a job: a picture, a blend, or styles in regions."""
    content = load_image(spec.content, spec.size, spec.resize, device)
    styles = tuple(load_image(ref, spec.style_size, spec.resize, device) for ref in spec.styles)
    if spec.masks:
        masks = [
            None if ref is None else to_pixels(load_image(ref, spec.size, spec.resize, "cpu"))
            for ref in spec.masks
        ]
        names = [picture.name for picture in spec.styles]
        return content, Regions.of(styles, masks, content, names)
    if len(styles) == 1:
        return content, styles[0]
    return content, Blend(styles, tuple(each.share for each in spec.blend))


def _stylize(
    specs: Sequence[JobSpec], device: str, progress: Watcher | None, start: Pixels | None
) -> list[Outcome]:
    spec = specs[0]
    check_code(spec.code)
    runtime.configure(tf32=spec.precision == "tf32")
    backbone = build(
        spec.arch, spec.weights, spec.seed,
        nodes=spec.chosen, precision=spec.precision, device=device,
    )  # fmt: skip
    pairs = [load_pair(spec, device) for spec in specs]
    seeds = [spec.seed for spec in specs]
    starts = None if start is None else [of_pixels(start).contiguous().to(device) for _ in specs]
    found = stylize_batch(backbone, pairs, spec, seeds, progress, starts)
    return [_outcome(*pair, result) for pair, result in zip(pairs, found, strict=True)]


def _outcome(content: Tensor, style: Style, found: Stylization) -> Outcome:
    tables = {"trace.parquet": found.trace}
    if found.gradients:
        tables["gradients.parquet"] = pd.DataFrame([asdict(term) for term in found.gradients])
    return Outcome(_fields(found), _shown(found.tensor, content, style), tables)


def _shown(result: Tensor, content: Tensor, style: Style) -> dict[str, Pixels]:
    """Return the pictures of a job's folder by file name."""
    shown = {"result": result, "content": content, "style": pictures(style)[0]}
    return {f"{name}.png": to_pixels(picture) for name, picture in shown.items()}


def _passes(specs: Sequence[PassSpec], device: str) -> list[Outcome]:
    """Return what a trained network makes of pairs, one after the other."""
    from stylebench.stylisers.identity import open_model

    spec, found = specs[0], []
    check_code(spec.code)
    runtime.configure()
    styliser = open_model(spec, device)
    for each in specs:
        content, style = load_pair(each, device)
        if isinstance(style, Regions):
            raise InputError("regions: expected none, which trained networks do not have")
        began = time.monotonic()
        made = styliser.stylise(content, style, each.strength)
        shown = _shown(made, content, style)  # a GPU is done when its picture is here
        seconds = time.monotonic() - began
        if not bool(torch.isfinite(made).all()):
            raise JobError("the network made a picture that is not finite: its weights are no good")
        moved = float((made - content).square().mean().sqrt())
        flags = () if moved >= MOVED else ("did-not-move",)
        known = {"model": styliser.summary, "pass_seconds": seconds, "moved": moved, "flags": flags}
        found.append(Outcome(known, shown))
    return found


def _statistics(spec: StatisticsSpec, device: str) -> Outcome:
    check_code(spec.code)
    runtime.configure()
    backbone = build(spec.arch, spec.weights, spec.seed, nodes=spec.chosen, device=device)
    rows, measured_of = [], {}
    for ref in spec.images:
        if ref.digest not in measured_of:  # files of equal bytes are one picture
            image = load_image(ref, spec.size, spec.resize, device)
            try:
                measured_of[ref.digest] = measure_backbone(backbone, image, spec.smoothing)
            except InputError as error:
                raise InputError(f"{ref.name}: {error}") from error
        place = {"image": ref.name, "image_digest": ref.digest}
        rows += [{**place, **asdict(value)} for value in measured_of[ref.digest]]
    table = pd.DataFrame(rows)
    table.insert(0, "arch", spec.arch)
    table.insert(1, "weights", spec.weights.label)
    table["seed"], table["size"], table["resize"] = spec.seed, spec.size, spec.resize
    known = {"values": len(table), "statistics": measured()}
    return Outcome(known, tables={"statistics.parquet": table})


def _failure(error: Exception, spec: Spec) -> dict[str, Any]:
    """Return what a failure adds to a record: our own message, or else a traceback too.

    Tables and reports show the message: it names the files of the job without their folders.
    """
    known: dict[str, Any] = {"status": "failed"}
    if isinstance(error, InputError | JobError):
        text = str(error)
    else:
        last = str(error).strip().splitlines()
        text = f"{type(error).__name__}: {last[0] if last else ''}"
        known["traceback"] = traceback.format_exc()
    pictures = spec.pictures if isinstance(spec, Stylisation) else spec.images
    weights = [spec.weights, *([spec.encoder] if isinstance(spec, PassSpec) else [])]
    paths = [*(picture.ref for picture in pictures), *(ref.path for ref in weights if ref)]
    for path in filter(None, paths):
        for shown in (path, repr(path)[1:-1], one_line(path)):
            text = text.replace(shown, published(shown))
    return {**known, "error": text}


def compute(
    specs: Sequence[Spec],
    device: str = "cpu",
    progress: Watcher | None = None,
    start: Pixels | None = None,
) -> list[tuple[JobRecord, Outcome]]:
    """Compute one job, or several stylisations as a batch.

    A batch that fails is halved, until it works or a job fails alone: one that needs more memory
    than there is runs in parts, and a job that cannot run costs no other.

    Args:
        specs: one job, or stylisations that `stylebench.sweeps.batches.groups` put together.
        device: as torch names it.
        progress: of a stylisation, as `stylebench.stylize` takes it.
        start: picture to start from in place of what the jobs say.

    Returns:
        For each job its record, and what is to be written beside it. A failure of a job is a
        record, not an exception.
    """
    memory, began = runtime.PeakMemory(device), time.time()
    try:
        if isinstance(specs[0], StatisticsSpec):
            found = [_statistics(specs[0], device)]
        elif isinstance(specs[0], PassSpec):
            found = _passes([spec for spec in specs if isinstance(spec, PassSpec)], device)
        else:
            asked = [spec for spec in specs if isinstance(spec, JobSpec)]
            found = _stylize(asked, device, progress, start)
    except Exception as error:
        failure = [Outcome(_failure(error, specs[0]))]
    else:
        failure = []
    if failure and len(specs) > 1:
        runtime.free_memory(device)
        half = len(specs) // 2
        halves = (specs[:half], specs[half:])
        return [each for part in halves for each in compute(part, device, progress, start)]
    ended = time.time()
    shared = {
        "device": device,
        "environment": dict(runtime.environment()),
        "seconds": (ended - began) / len(specs),
        "started": began,
        "finished": ended,
        "batch": len(specs),
        "peak_memory_mb": memory.read(),
    }
    return [
        (JobRecord.of(spec, **{"status": "ok", **outcome.known}, **shared), outcome)
        for spec, outcome in zip(specs, failure or found, strict=True)
    ]


def _write(record: JobRecord, outcome: Outcome, folder: Path) -> JobRecord:
    """Write what a job's folder holds, and return its record."""
    for name, pixels in outcome.pictures.items():
        images.save(folder / name, pixels)
    for name, table in outcome.tables.items():
        with (folder / name).open("wb") as file:  # Arrow takes no path that is no UTF-8
            table.to_parquet(file, index=False)
    store.write_record(folder, record)
    return record


def run_jobs(
    specs: Sequence[Spec], out: Path, device: str = "cpu", progress: Watcher | None = None
) -> list[JobRecord]:
    """Compute jobs as `compute` does, put their folders in place, and return their records.

    Threads may call this at the same time: one computes, the others load and save.

    Raises:
        OSError: the disk cannot be written, or a folder not be put in its place, as then the others
            are; nothing else raises.
    """
    with contextlib.ExitStack() as every:
        claims = [every.enter_context(contextlib.ExitStack()) for _ in specs]
        folders = [
            claim.enter_context(store.job_folder(out, spec.kind, spec.job_id))
            for claim, spec in zip(claims, specs, strict=True)
        ]
        for spec in specs:
            if isinstance(spec, Stylisation):
                with contextlib.suppress(Exception):  # which the job itself will tell
                    load_pair(spec, device)
        with _COMPUTING:
            outcomes = compute(specs, device, progress)
        records = [_write(*found, folder) for found, folder in zip(outcomes, folders, strict=True)]
        for claim in claims:  # whether or not the others can
            every.callback(claim.close)
        return records


def run_job(
    spec: Spec, out: Path, device: str = "cpu", progress: Watcher | None = None
) -> JobRecord:
    """Run one job, put its folder in place, and return its record (see `compute`)."""
    return run_jobs([spec], out, device, progress)[0]
