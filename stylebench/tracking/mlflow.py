"""Jobs into MLflow: one parent run a sweep, one child a job, each job once.

MLflow is a view of the results folder, which holds the truth: all is read from there, so that what
is missing can be logged at any time. `stylebench.tracking.background` says when, and what if
MLflow is away.

An outcome of a job is known by the job's id and when it ended, wherever it was logged from: a copy
of a results folder logs nothing again. A run is a folder's own, which may replace it, by its tag
``stylebench.out`` (`stylebench.tracking.address.identities`).

A job's run has result.png and record.json. Content and style pictures are the same for many jobs:
they lie once in the parent; a copy in every run would be two thirds of all bytes.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from stylebench import files, store
from stylebench.errors import InputError, published
from stylebench.tracking import address, view

BATCH = 900
"""Metrics in one request; MLflow takes 1000 of metrics, parameters and tags together."""
EXPERIMENTS = 500
"""Experiments in one search for runs: each is a variable of an SQL statement."""
PAGE = 200
"""Runs in one answer: each comes with all that it holds."""


class Run(NamedTuple):
    """What is remembered of the run of a job; `stamp` is empty if it was logged in part.

    `judged` is the digest of its metrics, `lacking` are tags that it is to have.
    """

    run_id: str
    stamp: str
    statistics: bool
    judged: str = ""
    lacking: Mapping[str, str] = {}

    @property
    def ended(self) -> float:
        """When the job ended; before all others if the run was logged in part."""
        return float(self.stamp.split()[-1]) if self.stamp else float("-inf")


class Tracker:
    """Writes the jobs of one results folder to an MLflow server or database.

    A job belongs to the last sweep that had begun when it ended, to the first if none had.
    manifest.json says when sweeps began: one that was run again, when it last did. The MLflow
    experiment is the one where the sweep has its runs already, else `experiment`, else that of the
    sweep's name.

    `connect` comes first, and again after any exception that is not an InputError: such are
    MLflow's, or of the network.

    Attributes:
        uri: address of the server or database.
        own: whether it is the database in the results folder, which moves with it.
        connected: whether it is known what MLflow has; who catches an exception makes it false.

    Args:
        out: results folder.
        uri: of the tracking server; None means ``sqlite:///OUT/mlflow.db``.
        name: of the sweep that begins now; "" for none, which means all those of manifest.json.
        experiment: of MLflow; "" for the names of the sweeps.
        tags: of every run.

    Raises:
        InputError: no MLflow can be at this address, or none is installed.
    """

    def __init__(
        self, out: Path, uri: str | None = None, name: str = "", *, experiment: str = "",
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self._out, self._name, self._began = out, name, time.time()
        self._client, self.uri, self.own = address.connection(out, uri)
        self._known: dict[str, Run] = {}
        self._parents: dict[str, tuple[str, str]] = {}
        self._named, self._tags = experiment, tags
        self._experiments: dict[str, tuple[str, Any]] = {}
        self._means: dict[view.Key, list[view.Number]] = {}
        self._sweeps: list[tuple[float, str]] = []
        self._live: dict[str, str] = {}
        self._before = {folder.name for folder in files.listed(out / "jobs", out)}
        self._elsewhere: set[str] = set()
        self.connected = False

    def check(self) -> None:
        """Connect at the start, where an address that does not answer is taken for a wrong one.

        Raises:
            InputError: there is no answer.
        """
        try:
            self.connect()
        except Exception as error:
            raise address.refused(self.uri, error, self._out if self.own else None) from None

    def check_experiment(self) -> None:
        """Raise InputError where a sweep has its runs in another experiment: they cannot move.

        The sweep that begins now is looked at alone, as those before it stay where they are.
        """
        for sweep in self._meant() if self._named else ():
            there = self._live[self._parents[sweep][0]] if sweep in self._parents else self._named
            if there != self._named:
                raise InputError(
                    f"--experiment-name {self._named!r}: the sweep {sweep!r} has its runs in "
                    f"{there!r}, and MLflow moves none; give that name or none"
                )

    def _meant(self) -> list[str]:
        """Return the sweep that begins now; if none does, all those of the folder."""
        every = dict.fromkeys(name for _, name in self._sweeps)
        return [self._name] if self._name else list(every)

    @property
    def proven(self) -> bool:
        """Whether this address has answered for this folder before: then it is not mistyped."""
        return address.is_proven(self._out, self.uri)

    def connect(self) -> None:
        """Find what MLflow has from this results folder; of what it has twice, keep the newest.

        A request that is carried out after it has timed out leaves a second run.
        """
        known, parents, used = dict[str, Run](), list[tuple[str, str, str]](), set[str]()
        second, remnants = list[str](), list[str]()
        now = [(self._began, self._name)] if self._name else []
        nobody = [(0.0, self._out.resolve().name or "stylebench")]  # made by `stylebench run-job`
        self._sweeps = sorted([*view.sweeps(self._out), *now]) or nobody
        self._restore()
        for info, tags in self._find_runs():
            if "mlflow.parentRunId" not in tags:
                of = tags.get("stylebench.sweep", self._live[info.experiment_id])
                parents.append((of, info.experiment_id, info.run_id))
                continue
            used.add(tags["mlflow.parentRunId"])
            if "job_id" not in tags:  # `_drop` was cut off
                remnants.append(info.run_id)
                continue
            stamp = "" if info.status == "RUNNING" else tags.get("stylebench.logged", "")
            lacking = {key: v for key, v in self._tags.items() if tags.get(key) != v}
            judged = tags.get("stylebench.judged", "")
            statistics = "stylebench.statistics" in tags
            found = Run(info.run_id, stamp, statistics, judged, lacking)
            both = [known[tags["job_id"]]] if tags["job_id"] in known else []
            *worse, best = sorted([*both, found], key=lambda run: run.ended)
            known[tags["job_id"]] = best
            second += [run.run_id for run in worse]
        self._known, self._parents, self._experiments = known, {}, {}
        for sweep, place, run_id in sorted(parents, key=lambda each: each[-1] not in used):
            kept = self._parents.setdefault(sweep, (place, run_id))
            if kept[-1] != run_id and run_id not in used:
                remnants.append(run_id)
        for run_id in second:
            self._drop(run_id)
        for run_id in remnants:
            self._client.delete_run(run_id)
        if not self.proven:
            address.remember(self._out, self.uri)
        self.connected = True

    def _restore(self) -> None:
        """Restore the experiments of the sweeps if they were deleted, and with them their runs.

        Runs are searched for in live experiments: those that come back later would be second ones.
        """
        for name in {*(name for _, name in self._sweeps), self._named} - {""}:
            found = self._client.get_experiment_by_name(name)
            if found is not None and found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)

    def _find_runs(self) -> Iterator[tuple[Any, Mapping[str, str]]]:
        """Yield what MLflow knows of, and the tags of, every run from this results folder."""
        live = _pages(self._client.search_experiments)
        self._live = {found.experiment_id: found.name for found in live}
        for identity in address.identities(self._out, own=self.own):
            yield from self._search(f"tags.`stylebench.out` = '{identity}'")

    def _search(self, where: str) -> Iterator[tuple[Any, Mapping[str, str]]]:
        for some in _batches(self._live, EXPERIMENTS):
            for run in _pages(self._client.search_runs, some, where, max_results=PAGE):
                yield run.info, run.data.tags

    def _is_elsewhere(self, job_id: str, stamp: str) -> bool:
        """Tell whether an outcome that was in this folder at the start is logged from another."""
        if job_id not in self._before or not job_id.isalnum():
            return False
        where = f"tags.job_id = '{job_id}' and tags.`stylebench.logged` = '{stamp}'"
        return any(info.status != "RUNNING" for info, _ in self._search(where))

    def _drop(self, run_id: str) -> None:
        """Delete the run of an earlier outcome, one that was logged in part, or a second one.

        MLflow refuses other values of parameters and keeps both histories of metrics.
        """
        self._client.delete_tag(run_id, "job_id")
        self._client.delete_run(run_id)

    def _experiment(self, sweep: str) -> tuple[str, Any]:
        """Return the id of a sweep's experiment, and where the artifacts of its runs go."""
        if sweep not in self._experiments:
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            place = address.artifacts(self.uri)
            name = self._named or sweep
            if sweep in self._parents:
                found = self._client.get_experiment(self._parents[sweep][0])
            else:
                found = self._client.get_experiment_by_name(name)
            if found is None:
                found = self._client.get_experiment(self._client.create_experiment(name, place))
            location = found.artifact_location
            if self.own and place and location != place:
                address.move_artifacts(self._out / "mlflow.db", location, place)
                location = place
            repository = get_artifact_repository(location, tracking_uri=self.uri)
            self._experiments[sweep] = str(found.experiment_id), repository
        return self._experiments[sweep]

    def _sweep(self, ended: float) -> str:
        """Return the name of the sweep that a job belongs to."""
        names = [name for began, name in self._sweeps if began <= ended]
        return names[-1] if names else self._sweeps[0][1]

    def _parent(self, sweep: str) -> str:
        if sweep not in self._parents:
            made = self._create(sweep, sweep, {"stylebench.sweep": sweep})
            self._parents[sweep] = self._experiment(sweep)[0], made
        return self._parents[sweep][1]

    def _create(
        self, sweep: str, title: str, tags: Mapping[str, str], began: float | None = None
    ) -> str:
        experiment, _ = self._experiment(sweep)
        mine = address.identities(self._out, own=self.own)[0]
        tags = {**self._tags, "stylebench.out": mine, "mlflow.runName": title, **tags}
        start = None if began is None else int(began * 1000)
        return str(self._client.create_run(experiment, start, tags).info.run_id)

    def _upload(self, sweep: str, run_id: str, paths: Iterable[Path], folder: str = "") -> None:
        """Log artifacts through the experiment: MLflow's client asks for the place of each run."""
        _, repository = self._experiment(sweep)
        for path in (path for path in paths if view.is_ours(path, self._out)):
            repository.log_artifact(str(path), f"{run_id}/artifacts/{folder}".rstrip("/"))

    def _upload_json(self, sweep: str, run_id: str, name: str, content: Any) -> None:
        """Log a JSON file as others may see it: those of the folder have paths of this machine."""
        _, repository = self._experiment(sweep)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            repository.log_artifact(str(path), f"{run_id}/artifacts")

    def _measure(
        self, run_id: str, seconds: float, numbers: Iterable[view.Number], **first: Any
    ) -> None:
        """Log numbers of a job, of that time, in few requests, the first one with `first`."""
        from mlflow.entities import Metric

        when = int(seconds * 1000)
        metrics = (Metric(name, value, when, step) for name, step, value in numbers)
        for batch in list(_batches(metrics, BATCH)) or [[]]:
            self._client.log_batch(run_id, batch, **first)
            first = {}

    def learn(self, job_id: str) -> None:
        """Read the statistics of a backbone: jobs that use it are logged with them.

        Raises:
            InputError: their folder is damaged.
        """
        self._means |= view.read_means(self._out, job_id)

    def log(self, job_id: str) -> bool | None:
        """Log a job; one that is there with the same outcome is completed, not logged again.

        Returns:
            Whether it was logged, not there before; None if there is no such job.

        Raises:
            InputError: the job's folder is damaged.
        """
        from mlflow.entities import Param

        entry, known = view.read(self._out, job_id), self._known.get(job_id)
        if entry is None:
            return None
        if known is not None:
            if known.stamp == entry.stamp:
                self.complete(job_id)
                return False
            self._drop(known.run_id)
            del self._known[job_id]
        if self._is_elsewhere(job_id, entry.stamp):
            self._elsewhere.add(job_id)
            return False
        ok = entry.status == "ok"
        means = self._means.get(entry.key, []) if ok else []
        judged = view.read_judged(self._out, job_id) if ok else {}
        told = view.digest(judged)
        sweep = self._sweep(entry.ended)
        tags = {
            "job_id": job_id,
            "mlflow.parentRunId": self._parent(sweep),
            "status": entry.status,
            "stylebench.logged": entry.stamp,  # and the run has ended: then it is whole
            **({"error": entry.error} if entry.error else {}),
            **({"stylebench.statistics": str(len(means))} if means else {}),
            **({"stylebench.judged": told} if told else {}),
        }
        run_id = self._create(sweep, entry.title, tags, entry.began)
        self._upload(sweep, run_id, entry.files)
        if entry.record:
            self._upload_json(sweep, run_id, "record.json", entry.record)
        params = [Param(name, value) for name, value in entry.params.items()]
        metrics = [(name, 0, value) for name, value in judged.items()]
        self._measure(run_id, entry.ended, [*entry.numbers, *means, *metrics], params=params)
        status = "FINISHED" if ok else "FAILED"
        self._client.set_terminated(run_id, status, int(entry.ended * 1000))
        self._known[job_id] = Run(run_id, entry.stamp, bool(means), told)
        return True

    def complete(self, job_id: str) -> None:
        """Give the run of a job what came after it: metrics of judges, tags."""
        run = self._known.get(job_id)
        if run is None or not run.stamp:
            return
        for key, value in run.lacking.items():
            self._client.set_tag(run.run_id, key, value)
        judged = view.read_judged(self._out, job_id) if run.stamp.startswith("ok ") else {}
        told = view.digest(judged)
        if told and told != run.judged:
            there = self._client.get_run(run.run_id).data.metrics
            new = [(name, 0, v) for name, v in judged.items() if there.get(name) != v]
            self._measure(run.run_id, time.time(), new)
            self._client.set_tag(run.run_id, "stylebench.judged", told)
        self._known[job_id] = run._replace(judged=told or run.judged, lacking={})

    def finish(self) -> None:
        """Log the sweeps themselves, and statistics that were measured after their jobs."""
        if self._elsewhere and not self._known:  # a copy, of which nothing was logged
            return
        for job_id, run in self._known.items() if self._means else ():
            if run.stamp.startswith("ok ") and not run.statistics:
                self._add_statistics(job_id, run)
        runs = published(store.read_manifest(self._out).get("runs", []))
        for name in self._meant():
            parent = self._parent(name)
            mine = [run["command"] for run in runs if (run.get("config") or {}).get("name") == name]
            for key, value in {**self._tags, "command": "\n".join(dict.fromkeys(mine))}.items():
                self._client.set_tag(parent, key, value)
            if runs:
                self._upload_json(name, parent, "manifest.json", {"runs": runs})
            self._upload(name, parent, view.listed(self._out, "figures/[!.]*", "tables/[!.]*"))
            pictures = view.listed(self._out, "images/content_*", "images/style_*")
            self._upload(name, parent, pictures, "images")
            self._client.set_terminated(parent, "FINISHED")

    def _add_statistics(self, job_id: str, run: Run) -> None:
        entry = view.read(self._out, job_id)
        if entry is not None and entry.stamp == run.stamp and entry.key in self._means:
            means = self._means[entry.key]
            self._measure(run.run_id, entry.ended, means)
            self._client.set_tag(run.run_id, "stylebench.statistics", str(len(means)))
            self._known[job_id] = run._replace(statistics=True)


def _pages(search: Callable[..., Any], *args: Any, **settings: Any) -> Iterator[Any]:
    """Yield what a search of MLflow finds, which comes in pages."""
    token: str | None = ""
    while token is not None:
        page = search(*args, **settings, page_token=token or None)
        yield from page
        token = page.token or None


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
