"""The command ``stylebench bench``; like main.py, it imports nothing heavy before its use."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stylebench.cli.progress import duration

EVALUATIONS = 500
"""Of one stylisation, where stylisations a minute are told."""


def bench(
    experiment: Annotated[
        Path | None, typer.Argument(help="A YAML file: its backbones, size and precisions.")
    ] = None,
    arch: Annotated[
        list[str] | None, typer.Option("--arch", help="Backbones, names or globs. Repeatable.")
    ] = None,
    size: Annotated[
        list[int] | None, typer.Option("--size", help="Sides of the pictures in px. Repeatable.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option("--batch", help="Pictures at once. Repeatable.")
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option("--precision", help="`auto | fp32 | tf32 | bf16`; default: auto and fp32."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="`auto | cpu | cuda | cuda:N`")] = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="vgg19 and resnet50 at 512 px, fewer turns.")
    ] = False,
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

        stylebench bench --quick

        stylebench bench experiments/default.yaml

        stylebench bench --device cuda --arch vgg19 --size 512 --batch 1 --batch 16
    """
    from stylebench import runtime
    from stylebench.sweeps.experiment import load_sweep
    from stylebench.timing import report

    config = load_sweep(experiment, {}) if experiment else None
    place = runtime.resolve_device(device)
    reference = report.read(check) if check is not None else None
    jobs = report.stylisations(config, place) if config else []
    scope = report.scope(
        config, archs=arch or [], sizes=size or [], batches=batch or [],
        precisions=precision or [job.precision for job in jobs], device=place, quick=quick,
    )  # fmt: skip
    began = time.monotonic()
    found = report.run(scope, lambda text: print(text, file=sys.stderr, flush=True))
    print(f"measured in {duration(time.monotonic() - began)}", file=sys.stderr)
    print(json.dumps(found, indent=1) if as_json else "\n".join(lines(found)))
    if reference is not None:
        worse = report.check(found, reference)
        fine = f"no ratio is worse than in {check} by more than {report.MARGIN:.0%}"
        print("\n".join(worse or [fine]), file=sys.stderr)
        if worse:
            raise typer.Exit(1)


def _cell(value: float | None, digits: str = ".2f", unit: str = "") -> str:
    return "–" if value is None else f"{value:{digits}}{unit}"


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return a report as lines of text."""
    from stylebench.cli.show import table

    machine, ceiling = found["machine"], found["ceiling"]
    units = ", ".join(machine["bf16_units"]) or "no units for bf16"
    text = [
        f"{machine['processor'] or machine['system']}, {machine['threads']} threads, {units}; "
        f"device {machine['device']}; torch {machine['torch']}",
        f"ceiling: {ceiling['fp32_gflops']:.0f} GFLOP/s in fp32, {ceiling['bf16_gflops']:.0f} in "
        f"bf16, {ceiling['gbytes_per_s']:.1f} GB/s",
        "",
    ]
    head = (
        "backbone", "size", "batch", "precision", "s/evaluation", "plain", "speedup",
        "/ bare", "of ceiling", "peak MB", "plain MB", f"per min ({EVALUATIONS} ev.)",
    )  # fmt: skip
    body = [
        (
            row["arch"],
            str(row["size"]),
            str(row["batch"]),
            row["precision"],
            _cell(row["seconds"], ".4f"),
            _cell(row["plain_seconds"], ".4f"),
            _cell(row["speedup"], ".2f", "×"),
            _cell(row["bare_ratio"]),
            _cell(row["share_of_ceiling"], ".0%"),
            _cell(row["peak_mb"], ".0f"),
            _cell(row["plain_peak_mb"], ".0f"),
            _cell(60 * row["batch"] / (EVALUATIONS * row["seconds"])),
        )
        for row in found["rows"]
    ]
    return text + table([head, *body])
