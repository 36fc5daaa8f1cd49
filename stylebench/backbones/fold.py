"""A finished network made faster: BatchNorm folded into convolutions, weights in their precision.

In evaluation mode BatchNorm is an affine map per channel, so that BN(Wx + b) is one convolution:
W' = γ/√(σ² + ε)·W, b' = γ/√(σ² + ε)·(b − μ) + β (Jacob et al. 2018, section 3.2). That is exact but
for rounding where the norm alone takes what the convolution gives, each of them called once. Who
takes what is read off the autograd graph of one picture, which knows it for every kind of module:
what leads to no map, and calls that return no tensor, do not count. Picture and weights are on the
meta device then, where nothing is computed.
"""

from collections import Counter
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.func import functional_call
from torch.nn.utils.fusion import fuse_conv_bn_weights

CONVOLUTIONS = {"Conv2d", "Conv2dSame"}
NORMS = {"BatchNorm2d", "BatchNormAct2d"}
"""Classes of torch and timm, by name so that timm need not be imported. Their subclasses may
compute something else (weight standardisation) and stay as they are."""

CHANNELS = 3
"""Of pictures: a convolution of so many takes the picture."""


def _kind(module: nn.Module) -> str:
    return type(module).__name__


def _is_affine(module: nn.Module) -> bool:
    """Tell whether this is a BatchNorm that uses running statistics."""
    if _kind(module) not in NORMS:
        return False
    norm = cast("nn.BatchNorm2d", module)
    return not norm.training and norm.running_mean is not None and norm.running_var is not None


def _uses(maps: dict[str, Tensor]) -> Counter[Node]:
    """Return how often the result of each node of the graph is used on the way to the maps."""
    found: Counter[Node] = Counter()
    ends = [value.grad_fn for value in maps.values() if value.grad_fn is not None]
    while ends:
        node = ends.pop()
        found[node] += 1
        if found[node] == 1:
            ends += [before for before, _ in node.next_functions if before is not None]
    return found


def _calls(
    network: nn.Module, size: tuple[int, int]
) -> tuple[Counter[Node], dict[nn.Module, list[Any]]]:
    """Return the uses of each result, and (node of the input, of the output) of each call.

    The calls are those of convolutions and norms that can be folded.
    """
    calls: dict[nn.Module, list[Any]] = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.setdefault(module, []).append((inputs[0].grad_fn, output.grad_fn))

    hooks = [
        module.register_forward_hook(record)
        for module in network.modules()
        if _kind(module) in CONVOLUTIONS or _is_affine(module)
    ]
    tensors = [*network.named_parameters(), *network.named_buffers()]
    state = {name: value.detach().to("meta") for name, value in tensors}
    kind = next(network.parameters()).dtype
    image = torch.empty(1, 3, *size, dtype=kind, device="meta", requires_grad=True)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            return _uses(functional_call(network, state, image)), calls
    finally:
        for hook in hooks:
            hook.remove()


def _pairs(network: nn.Module, size: tuple[int, int]) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each convolution whose result one norm alone takes, with that norm."""
    uses, calls = _calls(network, size)
    once = {module: nodes[0] for module, nodes in calls.items() if len(nodes) == 1}
    makers = {
        output: cast("nn.Conv2d", module)
        for module, (_, output) in once.items()
        if _kind(module) in CONVOLUTIONS and uses[output] == 1
    }
    return [
        (makers[taken], cast("nn.BatchNorm2d", module))
        for module, (taken, output) in once.items()
        if _kind(module) in NORMS and taken in makers and uses[output]
    ]


def _merge(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Give a convolution the weights of both, computed in float64 and rounded once."""
    values = (conv.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    bias, mean, var, gamma, beta = (None if v is None else v.detach().double() for v in values)
    weight, bias = fuse_conv_bn_weights(
        conv.weight.detach().double(), bias, cast("Tensor", mean), cast("Tensor", var), norm.eps,
        gamma, beta,
    )  # fmt: skip
    kind = conv.weight.dtype
    conv.weight = nn.Parameter(weight.to(kind), requires_grad=conv.weight.requires_grad)
    conv.bias = nn.Parameter(bias.to(kind), requires_grad=conv.weight.requires_grad)


def _remove(network: nn.Module, path: str) -> None:
    """Leave of a norm what it does besides: dropout and activation of timm's BatchNormAct2d."""
    rest = list(network.get_submodule(path).children())
    network.set_submodule(path, (nn.Sequential(*rest) if rest else nn.Identity()).eval())


def fold(network: nn.Module, size: tuple[int, int]) -> int:
    """Fold every BatchNorm into the convolution before it where that is exact, in place.

    Args:
        network: in evaluation mode, truncated; takes (1, 3, H, W) and returns maps by name.
        size: (H, W) in px of pictures that it takes. A network that does not run on such a one,
            because it looks at values or at other devices, stays as it is.

    Returns:
        How many norms were folded.
    """
    if not any(_is_affine(module) for module in network.modules()):
        return 0
    try:
        pairs = _pairs(network, size)
    except Exception:  # each network has its own way to refuse
        return 0
    paths = list(network.named_modules(remove_duplicate=False))
    for conv, norm in pairs:
        _merge(conv, norm)
        for path in [path for path, module in paths if module is norm]:
            _remove(network, path)
    return len(pairs)


def fold_like(network: nn.Module, folded: nn.Module) -> None:
    """Give a network the structure of a folded one of its kind, whose state then fits; in place."""
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if _kind(module) in NORMS and _kind(folded.get_submodule(path)) not in NORMS:
            _remove(network, path)
        if _kind(module) in CONVOLUTIONS:
            bias = cast("nn.Conv2d", folded.get_submodule(path)).bias
            cast("nn.Conv2d", module).bias = None if bias is None else nn.Parameter(bias.clone())
            if isinstance(folded.get_submodule(path).forward, _TakesPicture):
                module.forward = _TakesPicture(cast("nn.Conv2d", module))


class _TakesPicture:
    """The forward function of a convolution in float32 within a network in bf16.

    A picture rounded to bf16 is off by up to a grey level, and steps of the optimiser smaller than
    that change nothing: of six pairs one ended 25 % above the loss that float32 reached.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        self._forward = conv.forward

    def __call__(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self._forward(x.float()).to(torch.bfloat16)


def lower(network: nn.Module, precision: str) -> None:
    """Store weights as a precision's convolutions want them, in place.

    Args:
        network: any.
        precision: ``bf16`` and ``tf32`` run on matrix units, which take channels last; ``fp32`` is
            5 % faster without on a CPU (vgg19 and resnet50, 256 px). For bf16, convolutions and
            linear layers are rounded once, not by autocast at each evaluation: the maps are equal.
            What takes the picture stays in fp32 (see `_TakesPicture`).
    """
    for module in network.modules():
        if precision != "fp32" and _kind(module) in CONVOLUTIONS:
            module.to(memory_format=torch.channels_last)
        if precision != "bf16" or _kind(module) not in CONVOLUTIONS | {"Linear"}:
            continue
        if _kind(module) != "Linear" and cast("nn.Conv2d", module).in_channels == CHANNELS:
            module.forward = _TakesPicture(cast("nn.Conv2d", module))
        else:
            module.to(torch.bfloat16)
