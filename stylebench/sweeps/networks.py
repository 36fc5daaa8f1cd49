"""The networks of a sweep: backbones with their options, nodes and weights, and trained ones."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stylebench import images
from stylebench.backbones import names
from stylebench.backbones.names import BackboneName
from stylebench.backbones.spec import ARCHS, BackboneSpec
from stylebench.config import OPTIMISE, NodeChoice, WeightsRef
from stylebench.errors import InputError, UnavailableError, listing, suggestion
from stylebench.sweeps.settings import SweepConfig

if TYPE_CHECKING:
    from stylebench.stylisers.identity import Model


@dataclass(frozen=True)
class Named:
    """A backbone with options, as a configuration names it, and with the nodes that it chooses."""

    name: BackboneName
    options: dict[str, str]
    explicit: bool
    spec: BackboneSpec
    chosen: NodeChoice | None


@dataclass(frozen=True)
class Network:
    """A backbone with one set of weights."""

    named: Named
    seed: int
    weights: WeightsRef

    @property
    def shared(self) -> dict[str, Any]:
        """What its jobs of both kinds say of it."""
        return {
            "arch": self.named.name.arch,
            "nodes": self.named.spec.nodes,
            "chosen": self.named.chosen,
            "weights": self.weights,
        }


def _named(config: SweepConfig, arch: str, options: dict[str, str], explicit: bool) -> Named:
    """Return a backbone with all its options; some options change which nodes there are."""
    name = BackboneName.parse(arch)
    options = (name.of(config.backbone_options) or {}) | options
    spec = names.find(arch)
    options = spec.check_options(arch, options)
    chosen = name.of(config.nodes)
    return Named(name, options, explicit, spec.choose(arch, chosen, options), chosen)


def named_by(
    config: SweepConfig, given: Mapping[str, str], tell: Callable[[str], None]
) -> list[Named]:
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
    return [_named(config, *each) for each in names.taking(every, tell)]


class Seen:
    """What configurations of a sweep share: pictures that were looked at, weights found."""

    def __init__(
        self, given: Mapping[str, str], offline: bool, tell: Callable[[str], None]
    ) -> None:
        self._given, self._offline, self._tell = given, offline, tell
        self._weights: dict[object, WeightsRef | UnavailableError] = {}
        self._models: dict[str, Model] = {}

    @functools.cache  # noqa: B019  it lives as long as a plan is made
    def digest(self, ref: str, size: int, resize: Literal["aspect", "squash"]) -> str:
        """Return the digest of a picture; one that cannot be read raises InputError."""
        if not ref.startswith(images.PREFIX):  # a built-in is read to be hashed
            images.read(ref, size, resize=resize)
        return images.digest(ref, size)

    def weights(self, config: SweepConfig, backbone: Named, seed: int) -> WeightsRef:
        """Return the weights of a backbone, as `pretrained.resolve`."""
        from stylebench.backbones.pretrained import resolve

        name = backbone.name
        given = {**config.weights, **self._given}
        options = sorted(backbone.options.items())
        key = (name, not name.pretrained and seed, *options, backbone.chosen,
               name.of(given), name.of(config.input))  # fmt: skip
        if key not in self._weights:
            try:
                self._weights[key] = resolve(
                    name.arch, seed, given=given, options=backbone.options, nodes=backbone.chosen,
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


def seeds_of(name: BackboneName, config: SweepConfig) -> tuple[int, ...]:
    """Return the seeds that make a difference: one, for pretrained weights and a fixed start."""
    fixed = config.start != "noise" and config.loss.balance != "gradient"
    return config.seed[:1] if name.pretrained and fixed else config.seed


def with_weights(
    config: SweepConfig,
    backbones: Sequence[Named],
    strict: bool,
    seen: Seen,
    tell: Callable[[str], None],
) -> list[Network]:
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
    found: list[Network] = []
    for backbone in backbones:
        arch = backbone.name.arch
        seeds, pretrained = seeds_of(backbone.name, config), backbone.name.pretrained
        for group in [seeds] if pretrained else [(seed,) for seed in seeds]:  # of equal weights
            try:
                ref = seen.weights(config, backbone, group[0])
            except UnavailableError as error:
                if backbone.explicit and strict:
                    raise
                missing = {"missing": str(error), "options": backbone.options}
                ref = WeightsRef(source="unavailable", **missing)
                tell(f"{arch}: unavailable: {error}")
            else:
                if pretrained:
                    tell(f"{arch}: weights {ref.label}")
            found += [Network(backbone, seed, ref) for seed in group]
    return found


def check(config: SweepConfig, backbones: Sequence[Named]) -> None:
    """Raise InputError for unknown smoothings, parameters, style nodes, and nodes of no one."""
    from stylebench.transfer import smoothing

    for spec in config.smoothing:
        smoothing.check(spec)
    archs = {backbone.name.name: None for backbone in backbones}
    taken = {key for backbone in backbones for key in config.nodes if backbone.name.of({key: 1})}
    for name in config.nodes:
        if name not in taken:
            near = suggestion(name, archs)
            raise InputError(f"nodes: {name!r} is not among the backbones to run{near}")
    pretrained = [backbone.name for backbone in backbones if backbone.name.pretrained]
    for name in config.input:
        if not any(arch.of({name: 1}) for arch in pretrained):
            near = suggestion(name, [arch.name for arch in pretrained])
            raise InputError(f"input: p-{name} is not among the backbones to run{near}")
    nodes = {node.name: None for backbone in backbones for node in backbone.spec.style}
    for name in config.loss.layer_weights:
        if name not in nodes:
            raise InputError(
                f"loss.layer_weights: no style node {name!r}{suggestion(name, nodes)} "
                f"{listing(nodes)}"
            )
