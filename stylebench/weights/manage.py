"""What ``stylebench weights`` does: list, get, import and verify the weights on this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from stylebench.backbones.zoo import ARCHS, split
from stylebench.errors import InputError
from stylebench.registry import suggestion
from stylebench.weights import download, files, hub, registry, sources


def names() -> list[str]:
    """Return the backbones whose weights are listed: registered ones, and those of packages."""
    own = [name for name, spec in ARCHS.items() if "p-" in spec.prefixes]
    return list(dict.fromkeys([*own, *(p.backbone for p in registry.PACKAGES.values())]))


def canonical(name: str) -> str:
    """Return a backbone's name from one that a user gives; unknown raises InputError.

    ``p-vgg19`` is vgg19; a package may be named by its short name (``efficientnet_lite0``).
    """
    name = name.removeprefix("p-")
    name = registry.PACKAGES[name].backbone if name in registry.PACKAGES else name
    known = names()
    if name not in known and not name.startswith(sources.TIMM):
        near = suggestion(name, known)
        raise InputError(
            f"weights: no backbone {name!r} takes weights{near} (known: {', '.join(known)})"
        )
    return name


def licence(name: str, source: str) -> str:
    """Return the licence of weights from a source, as far as their publisher states it."""
    kind, _, value = source.partition(":")
    if kind == "registry":
        return registry.PACKAGES[value or sources.package_of(name)].licence
    if kind == "torchvision":
        return "code BSD-3-Clause; weights trained on ImageNet"
    if kind == "timm":
        return hub.licence(value or name.removeprefix(sources.TIMM))
    return "that of the file"


def size(path: Path) -> str:
    """Return the size of a file: ``40.1 MB``."""
    return f"{path.stat().st_size / 1e6:.1f} MB"


def rows(verbose: bool = False) -> list[tuple[str, ...]]:
    """Return name, source, size, sha256 and licence of all weights, here or to be had.

    Args:
        verbose: the path as well.
    """
    found: list[tuple[str, ...]] = []
    for name in names():
        here = list(sources.at_hand(name))
        for source, path in here:
            row = (name, source, size(path), files.sha256(path)[:12], licence(name, source))
            found.append((*row, str(path)) if verbose else row)
        kinds = {source.partition(":")[0] for source, _ in here}
        for kind in sources.providers(name) or ["file"]:
            if kind not in kinds:
                row = (name, kind, "not here", "", licence(name, kind))
                found.append((*row, "") if verbose else row)
    return found


def get(name: str, kind: str) -> str:
    """Make sure that the weights of a backbone are on this machine, and say which.

    Args:
        name: see `canonical`.
        kind: ``auto``, ``torchvision``, ``timm`` or ``registry``.

    Raises:
        UnavailableError: they cannot be had.
    """
    source, path = sources.find(name, sources.Source(kind), offline=False)
    digest = files.sha256(path)
    return f"{name}: {source}@sha256:{digest[:12]}  {size(path)}  {path}"


def import_file(name: str, path: Path) -> Path:
    """Copy a weights file into the cache, or convert the archive of a known package into it.

    Raises:
        InputError: the file does not exist, cannot be read, or does not fit the backbone.
    """
    package = sources.package_of(name)
    if path.is_file() and package and files.sha256(path) == registry.PACKAGES[package].sha256:
        return registry.install(package, path)
    files.check(path, f"p-{name}", split(f"p-{name}")[1])
    suffix = ".safetensors" if path.suffix == ".safetensors" else ".pth"
    target = files.cache_folder() / "imported" / (sources.file_name(name) + suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    shutil.copyfile(path, part)
    old = sources.imported(name)
    part.replace(target)
    if old and old != target:
        old.unlink()
    return target


def _problem(name: str, source: str, path: Path) -> str:
    """Return what is wrong with a file on this machine; empty if nothing is."""
    if source.startswith(("registry:", "torchvision:")):  # their sha256 is what it must be
        return ""
    try:
        files.check(path, f"p-{name}", split(f"p-{name}")[1])
    except InputError as error:
        return str(error)
    return ""


def verify(name: str) -> Iterator[tuple[str, str]]:
    """Yield (what, problem) of every file of a backbone's weights on this machine.

    A file that states its sha256 (torchvision's, a converted package) must have it; another must be
    readable and fit. The problem is empty if there is none.
    """
    damaged: list[download.DamagedError] = []
    for source, path in sources.at_hand(name, damaged.append):
        yield f"{name}  {source}  {path}", _problem(name, source, path)
    for error in damaged:
        yield f"{name}  {error.found[0]}  {error.found[1]}", error.problem
