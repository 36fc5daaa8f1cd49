"""From a YAML file and flags to the configuration of a sweep."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stylebench.config import (
    OF_PRESET,
    PRESETS,
    Frozen,
    LossSpec,
    OptimiserSpec,
    SmoothingSpec,
    SweepConfig,
)
from stylebench.errors import InputError
from stylebench.registry import suggestion


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it, mappings merged key by key."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _explain(error: ValidationError, where: str) -> str:
    """Return the first problem of a validation error in one line, with a suggestion for a key."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        models: dict[str, type[Frozen]] = {
            "loss": LossSpec, "optimiser": OptimiserSpec, "smoothing": SmoothingSpec
        }  # fmt: skip
        owner = (
            models.get(str(first["loc"][0]), SweepConfig) if len(first["loc"]) > 1 else SweepConfig
        )
        key = str(first["loc"][-1])
        known = ", ".join(owner.model_fields)
        return (
            f"{where}: unknown key {path!r}{suggestion(key, owner.model_fields)} (known: {known})"
        )
    more = len(error.errors()) - 1
    found = repr(first["input"])
    found = found if len(found) <= 60 else found[:57] + "..."
    return f"{where}: {path}: {first['msg']}, found {found}" + (
        f" (and {more} more)" if more else ""
    )


class _Loader(yaml.SafeLoader):
    """Reads YAML, and refuses a key that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; anything else raises InputError."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        near = suggestion(str(path), (str(p) for p in path.parent.glob("*.yaml")))
        raise InputError(f"no experiment file {str(path)!r}{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable text file: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected YAML: {line}") from None
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


def load_sweep(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> SweepConfig:
    """Return the configuration of a sweep.

    Args:
        path: an experiment file; its stem is the sweep's name unless the file gives one. None
            means the built-in default, which experiments/default.yaml spells out.
        flags: keys from the command line, which go before the file's; None values are left out.
            Contents or styles from the command line are all paired with each other; those of a
            file too, unless it says ``pairing: zip``. A preset from the command line replaces the
            file's loss, optimiser and resize.

    Raises:
        InputError: unknown keys, values of the wrong type or range; the text names the first.
    """
    data = read_yaml(path) if path else {}
    if path:
        data.setdefault(
            "name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip(".-_")[:100] or "sweep"
        )
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    if "content" in given or "style" in given:
        given.setdefault("pairing", "product")
    if "content" in data or "style" in data:
        data.setdefault("pairing", "product")
    if "preset" in given:
        data = {key: value for key, value in data.items() if key not in OF_PRESET}
    where = str(path) if path else "sweep"
    merged = _merged(_as_lists(data), _as_lists(given))
    preset = merged.get("preset", SweepConfig.model_fields["preset"].default)
    if not isinstance(preset, str) or preset not in PRESETS:
        near = suggestion(str(preset), PRESETS)
        raise InputError(f"{where}: unknown preset {preset!r}{near} (known: {', '.join(PRESETS)})")
    try:
        return SweepConfig.model_validate(_merged(PRESETS[preset], merged))
    except ValidationError as error:
        raise InputError(_explain(error, where)) from None
