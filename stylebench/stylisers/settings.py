"""What a network is trained on, and how: the settings of ``stylebench train``."""

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from stylebench.config import (
    NAME,
    Count,
    Frozen,
    NodePath,
    NonNegative,
    NoSwitch,
    Seed,
    Share,
    Size,
    SmoothingSpec,
)

Method = Literal["adain", "sanet"]
LOSSES, SAMPLES = "losses.csv", "samples"
"""In the folder of a training: the terms of each step, and pictures."""
TERMS = ("loss", "content", "style", "identity_pixels", "identity_maps")
METHODS: tuple[Method, ...] = get_args(Method)
PUBLISHED: dict[str, dict[str, Any]] = {
    # Huang & Belongie 2017 in PyTorch (naoto0804/pytorch-AdaIN, train.py): no identity losses.
    "adain": {"style_weight": 10.0, "identity_pixels": 0.0, "identity_maps": 0.0},
    # Park & Lee 2019, identity weights after the authors' erratum (dypark86/SANET, issue 1): the
    # paper has 1 and 50.
    "sanet": {"style_weight": 3.0, "identity_pixels": 50.0, "identity_maps": 1.0},
}
"""Method -> weights of the terms as its released code has them, where none are given."""
PUBLISHED_STRIDE: Final = 8
"""Of the map that takes on style: VGG-19's relu4_1 (SANet: and relu5_1, of twice that)."""
STRIDES: dict[str, tuple[int, ...]] = {"adain": (PUBLISHED_STRIDE, 4), "sanet": (PUBLISHED_STRIDE,)}
"""Method -> what it may be."""


def _names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Pictures = Annotated[
    tuple[str, ...], BeforeValidator(_names), Field(min_length=1, max_length=100_000)
]


class TrainingLoss(Frozen):
    """What training asks of a picture: seen by a backbone, under any smoothing.

    Attributes:
        network: the backbone that sees, with its options; "" is the encoder, as published. It has
            style nodes of the strides of the encoder's maps (`stride`), at which it sees content.
        nodes: its style nodes, in place of its own up to stride 8 (SANet: 16), as published.
        smoothing: of its maps, in all terms but that of the pixels.
        style: ``moments``, means and deviations of channels, as published, or ``gram`` matrices.
        balance: ``target`` divides each term of maps by the square of its target, so that networks
            of any scale compare; ``none`` leaves them as published.
        content_weight: of the content term.
        style_weight: of the style term; 10 for AdaIN and 3 for SANet by default.
        identity_pixels: of the distance of a picture to itself as content and style, in pixels; 0
            for AdaIN and 50 for SANet by default.
        identity_maps: the same in maps; 0 and 1 by default.
    """

    network: str = ""
    nodes: tuple[NodePath, ...] = Field((), max_length=64)
    smoothing: SmoothingSpec = SmoothingSpec(name="none")
    style: Literal["moments", "gram"] = "moments"
    balance: Literal["none", "target"] = "none"
    content_weight: NonNegative = 1.0
    style_weight: NonNegative
    identity_pixels: NonNegative
    identity_maps: NonNegative

    @property
    def has_identity(self) -> bool:
        """Whether pictures are made of a picture with itself."""
        return self.identity_pixels > 0 or self.identity_maps > 0


class TrainSettings(Frozen):
    """One training: frozen, and part of the model's card.

    Defaults are Park & Lee's: crops of 256 px of pictures of 512 × 512 px, batches of 5, Adam at a
    rate of 1e-4/(1 + 5e-5·step), 160,000 steps (GlebSBrykin/SANET, Train.ipynb).

    Attributes:
        name: of the training.
        description: in a line.
        profile: of the file it comes from.
        method: adain or sanet.
        encoder: the backbone that sees content and style, with its options. ``rescale=mean`` is
            what the released code calls ``vgg_normalised``.
        stride: of AdaIN's map: 8, VGG-19's relu4_1, as published, or 4, its relu3_1. SANet's are 8
            and 16 alone: at 4 its attention, of each position to each, would take 16 times the
            memory.
        width: factor on the decoder's channels.
        loss: the terms.
        content: photographs: files, folders, built-in names.
        style: pictures of styles.
        samples: contents that are stylised at each checkpoint, for people to look at; by default
            the first of `content`.
        size: side of the squashed pictures in px.
        crop: side in px of what is cut out of them at random.
        batch: pairs a step.
        steps: in all.
        reconstruct: share of these, the first, in which pictures are made of themselves alone, and
            their distance in pixels is the one term. Deviation, 0 by default: a decoder that
            passes pictures on shows a style by what is between it and the encoder (Li et al. 2017
            train no more).
        learning_rate: of Adam, at the start.
        decay: of the rate, which is that at the start over 1 + decay·step.
        checkpoint: steps from one checkpoint to the next.
        seed: of weights at the start, and of what is drawn.
        precision: of encoder, loss network and decoder in training; weights and Adam are fp32.
    """

    name: str = Field("train", pattern=NAME)
    description: str = ""
    profile: str = ""
    method: Method
    encoder: str = "p-vgg19+rescale=mean"
    stride: Literal[4, 8] = PUBLISHED_STRIDE
    width: Annotated[float, Field(gt=0, le=4, allow_inf_nan=False), NoSwitch] = 1.0
    loss: TrainingLoss
    content: Pictures = ("builtin",)
    style: Pictures = ("builtin",)
    samples: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field((), max_length=16)
    size: Size = 512
    crop: Size = 256
    batch: Annotated[Count, Field(le=1024)] = 5
    steps: Annotated[Count, Field(le=10_000_000)] = 160_000
    reconstruct: Share = 0.0
    learning_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), NoSwitch] = 1e-4
    decay: NonNegative = 5e-5
    checkpoint: Count = 1000
    seed: Seed = 0
    precision: Literal["auto", "fp32", "bf16"] = "fp32"

    @property
    def reconstructing(self) -> int:
        """How many steps are of reconstruction."""
        return int(self.steps * self.reconstruct)

    @model_validator(mode="before")
    @classmethod
    def _published(cls, value: Any) -> Any:
        """Fill in the weights of the method's terms."""
        if not isinstance(value, dict):
            return value
        loss = value.get("loss", {})
        own = PUBLISHED.get(str(value.get("method")), PUBLISHED["sanet"])
        return {**value, "loss": {**own, **loss}} if isinstance(loss, dict) else value

    @model_validator(mode="after")
    def _possible(self) -> "TrainSettings":
        if self.crop > self.size:
            raise ValueError(f"crop: expected at most size, {self.size} px, found {self.crop}")
        if self.stride not in STRIDES[self.method]:
            known = " or ".join(map(str, STRIDES[self.method]))
            raise ValueError(f"stride: expected {known} of {self.method}, found {self.stride}")
        if self.crop % 16:
            raise ValueError(f"crop: expected a multiple of 16 px, found {self.crop}")
        return self
