"""Worker processes on this machine: each has its own device slot, and dies alone.

Every worker is a pool of its own, so that a process that is killed while it takes a job or hands
over a result can tear no pipe that another one uses.
"""

import errno
import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from multiprocessing import connection
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from stylebench import registry, runtime, store
from stylebench.errors import InputError, describe
from stylebench.store import JobRecord
from stylebench.sweeps.engines.tries import Group, Lost

STILLBORN = 2
"""Starts of each worker that may fail one after the other: then none will ever begin."""


def devices(device: str, count: int) -> list[str]:
    """Return the device of each of `count` workers: ``cuda`` stands for all GPUs in turn."""
    if device != "cuda":
        return [device] * count
    import torch

    return [f"cuda:{index % torch.cuda.device_count()}" for index in range(count)]


def plugin_files() -> list[Path]:
    """Return the files of the plug-ins that a worker has to load, for `begin`."""
    return [plugin.files[plugin.name] for plugin in registry.carried()]


def begin(plugins: Sequence[Path]) -> None:
    """Begin a worker process, with one thread: two with two each can be 100 times slower.

    What takes long to import is imported now, before the time of a job begins.
    """
    import stylebench.sweeps.job  # noqa: F401

    for file in plugins:
        registry.load_plugin(file)

    threading.Thread(target=_end_with_parent, daemon=True).start()
    runtime.configure(threads=1)


def _end_with_parent() -> None:
    """End this worker with its sweep, which may be killed: the next one runs the job again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _work(group: Group, out: Path, device: str) -> None:
    """Run a group; its records are read from where they are, so that messages stay small.

    A short one goes through a pipe whole or not at all, even when its writer is killed.
    """
    from stylebench.sweeps.job import run_jobs

    run_jobs(group, out, device)


def _refused(error: Exception) -> OSError:
    """Return the error of a system that has no process, thread or descriptor left for a worker."""
    why = describe(error.__cause__ or error)
    return OSError(
        errno.EAGAIN, f"a worker process cannot be started ({why}); use fewer --jobs, or see "
        "`ulimit -u` and `ulimit -n`"
    )  # fmt: skip


class _Worker:
    """One process on one device, started anew when it is lost."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._pool = self._start()
        self.group: Group = ()
        self.future: Future[None] | None = None

    def _start(self) -> ProcessPool:
        try:
            context = runtime.process_context()
        except OSError as error:
            raise _refused(error) from None
        args = [plugin_files()]
        return ProcessPool(max_workers=1, context=context, initializer=begin, initargs=args)

    def begin(self, group: Group, out: Path, limit: float) -> None:
        """Begin a group; OSError where the system has no process, thread or descriptor left."""
        self.group = group
        try:
            try:
                self._hand_over(out, limit)
            except RuntimeError:  # its process died while it had nothing to do, found out just now
                self._renew()
                self._hand_over(out, limit)
        except (RuntimeError, OSError) as error:
            raise _refused(error) from None

    def _hand_over(self, out: Path, limit: float) -> None:
        if not self._pool.active:  # the same
            self._renew()
        args, timeout = [self.group, out, self._device], limit * len(self.group) or None
        self.future = self._pool.schedule(_work, args=args, timeout=timeout)

    def _renew(self) -> None:
        self.stop()
        self.join()
        self._pool = self._start()

    def stop(self) -> None:
        self._pool.stop()

    def join(self) -> None:
        self._pool.join()


class LocalWorkers:
    """Workers of this machine, as `stylebench.sweeps.engines.tries.drive` wants them.

    Args:
        out: results folder.
        devices: one for each worker.
        limit: seconds for each job of a group; 0: none.
    """

    def __init__(self, out: Path, devices: Sequence[str], limit: float) -> None:
        self._out, self._limit = out, limit
        runtime.wait_passively()  # which the workers inherit
        self._workers = [_Worker(device) for device in devices]
        self._stillborn = 0

    def close(self) -> None:
        """Stop the workers, in the middle of a job if need be: nobody waits for it any more."""
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join()

    def free(self) -> bool:
        """Tell whether another group can begin."""
        return any(worker.future is None for worker in self._workers)

    def begin(self, group: Group) -> None:
        """Begin a group in a worker that has none."""
        idle = next(worker for worker in self._workers if worker.future is None)
        idle.begin(group, self._out, self._limit)

    def wait(self) -> tuple[Group, list[JobRecord] | Lost]:
        """Wait for any group that was begun; return it with its records, which are in place."""
        busy = {worker.future: worker for worker in self._workers if worker.future is not None}
        future = wait(busy, return_when=FIRST_COMPLETED).done.pop()
        worker = busy[future]
        worker.future = None
        try:
            future.result()
        except TimeoutError:
            return worker.group, Lost(f"took longer than its time limit of {self._limit:g} s")
        except (ProcessExpired, BrokenExecutor, CancelledError) as error:
            begun = not isinstance(error, BrokenExecutor)  # died before it took the group
            self._count(begun)
            return worker.group, Lost(f"the worker process died ({error}); out of memory?", begun)
        except (InputError, OSError):
            raise
        except Exception as error:
            return worker.group, Lost(f"its worker stopped: {type(error).__name__}: {error}")
        self._count(begun=True)
        found = [store.read_record(store.place(self._out, spec)) for spec in worker.group]
        records = [record for record in found if record is not None]
        whole = len(records) == len(found)
        return worker.group, records if whole else Lost("its folder was removed")

    def _count(self, begun: bool) -> None:
        """Count workers that end before they begin, one after the other; so many: InputError."""
        self._stillborn = 0 if begun else self._stillborn + 1
        if self._stillborn > STILLBORN * len(self._workers):
            raise InputError(
                "worker processes end before they begin, for the reason on standard error; a "
                "script that runs a sweep with jobs needs `if __name__ == '__main__':` around it"
            )
