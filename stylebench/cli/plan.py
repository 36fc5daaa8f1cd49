"""The command ``stylebench plan``; like main.py, it imports nothing heavy before its use."""

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebench.cli import options
from stylebench.cli.flags import configured, engine_options, run_options
from stylebench.cli.progress import duration, say
from stylebench.cli.show import table

if TYPE_CHECKING:
    from stylebench.timing.forecast import Counts, Forecast

FEW = 12
"""Backbones that the text lists; the JSON has all."""


@configured()
def plan(
    *,
    experiment: options.Experiment = None,
    given: dict[str, Any],
    profile: options.Profile = None,
    out: options.Out = None,
    device: options.Device = "auto",
    weights: options.Weights = None,
    jobs: options.Jobs = None,
    batch: options.Batch = "auto",
    force: options.Force = False,
    bench: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Take times from `bench --json` and measure none."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    offline: options.Offline = False,
) -> None:
    """Tell how many jobs a sweep has, how long they take here and how much disk, before it runs.

    Times are those of finished jobs in OUT, else of a measurement of half a minute at most.

    Examples:

        stylebench plan experiments/default.yaml

        stylebench plan experiments/fig1_2.yaml --profile full --jobs 2

        stylebench plan experiments/default.yaml --from results/reference/bench.json
    """
    from stylebench.sweeps.experiment import archs_of, load_sweep, naming, results_folder

    config = load_sweep(experiment, given, profile)  # before torch is imported
    from stylebench.timing import forecast

    place, engine = out or results_folder(config), engine_options(device, None, jobs, batch)
    asked = run_options(place, engine, weights, archs_of(config), offline=offline, force=force)
    with naming(experiment, given, profile):
        found = forecast.make(config, asked, bench, functools.partial(say, error=True))
    if as_json:
        print(json.dumps(asdict(found), indent=1))
    else:
        say(*lines(found))


def _size(amount: float) -> str:
    """Return bytes as people say them: ``20 MB``, ``1.4 GB`` (1e9 bytes)."""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"


def _states(counts: "Counts") -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number) or "none"


def lines(forecast: "Forecast") -> list[str]:
    """Return a forecast as text."""
    took, disk, downloads = forecast.time, forecast.disk, forecast.downloads
    text = [
        f"{forecast.name}, into {forecast.out}",
        f"stylisations: {_states(forecast.stylisations)}",
        f"statistics: {_states(forecast.statistics)}",
    ]
    if len(forecast.backbones) <= FEW:
        text += table([(name, _states(counts)) for name, counts in forecast.backbones.items()])
    whole = sum(took.shares.values())
    if whole:
        parts = [f"{seconds / whole:.0%} {s}" for s, seconds in took.shares.items() if seconds]
        after = "judging, figures and tracking" if forecast.judged else "figures and tracking"
        text += [
            f"time: about {duration(took.seconds)} ({duration(took.least)} to "
            f"{duration(took.most)}), --jobs {forecast.workers}; {after} come on top",
            f"time from: {', '.join(parts)}",
        ]
    text.append(
        f"disk: about {_size(disk.bytes)} ({_size(disk.least)} to {_size(disk.most)}), "
        f"{_size(disk.free)} free"
    )
    if downloads:
        each = [f"p-{name[2:]} {_size(amount)}" for name, amount in downloads.items()]
        text.append(f"weights to download: {', '.join(each)}")
    if disk.most + sum(downloads.values()) > disk.free:
        text.append(f"warning: {forecast.out} may not have enough disk; use another --out")
    return text
