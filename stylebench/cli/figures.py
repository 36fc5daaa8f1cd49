"""The command ``stylebench figures``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say


def figures(
    folder: Annotated[Path, typer.Argument(help="A results folder, or a folder of such.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Names (`stylebench ls figures`).")
    ] = None,
    plugin: options.Plugin = None,
) -> None:
    """Draw the figures and tables of a results folder again.

    Examples:

        stylebench figures results/default

        stylebench figures results/reference --only statistics --only grid
    """
    from stylebench import store
    from stylebench.figures import NoDataError, draw, told

    broken = 0
    several = not store.holds_results(folder) and store.folders(folder)
    for place in several or [folder]:
        for name, found in draw(place, only):
            say(told(f"{place.name}/{name}" if several else name, found))
            broken += isinstance(found, Exception) and not isinstance(found, NoDataError)
    if broken:
        raise typer.Exit(1)
