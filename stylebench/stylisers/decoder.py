"""The decoder: from a map of stride 8 or 4 back to a picture, by one rule for every encoder."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

COUNTS = (4, 2, 2)
"""Convolutions at strides 4, 2 and 1 behind one at that of the map: VGG-19's up to relu4_1 in a
mirror, as in the released code. A map of stride 4 has the last two."""
GREY = (0.45, 0.1)
"""Mean and deviation of the picture that training begins with; ours, of no source."""
LEAST = 32
"""Channels at each stride, at least: some encoders begin with 16."""


def widths(encoder: Mapping[int, int], factor: float, first: int) -> tuple[int, ...]:
    """Return the channels of the decoder at the stride of its map and each half of it, down to 1.

    They are those of the encoder's style node at that stride; of the next coarser one where the
    encoder has none there (ResNets have no map of stride 1). So of VGG-19: 512, 256, 128, 64.

    Args:
        encoder: stride -> channels of its style nodes, `first` among them.
        factor: by which they are multiplied, but for those of the map.
        first: stride of the map.
    """
    own, stride = encoder[first], first
    found = [own]
    while stride > 1:
        stride //= 2
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
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        before = widths[0]
        for index, count in enumerate((1, *COUNTS[1 - len(widths) :])):
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
        """Map (B, D, H, W), of stride s, to a picture (B, 3, s·H, s·W), nominally in [0, 1]."""
        for layer in self:
            maps = layer(maps)
        return maps
