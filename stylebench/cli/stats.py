"""The command ``stylebench stats``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import complete
from stylebench.cli.flags import engine_options, given_flags, run_options
from stylebench.cli.options import (
    Arch,
    AsJson,
    Device,
    Force,
    Jobs,
    Limit,
    Offline,
    Resize,
    Seed,
    Size,
    Smoothing,
    Weights,
)
from stylebench.cli.sweep import carry_out


def stats(
    out: Annotated[Path, typer.Option("--out", help="Results folder.")] = Path("results/stats"),
    arch: Arch = None,
    limit: Limit = None,
    smoothing: Smoothing = None,
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content",
            help="Pictures; default: the ten built-in.",
            autocompletion=complete.photographs,
        ),
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
    from stylebench.sweeps.run import measure

    flags = given_flags(arch=arch, smoothing=smoothing, statistics_images=content, size=size,
                        seed=seed, limit=limit, resize=resize)  # fmt: skip
    config = load_sweep(None, {"name": "stats", **flags})
    options = run_options(
        out, engine_options(device, None, jobs), weights, offline=offline, force=force
    )
    carry_out(measure, config, options, as_json)
