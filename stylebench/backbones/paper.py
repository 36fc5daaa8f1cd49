"""The paper's architectures, made from torchvision's ResNets by small, visible operations.

Source: Wang, Li, Vasconcelos, CVPR 2021. A network and its
variant are initialised by the same random draws: they have the same weights at the same seed and
differ in what the operation does alone.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

BLOCKS = (3, 4, 6, 3)
"""Blocks per stage of the pseudo networks: those of ResNet-50, which is inferred."""
DEPTHS: dict[str, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    "18": (BasicBlock, (2, 2, 2, 2)),
    "34": (BasicBlock, (3, 4, 6, 3)),
    "50": (Bottleneck, (3, 4, 6, 3)),
    "101": (Bottleneck, (3, 4, 23, 3)),
}
"""Layers with weights -> block and blocks per stage: He et al. 2016, table 1.

With one block a stage a shortcut before the ReLU would be a standard one: a stage begins behind a
ReLU."""


def vgg19() -> nn.Module:
    """Return torchvision's VGG-19, randomly initialised."""
    return cast("nn.Module", models.vgg19(weights=None))


def resnet50() -> ResNet:
    """Return torchvision's ResNet-50, randomly initialised."""
    return models.resnet50(weights=None)


def stride_in_conv1(model: ResNet) -> None:
    """Move the stride 2 of stages 2 to 4 from the 3x3 ``conv2`` into the 1x1 ``conv1``.

    torchvision ("v1.5") has it in the first, He et al. 2016, and their weights, in the second.
    """
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def _plain(block: nn.Module) -> nn.Sequential:
    """Return the residual branch of a torchvision block, followed by the block's last ReLU."""
    if not isinstance(block, BasicBlock | Bottleneck):
        raise TypeError(f"expected a BasicBlock or a Bottleneck, found {type(block).__name__}")
    depth = 3 if isinstance(block, Bottleneck) else 2
    parts = OrderedDict[str, nn.Module]()
    for index in range(1, depth + 1):
        parts[f"conv{index}"] = getattr(block, f"conv{index}")
        parts[f"bn{index}"] = getattr(block, f"bn{index}")
        parts[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(parts)


def without_shortcuts(model: ResNet) -> ResNet:
    """Return `model` with every shortcut removed, its projections included; weights stay.

    F^l = ReLU(R(F^{l-1})) in place of eq. (10), ReLU(F^{l-1} + R(F^{l-1})). A stride stays in the
    convolution of the residual branch that has it.
    """
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for name, block in stage.named_children():
            if isinstance(block, BasicBlock | Bottleneck):
                setattr(stage, name, _plain(block))
    return model


def noresnet50() -> ResNet:
    """Return NoResNet: ResNet-50 without its shortcuts."""
    return without_shortcuts(resnet50())


def pseudo_vgg() -> ResNet:
    """Return pseudo-VGG: pseudo-ResVGG without its shortcuts."""
    return without_shortcuts(pseudo_resvgg())


def _stem(width: int) -> nn.Conv2d:
    """Return a 3x3 convolution of a picture at stride 1, as torchvision initialises a ResNet's."""
    stem = nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem


def pseudo_resvgg() -> ResNet:
    """Return pseudo-ResVGG, randomly initialised as torchvision initialises a ResNet.

    Basic 3x3 blocks [3, 4, 6, 3] of 64-128-256-512 channels, BatchNorm kept; a 3x3 stem of stride 1
    for the 7x7 of stride 2; a 2x2 max pooling before each stage for every stride (the
    paper: "max pooling for size reduction"; that the stem is followed by one too, as conv1 is in
    VGG, is inferred). Where channels change, the shortcut is a 1x1 projection.
    """
    model = ResNet(BasicBlock, list(BLOCKS))
    model.conv1 = _stem(64)
    model.maxpool = nn.MaxPool2d(2)
    for name in ("layer2", "layer3", "layer4"):
        blocks = dict(getattr(model, name).named_children())
        blocks["0"].conv1.stride = (1, 1)
        blocks["0"].downsample[0].stride = (1, 1)
        setattr(model, name, nn.Sequential(OrderedDict(pool=nn.MaxPool2d(2), **blocks)))
    return model


class CifarResNet(ResNet):  # type: ignore[misc]  # torchvision has no types
    """torchvision's ResNet for pictures of 8 to 32 px, of any width.

    The usual CIFAR stem: a 3x3 convolution of stride 1 and no pooling, so that the stages have
    strides 1, 2, 4 and 8.

    Args:
        block: BasicBlock or Bottleneck.
        blocks: of them per stage.
        width: channels of the stem and planes of the first stage; each stage doubles them.
        classes: of the pictures.
    """

    def __init__(
        self, block: type[BasicBlock | Bottleneck], blocks: Sequence[int], width: int, classes: int
    ) -> None:
        self.width = width
        super().__init__(block, list(blocks))
        self.conv1, self.bn1 = _stem(width), nn.BatchNorm2d(width)
        self.maxpool = nn.Identity()
        self.fc = nn.Linear(8 * width * block.expansion, classes)

    def _make_layer(
        self, block: Any, planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        if planes == 64:  # torchvision's first stage, which takes the stem's channels
            self.inplanes = self.width
        narrow = planes * self.width // 64
        return cast("nn.Sequential", super()._make_layer(block, narrow, blocks, stride, dilate))


def cifar_resnet(
    depth: str = "18", width: str = "64", shortcut: str = "on", classes: int = 1000
) -> ResNet:
    """Return a ResNet with a CIFAR stem, randomly initialised, its shortcuts as an option says.

    Args:
        depth: one of `DEPTHS`.
        width: channels of the stem.
        shortcut: ``on``, ``off`` or ``pre-relu``: see `stylebench.backbones.controls`. All three
            take the same random draws.
        classes: of the classifier behind the last stage.
    """
    from stylebench.backbones.controls import change_shortcuts  # which imports this module

    block, blocks = DEPTHS[depth]
    network = CifarResNet(block, blocks, int(width), classes)
    if shortcut != "on":
        change_shortcuts(network, shortcut)
    return network
