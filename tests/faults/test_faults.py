"""docs/reliability.md shows the outcomes in results/reference/faults.json, all of them."""

import json
from pathlib import Path

from tests.faults import __main__ as faults

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "reference" / "faults.json"


def test_every_script_has_its_outcome_or_is_said_to_have_none() -> None:
    kept = list(json.loads(KEPT.read_text(encoding="utf-8")))
    assert kept == [name for name in faults.SCRIPTS if name in kept]
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    _, _, after = text.partition("Without an outcome yet: ")
    told = after.partition(".")[0].replace("`", "").split(", ") if after else []
    assert told == [name for name in faults.SCRIPTS if name not in kept]
    folder = ROOT / "tests" / "faults"
    for name in faults.SCRIPTS:
        assert (folder / f"{name}.py").is_file()


def test_the_document_shows_what_was_found() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    _, shown, _ = text.split("faults -->")
    assert shown.strip().splitlines()[:-1] == faults.table(KEPT)
