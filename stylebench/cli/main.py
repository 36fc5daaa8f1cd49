"""The command line: a thin shell on the public API; nothing heavy is imported before its use."""

import os
import sys
from typing import Annotated

import typer

from stylebench import __version__
from stylebench.cli import (
    bench,
    figures,
    judge,
    ls,
    plan,
    report,
    run_job,
    stats,
    status,
    sweep,
    track,
    transfer,
    weights,
)
from stylebench.errors import InputError, JobError, is_full, one_line
from stylebench.runtime import wait_passively

app = typer.Typer(
    name="stylebench",
    help="The bench on which any vision backbone is tested for style transfer.",
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        print(f"stylebench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _check_encoding(args: list[str]) -> None:
    """Raise InputError for bytes that are no text: no table or manifest could hold them."""
    for arg in args:
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"expected arguments in UTF-8, found other bytes in {arg!r}; rename the file"
            ) from None


app.command()(sweep.sweep)
app.command()(transfer.transfer)
app.command()(stats.stats)
app.command()(figures.figures)
app.command("run-job")(run_job.run_job)
app.command()(ls.ls)
app.command()(plan.plan)
app.command()(status.status)
app.command()(judge.judge)
app.command()(report.report)
app.command()(track.track)
app.command()(bench.bench)
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Run the command line: wrong input is one line on standard error and exit status 2."""
    # Typer's wrong usage, under a name that versions with and without their own click share.
    kinds = typer.BadParameter.__mro__
    usage: type[typer.BadParameter] = next(k for k in kinds if k.__name__ == "UsageError")
    wait_passively()
    try:
        _check_encoding(sys.argv[1:])
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except typer.Abort:
        status = 130
    except (InputError, usage) as error:
        text = error.format_message() if isinstance(error, usage) else str(error)
        print(f"stylebench: {one_line(text)}", file=sys.stderr)
        status = 2
    except JobError as error:
        print(f"stylebench: the job failed: {one_line(str(error))}", file=sys.stderr)
        status = 1
    except BrokenPipeError:  # the reader has gone, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except OSError as error:
        name = f": {error.filename}" if error.filename else ""
        more = "; make space and run the same command again, what is finished is kept"
        text = f"{error.strerror or error}{name}{more if is_full(error) else ''}"
        print(f"stylebench: {one_line(text)}", file=sys.stderr)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)
