"""The command ``stylebench plan``; like main.py, it imports nothing heavy before its use."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli.flags import engine_options, given_flags, results_folder, run_options
from stylebench.cli.options import (
    Arch,
    Batch,
    Content,
    Device,
    Evals,
    Force,
    Jobs,
    Limit,
    Offline,
    Precision,
    Preset,
    Profile,
    Resize,
    Seed,
    Size,
    Smoothing,
    Style,
    Weights,
)


def plan(
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
    jobs: Jobs = None,
    batch: Batch = "auto",
    force: Force = False,
    bench: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Times of `bench --json`; none are measured."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    offline: Offline = False,
) -> None:
    """Tell how many jobs a sweep has, how long they take here and how much disk, before it runs.

    Times are those of finished jobs in OUT, else of a measurement of half a minute at most.

    Examples:

        stylebench plan experiments/default.yaml

        stylebench plan experiments/fig1_2.yaml --profile full --jobs 2

        stylebench plan experiments/default.yaml --from results/reference/bench.json
    """
    from stylebench.sweeps.experiment import load_sweep
    from stylebench.timing import forecast

    given = given_flags(arch=arch, smoothing=smoothing, content=content, style=style, size=size,
                  evals=evals, seed=seed, preset=preset, precision=precision,
                  limit=limit, resize=resize)  # fmt: skip
    config = load_sweep(experiment, given, profile)
    asked = run_options(
        out or results_folder(config),
        engine_options(device, None, jobs, batch),
        weights,
        offline=offline,
        force=force,
    )
    found = forecast.make(
        config, asked, bench, lambda text: print(text, file=sys.stderr, flush=True)
    )
    if as_json:
        print(json.dumps(forecast.as_json(found), indent=1))
    else:
        print("\n".join(forecast.lines(found)))
