"""timm's models as backbones, by name: ``timm:resnet18``. Importing this imports timm and torch.

The rule by which nodes are chosen, from the reductions (strides) that timm states of the maps which
`forward_intermediates` gives:

- One node for each reduction: the last map that has it. Of more than five, the first five.
- A columnar network, whose maps have all one reduction (ViT, DeiT, EVA, XCiT …): five blocks
  equally spaced in depth, the last included.
- Of four nodes or fewer: before them `stem`, the input of the first one's module, where that is a
  map and not the picture. Where it is not, there are as many nodes as there are.
- Stages end at 4; the content node is the last style node but one.

Maps are taken as timm gives them: tokens without class token turned back into a grid, no final
norm. A picture of any size is taken as it is where the network can. Else it is continued at its
right and lower edges up to a multiple of the largest reduction, and the maps are cut to what it
covers; else the network is built again for that size, with its position parameters resampled by
timm. A network that can do none of these takes pictures of its own size alone. CrossViT itself
resamples every picture to squares of its own sizes, so that its maps are always square.
"""

import functools
import inspect
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from torch.nn.functional import pad

from stylebench.backbones import initial
from stylebench.backbones import names as names_
from stylebench.backbones.fold import fold_like
from stylebench.backbones.graph import not_in_place
from stylebench.backbones.spec import MOST, BackboneSpec, Node, last_but_one
from stylebench.errors import InputError, describe, listing, suggestion

INPUT = "input of "
"""Before the path of a module: the map that enters it."""


def names(*, pretrained: bool = False) -> list[str]:
    """Return timm's models, without tags; those alone that have weights if `pretrained`.

    The toys of timm's own tests (``test_…``) are left out, though they can be named.
    """
    found: list[str] = timm.list_models(exclude_filters="test_*")
    return [n for n in found if get_pretrained_cfg(n).has_weights] if pretrained else found


def _create(model: str, **arguments: Any) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return timm.create_model(model, pretrained=False, **arguments).eval()


@dataclass(frozen=True)
class Outline:
    """What is known of a model before it is built.

    Attributes:
        paths: of the maps that it gives, in the order of timm's indices.
        reductions: of these maps.
        channels: of these maps.
        inputs: the paths whose module's input is a map too, and whether its channels come last.
        size: (H, W) of the pictures that it is made for, in px.
        mean: of its pretrained weights' normalisation.
        std: likewise.
        classifier: prefixes of the parameters of its last layer.
        dynamic: timm can adapt it to the size of the picture.
    """

    paths: tuple[str, ...]
    reductions: tuple[int, ...]
    channels: tuple[int, ...]
    inputs: dict[str, bool]
    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classifier: tuple[str, ...]
    dynamic: bool


@functools.lru_cache(maxsize=4096)
def outline(model: str) -> Outline:
    """Return the outline of a model, with or without tag; it is built on the meta device."""
    with torch.device("meta"):
        network = _create(model)
    info, config = network.feature_info, network.pretrained_cfg
    entries = info if isinstance(info, list) else info.info
    modules = [str(entry["module"]) for entry in entries]
    last = config.get("classifier") or ()
    return Outline(
        # The two branches of CrossViT share the names of modules.
        paths=tuple(m if modules.count(m) == 1 else f"{m}#{i}" for i, m in enumerate(modules)),
        reductions=tuple(entry["reduction"] for entry in entries),
        channels=tuple(entry["num_chs"] for entry in entries),
        inputs=_inputs(network, modules, config["input_size"]),
        size=config["input_size"][1:],
        mean=config["mean"],
        std=config["std"],
        classifier=tuple(f"{name}." for name in ((last,) if isinstance(last, str) else last)),
        dynamic="dynamic_img_size" in inspect.signature(type(network).__init__).parameters,
    )


def _inputs(network: Any, paths: list[str], shape: tuple[int, int, int]) -> dict[str, bool]:
    """Return the modules that take a map, not the picture: True for (1, H, W, D), else False."""
    found: dict[str, Any] = {}

    def watch(path: str) -> None:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            found.setdefault(path, inputs[0] if inputs else None)

        modules[path].register_forward_pre_hook(hook)

    modules = dict(network.named_modules())
    for path in filter(modules.__contains__, paths):
        watch(path)
    try:
        network.forward_intermediates(torch.empty(1, *shape, device="meta"))
    except RuntimeError:  # it looks at values, of which there are none
        return {}
    maps = {p: m for p, m in found.items() if isinstance(m, Tensor) and m.ndim == 4}
    square = shape[1] == shape[2]
    return {
        path: square and value.shape[1] == value.shape[2] != value.shape[3]
        for path, value in maps.items()
        if value.shape[1:] != shape
    }


def _chosen(found: Outline) -> list[str]:
    """Return the paths that the rule in the module's docstring chooses."""
    count = len(found.paths)
    if len(set(found.reductions)) == 1:
        steps = min(MOST, count)
        return [found.paths[(i + 1) * count // steps - 1] for i in range(steps)]
    # An empty path (TResNet's first) is a map that timm does not give.
    last = {r: path for r, path in zip(found.reductions, found.paths, strict=True) if path}
    paths = list(last.values())[:MOST]
    stem = [INPUT + paths[0]] if len(paths) < MOST and paths[0] in found.inputs else []
    return stem + paths


def _nodes(paths: list[str]) -> tuple[Node, ...]:
    """Return nodes whose stages end at 4."""
    stages = range(MOST - len(paths), MOST)
    return tuple(
        Node("stem" if path.startswith(INPUT) else f"stage{stage}", path, stage)
        for path, stage in zip(paths, stages, strict=True)
    )


@dataclass(frozen=True)
class TimmSpec(BackboneSpec):
    """A model of timm as a backbone; `model` is its name, with a tag of weights or without."""

    model: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in px of the pictures that it is made for; others may do."""
        return outline(self.model).size

    def paths(self, options: Mapping[str, str]) -> list[str]:
        """Return what a node may be: timm's maps by timm's indices, then inputs of modules.

        A map that timm counts but does not give (TResNet's first) has an empty path.
        """
        found = outline(self.model)
        return [*found.paths, *(INPUT + path for path in found.inputs)]

    def modules(self, paths: Sequence[str]) -> dict[str, str]:
        """Return nothing: timm's maps are those of modules already."""
        return {}

    def fitted(self, arch: str, options: Mapping[str, str]) -> Self:
        """Return the backbone as it is: all that timm gives are maps, `unused` is behind them."""
        return self

    def build(self) -> nn.Module:
        """Return the whole network, initialised as timm does."""
        dynamic = {"dynamic_img_size": True} if outline(self.model).dynamic else {}
        return cast("nn.Module", _create(self.model, **dynamic))

    def adapt(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict with the keys of timm's model, from a checkpoint of its authors.

        One of another model stays as it is: timm's filters then fail in ways of their own.
        """
        with torch.device("meta"):
            network = self.build()
        try:
            return _filtered(state, network)
        except Exception:  # KeyError, RuntimeError, AttributeError …: what each filter meets first
            return dict(state)

    def extractor(self, network: nn.Module) -> nn.Module:
        """Return the part of a network that gives the nodes' maps."""
        return Features(self, network)


def _filtered(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return a state dict as timm's own filter for that kind of network makes it."""
    function = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    with warnings.catch_warnings(action="ignore"):
        return dict(function(dict(state), network) if function else state)


def _dormant(model: str) -> bool:
    """Tell whether a model starts residual branches at zero or nearly so."""
    known = names_.timm_models().get(model)
    return next(initial.dormant(_create(model)), None) is not None if known is None else known[2]


@functools.lru_cache(maxsize=4096)
def spec(model: str, pretrained: bool = False) -> TimmSpec:
    """Return the backbone of a timm model.

    Args:
        model: name, without ``timm:``; with a tag (``resnet18.a1_in1k``) only if pretrained.
        pretrained: normalise as its weights want it, rather than as ImageNet's mean and deviation.

    Raises:
        InputError: timm has no such model, no such tag, or no weights for it.
    """
    bare, _, tag = model.partition(".")
    if not timm.is_model(bare):
        known = names()
        raise InputError(
            f"unknown timm model {bare!r}{suggestion(bare, known)} ({len(known)} are known: "
            "python -c 'import timm; print(*timm.list_models())')"
        )
    if tag and not pretrained:
        raise InputError(f"r-timm:{model}: a tag names weights; expected r-timm:{bare}")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{bare}.*")]
    if tag and tag not in tags:
        raise InputError(
            f"timm:{bare} has no weights {tag!r}{suggestion(tag, tags)} {listing(tags)}"
        )
    found = outline(model)
    style = _nodes(_chosen(found))
    made = TimmSpec(
        description=f"{bare} of timm, {found.size[0]} × {found.size[1]} px",
        target="timm:create_model",
        style=style,
        content=last_but_one(style),
        unused=found.classifier,
        model=model,
    )
    if pretrained:
        return replace(made, mean=found.mean, std=found.std)
    return replace(made, dormant=_dormant(bare))


class _Maps(nn.Module):
    """A network of timm, truncated behind the deepest of some paths; gives their maps by name."""

    def __init__(self, spec: TimmSpec, network: Any) -> None:
        super().__init__()
        found = outline(spec.model)
        wanted = {path: found.paths.index(path.removeprefix(INPUT)) for path in spec.nodes}
        indices = sorted(set(wanted.values()))
        self._names = {
            indices.index(index): spec.nodes[path]
            for path, index in wanted.items()
            if not path.startswith(INPUT)
        }
        self._inputs: dict[str, Tensor] = {}
        modules = dict(network.named_modules())
        for path in wanted:
            module = path.removeprefix(INPUT)
            if module != path:
                hook = functools.partial(self._keep, spec.nodes[path], found.inputs[module])
                modules[module].register_forward_pre_hook(hook)
        self._channels = [found.channels[index] for index in indices]
        self._indices = network.prune_intermediate_layers(indices, prune_norm=True)
        self.network = network

    def _keep(self, name: str, last: bool, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._inputs[name] = inputs[0].movedim(-1, 1) if last else inputs[0]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.network.forward_intermediates(
            x, indices=self._indices, norm=False, output_fmt="NCHW", intermediates_only=True
        )
        channels = [value.shape[1] for value in maps]
        if channels != self._channels:  # tokens folded into the grid of another size
            raise ValueError(f"maps have {channels} channels, expected {self._channels}")
        taken = {name: maps[place] for place, name in self._names.items()}
        entered, self._inputs = self._inputs, {}
        return entered | taken


class Features(nn.Module):
    """The maps of a timm model's nodes, truncated behind the deepest, for pictures of any size."""

    WITHIN = "maps.network."

    def __init__(self, spec: TimmSpec, network: nn.Module) -> None:
        super().__init__()
        self._spec = spec
        self._step = max(outline(spec.model).reductions)
        self.maps = _Maps(spec, network)
        self._ways: dict[tuple[int, int], tuple[tuple[int, int], bool]] = {}
        self._again: dict[tuple[int, int], nn.Module] = {}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map (B, 3, H, W) to name of the node -> (B, D, H_l, W_l).

        Raises:
            InputError: the network takes no pictures of this size.
        """
        size = (x.shape[-2], x.shape[-1])
        if size in self._ways:
            return self._run(x, *self._ways[size])
        whole = tuple(math.ceil(side / self._step) * self._step for side in size)
        larger = (whole[0], whole[1])
        reason = ""
        for goal, rebuilt in ((size, False), (larger, False), (larger, True)):
            try:
                maps = self._run(x, goal, rebuilt)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # each network has its own way to refuse a size
                reason = reason or describe(error, 100)
            else:
                self._ways[size] = goal, rebuilt
                return maps
        own = outline(self._spec.model).size
        raise InputError(
            f"timm:{self._spec.model} cannot take pictures of {size[1]}×{size[0]} px ({reason}); "
            f"its own size works: {own[1]}×{own[0]} px (--size {own[0]} --resize squash)"
        )

    def _run(self, x: Tensor, goal: tuple[int, int], rebuilt: bool) -> dict[str, Tensor]:
        """Return the maps of `x`, continued to the size `goal`."""
        height, width = x.shape[-2:]
        network = self._rebuilt(goal) if rebuilt else self.maps
        if goal != (height, width):
            x = pad(x, (0, goal[1] - width, 0, goal[0] - height), mode="replicate")
        maps = cast("dict[str, Tensor]", network(x))
        return {
            name: value[
                ...,
                : math.ceil(value.shape[-2] * height / goal[0]),
                : math.ceil(value.shape[-1] * width / goal[1]),
            ]
            for name, value in maps.items()
        }

    def _rebuilt(self, size: tuple[int, int]) -> nn.Module:
        """Return the same network for another size of pictures; the last two are kept."""
        if size in self._again:
            return self._again[size]
        first = next(self.maps.parameters())
        with torch.random.fork_rng(devices=[]):
            network = _create(self._spec.model, img_size=size)
        maps = _Maps(self._spec, not_in_place(network))
        fold_like(network, self.maps.network)
        state = network.state_dict() | self.maps.network.state_dict()
        # Assigned: the weights are shared, in the type that they have.
        network.load_state_dict(_filtered(state, network), assign=True)
        maps.to(first.device)
        if len(self._again) == 2:
            del self._again[next(iter(self._again))]
        self._again[size] = maps.eval().requires_grad_(False)
        return self._again[size]
