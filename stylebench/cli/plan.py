"""The command ``stylebench plan``; like main.py, it imports nothing heavy before its use."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli.flags import engine_options, given_flags, run_options
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
from stylebench.cli.progress import duration
from stylebench.cli.show import table

if TYPE_CHECKING:
    from stylebench.timing.forecast import Counts, Forecast

FEW = 12
"""Backbones that the text lists; the JSON has all."""


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
    from stylebench.sweeps.experiment import load_sweep, results_folder
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
        print("\n".join(lines(found)))


def _size(amount: float) -> str:
    """Return bytes as people say them: ``20 MB``, ``1.4 GB`` (1e9 bytes)."""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"


def _states(counts: "Counts") -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number) or "none"


def _table(title: str, groups: Mapping[str, "Counts"], last: Mapping[str, str]) -> list[str]:
    from stylebench.timing.forecast import STATES

    shown = [s for s in STATES if any(counts[s] for counts in groups.values())]
    rows = [(title, *shown, *(["time from"] if last else []))]
    rows += [
        (name, *(str(counts[s]) for s in shown), *([last.get(name, "")] if last else []))
        for name, counts in groups.items()
    ]
    return table(rows)


def lines(forecast: "Forecast") -> list[str]:
    """Return a forecast as text."""
    rates = {name: ", ".join(sources) for name, sources in forecast.rates.items()}
    few = len(forecast.backbones) <= FEW
    text = [
        f"{forecast.name}, into {forecast.out}",
        f"stylisations: {_states(forecast.stylisations)}",
        f"statistics: {_states(forecast.statistics)}",
        *(_table("backbone", forecast.backbones, rates) if few else []),
        *(_table("variant", forecast.variants, {}) if forecast.variants else []),
    ]
    return [*text, *_costs(forecast)]


def _costs(forecast: "Forecast") -> list[str]:
    took, disk, text = forecast.time, forecast.disk, []
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
    if forecast.downloads:
        each = [f"p-{n[2:]} {_size(amount)}" for n, amount in forecast.downloads.items()]
        text.append(f"weights to download: {', '.join(each)}")
    if disk.most + sum(forecast.downloads.values()) > disk.free:
        text.append(f"warning: {forecast.out} may not have enough disk; use another --out")
    return text
