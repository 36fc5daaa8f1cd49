"""What every fault script says in the end, and its command line."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """One fault: what was done, the bar, what was found, and whether that meets the bar."""

    fault: str
    bar: str
    found: str
    met: bool


def tell(outcomes: list[Outcome], place: Path | None) -> int:
    """Print outcomes, write them as JSON if asked for, and return the exit status."""
    for outcome in outcomes:
        print(f"{'met' if outcome.met else 'NOT MET'}: {outcome.fault}: {outcome.found}")
        print(f"    bar: {outcome.bar}", flush=True)
    if place:
        place.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    return int(not all(outcome.met for outcome in outcomes))


def main(measure: Callable[[int], list[Outcome]], times: int, about: str) -> None:
    """Run one fault script: ``--times`` how often the fault is made, ``--json`` the outcome."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--times", type=int, default=times, help=f"default: {times}")
    parser.add_argument("--json", type=Path, help="write the outcome there too")
    asked = parser.parse_args()
    sys.exit(tell(measure(asked.times), asked.json))
