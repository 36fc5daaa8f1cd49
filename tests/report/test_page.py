"""The page of a results folder: what is in it, escaped and embedded."""

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stylebench import figures
from stylebench.figures import NoDataError, load
from stylebench.figures.arms import judged
from stylebench.report import findings, opening, page, pictures, tables
from stylebench.store import Results
from tests.report.html_page import Page, check_structure
from tests.results import TABLE_NAMES, gone_wrong, make, scored

ODD = ("<script>alert(1)</script>", '"it\'s" & </script><!--', "ночь 夜 {{ 7 * 191 }}")


@pytest.fixture(scope="module")
def shown(made: Results) -> Page:
    return Page(page.render(made.folder))


def labels(shown: Page) -> list[str]:
    """Return what the comparison can show, as a JSON reader reads it."""
    pairs = json.loads(shown.one("script", id="compare-data").text)
    return [arm["label"] for pair in pairs for arm in pair["arms"]]


def test_structure(shown: Page) -> None:
    check_structure(shown)


def test_nothing_is_loaded_from_elsewhere(made: Results, shown: Page) -> None:
    for element in shown.elements:
        for key, value in element.attributes.items():
            if key in ("src", "srcset", "data", "action", "poster", "xlink:href"):
                assert value.startswith("data:image/")
            if key == "href" and element.tag != "a":
                assert value == "data:,"
    assert "url(" not in shown.one("style").text
    assert "@import" not in shown.one("style").text
    assert str(made.folder.parent) not in page.render(made.folder)


def test_policy_allows_the_script_and_the_style_alone(shown: Page) -> None:
    policy = shown.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    script = next(e for e in shown.all("script") if "type" not in e.attributes)
    for element in (script, shown.one("style")):
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{element.tag}-src 'sha256-{digest}'" in policy


def test_names_are_text(tmp_path: Path) -> None:
    make(tmp_path / "<b>&amp;'", [f"r-{ODD[0]}", f"p-{ODD[1]}"], [ODD[2]], [(ODD[0], ODD[1])], 1)
    shown = Page(page.render(tmp_path / "<b>&amp;'"))
    assert shown.all("title")[0].text == "stylebench: <b>&amp;'"
    assert len(shown.all("script")) == 2
    assert not shown.all("b")
    assert f"p-{ODD[1]}, {ODD[2]}" in labels(shown)
    alts = [image.attributes["alt"] for image in shown.all("img") if "id" in image.attributes]
    assert f"content: {ODD[0]}" in alts
    assert any(alt.endswith(f"by r-{ODD[0]}, smoothing {ODD[2]}") for alt in alts)
    assert {ODD[1]} <= {cell.text for row in shown.rows("jobs") for cell in row}
    assert "1337" not in shown.one("main").text.split()


def test_what_the_manifest_and_the_jobs_say_is_text(tmp_path: Path) -> None:
    evil = "</script></style><img src=x onerror=alert(1)><b>'\"{{ 7 * 191 }}{% raw %}"

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[0, ["status", "picture", "error"]] = ["failed", "", evil]
        frame.loc[1, ["flags", "weights", "preset"]] = [evil.replace(" ", ""), evil, evil]
        return frame.assign(device=evil, stop_reason=evil)

    make(tmp_path / "out", ["r-vgg19"], seeds=1, change=change)
    run = {
        "command": evil,
        "began": evil,
        "device": evil,
        "environment": {evil: evil},
        "config": {"description": evil, "name": evil},
        "weights": [{"arch": evil, "source": evil, "sha256": evil}],
    }
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({"runs": [run]}))
    for folder in (tmp_path / "out", tmp_path):  # the whole page, and a chapter
        shown = Page(page.render(folder))
        check_structure(shown)
        assert not shown.all("b")
        assert {image.attributes["src"][:11] for image in shown.all("img") if "src" in
                image.attributes} == {"data:image/"}  # fmt: skip
        assert len(shown.all("script")) == 2
        assert len(shown.all("style")) == 1
        assert evil in shown.one("main").text
        assert "1337" not in shown.one("main").text


def test_grid_and_comparison(made: Results, shown: Page) -> None:
    images = {e.attributes["id"]: e for e in shown.all("img") if "id" in e.attributes}
    assert len(images) == 2 * (2 + 3 * 2)
    pairs = json.loads(shown.one("script", id="compare-data").text)
    assert [pair["label"] for pair in pairs] == ["cat × mosaic", "house × brush"]
    assert {arm["key"] for pair in pairs for arm in pair["arms"]} == set(images)
    (job,) = made.results.query(
        "arch == 'p-vgg19' and smoothing == 'softmax' and content == 'house'"
    ).to_dict("records")
    arm = next(a for a in pairs[1]["arms"] if a["label"] == "p-vgg19, softmax")
    data = base64.b64decode(images[arm["key"]].attributes["src"].partition(",")[2])
    embedded = pictures.embed(job["picture"], made.folder, 512)
    assert embedded is not None
    assert data == base64.b64decode(embedded.uri.partition(",")[2])
    tags = [e.text for e in shown.all("span") if "tag" in e.attributes.get("class", "")]
    assert tags.count("random weights") == 2
    assert "file:w.safetensors" in tags
    assert "quick results" in shown.one("h1").text


def test_jobs_that_show_no_picture_say_why(tmp_path: Path) -> None:
    made = make(tmp_path, seeds=1, change=gone_wrong)
    (tmp_path / made.results["picture"][0]).write_bytes(b"no JPEG")
    shown = Page(page.render(tmp_path))
    absent = [
        " ".join(e.text.split()) for e in shown.all("p") if e.attributes.get("class") == "absent"
    ]
    assert "failed: RuntimeError: <x>" in absent
    assert "not run" in absent
    assert "no picture did not move" in absent
    assert sum(text.startswith("unavailable") for text in absent) == 4
    text = shown.one("section", id="grid").text
    assert "diverged" in text
    assert any("failed" in fact.text for fact in shown.all("li"))


def test_settings_are_not_mixed(tmp_path: Path) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        other = frame.assign(style_weight=1.0, job_id=frame["job_id"].str.replace("0", "f"))
        return pd.concat([frame, other], ignore_index=True)

    made = make(tmp_path, ["r-vgg19"], ["none"], [("cat", "mosaic")], 1, change)
    shown = Page(page.render(made.folder))
    titles = [e.text for e in shown.all("h3") if e.above[-1].attributes.get("id") == "grid"]
    assert titles == ["style weight 10.0", "style weight 1.0"]
    assert len(shown.all("table", **{"class": "grid"})) == 2


def test_statistics_by_layer_are_means(made: Results, shown: Page) -> None:
    statistics = made.statistics
    part = statistics[
        (statistics["arch"] == "r-resnet50")
        & (statistics["smoothing"] == "softmax")
        & (statistics["stage"] == 3)
        & (statistics["statistic"] == "gram_entropy")
    ]["value"].to_numpy()
    (row,) = (
        cells
        for cells in shown.rows("layers")
        if [cell.text for cell in cells[:4]] == ["r-resnet50", "softmax", "3", "stage3"]
    )
    value, spread = np.mean(part), np.std(part, ddof=1)
    assert float(row[7].attributes["data-value"]) == pytest.approx(value, rel=1e-12)
    assert row[7].text == f"{value:.4g} ± {spread:.2g}"
    assert len(list(shown.rows("layers"))) == 3 * 2 * 5


def test_every_job_is_in_the_table(made: Results, shown: Page) -> None:
    rows = list(shown.rows("jobs"))
    assert [cells[-1].text for cells in rows] == list(made.results["job_id"])
    assert list(shown.rows("table-summary"))
    assert not [e for e in shown.elements if "(" in e.attributes.get("data-value", "")]


def test_tables_of_analysis_are_shown(made: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(results: Results) -> pd.DataFrame:
        """Scores, by judge.

        higher: better.
        """
        values = {"judge": ["<a>", "b"], "mean": [0.125, np.nan], "mean_std": [np.nan, 1.0]}
        return pd.DataFrame(values)

    def absent(results: Results) -> pd.DataFrame:
        raise NoDataError("no scores")

    def broken(results: Results) -> pd.DataFrame:
        raise ValueError("two\nlines")

    entries = {"scores": scores, "absent": absent, "broken": broken}
    monkeypatch.setattr(figures.TABLES, "_entries", entries)
    shown = Page(page.render(made.folder))
    rows = [[cell.text for cell in cells] for cells in shown.rows("table-scores")]
    assert rows == [["<a>", "0.125"], ["b", "–"]]
    text = shown.one("section", id="tables").text
    assert "Scores, by judge. higher: better." in text
    assert "Absent" not in text
    assert "broken: failed, ValueError: two lines" in text


def test_tables_of_other_experiments_are_not_shown(tmp_path: Path) -> None:
    results = make(tmp_path)
    run = {"command": "x", "environment": {}, "config": {"name": "fig1_2"}}
    load()
    of_all = {f"table-{name}" for name in TABLE_NAMES} | {"jobs", "layers"}
    for runs, own in (([run], {"table-fig1_2"}), ([{**run, "config": None}], set())):
        found = tables.tables(replace(results, manifest={"runs": runs}))
        assert {table.key for table in found} == of_all | own


@pytest.mark.slow
def test_drawn_curves_stand_below_the_tables(tmp_path: Path) -> None:
    made = make(tmp_path / "out", seeds=1)
    assert not Page(page.render(made.folder)).all("section", id="curves")
    assert len(list(figures.draw(made.folder, ["curves", "statistics"]))) == 3
    for folder, prefix in ((made.folder, ""), (tmp_path, "out/")):  # the page, and a chapter
        shown = Page(page.render(folder))
        check_structure(shown)
        drawn = [e for e in shown.all("img") if e.attributes.get("alt", "").startswith("Figure ")]
        places = [e.above[-3].attributes.get("id", "") for e in drawn]
        assert places == [f"{prefix}figures", ""]
        curves = shown.one("section", id=f"{prefix}curves")
        assert curves in drawn[1].above
        assert "curves: Loss over closure evaluations" in curves.text


def test_how_to_reproduce(made: Results, tmp_path: Path) -> None:
    make(tmp_path, seeds=1)
    run = {
        "command": "stylebench sweep --arch 'r-*'",
        "environment": {"torch": "2.14.1"},
        "config": {"description": "fig. 3 & more"},
        "device": "cpu",
        "began": "2026-01-02T03:04:05Z",
        "weights": [{"arch": "p-vgg19", "source": "registry:vgg19", "sha256": "ab" * 32}],
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"runs": [run]}))
    shown = Page(page.render(tmp_path))
    text = shown.one("section", id="reproduce").text
    for part in (run["command"], "torch", "2.14.1", "device cpu", "ab" * 32, run["began"]):
        assert str(part) in text
    assert "fig. 3 & more" in shown.one("header").text
    (tmp_path / "manifest.json").unlink()
    assert "no manifest" in page.render(tmp_path)


def test_findings_are_of_the_reference_results_alone(
    made: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = tmp_path / "results" / "reference"
    shutil.copytree(made.folder, reference)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(page, "FINDINGS", tmp_path / "docs" / "findings.md")
    assert not Page(page.render(reference)).all("section", id="findings")
    (tmp_path / "docs" / "findings.md").write_text(
        "# Findings\n\n## What then?\n\nText | with\na bar. And more.\n\n"
        "| claim |\n|---|\n| not a claim |\n\n"
        "### *peaky* <b>maps</b>\n\n**Holds** in `a|b`.\n\n<!-- evidence\nof: x.csv\n-->\n"
        "| first | second |\n|---|---|\n| 1 | 2 \\| 3 |\n\nDrawn in [`x.yaml`](../x.yaml).\n\n"
        "### two\n\nNot.\n\n[paper](https://example.org/a_b?x=1&y=2)\n\n## And then\n\nNo claim.\n",
        encoding="utf-8",
    )
    shown = Page(page.render(reference))
    check_structure(shown)
    cards = shown.all("article")
    assert [e.text for e in shown.all("h3") if e.inside("article")] == [
        "peaky <b>maps</b>", "two",
    ]  # fmt: skip
    evidence = [e.text for e in shown.all("div", **{"class": "evidence"})]
    assert [part for part in evidence[0].split("\n") if part] == [
        "first", "second", "1", "2 | 3", "Drawn in x.yaml.",
    ]  # fmt: skip
    assert evidence[1].strip() == "paper"
    assert "Numbers" in cards[0].text
    assert [e.text for e in shown.all("p", **{"class": "verdict"})] == ["Holds in a|b.", "Not."]
    (link,) = [e for e in shown.all("a") if e.inside("article")]
    assert link.attributes["href"] == "https://example.org/a_b?x=1&y=2"
    assert shown.one("p", **{"class": "answer"}).text == "What then? Text | with a bar."
    assert not Page(page.render(made.folder)).all("section", id="findings")


def test_the_first_screen_has_a_pair_and_four_results(tmp_path: Path) -> None:
    pairs = (("cat", "mosaic"), ("house", "brush"))
    results = scored(tmp_path, [f"r-{name}" for name in "abcdef"], pairs=pairs, seeds=2)
    shown = Page(page.render(results.folder))
    labels = [
        e.text for e in shown.all("figcaption") if shown.one("section", id="opening") in e.above
    ]
    assert labels[:2] == ["content", "style"]
    scores, told = opening._scores(results)
    assert labels[2] == opening._plainly(scores.index[0])
    assert labels[-1] == opening._plainly(scores.index[-1])
    assert len(labels) == len(set(labels)) == 6
    frame = judged(results)
    by_hand = frame[frame["metric"] == opening.METRIC].groupby("arm", observed=True)["value"].mean()
    assert scores.idxmax() == by_hand.idxmax()
    best = opening._plainly(scores.index[0])
    assert f"{best} covers {by_hand.max():.0%} of the way" in shown.one("header").text
    assert told.endswith("2 pairs, too few to compare")


def test_the_first_screen_without_judges_or_pictures(made: Results, tmp_path: Path) -> None:
    found = opening.make(made)
    assert found is not None
    assert found.sentence == ""
    assert len(found.pictures) == 6
    lost = replace(made, results=made.results.assign(picture=""))
    assert opening.make(lost) is None


def test_the_comparison_begins_with_two_that_differ(tmp_path: Path) -> None:
    made = make(tmp_path, ("r-a", "r-b", "r-c"), ("none",), (("cat", "mosaic"),), 1)
    for name, grey in zip(made.results["picture"], (10, 100, 250), strict=True):
        Image.new("RGB", (30, 20), (grey,) * 3).save(tmp_path / name)
    (pair,) = json.loads(Page(page.render(tmp_path)).one("script", id="compare-data").text)
    assert {pair["arms"][place]["label"] for place in pair["first"]} == {"r-a, none", "r-c, none"}


TABLE = ("table", "thead", "tbody", "tr", "th", "td")


def as_evidence(text: str, anchors: Collection[str] = ()) -> Page:
    """Return what a text becomes below a claim."""
    found = findings.parse(f"### claim\n\nIt holds.\n\n| a |\n|---|\n| {text} |\n", anchors)
    assert found is not None
    return Page(found.claims[0].evidence)


@pytest.mark.parametrize(
    ("target", "href"),
    [("../results/reference/fig6/figures/fig6.png", "#fig6"), ("#fig6", "#fig6"), ("#fig7", None),
     ("../results/reference/fig7/figures/fig6.png", None), ("../fig6/fig6.png", None),
     ("../results/reference/fig6", None), ("other.html#fig6", None)],
)  # fmt: skip
def test_findings_lead_to_chapters(target: str, href: str | None) -> None:
    links = as_evidence(f"[x]({target})", {"fig6"}).all("a")
    assert [link.attributes["href"] for link in links] == ([href] if href else [])


@pytest.mark.parametrize(
    "text",
    ["[x](javascript:alert(1))", '[x](https://e.org/"onclick="a)', "<img src=x>", "`<b>`",
     "![x](https://e.org/x.png)", "**<i>**", '[x](https://e.org "title")', "<https://e.org/>",
     "<javascript:alert(1)>", "[x](data:text/html,<b>)", "[x](JaVaScRiPt:alert(1))",
     "[x](&#106;avascript:alert(1))"],
)  # fmt: skip
def test_findings_are_text(text: str) -> None:
    shown = as_evidence(text)
    assert {e.tag for e in shown.elements} <= {*TABLE, "a", "code", "strong"}
    for element in shown.elements:
        assert set(element.attributes) <= {"href"}
        assert element.attributes.get("href", "https://").startswith("https://")


@pytest.mark.parametrize("key", ["size", "resize", "stage"])
def test_layers_of_which_something_is_unknown_have_a_dash(key: str, made: Results) -> None:
    known = made.statistics
    unknown = known[key].astype("object").where(known["arch"] != "r-vgg19")
    (told,) = [
        table
        for table in tables.tables(replace(made, statistics=known.assign(**{key: unknown})))
        if table.key == "layers"
    ]
    assert len(told.rows) == 3 * 2 * 5
    place = told.head.index(key)
    found = [(row[0].text, row[place].text == "–") for row in told.rows]
    assert all((arch == "r-vgg19") == dash for arch, dash in found)


def test_statistics_alone(tmp_path: Path) -> None:
    make(tmp_path)
    for name in ("results", "trace"):
        (tmp_path / f"{name}.parquet").unlink()
    shown = Page(page.render(tmp_path))
    assert list(shown.rows("layers"))
    assert "quick results" in shown.one("h1").text
    assert "quick settings (the paper: 512 px): statistics alone; 64 px" in shown.one("header").text
    assert not shown.all("section", id="compare")
    assert not shown.all("section", id="grid")


def test_figures_are_embedded_smaller(tmp_path: Path) -> None:
    make(tmp_path, seeds=1)
    (tmp_path / "figures").mkdir()
    drawing = Image.new("RGB", (2800, 400), "white")
    drawing.paste((10, 90, 160), (100, 100, 900, 200))
    drawing.save(tmp_path / "figures" / "statistics.png")
    (tmp_path / "figures" / "broken.png").write_bytes(b"nothing")
    (image,) = [e for e in Page(page.render(tmp_path)).all("img")
                if e.attributes["alt"].startswith("Figure")]  # fmt: skip
    kind, _, data = image.attributes["src"].partition(";base64,")
    assert kind == "data:image/png"
    with Image.open(io.BytesIO(base64.b64decode(data))) as found:
        assert found.size == (1400, 200)
    assert image.attributes["alt"].startswith("Figure statistics: ")


@pytest.mark.slow
def test_same_results_same_page(made: Results, tmp_path: Path) -> None:
    path = page.write(made.folder, tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == page.render(made.folder)
    first = path.read_bytes()
    assert page.write(made.folder, path).read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.slow
def test_many_pictures_are_made_smaller(tmp_path: Path) -> None:
    archs = [f"r-timm:{number}" for number in range(10)]
    pairs = [(f"content{number}", "style") for number in range(8)]
    made = make(tmp_path, archs, ("none", "softmax"), pairs, 1)
    noise = np.random.default_rng(0).integers(0, 255, (340, 512, 3), dtype=np.uint8)
    for name in made.results["picture"]:
        Image.fromarray(noise).save(tmp_path / name, quality=95)
    shown = page.write(tmp_path)
    assert shown == tmp_path / "report.html"
    assert shown.stat().st_size < 15e6


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_embedding(kind: str, tmp_path: Path) -> None:
    Image.new("RGB", (300, 150), (200, 30, 30)).save(tmp_path / "a", kind)
    for side, size in ((512, (300, 150)), (100, (100, 50))):
        picture = pictures.embed("a", tmp_path, side)
        assert picture is not None
        data = base64.b64decode(picture.uri.removeprefix("data:image/jpeg;base64,"))
        with Image.open(io.BytesIO(data)) as found:
            assert (found.format, found.size) == ("JPEG", size)
            assert (picture.width, picture.height) == size
            np.testing.assert_allclose(np.asarray(found)[10, 10], (200, 30, 30), atol=4)
    assert pictures.embed("gone", tmp_path, 100) is None
