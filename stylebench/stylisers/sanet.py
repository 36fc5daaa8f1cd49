"""SANet: each position of the content looks for its like in the style (Park & Lee, CVPR 2019)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from stylebench.stylisers.adain import Maps
from stylebench.stylisers.decoder import convolution
from stylebench.stylisers.moments import normalised


class Attention(nn.Module):
    """F_c + W F_cs with F_cs^i = (1/C) Σ_j exp(f(F̄_c^i)ᵀ g(F̄_s^j)) h(F_s^j), C = Σ_j exp(…).

    f, g, h and W are 1 × 1 convolutions, F̄ are maps of mean 0 and variance 1 in each channel.
    Source: Park & Lee 2019, eqs. (1) to (3).

    Args:
        width: channels of the maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.f, self.g, self.h, self.out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Return a map of the content's shape, from (B, D, H, W) and (B, D, H', W')."""
        query = self.f(normalised(content)).flatten(2).mT
        key = self.g(normalised(style)).flatten(2).mT
        value = self.h(style).flatten(2).mT
        found = scaled_dot_product_attention(
            query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1), scale=1.0
        )
        attended = found.squeeze(1).mT.reshape(content.shape)
        mixed: Tensor = content + self.out(attended)
        return mixed


class SANet(nn.Module):
    """conv3×3(A_8(F_c, F_s) + up2(A_16(F_c, F_s))), A_s the attention at stride s.

    With VGG-19 the maps are relu4_1 and relu5_1, as published. Deviation: where the two maps of an
    encoder differ in channels, which VGG-19's do not, a 1 × 1 convolution brings the coarser to the
    finer's.

    Args:
        widths: channels of the two maps.
    """

    levels = 2

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        fine, coarse = widths
        self.fine, self.coarse = Attention(fine), Attention(coarse)
        self.bring = nn.Conv2d(coarse, fine, 1) if coarse != fine else nn.Identity()
        self.merge = convolution(fine, fine)

    def plain(self, content: Maps) -> Tensor:
        """Return what no style is in: the content in the place of the style too."""
        return self.forward(content, content)

    def forward(self, content: Maps, style: Maps) -> Tensor:
        """Return the decoder's input (B, D, H, W), from maps of contents and styles."""
        fine = self.fine(content[0], style[0])
        coarse = self.bring(self.coarse(content[1], style[1]))
        merged: Tensor = self.merge(fine + interpolate(coarse, size=fine.shape[-2:]))
        return merged
