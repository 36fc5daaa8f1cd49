"""Pairs and a network on which rounding decides nothing: batches, precisions and devices agree."""

import copy
import functools

import torch
from torch import Tensor

from stylebench import images
from stylebench.backbones.extractor import Backbone, build
from stylebench.config import WeightsRef
from stylebench.transfer.stylize import stylize as _stylize

stylize = functools.partial(_stylize, preset="balanced")
"""Relative errors of pixels, which the oracles of transfer compute too."""


def vgg11(dtype: torch.dtype) -> Backbone:
    """Return a VGG of smooth functions, SiLU and mean pooling in place of ReLU and maxima.

    Where a ReLU or a maximum changes over, the gradient jumps, by a hundredth of itself at 64 px;
    rounding decides on which side it is, and so the processor does.
    """
    ref = WeightsRef(source="random:9", options={"pool": "avg"})
    backbone = copy.deepcopy(build("r-vgg11", ref, seed=9)).to(dtype)
    for name, module in list(backbone.named_modules()):
        if isinstance(module, torch.nn.ReLU):
            backbone.set_submodule(name, torch.nn.SiLU())
    assert not any(isinstance(m, torch.nn.MaxPool2d) for m in backbone.modules())
    return backbone


def three_pairs(dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """Return pairs of 48 × 48 px whose styles have several widths."""
    pixels = [
        torch.from_numpy(images.read(f"builtin:{name}", 48, resize="squash"))
        for name in ("chelsea", "coffee", "china", "brush", "mosaic", "woodcut")
    ]
    pictures = [(p.permute(2, 0, 1)[None].to(dtype) / 255).contiguous() for p in pixels]
    return [(pictures[i], pictures[3 + i][..., : 32 + 8 * i]) for i in range(3)]
