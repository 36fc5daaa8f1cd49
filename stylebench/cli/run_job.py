"""The command ``stylebench run-job``; like main.py, it imports nothing heavy before its use."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stylebench import named
from stylebench.cli import options
from stylebench.cli.flags import engine_options, run_options
from stylebench.errors import InputError

MAX_BYTES = 1_000_000
"""Of a job as JSON; those of stylebench have one to ten thousand."""


def run_job(
    spec: Annotated[
        Path, typer.Argument(help="The job as JSON: a file, or `-` for standard input.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Results folder.")],
    device: options.Device = "auto",
    force: options.Force = False,
    plugin: options.Plugin = None,
) -> None:
    """Run one job, as `sweep --dry-run --json` prints it.

    Example:

        stylebench sweep --arch r-vgg19 --dry-run --json | head -1 | stylebench run-job - --out r
    """
    from stylebench.cli.progress import outcome, say
    from stylebench.sweeps.single import run_one

    text = _stdin() if str(spec) == "-" else named.read(spec, "a job as JSON", MAX_BYTES)
    record = run_one(text, run_options(out, engine_options(device), shared=True, force=force))
    say(f"{record.job_id}  {outcome(record)}")
    if not record.ok:
        raise typer.Exit(1)


def _stdin() -> str:
    try:
        text = sys.stdin.read(MAX_BYTES + 1)
    except UnicodeDecodeError as error:
        raise InputError(f"expected a job as JSON in UTF-8: {error}") from None
    if len(text) > MAX_BYTES:
        raise InputError(f"expected a job of at most {MAX_BYTES:,} bytes on standard input")
    return text
