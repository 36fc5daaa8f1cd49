"""What ``transfer`` tells while it makes a picture: a line, which Ctrl-C ends with the best."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import typer

from stylebench.cli.progress import duration, say

LOOK = 0.1
"""Seconds from one look at the losses to the next, on a terminal."""
TELL = 10.0
"""Seconds from one line to the next, where there is no terminal."""


def share(first: float | None, best: float | None) -> str:
    """Return what is left of a style loss: ``style 0.12 of its start``."""
    if first is not None and best is not None and first > 0:
        return f"style {best / first:.2g} of its start"
    return "style not known" if best is None else f"style loss {best:.2g}"


def pace(seconds: float) -> str:
    """Return how long one evaluation takes."""
    return f"{seconds:.1f}" if seconds >= 0.1 else f"{seconds:.2g}"


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """Tell how a training goes on that Ctrl-C ended within a step."""
    try:
        yield
    except KeyboardInterrupt:
        say("stopped: run the same command again to go on from the last checkpoint", error=True)
        raise typer.Exit(130) from None


def stopped(folder: Path) -> typer.Exit:
    """Tell that a training was stopped, with its checkpoint written, and return how to end."""
    say(f"stopped: what is trained is kept in {folder}; run the same command again to go on")
    return typer.Exit(130)


class Watch:
    """Tells how far a stylisation is, and ends it at Ctrl-C: at a second one without a picture.

    Call it with each `Step`; until the end of ``with`` Ctrl-C waits for the evaluation.

    Args:
        terminal: a line that is updated; else lines, now and then.
        clock: seconds that only grow.
    """

    def __init__(self, *, terminal: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal, self._clock = terminal, clock
        self._line, self._about, self._kept = "", "", "the best so far"
        self._first, self._told, self._begin = 0.0, clock(), 1
        self._seen = self._stopping = False
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin to show the line, and to wait for Ctrl-C."""
        self._open.enter_context(self._interrupts())
        if self._terminal:
            from rich.live import Live
            from rich.text import Text

            def shown() -> Text:
                return Text(self._line, no_wrap=True, overflow="ellipsis")

            self._open.enter_context(Live(get_renderable=shown, transient=True))
        return self

    def __exit__(self, *error: object) -> None:
        """Leave terminal and Ctrl-C as they were."""
        self._open.close()

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        before = signal.getsignal(signal.SIGINT)
        ours = threading.current_thread() is threading.main_thread() and callable(before)
        if ours:
            signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            if ours:
                signal.signal(signal.SIGINT, before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._stopping or not self._seen:
            raise KeyboardInterrupt
        self._stopping = True
        self._line += "   stopping …"

    def begin(self, about: str) -> None:
        """Tell of another frame from now on; until its first step Ctrl-C ends all at once."""
        self._line = about
        self._about, self._kept, self._seen = f"{about}  ", "finished frames", False

    def __call__(self, step: Any) -> bool:
        """Tell of an evaluation; True if it is to be the last."""
        now = self._clock()
        if step.number == 1 or not self._seen:
            self._seen, self._first, self._told, self._begin = True, now, now, step.number
        elif now - self._told >= (LOOK if self._terminal else TELL):
            self._told = now
            self._line = self.line(step, (now - self._first) / max(step.number - self._begin, 1))
            if not self._terminal:
                say(self._line)
        return self._stopping

    def line(self, step: Any, seconds: float) -> str:
        """Return the line of a step, at so many seconds an evaluation."""
        parts = (
            f"{self._about}[{step.number:>{len(str(step.evals))}}/{step.evals}] "
            + share(step.initial.style_loss, step.best.style_loss).replace("its ", ""),
            f"{pace(seconds)} s/evaluation",
            f"{duration(seconds * (step.evals - step.number))} left",
            f"(Ctrl-C keeps {self._kept})",
        )
        return "   ".join(parts)


def watch() -> Watch:
    """Return what watches on this output."""
    return Watch(terminal=sys.stdout.isatty())
