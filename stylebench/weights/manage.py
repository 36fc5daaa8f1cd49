"""What ``stylebench weights`` does: list, get, import and verify the weights on this machine."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from stylebench.errors import InputError
from stylebench.files import replacing
from stylebench.named import check_regular
from stylebench.weights import download, files, hub, packages, sources
from stylebench.weights.sources import Wanted

Check = Callable[[str, Path], None]
"""Raises InputError if a file does not fit the backbone of that name."""


def licence(name: str, source: str) -> str:
    """Return the licence of weights from a source, as far as their publisher states it."""
    kind, _, value = source.partition(":")
    if kind == "registry":
        return packages.PACKAGES[value or sources.package_of(name)].licence
    if kind == "torchvision":
        return "code BSD-3-Clause; weights trained on ImageNet"
    if kind == "timm":
        return hub.licence(value or name.removeprefix(sources.TIMM))
    return "that of the file"


def size(path: Path) -> str:
    """Return the size of a file: ``40.1 MB``."""
    return f"{path.stat().st_size / 1e6:.1f} MB"


def rows(backbones: Iterable[Wanted], verbose: bool = False) -> list[tuple[str, ...]]:
    """Return name, source, size, sha256 and licence of all weights, here or to be had.

    Args:
        backbones: whose weights are listed.
        verbose: the path as well.
    """
    found: list[tuple[str, ...]] = []
    for wanted in backbones:
        name, here = wanted.name, list(sources.at_hand(wanted))
        for source, path in here:
            row = (name, source, size(path), files.sha256(path)[:12], licence(name, source))
            found.append((*row, str(path)) if verbose else row)
        kinds = {source.partition(":")[0] for source, _ in here}
        for kind in sources.providers(wanted) or ["file"]:
            if kind not in kinds:
                row = (name, kind, "not here", "", licence(name, kind))
                found.append((*row, "") if verbose else row)
    return found


def get(wanted: Wanted, kind: str) -> str:
    """Make sure that the weights of a backbone are on this machine, and say which.

    Args:
        wanted: the backbone.
        kind: ``auto``, ``torchvision``, ``timm`` or ``registry``.

    Raises:
        UnavailableError: they cannot be had.
    """
    source, path = sources.find(wanted, sources.Source(kind), offline=False)
    digest = files.sha256(path)
    return f"{wanted.name}: {source}@sha256:{digest[:12]}  {size(path)}  {path}"


def import_file(name: str, path: Path, check: Check) -> Path:
    """Copy a weights file into the cache, or convert the archive of a known package into it.

    Raises:
        InputError: the file does not exist, cannot be read, or does not fit the backbone.
    """
    check_regular(path, "a weights file, or the archive of a package")
    package = sources.package_of(name)
    if path.is_file() and package and files.sha256(path) == packages.PACKAGES[package].sha256:
        return packages.install(package, path)
    if packages.is_styliser(name):
        label = packages.PACKAGES[name].label
        found = "another one" if path.is_file() else "no file"
        raise InputError(f"{str(path)!r}: expected the archive of {label}, found {found}")
    check(name, path)
    suffix = ".safetensors" if path.suffix == ".safetensors" else ".pth"
    target = files.cache_folder() / "imported" / (sources.file_name(name) + suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    old = sources.imported(name)
    with path.open("rb") as file, replacing(target) as part:
        shutil.copyfileobj(file, part)
    if old and old != target:
        old.unlink()
    return target


def _problem(name: str, source: str, path: Path, check: Check) -> str:
    """Return what is wrong with a file on this machine; empty if nothing is."""
    if source.startswith(("registry:", "torchvision:")):  # their sha256 is what it must be
        return ""
    try:
        check(name, path)
    except InputError as error:
        return str(error)
    return ""


def verify(wanted: Wanted, check: Check) -> Iterator[tuple[str, str]]:
    """Yield (what, problem) of every file of a backbone's weights on this machine.

    A file that states its sha256 (torchvision's, a converted package) must have it; another must be
    readable and fit. The problem is empty if there is none.
    """
    name, damaged = wanted.name, list[download.DamagedError]()
    for source, path in sources.at_hand(wanted, damaged.append):
        yield f"{name}  {source}  {path}", _problem(name, source, path, check)
    for error in damaged:
        yield f"{name}  {error.found[0]}  {error.found[1]}", error.problem
