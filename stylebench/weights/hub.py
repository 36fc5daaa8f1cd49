"""Weights of timm's models, in the cache that timm itself uses. timm is imported when needed."""

import contextlib
import re
import sys
from pathlib import Path
from typing import Any

from stylebench.errors import InputError, UnavailableError, describe, listing, suggestion
from stylebench.weights import download
from stylebench.weights.files import sha256


def _config(model: str, tag: str) -> Any:
    """Return timm's pretrained configuration of a model and tag (empty: its default)."""
    import timm

    model, _, own = model.partition(".")
    if not timm.is_model(model):
        near = suggestion(model, timm.list_models())
        raise InputError(f"timm has no model {model!r}{near}")
    configs = timm.models.get_arch_pretrained_cfgs(model)
    tags = {name.partition(".")[2]: config for name, config in configs.items()}
    known = [name for name, config in tags.items() if config.has_weights]
    if not known:
        raise UnavailableError(f"timm publishes no weights of {model}")
    wanted = tag or own or timm.models.get_pretrained_cfg(model).tag or known[0]
    if wanted not in known:
        raise InputError(
            f"timm: {model} has no weights {wanted!r}{suggestion(wanted, known)} {listing(known)}"
        )
    return tags[wanted]


def timm_file(model: str, tag: str = "", *, offline: bool = False) -> tuple[str, Path]:
    """Return (source, path) of a timm model's weights, downloaded if they are not in the cache.

    Args:
        model: timm's name, with or without a tag: ``resnet18``, ``resnet18.a1_in1k``.
        tag: of the weights, before that of the name; empty: the name's, or timm's default.
        offline: look into the cache alone.

    Returns:
        ``timm:resnet18.a1_in1k`` and a local file: safetensors, or what else timm publishes, with
        the parameter names that ``timm.create_model`` loads.

    Raises:
        InputError: no such model or tag.
        UnavailableError: no weights are published, they are not in the cache and `offline`, or the
            download failed.
    """
    config = _config(model, tag)
    source = f"timm:{config.architecture}" + (f".{config.tag}" if config.tag else "")
    if config.hf_hub_id:
        return source, _of_hub(source, config, offline)
    return source, download.of_torch(config.url, source, offline=offline)


def licence(model: str) -> str:
    """Return the licence that timm states for the weights of a model, by name and tag."""
    return _config(model, "").license or "not stated by timm"


def _of_hub(source: str, config: Any, offline: bool) -> Path:
    """Return a file of the Hugging Face hub, through its own cache; its sha256 is checked."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    repository, name = config.hf_hub_id, config.hf_hub_filename or "model.safetensors"
    with contextlib.suppress(LocalEntryNotFoundError):
        path = Path(huggingface_hub.hf_hub_download(repository, name, local_files_only=True))
        if download.have((source, path), _digest(path.resolve().name), offline):
            return path
        path.resolve().unlink(missing_ok=True)  # else the hub's client would take it again
    if offline:
        raise UnavailableError(f"{source} is not on this machine")
    try:  # a question first: the download alone would try again for half a minute
        address = huggingface_hub.hf_hub_url(repository, name)
        etag = huggingface_hub.get_hf_file_metadata(address, timeout=download.TIMEOUT).etag
        path = Path(huggingface_hub.hf_hub_download(repository, name))
    except Exception as error:  # the hub's client raises errors of its own and of its HTTP library
        raise UnavailableError(f"{source}: {describe(error)}") from None
    expected, found = _digest(etag or ""), sha256(path)
    if not found.startswith(expected):
        path.resolve().unlink()
        raise UnavailableError(
            f"{source}: expected a file of sha256 {expected[:12]}, found {found[:12]}; the "
            "download was removed, run it again"
        )
    return path


def _digest(tag: str) -> str:
    """Return the sha256 that the hub's tag for a content, by which its cache calls it, may be."""
    return tag if re.fullmatch("[0-9a-f]{64}", tag) else ""
