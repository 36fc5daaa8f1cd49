"""A training in MLflow: one run, a view of the training's folder, which holds the truth.

At each checkpoint the run gets the numbers that it lacks, and the sample pictures. A training that
goes on has the same run, known by the folder (`stylebench.tracking.address.identities`) and by what
is trained.
"""

import contextlib
import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebench import files
from stylebench.errors import InputError, masked, published
from stylebench.tracking import address
from stylebench.tracking.mlflow import BATCH
from stylebench.tracking.place import Place
from stylebench.tracking.view import LONGEST

POINTS = 2000
"""Steps of which a run has the losses, at most: of longer trainings every so many."""
ENDS = {True: "FINISHED", False: "KILLED", None: "FAILED"}
"""How a training ended: with a model, stopped, or by an error."""


@dataclass(frozen=True)
class Logged:
    """What of a training is logged.

    Attributes:
        name: of its run.
        digest: what is trained.
        steps: of the whole training: rows of the table in the end.
        table: CSV; its first column is the step.
        terms: the other columns.
        samples: folder of pictures in the training's, "" for none.
        result: file that is logged at the end, None for none.
    """

    name: str
    digest: str
    steps: int
    table: Path
    terms: tuple[str, ...]
    samples: str = ""
    result: Path | None = None


class Writer:
    """Logs one training; whatever MLflow does, the training goes on.

    Args:
        out: the folder that holds the database, and by which the run is known.
        place: where it is logged.
        name: of the experiment, where `place` names none.
        what: of the training is logged.
        tell: called with a line if MLflow is away.

    Raises:
        InputError: no MLflow can be at this address, or none is installed.
    """

    def __init__(
        self, out: Path, place: Place, name: str, what: Logged, tell: Callable[[str], None]
    ) -> None:
        self._every = -(-what.steps // POINTS)
        self._out, self._place, self._what, self._tell = out, place, what, tell
        self._name = place.experiment or name
        self._off = place.uri == address.OFF
        self._run = ""
        self._sent: set[str] = set()
        self._last = dict.fromkeys(what.terms, 0)
        if place.told:
            tell(place.told)
        if not self._off:
            self._connect()

    @property
    def has_begun(self) -> bool:
        """Whether the training has a run."""
        return bool(self._run)

    def _connect(self) -> None:
        """Connect at the start, where an address that does not answer is taken for a wrong one.

        It is not if it has answered for this folder before. Without an address, and without an
        MLflow, the training is not tracked.
        """
        try:
            self._client, self._uri, self._own = address.connection(self._out, self._place.uri)
            if not address.is_proven(self._out, self._uri):
                self._prove()
        except InputError as error:
            if self._place.uri is not None:
                raise
            self._off = True
            self._tell(f"not tracked: {error}")

    def _prove(self) -> None:
        try:
            self._client.search_experiments(max_results=1)
        except Exception as error:  # of MLflow, and of the network
            raise address.refused(self._uri, error, self._out if self._own else None) from None
        address.remember(self._out, self._uri)

    def log(self, params: Mapping[str, Any], end: str = "") -> None:
        """Log what the folder has and the run has not.

        Args:
            params: settings of the training.
            end: how the training ended, if it has: one of `ENDS`.
        """
        if self._off:
            return
        try:
            self._begin(params)
            self._measure()
            self._upload(whole=end == ENDS[True])
            if end:
                self._client.set_terminated(self._run, end)
        except InputError:
            raise
        except Exception as error:  # MLflow's, or of the network
            self._off = True
            why = address.reason(error, self._uri)
            self._tell(
                f"MLflow at {masked(self._uri)}: {why}; the training goes on, and the same command "
                "logs it later"
            )

    def _begin(self, params: Mapping[str, Any]) -> None:
        """Find the run of this training, or make it."""
        if self._run:
            return
        from mlflow.entities import Param

        mine = address.identities(self._out, own=self._own)[0]
        tags = {"stylebench.out": mine, "stylebench.training": self._what.digest}
        where = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        place = self._experiment()
        found = self._client.search_runs([place], where, max_results=1)
        if found:
            self._run = found[0].info.run_id
            self._client.update_run(self._run, "RUNNING")
            self._last = {term: self._known(term) for term in self._what.terms}
            if self._what.samples:
                there = self._client.list_artifacts(self._run, self._what.samples)
                self._sent = {file.path.rpartition("/")[2] for file in there}
            return
        made = self._client.create_run(
            place, tags={**self._place.tags, **tags, "mlflow.runName": self._what.name}
        )
        self._run = made.info.run_id
        shown = published(dict(params))
        self._client.log_batch(
            self._run,
            params=[Param(k, str(v)[: LONGEST["parameter"]]) for k, v in shown.items()],
        )

    def _known(self, term: str) -> int:
        """Return the last step of which the run has a term: a batch may have been cut off."""
        told = self._client.get_metric_history(self._run, term)
        return max((metric.step for metric in told), default=0)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._name)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        return str(self._client.create_experiment(self._name, address.artifacts(self._uri)))

    def _rows(self) -> Iterable[dict[str, str]]:
        with contextlib.suppress(*files.ABSENT):
            text = files.read_text(self._what.table, self._out)
            yield from csv.DictReader(text.splitlines())

    def _measure(self) -> None:
        """Send the numbers of steps that the run lacks."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        rows = [(int(next(iter(row.values()))), row) for row in self._rows()]
        metrics = [
            Metric(term, float(row[term]), now, step)
            for step, row in rows
            if step % self._every == 0
            for term in self._what.terms
            if step > self._last[term]
        ]
        for begin in range(0, len(metrics), BATCH):
            self._client.log_batch(self._run, metrics=metrics[begin : begin + BATCH])
        self._last |= {metric.key: metric.step for metric in metrics}

    def _upload(self, *, whole: bool) -> None:
        samples = self._what.samples
        pictures = files.listed(self._out / samples, self._out, "step-*.png") if samples else []
        new: list[tuple[Path, str | None]]
        new = [(path, samples) for path in pictures if path.name not in self._sent]
        if whole and self._what.result:
            new.append((self._what.result, None))
        for path, folder in new:
            self._sent.add(path.name)
            with tempfile.TemporaryDirectory() as place:  # MLflow would follow a link
                copy = Path(place) / path.name
                copy.write_bytes(files.read(path, self._out))
                self._client.log_artifact(self._run, str(copy), folder)
