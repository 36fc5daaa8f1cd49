"""The named backbones and their nodes. No torch here: it is imported when one is built.

Nodes are graph nodes of ``torchvision.models.feature_extraction``; all of them are taken after a
ReLU. `stage` is the position in the paper's figures: 0 is the stem (conv1 in VGG), 1 to 4 follow.
"""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Self, cast

from stylebench.config import NodeChoice
from stylebench.errors import InputError
from stylebench.registry import Registry, suggestion

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Node:
    """A place in a network: its name in tables, its path in the graph, its stage."""

    name: str
    path: str
    stage: int


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation of RGB in [0, 1], torchvision's convention."""


@dataclass(frozen=True)
class BackboneSpec:
    """An architecture that can be put on the bench.

    Attributes:
        description: one line, shown by ``stylebench ls archs``.
        target: ``module:function`` that makes the network with PyTorch's own random initialisation.
        style: the style nodes, shallow to deep.
        content: the content node.
        checkpoint: file name of torchvision's ImageNet weights; empty if there are none.
        published: where its weights are, if that is no source of ours: a file of them is given, and
            it has no random weights (those of another backbone, with the same network, do).
        unused: prefixes of parameters behind the deepest node, which a weights file may leave out.
        arguments: keyword arguments of the target.
        options: name -> allowed values, the first being the default; see `backbones.controls`.
        min_side: shortest side of a picture that the network takes, in px; torchvision's metadata.
        hidden: left out of globs (a backbone for tests).
        renamed: pattern -> replacement, from names in published weights to the network's own.
        mean: of RGB in [0, 1], taken off the picture.
        std: of RGB, by which it is divided then.
    """

    description: str
    target: str
    style: tuple[Node, ...]
    content: Node
    checkpoint: str = ""
    published: str = ""
    unused: tuple[str, ...] = ()
    arguments: dict[str, object] = field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    min_side: int = 16
    hidden: bool = False
    renamed: dict[str, str] = field(default_factory=dict)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What its names begin with: r- for random weights, p- for pretrained ones."""
        if self.published:
            return ("p-",)
        return ("r-", "p-") if self.checkpoint else ("r-",)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in px of the pictures that it is made for; others may do."""
        return 224, 224

    @property
    def nodes(self) -> dict[str, str]:
        """Graph path -> name of every node that is used, without repetition."""
        return {node.path: node.name for node in (*self.style, self.content)}

    @property
    def defaults(self) -> dict[str, str]:
        """Option -> the value that changes nothing."""
        return {key: values[0] for key, values in self.options.items()}

    def build(self) -> "nn.Module":
        """Return the network, randomly initialised from torch's global random state."""
        module, _, function = self.target.partition(":")
        return cast("nn.Module", getattr(import_module(module), function)(**self.arguments))

    def settled(self, options: Mapping[str, str]) -> dict[str, str]:
        """Return the options that change something, in the order of their names."""
        defaults = self.defaults
        return {key: options[key] for key in sorted(options) if options[key] != defaults[key]}

    def extractor(self, network: "nn.Module") -> "nn.Module":
        """Return the part of a network that gives the nodes' maps."""
        from stylebench.backbones import graph

        return graph.extractor(network, self.nodes)

    def adapt(self, state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """Return a state dict with the names that the network has."""
        return {self._today(key): value for key, value in state.items()}

    def _today(self, key: str) -> str:
        for pattern, today in self.renamed.items():
            key = re.sub(pattern, today, key)
        return key

    def sketch(self, options: Mapping[str, str]) -> "nn.Module":
        """Return the network without weights (on the meta device), with its controls applied."""
        import torch

        from stylebench.backbones import controls, graph

        network = graph.on_meta(self.build).eval()
        with torch.device("meta"):
            controls.apply(network, options, self.defaults)
        return network

    def paths(self, options: Mapping[str, str]) -> list[str]:
        """Return what a node may be, by its index; empty where there is none.

        Args:
            options: of the backbone; some change the network's graph.
        """
        from stylebench.backbones import graph

        return graph.paths(self.sketch(options))

    def modules(self, paths: Sequence[str]) -> dict[str, str]:
        """Return what else a node may be: a module's path -> that of its last node."""
        from stylebench.backbones import nodes

        return nodes.modules(paths)

    def resolutions(self, options: Mapping[str, str]) -> dict[str, int]:
        """Return the positions H·W of each node's map, by its name, for a picture of `size`."""
        from stylebench.backbones import graph

        part = self.extractor(self.sketch(options))
        return {k: shape[2] * shape[3] for k, shape in graph.shapes(part, self.size).items()}

    def fitted(self, arch: str, options: Mapping[str, str]) -> Self:
        """Return the backbone; of `unused` what its nodes need is gone.

        Raises:
            InputError: a node that is no map.
        """
        from stylebench.backbones import graph

        part = graph.extractor(self.sketch(options), self.nodes)
        for name, shape in graph.shapes(part, self.size).items():
            if len(shape) != 4:
                found = f"a tensor of shape {shape}" if shape else "no tensor"
                raise InputError(f"nodes: {arch}: expected a map (B, D, H, W), {name} is {found}")
        needed = tuple(part.state_dict())
        unused = (u for u in self.unused if not any(key.startswith(u) for key in needed))
        return replace(self, unused=tuple(unused))

    def choose(
        self, arch: str, choice: NodeChoice | None, options: Mapping[str, str] | None = None
    ) -> Self:
        """Return the backbone with other nodes, see `nodes.choose`; its own for None."""
        from stylebench.backbones import nodes

        return self if choice is None else nodes.choose(self, arch, choice, options or {})

    def check_options(self, arch: str, options: dict[str, str]) -> None:
        """Raise InputError for an option or a value that this backbone does not have."""
        for key, value in options.items():
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                near = suggestion(key, self.options)
                raise InputError(f"{arch} has no option {key!r}{near} (known: {known})")
            if value not in self.options[key]:
                allowed = ", ".join(self.options[key])
                raise InputError(f"{arch}: option {key} is one of {allowed}, found {value!r}")


ARCHS: Registry[BackboneSpec] = Registry("backbone", module="stylebench.backbones.torchvision")

ALL = (
    "r-vgg19",
    "p-vgg19",
    "r-resnet50",
    "p-resnet50",
    "r-noresnet50",
    "r-pseudo-vgg",
    "r-pseudo-resvgg",
)
"""What ``--arch all`` means: the paper's backbones, r- random, p- pretrained."""


def names(*, hidden: bool = False) -> list[str]:
    """Return the names that ``--arch`` knows, see `BackboneSpec.prefixes`."""
    return [
        prefix + name
        for name, spec in ARCHS.items()
        if hidden or not spec.hidden
        for prefix in spec.prefixes
    ]


TIMM = "timm:"
"""Before the name of a model of timm, which is a backbone without being registered."""


def split(arch: str) -> tuple[bool, BackboneSpec]:
    """Return (pretrained, backbone) of a name such as ``p-vgg19``; unknown raises InputError."""
    if arch[2:].startswith(TIMM) and arch[:2] in ("r-", "p-"):
        from stylebench.backbones import timm

        return arch[0] == "p", timm.spec(arch[2:].removeprefix(TIMM), arch[0] == "p")
    if arch not in names(hidden=True):
        known = names()
        raise InputError(
            f"unknown backbone {arch!r}{suggestion(arch, known)} (known: all, {', '.join(known)})"
        )
    return arch.startswith("p-"), ARCHS[arch[2:]]


def _matching(pattern: str) -> list[str]:
    """Return the names that a glob fits; timm's only if it says so."""
    prefix = pattern[:2]
    if pattern[2:].startswith(TIMM) and prefix in ("r-", "p-"):
        from stylebench.backbones import timm

        known = [f"{prefix}{TIMM}{name}" for name in timm.names(pretrained=prefix == "p-")]
        listed = f"{len(known)} models of timm are known"
    else:
        known = names()
        listed = f"known: {', '.join(known)}"
    found = [name for name in known if fnmatchcase(name, pattern)]
    if not found:
        raise InputError(f"no backbone matches {pattern!r} ({listed})")
    return found


def expand(values: Iterable[str]) -> dict[str, bool]:
    """Return the backbones that a list of names, comma lists, globs and ``all`` stands for.

    Returns:
        name -> whether it was named explicitly (rather than through ``all`` or a glob), in order.

    Raises:
        InputError: a name or a glob that fits nothing.
    """
    result: dict[str, bool] = {}
    for value in (part.strip() for text in values for part in text.split(",")):
        if value.startswith(TIMM):
            value = f"r-{value}"
        if value == "all":
            found, explicit = list(ALL), False
        elif any(character in value for character in "*?["):
            found, explicit = _matching(value), False
        else:
            split(value)
            found, explicit = [value], True
        for name in found:
            result[name] = result.get(name, False) or explicit
    return result


@cache
def timm_models() -> dict[str, tuple[str, int]]:
    """Return name -> (family, parameters) of the models of timm 1.0.31; a family is its module."""
    table = files("stylebench.backbones").joinpath("timm_models.csv").read_text("utf-8")
    rows = csv.DictReader(table.splitlines())
    return {row["model"]: (row["family"], int(row["parameters"])) for row in rows}


def limited(archs: Mapping[str, bool], most: int | None) -> dict[str, bool]:
    """Return at most so many of the backbones that `expand` returned, spread over families.

    First those that are not timm's, in their order. Then of each of timm's families the smallest
    by parameters, the smallest family first; then the second of each, and so on. None: all.
    """
    if most is None:
        return dict(archs)
    unknown = ("", sys.maxsize)  # of a later timm
    sizes = {
        arch: timm_models().get(arch[2 + len(TIMM) :].partition(".")[0], unknown) for arch in archs
    }
    taken: Counter[tuple[str, str]] = Counter()
    order: dict[str, tuple[int, int]] = {}
    for arch in sorted(archs, key=lambda arch: (sizes[arch][1], arch)):
        family = arch[:2], sizes[arch][0]
        order[arch] = (taken[family], sizes[arch][1]) if arch[2:].startswith(TIMM) else (-1, 0)
        taken[family] += 1
    first = sorted(archs, key=lambda arch: order[arch])[:most]
    return {arch: archs[arch] for arch in first}


Options = dict[str, tuple[str, ...]]
NORM: Options = {"batchnorm": ("eval", "train", "calibrated")}
POOLED: Options = {"pool": ("max", "avg"), "activation": ("relu", "leaky")}
PLAIN: Options = POOLED | {"rescale": ("none", "mean")}
BATCHNORM: Options = POOLED | NORM
PLAIN_RESNET: Options = BATCHNORM | {"downsample": ("strided", "blur")}
RESIDUAL: Options = PLAIN_RESNET | {
    "gamma": ("1", "0.5", "0.25", "0"),
    "shortcut": ("on", "off", "pre-relu"),
}
STRIDE_IN: Options = {"stride_in": ("conv2", "conv1")}
"""Options of kinds of networks: name -> values."""

_STEM = Node("stem", "relu", 0)
_STAGES = tuple(Node(f"stage{stage}", f"layer{stage}", stage) for stage in (1, 2, 3, 4))
RESNET_NODES = (_STEM, *_STAGES)

ARCHS.add(
    "vgg19",
    BackboneSpec(
        description="VGG-19 (Simonyan & Zisserman 2015), torchvision; nodes of Gatys et al. 2016",
        target="stylebench.backbones.paper:vgg19",
        style=(
            Node("relu1_1", "features.1", 0),
            Node("relu2_1", "features.6", 1),
            Node("relu3_1", "features.11", 2),
            Node("relu4_1", "features.20", 3),
            Node("relu5_1", "features.29", 4),
        ),
        content=Node("relu4_2", "features.22", 3),
        checkpoint="vgg19-dcbb9e9d.pth",
        unused=("classifier.", "features.30", "features.32", "features.34"),
        options=PLAIN,
    ),
)
ARCHS.add(
    "resnet50",
    BackboneSpec(
        description="ResNet-50 (He et al. 2016), torchvision; stride_in=conv1 is He's own layout",
        target="stylebench.backbones.paper:resnet50",
        style=RESNET_NODES,
        content=_STAGES[2],
        checkpoint="resnet50-0676ba61.pth",
        unused=("fc.",),
        options=RESIDUAL | STRIDE_IN,
    ),
)
ARCHS.add(
    "noresnet50",
    BackboneSpec(
        description="NoResNet: ResNet-50 with every shortcut removed, nothing else changed",
        target="stylebench.backbones.paper:noresnet50",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=PLAIN_RESNET,
    ),
)
ARCHS.add(
    "pseudo-vgg",
    BackboneSpec(
        description="pseudo-VGG: NoResNet with 3x3 stem, basic blocks and 2x2 max pooling",
        target="stylebench.backbones.paper:pseudo_vgg",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=PLAIN_RESNET,
    ),
)
ARCHS.add(
    "pseudo-resvgg",
    BackboneSpec(
        description="pseudo-ResVGG: pseudo-VGG with the shortcuts put back",
        target="stylebench.backbones.paper:pseudo_resvgg",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=RESIDUAL,
    ),
)
ARCHS.add(
    "tiny",
    BackboneSpec(
        description="a five-stage network of a few thousand parameters, for tests",
        target="stylebench.backbones.tiny:tiny",
        style=tuple(Node(f"stage{i}", f"stages.{i}", i) for i in range(5)),
        content=Node("stage3", "stages.3", 3),
        hidden=True,
    ),
)
