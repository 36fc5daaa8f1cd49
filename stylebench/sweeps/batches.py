"""Which stylisations are computed together: those that differ in their pictures alone."""

import functools
import math
from collections.abc import Sequence
from typing import Literal

from stylebench import images
from stylebench.backbones.names import BackboneName
from stylebench.config import JobSpec, Spec, StatisticsSpec

PIXELS = {"cpu": 2**16, "cuda": 16 * 2**18}
"""Pixels of a batch by kind of device, for ``--batch auto``: 256 × 256 px, or sixteen pictures of
512 × 512 px, which take 7.2 GB with VGG-19 in bf16 (docs/performance.md)."""

PASSES = 16
"""Pictures of a trained network in a group: few enough that little is lost when it is stopped, that
several workers have some of them, and that they fit into memory until they are written."""


def _key(spec: JobSpec, size: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Return what the jobs of a batch have in common: all but pictures, and their size."""
    own = {"content", "style"} | ({"seed"} if BackboneName.parse(spec.arch).pretrained else set())
    mixes = spec.weights.options.get("batchnorm") == "train"
    alone = spec.job_id if mixes or spec.optimiser.name == "lbfgsb" else ""
    return str(spec.model_dump(exclude=own)) + alone, size


def _most(size: tuple[int, ...], device: str) -> int:
    pixels = PIXELS.get(device.partition(":")[0], PIXELS["cpu"])
    return max(1, math.floor(pixels / math.prod(size)))


def groups(specs: Sequence[Spec], device: str, batch: int | None) -> list[list[Spec]]:
    """Return jobs in groups to compute together, in the order of their first jobs.

    Stylisations go together where backbone, size of the content picture and all settings are the
    same; not with BatchNorm in training mode, which would mix the pictures, and not with scipy's
    L-BFGS-B, which takes one at a time. Those of one trained network go together too,
    one after the other: the network is opened once.

    Args:
        specs: jobs.
        device: as torch names it.
        batch: the most stylisations of a group; None chooses by `PIXELS`. What does not fit into
            memory is halved where it is run (`stylebench.sweeps.job.compute`).
    """
    found: dict[object, list[Spec]] = {}

    @functools.cache
    def size(ref: str, side: int, resize: Literal["aspect", "squash"]) -> tuple[int, ...]:
        return images.read(ref, side, resize=resize).shape[:2]

    for index, spec in enumerate(specs):
        if isinstance(spec, StatisticsSpec) or batch == 1:
            found[index] = [spec]
            continue
        if isinstance(spec, JobSpec):
            key = _key(spec, size(spec.content.ref, spec.size, spec.resize))
            most = batch or _most(key[1], device)
        else:
            key, most = (spec.weights.sha256, ()), batch or PASSES
        group = found.setdefault(key, [])
        if len(group) == most:
            found[index] = group
            group = found[key] = []
        group.append(spec)
    order = {spec.job_id: index for index, spec in enumerate(specs)}
    return sorted(found.values(), key=lambda group: order[group[0].job_id])
