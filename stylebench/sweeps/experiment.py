"""From a YAML file and flags to the configuration of a sweep."""

import contextlib
import itertools
import math
import os
import re
import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from stylebench import files
from stylebench.backbones import names
from stylebench.config import PRESET, Frozen, LossSpec, OptimiserSpec, SmoothingSpec, first_problem
from stylebench.errors import InputError, describe
from stylebench.registry import listing, suggestion
from stylebench.sweeps.settings import SweepConfig
from stylebench.transfer.presets import OF_PRESET, PRESETS


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it, mappings merged key by key."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result


class _Short(reprlib.Repr):
    """Shows the beginning of a value, at a cost that does not depend on its size."""

    def repr_int(self, value: int, level: int) -> str:
        """Return the digits of an integer, of a long one how long it is."""
        bits = value.bit_length()
        return repr(value) if bits <= 200 else f"an integer of {bits} bits"


def _shown(value: object) -> str:
    """Return a value as in Python, in at most 60 characters."""
    short = _Short()
    short.maxlevel = 3
    short.maxstring = short.maxother = 200
    found = short.repr(value)
    return found if len(found) <= 60 else found[:57] + "..."


def _explain(
    error: ValidationError, data: Mapping[str, Any], where: str, written: Mapping[str, str]
) -> str:
    """Return the first problem of a validation error in one line, with a suggestion for a key.

    Args:
        error: of validating `data`.
        data: of a sweep.
        where: they come from.
        written: where some of the keys are, see `_written`.
    """
    first, (path, expected, found) = error.errors()[0], first_problem(error)
    key = str(first["loc"][0]) if first["loc"] else ""
    where = written.get(key, where)
    if key in data and len(first["loc"]) == 2 and data[key] == [first["input"]]:
        path = key  # a single value, where a list may stand
    if where.startswith("--"):
        return f"{where}: {expected}, found {_shown(found)}"
    if first["type"] == "extra_forbidden":
        models: dict[str, type[Frozen]] = {
            "loss": LossSpec, "optimiser": OptimiserSpec, "smoothing": SmoothingSpec
        }  # fmt: skip
        owner = (
            models.get(str(first["loc"][0]), SweepConfig) if len(first["loc"]) > 1 else SweepConfig
        )
        key = str(first["loc"][-1])
        near = suggestion(key, owner.model_fields)
        known = listing(owner.model_fields, "stylebench schema")
        return f"{where}: unknown key {path!r}{near} {known}"
    more = len(error.errors()) - 1
    return f"{where}: {path}: {expected}, found {_shown(found)}" + (
        f" (and {more} more)" if more else ""
    )


MAX_BYTES = 1_000_000
"""Of an experiment file; those of experiments/ have 1 to 4 thousand."""

MAX_KEYS = 1000
"""Of a mapping, with those that ``<<`` merges into it: aliases can multiply them without end."""

MAX_VALUES = 50_000
"""Of a file, each counted as often as aliases repeat it."""

MAX_DIGITS = 100
"""Of a number; PyYAML's numbers to the base of 60 (1:30:00) cost the square of their length."""
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

MAX_VARIANTS = 1000
"""Of an experiment, its grid multiplied out."""


def shipped() -> dict[str, Path]:
    """Return the experiments that come with stylebench: name -> file."""
    folder = files.locate("experiments")
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def _find(given: Path) -> Path:
    """Return the file that is meant by a path, or by the name of a shipped experiment."""
    if given.name != str(given) or given.suffix or (given.exists() and not given.is_dir()):
        return given
    known = shipped()
    if str(given) not in known:
        near = suggestion(str(given), known)
        raise InputError(
            f"no experiment {str(given)!r}{near} {listing(known, 'stylebench ls experiments')}"
        )
    return known[str(given)]


class _Loader(yaml.SafeLoader):
    """Reads YAML, and refuses a key that stands twice in a mapping, and far too many values."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._counts: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and count what is in it as often as aliases repeat it."""
        repeats = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if node is not None and node not in self._counts:
            if repeats:
                raise yaml.YAMLError(f"an alias stands in what it repeats{node.start_mark}")
            inside = node.value if isinstance(node, yaml.CollectionNode) else ()
            parts = [n for each in inside for n in (each if isinstance(each, tuple) else (each,))]
            self._counts[node] = 1 + sum(self._counts.get(part, 1) for part in parts)
            if self._counts[node] > MAX_VALUES:
                raise yaml.YAMLError(
                    f"expected at most {MAX_VALUES:,} values, with those that aliases repeat"
                    f"{node.start_mark}"
                )
        return node

    def compose_scalar_node(self, anchor: dict[Any, yaml.Node]) -> yaml.ScalarNode:
        """Compose a node, and refuse a number that is far too long."""
        node = super().compose_scalar_node(anchor)
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise yaml.YAMLError(
                f"expected at most {MAX_DIGITS} digits in a number, found {len(node.value):,}"
                f"{node.start_mark}"
            )
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_KEYS:
            raise yaml.YAMLError(f"expected at most {MAX_KEYS} keys in a mapping{node.start_mark}")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):  # else the reader of YAML says what is wrong
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            for key, count in keys.items():
                if count > 1:
                    raise yaml.YAMLError(f"the key {key!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; anything else raises InputError."""
    if not os.path.lexists(path):
        near = suggestion(str(path), map(str, path.parent.glob("*.yaml")))
        near = near or suggestion(path.stem, shipped())
        raise InputError(f"no experiment file {str(path)!r}{near}")
    text = files.given(path, "an experiment", MAX_BYTES)
    try:
        data = yaml.load(text, _Loader)
    except Exception as error:  # values that do not fit their tag make PyYAML raise nearly anything
        raise InputError(f"{path}: expected YAML: {describe(error, 200)}") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise InputError(
            f"{path}: expected a mapping of keys to values, found {type(data).__name__}"
        )
    return data


def _as_lists(data: Mapping[str, Any]) -> dict[str, Any]:
    """Allow a single value where a list is expected: ``arch: r-vgg19``, ``seed: 3``."""
    plural = ("arch", "smoothing", "content", "style", "seed", "statistics_images")
    single = (str, int, float, dict)
    return {k: [v] if k in plural and isinstance(v, single) else v for k, v in data.items()}


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
        return SweepConfig.model_validate(_merged(PRESETS[preset], {**data, "preset": preset}))
    except ValidationError as error:
        raise InputError(_explain(error, data, where, written)) from None


def _profiled(data: dict[str, Any], profile: str | None, where: str) -> dict[str, Any]:
    """Return a file's keys with those of a profile laid on them: of its first if none is named."""
    if "profile" in data:
        raise InputError(f"{where}: profile is chosen by --profile; a file defines profiles")
    given = data.pop("profiles", None) or {}
    if not isinstance(given, dict) or not all(isinstance(p, dict) for p in given.values()):
        expected = "expected names with settings, as quick: {size: 128}"
        raise InputError(f"{where}: profiles: {expected}")
    profiles = {str(name): settings for name, settings in given.items()}
    if profile is None and not profiles:
        return data
    name = profile or next(iter(profiles))
    if name not in profiles:
        known = ", ".join(profiles) or "none"
        near = suggestion(name, profiles)
        raise InputError(f"{where}: no profile {name!r}{near} (known: {known})")
    return {**_laid(data, profiles[name]), "profile": name}


def _written(
    data: Mapping[str, Any], profile: str | None, flags: Mapping[str, Any], where: str
) -> dict[str, str]:
    """Return where each key of a sweep is written: key -> file, profile of the file, or flag.

    Args:
        data: of the file.
        profile: that is laid on it; None: its first.
        flags: that go before both; those of None are not given.
        where: the file.
    """
    profiles = data.get("profiles") or {}
    named = profile or next(iter(profiles), "") if isinstance(profiles, Mapping) else ""
    laid = profiles.get(named) if named else None
    keys = laid if isinstance(laid, Mapping) else ()
    found = dict.fromkeys(data, where) | dict.fromkeys(keys, f"{where}: profiles.{named}")
    given = (key for key, value in flags.items() if value is not None)
    return found | {key: "--" + key.replace("_", "-") for key in given}


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
        found = re.match(r"(\w+)[\w.]*(:?)", str(error))
        if type(error) is not InputError or not found:
            raise
        data = read_yaml(_find(path)) if path else {}
        place = _written(data, profile, flags or {}, str(path)).get(found[1], "")
        if not place.startswith("--") and found[1] in SweepConfig.model_fields and place:
            raise InputError(f"{place}: {error}") from None
        if place and found[2]:
            raise InputError(f"{place}{str(error)[found.end(1) :]}") from None
        raise


def _laid(data: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings laid on others; a preset among them replaces what the other's decided."""
    if "preset" in over:
        data = {key: value for key, value in data.items() if key not in OF_PRESET}
    return _merged(_as_lists(data), _as_lists(over))


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
            combined = _merged(combined, value)
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


def arms(config: SweepConfig, where: str = "sweep") -> list[SweepConfig]:
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
    return list(dict.fromkeys(arch for arm in arms(config) for arch in arm.arch))


QUICK = "quick"
"""The profile whose results go into results/NAME; those of others go into results/NAME-PROFILE."""


def results_folder(config: SweepConfig) -> Path:
    """Return where the results of a sweep go: into a folder of its name, and of its profile."""
    name = config.name + (f"-{config.profile}" if config.profile not in ("", QUICK) else "")
    return Path("results") / name


OF_STYLISATIONS = ("content", "style", "evals", "preset", "precision")
"""Keys that mean nothing to statistics."""
OF_BOTH = (("precision", "fp32"), ("precision", "auto"))
"""But for these: statistics are in fp32."""


def _refuse_idle(found: Sequence[SweepConfig], flags: Mapping[str, Any], where: str) -> None:
    """Raise InputError for flags of stylisations, or of statistics, where there are none."""
    if not any(arm.content and arm.style for arm in found):
        for key in OF_STYLISATIONS:
            if flags.get(key) is not None and (key, flags[key]) not in OF_BOTH:
                raise InputError(
                    f"--{key}: {where} has statistics alone, on --statistics-images; for "
                    "stylisations give --content and --style"
                )
    elif flags.get("statistics_images") and not any(arm.statistics_images for arm in found):
        raise InputError(f"--statistics-images: {where} measures no statistics")


def load_sweep(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> SweepConfig:
    """Return the configuration of a sweep.

    Args:
        path: an experiment file, or the name of one of `shipped`; its stem is the sweep's name
            unless the file gives one. None means the built-in default, which
            experiments/default.yaml spells out.
        flags: keys from the command line, which go before the file's and its variants'; None
            values are left out. Contents or styles from the command line are all paired with each
            other; those of a file too, unless it says ``pairing: zip``. A preset from the command
            line replaces the file's loss, optimiser and resize.
        profile: which of the file's ``profiles`` (name -> settings) is laid on its other settings;
            by default the first, if it has any.

    A file's ``grid`` (key -> list of values, a dot leading into a mapping) is every combination of
    its values, as ``variants`` are, and crossed with those where there are both.

    Raises:
        InputError: unknown keys, values of the wrong type or range; the text names the first.
    """
    data = read_yaml(_find(path)) if path else {}
    where = str(path) if path else "sweep"
    if path:
        data.setdefault(
            "name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip(".-_")[:100] or "sweep"
        )
    written = _written(data, profile, flags or {}, where)
    data = _profiled(data, profile, where)
    given = _paired({key: value for key, value in (flags or {}).items() if value is not None})
    gridded = "grid" in data
    crossed = _crossed(data.pop("variants", []), data.pop("grid", None), where)
    variants = _varied(data, crossed, given, where)
    config = _validated({**_laid(_paired(data), given), "variants": variants}, where, written)
    found = arms(config, f"{where}: grid" if gridded else where)
    _refuse_idle(found, flags or {}, where)
    for arm in found:
        names.load_files(arm.arch)
    return config
