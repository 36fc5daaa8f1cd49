"""How a classifier is trained and tested, and how one that was stopped goes on to the same bits.

Files of a network, in the folder networks/ of an experiment:

NAME.safetensors   its weights. Their metadata say what `stylebench.backbones` needs to know, depth,
                   width, shortcut and input, and how they came about (`Result`)
NAME.csv           a row an epoch, up to the last checkpoint
NAME.pt            the checkpoint: weights, momenta and these rows; gone at the end

The bits are those of a CPU with as many threads.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, ValidationError, model_validator
from torch import nn
from torch.nn import functional

from stylebench import files, runtime
from stylebench.backbones.extractor import random_network
from stylebench.backbones.spec import ARCHS
from stylebench.classifiers.data import DataSet, Draws, Split
from stylebench.classifiers.settings import BACKBONE, EPOCH, AccuracySettings
from stylebench.config import Count, Frozen, first_problem
from stylebench.errors import InputError, JobError, published
from stylebench.training import checkpoint
from stylebench.training.checkpoint import State
from stylebench.weights import checkpoints
from stylebench.weights import files as weights

NETWORKS = "networks"
KEY = "stylebench"
"""Of the metadata: how a network came about."""
MEANING = 1
"""Of what settings and data come to: a change of it makes each network another."""
TESTED = 1000
"""Pictures that are tested together."""


class Result(Frozen):
    """How a network came about, and what it reaches.

    Attributes:
        digest: what tells its training from others.
        train_accuracy: share of the pictures of the last epoch, cut and mirrored, that it named as
            it learned from them.
        correct: pictures of the test split that it names after the last epoch.
        tested: pictures of the test split.
        precision: of the training.
        settings: of the experiment.
        versions: of stylebench, Python and packages.
        command: that trained it.
    """

    digest: str
    train_accuracy: Annotated[float, Field(ge=0, le=1)]
    correct: Annotated[int, Field(ge=0)]
    tested: Count
    precision: str
    settings: dict[str, Any]
    versions: dict[str, str]
    command: str = ""

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.correct > self.tested:
            raise ValueError(f"expected at most {self.tested} correct, found {self.correct}")
        return self

    @property
    def accuracy(self) -> float:
        """Share of the test split that the network names."""
        return self.correct / self.tested


@dataclass(frozen=True)
class Step:
    """What is told after each step: its number from 1, how many in all, and of which epoch."""

    number: int
    steps: int
    network: str
    epoch: int
    epochs: int
    loss: float


def rate(start: float, step: int, steps: int) -> float:
    """Return the learning rate of a step: from `start` to 0 along half a cosine.

    Source: Loshchilov & Hutter 2017, eq. (5), without restarts.

    Args:
        start: the rate of the first step.
        step: from 0.
        steps: in all.
    """
    return start * (1 + math.cos(math.pi * step / steps)) / 2


class Training:
    """One classifier in the folder of an experiment.

    Args:
        settings: of the experiment.
        shortcut: the kind of its blocks.
        seed: of its weights, and of what is drawn.
        data: to learn from, and to be tested on.
        out: the folder of the experiment.
        device: as torch names it.
        command: that trains.

    Raises:
        InputError: the training split is smaller than a batch; the device has no such precision.
    """

    def __init__(
        self, settings: AccuracySettings, shortcut: str, seed: int, data: DataSet, out: Path, *,
        device: str = "cpu", command: str = "",
    ) -> None:  # fmt: skip
        self.settings, self.shortcut, self.seed = settings, shortcut, seed
        self.out, self._data, self._device, self._command = out, data, device, command
        self.name = f"{shortcut}-seed{seed}"
        self._precision = runtime.resolve_precision(settings.precision, device)
        self._batches = len(data.train.labels) // settings.batch
        if not self._batches:
            raise InputError(
                f"batch: expected at most the {len(data.train.labels)} pictures of the training "
                f"split of {data.name}, found {settings.batch}"
            )
        self.digest = self._identity()

    @property
    def model(self) -> Path:
        """The file of the weights."""
        return self.out / NETWORKS / f"{self.name}.safetensors"

    @property
    def table(self) -> Path:
        """The file of the epochs."""
        return self.model.with_suffix(".csv")

    @property
    def steps(self) -> int:
        """How many there are: what does not fill a batch waits for the next epoch's order."""
        return self.settings.epochs * self._batches

    def _identity(self) -> str:
        """Return what tells this training from others, wherever its data are."""
        how = self.settings.model_dump_json(
            include={"depth", "width", "epochs", "batch", "learning_rate", "momentum",
                     "weight_decay"}
        )  # fmt: skip
        parts = [str(MEANING), how, self.shortcut, str(self.seed), self._data.digest]
        return hashlib.sha256("\n".join([*parts, self._precision]).encode()).hexdigest()

    def result(self) -> Result | None:
        """Return what is known of the network if it is trained, else None.

        Raises:
            InputError: its file is damaged, or of another training.
        """
        if not files.exists(self.model, self.out):
            return None
        text = weights.metadata(self.model).get(KEY, "")
        try:
            found = Result.model_validate_json(text)
        except ValidationError as error:
            place, wanted, _ = first_problem(error)
            raise InputError(
                f"{str(self.model)!r}: expected a network of `stylebench accuracy`: {place} "
                f"{wanted}; remove it"
            ) from None
        if found.digest != self.digest:
            raise InputError(
                f"{str(self.model)!r} is of other settings or data; give another --out, or remove "
                "it"
            )
        return found

    def run(self, watch: Callable[[Step], bool | None], saved: Callable[[], None]) -> Result | None:
        """Train from where it is to the end.

        Args:
            watch: called after each step; where it returns True, the training ends with the epoch
                and its checkpoint, and None is returned, but for the last epoch.
            saved: called after each checkpoint, when the table of epochs is written.

        Raises:
            JobError: the loss stopped being finite.
            InputError: a file is damaged, or of another training.
        """
        if found := self.result():
            self._tidy()
            return found
        state, how = self._state(), self.settings
        train, test = self._data.train.to(self._device), self._data.test.to(self._device)
        for epoch in range(state.step, how.epochs):
            told, stop = self._epoch(state, train, epoch, watch)
            state.rows.append((*told, self._correct(state.network, test) / len(test.labels)))
            last = epoch + 1 == how.epochs
            if (epoch + 1) % how.checkpoint == 0 or stop or last:
                checkpoint.write(state, self.model.with_suffix(".pt"), self.digest, self.out)
                checkpoint.write_table(state, self.table, ("epoch", *EPOCH), self.out)
                saved()
            if stop and not last:
                return None
        return self._finish(state)

    def _state(self) -> State[nn.Module]:
        """Return the state at the start, or that of the checkpoint."""
        options = self.settings.options(self.shortcut)
        spec = ARCHS[BACKBONE].shaped(options)
        spec = replace(spec, arguments={**spec.arguments, "classes": self._data.classes})
        network = random_network(spec, self.seed).to(self._device)
        if self._device.startswith("cuda"):
            network = network.to(memory_format=torch.channels_last)
        optimiser = torch.optim.SGD(
            network.parameters(), lr=self.settings.learning_rate, momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
        )  # fmt: skip
        state = State(network, optimiser)
        with contextlib.suppress(*files.ABSENT):
            path = self.model.with_suffix(".pt")
            checkpoint.restore(state, path, self.digest, EPOCH, self.out)
        return state

    def _epoch(
        self,
        state: State[nn.Module],
        train: Split,
        epoch: int,
        watch: Callable[[Step], bool | None],
    ) -> tuple[tuple[float, float, float], bool]:
        """Train for an epoch; return rate, loss and accuracy, and whether it is to be the last."""
        how, loss, right, stop = self.settings, 0.0, 0, False
        draws, pad = Draws.of(self.seed, epoch, self._data), self._data.pad
        state.network.train()
        runtime.configure(tf32=self._precision == "tf32")
        for number in range(self._batches):
            step = epoch * self._batches + number
            for group in state.optimiser.param_groups:
                group["lr"] = rate(how.learning_rate, step, self.steps)
            chosen = draws.order[number * how.batch : (number + 1) * how.batch]
            pictures = draws.cut(train.pictures, chosen, pad)
            labels = train.labels[chosen.to(self._device)]
            with torch.autocast(
                self._device.partition(":")[0], torch.bfloat16, enabled=self._precision == "bf16"
            ):
                scores = state.network(self._data.normalised(pictures)).float()
            error = functional.cross_entropy(scores, labels)
            state.optimiser.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            state.optimiser.step()
            found = error.item()
            if not math.isfinite(found):
                raise JobError(
                    f"{self.name}: the loss became {found} at epoch {epoch + 1}: lower "
                    "learning_rate"
                )
            loss += found
            right += int((scores.argmax(1) == labels).sum())
            told = Step(step + 1, self.steps, self.name, epoch + 1, how.epochs, found)
            stop = bool(watch(told)) or stop
        last = rate(how.learning_rate, (epoch + 1) * self._batches, self.steps)
        return (last, loss / self._batches, right / (self._batches * how.batch)), stop

    def _correct(self, network: nn.Module, test: Split) -> int:
        """Return how many pictures of a split the network names, in evaluation mode and in fp32."""
        network.eval()
        runtime.configure()
        right = 0
        with torch.no_grad():
            for begin in range(0, len(test.labels), TESTED):
                pictures = test.pictures[begin : begin + TESTED]
                scores = network(self._data.normalised(pictures))
                right += int((scores.argmax(1) == test.labels[begin : begin + TESTED]).sum())
        return right

    def _finish(self, state: State[nn.Module]) -> Result:
        """Write the network's file, and return what it says of how it came about."""
        last, tested = dict(zip(EPOCH, state.rows[-1], strict=True)), len(self._data.test.labels)
        result = Result(
            digest=self.digest,
            train_accuracy=last["train_accuracy"],
            correct=round(last["test_accuracy"] * tested),
            tested=tested,
            precision=self._precision,
            settings=published(self.settings.model_dump(mode="json", exclude={"description"})),
            versions=dict(runtime.environment()),
            command=self._command,
        )
        mean, std = self._data.input
        metadata = {
            **self.settings.options(self.shortcut),
            "input": json.dumps({"mean": mean, "std": std}),
            KEY: result.model_dump_json(),
        }
        held = {key: value.cpu().contiguous() for key, value in state.network.state_dict().items()}
        with files.replacing(self.model, self.out) as file:
            file.write(checkpoints.packed(held, metadata))
        self._tidy()
        return result

    def _tidy(self) -> None:
        """Remove the checkpoint of what is finished."""
        files.remove(self.model.with_suffix(".pt"), self.out)
