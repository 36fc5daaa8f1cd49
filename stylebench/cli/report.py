"""The command ``stylebench report``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli.progress import say


def report(
    folder: Annotated[Path, typer.Argument(help="A results folder, or a folder of several.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the HTML there; default: into the folder."),
    ] = None,
) -> None:
    """Write a results folder as one HTML page that needs no other file.

    A folder whose subfolders are results folders gives a page with a chapter for each.

    Examples:

        stylebench report results/default

        stylebench report results/reference --output page.html
    """
    from stylebench.report import page

    path = page.write(folder, output, lambda line: say(line, error=True))
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
