"""All fault scripts one after another: about 40 minutes on two cores.

python -m tests.faults                          all
python -m tests.faults kill_workers disk_full   some
python -m tests.faults --json FILE              write the outcomes there; those of others stay
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stylebench import runtime

SCRIPTS = (
    "kill_parent", "kill_workers", "ray_node", "disk_full", "mlflow_down", "two_sweeps", "bad_jobs",
    "fuzz", "names", "many_jobs", "two_workers", "kill_renames", "stranger",
)  # fmt: skip


def run(name: str) -> list[dict[str, Any]]:
    """Run one script and return its outcomes, or one that says that it broke."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "outcome.json"
        command = [sys.executable, "-m", f"tests.faults.{name}", "--json", str(place)]
        ended = subprocess.run(command, check=False)
        if place.exists():
            found: list[dict[str, Any]] = json.loads(place.read_text())
            return found
    text = f"the script ended with {ended.returncode}"
    return [{"fault": name, "bar": "an outcome", "found": text, "met": False}]


def add(place: Path, name: str, outcomes: list[dict[str, Any]]) -> None:
    """Put the outcomes of a script into a file, in place of its earlier ones."""
    known = json.loads(place.read_text()) if place.exists() else {}
    made = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "environment": dict(runtime.environment()),
    }
    known[name] = {**made, "outcomes": outcomes}
    ordered = {key: known[key] for key in SCRIPTS if key in known}
    place.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


def table(place: Path) -> list[str]:
    """Return the outcomes in a file as a table in Markdown."""
    rows = ["| fault | bar | found | met |", "| --- | --- | --- | --- |"]
    for script in json.loads(place.read_text()).values():
        for each in script["outcomes"]:
            cells = [each["fault"], each["bar"], each["found"], "yes" if each["met"] else "**no**"]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def main() -> int:
    """Run scripts; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=", ".join(SCRIPTS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    unknown = set(asked.scripts) - set(SCRIPTS)
    if unknown:
        parser.error(f"unknown script {min(unknown)!r} (known: {', '.join(SCRIPTS)})")
    met = True
    for name in asked.scripts or SCRIPTS:
        outcomes = run(name)
        met = met and all(each["met"] for each in outcomes)
        if asked.json:
            add(asked.json, name, outcomes)
    if asked.json:
        print("\n".join(table(asked.json)))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
