"""The command ``stylebench sweep``; like main.py, it imports nothing heavy before its use."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli import progress
from stylebench.cli.flags import engine_options, given_flags, run_options
from stylebench.cli.options import (
    Address,
    Arch,
    AsJson,
    Batch,
    Content,
    Device,
    Engine,
    Evals,
    Experiment,
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

if TYPE_CHECKING:
    from stylebench.config import SweepConfig
    from stylebench.sweeps.run import Options, Summary


def sweep(
    experiment: Experiment = None,
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

        stylebench sweep smoke --out results/try

        stylebench sweep fig1_2 --profile full --device cuda
    """
    from stylebench.sweeps.experiment import load_sweep, results_folder

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
        from stylebench.sweeps.run import run

        carry_out(run, config, options, as_json)


def carry_out(
    run: Callable[..., "Summary"], config: "SweepConfig", options: "Options", as_json: bool
) -> None:
    """Run a sweep, or its statistics alone, tell how it went, and exit 1 if a job failed."""
    began = time.monotonic()
    with progress.reporter(as_json=as_json) as report:
        try:
            summary = run(config, options, report)
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
