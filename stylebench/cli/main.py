"""The command line: a thin shell on the public API; nothing heavy is imported before its use."""

import contextlib
import io
import os
import sys
from typing import Annotated

import typer

from stylebench import __version__
from stylebench.cli import (
    accuracy,
    apply,
    bench,
    compare,
    demo,
    export,
    figures,
    guesses,
    judge,
    leaderboard,
    ls,
    plan,
    report,
    run_job,
    schema,
    stats,
    status,
    study,
    sweep,
    track,
    train,
    transfer,
    weights,
)
from stylebench.errors import InputError, JobError, is_full, one_line
from stylebench.runtime import have_home, wait_passively

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
app.command()(train.train)
app.command()(apply.apply)
app.command()(export.export)
app.command()(demo.demo)
app.command()(accuracy.accuracy)
app.command()(stats.stats)
app.command()(figures.figures)
app.command("run-job")(run_job.run_job)
app.command()(ls.ls)
app.command()(schema.schema)
app.command()(plan.plan)
app.command()(status.status)
app.command()(judge.judge)
app.command()(compare.compare)
app.command()(report.report)
app.command()(leaderboard.leaderboard)
app.command()(track.track)
app.command()(bench.bench)
app.add_typer(study.app, name="study")
app.add_typer(weights.app, name="weights")


def _settle_streams() -> None:
    """Have all three streams: one that is closed leads nowhere, and none refuses a text.

    What is opened while a stream is closed would get its number, and what is meant for the stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: the stream's
            os.set_inheritable(nowhere, True)
            setattr(sys, name, os.fdopen(nowhere, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _told(error: OSError | MemoryError) -> str:
    """Return what an error of the system says, in words."""
    if isinstance(error, MemoryError):
        return "the memory ran out; close other programs, or use smaller pictures, or --batch 1"
    name = f": {error.filename}" if error.filename else ""
    more = "; make space and run the same command again, what is finished is kept"
    return f"{error.strerror or error}{name}{more if is_full(error) else ''}"


def _drop_unwritten() -> None:
    """Lead a stream nowhere that takes no more: Python tries again to write at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """Run the command line: wrong input is one line on standard error and exit status 2."""
    # Typer's wrong usage, under a name that versions with and without their own click share.
    kinds = typer.BadParameter.__mro__
    usage: type[typer.BadParameter] = next(k for k in kinds if k.__name__ == "UsageError")
    _settle_streams()
    wait_passively()
    have_home()
    text = ""
    try:
        _check_encoding(sys.argv[1:])
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except typer.Abort:
        status = 130
    except (InputError, usage) as error:
        text = guesses.told(error, sys.argv[1:]) if isinstance(error, usage) else str(error)
        status = 2
    except JobError as error:
        text, status = f"the job failed: {error}", 1
    except BrokenPipeError:  # the reader has gone, as head does
        status = 141
    except (OSError, MemoryError) as error:
        text, status = _told(error), 1
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        text, status = f"{error}: the system has none left; see `ulimit -u`", 1
    if text:
        with contextlib.suppress(OSError):  # of a full disk, to which errors go
            print(f"stylebench: {one_line(text)}", file=sys.stderr)
    _drop_unwritten()
    sys.exit(status if isinstance(status, int) else 0)
