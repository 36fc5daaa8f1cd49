"""What never ends, or says nothing, in place of a file that a user names: one line, and soon."""

import itertools
import os
import threading
from pathlib import Path

import pytest

from stylebench import named
from stylebench.errors import InputError
from tests.cli.bench import invoke, refused

pytestmark = pytest.mark.usefixtures("no_weights", "in_an_empty_folder")

COMMANDS = {
    "experiment": ("sweep", "{}", "--dry-run"),
    "job": ("run-job", "{}", "--out", "out"),
    "report to compare with": ("bench", "--check", "{}"),
    "times": ("plan", "--arch", "r-tiny", "--from", "{}"),
    "weights": ("sweep", "--arch", "p-tiny", "--weights", "tiny={}", "--dry-run"),
    "weights to import": ("weights", "import", "tiny", "{}"),
    "picture": ("transfer", "{}", "chelsea", "--arch", "r-tiny"),
    "plug-in": ("ls", "--plugin", "{}"),
    "file of a backbone": ("ls", "archs", "--arch", "{}:X"),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "PATIENCE", 0.05)


@pytest.mark.parametrize("what", COMMANDS)
@pytest.mark.parametrize("place", ["pipe.py", "/dev/zero"])
@pytest.mark.usefixtures("impatient", "pretrained_tiny")
def test_it_is_refused(what: str, place: str) -> None:
    if place == "pipe.py":
        os.mkfifo(place)
    refused(*(word.format(place) for word in COMMANDS[what]))


@pytest.mark.usefixtures("impatient")
def test_a_pipe_with_nothing_in_it_is_told() -> None:
    os.mkfifo("x.yaml")
    assert "expected an experiment, but nothing came" in refused("sweep", "x.yaml", "--dry-run")


def test_a_pipe_that_has_a_byte_now_and_then_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which each look at it is 9 s later."""
    monkeypatch.setattr("time.monotonic", itertools.count(step=9).__next__)
    os.mkfifo("x.yaml")
    end = os.open("x.yaml", os.O_RDWR | os.O_NONBLOCK)
    monkeypatch.setattr("select.select", lambda *_: (os.write(end, b"#"), [0])[1:])
    try:
        with pytest.raises(InputError, match="an experiment, but not all of it came in 60 s"):
            named.read(Path("x.yaml"), "an experiment", 1000)
    finally:
        os.close(end)


def test_a_pipe_with_something_in_it_is_read() -> None:
    os.mkfifo("x.yaml")
    text = "arch: [r-tiny]\nsize: 32\nstatistics_images: []\n"
    writer = threading.Thread(target=Path("x.yaml").write_text, args=[text], daemon=True)
    writer.start()
    done = invoke("sweep", "x.yaml", "--dry-run", "--out", "out")
    writer.join()
    assert done.status == 0
    assert "4 jobs" in done.err
