"""The map in CONTRIBUTING.md against the package."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_map_has_every_module_and_no_other() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"```\n(cli/.*?)\n(named .*?)\n```", text, re.DOTALL)
    assert found is not None
    lines = re.sub(r"\n\s+", " ", found[1]).splitlines()
    told = {}
    for line in lines:
        package, names = line.split("/", 1)
        names = re.sub(r"\([^)]*\)|[^,;:]*:", "", names)  # remarks, and titles of groups
        told[package] = {name.strip() for name in re.split("[,;]", names)}
    here = ROOT / "stylebench"
    files = {p: [*(here / p).iterdir()] for p in told}
    there = {
        package: {f.stem for f in each if f.suffix == ".py" and f.stem != "__init__"}
        | {f"{f.name}/" for f in each if f.is_dir() and f.name != "__pycache__"}
        for package, each in files.items()
    }
    assert told == there
    assert {f.name for f in here.iterdir() if f.is_dir() and f.name != "__pycache__"} == set(told)
    root = {f.stem for f in here.glob("*.py") if not f.stem.startswith("__")}
    assert {re.sub(r" \([^)]*\)", "", name) for name in found[2].split(", ")} == root
