"""What a sweep tells: a bar on a terminal, plain lines elsewhere, JSON for machines."""

import json
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from stylebench.errors import one_line

if TYPE_CHECKING:
    from stylebench.store import JobRecord


def say(*lines: str, error: bool = False) -> None:
    """Print lines, in which no name or message can command a terminal; on standard error if asked.

    All that commands tell goes through here, but JSON and the bar.
    """
    print("\n".join(map(one_line, lines)), file=sys.stderr if error else sys.stdout, flush=True)


def counted(number: int, thing: str) -> str:
    """Return a number of things as people say it: ``1 pair``, ``2 pairs``."""
    return f"{number} {thing}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


TOLD = ("job_id", "kind", "status", "error", "seconds", "stop_reason", "flags")
"""What JSON tells of a job."""


class Progress:
    """What a sweep tells: lines, with a bar below them on a terminal, or JSON objects.

    Args:
        as_json: one JSON object a line; its ``event`` is message, begin, job or end.
        bar: a bar with the time left, on standard output.
    """

    def __init__(self, *, as_json: bool = False, bar: bool = False) -> None:
        from rich import progress

        columns = (
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[left]} left"),
        )
        self._bar = progress.Progress(*columns, transient=True, disable=as_json or not bar)
        self._task = self._bar.add_task("", left="…")
        self._as_json = as_json
        self._began = time.monotonic()
        self.jobs = self.done = self.kept = 0
        self._titles: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def _tell(self, event: str, text: str, /, **fields: Any) -> None:
        if self._as_json:
            print(json.dumps({"event": event, **fields}), flush=True)
        elif self._bar.disable:
            say(text)
        else:
            self._bar.console.print(
                one_line(text), markup=False, emoji=False, highlight=False, soft_wrap=True
            )

    def message(self, text: str) -> None:
        """Tell one line."""
        self._tell("message", text, text=text)

    def begin(self, jobs: int, finished: int, titles: Mapping[str, str]) -> None:
        """Tell how many jobs there are to do, and how many were done before."""
        self.jobs, self._began, self._titles = jobs, time.monotonic(), titles
        before = f", {finished} finished before" if finished else ""
        self._tell("begin", f"{jobs} jobs to run{before}", jobs=jobs, finished=finished)
        self._bar.update(self._task, total=jobs)
        self._bar.start()

    def left(self) -> float:
        """Return the expected seconds to the end."""
        return (time.monotonic() - self._began) / max(self.done, 1) * (self.jobs - self.done)

    def job(self, record: "JobRecord") -> None:
        """Tell the outcome of a job."""
        self.done += 1
        self.kept += record.ok
        title = self._titles.get(record.job_id, record.spec.title)
        left, text = duration(self.left()), outcome(record, title)
        if self._bar.disable:
            text = f"[{self.done}/{self.jobs}] {text}  ({left} left)"
        known = record.model_dump(include=record.model_fields_set - {"spec"})
        fields = {key: known.get(key) for key in TOLD}
        self._tell("job", text, **fields, what=title)
        self._bar.update(self._task, completed=self.done, left=left)

    def end(self, totals: Mapping[str, Any]) -> None:
        """Tell how it ended."""
        self._bar.stop()
        counts = ", ".join(
            f"{totals[key]} {key}"
            for key in ("ok", "failed", "unavailable", "missing")
            if key in totals
        )
        self._tell("end", f"{counts} in {duration(totals['seconds'])}: {totals['out']}", **totals)


def reporter(*, as_json: bool) -> Progress:
    """Return what tells on this output."""
    return Progress(as_json=as_json, bar=sys.stdout.isatty())


def outcome(record: "JobRecord", title: str = "") -> str:
    """Return a line on a finished job: status, what it was, how it ended, how long it took."""
    seconds = [] if record.seconds is None else [f"{record.seconds:.1f} s"]
    error = [] if record.ok else [record.error]
    return "  ".join([record.status, title or record.spec.title, *error, *record.flags, *seconds])
