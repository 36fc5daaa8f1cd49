"""A job: its settings, and its id, which is a hash of what it means."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from stylebench.config.specs import (
    OPTIMISE,
    PRESET,
    Colours,
    Count,
    Frozen,
    Image,
    ImageRef,
    Ingredient,
    Kind,
    LossSpec,
    NodeChoice,
    OptimiserSpec,
    Positive,
    Precision,
    Region,
    Seed,
    Share,
    Size,
    SmoothingSpec,
    Start,
    Strength,
    System,
    WeightsRef,
    style_size,
)

SCHEMA_VERSION = 2
"""Part of every job id: raised when the same configuration begins to mean another computation."""
_ADDED: dict[str, Any] = {
    "chosen": None, "image": "pixels", "gradients": False, "code": {}, "style_scale": 1.0,
    "colours": "style", "blend": (), "regions": (), "tolerance": 0.0,
}  # fmt: skip
"""Keys that came later, with what jobs did before: at that they do not enter the job id."""


_ADDED_OPTIONS = {"init": "as-built"}
"""Options of backbones that came later, likewise."""


def _digest(meaning: dict[str, Any]) -> str:
    meaning = {k: v for k, v in meaning.items() if k not in _ADDED or v != _ADDED[k]}
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _weights_identity(weights: WeightsRef) -> dict[str, Any]:
    what = weights.sha256 or weights.source
    tag = {"tag": weights.tag} if weights.tag else {}
    taken = {"input": weights.input.unit} if weights.input else {}
    options = {k: v for k, v in weights.options.items() if _ADDED_OPTIONS.get(k) != v}
    return {"weights": what, "options": options, **tag, **taken}


class _OfBackbone(Frozen):
    """What jobs of both kinds say of their backbone.

    `nodes` are its own, path -> name, so that a change of nodes is another job; `chosen` is what
    the sweep says of them. `code` are the plug-ins that the job's numbers come from, with the
    digests of their sources (`stylebench.registry.PlugIn`).
    """

    arch: str
    nodes: dict[str, str]
    chosen: NodeChoice | None = None
    weights: WeightsRef
    code: dict[str, str] = Field({})

    @property
    def label(self) -> str:
        """The backbone with its options, as ``--arch`` takes it: ``r-vgg19+pool=avg``."""
        return self.arch + self.weights.settings


class TransferSettings(Frozen):
    """How a picture is stylised, whatever the backbone and the pictures: see `SweepConfig`.

    What is not given is as the preset ``balanced`` has it; `stylebench.transfer.presets.settings`
    gives those of the others.

    `evals`: closure evaluations, at most. `tolerance` ends an optimisation before: where the lowest
    loss fell by less than this share of itself in 20 evaluations
    (`stylebench.transfer.optimisers.WINDOW`); 0, the default: never.
    `style_scale`: long side of the style picture over that of the content: strokes grow with it.
    `colours`: ``style``, those that the style brings; ``luminance``, the content's, its luminance
    alone is stylised; ``matched``, those of a style whose colours are brought to the mean and
    covariance of the content's first (`stylebench.transfer.colours`).
    """

    smoothing: SmoothingSpec = SmoothingSpec(name="none")
    loss: LossSpec = LossSpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    start: Start = "content"
    evals: Count = 60
    tolerance: Share = 0.0
    image: Image = "pixels"
    gradients: bool = False
    style_scale: Positive = 1.0
    colours: Colours = "style"


class Stylisation(Frozen):
    """What jobs that make a picture say of pictures.

    `style` is the first of a blend, or of the regions that masks give to styles, by a name that
    tells all of it; `blend` and `regions` are () without. `style_scale` is that of
    `TransferSettings`.
    """

    kind: ClassVar[Kind] = "transfer"

    content: ImageRef
    style: ImageRef
    blend: tuple[Ingredient, ...] = ()
    regions: tuple[Region, ...] = ()
    size: Size
    resize: Literal["aspect", "squash"]
    style_scale: Positive = 1.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        style_size(self.size, self.style_scale)
        digests = [each.picture.digest for each in self.blend]
        if digests and (len(digests) < 2 or digests[0] != self.style.digest):
            raise ValueError("blend: expected two styles or more, the first of them as style")
        if digests and abs(sum(each.share for each in self.blend) - 1) > 1e-6:
            raise ValueError("blend: expected shares that add up to 1")
        if self.regions:
            rests = sum(each.mask is None for each in self.regions)
            if self.blend or self.regions[0].picture.digest != self.style.digest:
                raise ValueError("regions: expected no blend, and the first of them as style")
            if rests > (len(self.regions) > 1):
                raise ValueError("regions: expected masks, of one but the first style at most none")
        return self

    @property
    def style_size(self) -> int:
        """The long side of style pictures in px."""
        return style_size(self.size, self.style_scale)

    @property
    def styles(self) -> tuple[ImageRef, ...]:
        """The style picture, or all of a blend or of regions."""
        parts = self.blend or self.regions
        return tuple(each.picture for each in parts) or (self.style,)

    @property
    def masks(self) -> tuple[ImageRef | None, ...]:
        """The masks of the styles, None for what takes the rest; () for none at all."""
        return tuple(each.mask for each in self.regions)

    @property
    def pictures(self) -> tuple[ImageRef, ...]:
        """All that is read: content, styles and masks."""
        return (self.content, *self.styles, *filter(None, self.masks))

    def _of_pictures(self) -> dict[str, Any]:
        """Return what of the pictures enters the job id."""
        return {
            "content": self.content.digest,
            "style": self.style.digest,
            "blend": tuple((each.picture.digest, each.share) for each in self.blend),
            "regions": tuple(
                (each.picture.digest, each.mask.digest if each.mask else "")
                for each in self.regions
            ),
        }

    def with_pictures(self, change: Callable[[ImageRef], ImageRef]) -> Self:
        """Return the job with `change` made to each of its pictures; nothing is checked again."""

        def changed(part: Frozen) -> Frozen:
            found = {key: value for key, value in part if isinstance(value, ImageRef)}
            return part.model_copy(update={key: change(ref) for key, ref in found.items()})

        parts = {key: tuple(map(changed, getattr(self, key))) for key in ("blend", "regions")}
        both = {key: change(getattr(self, key)) for key in ("content", "style")}
        return self.model_copy(update=both | parts)


class JobSpec(_OfBackbone, TransferSettings, Stylisation):
    """One stylisation by optimisation: all that decides its result, and where its inputs are."""

    system: ClassVar[str] = OPTIMISE

    preset: str
    seed: Seed
    precision: Precision

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, value: Any) -> Any:
        """Take a mapping without `first_step`, as earlier versions wrote them, as what it was."""
        if isinstance(value, Mapping) and isinstance(value.get("optimiser"), Mapping):
            return {**value, "optimiser": {"first_step": "torch", **value["optimiser"]}}
        return value

    @model_validator(mode="after")
    def _without_regions(self) -> Self:
        if self.regions and self.gradients:
            raise ValueError("gradients: expected a style without a mask")
        return self

    @property
    def title(self) -> str:
        """What the job is, in a few words."""
        parts = [self.label, self.smoothing.label, *self._departures()]
        return "  ".join([*parts, f"{self.content.name} × {self.style.name}", f"seed {self.seed}"])

    def _departures(self) -> list[str]:
        """Return what is not as by default: by it variants of a sweep are told apart."""
        keys: dict[str, Any] = {
            "start": self.start, "style_scale": self.style_scale, "colours": self.colours,
            "tolerance": self.tolerance,
        }  # fmt: skip
        if self.preset.endswith("(modified)"):
            keys |= {"image": self.image} | self.loss.model_dump() | self.optimiser.model_dump()
        plain = {**LossSpec().model_dump(), **OptimiserSpec().model_dump()}
        plain |= {"start": "content", "image": "pixels", "style_scale": 1.0, "colours": "style"}
        plain |= {"tolerance": 0.0}
        named = [] if self.preset == PRESET else [self.preset.removesuffix(" (modified)")]
        changed = [f"{key}={value}" for key, value in keys.items() if value != plain[key]]
        return [" ".join([*named, *changed])] if named or changed else []

    @property
    def job_id(self) -> str:
        """Hash of the meaning: 16 hexadecimal digits; paths, names and machines do not enter."""
        meaning = self.model_dump(
            exclude={"weights", "content", "style", "blend", "regions", "preset"}
        )
        if self.optimiser.name != "lbfgs" or self.optimiser.first_step == "torch":
            del meaning["optimiser"]["first_step"]  # as before there was the key
        pictures, weights = self._of_pictures(), _weights_identity(self.weights)
        return _digest({**meaning, **weights, **pictures, "schema": SCHEMA_VERSION})


class PassSpec(Stylisation):
    """One stylisation in one pass, by a network that was trained for it.

    Attributes:
        system: its method; ``unknown`` of a model that is not there.
        arch: the method and the network that saw its losses, as tables call it: ``adain p-vgg19``.
        weights: the file of the model, by the same words as weights of a backbone.
        encoder: the weights of its encoder, None where they are part of the model.
        seen_by: networks of the model, as ``--arch`` takes them: these do not judge its pictures.
        smoothing: of the maps in its losses.
        seed: of its training.
        code: plug-ins that its encoder comes from.
        strength: how much of the style, above 0 and up to 1.
    """

    system: System
    arch: str
    weights: WeightsRef
    encoder: WeightsRef | None = None
    seen_by: tuple[str, ...] = ()
    smoothing: SmoothingSpec = SmoothingSpec(name="none")
    seed: Seed = 0
    code: dict[str, str] = Field({})
    strength: Strength = 1.0

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if self.regions:
            raise ValueError("regions: expected none, which trained networks do not have")
        return self

    @property
    def label(self) -> str:
        """The method and the network that saw its losses."""
        return self.arch

    @property
    def title(self) -> str:
        """What the job is, in a few words."""
        strength = [f"strength {self.strength:g}"] if self.strength != 1 else []
        pair = f"{self.content.name} × {self.style.name}"
        return "  ".join([self.arch, self.smoothing.label, *strength, pair, f"seed {self.seed}"])

    @property
    def job_id(self) -> str:
        """Hash of the meaning, as of a JobSpec; of the model its file's sha256 alone."""
        meaning = self.model_dump(include={"size", "resize", "style_scale", "strength", "code"})
        model = {"model": self.weights.sha256 or self.arch}
        return _digest({**meaning, **model, **self._of_pictures(), "schema": SCHEMA_VERSION})


class StatisticsSpec(_OfBackbone):
    """The statistics of one backbone with one set of weights, on a set of images."""

    kind: ClassVar[Kind] = "statistics"

    smoothing: tuple[SmoothingSpec, ...]
    images: tuple[ImageRef, ...]
    size: Size
    resize: Literal["aspect", "squash"]
    seed: Seed

    @property
    def title(self) -> str:
        """What the job is, in a few words."""
        return f"{self.label}  statistics of {len(self.images)} images  seed {self.seed}"

    @property
    def job_id(self) -> str:
        """Hash of the meaning, as of a JobSpec; names of images enter, as the rows show them."""
        return _digest(
            {
                **self.model_dump(exclude={"weights", "images"}),
                **_weights_identity(self.weights),
                "images": [(image.name, image.digest) for image in self.images],
                "schema": SCHEMA_VERSION,
            }
        )


PictureSpec = JobSpec | PassSpec
Spec = JobSpec | PassSpec | StatisticsSpec
"""What one job computes."""
