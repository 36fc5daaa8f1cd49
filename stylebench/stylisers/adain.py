"""AdaIN: the content's map with the style's moments (Huang & Belongie, ICCV 2017)."""

from collections.abc import Sequence

from torch import Tensor, nn

from stylebench.stylisers.moments import adain

Maps = tuple[Tensor, ...]
"""Maps of an encoder at the strides of a method, the finest first."""


class AdaIN(nn.Module):
    """What lies between encoder and decoder; it has no parameters.

    With VGG-19 and a stride of 8 its map is relu4_1, as published.
    """

    levels = 1

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()

    def plain(self, content: Maps) -> Tensor:
        """Return what no style is in: the content's own map."""
        return content[0]

    def forward(self, content: Maps, style: Maps) -> Tensor:
        """Return the decoder's input (B, D, H, W), from maps of contents and styles."""
        return adain(content[0], style[0])
