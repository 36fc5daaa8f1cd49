"""What a sweep is to compute: the configuration that an experiment file and flags come to."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from stylebench.config import (
    NAME,
    OPTIMISE,
    Colours,
    Count,
    Frozen,
    Image,
    InputSpec,
    LossSpec,
    NodeChoice,
    OptimiserSpec,
    Positive,
    Seed,
    Share,
    Size,
    SmoothingSpec,
    Start,
    Strength,
    first_problem,
)
from stylebench.transfer.presets import OF_PRESET, PRESETS


def _option(value: Any) -> Any:
    """Return a value as YAML reads it as what was written: off is a boolean there, 1.0 a number."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else value


Option = Annotated[str, BeforeValidator(_option)]


class StyleBlend(Frozen):
    """Styles that are mixed into one.

    `blend`: picture -> weight; each is a positive number, over the sum of all.
    """

    blend: dict[str, Positive] = Field(min_length=1, max_length=64)


REST = "rest"
"""In place of a mask: where no other is white."""


class StyleRegions(Frozen):
    """Styles that have their places in the picture.

    `regions`: picture -> mask, white where it goes; `rest` is where no other mask is.
    """

    regions: dict[str, str] = Field(min_length=1, max_length=64)


def _style(value: Any) -> Any:
    if isinstance(value, str | StyleBlend | StyleRegions):
        return value
    if not isinstance(value, dict):
        raise ValueError(
            "expected a picture, {blend: {picture: weight, picture: weight}}, or "
            "{regions: {picture: mask, picture: rest}}"
        )
    try:
        return (StyleRegions if "regions" in value else StyleBlend).model_validate(value)
    except ValidationError as error:
        path, expected, _ = first_problem(error)
        raise ValueError(f"{path}: {expected}") from None


StyleName = Annotated[str | StyleBlend | StyleRegions, BeforeValidator(_style)]


class SweepConfig(Frozen):
    """One sweep: the product of backbones, smoothings, pairs of pictures and seeds.

    `system`: what makes the pictures: ``optimise``, and trained networks, ``registry:magenta`` or
    files of ``stylebench train``, at `strength`. Of all other keys these know pictures and sizes
    alone: one is a job for each pair, whatever backbones, smoothings and seeds there are.
    `statistics_images` are the pictures on which statistics are measured: the ten built-in
    photographs by default, as the paper averages over ten images; none switches them off.
    `weights`: backbone -> source (``registry:vgg19``, ``file:PATH@sha256:HEX``; default ``auto``).
    `input`: backbone -> what its pretrained weights take, where neither their source nor the file
    says so.
    `nodes`: other nodes for a backbone (without r- or p-). `limit`: at most so many backbones, each
    with all of its options.
    `precision` of the network: ``auto`` is bf16 where the device is fast at it and no smoothing
    exponentiates the maps, else fp32.
    `style`: names; blends, ``{blend: {night.jpg: 0.7, scream.jpg: 0.3}}``; or regions, masks that
    say where each goes, ``{regions: {night.jpg: sky.png, scream.jpg: rest}}``.
    `tolerance`: share of itself by which the lowest loss has to fall within 20 evaluations, else
    the optimisation ends; 0: it takes all `evals`.
    `style_scale`: long side of the style pictures over that of the contents.
    `colours`: those of the ``style``; or the content's, ``luminance`` or ``matched``
    (`stylebench.transfer.colours`).
    `pairing`: ``product`` takes every content with every style, ``zip`` the first with the first…
    `variants`: whole configurations in place of this one; the sweep is all of their jobs together
    (`stylebench.sweeps.experiment.configurations`); in a file, what they differ in. `limit` holds
    for each.
    `judge`: measure the metrics of what is finished.
    `profile`: which of the file's profiles this is; none for "".
    `image`: what is optimised, the pixels or their spectrum
    (`stylebench.transfer.parameterisation`).
    `gradients`: write what each term asks of the picture
    (`stylebench.transfer.objective.TermGradient`).
    """

    name: str = Field("default", pattern=NAME)
    description: str = ""
    profile: str = ""
    judge: Annotated[bool, Field(strict=True)] = False
    system: tuple[str, ...] = Field((OPTIMISE,), min_length=1)
    strength: Strength = 1.0
    arch: tuple[str, ...] = Field(("all",), min_length=1)
    smoothing: tuple[SmoothingSpec, ...] = Field(
        (SmoothingSpec(name="none"), SmoothingSpec(name="softmax")), min_length=1
    )
    content: tuple[str, ...] = ("chelsea", "china")
    style: tuple[StyleName, ...] = ("brush", "mosaic")
    pairing: Literal["product", "zip"] = "zip"
    statistics_images: tuple[str, ...] = ("builtin",)
    preset: Literal["paper", "released", "keras", "balanced", "robust"] = "balanced"
    loss: LossSpec = LossSpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    start: Start = "content"
    size: Size = 256
    resize: Literal["aspect", "squash"] = "aspect"
    evals: Count = 30
    tolerance: Share = 0.0
    seed: tuple[Seed, ...] = Field((0,), min_length=1)
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    image: Image = "pixels"
    gradients: bool = False
    style_scale: Positive = 1.0
    colours: Colours = "style"
    backbone_options: dict[str, dict[str, Option]] = Field({})
    weights: dict[str, str] = Field({})
    input: dict[str, InputSpec] = Field({})
    nodes: dict[str, NodeChoice] = Field({})
    limit: Count | None = None
    variants: tuple[dict[str, Any], ...] = ()


def preset_label(config: SweepConfig) -> str:
    """Return the preset's name for tables, with "(modified)" where the configuration departs."""
    pure = SweepConfig.model_validate({"preset": config.preset, **PRESETS[config.preset]})
    same = all(getattr(config, key) == getattr(pure, key) for key in OF_PRESET)
    return config.preset if same else f"{config.preset} (modified)"
