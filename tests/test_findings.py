"""docs/findings.md: its numbers are those of the results, its verdicts keep their rule."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import findings

TEXT = findings.PAGE.read_text(encoding="utf-8")
BARE = re.sub(r"<!--.*?-->", "", TEXT, flags=re.DOTALL)
NUMBER = r"([+−]?\d+(?:\.\d+)?)"
INTERVAL = re.compile(rf"{NUMBER}\s+\[{NUMBER}, {NUMBER}\]")
LINK = re.compile(r"results/reference/(\w[\w.-]*)/")
OVERVIEW = re.compile(
    r"^\| \[(?P<title>.*?)\]\(#(?P<anchor>.*?)\).*? \| (?P<verdict>.*) \| (?P<size>.*) \|$",
    re.MULTILINE,
)
CLAIM = re.compile(r"^### (?P<title>.*)\n\n(?P<verdict>(?:.+\n)+)", re.MULTILINE)


def intervals(folder: Path) -> np.ndarray:
    """Return estimates with their bounds, of all tables of an experiment, and turned round."""
    found = []
    for path in (folder / "tables").glob("*.csv"):
        table = pd.read_csv(path)
        for name in {"difference", "rho", "mean", "ratio"} & {*table.columns}:
            bounds = table[[name, "low", "high"]].apply(pd.to_numeric, errors="coerce")
            found.append(bounds.dropna().to_numpy())
    rows = np.concatenate(found)
    return np.concatenate([rows, -rows[:, [0, 2, 1]]])


def test_the_tables_are_those_of_the_results() -> None:
    assert len(findings.BLOCK.findall(TEXT)) > 40
    assert findings.filled(TEXT) == TEXT, "run make findings"


SENTENCES = [
    part
    for part in re.split(r"\n\n|\n(?=- )", BARE)
    if INTERVAL.search(part) and not part.lstrip().startswith("|")
]


@pytest.mark.parametrize("part", SENTENCES)
def test_an_interval_in_a_sentence_is_of_a_table_that_it_links(part: str) -> None:
    known = np.concatenate([intervals(findings.REFERENCE / name) for name in LINK.findall(part)])
    for found in INTERVAL.finditer(part):
        told = np.array([float(each.replace("−", "-")) for each in found.groups()])
        step = 10.0 ** -len(found[1].partition(".")[2])
        assert (np.abs(known - told) <= 0.5001 * step).all(axis=1).any(), found[0]


def test_every_claim_is_in_the_overview_with_its_verdict() -> None:
    overview = {found["title"]: found for found in OVERVIEW.finditer(TEXT)}
    claims = {found["title"]: found["verdict"] for found in CLAIM.finditer(TEXT)}
    assert list(overview) == list(claims)
    for title, found in overview.items():
        anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        assert found["anchor"] == anchor
        told = claims[title].replace("\n", " ").lower().replace("**", "")
        short = found["verdict"].replace("**", "")
        assert told.startswith(re.split(r"[^\w ]| with | for ", short)[0]), title
        for word in re.findall(r"\*\*(.*?)\*\*", found["verdict"]):
            assert word in told, (title, word)
        for leaning in re.findall(r"leans (?:in favour|against|to \w+)", short):
            assert leaning in told, (title, leaning)


@pytest.mark.parametrize("found", [*OVERVIEW.finditer(TEXT)], ids=lambda found: found["anchor"])
def test_a_verdict_on_less_than_the_rule_is_too_small_to_tell(found: re.Match[str]) -> None:
    pairs = [int(count) for count in re.findall(r"256 px, (\d+)", found["size"])]
    if max(pairs, default=0) < 8 and "photographs" not in found["size"]:
        assert "too small to tell" in found["verdict"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"measures": "[colour]"}, "found 0"), ({"measures": "[colour_share, nothing]"}, "found 0"),
     ({"at": "0.95"}, "found 0"), ({"at": None}, "found 5"), ({"measures": "[]"}, "no values")],
)  # fmt: skip
def test_what_no_row_or_more_than_one_has_is_an_error(
    change: dict[str, str | None], said: str
) -> None:
    arms = '["p-resnet50, preset robust − p-vgg19, preset robust"]'
    asked = {"of": "frontier/tables/frontier.csv", "arms": arms, "at": "common",
             "measures": "[colour_share]"}  # fmt: skip

    def comment(keys: Mapping[str, str | None]) -> str:
        return "\n".join(f"{key}: {value}" for key, value in keys.items() if value)

    assert findings.table(comment(asked)).count("\n") == 3
    with pytest.raises(ValueError, match=said):
        findings.table(comment({**asked, **change}))


def test_arms_that_a_table_has_the_other_way_are_turned() -> None:
    asked = "of: fig1_2/tables/fig1_2.csv\nmeasures: [colour_share]\narms: ['{}']\n"
    one, other = "r-vgg19, none", "r-resnet50, none"
    there = findings.table(asked.format(f"{one} − {other}")).splitlines()[-1].split(" | ")
    back = findings.table(asked.format(f"{other} − {one}")).splitlines()[-1].split(" | ")
    assert there[2:4] == back[2:4][::-1]
    assert there[5:] == back[5:]
    numbers = [[float(n.replace("−", "-")) for n in re.findall(r"[−]?[\d.]+", row[4])]
               for row in (there, back)]  # fmt: skip
    assert numbers[1] == [-numbers[0][0], -numbers[0][2], -numbers[0][1]]
