"""docs/reliability.md shows the outcomes in results/reference/faults.json, all of them."""

import json
from pathlib import Path

from tests.faults import __main__ as faults

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "reference" / "faults.json"


def test_every_script_has_its_outcome() -> None:
    assert list(json.loads(KEPT.read_text(encoding="utf-8"))) == list(faults.SCRIPTS)
    folder = ROOT / "tests" / "faults"
    for name in faults.SCRIPTS:
        assert (folder / f"{name}.py").is_file()


def test_the_document_shows_what_was_found() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    _, shown, _ = text.split("faults -->")
    assert shown.strip().splitlines()[:-1] == faults.table(KEPT)
