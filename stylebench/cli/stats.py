"""The command ``stylebench stats``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stylebench.cli import complete, options
from stylebench.cli.flags import configured, engine_options, run_options
from stylebench.cli.sweep import carry_out


@configured(
    "system",
    "content",
    "style",
    "statistics_images",
    "no_statistics",
    "evals",
    "preset",
    "precision",
)
def stats(
    *,
    out: Annotated[Path, typer.Option("--out", help="Write into this results folder.")] = Path(
        "results/stats"
    ),
    given: dict[str, Any],
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content",
            help="Measure on these pictures; default: the ten built-in.",
            autocompletion=complete.photographs,
        ),
    ] = None,
    device: options.Device = "auto",
    weights: options.Weights = None,
    jobs: options.Jobs = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
    offline: options.Offline = False,
) -> None:
    """Measure statistics of feature maps, without any stylisation, into OUT/stats.parquet.

    Examples:

        stylebench stats --arch all --out results/stats

        stylebench stats --arch r-resnet50,r-noresnet50 --content photos/ --seed 0,1
    """
    from stylebench.sweeps.experiment import load_sweep

    config = load_sweep(None, {"name": "stats", **given, "statistics_images": content or None})
    from stylebench.sweeps.run import measure

    how = run_options(
        out, engine_options(device, None, jobs), weights, config.arch, offline=offline, force=force
    )
    carry_out(measure, config, how, as_json)
