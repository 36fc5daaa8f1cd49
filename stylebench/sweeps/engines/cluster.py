"""Workers on a Ray cluster, without storage that the machines share: files travel with the jobs.

A task gets its specs and, through Ray's object store, the pictures and weights that its machine
does not have; it returns the files of the job folders, which this process writes into place. So
machines need stylebench and Ray, and nothing else of this one. A task that is lost with its process
or machine is tried again by `stylebench.sweeps.engines.tries`, not by Ray.
"""

import atexit
import faulthandler
import functools
import importlib
import logging
import os
import platform
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stylebench import __version__, images, runtime, store
from stylebench.config import ImageRef, PassSpec, Spec, Stylisation, WeightsRef
from stylebench.errors import InputError, JobError, published
from stylebench.registry import carried, load_plugin
from stylebench.store import JobRecord
from stylebench.sweeps.engines import head
from stylebench.sweeps.engines.head import Head
from stylebench.sweeps.engines.options import EngineOptions
from stylebench.sweeps.engines.tries import Group, Lost

LONGEST = 1e9
"""Seconds; Python's watchdog refuses much more."""
ENDING = 10.0
"""Seconds for tasks to end that are stopped, and for Ray to leave a cluster whose head is lost."""
STARTED = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3600",
}
"""Environment of a cluster that is started or joined here. Ray gives its workers a niceness of 15,
with which tasks get a thirtieth of a core that another program wants too; and it ends a process
whose cluster's head is silent for a minute, in the middle of whatever it does."""
Files = dict[str, bytes]
"""The files of a job folder by name."""


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise InputError(
            "--engine ray needs Ray, which is not installed: pip install 'stylebench[ray]'"
        ) from None


def inputs(spec: Spec) -> dict[str, str]:
    """Return the files that a job reads: path -> sha256, or its first digits."""
    pictures = spec.pictures if isinstance(spec, Stylisation) else spec.images
    found = {p.ref: p.digest for p in pictures if not p.ref.startswith(images.PREFIX)}
    encoder = spec.encoder if isinstance(spec, PassSpec) else None
    weights = [ref for ref in (spec.weights, encoder) if ref and ref.path]
    return found | {ref.path: ref.sha256 for ref in weights}


def moved(spec: Spec, places: dict[str, str]) -> Spec:
    """Return a job that reads its files elsewhere: it is the same job (`JobSpec.job_id`)."""

    def there(ref: WeightsRef) -> WeightsRef:
        return ref.model_copy(update={"path": places.get(ref.path, ref.path)})

    weights = there(spec.weights)

    def at(image: ImageRef) -> ImageRef:
        return image.model_copy(update={"ref": places.get(image.ref, image.ref)})

    if isinstance(spec, PassSpec):
        encoder = spec.encoder and there(spec.encoder)
        own = {"weights": weights, "encoder": encoder}
        return spec.with_pictures(at).model_copy(update=own)
    if isinstance(spec, Stylisation):
        return spec.with_pictures(at).model_copy(update={"weights": weights})
    return spec.model_copy(update={"weights": weights, "images": tuple(map(at, spec.images))})


def _has(path: Path, digest: str) -> bool:
    from stylebench.weights.files import sha256

    try:
        return sha256(path).startswith(digest)
    except OSError:
        return False


@functools.cache
def _cache() -> Path:
    """Return a folder for files from elsewhere; it is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="stylebench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _fetch(specs: Iterable[Spec], sent: dict[str, Any]) -> dict[str, str]:
    """Return path -> path on this machine of the files of jobs that lie elsewhere here."""
    ray, places = _ray(), {}
    for path, digest in {k: v for spec in specs for k, v in inputs(spec).items()}.items():
        if path not in sent or _has(Path(path), digest):
            continue
        place = _cache() / f"{digest}{Path(path).suffix}"
        if not place.exists():
            place.write_bytes(ray.get(sent[path]))
        places[path] = str(place)
    return places


def _plug_in(plugins: Sequence[dict[str, bytes]]) -> None:
    """Load plug-ins on the machine of a task: each the names and sources of its files."""
    for files in plugins:
        first = next(iter(files))
        folder = _cache() / Path(first).stem
        for name, source in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(source)
        load_plugin(folder / first)


def _work(
    group: Group,
    device: str,
    limit: float,
    sent: dict[str, Any],
    version: str,
    plugins: Sequence[dict[str, bytes]] = (),
) -> Iterator[list[Files]]:
    """Run a group on the machine of this task: yield nothing yet, then its job folders.

    The first tells that the task has begun. A task that is lost before was sent to a worker that
    was dead already: its jobs are not to blame.
    """
    runtime.wait_passively()
    yield []
    if version != __version__:
        raise InputError(
            f"the machine {platform.node()} has stylebench {__version__}, this one {version}; "
            "install the same on all machines of the cluster"
        )
    from stylebench.sweeps.job import run_jobs

    runtime.configure(threads=1)
    if limit:  # a watchdog that no hanging call can hold up, in C
        faulthandler.dump_traceback_later(min(limit * len(group), LONGEST), exit=True)
    try:
        _plug_in(plugins)
        places = _fetch(group, sent)
        with tempfile.TemporaryDirectory(prefix="stylebench-") as folder:
            out = Path(folder)
            specs = [moved(spec, places) for spec in group]
            run_jobs(specs, out, device)
            folders = [store.place(out, spec) for spec in specs]
            yield [{f.name: f.read_bytes() for f in place.iterdir()} for place in folders]
    finally:
        faulthandler.cancel_dump_traceback_later()


class RayWorkers:
    """Tasks of a Ray cluster, as `stylebench.sweeps.engines.tries.drive` wants them.

    Args:
        groups: all groups of jobs.
        out: results folder, on this machine.
        options: `address` of the cluster; on ``cuda`` a task takes one GPU, else one core.

    Raises:
        InputError: no Ray, no such cluster, or no room in it.
    """

    def __init__(self, groups: Sequence[Group], out: Path, options: EngineOptions) -> None:
        self._ray = ray = _ray()
        self._out, self._options = out, options
        self._mine = not ray.is_initialized()
        if self._mine:
            _connect(ray, options.address)
        elif options.address not in (None, joined := ray.get_runtime_context().gcs_address):
            raise InputError(
                f"this process has joined the Ray cluster at {joined}, not {options.address}; "
                "leave out the address, or call ray.shutdown() before"
            )
        gpus = int(options.device.startswith("cuda"))
        self._kind = "GPU" if gpus else "CPU"
        needs = {"num_cpus": 1 - gpus, "num_gpus": gpus}
        task = ray.remote(_work).options(**needs, max_retries=0, num_returns="streaming")
        self._task = task.remote
        self._gone = False
        self._running: dict[Any, Group] = {}
        self._begun: set[Any] = set()
        self._refused: list[tuple[Group, Lost]] = []
        self._sent: dict[str, Any] = {}
        self._plugins = [
            {name: path.read_bytes() for name, path in plugin.files.items()} for plugin in carried()
        ]
        self._head = Head(ray)
        if not self._room():
            self.close()
            raise InputError(
                f"the Ray cluster has no {self._kind}; add machines that have, or say with --jobs "
                "how many it will have"
            )

    def _room(self) -> int:
        """Return how many tasks the cluster runs at once now, machines come and go."""
        return self._options.workers or self._head.count(self._kind)

    def _leave(self) -> None:
        self._head.close()
        if not self._mine:
            return
        if not self._gone:
            self._ray.shutdown()
        elif self._head.has_node():
            left = threading.Thread(target=self._ray.shutdown, daemon=True)
            left.start()
            left.join(ENDING)
        else:  # asked to leave, Ray would end this process
            atexit.unregister(self._ray.shutdown)

    def close(self) -> None:
        """Stop the tasks, in the middle of a job if need be: nobody waits for it any more."""
        tasks = [] if self._gone else list(self._running)
        for task in tasks:
            self._ray.cancel(task, force=True)
        if tasks:  # until their workers are known to be dead, Ray may give them the next tasks
            ends = [task.completed() for task in tasks]
            self._ray.wait(ends, num_returns=len(ends), timeout=ENDING, fetch_local=False)
        self._leave()

    def free(self) -> bool:
        """Tell whether another group can begin."""
        return not self._refused and len(self._running) < max(1, self._room())

    def begin(self, group: Group) -> None:
        """Send a group, and what it reads, to the cluster."""
        self._check()
        sent: dict[str, Any] = {}
        for path in {path for spec in group for path in inputs(spec)}:
            if path not in self._sent:
                try:
                    self._sent[path] = self._ray.put(Path(path).read_bytes())
                except OSError:  # the job itself will say so
                    continue
                except self._ray.exceptions.RayError as error:
                    why = f"the cluster cannot take {published(path)} ({_first(error)})"
                    self._sent.clear()  # Ray drops those that no task needs
                    self._refused.append((group, Lost(why, begun=not self._running)))
                    return
            sent[path] = self._sent[path]
        limit, device = self._options.time_limit, self._options.device
        self._running[self._task(group, device, limit, sent, __version__, self._plugins)] = group

    def wait(self) -> tuple[Group, list[JobRecord] | Lost]:
        """Wait for any group that was begun; return it with its records, which are in place."""
        if self._refused and not self._running:  # whose end may make room
            return self._refused.pop()
        while True:
            ready, _ = self._ray.wait(
                list(self._running), num_returns=1, timeout=head.ASKED, fetch_local=False
            )
            self._check()
            if not ready:
                continue
            (task,) = ready
            try:
                folders = self._ray.get(next(task))
            except self._ray.exceptions.RayError as error:
                self._check()
                begun = task in self._begun
                return self._end(task), self._lost(error, begun)
            if task in self._begun:
                break
            self._begun.add(task)
        group = self._end(task)
        records = [self._write(*pair) for pair in zip(group, folders, strict=True)]
        whole = [record for record in records if record is not None]
        return group, whole if len(whole) == len(group) else Lost("its files did not come whole")

    def _check(self) -> None:
        """Give the cluster up if it is lost: its jobs are left to do, none is to blame.

        Raises:
            JobError: it is.
        """
        if trouble := self._head.trouble():
            self._gone = True
            raise JobError(
                f"the Ray cluster is lost: {trouble}; what is finished is kept, run the same "
                "command again when there is a cluster"
            )

    def _end(self, task: Any) -> Group:
        self._begun.discard(task)
        return self._running.pop(task)

    def _lost(self, error: Exception, begun: bool) -> Lost:
        """Return why a task was lost; raise what is wrong with the input, which it found."""
        if isinstance(error, self._ray.exceptions.RayTaskError):
            if isinstance(error.cause, InputError):
                raise error.cause from None
            return Lost(f"{type(error.cause).__name__} on its machine: {error.cause}")
        if isinstance(error, self._ray.exceptions.OutOfMemoryError):
            return Lost(f"its machine ran out of memory ({_first(error)})", begun)
        limit = self._options.time_limit
        more = f", or it took longer than its time limit of {limit:g} s" if limit else ""
        return Lost(f"its worker was lost ({_first(error)}){more}", begun)

    def _write(self, spec: Spec, files: Files) -> JobRecord | None:
        """Put a job folder in place; return its record, with the paths of this machine."""
        with store.job_folder(self._out, spec.kind, spec.job_id) as folder:
            for name, content in files.items():
                (folder / name).write_bytes(content)
            record = store.read_record(folder, spec.job_id)
            if record is not None:
                record = record.model_copy(update={"spec": spec})
                store.write_record(folder, record)
        return record


def _first(error: Exception) -> str:
    """Return what an error of Ray says first; advice and logs follow on lines of their own."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _connect(ray: Any, address: str | None) -> None:
    """Join a cluster, or start one on this machine; Ray's own news stay out of ours."""
    for name, value in STARTED.items():
        os.environ.setdefault(name, value)
    where = address or os.environ.get("RAY_ADDRESS") or ""
    if where.startswith("ray://"):
        raise InputError(
            f"expected the address of a Ray cluster's own port, as HOST:6379, found {where}: "
            "Ray's client server cannot tell that a task has begun"
        )
    keys = {"address": where} if where else {"address": "local", "include_dashboard": False}
    try:
        _reach(where)
        ray._private.worker.print_to_stdstream = lambda *_, **__: None  # which has no switch
        about = _job_config(ray)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, job_config=about, **keys)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"no Ray cluster at {where or 'this machine'}: {first}") from None


def _job_config(ray: Any) -> Any:
    """Return a JobConfig by which Ray's workers import nothing from the working directory of here.

    Ray puts that first on their path, unless a job has one of its own: then theirs is to be empty.
    """

    class Elsewhere(ray.job_config.JobConfig):  # type: ignore[misc]
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    return Elsewhere()


def _reach(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself tries for minutes, then ends the process."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
