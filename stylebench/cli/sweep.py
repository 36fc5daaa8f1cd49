"""The command ``stylebench sweep``; like main.py, it imports nothing heavy before its use."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebench.cli import options, progress
from stylebench.cli.flags import configured, engine_options, run_options

if TYPE_CHECKING:
    from stylebench.sweeps.run import RunOptions, Summary
    from stylebench.sweeps.settings import SweepConfig


@configured()
def sweep(
    *,
    experiment: options.Experiment = None,
    given: dict[str, Any],
    profile: options.Profile = None,
    out: options.Out = None,
    device: options.Device = "auto",
    weights: options.Weights = None,
    tracking_uri: options.TrackingUri = None,
    experiment_name: options.ExperimentName = None,
    tag: options.Tag = None,
    jobs: options.Jobs = None,
    engine: options.Engine = None,
    address: options.Address = None,
    time_limit: options.TimeLimit = None,
    retries: options.Retries = None,
    batch: options.Batch = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the jobs and stop.")] = False,
    force: options.Force = False,
    as_json: options.AsJson = False,
    offline: options.Offline = False,
) -> None:
    """Sweep backbones × smoothings × pairs × seeds through style transfer.

    Finished jobs are kept and not run again. Flags override the experiment file.

    Examples:

        stylebench sweep --arch all

        stylebench sweep --arch 'r-*' --smoothing none,softmax --content photos/ --style night.jpg

        stylebench sweep smoke --out results/try

        stylebench sweep fig1_2 --profile full --device cuda
    """
    from stylebench.sweeps.experiment import archs_of, load_sweep, naming, results_folder
    from stylebench.tracking.place import chosen

    config = load_sweep(experiment, given, profile)
    how = run_options(
        out or results_folder(config),
        engine_options(device, engine, jobs, batch,
                       address=address, time_limit=time_limit, retries=retries),
        weights, archs_of(config), offline=offline, force=force,
        tracking=chosen(tracking_uri, experiment_name, tag or []),
    )  # fmt: skip
    with naming(experiment, given, profile):
        if dry_run:
            from stylebench.cli import show

            show.jobs(config, how, as_json=as_json)
        else:
            from stylebench.sweeps.run import run

            carry_out(run, config, how, as_json)


def carry_out(
    run: Callable[..., "Summary"], config: "SweepConfig", how: "RunOptions", as_json: bool
) -> None:
    """Run a sweep, or its statistics alone, and tell how it went.

    The exit status is 1 if a job failed or left nothing, or a metric or drawing is not there.
    """
    began = time.monotonic()
    with progress.reporter(as_json=as_json) as report:
        try:
            summary = run(config, how, report)
        except KeyboardInterrupt:
            report.message(
                f"stopped: {report.kept} of {report.jobs} jobs were finished and are kept in "
                f"{how.out}; run the same command again to go on"
            )
            raise typer.Exit(130) from None
        counts = {"ok": summary.ok, "failed": summary.failed, "unavailable": summary.unavailable}
        if summary.missing:
            counts["missing"] = summary.missing
        seconds = time.monotonic() - began
        report.end({**counts, "seconds": round(seconds, 1), "out": str(how.out)})
    if summary.failed or summary.missing or summary.unjudged or summary.undrawn:
        raise typer.Exit(1)
