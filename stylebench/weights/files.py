"""Whether weights files fit a backbone, and what identifies them; `checkpoints` reads them."""

import functools
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stylebench import files
from stylebench.errors import InputError, describe, some
from stylebench.named import check_regular, expanded
from stylebench.weights import checkpoints
from stylebench.weights.checkpoints import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor, nn


SHOWN = 5
"""Names of weights that a message shows, at most."""


class Architecture(Protocol):
    """What weights have to fit; `stylebench.backbones.spec.BackboneSpec` says what each is."""

    @property
    def unused(self) -> tuple[str, ...]:
        """Prefixes of parameters that a file may leave out."""

    @property
    def options(self) -> Mapping[str, tuple[str, ...]]:
        """Options that a file's metadata may set."""

    @property
    def nodes(self) -> Mapping[str, str]:
        """Path -> name of every node, to which weights have to reach."""

    def build(self) -> "nn.Module":
        """Return the network."""

    def adapt(self, state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """Return a state dict with the names that the network has."""


LAYOUT = {"stride_in"}
"""Options that say how a file is to be read."""

KNOWN_FILES: dict[str, dict[str, str]] = {
    # He et al. 2016 (Keras' ResNet50): the stride sits in the 1x1. Top-1 on 200 ImageNet images is
    # 91.5 % so, and about 80 % in torchvision's layout, which has the same parameters.
    "1ce017bd2fc31002ba4fd0806e1f3f155dc4cfda3785a957d01e4410851867f4": {"stride_in": "conv1"},
    # The same layout, in files of mmdetection (see `inputs.KNOWN`).
    "5891d200": {"stride_in": "conv1"},
    "6cc46731": {"stride_in": "conv1"},
    "788b5fa3": {"stride_in": "conv1"},
    "3ad79236": {"stride_in": "conv1"},
}
"""How the sha256 of a weights file begins -> the backbone options that it was trained with."""


@functools.lru_cache(maxsize=256)
def _sha256(path: str, size: int, modified: int) -> str:
    return files.sha256(Path(path))


def sha256(path: Path) -> str:
    """Return the sha256 of a file, remembered while its size and time stay."""
    stat = path.stat()
    return _sha256(str(path), stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _loaded(path: str, size: int, modified: int) -> Checkpoint:
    return checkpoints.read(Path(path))


def _load(path: Path) -> Checkpoint:
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL, or half of a surrogate pair
        why = getattr(error, "strerror", None) or describe(error)
        raise InputError(f"{str(path)!r}: expected a weights file: {why}") from None
    check_regular(path, "a weights file")
    return _loaded(str(path), stat.st_size, stat.st_mtime_ns)


def load_state(path: str | Path) -> "dict[str, Tensor]":
    """Return the state dict in a weights file; raises InputError if it cannot be read."""
    return _load(Path(path)).state


def _needed(keys: Iterable[str], spec: Architecture) -> set[str]:
    """Return the keys without which the part of a backbone that is used is not that network."""
    return {
        key
        for key in keys
        if not key.startswith(spec.unused) and not key.endswith("num_batches_tracked")
    }


def named(
    state: "Mapping[str, Tensor]", spec: Architecture, keys: Iterable[str]
) -> "dict[str, Tensor]":
    """Return a state dict with the names that the network has, `keys`.

    A prefix that all names share (`checkpoints.PREFIXES`), or several in a row, is taken off where
    they fit then and did not before.
    """
    found, needed = spec.adapt(state), _needed(keys, spec)
    if needed <= found.keys():
        return found
    tried = (spec.adapt(bare) for bare in checkpoints.without_prefix(state))
    return next((other for other in tried if needed <= other.keys()), found)


def used_state(state: "Mapping[str, Tensor]", spec: Architecture) -> "dict[str, Tensor]":
    """Return what of a state dict belongs to the part of a backbone that is used.

    Raises:
        InputError: it lacks some of that part.
    """
    expected = sketch(spec).state_dict()
    own = named(state, spec, expected)
    if missing := sorted(_needed(expected, spec) - own.keys()):
        nodes = ", ".join(spec.nodes)
        raise InputError(
            f"expected weights of the nodes {nodes}, but they lack {some(missing, SHOWN)}"
        )
    return {key: value for key, value in own.items() if not key.startswith(spec.unused)}


def _is_like(value: "Tensor", wanted: "Tensor") -> bool:
    """Tell whether a tensor holds numbers that can be copied into the network's own."""
    import torch

    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    plain = value.dtype in floats if wanted.is_floating_point() else value.dtype == wanted.dtype
    return plain and value.layout == torch.strided and value.device.type == "cpu"


def _near(key: str, unknown: list[str]) -> str:
    """Return the unknown keys that may be meant by one that is missing, as part of a message."""
    same = [each for each in unknown if each.endswith(f".{key}")]
    if found := same[:1] or get_close_matches(key, unknown, n=1, cutoff=0.8):
        return f"; {key} may be its {found[0]}"
    return ""


def check(path: Path, name: str, spec: Architecture) -> None:
    """Check that a weights file fits the part of the backbone `name` that is used.

    Raises:
        InputError: the file is corrupt, would run code, or belongs to another architecture; at
            most five keys are named.
    """
    import torch

    found = _load(path)
    expected = sketch(spec).state_dict()
    state = named(found.state, spec, expected)
    needed = _needed(expected, spec)
    missing = sorted(needed - state.keys())
    wrong = sorted(k for k in needed & state.keys() if expected[k].shape != state[k].shape)
    extra = sorted(key for key in state.keys() - expected.keys() if not key.startswith(spec.unused))
    kinds = {"lacks": missing, "has other shapes for": wrong, "has unknown": extra}
    problems = {verb: keys for verb, keys in kinds.items() if keys}
    if problems:
        most = SHOWN // len(problems)
        text = "; ".join(f"{verb} {some(keys, most)}" for verb, keys in problems.items())
        near = _near(missing[0], extra) if missing else ""
        beside = some(found.others, checkpoints.SHOWN)
        held = f"; beside these weights the file holds {beside}" if beside else ""
        raise InputError(f"{path}: expected the weights of {name}, but it {text}{near}{held}")
    odd = sorted(key for key in needed if not _is_like(state[key], expected[key]))
    if odd:
        kind = f"{state[odd[0]].dtype}, {state[odd[0]].layout}, {state[odd[0]].device}"
        raise InputError(
            f"{path}: expected dense weights in float16, bfloat16, float32 or float64, found "
            f"{kind.replace('torch.', '')} in {some(odd, SHOWN)}; convert it"
        )
    bad = sorted(key for key in needed if not bool(torch.isfinite(state[key]).all()))
    if bad:
        raise InputError(
            f"{path}: expected finite weights, found NaN or infinity in {some(bad, SHOWN)}"
        )


def metadata(path: Path) -> dict[str, str]:
    """Return what a safetensors file states of itself; nothing for other files."""
    return dict(_load(path).metadata)


def options(path: Path, digest: str, spec: Architecture) -> dict[str, str]:
    """Return the backbone options that a file's metadata or its sha256 call for."""
    known = (found for begin, found in KNOWN_FILES.items() if digest.startswith(begin))
    return next(known, {}) | {k: v for k, v in metadata(path).items() if k in spec.options}


def sketch(spec: Architecture) -> "nn.Module":
    """Return the network without its numbers."""
    import torch

    with torch.device("meta"):
        return spec.build()


def cache_folder() -> Path:
    """Return the folder of our own weights: in $STYLEBENCH_CACHE, else in the user's cache."""
    own = os.environ.get("STYLEBENCH_CACHE")
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(Path(own) if own else Path(root) / "stylebench") / "weights"
