"""The command ``stylebench figures``; like main.py, it imports nothing heavy before its use."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say
from stylebench.errors import InputError

if TYPE_CHECKING:
    from stylebench.figures.register import Paper

UNITS = {"in": 1.0, "cm": 2.54, "mm": 25.4, "pt": 72.27}
"""Of an inch; LaTeX's points, in which columns are measured."""
NARROWEST, WIDEST = 2.0, 14.0
"""Inches: of figures."""


def figures(
    folder: Annotated[Path, typer.Argument(help="A results folder, or a folder of several.")],
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Draw these alone, by name (`stylebench ls figures`). Repeatable."
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell why figures and tables are not drawn.")
    ] = False,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME,NAME…",
            help="Write `png` (the default), `pdf`, `svg`, or `tex` for tables (LaTeX, booktabs).",
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            "--width",
            help="Lay out PDF and SVG for this width: `3.3in` or `84mm`, with text of 7 pt.",
        ),
    ] = None,
    plugin: options.Plugin = None,
) -> None:
    """Draw the figures and tables of a results folder again.

    Examples:

        stylebench figures results/default

        stylebench figures results/reference --only statistics --only grid

        stylebench figures results/default --format pdf,tex --width 3.3in
    """
    from stylebench import store
    from stylebench.figures import NoDataError, draw, told

    paper = _paper(formats, width)
    broken = idle = 0
    several = not store.holds_results(folder) and store.folders(folder)
    for place in several or [folder]:
        for name, found in draw(place, only, paper):
            empty = isinstance(found, NoDataError)
            if empty and not (verbose or only):
                idle += 1
                continue
            say(told(f"{place.name}/{name}" if several else name, found))
            broken += isinstance(found, Exception) and not empty
    if idle:
        noun = "figures and tables have" if idle > 1 else "figure or table has"
        say(f"{idle} {noun} nothing to show (--verbose tells why)")
    if broken:
        raise typer.Exit(1)


def _paper(formats: str | None, width: str | None) -> "Paper":
    """Return what --format and --width say."""
    from stylebench.errors import suggestion
    from stylebench.figures.register import FORMATS, Paper

    names = FORMATS[:1] if formats is None else tuple(n.strip() for n in formats.split(","))
    for name in names:
        if name not in FORMATS:
            raise InputError(
                f"--format expects {', '.join(FORMATS)}, found {name!r}{suggestion(name, FORMATS)}"
            )
    inches = None if width is None else _inches(width)
    if inches is not None and not {"pdf", "svg"} & {*names}:
        raise InputError("--width is of PDF and SVG; expected --format pdf or svg beside it")
    return Paper(tuple(dict.fromkeys(names)), inches)


def _inches(text: str) -> float:
    """Return a length in inches."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) *(in|cm|mm|pt)", text.strip())
    inches = float(found[1]) / UNITS[found[2]] if found else 0.0
    if not NARROWEST <= inches <= WIDEST:
        raise InputError(
            f"--width expects {NARROWEST:g}in to {WIDEST:g}in, in in, cm, mm or pt, found {text!r}"
        )
    return inches
