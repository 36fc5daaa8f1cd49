"""The commands ``stylebench study make``, ``serve`` and ``read``."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from stylebench.study import design, scores
from tests.cli.bench import COMMAND, invoke, refused
from tests.study.simulated import people, results

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "RESAMPLES", 100)


def test_a_study_is_made_and_read(few: None) -> None:
    results(Path("out"), pairs=4)
    done = invoke("study", "make", "out", "--arms", "p-vgg19,p-resnet50,r-vgg19", "--pairs", "12",
                  "--out", "study")  # fmt: skip
    assert (done.status, done.err) == (0, "")
    assert re.match(r"study/index\.html: 12 comparisons, 2 repeats, 2 attention checks; 0\.\d MB, "
                    "English, 한국어, Deutsch\n", done.out)  # fmt: skip
    assert sorted(path.name for path in Path("study").iterdir()) == [
        "design.json", "index.html", "metrics.parquet",
    ]  # fmt: skip
    made = design.read(Path("study"))
    assert made.command.startswith("stylebench study make out --arms")
    files = people(Path("answers"), made, 3)
    Path("answers/bad\x1b.json").write_text("{}")
    shown = invoke("study", "read", "study", *files, "answers/bad\x1b.json")
    assert shown.status == 0
    assert shown.err.startswith("bad\\x1b.json: left out: no answers to a study: ")
    lines = shown.out.splitlines()
    assert lines[:2] == [
        "SIMULATED: programs gave these answers, no people",
        "3 participants, 4 pairs of pictures",
    ]
    assert re.match(r"question: style \(simulated\) +score +95 % interval +won", lines[2])
    assert [line.split()[0] for line in lines[3:6]] == list(
        pd.read_csv("study/tables/scores.csv")["arm"]
    )
    assert re.search(
        r"^between participants: Krippendorff's alpha \(simulated\)  -?\d\.\d\d$", shown.out, re.M
    )
    assert re.search(r"^gram +p-timm:efficientnet_lite0 registry\S+ +[+-]", shown.out, re.M)
    assert lines[-1] == "tables: study/tables"


def test_simulated_ones_are_no_people(few: None) -> None:
    results(Path("out"), pairs=2)
    assert invoke("study", "make", "out", "-o", "study").status == 0
    made = design.read(Path("study"))
    real = people(Path("answers"), made, 2, simulated=False)
    fake = people(Path("fake"), made, 1, seed=5)
    shown = invoke("study", "read", "study", *real, *fake)
    assert shown.err == "p00.json: left out: simulated, beside answers of people\n"
    assert "SIMULATED" not in shown.out


@pytest.mark.parametrize(("words", "message"), [
    (["--question", "stile", "-o", "s"], "--question expects one of style, content, overall, "
     "found 'stile'; did you mean 'style'?"),
    (["-o", "out"], " more; expected a new or empty folder: name another one"),
    (["-o", "out"], "--out 'out' holds '"),
    (["-o", "s", "--arms", "p-vgg19,p-resnet5"], "--arms, found"),
    (["-o", "s", "--language", "none.json"], "no such file"),
    (["-o", "s", "--pairs", "1"], "--pairs 1: expected a multiple of 3"),
    (["-o", "s", "--pairs", "-3"], "--pairs expects a positive number, found -3"),
])  # fmt: skip
def test_wrong_wishes_leave_nothing(words: list[str], message: str) -> None:
    results(Path("out"), pairs=2)
    assert message in refused("study", "make", "out", *words)
    assert not Path("s").exists()


def test_what_is_no_study() -> None:
    assert "holds no results" in refused("study", "make", ".", "-o", "s")
    assert "holds no study" in refused("study", "read", ".", "x.json")
    assert "holds no study" in refused("study", "serve", ".")
    results(Path("out"), pairs=2)
    assert invoke("study", "make", "out", "-o", "study").status == 0
    Path("x.json").write_text("none")
    done = invoke("study", "read", "study", "x.json")
    assert done.status == 2
    assert done.err.splitlines() == [
        "x.json: left out: no answers to a study: no JSON: at line 1, column 1",
        "stylebench: no answers that count: expected one file of them at least, and all 1 are "
        "left out",
    ]  # each reason once
    assert not Path("study/tables").exists()


def test_one_participant_speaks_for_nobody_else(few: None) -> None:
    results(Path("out"), pairs=4)
    assert invoke("study", "make", "out", "-o", "study").status == 0
    made = design.read(Path("study"))
    (path,) = people(Path("answers"), made, 1, simulated=False)
    given = json.loads(path.read_text())
    expected = {trial.trial: trial.expected for trial in made.trials}
    for each in given["answers"]:
        each["choice"] = expected[each["trial"]] or "same"
    path.write_text(json.dumps(given))
    lines = invoke("study", "read", "study", path).out.splitlines()
    assert lines[0] == (
        "1 participant, 4 pairs of pictures; with one, intervals speak of other pictures and of "
        "no other people"
    )
    assert all("+0.00  [+0.00, +0.00]" in line for line in lines[2:5])
    path.with_name("two.json").write_text(json.dumps(given | {"participant": "0" * 16}))
    lines = invoke("study", "read", "study", *Path("answers").iterdir()).out.splitlines()
    assert lines[0] == "2 participants, 4 pairs of pictures"


def test_tables_name_nothing_that_a_spreadsheet_computes(few: None) -> None:
    found = results(Path("out"), ("p-vgg19", "=SUM(A1)"), 2)
    assert "=SUM(A1)" in {*found.results["arch"]}
    assert invoke("study", "make", "out", "-o", "study").status == 0
    made = design.read(Path("study"))
    true = dict.fromkeys(made.arms, 0.0)
    files = people(Path("answers"), made, 2, scores=true)
    assert invoke("study", "read", "study", *files).status == 0
    for path in Path("study/tables").iterdir():
        cells = pd.read_csv(path, dtype=str).fillna("").to_numpy().ravel()
        assert not [cell for cell in cells if cell.startswith("=")], path.name


def test_a_study_is_served_until_ctrl_c() -> None:
    results(Path("out"), pairs=2)
    assert invoke("study", "make", "out", "-o", "study").status == 0
    process = subprocess.Popen(
        [*COMMAND, "study", "serve", "study", "--port", "0"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split(": Ctrl-C")[0]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=10) as page:
            assert page.read() == Path("study/index.html").read_bytes()
        made = design.read(Path("study"))
        (path,) = people(Path("mine"), made, 1)
        sent = urllib.request.Request(
            f"{address}answers", path.read_bytes(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(sent, timeout=10) as answer:
            assert answer.status == 201
        (kept,) = Path("study/answers").iterdir()
        assert process.stdout.readline() == f"{kept}\n"
        assert json.loads(kept.read_text()) == json.loads(path.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_a_leaderboard_shows_what_people_prefer(few: None) -> None:
    results(Path("out"), pairs=4)
    assert invoke("study", "make", "out", "-o", "study").status == 0
    assert "was not read yet" in refused("leaderboard", "out", "--study", "study")
    made = design.read(Path("study"))
    fake, real = (people(Path(n), made, 2, simulated=n == "fake") for n in ("fake", "real"))
    assert invoke("study", "read", "study", *fake).status == 0
    assert "answers are simulated" in refused("leaderboard", "out", "--study", "study")
    assert invoke("study", "read", "study", *real).status == 0
    shown = invoke("leaderboard", "out", "--study", "study", "-o", "board")
    assert (shown.status, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0].startswith("board 1: 64 px (aspect), 4 evaluations, preset balanced")
    assert re.search(r"p-vgg19 +0\.\d+ +\[.*\] +4 × 1 +style \+\d\.\d\d \[", shown.out)
    assert lines[-2:] == ["board/leaderboard.html", "board/leaderboard.csv"]
    Path("study/tables/scores.csv").write_text("arm\n")
    assert "is damaged" in refused("leaderboard", "out", "--study", "study")
    assert "expected a folder, found a file" in refused(
        "leaderboard", "out", "-o", "board/leaderboard.csv"
    )
