"""Where pretrained weights come from, whether they fit, and what identifies them.

In order: a file given for the backbone; ``$STYLEBENCH_WEIGHTS/<name>.safetensors``; torchvision's
cache; torchvision's download. Files are read as safetensors or with ``weights_only``: nothing in
them is executed.
"""

import functools
import hashlib
import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stylebench.backbones.zoo import ARCHS, TIMM, BackboneSpec, split
from stylebench.config import WeightsRef
from stylebench.errors import InputError, UnavailableError
from stylebench.registry import suggestion

if TYPE_CHECKING:
    from torch import Tensor

ENVIRONMENT = "STYLEBENCH_WEIGHTS"
URL = "https://download.pytorch.org/models/"

KNOWN_FILES: dict[str, dict[str, str]] = {
    # He et al. 2016 (Keras' ResNet50): the stride sits in the 1x1. Top-1 on 200 ImageNet images is
    # 91.5 % so, and about 80 % in torchvision's layout, which has the same parameters.
    "1ce017bd2fc31002ba4fd0806e1f3f155dc4cfda3785a957d01e4410851867f4": {"stride_in": "conv1"},
}
"""sha256 of a weights file -> the backbone options that it was trained with."""


@functools.lru_cache(maxsize=16)
def _sha256(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256(path: Path) -> str:
    """Return the sha256 of a file, remembered while its size and time stay."""
    stat = path.stat()
    return _sha256(str(path), stat.st_size, stat.st_mtime_ns)


def _read(path: Path) -> "tuple[dict[str, Tensor], dict[str, str]]":
    """Return (tensors, metadata) of a safetensors file or of a torch checkpoint."""
    import torch
    from safetensors import SafetensorError, safe_open

    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return state, dict(file.metadata() or {})
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: expected a safetensors file: {_line(error)}") from None
    try:
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: expected tensors alone, found a corrupt file or a pickle that would run "
            "code; it was not executed. Save the state dict as safetensors"
        ) from None
    except Exception as error:  # torch raises anything between struct.error and IndexError
        raise InputError(f"{path}: expected a torch checkpoint: {_line(error)}") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
    ):
        raise InputError(f"{path}: expected a state dict of tensors, found {type(state).__name__}")
    return state, {}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


@functools.lru_cache(maxsize=2)
def _loaded(path: str, size: int, modified: int) -> "tuple[dict[str, Tensor], dict[str, str]]":
    return _read(Path(path))


def _load(path: Path) -> "tuple[dict[str, Tensor], dict[str, str]]":
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: expected a weights file: {error.strerror}") from None
    if path.is_dir():
        raise InputError(f"{path}: expected a weights file, found a folder")
    return _loaded(str(path), stat.st_size, stat.st_mtime_ns)


def load_state(path: str | Path) -> "dict[str, Tensor]":
    """Return the state dict in a weights file; raises InputError if it cannot be read."""
    return _load(Path(path))[0]


def _some(keys: list[str], most: int = 5) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def used_state(state: "Mapping[str, Tensor]", spec: BackboneSpec) -> "dict[str, Tensor]":
    """Return what of a state dict belongs to the part of a backbone that is used."""
    named = spec.adapt(state)
    return {key: value for key, value in named.items() if not key.startswith(spec.unused)}


def check(path: Path, arch: str, spec: BackboneSpec) -> None:
    """Check that a weights file fits the part of a backbone that is used.

    Raises:
        InputError: the file is corrupt, would run code, or belongs to another architecture; at
            most five keys are named.
    """
    import torch

    state = spec.adapt(load_state(path))
    with torch.device("meta"):
        expected = {k: tuple(v.shape) for k, v in spec.build({}).state_dict().items()}
    needed = {
        key
        for key in expected
        if not key.startswith(spec.unused) and not key.endswith("num_batches_tracked")
    }
    found = {key: tuple(value.shape) for key, value in state.items()}
    missing = sorted(needed - found.keys())
    wrong = sorted(key for key in needed & found.keys() if expected[key] != found[key])
    extra = sorted(found.keys() - expected.keys())
    kinds = {"lacks": missing, "has other shapes for": wrong, "has unknown": extra}
    problems = {verb: keys for verb, keys in kinds.items() if keys}
    if problems:
        most = 5 // len(problems)
        text = "; ".join(f"{verb} {_some(keys, most)}" for verb, keys in problems.items())
        raise InputError(f"{path}: expected the weights of {arch[2:]}, but it {text}")
    bad = sorted(key for key in needed if not bool(torch.isfinite(state[key]).all()))
    if bad:
        raise InputError(f"{path}: expected finite weights, found NaN or infinity in {_some(bad)}")


def _options(path: Path, digest: str, spec: BackboneSpec) -> dict[str, str]:
    """Return the backbone options that a file's metadata or its sha256 call for."""
    stated = _load(path)[1] if path.suffix == ".safetensors" else {}
    return KNOWN_FILES.get(digest, {}) | {k: v for k, v in stated.items() if k in spec.options}


def _find(
    name: str, spec: BackboneSpec, given: Mapping[str, Path], offline: bool
) -> tuple[str, Path]:
    """Return (source, path) of the weights of a backbone, downloaded if nothing is at hand."""
    import torch

    if name in given:
        return f"file:{given[name].name}", given[name]
    folder = os.environ.get(ENVIRONMENT)
    if folder:
        path = Path(folder) / f"{name}.safetensors"
        if path.is_file():
            return f"file:{path.name}", path
        if not Path(folder).is_dir():
            raise InputError(f"${ENVIRONMENT} is {folder!r}, expected an existing folder")
    if name.startswith(TIMM):
        from stylebench.backbones import timm

        return timm.find_weights(name.removeprefix(TIMM), offline=offline)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / spec.checkpoint
    source = f"torchvision:{spec.checkpoint}"
    if cached.is_file():
        return source, cached
    remedy = (
        f"give a file with --weights {name}=PATH, or put {name}.safetensors into a folder and set "
        f"${ENVIRONMENT} to it, or run once with a network"
    )
    if offline:
        raise UnavailableError(
            f"no weights for p-{name} on this machine, none downloaded (offline); {remedy}"
        )
    try:
        torch.hub.load_state_dict_from_url(
            URL + spec.checkpoint, map_location="cpu", check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise UnavailableError(
            f"no weights for p-{name} on this machine and the download failed "
            f"({_line(error)}); {remedy}"
        ) from None
    return source, cached


def resolve(
    arch: str,
    seed: int,
    *,
    given: Mapping[str, Path] | None = None,
    options: Mapping[str, str] | None = None,
    offline: bool = False,
) -> WeightsRef:
    """Return the weights of a backbone, checked against it, and their identity.

    Args:
        arch: ``r-…`` or ``p-…``.
        seed: of the random initialisation of an ``r-`` backbone.
        given: backbone name (without prefix) -> weights file, looked at first.
        options: of the backbone; they go before what the file itself calls for.
        offline: never download.

    Raises:
        UnavailableError: pretrained weights are nowhere; the text names the remedies.
        InputError: unknown name or option; a file that cannot be read or does not fit.
    """
    pretrained, spec = split(arch)
    chosen = dict(options or {})
    spec.check_options(arch, chosen)
    if not pretrained:
        return WeightsRef(source=f"random:{seed}", options=chosen)
    defaults = {key: values[0] for key, values in spec.options.items()}
    source, path = _find(arch[2:], spec, given or {}, offline)
    check(path, arch, spec)
    digest = sha256(path)
    chosen = defaults | _options(path, digest, spec) | chosen
    spec.check_options(arch, chosen)
    return WeightsRef(source=source, sha256=digest, path=str(path.resolve()), options=chosen)


def parse_given(values: list[str]) -> dict[str, Path]:
    """Return name -> path for the values of ``--weights NAME=PATH``; raises InputError."""
    result: dict[str, Path] = {}
    pretrained = [name for name, spec in ARCHS.items() if spec.checkpoint]
    for value in values:
        name, equals, path = value.partition("=")
        name = name.removeprefix("p-")
        if not equals or not path:
            raise InputError(f"--weights expects NAME=PATH, found {value!r}")
        if name.startswith(TIMM):
            split(f"p-{name}")
        elif name not in pretrained:
            near = suggestion(name, pretrained)
            known = ", ".join(pretrained)
            raise InputError(
                f"--weights: no backbone {name!r} takes weights{near} (known: {known})"
            )
        result[name] = Path(path).expanduser()
    return result
