"""By how much each block with a shortcut changes its input: ‖R(x)‖/‖x‖ on a photograph.

A network whose residual branches are off (a last BatchNorm that starts at zero, a LayerScale of
1e-6) gives in each block what enters it: its statistics are those of its stem and its projections.

Which sums are shortcuts is read off the computation, whatever the network's modules are called:
two maps that both come from the picture are added, and what leads to one of them alone, the
shortcut, is nothing, a factor, or pooling and one layer with weights (a projection), while more
leads to the other, R, layers with weights or pooling among it.
"""

import functools
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from stylebench import images
from stylebench.backbones import controls
from stylebench.backbones.extractor import Backbone, pictures, whole_network
from stylebench.backbones.graph import not_in_place
from stylebench.backbones.spec import BackboneSpec, normalised
from stylebench.config import WeightsRef
from stylebench.images.given import of_pixels

PHOTOGRAPH = "astronaut"
OFF = 0.01
"""A branch that changes its input by less is off."""

WEIGHTED = {"convolution", "addmm", "mm", "bmm", "linear"}
POOLED = {"avg_pool2d", "max_pool2d_with_indices", "_adaptive_avg_pool2d"}
COPIES = {"clone", "_to_copy", "_unsafe_view", "contiguous", "copy_"}


@dataclass(frozen=True)
class Branch:
    """A residual branch: the module that holds its layers, and ‖R(x)‖/‖x‖, x being the shortcut.

    A path that several branches share is told apart by a number behind it. `sum` is a place in the
    computation.
    """

    path: str
    change: float
    sum: int


@dataclass(frozen=True)
class Measured:
    """The branches of a network, in the order in which they are computed, and what that took."""

    branches: tuple[Branch, ...]
    size: tuple[int, int]
    seconds: float


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Knows of each tensor which operations lead from the picture to it, as bits of an integer."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = [""]
        self.found: list[Branch] = []
        self._paths: list[str] = []
        self._before: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._before[picture] = 0
        self._count = self._weighted = self._pooled = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        inputs = [a for a in torch.utils._pytree.tree_leaves(args) if isinstance(a, Tensor)]
        if name in ("add", "add_") and len(inputs) == 2:
            self._add(*inputs)
        before = [self._before[a] for a in inputs if a in self._before]
        out = func(*args, **(kwargs or {}))
        if before:
            led = functools.reduce(int.__or__, before)
            if not (func.is_view or name in COPIES):
                led |= self._bit(name)
            for tensor in torch.utils._pytree.tree_leaves(out):
                if isinstance(tensor, Tensor):
                    self._before[tensor] = led
        return out

    def enter(self, path: str, module: nn.Module, inputs: object) -> None:
        """Note that a module begins."""
        self.path.append(path)

    def leave(self, module: nn.Module, inputs: object, output: object) -> None:
        """Note that a module ends."""
        self.path.pop()

    def _bit(self, name: str) -> int:
        bit = 1 << self._count
        self._count += 1
        self._paths.append(self.path[-1])
        self._weighted |= bit if name in WEIGHTED else 0
        self._pooled |= bit if name in POOLED else 0
        return bit

    def _add(self, a: Tensor, b: Tensor) -> None:
        if a.ndim < 3 or a.shape != b.shape or not (a in self._before and b in self._before):
            return
        led = self._before[a], self._before[b]
        alone = led[0] & ~led[1], led[1] & ~led[0]
        size = [((way & self._weighted).bit_count(), way.bit_count()) for way in alone]
        short, long = sorted((0, 1), key=size.__getitem__)
        weighted, all_ = size[short]
        projected = weighted == 1 or alone[short] & self._pooled
        works = size[long][0] or alone[long] & self._pooled
        if size[short] == size[long] or weighted > 1 or (all_ > 1 and not projected) or not works:
            return
        x, branch = (a, b)[short], (a, b)[long]
        path = self._holder(alone[long] & self._weighted) or self._holder(alone[long]) or "branch"
        before = sum(found.path.partition("#")[0] == path for found in self.found)
        path += f"#{before + 1}" if before else ""
        self.found.append(Branch(path, float(branch.norm() / x.norm()), self._count))

    def _holder(self, operations: int) -> str:
        """Return the module that holds all of these operations; empty for none and the whole."""
        paths = [path for n, path in enumerate(self._paths) if operations >> n & 1]
        parts = zip(*(path.split(".") for path in paths), strict=False)
        return ".".join(same[0] for same in takewhile(lambda each: len({*each}) == 1, parts))

    def leads(self, branch: Branch, to: Tensor) -> bool:
        """Tell whether a tensor was computed from the sum of a branch and its shortcut."""
        return to in self._before and bool(self._before[to] >> branch.sum & 1)


def _watched(network: nn.Module, picture: Tensor, within: str) -> tuple[_Watch, Any]:
    """Return what was seen of a network that takes a picture (1, 3, H, W), and what it gave.

    Paths of modules begin behind `within`, which is ours.
    """
    watch = _Watch(picture)
    with ExitStack() as stack:
        for path, module in network.named_modules():
            enter = functools.partial(watch.enter, path.partition(within)[2])
            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(watch.leave).remove)
        with torch.no_grad(), watch:
            given = network(picture)
    return watch, given


def staged(
    backbone: Backbone, picture: Tensor
) -> tuple[dict[str, Tensor], list[tuple[Branch, int]]]:
    """Return the maps of a backbone, and the residual branches that lead to them with their stages.

    That is the stage of the first node which comes behind a branch.

    Args:
        backbone: with its precision settled or not.
        picture: (1, 3, H, W) in [0, 1].
    """
    watch, maps = _watched(backbone, picture, backbone.within)
    nodes = (*backbone.style, backbone.content)
    behind = [
        (branch, [node.stage for node in nodes if watch.leads(branch, maps[node.name])])
        for branch in watch.found
    ]
    return maps, [(branch, stages[0]) for branch, stages in behind if stages]


class _Normalised(nn.Module):
    """A whole network that takes a picture in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: BackboneSpec, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._order = spec.order
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1))

    def forward(self, picture: Tensor) -> Any:
        """Return what the network gives for (B, 3, H, W)."""
        return self.network(normalised(picture, self._order, self.mean, self.std))


def measure(arch: str, weights: WeightsRef, seed: int = 0) -> Measured:
    """Return by how much the blocks of a backbone change their input, on a photograph of its size.

    Args:
        arch: ``r-…`` or ``p-…``.
        weights: what `pretrained.resolve` returned.
        seed: of random weights.
    """
    began = time.perf_counter()
    spec, network = whole_network(arch, weights, seed)
    whole = _Normalised(spec, not_in_place(network)).eval().requires_grad_(False)
    controls.apply_measured(whole, weights.options, pictures)
    picture = of_pixels(images.read(images.PREFIX + PHOTOGRAPH, max(spec.size), resize="squash"))
    found, _ = _watched(whole, picture, "network.")
    used = tuple(b for b in found.found if not f"{b.path}.".startswith(spec.unused))
    return Measured(used, spec.size, time.perf_counter() - began)
