"""The encoder of a styliser: any backbone, cut at its maps of the strides that a method takes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stylebench.backbones import names, pretrained
from stylebench.backbones.extractor import Backbone, build
from stylebench.backbones.graph import shapes
from stylebench.backbones.names import BackboneName
from stylebench.backbones.spec import BackboneSpec, Node
from stylebench.config import NodeChoice, WeightsRef
from stylebench.errors import InputError


@dataclass(frozen=True)
class Level:
    """A style node of a backbone, with the stride of its map, a power of two, and its channels."""

    node: Node
    stride: int
    width: int


def levels(spec: BackboneSpec, options: Mapping[str, str]) -> tuple[Level, ...]:
    """Return the style nodes of a backbone, shallow to deep; strides are of a picture of its size.

    Those that are no power of two (Inception pads nothing) count as the next one.
    """
    found = shapes(spec.extractor(spec.sketch(options)), spec.size)
    return tuple(
        Level(node, 2 ** round(math.log2(spec.size[0] / shape[2])), shape[1])
        for node in spec.style
        for shape in (found[node.name],)
    )


def at_strides(arch: str, known: Sequence[Level], strides: Sequence[int]) -> tuple[Level, ...]:
    """Return the last node of each stride; a stride that no node has raises InputError."""
    last = {level.stride: level for level in known}
    for stride in strides:
        if stride not in last:
            there = ", ".join(map(str, last)) or "none"
            raise InputError(
                f"{arch}: expected a style node of stride {stride}, found strides {there}; take "
                "another backbone (p-vgg19, p-resnet50), or of AdaIN another `stride`"
            )
    return tuple(last[stride] for stride in strides)


@dataclass(frozen=True)
class Chosen:
    """A backbone with its options, weights and the nodes that are used of it."""

    label: str
    arch: str
    weights: WeightsRef
    seed: int
    known: tuple[Level, ...]

    def build(self, nodes: Sequence[Node], device: str, precision: str = "fp32") -> Backbone:
        """Return the backbone, cut behind the deepest of some nodes."""
        paths = tuple(node.path for node in nodes)
        choice = NodeChoice(style=paths, content=paths[-1])
        return build(self.arch, self.weights, self.seed, nodes=choice,
                     precision=precision, device=device)  # fmt: skip


def choose(
    text: str,
    given: Mapping[str, str],
    seed: int,
    strides: Sequence[int],
    *,
    offline: bool,
    own: bool = True,
    found: WeightsRef | None = None,
) -> Chosen:
    """Return the one backbone that a name with options stands for, and its weights.

    Args:
        text: as ``--arch`` takes it: ``p-vgg19+rescale=mean``.
        given: backbone name (without prefix) -> source of its weights.
        seed: of random weights.
        strides: at which it has to have nodes.
        offline: never download.
        own: whether the name is the user's own: that of a stranger loads no file.
        found: the weights, where they were looked for before.

    Raises:
        InputError: no such backbone, or one without such nodes; weights that are not there.
    """
    stem, options = names.parse(text)
    expanded = list(names.expand([stem], [*given])) if own else [stem]
    if len(expanded) != 1:
        raise InputError(f"expected one backbone, found {len(expanded)} in {text!r}")
    (arch,) = expanded
    spec = names.find(arch)
    known = levels(spec, spec.check_options(arch, options))
    at_strides(arch, known, strides)
    ref = found or pretrained.resolve(arch, seed, given=given, options=options, offline=offline)
    return Chosen(arch + ref.settings, arch, ref, seed, known)


def check_given(given: Mapping[str, str], archs: Sequence[str]) -> None:
    """Raise InputError for weights that are given for none of some backbones."""
    for name in given:
        if not any(takes(arch, name) for arch in archs):
            own = sorted({BackboneName.parse(arch).name for arch in archs})
            expected = f"those of {', '.join(own)}" if own else "none: there is no encoder"
            raise InputError(f"--weights {name}=…: expected {expected}")


def takes(arch: str, name: str) -> bool:
    """Tell whether weights that are given for a name are those of a backbone."""
    full = BackboneName.parse(arch).name
    return name in (full, BackboneName.parse(f"p-{full}").model)
