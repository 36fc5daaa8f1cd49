"""From a sweep's configuration to its jobs: products, globs, images and weights resolved."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stylebench import images
from stylebench.backbones import names
from stylebench.backbones.names import BackboneName
from stylebench.backbones.spec import ARCHS, BackboneSpec
from stylebench.config import (
    OPTIMISE,
    ImageRef,
    JobSpec,
    LossSpec,
    NodeChoice,
    PassSpec,
    PictureSpec,
    SmoothingSpec,
    StatisticsSpec,
    WeightsRef,
    style_size,
)
from stylebench.errors import InputError, UnavailableError
from stylebench.registry import listing, suggestion
from stylebench.sweeps.experiment import arms
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


@dataclass(frozen=True)
class _Variant:
    """A backbone with options, as a configuration names it, and with the nodes that it chooses."""

    name: BackboneName
    options: dict[str, str]
    explicit: bool
    spec: BackboneSpec
    chosen: NodeChoice | None


@dataclass(frozen=True)
class _Arm:
    """A backbone with one set of weights."""

    variant: _Variant
    seed: int
    weights: WeightsRef

    @property
    def shared(self) -> dict[str, Any]:
        """What its jobs of both kinds say of it."""
        return {
            "arch": self.variant.name.arch,
            "nodes": self.variant.spec.nodes,
            "chosen": self.variant.chosen,
            "weights": self.weights,
        }


def _variant(config: SweepConfig, arch: str, options: dict[str, str], explicit: bool) -> _Variant:
    """Return a backbone with all its options; some options change which nodes there are."""
    name = BackboneName.parse(arch)
    options = (name.of(config.backbone_options) or {}) | options
    spec = names.find(arch)
    options = spec.check_options(arch, options)
    chosen = name.of(config.nodes)
    return _Variant(name, options, explicit, spec.choose(arch, chosen, options), chosen)


def _variants(
    config: SweepConfig, given: Mapping[str, str], tell: Callable[[str], None]
) -> list[_Variant]:
    """Return the backbones that names, comma lists, globs and ``NAME+OPTION=VALUE`` stand for."""
    pretrained = {*config.weights, *given}
    found: dict[tuple[str, str], tuple[str, dict[str, str], bool]] = {}
    for part in dict.fromkeys(names.listed(config.arch)):
        name, options = names.parse(part)
        for arch, explicit in names.expand([name], pretrained).items():
            place = (arch, str(sorted(options.items())))
            before = place in found and found[place][2]
            found[place] = arch, options, explicit or before
    kept = names.limited({arch: explicit for arch, _, explicit in found.values()}, config.limit)
    every = [each for arch in kept for each in found.values() if each[0] == arch]
    return [_variant(config, *each) for each in names.taking(every, tell)]


class _Seen:
    """What the variants of a sweep share: pictures that were looked at, weights that were found."""

    def __init__(
        self, given: Mapping[str, str], offline: bool, tell: Callable[[str], None]
    ) -> None:
        self._given, self._offline, self._tell = given, offline, tell
        self._weights: dict[object, WeightsRef | UnavailableError] = {}
        self._models: dict[str, Model] = {}

    @functools.cache  # noqa: B019  it lives as long as a plan is made
    def digest(self, ref: str, size: int, resize: Literal["aspect", "squash"]) -> str:
        """Return the digest of a picture; one that cannot be read raises InputError."""
        images.read(ref, size, resize=resize)
        return images.digest(ref, size)

    def weights(self, config: SweepConfig, variant: _Variant, seed: int) -> WeightsRef:
        """Return the weights of a backbone, as `pretrained.resolve`."""
        from stylebench.backbones.pretrained import resolve

        name = variant.name
        given = {**config.weights, **self._given}
        key = (name, not name.pretrained and seed, *sorted(variant.options.items()), variant.chosen,
               name.of(given), name.of(config.input))  # fmt: skip
        if key not in self._weights:
            try:
                self._weights[key] = resolve(
                    name.arch, seed, given=given, options=variant.options, nodes=variant.chosen,
                    taken=config.input, offline=self._offline, tell=self._tell,
                )  # fmt: skip
            except UnavailableError as error:
                self._weights[key] = error
        found = self._weights[key]
        if isinstance(found, UnavailableError):
            raise found
        return found

    def model(self, source: str) -> "Model":
        """Return which model a system is; one that cannot be had is told, and has no weights."""
        from stylebench.stylisers.identity import identify, missing

        if source not in self._models:
            try:
                found = identify(source, given=self._given, offline=self._offline)
            except UnavailableError as error:
                found = missing(source, error)
                self._tell(f"{found.arch}: unavailable: {error}")
            else:
                self._tell(f"{found.arch}: {found.weights.label}")
            self._models[source] = found
        return self._models[source]

    def encoders(self, configs: Iterable[SweepConfig]) -> list[BackboneName]:
        """Return the encoders of the models of some configurations."""
        found = [self.model(source) for config in configs for source in models(config)]
        return [BackboneName.parse(each.seen_by[0]) for each in found if each.encoder]


def models(config: SweepConfig) -> list[str]:
    """Return the systems of a configuration that are trained networks, once each."""
    return [source for source in dict.fromkeys(config.system) if source != OPTIMISE]


def _pictures(
    config: SweepConfig, pairs: bool, seen: _Seen, tell: Callable[[str], None]
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


def _seeds(name: BackboneName, config: SweepConfig) -> tuple[int, ...]:
    """Return the seeds that make a difference: one, for pretrained weights and a fixed start."""
    fixed = config.start != "noise" and config.loss.balance != "gradient"
    return config.seed[:1] if name.pretrained and fixed else config.seed


def _arms(
    config: SweepConfig,
    variants: Sequence[_Variant],
    strict: bool,
    seen: _Seen,
    tell: Callable[[str], None],
) -> list[_Arm]:
    """Return every backbone with its weights; if `strict`, those named must have them."""
    from stylebench.backbones.pretrained import check_name
    from stylebench.weights import parse

    for name in config.backbone_options:
        if name.startswith(names.TIMM):
            names.find(f"r-{name}")
        elif name not in ARCHS and not names.is_of_file(name):
            raise InputError(
                f"backbone_options: unknown backbone {name!r}{suggestion(name, ARCHS)}"
            )
    for name, source in config.weights.items():
        check_name(name, "weights")
        parse(source)
    arms: list[_Arm] = []
    for variant in variants:
        arch = variant.name.arch
        seeds, pretrained = _seeds(variant.name, config), variant.name.pretrained
        for group in [seeds] if pretrained else [(seed,) for seed in seeds]:  # of equal weights
            try:
                ref = seen.weights(config, variant, group[0])
            except UnavailableError as error:
                if variant.explicit and strict:
                    raise
                missing = {"missing": str(error), "options": variant.options}
                ref = WeightsRef(source="unavailable", **missing)
                tell(f"{arch}: unavailable: {error}")
            else:
                if pretrained:
                    tell(f"{arch}: weights {ref.label}")
            arms += [_Arm(variant, seed, ref) for seed in group]
    return arms


def _loss(spec: BackboneSpec, loss: LossSpec) -> LossSpec:
    """Return the loss with the layer weights of this backbone's own nodes."""
    nodes = {node.name for node in spec.style}
    own = {name: weight for name, weight in loss.layer_weights.items() if name in nodes}
    return loss.model_copy(update={"layer_weights": own})


def _check(config: SweepConfig, variants: Sequence[_Variant]) -> None:
    """Raise InputError for unknown smoothings, parameters, style nodes, and nodes of no arm."""
    from stylebench.transfer import smoothing

    for spec in config.smoothing:
        smoothing.check(spec)
    archs = {variant.name.name: None for variant in variants}
    taken = {key for variant in variants for key in config.nodes if variant.name.of({key: 1})}
    for name in config.nodes:
        if name not in taken:
            near = suggestion(name, archs)
            raise InputError(f"nodes: {name!r} is not among the backbones to run{near}")
    pretrained = [variant.name for variant in variants if variant.name.pretrained]
    for name in config.input:
        if not any(arch.of({name: 1}) for arch in pretrained):
            near = suggestion(name, [arch.name for arch in pretrained])
            raise InputError(f"input: p-{name} is not among the backbones to run{near}")
    nodes = {node.name: None for variant in variants for node in variant.spec.style}
    for name in config.loss.layer_weights:
        if name not in nodes:
            raise InputError(
                f"loss.layer_weights: no style node {name!r}{suggestion(name, nodes)} "
                f"{listing(nodes)}"
            )


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
    seen = _Seen(given, offline, once)
    parts = [
        (arm, _variants(arm, given, once) if OPTIMISE in arm.system else []) for arm in arms(config)
    ]
    archs = [variant.name for _, variants in parts for variant in variants]
    archs += seen.encoders(arm for arm, _ in parts)
    for name, source in given.items():
        if not any(arch.pretrained and arch.of({name: source}) for arch in archs):
            raise InputError(f"--weights {name}=…: p-{name} is not among the backbones to run")
    found: list[Plan] = []
    for arm, variants in parts:
        found.append(_expand(arm, variants, strict, pairs, device, seen, once))
        _check_count(sum(part.count for part in found))
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
    variants: Sequence[_Variant],
    strict: bool,
    pairs: bool,
    device: str,
    seen: _Seen,
    tell: Callable[[str], None],
) -> Plan:
    """Return the jobs of a configuration without variants; arguments as of `expand`."""
    from stylebench.transfer import smoothing

    _check(config, variants)
    content, style, photographs = _pictures(config, pairs, seen, tell)
    matched = _pairs(content, style, config.pairing)
    check_masks(matched, config)
    _check_systems(config, style)
    seeds = sum(len(_seeds(variant.name, config)) for variant in variants)
    passes = len(matched) * len(models(config))
    _check_count(seeds * (len(matched) * len(config.smoothing) + bool(photographs)) + passes)
    backbones = _arms(config, variants, strict, seen, tell)
    systems = [seen.model(source) for source in models(config) if matched]
    smoothings = tuple(smoothing.canonical(spec) for spec in config.smoothing)
    jobs: list[PictureSpec] = [
        *_optimisations(config, backbones, matched, smoothings, device),
        *(_pass(config, model, *pair) for model in systems for pair in matched),
    ]
    statistics = _statistics(config, backbones, smoothings, photographs)
    return Plan(
        jobs=tuple(job for job in jobs if not job.weights.missing),
        missing=tuple(job for job in jobs if job.weights.missing),
        statistics=tuple(spec for spec in statistics if not spec.weights.missing),
        missing_statistics=tuple(spec for spec in statistics if spec.weights.missing),
    )


def _optimisations(
    config: SweepConfig,
    backbones: Sequence[_Arm],
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
            **arm.shared,
            code=names.code_of(arm.variant.name.arch) | smoothing.SMOOTHINGS.code(smooth.name),
            smoothing=smooth,
            content=a,
            style=b.picture,
            blend=b.blend,
            regions=b.regions,
            preset=preset_label(config),
            loss=_loss(arm.variant.spec, config.loss),
            seed=arm.seed,
            precision=precisions[smooth.label],
            **{key: getattr(config, key) for key in _SHARED},
        )
        for arm in backbones
        for a, b in pairs
        for smooth in smoothings
    ]


def _check_systems(config: SweepConfig, styles: Sequence[PlannedStyle]) -> None:
    """Raise InputError for what trained networks cannot do, and for what only they can."""
    trained = models(config)
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
    arms: list[_Arm],
    smoothings: tuple[SmoothingSpec, ...],
    photographs: list[ImageRef],
) -> list[StatisticsSpec]:
    """Return one spec for each backbone and, for random weights, each seed."""
    if not photographs:
        return []
    from stylebench.transfer.smoothing import SMOOTHINGS

    code = {k: v for smooth in smoothings for k, v in SMOOTHINGS.code(smooth.name).items()}
    seeds = {arm.variant.name: arm.seed for arm in reversed(arms) if arm.variant.name.pretrained}
    return [
        StatisticsSpec(
            **arm.shared,
            code=names.code_of(arm.variant.name.arch) | code,
            smoothing=smoothings,
            images=tuple(photographs),
            size=config.size,
            resize=config.resize,
            seed=seeds.get(arm.variant.name, arm.seed),
        )
        for arm in arms
    ]


_SHARED = (
    "optimiser", "start", "size", "resize", "evals", "tolerance", "image", "gradients",
    "style_scale", "colours",
)  # fmt: skip
"""Keys that a job takes over from its sweep as they are."""
