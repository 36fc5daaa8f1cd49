"""Where a training is, the file of it, from which one that was stopped goes on, and its table."""

import csv
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from stylebench import files
from stylebench.errors import InputError, describe

MOST = 1 << 30
"""Bytes of a checkpoint; ResNet-101's weights and momenta have 0.35 billion."""


Net = TypeVar("Net", bound=nn.Module)


@dataclass
class State(Generic[Net]):
    """Where a training is: what a checkpoint holds.

    Attributes:
        network: that is trained.
        optimiser: of its weights.
        rows: numbers that each step told, or each epoch where these are counted.
    """

    network: Net
    optimiser: torch.optim.Optimizer
    rows: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps, or epochs, that were made."""
        return len(self.rows)


def write(state: State[Any], path: Path, digest: str, root: Path | None = None) -> None:
    """Write a state, whole or not at all, with what tells its training from others.

    `root` is as of `stylebench.files.replacing`.
    """
    held = io.BytesIO()
    torch.save(
        {
            "digest": digest,
            "network": state.network.state_dict(),
            "optimiser": state.optimiser.state_dict(),
            "rows": torch.tensor(state.rows, dtype=torch.float64),
        },
        held,
    )
    with files.replacing(path, root) as file:
        file.write(held.getvalue())


def restore(
    state: State[Any], path: Path, digest: str, columns: Sequence[str], root: Path | None = None
) -> None:
    """Bring a state to where a checkpoint is.

    Args:
        state: of the training at its start.
        path: of the checkpoint.
        digest: what tells the training from others.
        columns: of the state's rows.
        root: as of `stylebench.files.opened`.

    Raises:
        FileNotFoundError: there is none.
        InputError: it is damaged, or of another training.
    """
    where, data = repr(str(path)), files.read(path, root, most=MOST)
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's remarks on what others wrote
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if found["digest"] == digest:
            state.network.load_state_dict(found["network"])
            state.optimiser.load_state_dict(found["optimiser"])
            state.rows = [tuple(row) for row in found["rows"].view(-1, len(columns)).tolist()]
            return
    except Exception as error:  # torch raises nearly anything for what is no checkpoint
        raise InputError(f"{where}: expected a checkpoint: {describe(error)}; remove it") from None
    raise InputError(
        f"{where} is of other settings, pictures or weights; give another --out, or remove it"
    )


def write_table(state: State[Any], path: Path, columns: Sequence[str], root: Path) -> None:
    """Write the rows of a state as CSV, each behind its number from 1: the first column."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(columns)
    rows.writerows((n, *map(repr, row)) for n, row in enumerate(state.rows, start=1))
    files.write_text(path, buffer.getvalue(), root)
