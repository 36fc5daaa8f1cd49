"""The command ``stylebench ls``; like main.py, it imports nothing heavy before its use."""

import re
import shutil
import sys
import textwrap
from typing import Annotated

import typer

from stylebench.cli import options
from stylebench.cli.complete import kinds
from stylebench.cli.progress import say


def ls(
    what: Annotated[
        str | None,
        typer.Argument(
            help="What to list: archs, smoothings, statistics, metrics, images, figures, "
            "experiments, trainings or classifiers; default: all of them.",
            autocompletion=kinds,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more about each.")] = False,
    arch: options.Arch = None,
    plugin: options.Plugin = None,
) -> None:
    """List what there is: backbones, smoothings, statistics, metrics, images, figures, experiments.

    `-v --arch NAME` also measures by how much each block with a shortcut changes its input: it
    makes the network and runs it once on a photograph, which takes one to ten seconds for most.

    Examples:

        stylebench ls

        stylebench ls archs -v --arch timm:resnet18
    """
    from stylebench.cli import show

    found = show.lines(what, verbose=verbose, arch=arch)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        found = [part for line in found for part in wrapped(line, width)]
    say(*found)


def wrapped(line: str, width: int) -> list[str]:
    """Return a line of a list in lines of at most so many columns.

    What goes on is below the last column of the table, which two spaces part from what is before.
    """
    begin = max((found.end() for found in re.finditer(" {2,}", line)), default=0)
    deep = begin if begin <= width // 2 else 4
    return textwrap.wrap(
        line, width, subsequent_indent=" " * deep, break_long_words=False, break_on_hyphens=False
    ) or [""]
