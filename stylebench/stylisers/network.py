"""A trained styliser: encoder, what its method does with maps, and decoder; how one is loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from stylebench import files
from stylebench.backbones.extractor import Backbone
from stylebench.config import WeightsRef
from stylebench.errors import InputError
from stylebench.registry import check_code
from stylebench.runtime import float32
from stylebench.stylisers import card, encoder
from stylebench.stylisers.adain import AdaIN, Maps
from stylebench.stylisers.decoder import Decoder
from stylebench.stylisers.sanet import SANet
from stylebench.stylisers.settings import PUBLISHED_STRIDE, STRIDES
from stylebench.stylisers.styliser import check_strength
from stylebench.transfer.targets import Blend, pictures

JOINS: dict[str, type[AdaIN] | type[SANet]] = {"adain": AdaIN, "sanet": SANet}


def strides(method: str, first: int = PUBLISHED_STRIDE) -> tuple[int, ...]:
    """Return the strides of a method's maps, of which `first` is the finest."""
    return tuple(first * 2**level for level in range(JOINS[method].levels))


def full(made: Tensor, content: Tensor) -> Tensor:
    """Return pictures at the size of their contents.

    They are smaller where the convolutions of an encoder pad nothing.
    """
    size = content.shape[-2:]
    if made.shape[-2:] == size:
        return made
    return interpolate(made, size=size, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """What is trained: the part that joins maps (`JOINS`), and the decoder behind it.

    Args:
        method: its name.
        widths: channels of the encoder's maps.
        decoder: channels of the decoder, as `stylebench.stylisers.decoder.widths` has them.
    """

    def __init__(self, method: str, widths: Sequence[int], decoder: tuple[int, ...]) -> None:
        super().__init__()
        self.join = JOINS[method](widths)
        self.decoder = Decoder(decoder)

    def forward(self, content: Maps, style: Maps) -> Tensor:
        """Return pictures (B, 3, s·H, s·W), not cut off, from maps of contents and styles."""
        picture: Tensor = self.decoder(self.join(content, style))
        return picture


class Network(nn.Module):
    """Pictures to pictures: the frozen encoder and the generator.

    Args:
        backbone: gives the maps of `paths`.
        paths: of its nodes, the finest first.
        generator: as trained.
    """

    def __init__(self, backbone: Backbone, paths: Sequence[str], generator: Generator) -> None:
        super().__init__()
        self.backbone, self.generator = backbone, generator
        self._paths = tuple(paths)

    def encode(self, picture: Tensor) -> Maps:
        """Return the maps of pictures (B, 3, H, W), in float32 at least."""
        return self.taken(self.backbone(picture))

    def taken(self, maps: Mapping[str, Tensor]) -> Maps:
        """Return, of the maps of a backbone, those of the encoder."""
        return tuple(float32(maps[path]) for path in self._paths)

    def blended(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        shares: Sequence[float | Tensor],
        strength: float | Tensor = 1.0,
    ) -> Tensor:
        """Return pictures in a mixture of styles: weighted means of the decoder's inputs.

        Source: Huang & Belongie 2017, eqs. (14) and (15); Park & Lee 2019 for the strength of
        SANet, with the content in place of the style.

        Args:
            content: (B, 3, H, W), H and W multiples of the coarsest stride.
            styles: (B, 3, H', W') each.
            shares: of the styles.
            strength: 0 to 1.
        """
        own = self.encode(content)
        join, plain = self.generator.join, self.generator.join.plain(own)
        mixed = plain
        for style, share in zip(styles, shares, strict=True):
            mixed = mixed + strength * share * (join(own, self.encode(style)) - plain)
        picture: Tensor = self.generator.decoder(mixed)
        return picture.clamp(0, 1)

    def forward(self, content: Tensor, style: Tensor, strength: float | Tensor = 1.0) -> Tensor:
        """Return pictures in one style; arguments as of `blended`."""
        return self.blended(content, [style], [1.0], strength)


class Trained:
    """A styliser that was trained here, as `stylebench.stylisers.styliser.Styliser` says.

    Attributes:
        name: the method.
        sha256: of its file.
        card: what the file says of it.
        network: pictures to pictures, for sides that are multiples of `multiple`.
        multiple: the stride of its coarsest map.
    """

    def __init__(self, found: card.Card, network: Network, digest: str = "") -> None:
        self.name, self.sha256, self.card, self.network = found.name, digest, found, network
        self.multiple = max(strides(found.name, found.stride))

    @property
    def summary(self) -> dict[str, str | int]:
        """What records say of it."""
        return self.card.summary

    def stylise(self, content: Tensor, style: Tensor | Blend, strength: float = 1.0) -> Tensor:
        """Return the content picture in a style; see `Styliser.stylise`.

        A content whose sides are no multiples of the coarsest stride is continued at its right and
        lower border by its last pixels, and the result is cut to its size.
        """
        check_strength(strength)
        styles = pictures(style)
        shares = style.shares if isinstance(style, Blend) else (1.0,)
        height, width = content.shape[-2:]
        below, right = -height % self.multiple, -width % self.multiple
        padded = pad(content, (0, right, 0, below), mode="replicate")
        with torch.no_grad():
            made = self.network.blended(padded, styles, shares, strength)
        return full(made, padded)[..., :height, :width]


def load(
    path: Path,
    *,
    given: Mapping[str, str] | None = None,
    device: str = "cpu",
    offline: bool = False,
    weights: WeightsRef | None = None,
) -> Trained:
    """Return the styliser in MODEL.safetensors; see `stylebench.stylisers.styliser.load`.

    Args:
        path: of the file.
        given: backbone name (without prefix) -> source of the encoder's weights.
        device: as torch names it.
        offline: never download.
        weights: those of the encoder, where they were looked for before.
    """
    found = card.read(path)
    expected = card.expected(path)
    own = strides(found.name, found.stride)
    with torch.device("meta"):
        sketch = Generator(found.name, _widths(found, expected), found.decoder)
    shapes = {name: tuple(value.shape) for name, value in sketch.state_dict().items()}
    state = card.tensors(path, shapes)
    try:
        check_code(found.code)
        chosen = encoder.choose(
            found.encoder, given or {}, found.seed, own,
            offline=offline, own=False, found=weights,
        )  # fmt: skip
        encoder.check_given(given or {}, [chosen.arch])
    except InputError as error:
        raise type(error)(f"{str(path)!r}: its encoder {found.encoder}: {error}") from None
    card.check_weights(path, found, chosen.weights)
    nodes = encoder.at_strides(chosen.arch, chosen.known, own)
    if tuple(level.width for level in nodes) != found.widths:
        raise InputError(f"{expected}: its encoder has maps of other widths")
    generator = Generator(found.name, found.widths, found.decoder)
    generator.load_state_dict(state)
    network = Network(
        chosen.build([level.node for level in nodes], device),
        [level.node.path for level in nodes],
        generator.eval().requires_grad_(False).to(device),
    )
    return Trained(found, network, files.sha256(path))


def _widths(found: card.Card, expected: str) -> tuple[int, ...]:
    """Return the widths that a card says; InputError where they are not of its method."""
    fits = found.stride in STRIDES[found.name] and found.decoder[0] == found.widths[0]
    if not fits or len(found.widths) != JOINS[found.name].levels:
        raise InputError(f"{expected}: card: widths {found.widths} and {found.decoder} do not fit")
    return found.widths
