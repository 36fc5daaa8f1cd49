"""The ceiling: as many floating-point operations a second as a device is seen to do at its best.

A product of matrices alone is none: of one shape, libraries may be slower than in the convolutions
of a network (on an AVX512 processor VGG-19's were 1.17 times as fast in float32). So it is the
fastest of several products and convolutions.
"""

from collections.abc import Mapping

import torch
from torch.nn.functional import conv2d

from stylebench.timing.plain import Step

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDES = {"cpu": (2048, 4096), "cuda": (4096, 8192)}
"""Of square matrices that are multiplied."""
MAPS = ((256, 128), (512, 64))
"""Channels and side in px of maps that 3 × 3 convolutions take to as many channels: VGG-19's."""
BATCH = {"cpu": 1, "cuda": 16}


def _product(side: int, kind: torch.dtype, device: str) -> Step:
    a, b = (torch.rand(side, side, device=device).to(kind) for _ in range(2))
    return lambda: a @ b


def _convolution(batch: int, channels: int, side: int, kind: torch.dtype, device: str) -> Step:
    layout = torch.channels_last if kind == torch.bfloat16 else torch.contiguous_format
    maps, weights = (
        torch.rand(shape, device=device).to(kind, memory_format=layout)
        for shape in ((batch, channels, side, side), (channels, channels, 3, 3))
    )
    return lambda: conv2d(maps, weights, padding=1)


def probes(precision: str, device: str) -> dict[str, tuple[float, Step]]:
    """Return what is measured for it: name -> GFLOP and what does them.

    Nothing for a precision that is none of `TYPES`.
    """
    kind, where = TYPES.get(precision), device.partition(":")[0]
    if kind is None:
        return {}
    found: dict[str, tuple[float, Step]] = {}
    for side in SIDES[where]:
        found[f"product of {side}"] = 2e-9 * side**3, _product(side, kind, device)
    for channels, side in MAPS:
        count = 2e-9 * 9 * (channels * side) ** 2 * BATCH[where]
        step = _convolution(BATCH[where], channels, side, kind, device)
        found[f"convolution of {channels}"] = count, step
    return found


def highest(counts: Mapping[str, float], seconds: Mapping[str, float]) -> float:
    """Return the highest rate in GFLOP/s, from GFLOP and seconds by name."""
    return max(count / seconds[name] for name, count in counts.items())
