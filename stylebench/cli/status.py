"""The command ``stylebench status``; like main.py, it imports nothing heavy before its use."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli.options import AsJson
from stylebench.cli.progress import duration, say

if TYPE_CHECKING:
    from stylebench.store.status import Status

SHOWN = 10
"""Failed jobs that are told one by one."""


def status(
    folder: Annotated[Path, typer.Argument(help="A results folder, or a folder of such.")],
    as_json: AsJson = False,
) -> None:
    """Tell how far a sweep is, from another terminal or after its end.

    Examples:

        stylebench status results/default

        watch stylebench status results/paper-standard
    """
    from stylebench.store import status

    for place in status.folders(folder):
        found = status.read(place)
        if as_json:
            print(json.dumps(found.json()))
        else:
            say(*lines(found))


def lines(found: "Status") -> list[str]:
    """Return what a person wants to know."""
    who = found.holder
    if who:
        state = f"{who['command']}, process {who['pid']} on {who['host']}"
    else:
        state = "finished" if not found.to_do else "not running; the same command goes on"
    begun = f", {found.begun} of them begun" if found.begun and who else ""
    left = f", about {duration(found.left)} left" if found.left is not None else ""
    counts = f"{found.ok} of {found.jobs} jobs ok, {len(found.failed)} failed, {found.to_do} to do"
    more = len(found.failed) - SHOWN
    return [
        f"{found.folder}: {state}",
        f"  {counts}{begun}{left}",
        *(f"  failed  {text}" for text in found.failed[:SHOWN]),
        *([f"  … and {more} more failed"] if more > 0 else []),
    ]
