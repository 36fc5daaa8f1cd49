"""The price of a block in accuracy: classifiers trained, tested, and put back on the bench.

The way of the data:
1. settings (an experiment file, flags) and a data set
2. a classifier a kind of block and seed, each into OUT/networks, and a run in MLflow
3. OUT/accuracy.parquet, a row each
4. the statistics of their maps on photographs, after training (``p-``) and before (``r-``): jobs as
   `stylebench stats` has them, into OUT/statistics and OUT/stats.parquet
5. the figure and the table ``accuracy`` of both
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylebench import store
from stylebench.classifiers.settings import BACKBONE, EPOCH, AccuracySettings
from stylebench.config import StatisticsSpec
from stylebench.errors import JobError
from stylebench.store import lock
from stylebench.sweeps import engines, plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.run import RunOptions, write_manifest
from stylebench.tracking.training import ENDS, Logged, Writer

if TYPE_CHECKING:
    from stylebench.classifiers.data import DataSet
    from stylebench.classifiers.training import Result, Step, Training

NAME = "accuracy"
"""Of the figure and the table."""


@dataclass(frozen=True)
class Watching:
    """What is told while classifiers are trained: lines, and steps.

    `begin` is called once all that is needed is there; `step` returns True where the epoch is to be
    the last, of this network and of all.
    """

    begin: Callable[[], None] = lambda: None
    step: "Callable[[Step], bool | None]" = lambda step: None
    tell: Callable[[str], None] = lambda text: None


def run(
    settings: AccuracySettings, data: "DataSet", options: RunOptions, watching: Watching
) -> bool:
    """Train what is not trained, measure what is not measured, and draw; tell whether all is done.

    Args:
        settings: of the experiment.
        data: that they name.
        options: where, on which device; of the engine the device alone.
        watching: is told how it goes.

    Returns:
        False where `watching` ended it: what is trained is kept.

    Raises:
        InputError: a file of OUT is damaged, or of other settings or data.
        JobError: the loss of a training stopped being finite; or statistics failed, after what is
            finished was drawn.
    """
    from stylebench.classifiers.training import Training

    out, telling, ended = options.out, _Once(watching.tell), False

    def step(told: "Step") -> bool:
        nonlocal ended
        ended = bool(watching.step(told)) or ended
        return ended

    trainings = [
        Training(settings, kind, seed, data, out, device=options.engine.device,
                 command=options.command)
        for seed in settings.seed
        for kind in settings.shortcut
    ]  # fmt: skip
    for training in trainings:
        training.result()
    random = _statistics(settings, trainings, trained=False)
    watching.begin()
    out.mkdir(parents=True, exist_ok=True)
    with lock.claim(out, options.command):
        for training in trainings:
            found = _train(training, options, replace(watching, step=step), telling)
            if found is None:
                return False
            store.write_accuracy(out, [_row(training, found)])
            if ended:
                return False
        specs = [*_statistics(settings, trainings, trained=True), *random]
        write_manifest(options, settings, specs, watching.tell)
        failed = _measure(specs, options, watching.tell)
        _draw(out, watching.tell)
    if failed:
        raise JobError(f"statistics of {failed} of {len(specs)} networks, see above")
    return True


class _Once:
    """Tells each line once: what is to be said of MLflow is the same for each network."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._told = tell, set[str]()

    def __call__(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)


def _train(
    training: "Training", options: RunOptions, watching: Watching, telling: Callable[[str], None]
) -> "Result | None":
    """Train a classifier, or take the one that is there, and log it; None where it was ended."""
    settings, before = training.settings, training.result()
    what = Logged(training.name, training.digest, settings.epochs, training.table, EPOCH)
    params = {
        **settings.model_dump(mode="json", exclude={"description"}),
        "shortcut": training.shortcut,
        "seed": training.seed,
    }
    writer = Writer(options.out, options.tracking, settings.name, what, telling)
    try:
        found = training.run(watching.step, lambda: writer.log(params))
    except BaseException as error:
        if writer.has_begun:
            writer.log(params, ENDS[False if isinstance(error, KeyboardInterrupt) else None])
        raise
    writer.log(params, ENDS[found is not None])
    if found:
        told = "" if before is None else "  (trained before)"
        watching.tell(
            f"{training.name}: {found.correct} of {found.tested} right, {found.accuracy:.4f}{told}"
        )
    return found


def _row(training: "Training", found: "Result") -> dict[str, Any]:
    """Return the row of accuracy.parquet of a classifier."""
    from stylebench.backbones.pretrained import resolve

    how = training.settings
    options = how.options(training.shortcut)
    given = {BACKBONE: f"file:{training.model}"}
    return {
        "data": how.data, "depth": how.depth, "width": how.width, "epochs": how.epochs,
        "shortcut": training.shortcut, "seed": training.seed, "accuracy": found.accuracy,
        "correct": found.correct, "tested": found.tested,
        "train_accuracy": found.train_accuracy, "precision": found.precision,
        "trained": resolve(f"p-{BACKBONE}", 0, given=given, offline=True).label,
        "random": resolve(f"r-{BACKBONE}", training.seed, options=options).label,
    }  # fmt: skip


def _statistics(
    settings: AccuracySettings, trainings: "list[Training]", *, trained: bool
) -> list[StatisticsSpec]:
    """Return the jobs that measure the networks' maps, after their training or before it."""
    found: list[StatisticsSpec] = []
    for training in trainings if settings.statistics_images else ():
        options = settings.options(training.shortcut)
        shape = "".join(f"+{key}={value}" for key, value in options.items())
        config = load_sweep(None, {
            "name": settings.name, "smoothing": ["none"], "seed": [training.seed],
            "arch": [f"p-{BACKBONE}" if trained else f"r-{BACKBONE}{shape}"],
            "size": settings.size, "statistics_images": list(settings.statistics_images),
        })  # fmt: skip
        given = {BACKBONE: f"file:{training.model}"} if trained else {}
        found += plan.expand(config, given=given, offline=True, pairs=False).statistics
    return found


def _measure(specs: list[StatisticsSpec], options: RunOptions, tell: Callable[[str], None]) -> int:
    """Run the jobs of statistics that are not finished; make the tables of all; count failures."""
    from stylebench.measures.statistics import measured

    failed, todo = 0, store.pending(options.out, specs, statistics=measured(), tell=tell)
    store.remove_stale(options.out)
    lock.announce(options.out, specs)
    if todo:
        tell(f"statistics of {len(todo)} networks …")
    try:
        for record in engines.run(todo, options.out, options.engine):
            if not record.ok:
                failed += 1
                tell(f"{record.spec.title}: {record.error}")
    finally:
        store.compact(options.out, None, {spec.job_id for spec in specs}, tell)
    return failed


def _draw(out: Path, tell: Callable[[str], None]) -> None:
    from stylebench import figures

    for name, found in figures.draw(out, [NAME]):
        tell(figures.told(name, found))
