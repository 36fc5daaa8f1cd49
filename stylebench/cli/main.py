"""The command line: a thin shell on the public API; nothing heavy is imported before its use."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench import __version__
from stylebench.cli import bench, judge, plan, report, status, track, weights
from stylebench.cli.flags import engine_options, given_flags, results_folder, run_options
from stylebench.cli.options import (
    Address,
    Arch,
    AsJson,
    Batch,
    Content,
    Device,
    Engine,
    Evals,
    Force,
    Jobs,
    Limit,
    Offline,
    Precision,
    Preset,
    Profile,
    Resize,
    Retries,
    Seed,
    Size,
    Smoothing,
    Style,
    TimeLimit,
    Weights,
)
from stylebench.errors import InputError, JobError, is_full, one_line
from stylebench.runtime import wait_passively

if TYPE_CHECKING:
    from stylebench.config import SweepConfig
    from stylebench.sweeps.run import Options

app = typer.Typer(
    name="stylebench",
    help="The bench on which any vision backbone is tested for style transfer.",
    add_completion=False,
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


@app.command()
def sweep(
    experiment: Annotated[
        Path | None, typer.Argument(help="A YAML file, see experiments/.")
    ] = None,
    arch: Arch = None,
    limit: Limit = None,
    smoothing: Smoothing = None,
    content: Content = None,
    style: Style = None,
    size: Size = None,
    resize: Resize = None,
    evals: Evals = None,
    seed: Seed = None,
    preset: Preset = None,
    profile: Profile = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Results folder; default: results/NAME.")
    ] = None,
    device: Device = "auto",
    precision: Precision = None,
    weights: Weights = None,
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="MLflow; default: OUT/mlflow.db.")
    ] = None,
    jobs: Jobs = None,
    engine: Engine = None,
    address: Address = None,
    time_limit: TimeLimit = None,
    retries: Retries = None,
    batch: Batch = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the jobs and stop.")] = False,
    force: Force = False,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """Sweep backbones × smoothings × pairs × seeds through style transfer.

    Finished jobs are kept and not run again. Flags override the experiment file.

    Examples:

        stylebench sweep --arch all

        stylebench sweep --arch 'r-*' --smoothing none,softmax --content photos/ --style night.jpg

        stylebench sweep experiments/smoke.yaml --out results/try

        stylebench sweep experiments/fig1_2.yaml --profile full --device cuda
    """
    from stylebench.sweeps.experiment import load_sweep

    flags = given_flags(arch=arch, smoothing=smoothing, content=content, style=style, size=size,
                        evals=evals, seed=seed, preset=preset, precision=precision,
                        limit=limit, resize=resize)  # fmt: skip
    config = load_sweep(experiment, flags, profile)
    options = run_options(
        out or results_folder(config),
        engine_options(device, engine, jobs, batch,
                       address=address, time_limit=time_limit, retries=retries),
        weights, tracking_uri=tracking_uri, offline=offline, force=force,
    )  # fmt: skip
    if dry_run:
        from stylebench.cli import show

        show.jobs(config, options, as_json=as_json)
    else:
        _run("run", config, options, as_json)


def _run(what: str, config: "SweepConfig", options: "Options", as_json: bool) -> None:
    """Run a sweep or its statistics, tell how it went, and exit 1 if a job failed."""
    from stylebench.cli import progress
    from stylebench.sweeps import run as flow

    began = time.monotonic()
    with progress.reporter(as_json=as_json) as report:
        try:
            summary = getattr(flow, what)(config, options, report)
        except KeyboardInterrupt:
            report.message(
                f"stopped: {report.kept} of {report.jobs} jobs were finished and are kept in "
                f"{options.out}; run the same command again to go on"
            )
            raise typer.Exit(130) from None
        counts = {"ok": summary.ok, "failed": summary.failed, "unavailable": summary.unavailable}
        seconds = time.monotonic() - began
        report.end({**counts, "seconds": round(seconds, 1), "out": str(options.out)})
    if summary.failed or summary.unjudged:
        raise typer.Exit(1)


@app.command()
def transfer(
    content: Annotated[str, typer.Argument(help="A photograph: a file or a built-in name.")],
    style: Annotated[str, typer.Argument(help="A style: a file or a built-in name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG or JPEG to write.")] = Path(
        "stylized.png"
    ),
    arch: Annotated[str, typer.Option("--arch", help="One backbone.")] = "p-vgg19",
    smoothing: Annotated[str, typer.Option("--smoothing", help="One smoothing.")] = "none",
    size: Annotated[int, typer.Option("--size", help="Long side in px.")] = 512,
    evals: Annotated[int, typer.Option("--evals", help="Closure evaluations, at most.")] = 200,
    resize: Resize = None,
    seed: Annotated[int, typer.Option("--seed", help="Of random weights.")] = 0,
    preset: Annotated[str, typer.Option("--preset", help="Of the losses.")] = "balanced",
    device: Device = "auto",
    precision: Precision = None,
    weights: Weights = None,
    offline: Offline = False,
) -> None:
    """Stylise one picture: content, style, one result.

    Examples:

        stylebench transfer chelsea mosaic --arch r-vgg19 -o cat.png

        stylebench transfer me.jpg night.jpg --weights vgg19=vgg19.safetensors --size 768
    """
    from stylebench.sweeps.run import transfer_one

    flags = given_flags(arch=[arch], smoothing=[smoothing], content=[content], style=[style],
                        size=size, evals=evals, seed=[seed], preset=preset, precision=precision,
                        resize=resize)  # fmt: skip
    options = run_options(output.parent, engine_options(device), weights, offline=offline)
    print(transfer_one(flags, options, output))


@app.command()
def stats(
    out: Annotated[Path, typer.Option("--out", help="Results folder.")] = Path("results/stats"),
    arch: Arch = None,
    limit: Limit = None,
    smoothing: Smoothing = None,
    content: Annotated[
        list[str] | None, typer.Option("--content", help="Pictures; default: the ten built-in.")
    ] = None,
    size: Size = None,
    resize: Resize = None,
    seed: Seed = None,
    device: Device = "auto",
    weights: Weights = None,
    jobs: Jobs = None,
    force: Force = False,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """Measure statistics of feature maps, without any stylisation, into OUT/stats.parquet.

    Examples:

        stylebench stats --arch all --out results/stats

        stylebench stats --arch r-resnet50,r-noresnet50 --content photos/ --seed 0 --seed 1
    """
    from stylebench.sweeps.experiment import load_sweep

    flags = given_flags(arch=arch, smoothing=smoothing, statistics_images=content, size=size,
                        seed=seed, limit=limit, resize=resize)  # fmt: skip
    config = load_sweep(None, {"name": "stats", **flags})
    options = run_options(
        out, engine_options(device, None, jobs), weights, offline=offline, force=force
    )
    _run("measure", config, options, as_json)


@app.command()
def figures(
    folder: Annotated[Path, typer.Argument(help="A results folder, or a folder of such.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Names (`stylebench ls figures`).")
    ] = None,
) -> None:
    """Draw the figures and tables of a results folder again.

    Examples:

        stylebench figures results/default

        stylebench figures results/reference --only statistics --only grid
    """
    from stylebench import store
    from stylebench.figures import NoDataError, draw, told

    broken = 0
    several = not store.holds_results(folder) and store.folders(folder)
    for place in several or [folder]:
        for name, found in draw(place, only):
            print(told(f"{place.name}/{name}" if several else name, found))
            broken += isinstance(found, Exception) and not isinstance(found, NoDataError)
    if broken:
        raise typer.Exit(1)


@app.command("run-job")
def run_job(
    spec: Annotated[Path, typer.Argument(help="A job as JSON, `-` for standard input.")],
    out: Annotated[Path, typer.Option("--out", help="Results folder.")],
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Run one job, as `sweep --dry-run --json` prints it.

    Example:

        stylebench sweep --arch r-vgg19 --dry-run --json | head -1 | stylebench run-job - --out r
    """
    from stylebench.cli.progress import outcome
    from stylebench.sweeps.run import run_one

    text = sys.stdin.read() if str(spec) == "-" else _read(spec)
    record = run_one(text, run_options(out, engine_options(device), force=force))
    print(f"{record.job_id}  {outcome(record)}")
    if not record.ok:
        raise typer.Exit(1)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a job as JSON: {error}") from None


@app.command("ls")
def list_(
    what: Annotated[
        str | None,
        typer.Argument(help="archs, smoothings, statistics, metrics, images or figures."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More about each.")] = False,
    arch: Arch = None,
) -> None:
    """List what there is: backbones, smoothings, statistics, metrics, images, figures.

    Examples:

        stylebench ls

        stylebench ls archs -v --arch timm:resnet18
    """
    from stylebench.cli import show

    print("\n".join(show.lines(what, verbose=verbose, arch=arch)))


def _check_encoding(args: list[str]) -> None:
    """Raise InputError for bytes that are no text: no table or manifest could hold them."""
    for arg in args:
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"expected arguments in UTF-8, found other bytes in {arg!r}; rename the file"
            ) from None


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
