"""Where a training is, and the file of it, from which one that was stopped goes on."""

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stylebench import files
from stylebench.errors import InputError, describe
from stylebench.stylisers.card import MOST
from stylebench.stylisers.network import Generator
from stylebench.stylisers.settings import TERMS


@dataclass
class State:
    """Where a training is: what a checkpoint holds."""

    generator: Generator
    adam: torch.optim.Adam
    losses: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps that were made."""
        return len(self.losses)


def write(state: State, path: Path, digest: str) -> None:
    """Write a state, whole or not at all, with what tells its training from others."""
    held = io.BytesIO()
    torch.save(
        {
            "digest": digest,
            "generator": state.generator.state_dict(),
            "adam": state.adam.state_dict(),
            "losses": torch.tensor(state.losses, dtype=torch.float64),
        },
        held,
    )
    with files.replacing(path) as file:
        file.write(held.getvalue())


def restore(state: State, path: Path, digest: str) -> None:
    """Bring a state to where a checkpoint is.

    Raises:
        FileNotFoundError: there is none.
        InputError: it is damaged, or of another training.
    """
    where, data = repr(str(path)), files.read(path, most=MOST)
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's remarks on what others wrote
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if found["digest"] == digest:
            state.generator.load_state_dict(found["generator"])
            state.adam.load_state_dict(found["adam"])
            state.losses = [tuple(row) for row in found["losses"].view(-1, len(TERMS)).tolist()]
            return
    except Exception as error:  # torch raises nearly anything for what is no checkpoint
        raise InputError(f"{where}: expected a checkpoint: {describe(error)}; remove it") from None
    raise InputError(
        f"{where} is of other settings, pictures or weights; give another --out, or remove it"
    )
