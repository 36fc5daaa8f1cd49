"""The smallest training: a tiny encoder, crops of 32 px, a few steps."""

from pathlib import Path
from typing import Any

from stylebench.stylisers.settings import TrainSettings
from stylebench.stylisers.training import Step, Training


def settings(**changes: Any) -> TrainSettings:
    """Return settings of 6 steps, three of reconstruction, with checkpoints after 2, 4 and 6."""
    given: dict[str, Any] = {
        "method": "sanet", "encoder": "r-tiny", "width": 0.5, "size": 48, "crop": 32, "batch": 1,
        "steps": 6, "checkpoint": 2, "content": "chelsea,coffee", "style": "mosaic,brush",
        "learning_rate": 1e-3, "reconstruct": 0.5, **changes,
    }  # fmt: skip
    return TrainSettings(**given)


def train(out: Path, stop: int | None = None, **changes: Any) -> Path | None:
    """Train; stop after a step if asked."""

    def watch(step: Step) -> bool:
        return step.number == stop

    return Training(settings(**changes), out).run(watch, lambda: None)


def model(out: Path, **changes: Any) -> Path:
    """Return the file of a trained model."""
    found = train(out, **changes)
    assert found is not None
    return found
