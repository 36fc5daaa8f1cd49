"""The command ``stylebench report``; like main.py, it imports nothing heavy before its use."""

import time
from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli.progress import say

SILENT = 3.0
"""Seconds after which it tells what it does."""


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

    began = time.monotonic()

    def progress(line: str) -> None:
        if time.monotonic() - began > SILENT:
            say(line)

    path = page.write(folder, output, lambda line: say(line, error=True), progress)
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
