"""From a sweep's configuration to its jobs: products, globs, images and weights resolved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stylebench import images
from stylebench.backbones import names
from stylebench.backbones.spec import BackboneSpec
from stylebench.config import (
    OPTIMISE,
    ImageRef,
    JobSpec,
    LossSpec,
    PassSpec,
    PictureSpec,
    SmoothingSpec,
    StatisticsSpec,
    style_size,
)
from stylebench.errors import InputError
from stylebench.sweeps import networks
from stylebench.sweeps.experiment import configurations
from stylebench.sweeps.same import unique
from stylebench.sweeps.settings import SweepConfig, preset_label
from stylebench.sweeps.styles import PlannedStyle, check_masks, named, planned

if TYPE_CHECKING:
    from stylebench.stylisers.identity import Model

MAX_JOBS = 100_000
"""Of a sweep, statistics included; a list of so many takes about half a minute to make."""


@dataclass(frozen=True)
class Plan:
    """What a sweep comes to: stylisations, those without weights, statistics, and these without."""

    jobs: tuple[PictureSpec, ...]
    missing: tuple[PictureSpec, ...]
    statistics: tuple[StatisticsSpec, ...]
    missing_statistics: tuple[StatisticsSpec, ...]

    @property
    def optimisations(self) -> tuple[JobSpec, ...]:
        """Those of the stylisations that are no trained networks'."""
        return tuple(job for job in self.jobs if isinstance(job, JobSpec))

    @property
    def count(self) -> int:
        """How many jobs there are of all kinds."""
        every = (self.jobs, self.missing, self.statistics, self.missing_statistics)
        return sum(map(len, every))


def _pictures(
    config: SweepConfig, pairs: bool, seen: networks.Seen, tell: Callable[[str], None]
) -> tuple[list[ImageRef], list[PlannedStyle], list[ImageRef]]:
    """Return content, style and statistics pictures; each is looked at, so bad ones fail now."""
    contents = [
        each
        for value in (config.content if pairs else ())
        for each in images.resolve(value, "content", tell)
    ]
    photographs = [
        each
        for value in config.statistics_images
        for each in images.resolve(
            value, "photograph", (lambda text: None) if value in config.content else tell
        )  # of a folder that is both, what is left out is told once
    ]
    styles = [each for value in config.style if pairs for each in named(value, tell)]
    mixed = [source for style in styles for source in style.pictures]
    masks = [source for style in styles for source in style.masks if source]
    every = [*contents, *mixed, *photographs, *masks]
    names = {s.ref: s.name for s in images.unique_names(every)}

    def look(sources: Sequence[images.ImageSource], size: int) -> dict[str, ImageRef]:
        digests = {s.ref: seen.digest(s.ref, size, config.resize) for s in sources}
        return {r: ImageRef(name=names[r], ref=r, digest=found) for r, found in digests.items()}

    made = look([*contents, *photographs, *masks], config.size)
    of_styles = look(mixed, style_size(config.size, config.style_scale)) if mixed else {}
    content, statistics = ([made[s.ref] for s in group] for group in (contents, photographs))
    found = [planned(each, of_styles, made) for each in styles]
    return content, found, list(dict.fromkeys(statistics))


def _pairs(
    content: list[ImageRef], style: list[PlannedStyle], pairing: str
) -> list[tuple[ImageRef, PlannedStyle]]:
    if pairing == "product":
        return [(c, s) for c in content for s in style]
    if len(content) != len(style):
        raise InputError(
            f"pairing zip expects as many contents as styles, found {len(content)} and "
            f"{len(style)}; use pairing: product"
        )
    return list(zip(content, style, strict=True))


def _loss(spec: BackboneSpec, loss: LossSpec) -> LossSpec:
    """Return the loss with the layer weights of this backbone's own nodes."""
    nodes = {node.name for node in spec.style}
    own = {name: weight for name, weight in loss.layer_weights.items() if name in nodes}
    return loss.model_copy(update={"layer_weights": own})


def expand(
    config: SweepConfig,
    *,
    given: Mapping[str, str] | None = None,
    offline: bool = False,
    strict: bool = True,
    pairs: bool = True,
    device: str = "cpu",
    tell: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Return the jobs of a sweep: of each variant, backbone by backbone, then pair, smoothing.

    Args:
        config: what to sweep.
        given: backbone name -> source of its weights; goes before ``config.weights``.
        offline: never download weights.
        strict: an explicitly named backbone without weights is an error, as no group's is.
        pairs: whether there are stylisations; False plans statistics alone.
        device: as torch names it; ``precision: auto`` depends on it.
        tell: called with a line for every set of pretrained weights, taken or missing, and for
            every folder of which pictures are left out.

    Raises:
        InputError: anything in the configuration that names what does not exist or cannot be read.
    """
    told: dict[str, None] = {}

    def once(text: str) -> None:
        if text not in told:
            tell(text)
        told[text] = None

    given = given or {}
    seen = networks.Seen(given, offline, once)
    parts = [
        (part, networks.named_by(part, given, once) if OPTIMISE in part.system else [])
        for part in configurations(config)
    ]
    archs = [backbone.name for _, backbones in parts for backbone in backbones]
    archs += seen.encoders(part for part, _ in parts)
    for name, source in given.items():
        if not any(arch.pretrained and arch.of({name: source}) for arch in archs):
            raise InputError(f"--weights {name}=…: p-{name} is not among the backbones to run")
    found: list[Plan] = []
    for part, backbones in parts:
        found.append(_expand(part, backbones, strict, pairs, device, seen, once))
        _check_count(sum(each.count for each in found))
    return Plan(
        jobs=unique(spec for part in found for spec in part.jobs),
        missing=unique(spec for part in found for spec in part.missing),
        statistics=unique(spec for part in found for spec in part.statistics),
        missing_statistics=unique(spec for part in found for spec in part.missing_statistics),
    )


def _check_count(count: int) -> None:
    if count > MAX_JOBS:
        raise InputError(
            f"expected at most {MAX_JOBS:,} jobs in a sweep, found {count:,}; split it into several"
        )


def _expand(
    config: SweepConfig,
    backbones: Sequence[networks.Named],
    strict: bool,
    pairs: bool,
    device: str,
    seen: networks.Seen,
    tell: Callable[[str], None],
) -> Plan:
    """Return the jobs of a configuration without variants; arguments as of `expand`."""
    from stylebench.transfer import smoothing

    networks.check(config, backbones)
    content, style, photographs = _pictures(config, pairs, seen, tell)
    matched = _pairs(content, style, config.pairing)
    check_masks(matched, config)
    _check_systems(config, style)
    seeds = sum(len(networks.seeds_of(backbone.name, config)) for backbone in backbones)
    passes = len(matched) * len(networks.models(config))
    _check_count(seeds * (len(matched) * len(config.smoothing) + bool(photographs)) + passes)
    found = networks.with_weights(config, backbones, strict, seen, tell)
    systems = [seen.model(source) for source in networks.models(config) if matched]
    smoothings = tuple(smoothing.canonical(spec) for spec in config.smoothing)
    jobs: list[PictureSpec] = [
        *_optimisations(config, found, matched, smoothings, device),
        *(_pass(config, model, *pair) for model in systems for pair in matched),
    ]
    statistics = _statistics(config, found, smoothings, photographs)
    return Plan(
        jobs=tuple(job for job in jobs if not job.weights.missing),
        missing=tuple(job for job in jobs if job.weights.missing),
        statistics=tuple(spec for spec in statistics if not spec.weights.missing),
        missing_statistics=tuple(spec for spec in statistics if spec.weights.missing),
    )


def _optimisations(
    config: SweepConfig,
    backbones: Sequence[networks.Network],
    pairs: Sequence[tuple[ImageRef, PlannedStyle]],
    smoothings: Sequence[SmoothingSpec],
    device: str,
) -> list[JobSpec]:
    """Return the jobs of backbones; `device` as of `expand`."""
    from stylebench.transfer import smoothing

    precisions = {
        smooth.label: smoothing.precision(config.precision, smooth, device) for smooth in smoothings
    }
    return [
        JobSpec(
            **backbone.shared,
            code=names.code_of(backbone.named.name.arch) | smoothing.SMOOTHINGS.code(smooth.name),
            smoothing=smooth,
            content=a,
            style=b.picture,
            blend=b.blend,
            regions=b.regions,
            preset=preset_label(config),
            loss=_loss(backbone.named.spec, config.loss),
            seed=backbone.seed,
            precision=precisions[smooth.label],
            **{key: getattr(config, key) for key in _SHARED},
        )
        for backbone in backbones
        for a, b in pairs
        for smooth in smoothings
    ]


def _check_systems(config: SweepConfig, styles: Sequence[PlannedStyle]) -> None:
    """Raise InputError for what trained networks cannot do, and for what only they can."""
    trained = networks.models(config)
    if trained and any(style.regions for style in styles):
        raise InputError(f"regions: expected none with system {trained[0]}, which has no masks")
    if config.strength != 1 and not trained:
        raise InputError("strength: expected a trained network as system, found none")


def _pass(config: SweepConfig, model: "Model", content: ImageRef, style: PlannedStyle) -> PassSpec:
    """Return the job of a trained network and a pair."""
    pictures = {"content": content, "style": style.picture, "blend": style.blend}
    own = {key: getattr(config, key) for key in ("size", "resize", "style_scale", "strength")}
    return PassSpec(**model.shared, **pictures, **own)


def _statistics(
    config: SweepConfig,
    backbones: list[networks.Network],
    smoothings: tuple[SmoothingSpec, ...],
    photographs: list[ImageRef],
) -> list[StatisticsSpec]:
    """Return one spec for each backbone and, for random weights, each seed."""
    if not photographs:
        return []
    from stylebench.transfer.smoothing import SMOOTHINGS

    code = {k: v for smooth in smoothings for k, v in SMOOTHINGS.code(smooth.name).items()}
    pretrained = [each for each in reversed(backbones) if each.named.name.pretrained]
    seeds = {each.named.name: each.seed for each in pretrained}
    return [
        StatisticsSpec(
            **backbone.shared,
            code=names.code_of(backbone.named.name.arch) | code,
            smoothing=smoothings,
            images=tuple(photographs),
            size=config.size,
            resize=config.resize,
            seed=seeds.get(backbone.named.name, backbone.seed),
        )
        for backbone in backbones
    ]


_SHARED = (
    "optimiser", "start", "size", "resize", "evals", "tolerance", "image", "gradients",
    "style_scale", "colours",
)  # fmt: skip
"""Keys that a job takes over from its sweep as they are."""
