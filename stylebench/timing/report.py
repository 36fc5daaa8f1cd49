"""The report of ``stylebench bench``: what is measured, and its comparison with an earlier one."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stylebench import runtime
from stylebench.backbones import names
from stylebench.config import JobSpec, SweepConfig
from stylebench.errors import InputError
from stylebench.images.decode import MAX_SIDE, MIN_SIDE
from stylebench.sweeps import plan
from stylebench.timing import bench

QUICK = ("vgg19", "resnet50")
TURNS, QUICK_TURNS = 9, 5
MARGIN = 0.25
"""A ratio that is worse than the reference by more than this share of it fails ``--check``."""
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
    for value in sizes:
        if not MIN_SIDE <= value <= MAX_SIDE:
            raise InputError(f"--size expects {MIN_SIDE} to {MAX_SIDE} px, found {value}")
    for value in batches:
        if value < 1:
            raise InputError(f"--batch expects a positive number, found {value}")
    for name in archs:
        if "+" in name:
            raise InputError(f"--arch {name!r}: bench measures backbones without options")
    named = [f"r-{a.removeprefix('r-').removeprefix('p-')}" for text in archs for a in _split(text)]
    wanted = named or list(config.arch if config else QUICK if quick else ("all",))
    bare = [name.partition("+")[0] for text in wanted for name in _split(text)]
    expanded = names.expand([n if n[:2] in ("r-", "p-") or n == "all" else f"r-{n}" for n in bare])
    short = dict.fromkeys(arch[2:].partition(".")[0] for arch in expanded)
    default = [config.size] if config else [512] if quick else [256, 512]
    gpu = device.startswith("cuda")
    if not gpu and device != "cpu":
        raise InputError(f"bench measures cpu and cuda, not {device}: use --device cpu")
    resolved = [runtime.resolve_precision(p, device) for p in precisions or ("auto", "fp32")]
    return Scope(
        archs=tuple(short),
        sizes=tuple(dict.fromkeys(sizes or default)),
        batches=tuple(dict.fromkeys(batches or ([1, 16] if gpu else [1]))),
        precisions=tuple(dict.fromkeys(resolved)),
        device=device,
        turns=QUICK_TURNS if quick else TURNS,
    )


def stylisations(config: SweepConfig, device: str) -> list[JobSpec]:
    """Return the stylisations of an experiment, with weights at hand or not."""
    planned = plan.expand(config, offline=True, strict=False, device=device)
    return [*planned.jobs, *planned.missing]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def run(scope: Scope, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure and return the report, as ``--json`` prints it.

    Returns:
        ``machine``, ``ceiling`` (``fp32_gflops``, ``bf16_gflops``, ``gbytes_per_s``; medians) and
        ``rows``, as `stylebench.timing.bench.Row` has them.
    """
    rows: list[bench.Row] = []
    ceilings: list[dict[str, float]] = []
    for arch in scope.archs:
        for size in scope.sizes:
            for batch in scope.batches:
                tell(f"{arch} {size} px, batch of {batch} …")
                found, ceiling = bench.rows(
                    arch, size, batch, scope.precisions, scope.device, scope.turns
                )
                rows += found
                ceilings.append(ceiling)
    return {
        "machine": bench.machine(scope.device),
        "ceiling": {key: statistics.median(c[key] for c in ceilings) for key in ceilings[0]},
        "rows": [asdict(row) for row in rows],
    }


def _ratios(row: Mapping[str, Any]) -> dict[str, float | None]:
    found = {name: row[name] for name in WORSE}
    if row["plain_peak_mb"]:
        found["peak memory / plain"] = row["peak_mb"] / row["plain_peak_mb"]
    return found


@dataclass(frozen=True)
class Reference:
    """An earlier report, read and found whole: what it was taken with, and its rows by key."""

    kind: tuple[Any, ...]
    rows: dict[tuple[Any, ...], dict[str, float | None]]


def _kind(report: Mapping[str, Any]) -> tuple[Any, ...]:
    machine = report["machine"]
    return tuple(machine["bf16_units"]), machine["device"], machine["threads"]


def read(path: Path) -> Reference:
    """Return the report in a file, which `check` compares with.

    Raises:
        InputError: it is not what ``stylebench bench --json`` prints.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return Reference(_kind(known), {_key(row): _ratios(row) for row in known["rows"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"--check {str(path)!r}: expected what `stylebench bench --json` prints: {error}"
        ) from None


def check(report: Mapping[str, Any], reference: Reference) -> list[str]:
    """Return a line for each ratio that is worse than the reference's by more than `MARGIN`.

    A row or a ratio that the reference has and the report has not is worse. Times are not compared,
    as they say more of the machine than of the code.

    Raises:
        InputError: the reference is of other units for bf16, another device or number of threads.
    """
    if _kind(report) != reference.kind:
        raise InputError(
            f"--check: the reference was taken with {reference.kind}, this machine has "
            f"{_kind(report)} (units for bf16, device, threads): ratios cannot be compared; make a "
            "reference with `stylebench bench --quick --json`"
        )
    rows = {_key(row): _ratios(row) for row in report["rows"]}
    worse = []
    for key, then in reference.rows.items():
        name = f"{key[0]} {key[1]} px, batch of {key[2]}, {key[3]}"
        for ratio, was in then.items():
            value = rows.get(key, {}).get(ratio)
            if was is None:
                continue
            if value is None:
                worse.append(f"{name}: {ratio} was {was:.2f}, now it was not measured")
            elif _is_worse(ratio, value, was):
                worse.append(f"{name}: {ratio} is {value:.2f}, was {was:.2f}")
    return worse


def _is_worse(ratio: str, value: float, was: float) -> bool:
    if WORSE.get(ratio) == "smaller":
        return value < was * (1 - MARGIN)
    return value > was * (1 + MARGIN)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("arch", "size", "batch", "precision", "device"))
