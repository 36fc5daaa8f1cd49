"""From flags to configuration and options; like main.py, it imports nothing heavy before use."""

import functools
import inspect
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylebench.cli import options
from stylebench.errors import InputError, published_command

if TYPE_CHECKING:
    from stylebench.sweeps import engines
    from stylebench.sweeps.run import RunOptions


CONFIGURATION = {
    "system": options.System,
    "arch": options.Arch,
    "limit": options.Limit,
    "nodes": options.Nodes,
    "content_node": options.ContentNode,
    "plugin": options.Plugin,
    "smoothing": options.Smoothing,
    "content": options.Content,
    "style": options.Style,
    "statistics_images": options.StatisticsImages,
    "no_statistics": options.NoStatistics,
    "size": options.Size,
    "resize": options.Resize,
    "evals": options.Evals,
    "seed": options.Seed,
    "preset": options.Preset,
    "precision": options.Precision,
}
"""The flags that are keys of a configuration, and --plugin, which these may need."""


def configured(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of `CONFIGURATION`: it takes their keys as one mapping, `given`.

    Args:
        without: those that it does not have.
    """
    own = {name: kind for name, kind in CONFIGURATION.items() if name not in without}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**values: Any) -> None:
            given = {name: values.pop(name) for name in own}
            function(given=given_flags(**given), **values)

        flags = [
            inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for n, kind in own.items()
        ]
        found: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(function).parameters.items():
            alone = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            found += flags if name == "given" else [alone]
        command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in found}
        return command

    return decorate


def given_flags(
    *,
    nodes: str | None = None,
    content_node: str | None = None,
    plugin: object = None,
    no_statistics: bool | None = None,
    **values: Any,
) -> dict[str, Any]:
    """Return configuration keys from flags; comma lists of smoothings, seeds and nodes are split.

    A `plugin` is loaded when its flag is read.
    """
    flags = {key: value for key, value in values.items() if value not in (None, [])}
    if "smoothing" in flags:
        parts = (part for text in flags["smoothing"] for part in re.split(r",(?![^(]*\))", text))
        flags["smoothing"] = [part.strip() for part in parts]
    if "seed" in flags:
        flags["seed"] = [int(n) for text in flags["seed"] for n in str(text).split(",")]
    if no_statistics:
        if "statistics_images" in flags:
            raise InputError("--no-statistics and --statistics-images: expected one of both")
        flags["statistics_images"] = []
    if nodes is not None or content_node is not None:
        flags["nodes"] = _nodes(flags.get("arch", []), nodes, content_node)
    return flags


def _nodes(arch: list[str], nodes: str | None, content: str | None) -> dict[str, Any]:
    """Return the key ``nodes`` of a configuration from ``--nodes`` and ``--content-node``."""
    from stylebench.backbones.names import bare, listed
    from stylebench.backbones.spec import last_but_one

    if nodes is None:
        raise InputError("--content-node expects --nodes beside it")
    backbones = dict.fromkeys(map(bare, listed(arch)))
    if len(backbones) != 1 or {*"*?["} & {*"".join(backbones)} or "all" in backbones:
        found = ", ".join(arch) or "none"
        raise InputError(f"--nodes expects one backbone by name in --arch, found {found}")
    style = [_place(text.strip()) for text in nodes.split(",")]
    named = last_but_one(style) if content is None else _place(content)
    return {next(iter(backbones)): {"style": style, "content": named}}


def _place(text: str) -> int | str:
    """Return a node as it is given: by index or path."""
    return int(text) if text.isdecimal() else text


def command() -> str:
    """Return the command as it was typed, but for what is nobody else's business."""
    return published_command(shlex.join(["stylebench", *sys.argv[1:]]))


def engine_options(
    device: str,
    name: str | None = None,
    jobs: int | None = None,
    batch: str = "auto",
    **limits: Any,
) -> "engines.EngineOptions":
    """Return the engine that flags name; `jobs` alone means worker processes, unless it is 1."""
    from stylebench import runtime
    from stylebench.sweeps.engines import options

    return options.choose(
        name or ("local" if (jobs or 1) > 1 else "inline"),
        runtime.resolve_device(device, here=name != "ray"),
        workers=jobs,
        batch=None if batch == "auto" else int(batch),
        **limits,
    )


def run_options(
    out: Path,
    engine: "engines.EngineOptions",
    weights: list[str] | None = None,
    archs: Iterable[str] = (),
    *,
    shared: bool = False,
    **other: Any,
) -> "RunOptions":
    """Return how and where to run, from flags; those that are wrong raise InputError.

    `archs` are the backbones that are asked for: weights without a name are those of the only one.
    A `shared` folder may hold files of others.
    """
    from stylebench import runtime
    from stylebench.backbones.pretrained import parse_given
    from stylebench.sweeps.run import RunOptions, check_folder

    check_folder(out, shared=shared)
    runtime.configure()
    given = parse_given(weights or [], archs)
    return RunOptions(out=out, engine=engine, given=given, command=command(), **other)
