"""Networks as graphs: paths of their nodes, and the part of one that gives some nodes' maps.

torchvision's feature extraction does it (torch.fx); nothing here knows a particular network.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names


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
    """Return the paths of a network's nodes, in the order in which they are computed."""
    return list(get_graph_node_names(network.eval())[1])


def extractor(network: nn.Module, nodes: Mapping[str, str]) -> nn.Module:
    """Return the part of a network that maps (B, 3, H, W) to the maps of nodes: path -> name.

    It keeps the parameters' names. A path may be that of a module: its last node is meant. Neither
    modules nor functions (``relu(x, inplace=True)``) work in place.
    """
    found = create_feature_extractor(not_in_place(network), return_nodes=dict(nodes))
    for graph in (found.train_graph, found.eval_graph):
        for node in graph.nodes:
            if node.kwargs.get("inplace"):
                node.kwargs = {**node.kwargs, "inplace": False}
    found.recompile()
    return cast("nn.Module", found)


def shapes(module: nn.Module, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what an extractor on the meta device gives; () for what is no tensor.

    Args:
        module: see `extractor`.
        size: (H, W) of a picture that the network takes, in px.
    """
    with torch.no_grad():
        maps = module.eval()(torch.empty(1, 3, *size, device="meta"))
    return {
        name: tuple(value.shape) if isinstance(value, Tensor) else ()
        for name, value in maps.items()
    }
