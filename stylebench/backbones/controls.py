"""The paper's controls: options of a backbone that change one thing and nothing else.

They are applied after the weights are loaded, in the order of `CONTROLS`, and compose. Sources:
Wang, Li, Vasconcelos 2021 (shortcut, its place before the ReLU), Gatys et al. 2016 (average
pooling, rescaled weights), He et al. 2016 (stride), Zhang 2019 (blur pooling), and the causal tests
of this bench (gamma, BatchNorm).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.utils.hooks import RemovableHandle
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from stylebench.backbones.paper import stride_in_conv1, without_shortcuts


def _blocks(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, BasicBlock | Bottleneck)]


def _last_norm(block: Any) -> nn.BatchNorm2d:
    return cast("nn.BatchNorm2d", block.bn3 if isinstance(block, Bottleneck) else block.bn2)


def scale_residuals(network: nn.Module, gamma: str) -> None:
    """Multiply every residual branch by γ: weight and bias of the block's last BatchNorm."""
    for block in _blocks(network):
        norm = _last_norm(block)
        with torch.no_grad():
            norm.weight.mul_(float(gamma))
            norm.bias.mul_(float(gamma))


class PreReLU(nn.Module):
    """A block whose shortcut takes the map before its ReLU: u + R(ReLU(u)) in place of eq. (10).

    Negative values reach the next block and can cancel peaks.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block
        self.relu = nn.ReLU()

    def forward(self, u: Tensor) -> Tensor:
        """Return u + R(ReLU(u)) for a map u before its ReLU."""
        x, block = self.relu(u), self.block
        out = block.bn2(block.conv2(self.relu(block.bn1(block.conv1(x)))))
        if isinstance(block, Bottleneck):
            out = block.bn3(block.conv3(self.relu(out)))
        shortcut = u if block.downsample is None else block.downsample(u)
        return cast("Tensor", shortcut + out)


def change_shortcuts(network: nn.Module, how: str) -> None:
    """Remove every shortcut (``off``), or take it before the ReLU (``pre-relu``).

    In a stage of pre-ReLU blocks the ReLU follows the last block, so that the stage's feature map
    is ReLU(u), as the paper's block variant has it; the next stage starts from ReLU(u) too.
    """
    network = cast("ResNet", network)
    if how == "off":
        without_shortcuts(network)
        return
    for name in ("layer1", "layer2", "layer3", "layer4"):
        layers = [
            PreReLU(child) if isinstance(child, BasicBlock | Bottleneck) else child
            for child in getattr(network, name)
        ]
        setattr(network, name, nn.Sequential(*layers, nn.ReLU()))


def _replace(network: nn.Module, kind: type[nn.Module], make: Callable[..., nn.Module]) -> None:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is kind:
                setattr(module, name, make(child))


def change_pooling(network: nn.Module, how: str) -> None:
    """Replace every max pooling by average pooling of the same windows (Gatys et al. 2016).

    Padding, where there is any, does not count in the averages.
    """

    def average(pool: nn.MaxPool2d) -> nn.Module:
        return nn.AvgPool2d(
            pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, count_include_pad=False
        )

    _replace(network, nn.MaxPool2d, average)


def change_activation(network: nn.Module, how: str) -> None:
    """Replace every ReLU by a LeakyReLU with PyTorch's slope, 0.01."""
    _replace(network, nn.ReLU, lambda relu: nn.LeakyReLU())


def change_stride(network: nn.Module, how: str) -> None:
    """Move the stride of stages 2 to 4 from the 3x3 into the first 1x1 (He et al. 2016)."""
    stride_in_conv1(cast("ResNet", network))


def _blur(channels: int) -> nn.Module:
    """Return blur pooling: the binomial filter [1, 2, 1]/4 in both directions, at stride 2."""
    from timm.layers import BlurPool2d

    return cast("nn.Module", BlurPool2d(channels, stride=2, pad_mode="replicate"))


def _blurred(pool: nn.MaxPool2d, channels: int) -> nn.Module:
    """Return max pooling at stride 1, then blur pooling."""
    pool.stride = 1
    return nn.Sequential(pool, _blur(channels))


def _blur_block(block: Any) -> None:
    """Move the stride of a block, residual or without its shortcut, into blur pooling."""
    for name, after in (("conv1", "conv2"), ("conv2", "conv3")):
        conv = getattr(block, name)
        if isinstance(conv, nn.Conv2d) and conv.stride == (2, 2):
            conv.stride = (1, 1)
            following = getattr(block, after)
            setattr(block, after, nn.Sequential(_blur(conv.out_channels), following))
    shortcut = getattr(block, "downsample", None)
    if shortcut is not None and shortcut[0].stride == (2, 2):
        projection = shortcut[0]
        projection.stride = (1, 1)
        shortcut[0] = nn.Sequential(_blur(projection.in_channels), projection)


def change_downsampling(network: nn.Module, how: str) -> None:
    """Compute every convolution and pooling of stride 2 at stride 1, blur, and subsample then.

    Zhang 2019, "Making convolutional networks shift-invariant again", with his binomial 3x3 filter
    and his places: behind the ReLU that follows a strided convolution (that is before the next
    convolution of the block; behind the stem's ReLU, whose map keeps its size so), before the 1x1
    of a shortcut (with which it commutes), and behind max pooling, whose windows stay as they are
    (in his ResNets they shrink to 2x2, and the stem's convolution keeps its stride by default).
    Edges are repeated where his code mirrors them, which takes maps of two pixels or more. Weights
    and sizes of maps, even or odd, do not change. What had stride 2 costs four times as much.

    Args:
        network: a ResNet of torchvision's blocks, or such blocks without shortcuts.
        how: ``blur``.
    """
    model = cast("Any", network)
    if model.conv1.stride == (2, 2):
        model.conv1.stride = (1, 1)
        model.relu = nn.Sequential(model.relu, _blur(model.conv1.out_channels))
    model.maxpool = _blurred(model.maxpool, model.conv1.out_channels)
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for name, child in list(stage.named_children()):
            if name == "pool":
                stage.pool = _blurred(child, stage[1].conv1.in_channels)
            else:
                _blur_block(child)


def use_batch_statistics(network: nn.Module) -> None:
    """Let BatchNorm normalise by the picture at hand, as in training; nothing is updated."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = None


def calibrate(network: nn.Module, pictures: Tensor) -> None:
    """Set BatchNorm's running statistics to those over pictures.

    The output of every BatchNorm, before its affine part, then has mean 0 and variance 1 per
    channel over these pictures and all positions: one by one, in the order in which they are
    computed, each takes the statistics of what it sees before it normalises it.

    Args:
        network: in evaluation mode; takes `pictures`.
        pictures: (B, 3, H, W).
    """

    def take(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        norm = cast("nn.BatchNorm2d", norm)
        x = inputs[0].to(norm.weight.dtype)
        norm.running_mean, norm.running_var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    _run(network, pictures, [norm.register_forward_pre_hook(take) for norm in norms])


def _run(network: nn.Module, pictures: Tensor, hooks: Sequence[RemovableHandle]) -> None:
    """Let a network see pictures while its hooks are there, and remove them."""
    with torch.no_grad():
        network(pictures)
    for hook in hooks:
        hook.remove()


def rescale(network: nn.Module, pictures: Tensor) -> None:
    """Rescale weights so that every filter's mean activation over pictures and positions is 1.

    Gatys et al. 2016: outputs of a network of convolutions, ReLUs and pooling do not change but for
    a factor per channel. A filter whose mean is not positive (it never fires, or is negative under
    a LeakyReLU) keeps its scale. Layers are independent: each convolution is divided by its own
    mean and multiplied by those of its input.

    Args:
        network: convolutions and ReLUs (or LeakyReLUs) in sequence, pooling among them.
        pictures: (B, 3, H, W), as the network takes them.
    """
    leaky = (m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU))
    slope = next(leaky, 0.0)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    means: dict[nn.Conv2d, Tensor] = {}

    def measure(conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        conv = cast("nn.Conv2d", conv)
        means[conv] = leaky_relu(output, slope).mean(dim=(0, 2, 3))

    _run(network, pictures, [conv.register_forward_hook(measure) for conv in convolutions])
    with torch.no_grad():
        before = convolutions[0].weight.new_ones(3)
        for conv in convolutions:
            own = means[conv].where(means[conv] > 0, 1.0)
            conv.weight.mul_(before[None, :, None, None] / own[:, None, None, None])
            if conv.bias is not None:
                conv.bias.div_(own)
            before = own


CONTROLS: dict[str, Callable[[nn.Module, str], None]] = {
    "stride_in": change_stride,
    "downsample": change_downsampling,
    "gamma": scale_residuals,
    "shortcut": change_shortcuts,
    "pool": change_pooling,
    "activation": change_activation,
}
"""Controls that need the network alone; the first value of an option is no change."""


def apply(network: nn.Module, options: Mapping[str, str], defaults: Mapping[str, str]) -> None:
    """Apply the controls among `options` that differ from their defaults, in place."""
    for name, control in CONTROLS.items():
        if options.get(name, defaults.get(name)) != defaults.get(name):
            control(network, options[name])


def apply_measured(
    network: nn.Module, options: Mapping[str, str], pictures: Callable[[], Tensor]
) -> None:
    """Apply the controls that measure the network on pictures, in place.

    Args:
        network: truncated, in evaluation mode.
        options: of the backbone.
        pictures: called if they are needed; returns (B, 3, H, W).
    """
    if options.get("batchnorm") == "train":
        use_batch_statistics(network)
    if options.get("batchnorm") == "calibrated":
        calibrate(network, pictures())
    if options.get("rescale") == "mean":
        rescale(network, pictures())
