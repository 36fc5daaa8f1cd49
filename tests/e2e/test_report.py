"""The page of a results folder in a real browser."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stylebench.figures import draw
from stylebench.report import page as report
from tests.e2e.browser import CHROMIUM, OVERFLOW, Page
from tests.results import make

pytestmark = CHROMIUM

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
PHONE = 360
BROKEN = "[...document.images].filter((i) => !(i.complete && i.naturalWidth)).length"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "out"
    pairs = [("cat", "mosaic"), ("a rather long name of a photograph " * 3, "</script>" * 9)]
    make(out, ["r-vgg19", "p-vgg19", "r-" + "x" * 60], pairs=pairs, seeds=1)
    assert list(draw(out, ["curves"]))
    return report.write(out)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two experiments, and of one whose name is long."""
    out = tmp_path_factory.mktemp("several") / "reference"
    out.mkdir()
    for name in ("fig3", "fig6", "an-experiment-of-a-long-name-" * 3):
        make(out / name, ["r-vgg19", "p-vgg19"], seeds=1)
    assert list(draw(out / "fig6", ["statistics", "curves"]))
    return report.write(out)


@pytest.fixture(scope="module")
def page(window: Page) -> Page:
    return window


def column(page: Page, place: int, table: str = "jobs") -> list[Any]:
    """Return the texts of a column of the rows that are seen."""
    rows = f"[...document.getElementById('{table}').tBodies[0].rows].filter((r) => !r.hidden)"
    found: list[Any] = page.run(f"{rows}.map((row) => row.cells[{place}].textContent)")
    return found


def split(page: Page, key: str = "compare") -> tuple[str, str, float]:
    """Return the slider's value, what it says, and where the upper picture ends (0 to 1)."""
    value, text, clip, width = page.run(
        f"(() => {{ const split = document.getElementById('{key}-split');"
        f"const over = document.getElementById('{key}-stage').querySelector('.over');"
        "return [split.value, split.getAttribute('aria-valuetext'),"
        "getComputedStyle(over).clipPath, over.clientWidth]; })()"
    )
    # inset(0px calc(100% - 37%) 0px 0px), as the browser has worked it out
    hidden = float(clip.split("%")[0].split()[-1].split("(")[-1]) / 100
    assert width > 0
    return value, text, 1 - hidden


@pytest.mark.parametrize("width", [1280, PHONE])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_loads_alone_and_fits(page: Page, path: Path, width: int, dark: bool) -> None:
    page.open(path, width=width, dark=dark)
    assert page.complaints == []
    others = [url for url in page.requests if not url.startswith("data:")]
    assert others == [path.resolve().as_uri()]
    assert page.run("document.documentElement.clientWidth") == width
    assert page.run(OVERFLOW) <= 0
    assert page.run(BROKEN) == 0
    background = page.run("getComputedStyle(document.body).backgroundColor")
    ink = page.run("getComputedStyle(document.body).color")
    light, heavy = (sum(map(int, c[4:-1].split(", "))) for c in (background, ink))
    assert (light < heavy) == dark


@pytest.mark.parametrize(
    "chapters", [("controls_weights", "fig3"), pytest.param("*", marks=pytest.mark.slow)]
)
def test_reference_results(page: Page, tmp_path: Path, chapters: Sequence[str]) -> None:
    folder = tmp_path / "reference"
    folder.mkdir()
    for name in chapters:
        for found in filter(Path.is_dir, REFERENCE.glob(name)):
            shutil.copytree(found, folder / found.name, copy_function=os.link)
    path = report.write(folder, tmp_path / "page.html")
    assert path.stat().st_size < 15e6
    for width in (1280, PHONE):
        page.open(path, width=width)
        assert page.complaints == []
        assert page.run(OVERFLOW) <= 0
        assert page.run(BROKEN) == 0


def test_page_may_load_nothing(page: Page, path: Path) -> None:
    page.open(path)
    page.run("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    page.run("document.body.append(Object.assign(document.createElement('script'),"
             "{textContent: 'window.intruder = 1'}))")  # fmt: skip
    assert page.run("typeof window.intruder") == "undefined"
    assert any("Content Security Policy" in text for text in page.complaints)


def test_slider_by_keyboard(page: Page, path: Path) -> None:
    page.open(path)
    assert split(page) == ("50", "50 % r-vgg19, none", 0.5)
    page.run("document.getElementById('compare-split').focus()")
    page.press("ArrowRight", 3)
    assert split(page)[:2] == ("53", "53 % r-vgg19, none")
    assert split(page)[2] == pytest.approx(0.53)
    page.press("Home")
    assert split(page)[2] == 0
    page.press("End")
    page.press("ArrowLeft")
    assert split(page)[2] == pytest.approx(0.99)


def test_slider_by_touch(page: Page, path: Path) -> None:
    page.open(path, width=PHONE)
    page.run("document.getElementById('compare-stage').scrollIntoView({block: 'center'})")
    x, y, width, height = page.run(
        "(() => { const box = document.getElementById('compare-stage').getBoundingClientRect();"
        "return [box.x, box.y, box.width, box.height]; })()"
    )
    assert width > 300
    page.touch(x + width / 4, y + height / 3)
    assert split(page)[2] == pytest.approx(0.25, abs=0.04)


def test_a_picture_is_enlarged_by_key_and_by_click(page: Page, path: Path) -> None:
    page.open(path)
    shown = "document.querySelector('dialog').open"
    assert page.run("document.querySelector('dialog') === null")
    page.run("document.querySelector('.glance button').focus()")
    page.press("Enter")
    assert page.run(shown)
    same = "document.querySelector('dialog img').src === document.querySelector('.glance img').src"
    assert page.run(same)
    name = page.run("document.querySelector('.glance button').getAttribute('aria-label')")
    assert name == "Enlarge: " + page.run(
        "document.querySelector('dialog').getAttribute('aria-label')"
    )
    page.press("Escape")
    assert not page.run(shown)
    page.run("document.querySelector('.grid tbody button').click()")
    assert page.run(shown)
    assert page.run("document.querySelector('dialog img').naturalWidth") > 0
    page.run("document.querySelector('dialog button').click()")
    assert not page.run(shown)


def test_comparison_shows_what_is_chosen(page: Page, path: Path) -> None:
    page.open(path)
    choose = (
        "(() => {{ const select = document.getElementById('compare-{}'); select.selectedIndex = {};"
        "select.dispatchEvent(new Event('change')); }})()"
    )
    page.run(choose.format("pair", 1))
    page.run(choose.format("left", 0))
    page.run(choose.format("right", 5))
    alts = page.run("[...document.querySelectorAll('#compare-stage img')].map((i) => i.alt)")
    assert alts[1] == "content: cat"
    assert "by p-vgg19, smoothing softmax" in alts[0]
    sources = page.run(
        "[...document.querySelectorAll('#compare-stage .under, #picture-0-1-5')].map((i) => i.src)"
    )
    assert sources[0] == sources[1]
    assert page.run("document.getElementById('compare-right-name').textContent") == (
        "p-vgg19, softmax"
    )


def test_tables_sort_by_keyboard_and_by_click(page: Page, path: Path) -> None:
    page.open(path)
    heads = page.run("[...document.querySelectorAll('#jobs th')].map((h) => h.textContent)")
    place = heads.index("style loss")
    before = [float(text) for text in column(page, place)]
    head = f"document.querySelectorAll('#jobs th')[{place}]"
    page.run(f"{head}.querySelector('button').focus()")
    page.press("Enter")
    assert page.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert [float(text) for text in column(page, place)] == sorted(before)
    page.run(f"{head}.querySelector('button').click()")
    assert page.run(f"{head}.getAttribute('aria-sort')") == "descending"
    assert [float(text) for text in column(page, place)] == sorted(before, reverse=True)
    page.run("document.querySelector('#jobs th button').click()")
    assert page.run("document.querySelectorAll('#jobs [aria-sort]').length") == 1
    assert column(page, 0) == sorted(column(page, 0))


def test_tables_filter(page: Page, path: Path) -> None:
    page.open(path)
    box = "document.getElementById('jobs').closest('.scroll').previousElementSibling"
    page.run(f"{box}.querySelector('input').focus()")
    page.call("Input.insertText", text="P-VGG19 softmax")
    assert column(page, 0) == ["p-vgg19"] * 2
    assert column(page, 2) == ["softmax"] * 2
    assert page.run(f"{box}.querySelector('[role=status]').textContent") == "2 of 12 rows"
    page.call("Input.insertText", text=" nowhere")
    assert column(page, 0) == []
    assert page.run("document.querySelectorAll('#layers tbody tr[hidden]').length") == 0


TOP = "document.getElementById('{}').getBoundingClientRect().top"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_of_several_fits(page: Page, several: Path, width: int, dark: bool) -> None:
    page.open(several, width=width, dark=dark)
    page.run("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    assert page.complaints == []
    assert page.run(OVERFLOW) <= 0
    assert page.run(BROKEN) == 0


def test_contents_lead_to_chapters(page: Page, several: Path) -> None:
    page.open(several, width=390)
    assert page.run(TOP.format("fig6")) > 800
    page.run("document.querySelector('.contents a[href=\"#fig6\"]').focus()")
    page.press("Enter")
    bar = page.run("document.querySelector('nav').getBoundingClientRect().bottom")
    assert bar <= page.run(TOP.format("fig6")) <= bar + 100
    assert page.run("document.querySelector('nav').getBoundingClientRect().top") == 0
    current = "document.querySelector('nav [aria-current]')"
    page.until(f"{current}?.textContent === 'fig6'")
    page.run("document.querySelector('nav a').click()")
    assert 0 <= page.run(TOP.format("contents")) <= bar + 100


def test_a_link_opens_what_is_closed(page: Page, several: Path) -> None:
    page.open(several)
    seen = "document.querySelector('[id=\"fig6/{}\"]').checkVisibility()"
    assert not page.run(seen.format("jobs"))
    page.run("location.hash = '#fig6/curves'")
    page.run("location.hash = '#fig6/jobs'")
    page.until(seen.format("jobs"))
    assert page.run("document.getElementById('fig6/curves').querySelector('details').open")
    assert page.run("document.querySelectorAll('details[open]').length") == 2


def test_slider_of_the_second_chapter(page: Page, several: Path) -> None:
    page.open(several)
    page.run("document.getElementById('fig6/compare-split').focus()")
    page.press("ArrowLeft", 2)
    assert split(page, "fig6/compare")[:2] == ("48", "48 % r-vgg19, none")
    assert split(page, "fig3/compare")[0] == "50"
    sources = page.run(
        "[document.querySelector('[id=\"fig6/compare-stage\"] .over'),"
        "document.getElementById('fig6/picture-0-0-2')].map((image) => image.src)"
    )
    assert sources[0] == sources[1]


def test_tables_of_an_opened_part(page: Page, several: Path) -> None:
    page.open(several)
    assert page.run("document.querySelectorAll('.chapter th button').length") == 0
    table = "document.getElementById('fig6/jobs')"
    page.run(f"{table}.closest('details').querySelector('summary').focus()")
    page.press("Enter")
    head = f"{table}.querySelectorAll('th button')[3]"
    page.until(f"{head}?.textContent === 'content'")
    page.run(f"{head}.click()")
    assert column(page, 3, "fig6/jobs") == ["cat"] * 4 + ["house"] * 4
    page.run(f"{table}.closest('details').querySelector('input').focus()")
    page.call("Input.insertText", text="house p-vgg19")
    assert column(page, 0, "fig6/jobs") == ["p-vgg19"] * 2
    assert len(column(page, 0, "fig3/jobs")) == 8
    assert page.complaints == []


HINTS = "[...document.querySelectorAll('.hint')].filter((hint) => hint.checkVisibility())"


def test_what_is_wider_than_the_screen_says_so(page: Page, path: Path) -> None:
    page.open(path, width=PHONE)
    wide = "[...document.querySelectorAll('.scroll')].filter((s) => s.scrollWidth > s.clientWidth)"
    page.until(f"{HINTS}.length > 2")
    assert page.run(f"{HINTS}.length") == page.run(f"{wide}.length")
    assert page.run(f"{HINTS}.every((hint) => hint.parentNode.querySelector('.scroll'))")
    page.open(path, width=PHONE, script=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert page.run("document.querySelectorAll('.hint').length") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_wide_screen_is_used(page: Page, path: Path, dark: bool) -> None:
    page.open(path, width=2560, dark=dark)
    assert page.complaints == []
    assert page.run(OVERFLOW) <= 0
    assert page.run("document.querySelector('main').clientWidth") > 2000
    tops = page.run(
        "[...new Set([...document.querySelectorAll('.glance li')].map((li) => li.offsetTop))]"
    )
    assert len(tops) == 1
    assert page.run("document.querySelector('.glance img').clientWidth") >= 300
    assert page.run("document.querySelector('.grid img').clientWidth") >= 250
    assert page.run("document.querySelector('header > p').clientWidth") < 800  # lines to be read


def test_what_is_focused_is_seen(page: Page, path: Path) -> None:
    page.open(path, dark=True)
    seen = set()
    outlined = (
        "(() => { const here = document.activeElement; const stage = here.closest('.compare');"
        "const style = getComputedStyle(stage ?? here);"
        "return [here.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]; })()"
    )
    for _ in range(60):
        page.press("Tab")
        tag, style, width = page.run(outlined)
        if tag != "BODY":
            seen.add(tag)
            assert (style, width) == ("solid", 3), tag
    assert seen >= {"A", "BUTTON", "DIV", "SELECT", "INPUT"}


def test_who_hears_the_page_is_told_what_each_part_is(page: Page, path: Path) -> None:
    page.open(path)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "link", "combobox", "slider", "searchbox", "image", "region", "navigation"}
    told: dict[str, list[str]] = {}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if not node["ignored"] and role in roles:
            told.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    assert {*told} == roles
    for role, names in told.items():
        assert all(names), role
    for role in ("slider", "searchbox", "region"):
        assert len(set(told[role])) == len(told[role]), role


def test_without_script(page: Page, path: Path) -> None:
    page.open(path, script=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert page.run("document.getElementById('compare').hidden") is True
    assert page.run("document.querySelectorAll('button, input[type=search]').length") == 0
    assert len(column(page, 0)) == 12


def test_print(page: Page, path: Path) -> None:
    page.open(path, width=1045)  # A4 across, less its margins
    page.call("Emulation.setEmulatedMedia", media="print")
    clipped = (
        "[...document.querySelectorAll('.scroll')].filter((s) => "
        "getComputedStyle(s).overflowY !== 'visible').length"
    )
    assert page.run(clipped) == 0
    assert page.run(OVERFLOW) <= 0
    page.call("Emulation.setEmulatedMedia", media="")
