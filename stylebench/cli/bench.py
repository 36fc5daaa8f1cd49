"""The command ``stylebench bench``; like main.py, it imports nothing heavy before its use."""

import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli import bounds
from stylebench.cli.options import Device
from stylebench.cli.progress import duration, say
from stylebench.cli.show import table
from stylebench.errors import InputError

if TYPE_CHECKING:
    from stylebench.timing.bench import Report
    from stylebench.timing.race import Report as RaceReport

EVALUATIONS = 500
"""Of one stylisation, where stylisations a minute are told."""


def bench(
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch",
            help="Time these backbones, names or globs; default: vgg19 and resnet50. Repeatable.",
        ),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(
            "--size",
            help="Time pictures of this side in px; default: 512. Repeatable.",
            callback=bounds.SIDE,
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(
            "--batch", help="Time so many pictures at once. Repeatable.", callback=bounds.COUNT
        ),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            help="Time in this precision: `auto | fp32 | tf32 | bf16`; default: auto and fp32.",
        ),
    ] = None,
    device: Device = "auto",
    to_loss: Annotated[
        bool,
        typer.Option(
            "--to-loss", help="Time how long it takes to the loss and scores of the plain way."
        ),
    ] = False,
    evals: Annotated[
        int | None,
        typer.Option(
            "--evals",
            help="Evaluations of each way with `--to-loss`; default: 300.",
            callback=bounds.COUNT,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Exit 1 if ratios are worse than in FILE."),
    ] = None,
) -> None:
    """Measure closure evaluations: against the plain way, the bare network and the hardware.

    Everything is measured in this run, in turns; compare ratios, not times. How long an experiment
    takes is for `stylebench plan` to tell.

    Examples:

        stylebench bench

        stylebench bench --device cuda --arch vgg19 --size 512 --batch 1 --batch 16

        stylebench bench --to-loss --arch resnet50 --evals 100
    """
    from stylebench import runtime
    from stylebench.timing import bench, compare, race

    place = runtime.resolve_device(device)
    if to_loss:
        if batch or check:
            raise InputError("--to-loss takes one picture: expected no --batch and no --check")
        works = bench.works(arch or (), size or (), [1], precision or ["auto"], place)
        count = race.EVALUATIONS if evals is None else evals
        found = race.run(works, count, lambda text: say(text, error=True))
        _print(found, as_json, race_lines(found))
        return
    if evals is not None:
        raise InputError("--evals is of --to-loss: expected both, found --evals alone")
    works = bench.works(arch or (), size or (), batch or (), precision or (), place)
    reference = compare.reference(check, place) if check else None
    began = time.monotonic()
    report = bench.run(works, lambda text: say(text, error=True))
    say(f"measured in {duration(time.monotonic() - began)}", error=True)
    _print(report, as_json, lines(report))
    if reference is not None:
        worse = compare.worse(report, reference)
        fine = f"no ratio is worse than in {check} by more than {compare.MARGIN:.0%}"
        say(*(worse or [fine]), error=True)
        if worse:
            raise typer.Exit(1)


def _print(report: "Report | RaceReport", as_json: bool, text: list[str]) -> None:
    if as_json:
        print(json.dumps(report.model_dump(mode="json"), indent=1))
    else:
        say(*text)


def race_lines(report: "RaceReport") -> list[str]:
    """Return what `bench --to-loss` found as lines of text."""
    first = report.rows[0]
    text = [
        f"{' × '.join(report.pair)}, {first.evaluations} evaluations of each way; judges "
        f"{', '.join(report.judges)}; torch {report.machine.model_dump()['torch']}",
        "",
    ]
    cells = [["backbone", "size", "precision", "preset", "plain s", "to its loss", "evaluations",
              "times", "to its scores", "evaluations", "times"]]  # fmt: skip
    for row in report.rows:
        ends = ((row.seconds_to_loss, row.loss), (row.seconds_to_scores, row.scores))
        shown = (
            ["not reached", "–", "–"]
            if seconds is None
            else [f"{seconds:.1f} s", str(count), f"{row.times(seconds):.2f}×"]
            for seconds, count in ends
        )
        named = [row.arch, str(row.size), row.precision, row.preset]
        cells.append([*named, f"{row.plain_seconds:.1f}", *itertools.chain(*shown)])
    return text + table(cells)


def lines(report: "Report") -> list[str]:
    """Return a report as lines of text."""
    machine = report.machine.model_dump()
    units = ", ".join(machine["bf16_units"]) or "no units for bf16"
    rates = (f"{rate:.0f} {key.replace('_gflops', '')}" for key, rate in report.ceiling.items())
    text = [
        f"{machine['processor'] or machine['system']}, {machine['threads']} threads, {units}; "
        f"device {machine['device']}; torch {machine['torch']}",
        f"ceiling, GFLOP/s: {', '.join(rates)}",
        "",
    ]
    columns = {
        "s/evaluation": ("seconds", "{:.4f}"),
        "plain": ("plain_seconds", "{:.4f}"),
        "speedup": ("speedup", "{:.2f}×"),
        "/ bare": ("bare_ratio", "{:.2f}"),
        "of ceiling": ("share_of_ceiling", "{:.0%}"),
        "peak MB": ("peak_mb", "{:.0f}"),
        "plain MB": ("plain_peak_mb", "{:.0f}"),
    }
    cells = [["backbone", "size", "batch", "precision", *columns, f"per min ({EVALUATIONS} ev.)"]]
    for row in report.rows:
        values = [(getattr(row, key), form) for key, form in columns.values()]
        shown = ("–" if value is None else form.format(value) for value, form in values)
        speed = 60 * row.batch / (EVALUATIONS * row.seconds)
        cells.append(
            [row.arch, str(row.size), str(row.batch), row.precision, *shown, f"{speed:.2f}"]
        )
    return text + table(cells)
