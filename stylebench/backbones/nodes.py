"""Nodes that an experiment chooses in place of a backbone's own. No torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from stylebench.backbones.spec import BackboneSpec, Node
from stylebench.config import NodeChoice
from stylebench.errors import InputError, some, suggestion

SHOWN = 10
"""Nodes that an error lists, at most."""

DEEPEST = 4
"""The last stage; the first is 0."""

CONTENT = 3
"""The stage of a content node that is none of the style nodes."""

Spec = TypeVar("Spec", bound=BackboneSpec)


def listed(paths: Sequence[str], most: int | None = None) -> str:
    """Return nodes with their indices as one line: ``0 act1, 1 layer1``; at most so many."""
    return some([f"{index} {path}" for index, path in enumerate(paths) if path], most)


def modules(paths: Sequence[str]) -> dict[str, str]:
    """Return the modules that paths lie in -> the last path in each, which is its output."""
    found: dict[str, str] = {}
    for path in paths:
        parts = path.split(".")
        found |= {".".join(parts[:depth]): path for depth in range(1, len(parts))}
    return found


def staged(spec: Spec, options: Mapping[str, str]) -> Spec:
    """Return a backbone whose nodes' stages follow from the resolutions of their maps.

    Nodes of the coarsest resolution are of stage 4, those of the next finer of 3, and so on; none
    is below 0. So the 16 ReLUs of VGG-19 have the stages of its blocks, and ResNet-50's stem 0 and
    its blocks 1 to 4. A network of one resolution (ViT) is all stage 4.
    """
    found = spec.resolutions(options)
    ranks = {area: rank for rank, area in enumerate(sorted(set(found.values())))}

    def placed(node: Node) -> Node:
        return replace(node, stage=max(DEEPEST - ranks[found[node.name]], 0))

    return replace(spec, style=tuple(map(placed, spec.style)), content=placed(spec.content))


def choose(spec: Spec, arch: str, choice: NodeChoice, options: Mapping[str, str]) -> Spec:
    """Return a backbone with other nodes.

    The stages of up to five end at 4, one a node, and a content node that is none of them has 3;
    those of more follow from the resolutions of the maps, see `staged`.

    Args:
        spec: of the backbone.
        arch: its name, for messages.
        choice: nodes by path, by the path of a module, by index, or by the names that the
            backbone itself gives to places (Gatys' ``relu3_1`` of a VGG).
        options: of the backbone; some change which nodes there are.

    Raises:
        InputError: a node that it does not have, that is no map (B, D, H, W), or named twice.
    """
    paths = spec.paths(options)
    places = spec.modules(paths) | {path: path for path in paths if path}
    own = {node.name: node.path for node in (*spec.style, spec.content)} | spec.aliases

    def found(value: int | str) -> Node:
        if value in places:
            return Node(str(value), str(value), CONTENT)
        if own.get(str(value)) in places:
            return Node(str(value), own[str(value)], CONTENT)
        if isinstance(value, int) and 0 <= value < len(paths) and paths[value]:
            return Node(paths[value], paths[value], CONTENT)
        changed = spec.settled(options)
        named = arch + "".join(f"+{key}={value}" for key, value in changed.items())
        near = suggestion(str(value), [*places, *own])
        raise InputError(
            f"nodes: {named} has no node {value!r}{near} (known: {listed(paths, SHOWN)}; all: "
            f"stylebench ls archs -v --arch {named})"
        )

    style = [found(value) for value in choice.style]
    few = len(style) <= DEEPEST + 1
    first = DEEPEST + 1 - len(style) if few else 0
    nodes = {
        places[node.path]: replace(node, stage=stage) for stage, node in enumerate(style, first)
    }
    if len(nodes) < len(style):
        twice = ", ".join(node.name for node in style)
        raise InputError(f"nodes: {arch}: a style node is named twice: {twice}")
    content = found(choice.content)
    chosen = replace(
        spec,
        style=tuple(nodes.values()),
        content=nodes.get(places[content.path], content),
    )
    chosen = chosen.fitted(arch, options)
    return chosen if few else staged(chosen, options)
