"""What a backbone is: a network, its nodes, its weights and its options. No torch here.

Nodes are graph nodes of ``torchvision.models.feature_extraction``. `stage` is the position in the
paper's figures: 0 is the stem (conv1 in VGG), 1 to 4 follow.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Self, TypeVar, cast

from stylebench.config import IMAGENET_MEAN, IMAGENET_STD, InputSpec, NodeChoice
from stylebench.errors import InputError, suggestion
from stylebench.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn


MOST = 5
"""Style nodes of a rule that chooses them, at most."""
T = TypeVar("T")


def last_but_one(style: Sequence[T]) -> T:
    """Return the content node where none is named, of style nodes; the only one of one."""
    return style[-2] if len(style) > 1 else style[-1]


@dataclass(frozen=True)
class Node:
    """A place in a network: its name in tables, its path in the graph, its stage."""

    name: str
    path: str
    stage: int


INIT = {"init": ("as-built", "live", "torchvision")}
"""The option of backbones with random weights; see `backbones.initial`."""


def normalised(picture: "Tensor", order: str, mean: "Tensor", std: "Tensor") -> "Tensor":
    """Return what a network takes of pictures (B, 3, H, W), RGB in [0, 1]; see `BackboneSpec`.

    `mean` and `std` are (1, 3, 1, 1) on the pictures' device, in the `order` of the channels.
    """
    return ((picture.flip(1) if order == "bgr" else picture) - mean) / std


@dataclass(frozen=True)
class BackboneSpec:
    """An architecture that can be put on the bench.

    Attributes:
        description: one line, shown by ``stylebench ls archs``.
        target: ``module:function`` that makes the network with PyTorch's own random initialisation.
        style: the style nodes, shallow to deep.
        content: the content node.
        checkpoint: file name of torchvision's ImageNet weights; empty if there are none.
        published: where its weights are, if that is no source of ours: a file of them is given.
        random: whether it has random weights too; not where another backbone has the same network.
        unused: prefixes of parameters behind the deepest node, which a weights file may leave out.
        arguments: keyword arguments of the target.
        options: name -> allowed values, the first being the default; see `backbones.controls`.
        shape: those of the options that the network is built with, as arguments of the target:
            weights are those of a network of this shape. The others change it afterwards.
        min_side: shortest side of a picture that the network takes, in px; torchvision's metadata.
        hidden: left out of globs (a backbone for tests).
        aliases: other names of places that a node may be -> their paths in the graph.
        renamed: pattern -> replacement, from names in published weights to the network's own.
        mean: of a picture in [0, 1], taken off it.
        std: by which it is divided then.
        order: of the channels, also those of `mean` and `std`.
        dormant: its code starts residual branches at zero or nearly so: with random weights
            ``init=live`` is meant.
    """

    description: str
    target: str
    style: tuple[Node, ...]
    content: Node
    checkpoint: str = ""
    published: str = ""
    random: bool = True
    unused: tuple[str, ...] = ()
    arguments: dict[str, object] = field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shape: tuple[str, ...] = ()
    min_side: int = 16
    hidden: bool = False
    aliases: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    order: Literal["rgb", "bgr"] = "rgb"
    dormant: bool = False

    @property
    def input(self) -> InputSpec:
        """What it takes for a picture."""
        return InputSpec(order=self.order, mean=self.mean, std=self.std)

    def taking(self, given: InputSpec | None) -> Self:
        """Return the backbone with another input; its own for None."""
        if given is None:
            return self
        (m0, m1, m2), (s0, s1, s2), unit = given.mean, given.std, given.scale
        mean, std = (m0 / unit, m1 / unit, m2 / unit), (s0 / unit, s1 / unit, s2 / unit)
        return replace(self, mean=mean, std=std, order=given.order)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What its names begin with: r- for random weights, p- for pretrained ones."""
        trained = ("p-",) if self.checkpoint or self.published else ()
        return ("r-", *trained) if self.random else trained

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

    def shaped(self, options: Mapping[str, str]) -> Self:
        """Return the backbone whose network is built with the options of its `shape`.

        What it is built with is its default then: nothing is changed to it afterwards.
        """
        chosen = {key: options.get(key, self.defaults[key]) for key in self.shape}
        fixed = {key: (value,) for key, value in chosen.items()}
        return replace(
            self, arguments={**self.arguments, **chosen}, options={**self.options, **fixed}
        )

    def settled(self, options: Mapping[str, str]) -> dict[str, str]:
        """Return the options that change something, in the order of their names."""
        defaults = self.defaults
        return {key: options[key] for key in sorted(options) if options[key] != defaults[key]}

    def started(self, options: Mapping[str, str]) -> dict[str, str]:
        """Return the settled options of random weights; those of a dormant network say `init`."""
        how = options.get("init", "live")
        if not self.dormant and how == "live":
            how = "as-built"
        said = {"init": how} if self.dormant else {}
        return self.settled({**options, "init": how}) | said

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

        shaped = self.shaped(options)
        network = graph.on_meta(shaped.build).eval()
        with torch.device("meta"):
            controls.apply(network, options, shaped.defaults)
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

    def check_options(self, arch: str, options: Mapping[str, str]) -> dict[str, str]:
        """Return options as this backbone spells them: a gamma of 1.0 is 1, False and No are off.

        Raises:
            InputError: it does not have such an option or value.
        """
        found = {}
        for key, value in options.items():
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                near = suggestion(key, self.options)
                raise InputError(f"{arch} has no option {key!r}{near} (known: {known})")
            same = [one for one in self.options[key] if _meant(one) == _meant(value)]
            if not same:
                allowed = ", ".join(self.options[key])
                raise InputError(f"{arch}: option {key} is one of {allowed}, found {value!r}")
            found[key] = same[0]
        return found


_SWITCHES = {"true": "on", "yes": "on", "false": "off", "no": "off"}
"""What YAML takes for on and off."""


def _meant(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return _SWITCHES.get(text.lower(), text.lower())


ARCHS: Registry[BackboneSpec] = Registry("backbone", module="stylebench.backbones.zoo")
"""The backbones that are known by name; models of timm and those of files are not among them."""
