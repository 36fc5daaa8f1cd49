"""A training of a styliser: its settings from an experiment file, and what MLflow gets of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylebench.backbones import names
from stylebench.config import Frozen, SmoothingSpec
from stylebench.errors import InputError, suggestion
from stylebench.stylisers.settings import (
    LOSSES,
    METHODS,
    SAMPLES,
    TERMS,
    TrainingLoss,
    TrainSettings,
)
from stylebench.sweeps.reading import located, read_yaml, settled, shipped
from stylebench.tracking.place import OWN, Place

if TYPE_CHECKING:
    from stylebench.stylisers.training import Step, Training

PARTS: dict[str, type[Frozen]] = {"loss": TrainingLoss, "smoothing": SmoothingSpec}
COMMAND = "stylebench ls trainings"


def load_training(
    path: Path, flags: Mapping[str, Any] | None = None, profile: str | None = None
) -> TrainSettings:
    """Return the settings of a training.

    Args:
        path: its file, or the name of one of ``shipped("train")``.
        flags: keys from the command line, which go before the file's; None values are left out.
        profile: of the file's ``profiles``, laid on its other settings; by default the first.

    Raises:
        InputError: unknown keys, values of the wrong type or range; the text names one.
    """
    known = shipped("train")
    data = read_yaml(located(path, known, "training", COMMAND), known)
    data.setdefault("name", "train")
    found = settled(data, TrainSettings, str(path), flags or {}, profile, PARTS, _check_method)
    names.look_up(filter(None, [found.encoder, found.loss.network]))
    return found


def _check_method(data: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a file of something else than a training."""
    method = data.get("method")
    if method not in METHODS:
        near = suggestion(str(method), METHODS) if method else ""
        found = repr(method) if method else "none: a sweep's file? It is run by `stylebench sweep`"
        raise InputError(f"{where}: method: expected {' or '.join(METHODS)}, found {found}{near}")


def train(
    settings: TrainSettings,
    out: Path,
    watch: "Callable[[Step], bool | None]" = lambda step: None,
    tell: Callable[[str], None] = lambda text: None,
    *,
    tracking: Place = OWN,
    begin: "Callable[[Training], None]" = lambda training: None,
    **how: Any,
) -> Path | None:
    """Train a styliser, from the last checkpoint in its folder on; return the model's file.

    Args:
        settings: what is trained, and on what.
        out: its folder.
        watch: called after each step; where it returns True, that was the last, and there is a
            checkpoint but no model: None is returned.
        tell: called with lines.
        tracking: where in MLflow it is logged, at each checkpoint; MLflow that is away is told, and
            gets what it lacks when the same training is run again.
        begin: called once all that is needed is there.
        **how: given, device, offline and command of `stylebench.stylisers.training.Training`.

    Raises:
        InputError: wrong settings, pictures or weights; a folder that holds another training.
        JobError: the loss stopped being finite.
    """
    from stylebench.store import lock
    from stylebench.stylisers.training import Training
    from stylebench.tracking.training import ENDS, Logged, Writer

    training = Training(settings, out, tell=tell, **how)
    whole = settings.model_dump(mode="json", exclude={"description"})
    terms = whole.pop("loss")
    params = {**whole, **{f"loss.{key}": value for key, value in terms.items()}}
    what = Logged(
        tracking.experiment or settings.name, training.digest, settings.steps, out / LOSSES, TERMS,
        SAMPLES, out / "model.json",
    )  # fmt: skip
    with lock.claim(out, how.get("command", "")):
        writer = Writer(out, tracking, settings.name, what, tell)
        begin(training)
        try:
            model = training.run(watch, lambda: writer.log(params))
        except BaseException as error:
            if writer.has_begun:
                writer.log(params, ENDS[False if isinstance(error, KeyboardInterrupt) else None])
            raise
        writer.log(params, ENDS[model is not None])
    return model
