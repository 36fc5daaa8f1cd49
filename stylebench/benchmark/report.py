"""What ``stylebench bench`` measures and prints, and the comparison with a reference."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stylebench import listing, plan, runtime
from stylebench.backbones import zoo
from stylebench.benchmark import measure
from stylebench.config import SweepConfig
from stylebench.errors import InputError
from stylebench.progress import duration

QUICK = ("vgg19", "resnet50")
TURNS, QUICK_TURNS = 9, 5
MARGIN = 0.25
"""A ratio that is worse than the reference by more than this share of it fails ``--check``."""
EVALUATIONS = 500
"""Of one stylisation, where stylisations a minute are told."""
WORSE = {"speedup": "smaller", "bare_ratio": "larger", "share_of_ceiling": "smaller"}
"""The ratios that are compared, and which way is worse; peak memory too, against the plain way."""


@dataclass(frozen=True)
class Scope:
    """What to measure: every backbone at every size, in every batch and precision.

    Backbones are named without r- or p-; `turns` is how many times each is timed.
    """

    archs: tuple[str, ...]
    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    device: str
    turns: int


def scope(
    config: SweepConfig | None,
    *,
    archs: Sequence[str],
    sizes: Sequence[int],
    batches: Sequence[int],
    precisions: Sequence[str],
    device: str,
    quick: bool,
) -> Scope:
    """Return what flags and an experiment ask for; what neither says has a default.

    Raises:
        InputError: an unknown backbone, a size or batch that is no positive number.
    """
    for name, values in (("--size", sizes), ("--batch", batches)):
        for value in values:
            if value < 1:
                raise InputError(f"{name} expects a positive number, found {value}")
    named = [f"r-{a.removeprefix('r-').removeprefix('p-')}" for text in archs for a in _split(text)]
    wanted = named or list(config.arch if config else QUICK if quick else ("all",))
    bare = [name.partition("+")[0] for text in wanted for name in _split(text)]
    expanded = zoo.expand([n if n[:2] in ("r-", "p-") or n == "all" else f"r-{n}" for n in bare])
    short = dict.fromkeys(arch[2:].partition(".")[0] for arch in expanded)
    default = [config.size] if config else [512] if quick else [256, 512]
    gpu = device.startswith("cuda")
    resolved = [runtime.resolve_precision(p, device) for p in precisions or ("auto", "fp32")]
    return Scope(
        archs=tuple(short),
        sizes=tuple(sizes or default),
        batches=tuple(batches or ([1, 16] if gpu else [1])),
        precisions=tuple(dict.fromkeys(resolved)),
        device=device,
        turns=QUICK_TURNS if quick else TURNS,
    )


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def run(scope: Scope, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure and return the report, as ``--json`` prints it.

    Returns:
        ``machine``, ``ceiling`` (``fp32_gflops``, ``bf16_gflops``, ``gbytes_per_s``; medians) and
        ``rows``, as `stylebench.benchmark.measure.Row` has them.
    """
    rows: list[measure.Row] = []
    ceilings: list[dict[str, float]] = []
    began = time.monotonic()
    for arch in scope.archs:
        for size in scope.sizes:
            for batch in scope.batches:
                tell(f"{arch} {size} px, batch of {batch} …")
                found, ceiling = measure.rows(
                    arch, size, batch, scope.precisions, scope.device, scope.turns
                )
                rows += found
                ceilings.append(ceiling)
    tell(f"measured in {duration(time.monotonic() - began)}")
    return {
        "machine": measure.machine(scope.device),
        "ceiling": {key: statistics.median(c[key] for c in ceilings) for key in ceilings[0]},
        "rows": [asdict(row) for row in rows],
    }


def _cell(value: float | None, digits: str = ".2f", unit: str = "") -> str:
    return "–" if value is None else f"{value:{digits}}{unit}"


def table(report: Mapping[str, Any]) -> list[str]:
    """Return the report as lines of text."""
    machine, ceiling = report["machine"], report["ceiling"]
    units = ", ".join(machine["bf16_units"]) or "no units for bf16"
    lines = [
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
        for row in report["rows"]
    ]
    return lines + listing.table([head, *body])


def estimate(config: SweepConfig, report: Mapping[str, Any], device: str) -> str:
    """Return a line on how long the stylisations of an experiment take, by the times measured.

    Statistics, figures and tracking are not in it.
    """
    planned = plan.expand(config, offline=True, strict=False, device=device)
    seconds = {
        (row["arch"], row["precision"]): row["seconds"] / row["batch"] for row in report["rows"]
    }
    jobs = [*planned.jobs, *planned.missing]
    total = sum(job.evals * seconds[job.arch[2:].partition(".")[0], job.precision] for job in jobs)
    evaluations = sum(job.evals for job in jobs)
    return (
        f"{config.name}: {len(jobs)} stylisations, {evaluations} evaluations at {config.size} px, "
        f"about {duration(total)}"
    )


def _ratios(row: Mapping[str, Any]) -> dict[str, float | None]:
    found = {name: row[name] for name in WORSE}
    if row["plain_peak_mb"]:
        found["peak memory / plain"] = row["peak_mb"] / row["plain_peak_mb"]
    return found


def check(report: Mapping[str, Any], reference: Path) -> list[str]:
    """Return a line for each ratio that is worse than the reference's by more than `MARGIN`.

    Times are not compared, as they say more of the machine than of the code.

    Raises:
        InputError: no reference, or one of another kind of processor.
    """
    try:
        known = json.loads(reference.read_text(encoding="utf-8"))
        kinds = [(r["machine"]["bf16_units"], r["machine"]["device"]) for r in (report, known)]
        before = {_key(row): row for row in known["rows"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"--check {str(reference)!r}: expected what `stylebench bench --json` prints: {error}"
        ) from None
    if kinds[0] != kinds[1]:
        raise InputError(
            f"--check {str(reference)!r} was taken with {kinds[1]}, this machine has {kinds[0]}: "
            "ratios cannot be compared; make a reference with `stylebench bench --quick --json`"
        )
    pairs = [(row, before[_key(row)]) for row in report["rows"] if _key(row) in before]
    if not pairs:
        raise InputError(f"--check {str(reference)!r} has none of the rows that were measured")
    worse = []
    for row, old in pairs:
        now, then = _ratios(row), _ratios(old)
        for name, value in now.items():
            was = then.get(name)
            if value is None or was is None:
                continue
            smaller = WORSE.get(name) == "smaller"
            bad = value < was * (1 - MARGIN) if smaller else value > was * (1 + MARGIN)
            if bad:
                worse.append(
                    f"{row['arch']} {row['size']} px {row['precision']}: {name} is {value:.2f}, "
                    f"was {was:.2f}"
                )
    return worse


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("arch", "size", "batch", "precision", "device"))
