"""The decoder: from a map of stride 8 or 4 back to a picture, by one rule for every encoder."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

COUNTS = {4: 4, 2: 2, 1: 2}
"""Stride -> convolutions there, behind one at the stride of the map: VGG-19's up to that map in a
mirror, as in the released code for relu4_1."""
GREY = (0.45, 0.1)
"""Mean and deviation of the picture that training begins with; ours, of no source."""
LEAST = 32
"""Channels at each stride, at least: some encoders begin with 16."""


def strides(first: int) -> list[int]:
    """Return the strides of a decoder: of its map, and half of it each, down to 1."""
    return [first, *(stride for stride in COUNTS if stride < first)]


def widths(encoder: Mapping[int, int], factor: float, first: int) -> tuple[int, ...]:
    """Return the channels of the decoder at each of its strides.

    They are those of the encoder's style node at that stride; of the next coarser one where the
    encoder has none there (ResNets have no map of stride 1). So of VGG-19: 512, 256, 128, 64.

    Args:
        encoder: stride -> channels of its style nodes, `first` among them.
        factor: by which they are multiplied, but for those of the map.
        first: stride of the map.
    """
    found = [encoder[first]]
    own = found[0]
    for stride in strides(first)[1:]:
        own = encoder.get(stride, own)
        found.append(max(LEAST, round(own * factor)))
    return tuple(found)


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 3 × 3 convolution with reflection padding."""
    return nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3))


class Decoder(nn.Sequential):
    """Convolutions with ReLUs behind all but the last; nearest upsampling at each stride but 1.

    3 × 3, reflection padding, no BatchNorm. Source: the released code of AdaIN, which SANet takes
    over; with VGG-19 and a factor of 1 it is theirs. Deviation: weights begin as He et al. 2015
    have it, and the picture grey; torch's own, of variance 1/(3·inputs), make maps smaller by 1/√6
    a layer behind a ReLU.

    Args:
        widths: channels at each stride, as `widths` has them.

    Attributes:
        first: stride of its map.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        before = widths[0]
        self.first = 2 ** (len(widths) - 1)
        counts = [1, *(COUNTS[stride] for stride in strides(self.first)[1:])]
        for index, count in enumerate(counts):
            following = (*widths, 3)[index + 1]
            for number in range(count):
                after = following if number == count - 1 else widths[index]
                layers += [convolution(before, after), nn.ReLU()]
                before = after
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        super().__init__(*layers[:-2])  # the picture is not cut off at 0, nor enlarged
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        for each in convolutions:
            nn.init.kaiming_normal_(each.weight, nonlinearity="relu")
            nn.init.zeros_(cast("Tensor", each.bias))
        nn.init.normal_(convolutions[-1].weight, std=GREY[1] / (9 * widths[-1]) ** 0.5)
        nn.init.constant_(cast("Tensor", convolutions[-1].bias), GREY[0])

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, D, H, W) to a picture (B, 3, first·H, first·W), nominally in [0, 1]."""
        for layer in self:
            maps = layer(maps)
        return maps
