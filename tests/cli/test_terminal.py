"""On a terminal: a progress bar, which leaves it as it was."""

import contextlib
import os
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stylebench.cli import progress
from tests.cli.bench import COMMAND, NO_FIGURES, with_database, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


ON_A_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"


class Terminal:
    """A command on a pseudo-terminal of its own, as in a terminal window."""

    def __init__(self, *args: object) -> None:
        self.master, slave = os.openpty()
        self.before: list[Any] = termios.tcgetattr(slave)
        python, flag, code = NO_FIGURES
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        self.process = subprocess.Popen(
            [python, flag, ON_A_TERMINAL + code, *map(str, args)],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment,
        )  # fmt: skip
        self.slave = slave
        self.shown = ""

    def read(self, until: str | None = None) -> None:
        """Read what is shown until a text is there, or until the process ends."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            ended = self.process.poll() is not None
            while select.select([self.master], [], [], 0.05)[0]:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
            if ended or (until is not None and until in self.shown):
                return
        raise AssertionError(f"waited in vain for {until!r}: {self.shown}")

    def is_as_before(self) -> bool:
        """Whether the modes are what they were, the cursor shows and the line is finished."""
        modes = termios.tcgetattr(self.slave) == self.before
        hidden = self.shown.rfind("\x1b[?25l") > self.shown.rfind("\x1b[?25h")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown).rstrip("\r")
        return modes and not hidden and text.endswith("\n")


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(terminal.process.pid, signal.SIGKILL)
        terminal.process.wait()
        os.close(terminal.master)
        os.close(terminal.slave)


@pytest.mark.slow
def test_bar_leaves_the_terminal_as_it_was(tmp_path: Path, terminals: list[Terminal]) -> None:
    out = with_database(tmp_path / "out")
    terminals.append(Terminal("stats", "--arch", "r-tiny", "--content", "chelsea", "--size", 32,
                              "--seed", 0, "--seed", 1, "--out", out))  # fmt: skip
    terminal = terminals[0]
    terminal.read()
    assert terminal.process.wait() == 0, terminal.shown
    assert "\x1b[?25l" in terminal.shown, "a bar was shown"
    assert "2/2" in terminal.shown
    assert "left" in terminal.shown
    assert "ok  r-tiny  statistics of 1 images  seed 1" in terminal.shown
    assert "2 ok, 0 failed, 0 unavailable in" in terminal.shown
    assert terminal.is_as_before()


def test_names_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold]x[/bold] :cat: \x1b]0;title\x07 \x1b[2J two\nlines \u202e"
    for made in (progress.Progress(), progress.Progress(bar=True)):
        made.message(text)
        shown = capsys.readouterr().out
        assert shown == "[bold]x[/bold] :cat: \\x1b]0;title\\x07 \\x1b[2J two lines \\u202e\n"


@pytest.mark.slow
def test_control_c_leaves_the_terminal_as_it_was(tmp_path: Path, terminals: list[Terminal]) -> None:
    config = write_yaml(tmp_path / "t.yaml", content=["chelsea"], style=["brush"], evals=10**6)
    out = with_database(tmp_path / "out")
    terminals.append(Terminal("sweep", "--out", out, config))
    terminal = terminals[0]
    terminal.read(until="statistics of 1 images")
    terminal.read(until="1/3")
    os.write(terminal.master, b"\x03")
    terminal.read()
    assert terminal.process.wait() == 130, terminal.shown
    assert "run the same command again to go on" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert terminal.is_as_before()


def test_standard_output_that_is_closed_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        done = subprocess.run(
            [*COMMAND, "ls", "archs"], stdout=write, stderr=subprocess.PIPE, env=environment
        )
    finally:
        os.close(write)
    assert done.stderr == b""
