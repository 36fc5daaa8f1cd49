"""Networks of one's own as backbones: what a plug-in file makes, or a module that is handed in.

Where nobody names nodes: one for each resolution of the maps that modules give, the last module to
give it (a map of one position is none); of more than five, the first five. Stages end at 4; the
content node is the last style node but one. Pictures are normalised as ImageNet's.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from stylebench.backbones.names import makes
from stylebench.backbones.spec import MOST, BackboneSpec, Node, last_but_one
from stylebench.errors import InputError, listing, named, suggestion
from stylebench.registry import PLUGINS, check_code, load_installed


@dataclass(frozen=True)
class OwnSpec(BackboneSpec):
    """A network that we know nothing of: `given` is what makes it, or the network itself."""

    given: Any = None

    def build(self) -> nn.Module:
        """Return the network; one that was handed in is copied."""
        if isinstance(self.given, nn.Module):
            return copy.deepcopy(self.given)
        try:
            found = self.given()
        except Exception as error:
            raise InputError(
                f"{self.description} cannot be made: {named(error)}; expected what makes a network "
                "without arguments"
            ) from None
        if not isinstance(found, nn.Module):
            kind = type(found).__name__
            raise InputError(f"{self.description}: expected a torch.nn.Module, found {kind}")
        return found

    def sketch(self, options: Mapping[str, str]) -> nn.Module:
        """Return the network with some weights: without any it may not run."""
        with torch.random.fork_rng(devices=[]):
            return self.build().eval()


def _shapes(network: nn.Module, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the maps that modules give, in the order in which they are computed."""
    found: dict[str, tuple[int, ...]] = {}

    def keep(path: str, module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            found.setdefault(path, tuple(output.shape))  # of one that runs again the first counts

    hooks = [
        module.register_forward_hook(partial(keep, path))
        for path, module in network.named_modules()
        if path
    ]
    try:
        with torch.no_grad():
            like = next(network.parameters(), torch.zeros(()))
            network(torch.zeros(1, 3, *size, dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _nodes(spec: OwnSpec) -> tuple[Node, ...]:
    """Return the nodes that the rule in the module's docstring chooses."""
    try:
        shapes = _shapes(spec.sketch({}), spec.size)
    except InputError:
        raise
    except Exception as error:  # each network has its own way to refuse
        raise InputError(
            f"{spec.description}: expected a network of pictures (1, 3, {spec.size[0]}, "
            f"{spec.size[1]}), but it raised {named(error)}"
        ) from None
    last = {shape[2:]: path for path, shape in shapes.items() if shape[2] * shape[3] > 1}
    paths = list(last.values())[:MOST]
    if not paths:
        raise InputError(f"{spec.description}: expected modules that give maps (B, D, H, W)")
    first = MOST - len(paths)
    return tuple(Node(f"stage{stage}", path, stage) for stage, path in enumerate(paths, first))


def of(given: Any, description: str) -> BackboneSpec:
    """Return the backbone of what makes a network, of a network, or of a spec, which it is.

    Raises:
        InputError: it makes no network, or one that takes no pictures.
    """
    if isinstance(given, BackboneSpec):
        return given
    blank = Node("", "", 0)
    made = OwnSpec(description, "", (blank,), blank, given=given)
    style = _nodes(made)
    return replace(made, style=style, content=last_but_one(style))


def spec(name: str) -> BackboneSpec:
    """Return the backbone of ``FILE.py:NAME``, whose file is loaded (`registry.load_plugin`).

    Raises:
        InputError: it is not, or has nothing of that name, or see `of`.
    """
    load_installed()
    file, _, attribute = name.partition(":")
    if file not in PLUGINS:
        check_code({file: ""})
    return _of_file(file, attribute, PLUGINS[file].digest)


@lru_cache(maxsize=64)
def _of_file(file: str, attribute: str, digest: str) -> BackboneSpec:
    plugin = PLUGINS[file]
    given = getattr(plugin.module, attribute, None)
    if not callable(given) and not isinstance(given, BackboneSpec):
        known = [n for n, value in vars(plugin.module).items() if makes(value, plugin.module)]
        raise InputError(
            f"{file} has no network {attribute!r}{suggestion(attribute, known)} {listing(known)}"
        )
    if isinstance(given, nn.Module):
        raise InputError(
            f"{attribute} of {file} is a network that is made already, with weights of no seed; "
            "name its class, or a function that makes it"
        )
    return of(given, f"{attribute} of {file}")
