"""From a YAML file and flags to the configuration of a sweep."""

import contextlib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from pydantic import ValidationError

from stylebench import images
from stylebench.backbones import names
from stylebench.config import OPTIMISE, PRESET, Frozen, LossSpec, OptimiserSpec, SmoothingSpec
from stylebench.errors import InputError, closest, either, suggestion
from stylebench.stylisers.styliser import find
from stylebench.sweeps.reading import explain, located, merged, places, profiled, read_yaml, shipped
from stylebench.sweeps.settings import SweepConfig
from stylebench.sweeps.styles import named
from stylebench.transfer import smoothing
from stylebench.transfer.presets import OF_PRESET, PRESETS

MAX_VARIANTS = 1000
"""Of an experiment, its grid multiplied out."""


def _read(path: Path) -> dict[str, Any]:
    """Return the mapping in an experiment file, or in a shipped one of that name."""
    known = shipped()
    return read_yaml(located(path, known, "experiment", "stylebench ls experiments"), known)


LISTS = ("system", "arch", "smoothing", "content", "style", "seed", "statistics_images")
"""Keys for which one value is a list of one: ``arch: r-vgg19``, ``seed: 3``."""


def _as_lists(data: Mapping[str, Any]) -> dict[str, Any]:
    single = (str, int, float, date, dict)
    return {k: [v] if k in LISTS and isinstance(v, single) else v for k, v in data.items()}


PARTS: dict[str, type[Frozen]] = {
    "loss": LossSpec, "optimiser": OptimiserSpec, "smoothing": SmoothingSpec
}  # fmt: skip
"""Keys that are mappings of a model."""

OF_SWEEP = ("name", "description", "profile", "judge", "limit", "variants")
"""Keys that are the whole sweep's and that no variant sets."""


def _validated(
    data: Mapping[str, Any], where: str, written: Mapping[str, str] = MappingProxyType({})
) -> SweepConfig:
    """Return the configuration that a mapping gives, its preset's keys filled in."""
    preset = data.get("preset", PRESET)
    if not isinstance(preset, str) or preset not in PRESETS:
        near = suggestion(str(preset), PRESETS)
        where = written.get("preset", where)
        raise InputError(f"{where}: unknown preset {preset!r}{near} (known: {', '.join(PRESETS)})")
    try:
        return SweepConfig.model_validate(merged(PRESETS[preset], {**data, "preset": preset}))
    except ValidationError as error:
        raise InputError(
            explain(error, where, SweepConfig, PARTS, "stylebench schema", data, written)
        ) from None


_CALLED = {
    "photograph": "statistics_images", "unknown backbone": "arch", "unknown smoothing": "smoothing"
}  # fmt: skip
"""How an error begins that does not name the key -> the key."""


@contextlib.contextmanager
def naming(
    path: Path | None, flags: Mapping[str, Any] | None = None, profile: str | None = None
) -> Iterator[None]:
    """Say of an error in a key of a sweep where the key is written; see `load_sweep` for the rest.

    What is wrong with nodes, pictures or sizes is known when jobs are planned, from no file.
    """
    try:
        yield
    except InputError as error:
        found = re.match(rf"({'|'.join(_CALLED)}|\w+)[\w.]*(:?)", str(error))
        if type(error) is not InputError or not found:
            raise
        data, key = _read(path) if path else {}, _CALLED.get(found[1], found[1])
        place = places(data, profile, flags or {}, str(path)).get(key, "")
        if not place.startswith("--") and key in SweepConfig.model_fields and place:
            raise InputError(f"{place}: {error}") from None
        if place and found[2]:
            raise InputError(f"{place}{str(error)[found.end(1) :]}") from None
        raise


def _laid(data: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings laid on others; a preset among them replaces what the other's decided."""
    if "preset" in over:
        data = {key: value for key, value in data.items() if key not in OF_PRESET}
    return merged(_as_lists(data), _as_lists(over))


def _grid(grid: object, where: str) -> list[dict[str, Any]]:
    """Return every combination of a grid's values: ``{loss.balance: [target, gradient]}``.

    The last key changes first. A dot leads into a mapping.
    """
    if not isinstance(grid, dict) or not all(
        isinstance(key, str) and key.count(".") < 9 and isinstance(values, list) and values
        for key, values in grid.items()
    ):
        raise InputError(
            f"{where}: grid: expected keys with lists of values, as {{image: [pixels, fourier]}}"
        )
    if math.prod(len(values) for values in grid.values()) > MAX_VARIANTS:
        raise InputError(f"{where}: grid: expected at most {MAX_VARIANTS:,} combinations")
    found = []
    for values in itertools.product(*grid.values()):
        combined: dict[str, Any] = {}
        for key, value in zip(grid, values, strict=True):
            for part in reversed(key.split(".")):
                value = {part: value}
            combined = merged(combined, value)
        found.append(combined)
    return found


def _crossed(variants: object, grid: object, where: str) -> object:
    """Return each variant with each combination of a grid laid on it; variants alone without."""
    if grid is None:
        return variants
    combinations = _grid(grid, where)
    if not isinstance(variants, list) or not all(isinstance(v, dict) for v in variants):
        return variants  # `_varied` says what is wrong with them
    if len(variants) * len(combinations) > MAX_VARIANTS:
        raise InputError(f"{where}: grid: expected at most {MAX_VARIANTS:,} combinations")
    return [_laid(variant, over) for variant in variants or [{}] for over in combinations]


def _varied(
    data: Mapping[str, Any], variants: object, given: Mapping[str, Any], where: str
) -> list[dict[str, Any]]:
    """Return a file's settings with each of its variants laid on them, and then the flags."""
    if not isinstance(variants, list) or not all(isinstance(v, dict) for v in variants):
        raise InputError(f"{where}: variants: expected a list of settings, as [{{start: noise}}]")
    if len(variants) > MAX_VARIANTS:
        raise InputError(
            f"{where}: expected at most {MAX_VARIANTS:,} variants, found {len(variants):,}; "
            "split it into several"
        )
    for number, variant in enumerate(variants, start=1):
        for key in OF_SWEEP:
            if key in variant:
                reason = f"{key} is the whole sweep's; set it outside of variants"
                raise InputError(f"{where}: variant {number}: {reason}")
    own = {key: value for key, value in data.items() if key not in OF_SWEEP}
    flags = {key: value for key, value in given.items() if key not in OF_SWEEP}
    return [_laid(_paired(_laid(own, variant)), flags) for variant in variants]


def _paired(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which pictures that are named are all paired, if nothing else is said."""
    named = "content" in data or "style" in data
    return {**({"pairing": "product"} if named else {}), **data}


def configurations(config: SweepConfig, where: str = "sweep") -> list[SweepConfig]:
    """Return the configurations that a sweep is the union of: one for each variant, or itself.

    Args:
        config: its ``variants`` are whole configurations without the keys of `OF_SWEEP`.
        where: it comes from, for messages.

    Raises:
        InputError: a variant with an unknown key or a wrong value.
    """
    shared = {key: getattr(config, key) for key in OF_SWEEP if key != "variants"}
    return [
        _validated({**shared, **variant}, f"{where}: variant {number}")
        for number, variant in enumerate(config.variants, start=1)
    ] or [config]


def archs_of(config: SweepConfig) -> list[str]:
    """Return the backbones of a sweep and its variants, as ``--arch`` takes them."""
    return list(dict.fromkeys(arch for part in configurations(config) for arch in part.arch))


QUICK = "quick"
"""The profile whose results go into results/NAME; those of others go into results/NAME-PROFILE."""


class Named(Protocol):
    """What has a name, and comes from a profile of its file."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def profile(self) -> str:
        """The profile, "" for none."""


def results_folder(config: Named) -> Path:
    """Return where results go: into a folder of the experiment's name, and of its profile."""
    name = config.name + (f"-{config.profile}" if config.profile not in ("", QUICK) else "")
    return Path("results") / name


OF_STYLISATIONS = ("content", "style", "evals", "preset", "precision")
"""Keys that mean nothing to statistics."""
OF_BOTH = (("precision", "fp32"), ("precision", "auto"))
"""But for these: statistics are in fp32."""
OF_OPTIMISATIONS = ("arch", "smoothing", "seed", "evals", "preset", "precision", "nodes", "limit")
"""Keys that mean nothing to trained networks."""


def _refuse_idle(found: Sequence[SweepConfig], flags: Mapping[str, Any], where: str) -> None:
    """Raise InputError for flags of stylisations, or of statistics, where there are none."""
    if not any(part.content and part.style for part in found):
        for key in OF_STYLISATIONS:
            if flags.get(key) is not None and (key, flags[key]) not in OF_BOTH:
                raise InputError(
                    f"--{key}: {where} has statistics alone, on --statistics-images; for "
                    "stylisations give --content and --style"
                )
    elif flags.get("statistics_images") and not any(part.statistics_images for part in found):
        raise InputError(f"--statistics-images: {where} measures no statistics")
    if not any(OPTIMISE in part.system for part in found):
        for key in OF_OPTIMISATIONS:
            if flags.get(key) is not None:
                raise InputError(
                    f"--{key}: {where} has trained networks alone, to which it means nothing; add "
                    f"--system {OPTIMISE}"
                )
        if flags.get("statistics_images"):
            raise InputError(
                f"--statistics-images: {where} has trained networks alone, of which no statistics "
                f"are measured; add --system {OPTIMISE}"
            )


def _check_system(source: str) -> None:
    """Raise InputError for a system from the command line that is not there.

    In a file it is one that is not trained yet: its jobs are unavailable.
    """
    if source == OPTIMISE:
        return
    try:
        find(source)
    except InputError as error:
        raise InputError(f"--system: expected {OPTIMISE} or a model: {error}") from None


def _check_names(part: SweepConfig) -> None:
    """Raise InputError for backbones and smoothings that are not there: without torch."""
    if bool(part.content) != bool(part.style):
        empty, other = ("style", "content") if part.content else ("content", "style")
        raise InputError(
            f"{empty}: expected pictures beside those of {other}, found none (for statistics alone "
            "both are empty)"
        )
    for source in part.system:
        if source != OPTIMISE and (near := either(closest(source, [OPTIMISE], 0.7))):
            raise InputError(f"system: expected {OPTIMISE} or a model, found {source!r}{near}")
    if OPTIMISE in part.system:
        names.look_up(part.arch, part.backbone_options)
    for spec in part.smoothing:
        smoothing.check(spec)


def _check_pictures(found: Sequence[SweepConfig]) -> None:
    """Raise InputError for a picture of a part that is not there; each is looked for once."""
    for value in dict.fromkeys(each for part in found for each in part.content):
        images.resolve(value, "content")
    for value in dict.fromkeys(each for part in found for each in part.statistics_images):
        images.resolve(value, "photograph")
    for style in {repr(style): style for part in found for style in part.style}.values():
        named(style)


def load_sweep(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> SweepConfig:
    """Return the configuration of a sweep.

    Args:
        path: an experiment file, or the name of one of `shipped`
            (`stylebench.sweeps.reading`); its stem is the sweep's name unless the file gives one.
            None means the built-in default, which experiments/default.yaml spells out.
        flags: keys from the command line, which go before the file's and its variants'; None
            values are left out. Contents or styles from the command line are all paired with each
            other; those of a file too, unless it says ``pairing: zip``. A preset from the command
            line replaces the file's loss, optimiser and resize.
        profile: which of the file's ``profiles`` (name -> settings) is laid on its other settings;
            by default the first, if it has any.

    A file's ``grid`` (key -> list of values, a dot leading into a mapping) is every combination of
    its values, as ``variants`` are, and crossed with those where there are both.

    Raises:
        InputError: unknown keys, backbones and smoothings, values of the wrong type or range; the
            text names one, an unknown key before all else.
    """
    data = _read(path) if path else {}
    where = str(path) if path else "sweep"
    if path:
        data.setdefault(
            "name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip(".-_")[:100] or "sweep"
        )
    written = places(data, profile, flags or {}, where)
    data = profiled(data, profile, where, _laid)
    given = _paired({key: value for key, value in (flags or {}).items() if value is not None})
    gridded = "grid" in data
    crossed = _crossed(data.pop("variants", []), data.pop("grid", None), where)
    variants = _varied(data, crossed, given, where)
    config = _validated({**_laid(_paired(data), given), "variants": variants}, where, written)
    found = configurations(config, f"{where}: grid" if gridded else where)
    with naming(path, flags, profile):
        for part in found:
            _check_names(part)
        _check_pictures(found)
    for source in _as_lists(flags or {}).get("system") or ():
        _check_system(source)
    _refuse_idle(found, flags or {}, where)
    return config
