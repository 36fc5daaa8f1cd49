"""The command ``stylebench figures``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say


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
    plugin: options.Plugin = None,
) -> None:
    """Draw the figures and tables of a results folder again.

    Examples:

        stylebench figures results/default

        stylebench figures results/reference --only statistics --only grid
    """
    from stylebench import store
    from stylebench.figures import NoDataError, draw, told

    broken = idle = 0
    several = not store.holds_results(folder) and store.folders(folder)
    for place in several or [folder]:
        for name, found in draw(place, only):
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
