"""``transfer`` for people who want a picture: how far it is, Ctrl-C, pictures on the way."""

import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from stylebench.cli.watch import Watch, pace, share
from tests.cli.bench import NO_FIGURES, invoke
from tests.cli.test_terminal import Terminal, terminals  # noqa: F401  a fixture

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

TINY = ("transfer", "chelsea", "mosaic", "--arch", "r-tiny", "--size", 32)


def step(number: int, first: float = 4.0, best: float = 1.0) -> Any:
    return SimpleNamespace(
        number=number,
        evals=200,
        initial=SimpleNamespace(style_loss=first),
        best=SimpleNamespace(style_loss=best),
    )


def test_a_line_every_ten_seconds_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [100.0]
    watch = Watch(terminal=False, clock=lambda: now[0])
    with watch:
        for number in range(1, 31):
            now[0] += 0.8
            assert watch(step(number, best=0.48)) is False
    assert capsys.readouterr().out.splitlines() == [
        "[ 13/200] style 0.12 of start   0.8 s/evaluation   2 min 30 s left   "
        "(Ctrl-C keeps the best so far)",
        "[ 26/200] style 0.12 of start   0.8 s/evaluation   2 min 19 s left   "
        "(Ctrl-C keeps the best so far)",
    ]


def test_a_share_of_nothing_is_none() -> None:
    assert share(4, 1) == "style 0.25 of its start"
    assert share(0, 0.5) == "style loss 0.5"
    assert share(None, None) == "style not known"
    assert [pace(seconds) for seconds in (12.34, 0.8, 0.031)] == ["12.3", "0.8", "0.031"]


def test_control_c_is_for_the_watch_between_its_first_step_and_its_end() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Watch(terminal=False) as watch:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert watch(step(1)) is False
            signal.raise_signal(signal.SIGINT)
            assert watch(step(2)) is True
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_control_c_on_a_terminal_writes_the_best_picture(
    tmp_path: Path,
    terminals: list[Terminal],  # noqa: F811
) -> None:
    path = tmp_path / "out.png"
    terminals.append(Terminal(*TINY, "--evals", 10**6, "-o", path))
    (terminal,) = terminals
    terminal.read(until="s/evaluation")
    os.write(terminal.master, b"\x03")
    terminal.read()
    assert terminal.process.wait() == 130, terminal.shown
    assert f"stopped: {path} is the best picture so far" in terminal.shown.replace("\r\n", "")
    assert "Traceback" not in terminal.shown
    assert terminal.is_as_before()
    with Image.open(path) as picture:
        assert picture.size == (32, 21)


def test_control_c_elsewhere_does_too(tmp_path: Path) -> None:
    command = [*NO_FIGURES, *map(str, TINY), "--evals", "1000000", "--every", "2", "-o", "out.png"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    end = time.monotonic() + 100
    while not (tmp_path / "out-0002.png").exists() and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    told, _ = running.communicate(timeout=100)
    assert running.returncode == 130, told
    assert told.splitlines()[-1] == "stopped: out.png is the best picture so far"
    assert "px, r-tiny, preset robust, " in told
    assert (tmp_path / "out.png").exists()


def test_pictures_on_the_way(tmp_path: Path) -> None:
    done = invoke(*TINY, "--evals", 7, "--every", 3, "-o", tmp_path / "a.b.jpg")
    assert done.status == 0, done
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.b-0003.jpg", "a.b-0006.jpg", "a.b.jpg"]
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 3


@pytest.mark.parametrize("number", [0, -1])
def test_every_is_a_positive_number(number: int, tmp_path: Path) -> None:
    done = invoke(*TINY, "--every", number, "-o", tmp_path / "a.png")
    assert done.status == 2
    assert f"--every expects a positive number of evaluations, found {number}" in done.err


@pytest.mark.parametrize("preset", ["released", "keras"])
def test_a_preset_that_squashes_says_so(preset: str, tmp_path: Path) -> None:
    command = (*TINY, "--preset", preset, "--evals", 2, "-o", tmp_path / "a.png")
    done = invoke(*command)
    assert f"preset {preset} squashes the pictures to a square" in done.out
    assert "a.png: 32 × 32 px" in done.out
    for resize, size in (("aspect", "32 × 21"), ("squash", "32 × 32")):
        done = invoke(*command, "--resize", resize)
        assert "keeps their form" not in done.out, "they know"
        assert f"a.png: {size} px" in done.out
