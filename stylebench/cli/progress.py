"""What a sweep tells: a bar on a terminal, plain lines elsewhere, JSON for machines."""

import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from stylebench.errors import one_line

if TYPE_CHECKING:
    from rich.progress import TaskID

    from stylebench.store import JobRecord


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Lines:
    """Plain lines on standard output; the base of the other two."""

    def __init__(self) -> None:
        self.jobs = self.done = self.kept = 0
        self._began = time.monotonic()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""

    def message(self, text: str) -> None:
        """Tell one line."""
        print(one_line(text), flush=True)

    def begin(self, jobs: int, finished: int) -> None:
        """Tell how many jobs there are to do, and how many were done before."""
        self.jobs, self._began = jobs, time.monotonic()
        before = f", {finished} finished before" if finished else ""
        self.message(f"{jobs} jobs to run{before}")

    def left(self) -> float:
        """Return the expected seconds to the end."""
        return (time.monotonic() - self._began) / max(self.done, 1) * (self.jobs - self.done)

    def _count(self, record: "JobRecord") -> None:
        self.done += 1
        self.kept += record.ok

    def job(self, record: "JobRecord") -> None:
        """Tell the outcome of a job."""
        self._count(record)
        self.message(f"[{self.done}/{self.jobs}] {outcome(record)}  ({duration(self.left())} left)")

    def end(self, totals: Mapping[str, Any]) -> None:
        """Tell how it ended."""
        counts = [
            f"{totals[key]} {key}" for key in ("ok", "failed", "unavailable") if key in totals
        ]
        self.message(f"{', '.join(counts)} in {duration(totals['seconds'])}: {totals['out']}")


def outcome(record: "JobRecord") -> str:
    """Return a line on a finished job: status, what it was, how it ended, how long it took."""
    seconds = [] if record.seconds is None else [f"{record.seconds:.1f} s"]
    error = [] if record.ok else [record.error]
    return "  ".join([record.status, record.spec.title, *error, *record.flags, *seconds])


class Json(Lines):
    """One JSON object a line: ``event`` is message, begin, job or end."""

    def _event(self, name: str, **fields: Any) -> None:
        print(json.dumps({"event": name, **fields}), flush=True)

    def message(self, text: str) -> None:
        """Tell one line."""
        self._event("message", text=text)

    def begin(self, jobs: int, finished: int) -> None:
        """Tell how many jobs there are to do, and how many were done before."""
        self._event("begin", jobs=jobs, finished=finished)

    def job(self, record: "JobRecord") -> None:
        """Tell the outcome of a job."""
        self._count(record)
        keys = ("job_id", "kind", "status", "error", "seconds", "stop_reason", "flags")
        known = record.model_dump(include=record.model_fields_set - {"spec"})
        told = {key: known.get(key) for key in keys}
        self._event("job", **told, what=record.spec.title)

    def end(self, totals: Mapping[str, Any]) -> None:
        """Tell how it ended."""
        self._event("end", **totals)


class Bar(Lines):
    """A progress bar with the time left, and the lines above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        super().__init__()
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]} left"),
        )
        self._progress = Progress(*columns, console=Console(), transient=True)
        self._task: TaskID | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def message(self, text: str) -> None:
        """Tell one line."""
        self._progress.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)

    def begin(self, jobs: int, finished: int) -> None:
        """Tell how many jobs there are to do, and how many were done before."""
        super().begin(jobs, finished)
        self._task = self._progress.add_task("", total=jobs, left="…")
        self._progress.start()

    def job(self, record: "JobRecord") -> None:
        """Tell the outcome of a job."""
        self._count(record)
        self.message(outcome(record))
        assert self._task is not None
        self._progress.update(self._task, completed=self.done, left=duration(self.left()))

    def end(self, totals: Mapping[str, Any]) -> None:
        """Tell how it ended."""
        self._progress.stop()
        super().end(totals)


def reporter(*, as_json: bool) -> Lines:
    """Return the reporter for this output: JSON if asked for, a bar on a terminal, else lines."""
    if as_json:
        return Json()
    return Bar() if sys.stdout.isatty() else Lines()
