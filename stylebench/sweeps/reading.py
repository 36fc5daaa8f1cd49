"""Reading of experiment files: YAML from anybody, profiles, and what is wrong in one line."""

import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from stylebench import files, named
from stylebench.config import Frozen, problem
from stylebench.errors import InputError, describe, listing, one_line, suggestion

Settings = TypeVar("Settings", bound=Frozen)
MAX_BYTES = 1_000_000
"""Of an experiment file; those of experiments/ have 1 to 4 thousand."""

MAX_KEYS = 1000
"""Of a mapping, with those that ``<<`` merges into it: aliases can multiply them without end."""

MAX_VALUES = 50_000
"""Of a file, each counted as often as aliases repeat it."""

MAX_DIGITS = 100
"""Of a number; PyYAML's numbers to the base of 60 (1:30:00) cost the square of their length."""
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it, mappings merged key by key."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


class _Short(reprlib.Repr):
    """Shows the beginning of a value, at a cost that does not depend on its size."""

    def repr_int(self, value: int, level: int) -> str:
        """Return the digits of an integer, of a long one how long it is."""
        bits = value.bit_length()
        return repr(value) if bits <= 200 else f"an integer of {bits} bits"

    def repr_date(self, value: date, level: int) -> str:
        """Return a date as YAML has it."""
        return str(value)

    repr_datetime = repr_date


def shown(value: object) -> str:
    """Return a value as in Python, in at most 60 characters."""
    short = _Short()
    short.maxlevel = 3
    short.maxstring = short.maxother = 200
    found = short.repr(value)
    return found if len(found) <= 60 else found[:57] + "..."


def explain(
    error: ValidationError,
    where: str,
    whole: type[Frozen],
    parts: Mapping[str, type[Frozen]],
    command: str = "",
    data: Mapping[str, Any] = MappingProxyType({}),
    written: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the worst problem of a validation in one line, with a suggestion for a key.

    Args:
        error: of the validation.
        where: what was validated comes from.
        whole: the model.
        parts: key -> model of a mapping in it.
        command: that shows all keys.
        data: what was validated.
        written: where some of its keys are: a file, a profile of it, or a flag.
    """
    problems = [each for each in error.errors() if each["type"] != "too_short"] or error.errors()
    unknown = (each for each in problems if each["type"] == "extra_forbidden")
    first = next(unknown, problems[0])  # it may be why the others are wrong
    path, expected, found = problem(first)
    top = str(first["loc"][0]) if first["loc"] else ""
    where = written.get(top, where)
    others = len(problems) - 1
    more = f" (and {others} more {'problems' if others > 1 else 'problem'})" if others else ""
    if top in data and len(first["loc"]) == 2 and data[top] == [first["input"]]:
        path = top  # a single value, where a list may stand
    if not first["loc"]:  # of keys that do not go together, which the text names
        return f"{where}: {expected}"
    if where.startswith("--"):
        return f"{where}: {expected}, found {shown(found)}"
    if first["type"] == "extra_forbidden":
        *inside, key = map(str, first["loc"])
        owner = next((parts[part] for part in reversed(inside) if part in parts), whole)
        near = suggestion(key, owner.model_fields)
        known = listing(owner.model_fields, command)
        return f"{where}: unknown key {path!r}{near} {known}{more}"
    if first["type"] == "string_type" and isinstance(found, int | float | date):  # no, 2024-11-29
        quotes = f"{found} (so YAML reads what is not in quotes)"
        return f"{where}: {path}: {expected}, found {quotes}{more}"
    return f"{where}: {path}: {expected}, found {shown(found)}{more}"


def shipped(kind: str = "") -> dict[str, Path]:
    """Return the experiments that come with stylebench: name -> file.

    Args:
        kind: their folder in experiments/: ``train`` and ``accuracy`` hold those of the commands of
            these names; "" are those of sweeps.
    """
    folder = files.locate("experiments")
    return {path.stem: path for path in sorted((folder / kind).glob("*.yaml"))} if folder else {}


def located(given: Path, known: Mapping[str, Path], what: str, command: str) -> Path:
    """Return the file that is meant by a path, or by a name.

    Args:
        given: the path, or the name.
        known: name -> file, of those that come with stylebench.
        what: they are called.
        command: that lists them.
    """
    if given.name != str(given) or given.suffix or (given.exists() and not given.is_dir()):
        return given
    if str(given) not in known:
        near = suggestion(str(given), known)
        raise InputError(f"no {what} {str(given)!r}{near} {listing(known, command)}")
    return known[str(given)]


def _refused(why: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=why, problem_mark=node.start_mark)


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
                raise _refused("an alias stands in what it repeats", node)
            inside = node.value if isinstance(node, yaml.CollectionNode) else ()
            parts = [n for each in inside for n in (each if isinstance(each, tuple) else (each,))]
            self._counts[node] = 1 + sum(self._counts.get(part, 1) for part in parts)
            if self._counts[node] > MAX_VALUES:
                raise _refused(
                    f"expected at most {MAX_VALUES:,} values, with those that aliases repeat", node
                )
        return node

    def compose_scalar_node(self, anchor: dict[Any, yaml.Node]) -> yaml.ScalarNode:
        """Compose a node, and refuse a number that is far too long."""
        node = super().compose_scalar_node(anchor)
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise _refused(
                f"expected at most {MAX_DIGITS} digits in a number, found {len(node.value):,}", node
            )
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_KEYS:
            raise _refused(f"expected at most {MAX_KEYS} keys in a mapping", node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):  # else the reader of YAML says what is wrong
            seen = set[str]()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise _refused(f"the key {key.value!r} stands twice", key)
                    seen.add(key.value)
        return super().construct_mapping(node, deep)


def _problem(error: Exception) -> str:
    """Return what is wrong with a YAML file, and in which line."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return describe(error, 200)
    told = ", ".join(text for text in (error.context, error.problem) if text)
    mark = error.problem_mark or error.context_mark
    return one_line(told)[:200] + (
        f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    )


def read_yaml(path: Path, known: Iterable[str] = ()) -> dict[str, Any]:
    """Return the mapping in a YAML file; anything else raises InputError.

    Args:
        path: of the file.
        known: names that may be meant where there is no file.
    """
    if not os.path.lexists(path):
        near = suggestion(str(path), map(str, path.parent.glob("*.yaml")))
        near = near or suggestion(path.stem, known)
        raise InputError(f"no experiment file {str(path)!r}{near}")
    text = named.read(path, "an experiment", MAX_BYTES)
    try:
        data = yaml.load(text, _Loader)
    except Exception as error:  # values that do not fit their tag make PyYAML raise nearly anything
        raise InputError(f"{path}: expected YAML: {_problem(error)}") from None
    if data is None:
        raise InputError(f"{path}: expected a mapping of keys to values, found an empty file")
    if not isinstance(data, dict):
        raise InputError(
            f"{path}: expected a mapping of keys to values, found {type(data).__name__}"
        )
    for key in data:
        if not isinstance(key, str):
            raise InputError(f"{path}: expected keys that are text, found {shown(key)}")
    return data


Laid = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""Lays settings on others."""


def profiled(
    data: dict[str, Any], profile: str | None, where: str, laid: Laid = merged
) -> dict[str, Any]:
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
    return {**laid(data, profiles[name]), "profile": name}


def places(
    data: Mapping[str, Any], profile: str | None, flags: Mapping[str, Any], where: str
) -> dict[str, str]:
    """Return where each key of an experiment is written: key -> file, profile of the file, or flag.

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


def settled(
    data: Mapping[str, Any],
    model: type[Settings],
    where: str,
    flags: Mapping[str, Any],
    profile: str | None,
    parts: Mapping[str, type[Frozen]] = MappingProxyType({}),
    check: Callable[[Mapping[str, Any], str], None] = lambda data, where: None,
) -> Settings:
    """Return settings: a file's keys, those of a profile laid on them, and on these the flags.

    Args:
        data: of the file.
        model: of the settings.
        where: the file.
        flags: key -> value; None and empty lists were not given.
        profile: of the file's; by default the first.
        parts: key -> model of a mapping in it.
        check: called with what is laid together and `where`, to refuse it in words of its own.

    Raises:
        InputError: unknown keys, values of the wrong type or range; the text names one.
    """
    given = {key: value for key, value in flags.items() if value not in (None, [])}
    written = places(data, profile, given, where)
    laid = merged(profiled(dict(data), profile, where), given)
    check(laid, where)
    try:
        return model.model_validate(laid)
    except ValidationError as error:
        raise InputError(explain(error, where, model, parts, "", laid, written)) from None
