"""The command ``stylebench status``; like main.py, it imports nothing heavy before its use."""

import json
from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli.options import AsJson
from stylebench.errors import one_line


def status(
    folder: Annotated[Path, typer.Argument(help="A results folder, or a folder of such.")],
    as_json: AsJson = False,
) -> None:
    """Tell how far a sweep is, from another terminal or after its end.

    Examples:

        stylebench status results/default

        watch stylebench status results/paper
    """
    from stylebench.store import status

    for place in status.folders(folder):
        found = status.read(place)
        print(json.dumps(found.json()) if as_json else "\n".join(map(one_line, found.lines())))
