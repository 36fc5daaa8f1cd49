"""Reports of ``stylebench bench``: read from files, and compared with that of earlier code."""

from pathlib import Path

from stylebench import named
from stylebench.errors import InputError
from stylebench.timing.bench import Machine, Report, machine

RATIOS = {"speedup": 1, "bare_ratio": -1, "share_of_ceiling": 1, "memory_ratio": -1}
"""What ``--check`` compares; of those with -1 more is worse."""
MAX_BYTES = 10_000_000
"""Of a report; those of --arch all have a hundred thousand."""
MARGIN = 0.25
"""A ratio that is worse than the reference by more than this share of it fails ``--check``."""


def read(path: Path, flag: str) -> Report:
    """Return the report in a file that a flag names.

    Raises:
        InputError: it is not what ``stylebench bench --json`` prints.
    """
    try:
        return Report.model_validate_json(named.read(path, "a report", MAX_BYTES))
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{flag} {str(path)!r}: expected what `stylebench bench --json` prints: {reason}"
        ) from None


def reference(path: Path, device: str) -> Report:
    """Return the report in a file that this machine can be compared with.

    Raises:
        InputError: it is none, or of other units for bf16, another device or number of threads.
    """
    found = read(path, "--check")
    then, here = (m.model_dump(include=set(Machine.model_fields)) for m in
                  (found.machine, machine(device)))  # fmt: skip
    if then != here:
        raise InputError(
            f"--check: the reference was taken with {then}, this machine has {here}: ratios cannot "
            "be compared; make a reference with `stylebench bench --json`"
        )
    return found


def worse(report: Report, then: Report) -> list[str]:
    """Return a line for each ratio that is worse than it was then, by more than `MARGIN`.

    A row or a ratio that was there then and is not now is worse. Times are not compared, as they
    say more of the machine than of the code.
    """
    now = {row.title: row for row in report.rows}
    found = []
    for row in then.rows:
        for ratio, sign in RATIOS.items():
            was, value = getattr(row, ratio), getattr(now.get(row.title), ratio, None)
            if was is None:
                continue
            today = "it was not measured" if value is None else f"{value:.2f}"
            if value is None or sign * (value - was) < -MARGIN * was:
                name = ratio.replace("_", " ")
                found.append(f"{row.title}: {name} was {was:.2f}, now {today}")
    return found
