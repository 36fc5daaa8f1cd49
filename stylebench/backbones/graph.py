"""Networks as graphs: paths of their nodes, and the part of one that gives some nodes' maps.

torchvision's feature extraction does it (torch.fx). What that cannot trace, because its control
flow depends on the picture, runs as it is, and hooks take the maps; its nodes are modules. Nothing
here knows a particular network.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from stylebench.errors import InputError


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Return what `build` makes, without weights, on the meta device.

    RegNet computes its widths with tensors: where that is so the weights are made, then dropped.
    """
    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:
        return build().to("meta")


def not_in_place(network: nn.Module) -> nn.Module:
    """Return `network`, its activations no longer in place: they falsify maps taken before them."""
    for module in network.modules():
        if hasattr(module, "inplace"):
            cast("nn.ReLU", module).inplace = False
    return network


def paths(network: nn.Module) -> list[str]:
    """Return the paths of a network's nodes, in the order in which they are computed.

    Of one that cannot be traced: of its modules, as it names them.
    """
    try:
        return list(get_graph_node_names(network.eval())[1])
    except Exception:  # torch.fx raises what the network's code makes of its proxies
        return [path for path, _ in network.named_modules() if path]


def extractor(network: nn.Module, nodes: Mapping[str, str]) -> nn.Module:
    """Return the part of a network that maps (B, 3, H, W) to the maps of nodes: path -> name.

    It keeps the parameters' names. A path may be that of a module: its last node is meant. Neither
    modules nor functions (``relu(x, inplace=True)``) work in place. See `Hooked` for networks that
    cannot be traced.
    """
    try:
        found = create_feature_extractor(not_in_place(network), return_nodes=dict(nodes))
    except Exception:
        if not nodes.keys() <= dict(network.named_modules()).keys():
            raise
        return Hooked(network, nodes)
    for graph in (found.train_graph, found.eval_graph):
        for node in graph.nodes:
            if node.kwargs.get("inplace"):
                node.kwargs = {**node.kwargs, "inplace": False}
    found.recompile()
    return cast("nn.Module", found)


class _SeenAll(Exception):  # noqa: N818 - it is no error
    """Raised by the last hook: nothing behind it needs to be computed."""


class Hooked(nn.Module):
    """A network whose maps hooks take; a module that runs several times gives its first map.

    Args:
        network: of any control flow; it runs up to its last node.
        nodes: path of a module -> name.
    """

    WITHIN = "network."

    def __init__(self, network: nn.Module, nodes: Mapping[str, str]) -> None:
        super().__init__()
        self.network = network
        self._nodes = dict(nodes)
        self._maps: dict[str, Tensor] = {}
        modules = dict(network.named_modules())
        for path, name in nodes.items():
            modules[path].register_forward_hook(functools.partial(self._keep, name))

    def _keep(self, name: str, module: nn.Module, inputs: object, output: Tensor) -> None:
        # A copy: what follows may work in place.
        self._maps.setdefault(name, output.clone() if isinstance(output, Tensor) else output)
        if len(self._maps) == len(self._nodes):
            raise _SeenAll

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map (B, 3, H, W) to name of the node -> map; InputError for one that was not computed."""
        self._maps = {}
        with contextlib.suppress(_SeenAll):
            self.network(x)
        found, self._maps = self._maps, {}
        missing = [path for path, name in self._nodes.items() if name not in found]
        if missing:
            size = f"{x.shape[-1]}×{x.shape[-2]}"
            raise InputError(f"node {missing[0]} is not computed for a picture of {size} px")
        return found


def shapes(module: nn.Module, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what an extractor gives; () for what is no tensor.

    Args:
        module: see `extractor`; it may be on the meta device.
        size: (H, W) of a picture that the network takes, in px.
    """
    device = next((p.device for p in module.parameters()), torch.device("meta"))
    with torch.no_grad():
        maps = module.eval()(torch.zeros(1, 3, *size, device=device))
    return {
        name: tuple(value.shape) if isinstance(value, Tensor) else ()
        for name, value in maps.items()
    }
