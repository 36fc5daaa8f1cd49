"""How random weights begin: as the network's code has it, with live branches, or as torchvision's.

``as-built``: what the code draws, nothing else. Of many models of timm, and of torchvision's
ConvNeXt, it starts residual branches at zero or nearly so, which helps training; untrained, such a
network is a chain of identities and projections, and cannot be compared with one that is not.

``live``: as built, but every parameter that multiplies a residual branch is 1 where it is one
number under one half. The rule goes by names: the weight of a norm (a class with ``Norm`` in its
name; not GlobalResponseNorm, which bypasses itself), and parameters called gamma, gamma_1, gamma1,
gamma_xca, ls1, layer_scale, scale, gain or skipinit_gain. These are the zero-initialised last norms
of ResNets, RegNets, CSPNets, Swin v2, LeViT …, LayerScale and its kin (1e-6 to 0.1), and the gains
of NFNets. Nothing else changes, no other number is drawn.

``torchvision``: live, with convolutions drawn again as torchvision draws those of its ResNets
(normal, He et al. 2015, fan-out, ReLU), their biases 0, and the norms at weight 1 and bias 0.

``r-`` means ``live``, which is a network's own initialisation where no branch is off. Networks of
one's own file stay as they are built.
"""

import re
from collections.abc import Iterator

import torch
from torch import nn

AS_BUILT = "as-built"
SCALES = re.compile(r"gamma(_?\d|_xca)?|ls\d|layer_scale\w*|scale|gain|skipinit_gain")
"""Names of parameters that multiply a residual branch, beside the weights of norms."""
SMALL = 0.5
"""Such a parameter is at least this where its branch is live."""


def _is_norm(module: nn.Module) -> bool:
    kind = type(module).__name__
    return "Norm" in kind and kind != "GlobalResponseNorm"


def dormant(network: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that switch a residual branch of a network off, or nearly so."""
    for module in network.modules():
        for name, value in module.named_parameters(recurse=False):
            scales = _is_norm(module) if name == "weight" else SCALES.fullmatch(name)
            if (
                scales
                and value.numel()
                and value.min() == value.max()
                and value.max().abs() < SMALL
            ):
                yield value


def _as_torchvision(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif not _is_norm(module):
            continue
        elif isinstance(weight := getattr(module, "weight", None), nn.Parameter):
            nn.init.ones_(weight)
        if isinstance(bias := getattr(module, "bias", None), nn.Parameter):
            nn.init.zeros_(bias)


def initialise(network: nn.Module, how: str) -> None:
    """Initialise a network that is as its code built it, in place.

    Args:
        network: whole, not on the meta device.
        how: ``as-built``, ``live`` or ``torchvision``.
    """
    if how == AS_BUILT:
        return
    with torch.no_grad():
        if how == "torchvision":
            _as_torchvision(network)
        for value in dormant(network):
            value.fill_(1)
