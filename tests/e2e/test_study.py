"""A study in a real browser: answered by keys, reloaded in the middle, sent and downloaded."""

import json
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebench import files
from stylebench.study import answers, design, read
from stylebench.study import page as study_page
from stylebench.study.design import Design
from stylebench.study.serve import Server
from tests.e2e.browser import CHROMIUM, OVERFLOW, Page
from tests.results import PAIRS, arms, by_arm, write

pytestmark = CHROMIUM

HOSTILE = "<script>window.intruder=1</script>"
NAMES = ["r-vgg19", "r-</script><img src=x onerror=alert(1)>", "p-resnet50"]
KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "same": "ArrowDown"}


def write_study(folder: Path) -> Design:
    """Write a study of arms, pictures and a language with hostile names."""
    pairs = [*PAIRS[:4], (HOSTILE, "</script>" * 9)]
    found = write(folder / "out", arms(NAMES, ("none",)), pairs, 1, by_arm)
    pictures = found.results["picture"]
    for number, name in enumerate(pictures):
        wide = np.full((192, 256, 3), (40 + 10 * number, 120, 200 - 10 * number), np.uint8)
        wide[:, :: 5 + number] = 250
        Image.fromarray(wide).save(folder / "out" / name)
    text = json.loads((study_page.TEMPLATES / "en.json").read_text("utf-8"))
    text |= {"code": "xx", "name": HOSTILE, "title": f"</script>{HOSTILE}"}
    (folder / "xx.json").write_text(json.dumps(text))
    made = design.make(found, "style", NAMES, 12)
    (folder / "study").mkdir()
    design.write(made, found, folder / "study")
    texts = study_page.languages([folder / "xx.json"])
    html = study_page.build(made, found, texts, random.SystemRandom())
    files.write_text(folder / "study" / design.PAGE, html)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    write_study(place)
    return place


@pytest.fixture(scope="module")
def made(folder: Path) -> Design:
    return design.read(folder / "study")


@pytest.fixture
def page(window: Page, folder: Path) -> Page:
    """The page of the study, which no one has answered."""
    path = folder / "study" / "index.html"
    window.open(path)
    window.run("localStorage.clear()")
    window.open(path, width=390)
    return window


def number(page: Page) -> int:
    """Return how many comparisons are answered."""
    found: int = page.run("state.choices.length")
    return found


def answer(page: Page, made: Design, times: int, key: str = "") -> None:
    """Answer comparisons by key: as design expects, or always by the same."""
    expected = {trial.trial: trial.expected or "a" for trial in made.trials}
    for _ in range(times):
        page.until("ready")
        before = number(page)
        trial, exchanged = page.run("[state.order[state.choices.length], state.exchanged]")
        left = (expected[trial] == "a") != exchanged
        page.press(key or KEYS["left" if left else "right"])
        page.until(f"state.choices.length === {before + 1}")


def test_a_whole_study_by_keys_and_reloaded_in_the_middle(
    page: Page, folder: Path, made: Design
) -> None:
    path, count = folder / "study" / "index.html", len(made.trials)
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [path.as_uri()]
    page.run("document.getElementById('start').focus()")
    page.press("Enter")
    answer(page, made, 5)
    page.until("ready")
    shown = "[...document.querySelectorAll('#trial img')].map((image) => image.src)"
    before, told = page.run(shown), page.run("document.getElementById('progress').textContent")
    assert told == f"6 of {count}"
    page.open(path, width=390)
    page.until("ready")
    assert page.run(shown) == before
    assert page.run("document.getElementById('progress').textContent") == told
    assert page.run(OVERFLOW) <= 0
    answer(page, made, count - 5)
    page.until("!document.getElementById('end').hidden")
    assert page.complaints == []
    name = page.run("document.getElementById('download').download")
    assert name == f"answers-{page.run('state.participant')}.json"
    (folder / "answers.json").write_text(page.run("JSON.stringify(answers())"))
    (kept,) = answers.gather([folder / "answers.json"], made)
    assert kept.left_out == ""
    found = read.read(made, read.metrics_of(made, folder / "study"), [kept])
    assert len(found.tables["preferences"]) == 12
    assert not found.simulated


def test_two_tabs_go_on_from_each_other(page: Page, folder: Path, made: Design) -> None:
    path, told = folder / "study" / "index.html", "document.getElementById('elsewhere')"
    page.run("document.getElementById('start').click()")
    answer(page, made, 2)
    first, participant = page.tab, page.run("state.participant")
    page.open_tab()
    second = page.tab
    page.open(path, width=390)
    assert number(page) == 2
    assert page.run(f"{told}.hidden")
    for tab, count in ((first, 3), (second, 4), (first, 5)):
        page.tab = first if tab == second else second
        page.call("Page.bringToFront")
        answer(page, made, 1)
        assert page.run(f"{told}.hidden")
        page.tab = tab
        page.call("Page.bringToFront")
        page.until(f"state.choices.length === {count}")
        assert page.run(f"{told}.checkVisibility()")
        assert page.run(OVERFLOW) <= 0
    assert page.run("JSON.parse(localStorage.getItem(key)).participant") == participant
    page.tab = second
    page.call("Page.close")
    page.tab = first


def test_a_tab_that_was_not_told_overwrites_nothing(page: Page, made: Design) -> None:
    """What a tab writes itself is no event in it."""
    page.run("document.getElementById('start').click()")
    answer(page, made, 2)
    page.until("ready")
    page.run("localStorage.setItem(key, JSON.stringify("
             "{...state, choices: [...state.choices, 'same', 'same']}))")  # fmt: skip
    page.press("ArrowLeft")
    page.until("state.choices.length === 4 && ready")
    assert page.run("state.choices.slice(2)") == ["same", "same"]
    assert page.run("document.getElementById('elsewhere').checkVisibility()")
    answer(page, made, 1)
    assert page.run("JSON.parse(localStorage.getItem(key)).choices.length") == 5


def test_what_is_downloaded_are_the_answers(page: Page, folder: Path, made: Design) -> None:
    where = folder / "downloads"
    where.mkdir()
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(where))
    page.run("document.getElementById('start').click()")
    answer(page, made, len(made.trials))
    page.until("!document.getElementById('end').hidden")
    another = "document.getElementById('another').checkVisibility()"
    assert not page.run(another)  # it would forget what nobody has
    page.run("document.getElementById('download').click()")
    assert page.run(another)
    page.open(folder / "study" / "index.html", width=390)
    assert page.run(another)
    assert number(page) == len(made.trials)
    name = page.run("document.getElementById('download').download")
    end = time.monotonic() + 20
    while not (where / name).exists():  # by another name until it is whole
        assert time.monotonic() < end
        time.sleep(0.02)
    assert answers.parse((where / name).read_bytes(), made).simulated is False


def test_each_key_means_what_it_says(page: Page, made: Design) -> None:
    page.run("document.getElementById('start').click()")
    for key, side in (("ArrowLeft", "left"), ("ArrowRight", "right"), ("ArrowDown", "same"),
                      (" ", "same")):  # fmt: skip
        answer(page, made, 1, key)
        exchanged = page.run("state.exchanged")
        choice = page.run("state.choices.at(-1)")
        assert choice == ("same" if side == "same" else "ab"[(side == "left") == exchanged])
    page.until("ready")
    page.press("Backspace")
    page.until("state.choices.length === 3 && ready")
    page.run("document.getElementById('right').focus()")
    page.press("ArrowLeft")  # keys hold wherever the focus is
    page.until("state.choices.length === 4 && ready")
    assert page.run("document.activeElement.id") == "asked"
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft",
              windowsVirtualKeyCode=37, autoRepeat=True)  # fmt: skip
    assert number(page) == 4
    page.run("document.getElementById('same').click()")
    assert page.run("state.choices.at(-1)") == "same"


def test_the_sides_of_a_participant_are_those_of_the_design_or_all_exchanged(
    page: Page, made: Design
) -> None:
    page.run("document.getElementById('start').click()")
    page.until("ready")
    pairs = page.run(
        "[true, false].map((turned) => { state.exchanged = turned; show();"
        "return ['left-picture', 'right-picture'].map((id) => document.getElementById(id).src); })"
    )
    assert pairs[0] == pairs[1][::-1]
    orders = page.run("[0, 1].map(() => fresh().order)")
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(trial.trial for trial in made.trials)
    assert orders[0] != orders[1]
    place = {trial: at for at, trial in enumerate(orders[0])}
    assert all(place[trial.of] < place[trial.trial] for trial in made.of_kind("repeat"))


def test_hostile_names_are_text_or_are_not_there(page: Page, folder: Path) -> None:
    html = (folder / "study" / "index.html").read_text("utf-8")
    for name in (*NAMES, *(trial for pair in PAIRS for trial in pair)):
        assert name not in html
    page.run("Object.assign(document.getElementById('language'), {value: 'xx'})"
             ".dispatchEvent(new Event('change'))")  # fmt: skip
    assert page.run("document.title") == f"</script>{HOSTILE}"
    assert page.run("document.querySelector('h1').textContent") == f"</script>{HOSTILE}"
    assert page.run("typeof window.intruder") == "undefined"
    assert page.run("document.querySelectorAll('script').length") == 2
    assert page.complaints == []


def test_languages_are_chosen_and_kept(page: Page, folder: Path) -> None:
    assert page.run("document.documentElement.lang") == "en"
    page.run("Object.assign(document.getElementById('language'), {value: 'ko'})"
             ".dispatchEvent(new Event('change'))")  # fmt: skip
    assert page.run("document.getElementById('start').textContent") == "시작"
    page.open(folder / "study" / "index.html", width=390)
    assert page.run("document.documentElement.lang") == "ko"
    assert page.run("document.querySelector('.question').textContent").endswith("가깝습니까?")


@pytest.mark.parametrize("spoiled", ['"{"', '"null"', "JSON.stringify({order: [1], choices: []})"])
def test_what_is_kept_may_be_spoiled(page: Page, folder: Path, spoiled: str) -> None:
    page.run(f"localStorage.setItem(key, {spoiled})")
    page.open(folder / "study" / "index.html", width=390)
    assert page.complaints == []
    assert not page.run("document.getElementById('intro').hidden")


def test_a_browser_that_keeps_nothing_says_so(page: Page, made: Design) -> None:
    page.run("Storage.prototype.setItem = () => { throw new Error('full'); }; keep()")
    assert page.run("document.getElementById('not-kept').checkVisibility()")
    page.run("document.getElementById('start').click()")
    answer(page, made, 2)
    assert number(page) == 2


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_of_a_comparison_is_seen(page: Page, folder: Path, width: int, dark: bool) -> None:
    page.open(folder / "study" / "index.html", width=width, dark=dark)
    assert page.run(OVERFLOW) <= 0
    page.run("document.getElementById('start').click()")
    page.until("ready")
    assert page.run(OVERFLOW) <= 0
    assert page.run("document.getElementById('same').getBoundingClientRect().bottom") <= 800
    boxes = page.run("['left', 'right'].map((id) => document.getElementById(id)"
                     ".getBoundingClientRect().toJSON())")  # fmt: skip
    assert boxes[0]["top"] == boxes[1]["top"]
    assert boxes[0]["right"] < boxes[1]["left"]
    assert boxes[0]["width"] == pytest.approx(boxes[1]["width"])
    assert boxes[0]["width"] > 150
    colours = page.run("[getComputedStyle(document.body).backgroundColor,"
                       "getComputedStyle(document.body).color]")  # fmt: skip
    light, heavy = (sum(map(int, c[4:-1].split(", "))) for c in colours)
    assert (light < heavy) == dark


def test_answers_are_sent_to_the_server(window: Page, folder: Path, made: Design) -> None:
    with Server(folder / "study", "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            window.complaints.clear()
            loads = window._loads
            window.call("Page.navigate", url=server.address)
            while window._loads == loads:
                window._receive()
            window.run("document.getElementById('start').click()")
            answer(window, made, len(made.trials))
            window.until("!document.getElementById('end').hidden")
            window.run("document.getElementById('send').click()")
            window.until("document.getElementById('told').textContent.startsWith('The answers')")
            assert window.complaints == []
        finally:
            server.shutdown()
            thread.join()
    (path,) = (folder / "study" / "answers").iterdir()
    (kept,) = answers.gather([path], made)
    assert kept.left_out == ""
