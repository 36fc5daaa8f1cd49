"""The command ``stylebench ls``; like main.py, it imports nothing heavy before its use."""

from typing import Annotated

import typer

from stylebench.cli import options
from stylebench.cli.complete import kinds
from stylebench.cli.progress import say


def ls(
    what: Annotated[
        str | None,
        typer.Argument(
            help="archs, smoothings, statistics, metrics, images, figures or experiments.",
            autocompletion=kinds,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More about each.")] = False,
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

    say(*show.lines(what, verbose=verbose, arch=arch))
