"""docs/reliability.md shows the outcomes in results/reference/faults.json, those that were kept."""

import json
from pathlib import Path

from tests.faults import __main__ as faults

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "reference" / "faults.json"


def test_outcomes_are_those_of_scripts() -> None:
    kept = list(json.loads(KEPT.read_text(encoding="utf-8")))
    assert kept == [name for name in faults.SCRIPTS if name in kept]
    folder = ROOT / "tests" / "faults"
    for name in faults.SCRIPTS:
        assert (folder / f"{name}.py").is_file()


def test_the_document_shows_what_was_found() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    _, shown, _ = text.split("faults -->")
    assert shown.strip().splitlines()[:-1] == faults.table(KEPT)
