"""The page of several results folders: a chapter for each, within a budget of bytes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stylebench import store
from stylebench.errors import InputError
from stylebench.report import chapter, drawings, page, pictures, tables
from stylebench.report.pictures import Cell, Picture
from tests.report.html_page import Page, check_structure
from tests.results import make


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three experiments, whose one is damaged, and of what is none."""
    out = tmp_path_factory.mktemp("several") / "reference"
    out.mkdir()
    pairs = [(f"content{number}", "style") for number in range(5)]
    make(out / "fig10", ["r-vgg19"], pairs=pairs, seeds=1)
    make(out / "fig3", ["r-vgg19", "p-vgg19"], seeds=1)
    run = {"command": "x", "environment": {}, "config": {"description": "Who <moves>."}}
    (out / "fig3" / "manifest.json").write_text(json.dumps({"runs": [run]}))
    (out / "fig4").mkdir()
    (out / "fig4" / "results.parquet").write_text("no table")
    (out / "empty").mkdir()
    (out / "bench.json").write_text("{}")
    (out / "fig10" / "figures").mkdir()
    for name in ("grid", "other"):
        Image.new("RGB", (20, 20)).save(out / "fig10" / "figures" / f"{name}.png")
    return out


def test_chapters(several: Path) -> None:
    told: list[str] = []
    text = page.render(several, told.append)
    assert str(several) not in text
    shown = Page(text)
    check_structure(shown)
    chapters = shown.all("section", **{"class": "chapter"})
    assert [made.attributes["id"] for made in chapters] == ["fig3", "fig4", "fig10"]
    assert "fig4/results.parquet: expected a parquet table" in chapters[1].text
    assert told[0].startswith("fig4: fig4/results.parquet: expected")
    assert len(told) == 1
    contents = [e.text for e in shown.all("dt") if e.inside("section") and not e.inside("details")]
    assert contents == ["fig3", "fig4", "fig10"]
    assert "Who <moves>." in chapters[0].text
    assert "3 experiments" in shown.one("header").text
    assert "jobs: 18 ok" in shown.one("header").text
    assert "cannot be read: fig4" in shown.one("header").text
    assert not [e for e in shown.all("details") if "open" in e.attributes]
    for pair in json.loads(shown.one("script", id="fig3/compare-data").text):
        for arm in pair["arms"]:
            assert chapters[0] in shown.one("img", id=arm["key"]).above


@pytest.mark.slow
def test_chapters_are_shorter_than_a_page_of_their_own(
    several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "DETAILS", 9)
    shown, alone = Page(page.render(several)), Page(page.render(several / "fig10"))
    assert "The first 1 of 5 pairs; all are in fig10/images." in shown.one("main").text
    assert len([e for e in shown.all("img") if "fig10/" in e.attributes.get("id", "")]) == 4
    assert len([e for e in alone.all("img") if "id" in e.attributes]) == 5 * 4
    text = shown.one("section", id="fig10/tables").text
    assert "10 rows, which are not shown here: see fig10/results.parquet." in text
    assert not list(shown.rows("fig10/jobs"))
    assert len(list(shown.rows("fig3/jobs"))) == 8
    assert len(list(alone.rows("jobs"))) == 10
    figures_of = [
        [e.attributes["alt"] for e in p.all("img") if "Figure" in e.attributes["alt"]]
        for p in (shown, alone)
    ]
    assert [len(found) for found in figures_of] == [1, 1]
    assert figures_of[0] == ["Figure other: other"]


def test_all_damaged_is_an_error(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.parquet").write_text("no table")
    with pytest.raises(InputError, match=r"no results that can be read: .*a.results\.parquet"):
        page.render(tmp_path)


def test_a_broken_manifest_breaks_one_chapter(tmp_path: Path) -> None:
    make(tmp_path / "a", ["r-vgg19"], seeds=1)
    make(tmp_path / "b", ["r-vgg19"], seeds=1)
    run = {"command": "x", "environment": "no mapping"}
    (tmp_path / "b" / "manifest.json").write_text(json.dumps({"runs": [run]}))
    shown = Page(page.render(tmp_path))
    assert list(shown.rows("a/jobs"))
    assert (
        "no manifest that can be read: how it was made is not known"
        in shown.one("section", id="b").text
    )


def test_the_longest_tables_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def table(rows: int, key: str = "summary") -> tables.Table:
        frame = pd.DataFrame({"x": ["ten letter"] * rows})  # 40 characters a row
        return replace(tables.from_frame(frame, key, "Title", "Note."), file=f"tables/{key}.csv")

    made = {"a": [table(50), table(10)], "b": [table(20), table(61, "jobs")], "c": []}
    for budget, rows in ((3200, [50, 10, 20, 0]), (3199, [0, 10, 20, 0]), (399, [0, 0, 0, 0])):
        monkeypatch.setattr(tables, "BUDGET", budget)
        found = tables.fit(made)
        assert list(found) == ["a", "b", "c"]
        assert [len(t.rows) for name in "ab" for t in found[name]] == rows
        told = "61 rows, which are not shown here: see b/tables/jobs.csv."
        assert found["b"][1].note == f"Note. {told}"


def test_anchors_are_ids() -> None:
    names = ["fig6", "a b", "a-b", "findings", "ночь", "夜", "a/b"]
    found = page.anchors(names)
    assert found[0] == "fig6"
    assert len({*found, *page.OWN_IDS}) == len(names) + len(page.OWN_IDS)
    assert all(re.fullmatch(r"[\w.-]+", anchor, re.ASCII) for anchor in found)


def test_pictures_are_counted_as_they_are_shown(several: Path) -> None:
    for pairs in (None, 3):
        results = store.load(several / "fig10")
        made = pictures.grids(results, 96, pairs)
        shown = sum(len(row.cells) for grid in made for row in grid.rows)
        assert pictures.count(results.results, pairs) == shown


def test_figures_keep_to_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "BUDGET", 70_000)
    noise = np.random.default_rng(0).integers(0, 255, (300, 1400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    Image.new("RGB", (1400, 300), "white").save(tmp_path / "plain.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    found = drawings.read(sorted(tmp_path.glob("*.png")))
    assert {path.stem: made.width for path, made in found.items()} == {"noise": 800, "plain": 1400}
    assert sum(len(made.uri) for made in found.values()) * 3 / 4 < 70_000


@pytest.mark.parametrize(
    ("sizes", "budget", "cap"),
    [([5, 1, 5], 11, np.inf), ([5, 1, 5], 9, 4), ([9, 9, 9], 9, 3), ([], 9, np.inf)],
)
def test_largest_size_within_a_budget(sizes: list[int], budget: int, cap: float) -> None:
    assert drawings.largest(sizes, budget) == cap
    assert sum(min(size, cap) for size in sizes) <= budget


def _cell(label: str, *colour: int) -> Cell:
    picture = Picture("", 16, 16, bytes(colour) * pictures.LITTLE**2)
    return Cell(label, label, label, picture, "")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        # still, and two that changed: these, though each of them differs more from the still one
        ([(0, 0, 0), (90, 90, 90), (200, 0, 0)], ("1", "2")),
        ([(90, 90, 90), (1, 1, 1), (0, 0, 99)], ("0", "2")),
        # one alone changed: it and a still one
        ([(0, 0, 0), (1, 0, 0), (90, 90, 90)], ("1", "2")),
        # none did
        ([(0, 0, 0), (0, 0, 0)], ("0", "1")),
        ([(9, 9, 9)], ("content", "style")),
    ],
)
def test_the_comparison_begins_with_no_untouched_photograph(
    made: list[tuple[int, int, int]], expected: tuple[str, str]
) -> None:
    cells = [_cell("content", 0, 0, 0), _cell("style", 255, 255, 255)]
    cells += [Cell("x", "x", "x", None, "failed")]
    cells += [_cell(str(place), *colour) for place, colour in enumerate(made)]
    shown = [cell.label for cell in cells if cell.picture]
    assert tuple(shown[place] for place in chapter._apart(cells)) == expected
