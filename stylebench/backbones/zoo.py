"""The named backbones and their nodes. No torch here: it is imported when one is built.

Nodes are graph nodes of ``torchvision.models.feature_extraction``; all of them are taken after a
ReLU. `stage` is the position in the paper's figures: 0 is the stem (conv1 in VGG), 1 to 4 follow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, cast

from stylebench.errors import InputError
from stylebench.registry import Registry, suggestion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Node:
    """A place in a network: its name in tables, its path in the graph, its stage."""

    name: str
    path: str
    stage: int


@dataclass(frozen=True)
class BackboneSpec:
    """An architecture that can be put on the bench.

    Attributes:
        description: one line, shown by ``stylebench ls archs``.
        target: ``module:function`` that makes the network with PyTorch's own random initialisation.
        style: the style nodes, shallow to deep.
        content: the content node.
        checkpoint: file name of torchvision's ImageNet weights; empty if there are none.
        unused: prefixes of parameters behind the deepest node, which a weights file may leave out.
        arguments: keyword arguments of the target.
        options: name -> allowed values, the first being the default; see `backbones.controls`.
        min_side: shortest side of a picture that the network takes, in px; torchvision's metadata.
        hidden: left out of globs (a backbone for tests).
    """

    description: str
    target: str
    style: tuple[Node, ...]
    content: Node
    checkpoint: str = ""
    unused: tuple[str, ...] = ()
    arguments: dict[str, object] = field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    min_side: int = 16
    hidden: bool = False

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


ARCHS: Registry[BackboneSpec] = Registry(
    "backbone", module="stylebench.backbones.torchvision_models"
)

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
    """Return the names that ``--arch`` knows: r- for each backbone, p- where weights exist."""
    return [
        prefix + name
        for name, spec in ARCHS.items()
        if hidden or not spec.hidden
        for prefix in (("r-", "p-") if spec.checkpoint else ("r-",))
    ]


def split(arch: str) -> tuple[bool, BackboneSpec]:
    """Return (pretrained, backbone) of a name such as ``p-vgg19``; unknown raises InputError."""
    if arch not in names(hidden=True):
        known = names()
        raise InputError(
            f"unknown backbone {arch!r}{suggestion(arch, known)} (known: all, {', '.join(known)})"
        )
    return arch.startswith("p-"), ARCHS[arch[2:]]


def expand(values: Iterable[str]) -> dict[str, bool]:
    """Return the backbones that a list of names, comma lists, globs and ``all`` stands for.

    Returns:
        name -> whether it was named explicitly (rather than through ``all`` or a glob), in order.

    Raises:
        InputError: a name or a glob that fits nothing.
    """
    result: dict[str, bool] = {}
    for value in (part.strip() for text in values for part in text.split(",")):
        if value == "all":
            found, explicit = list(ALL), False
        elif any(character in value for character in "*?["):
            found, explicit = [n for n in names() if fnmatchcase(n, value)], False
            if not found:
                raise InputError(f"no backbone matches {value!r} (known: {', '.join(names())})")
        else:
            split(value)
            found, explicit = [value], True
        for name in found:
            result[name] = result.get(name, False) or explicit
    return result


Options = dict[str, tuple[str, ...]]
POOLED: Options = {"pool": ("max", "avg"), "activation": ("relu", "leaky")}
PLAIN: Options = POOLED | {"rescale": ("none", "mean")}
RESIDUAL: Options = POOLED | {
    "gamma": ("1", "0.5", "0.25", "0"),
    "shortcut": ("on", "off", "pre-relu"),
    "batchnorm": ("eval", "train", "calibrated"),
}
STRIDE_IN: Options = {"stride_in": ("conv2", "conv1")}
BATCHNORM: Options = POOLED | {"batchnorm": RESIDUAL["batchnorm"]}
"""Options of kinds of networks: name -> values."""

_STEM = Node("stem", "relu", 0)
_STAGES = tuple(Node(f"stage{stage}", f"layer{stage}", stage) for stage in (1, 2, 3, 4))
RESNET_NODES = (_STEM, *_STAGES)

ARCHS.add(
    "vgg19",
    BackboneSpec(
        description="VGG-19 (Simonyan & Zisserman 2015), torchvision; nodes of Gatys et al. 2016",
        target="stylebench.backbones.surgery:vgg19",
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
        target="stylebench.backbones.surgery:resnet50",
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
        target="stylebench.backbones.surgery:noresnet50",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=BATCHNORM,
    ),
)
ARCHS.add(
    "pseudo-vgg",
    BackboneSpec(
        description="pseudo-VGG: NoResNet with 3x3 stem, basic blocks and 2x2 max pooling",
        target="stylebench.backbones.surgery:pseudo_vgg",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=BATCHNORM,
    ),
)
ARCHS.add(
    "pseudo-resvgg",
    BackboneSpec(
        description="pseudo-ResVGG: pseudo-VGG with the shortcuts put back",
        target="stylebench.backbones.surgery:pseudo_resvgg",
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
