"""Weights files, read without executing anything in them: safetensors and torch checkpoints.

What training writes beside the weights (the epoch, the optimizer, arguments) is read past. An
``argparse.Namespace``, in which timm's and torchvision's training keep their arguments, is the one
class that is let in beside what torch reads itself with ``weights_only``: it holds attributes and
nothing else. It takes no positional arguments, has no ``__new__``, ``__setstate__`` or
``__setattr__`` of its own, and what it holds passes the same unpickler, so that with it a pickle
can call nothing that it could not call before.
"""

import argparse
import json
import pickle
import re
import threading
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylebench.errors import InputError, describe, one_line, some

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = (
    "state_dict",
    "model",
    "model_state_dict",
    "net",
    "state_dict_ema",
    "model_ema",
)
"""Keys under which training keeps weights; of several that are there the first is taken."""
PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")
"""What wrappers put before all names: DataParallel, one's own module, torch.compile."""
COUNTER = "n_averaged"
"""What torch's AveragedModel (`model_ema` of torchvision) keeps beside the weights."""
SHOWN = 8
"""Names of what is in a file that a message shows, at most."""

_LOCK = threading.Lock()  # torch's list of safe classes is that of the process


@dataclass(frozen=True)
class Checkpoint:
    """What is in a weights file.

    Attributes:
        state: the state dict.
        metadata: what a safetensors file states of itself.
        others: the top-level keys beside that of the state dict.
    """

    state: "dict[str, Tensor]"
    metadata: Mapping[str, str]
    others: tuple[str, ...] = ()


def read(path: Path) -> Checkpoint:
    """Return what is in a weights file.

    Raises:
        InputError: it cannot be read, would run code, or holds no state dict.
    """
    return _of_safetensors(path) if path.suffix == ".safetensors" else _of_torch(path)


def packed(state: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> bytes:
    """Return weights as a safetensors file, the same bytes for the same weights and metadata.

    safetensors itself writes several keys of metadata in any order.
    """
    from safetensors.torch import save

    data = save(dict(state))
    begin = 8 + int.from_bytes(data[:8], "little")
    head = {"__metadata__": dict(sorted(metadata.items())), **json.loads(data[8:begin])}
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[begin:]


def _of_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return Checkpoint(state, dict(file.metadata() or {}))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: expected a safetensors file: {describe(error)}") from None


def _of_torch(path: Path) -> Checkpoint:
    import torch

    _check_archive(path)
    try:
        with (
            _LOCK,
            warnings.catch_warnings(action="ignore"),
            torch.serialization.safe_globals([argparse.Namespace]),
        ):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: expected tensors and plain values alone, found {_foreign(path, error)}; it "
            "was not executed. Save the state dict as safetensors"
        ) from None
    except Exception as error:  # torch raises anything between struct.error and IndexError
        raise InputError(f"{path}: expected a torch checkpoint: {describe(error)}") from None
    state, others = _unwrapped(found)
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
    ):
        raise InputError(f"{path}: expected a state dict of tensors, found {_kind(state)}")
    return Checkpoint(state, {}, others)


def _unwrapped(found: Any) -> tuple[Any, tuple[str, ...]]:
    """Return (what is under the keys of `WRAPPERS`, the other keys of the outermost mapping)."""
    others: tuple[str, ...] = ()
    for depth in range(3):
        inside = found if isinstance(found, dict) else {}
        key = next((key for key in WRAPPERS if isinstance(inside.get(key), dict)), None)
        if key is None:
            break
        if not depth:
            others = tuple(_short(other) for other in found if other != key)
        found = found[key]
    return found, others


def _short(key: object) -> str:
    return one_line(str(key))[:40]


def _kind(value: object) -> str:
    """Return what a value is in words; of a mapping what it holds."""
    if not isinstance(value, dict):
        return type(value).__name__
    held = tuple(f"{_short(key)} ({type(each).__name__})" for key, each in value.items())
    return f"dict of {some(held, SHOWN)}" if held else "an empty dict"


def _foreign(path: Path, error: pickle.UnpicklingError) -> str:
    """Return what a pickle has that is not let in, read without executing it."""
    import torch

    try:
        with _LOCK, torch.serialization.safe_globals([argparse.Namespace]):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # no archive of torch's, or a damaged one: then the first alone is known
        names = re.findall(r"GLOBAL (\S+)", str(error))[:1]
    if not names:
        return "a corrupt file or a pickle that would run code"
    foreign = some([_short(name) for name in sorted(names)], SHOWN)
    return f"a pickle with {foreign} that would run code"


def _check_archive(path: Path) -> None:
    """Raise InputError for an archive that unpacks to much more than it is: torch packs nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # no archive, or a damaged one, which torch tells apart
        return
    size = path.stat().st_size
    if unpacked > 2 * size:
        raise InputError(
            f"{path}: expected a torch checkpoint, found an archive of {size / 1e6:.1f} MB that "
            f"unpacks to {unpacked / 1e6:.1f} MB; save it with torch.save or as safetensors"
        )


def without_prefix(state: "Mapping[str, Tensor]") -> "Iterator[dict[str, Tensor]]":
    """Yield a state dict without the prefix of `PREFIXES` that all its keys share, then the next.

    What `COUNTER` names is left out with the first.
    """
    found = {key: value for key, value in state.items() if key != COUNTER}
    for _ in range(4):
        prefix = next((p for p in PREFIXES if found and all(k.startswith(p) for k in found)), None)
        if prefix is None:
            return
        found = {key.removeprefix(prefix): value for key, value in found.items()}
        yield found
