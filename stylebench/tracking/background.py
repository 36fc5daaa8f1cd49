"""When jobs are logged: by one thread, beside the sweep, which never waits for it.

The queue holds names of jobs; what is logged is read from the results folder when its turn has
come, so that a server that is away for days costs no memory. Nothing is lost with the thread: what
MLflow lacks is found by the next run of the sweep, or by ``stylebench track``.
"""

import contextlib
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

from stylebench import files, store
from stylebench.errors import InputError, masked
from stylebench.tracking.address import OFF, is_elsewhere, is_proven, reason
from stylebench.tracking.mlflow import Tracker
from stylebench.tracking.place import EXPERIMENT, OWN, URI, Place

FIRST, LONGEST, LAST = 1.0, 60.0, 5.0
"""Seconds before the first new try, doubled up to the longest, or the last when a sweep ends."""
TRIES = 3
"""Of one job while the server answers; then the fault is the job's, and the next has its turn."""
PATIENCE = 30.0
"""Seconds that the end of a sweep waits for a server that gets nothing done."""
INTERRUPTED = 2.0
"""Seconds that an interrupt leaves to the job that is being logged."""

Tell = Callable[[str], None]


class Writer:
    """Logs what is in a results folder, and what is put later, in a thread of its own.

    Messages are told by the thread that calls `put` and `close`: no two threads print at once.

    Attributes:
        logged: number of jobs that this has logged.
        there: number of jobs that were in MLflow before.
        missing: jobs that are not in MLflow (yet).
        late: whether `close` gave up, or something beside the jobs is not in MLflow.
    """

    def __init__(self, tracker: Tracker, out: Path, tell: Tell, place: Place = OWN) -> None:
        self.logged = self.there = 0
        self.missing: set[str] = set()
        self.late = False
        self._tracker, self._out, self._tell, self._place = tracker, out, tell, place
        self._jobs: set[str] = set()
        self._queue: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._messages: deque[str] = deque()
        self._done, self._wait = 0, FIRST
        self._away = self._was_away = self._closing = self._stopped = False
        self._wake = threading.Event()
        for kind in ("statistics", "transfer"):
            for folder in files.listed(out / store.FOLDERS[kind], out):
                self.put(kind, folder.name)
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
        self._thread.start()

    def put(self, kind: str, job_id: str) -> None:
        """Have a finished job of kind ``transfer`` or ``statistics`` logged; return at once."""
        if kind == "transfer":
            self._jobs.add(job_id)
            self.missing.add(job_id)
        self._queue.put((kind, job_id))
        self._tell_all()

    def put_metrics(self) -> None:
        """Have what judges said of the jobs since logged."""
        for job_id in self._jobs if files.exists(self._out / "metrics.parquet", self._out) else ():
            self._queue.put(("metrics", job_id))

    def close(self) -> None:
        """Wait for all that was put, and for the sweep's own run, as long as there is progress.

        What is missing then is told in one line.
        """
        self._closing = True
        self._queue.put(("sweep", ""))
        self._wake.set()
        done, since = self._done, time.monotonic()
        while self._thread.is_alive() and time.monotonic() - since < PATIENCE:
            self._thread.join(0.1)
            if self._done != done:
                done, since = self._done, time.monotonic()
            self._tell_all()
        self.late = self.late or self._thread.is_alive()
        self.stop()
        self._tell_all()
        if self.late or self.missing:
            address = "" if self._tracker.own else self.address
            what = f"{len(self.missing)} of {len(self._jobs)} jobs are" if self.missing else ""
            self._tell(
                f"{what or 'figures or statistics are'} not in MLflow; "
                f"complete with `{completing(self._out, self._place, address)}`"
            )

    def stop(self, seconds: float = 0.0) -> None:
        """Give up what is not logged; wait so long for the job that is being logged."""
        self._stopped = True
        self._wake.set()
        self._thread.join(seconds)

    @property
    def address(self) -> str:
        """Where the jobs go, without a password."""
        return masked(self._tracker.uri)

    def _tell_all(self) -> None:
        while self._messages:
            self._tell(self._messages.popleft())

    def _run(self) -> None:
        kind = ""
        while kind != "sweep" and not self._stopped:
            kind, job_id = self._queue.get()
            self._insist(kind, job_id)

    def _insist(self, kind: str, job_id: str) -> None:
        """Log one thing; if MLflow does not answer, as often as it takes."""
        tries = 0
        if kind == "sweep" and self._was_away:  # what had timed out may have been done since
            self._tracker.connected = False
        while not self._stopped:
            try:
                if not self._tracker.connected:
                    self._tracker.connect()
                tries += 1
                self._log(kind, job_id)
            except InputError as error:
                self._messages.append(f"not in MLflow: {error}")
                self.late = self.late or kind != "transfer"
            except Exception as error:
                self._tracker.connected = False
                if tries < TRIES:
                    self._pause(error)
                    continue
                said = reason(error, self._tracker.uri)
                self._messages.append(f"{job_id or 'the sweep'} is not in MLflow: {said}")
                self.late = self.late or kind != "transfer"
            else:
                self._answered()
                self._done += 1
            return

    def _log(self, kind: str, job_id: str) -> None:
        if kind == "statistics":
            self._tracker.learn(job_id)
        elif kind == "sweep":
            self._tracker.finish()
        elif kind == "metrics":
            self._tracker.complete(job_id)
        else:
            new = self._tracker.log(job_id)
            self.logged += new is True
            self.there += new is False
            self.missing.discard(job_id)

    def _pause(self, error: Exception) -> None:
        meanwhile = (
            f"waiting {PATIENCE:.0f} s for it"
            if self._closing
            else "the sweep goes on, what is missing is logged later"
        )
        if not self._away:
            self._messages.append(
                f"MLflow does not answer ({reason(error, self._tracker.uri)}); {meanwhile}"
            )
        self._away = self._was_away = True
        self._wake.wait(min(self._wait, LAST if self._closing else LONGEST))
        if not self._stopped:
            self._wake.clear()
        self._wait = min(2 * self._wait, LONGEST)

    def _answered(self) -> None:
        if self._away:
            self._messages.append("MLflow is back")
        self._away, self._wait = False, FIRST


@contextlib.contextmanager
def opened(
    out: Path, name: str, place: Place, tell: Tell
) -> Iterator[Callable[[store.JobRecord], None]]:
    """Yield a function that takes the records of a sweep's jobs, and logs them in its own time.

    An address that has never answered for this results folder is taken for a wrong one, one that
    has for a server that is down, which does not stop a sweep. Without an address, the database in
    the results folder is written; if it cannot be, the sweep is not tracked. With ``off`` MLflow
    is not even imported.

    Args:
        out: results folder.
        name: of the sweep.
        place: where to.
        tell: takes messages.

    Raises:
        InputError: the address is wrong.
    """
    if place.told:
        tell(place.told)
    if place.uri == OFF:
        yield lambda record: None
        return
    try:
        tracker = _tracker(out, place, name)
        if place.uri is None or not tracker.proven:
            _check(tracker, place)
    except InputError as error:
        if place.uri is not None:
            raise
        tell(f"not tracked: {error}")
        yield lambda record: None
        return
    _check_experiment(tracker, place)
    writer = Writer(tracker, out, tell, place)
    try:
        yield lambda record: writer.put(record.kind, record.job_id)
        writer.put_metrics()
        writer.close()
    except BaseException:
        writer.stop(INTERRUPTED)
        raise


def _tracker(out: Path, place: Place, name: str = "") -> Tracker:
    return Tracker(out, place.uri, name, experiment=place.experiment, tags=place.tags)


def _check(tracker: Tracker, place: Place) -> None:
    """Connect; who is told that there is no answer is told whose address it is."""
    try:
        tracker.check()
    except InputError as error:
        if URI not in place.variables:
            raise
        raise InputError(
            f"{error} (the address is ${URI}; --tracking-uri goes before it, `{OFF}`: no tracking)"
        ) from None


def _check_experiment(tracker: Tracker, place: Place) -> None:
    """Refuse another experiment that a flag names; that of the environment is for new sweeps."""
    if not place.experiment or EXPERIMENT in place.variables:
        return
    if not tracker.connected:
        with contextlib.suppress(Exception):  # it is down: the thread tries again
            tracker.connect()
    if tracker.connected:
        tracker.check_experiment()


def check(out: Path) -> None:
    """Raise InputError for a folder that holds no jobs."""
    if not any(files.exists(job / "record.json", out) for job in files.listed(out / "jobs", out)):
        raise InputError(
            f"{str(out)!r} holds no jobs (no jobs/*/record.json); expected a results folder of "
            "`stylebench sweep`"
        )


def complete(out: Path, place: Place, tell: Tell) -> Writer:
    """Log what MLflow lacks of a results folder, and return the writer that has done it.

    Args:
        out: results folder.
        place: where to.
        tell: takes messages.

    Raises:
        InputError: the folder holds no jobs, or there is no MLflow at this address.
    """
    if place.uri == OFF:
        raise InputError(f"--tracking-uri {OFF} is of a sweep; expected the address of an MLflow")
    if place.told:
        tell(place.told)
    check(out)
    if left := store.survey(out)[1]:
        tell(f"not logged: {store.told(left)}")
    tracker = _tracker(out, place)
    _check(tracker, place)
    _check_experiment(tracker, place)
    writer = Writer(tracker, out, tell, place)
    try:
        writer.close()
    except BaseException:
        writer.stop(INTERRUPTED)
        raise
    return writer


def completing(out: Path, place: Place, address: str = "") -> str:
    """Return the command that logs what MLflow lacks; an experiment of the environment stays there.

    Args:
        out: results folder.
        place: of its jobs.
        address: of MLflow, without a password; "" for the database in the folder.
    """
    given = ["--tracking-uri", address] if address else []
    if place.experiment and EXPERIMENT not in place.variables:
        given += ["--experiment-name", place.experiment]
    for key, value in place.tags.items():
        given += ["--tag", f"{key}={value}"]
    return shlex.join(["stylebench", "track", str(out), *given])


def is_tracked(out: Path, place: Place) -> bool:
    """Tell whether a folder's jobs are at a place: what only the environment names may be new."""
    if place.uri == OFF:
        return False
    if place.uri is None:
        return (out / "mlflow.db").exists()
    return URI not in place.variables or is_proven(out, place.uri)


def is_tracked_elsewhere(out: Path, place: Place) -> bool:
    """Tell whether a folder's jobs are on a server alone that only who began them can name."""
    return place.uri != OFF and not (out / "mlflow.db").exists() and is_elsewhere(out)
