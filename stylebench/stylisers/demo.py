"""A page that runs stylisers in the browser: a folder of files, of which none is loaded elsewhere.

What computes there is onnxruntime-web, the npm package, as its user has it or as npm fetches it;
the rest is ours: `web/` and ONNX files of `stylebench.stylisers.export`.
"""

import functools
import io
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from stylebench import __version__, files, images, named, pages
from stylebench.backbones.names import parse
from stylebench.errors import InputError, UnavailableError
from stylebench.images import PAINTINGS, PHOTOGRAPHS, PREFIX, Builtin
from stylebench.stylisers import encoder, export, ort
from stylebench.stylisers.identity import called
from stylebench.stylisers.styliser import encoders, load
from stylebench.weights import packages
from stylebench.weights.files import cache_folder

WEB = Path(__file__).resolve().parent / "web"
ONNXRUNTIME_WEB = packages.Package(
    backbone="",
    tool="npm",
    package="onnxruntime-web",
    version="1.30.0",
    folder="package/dist/",
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    converted="",
    licence="MIT",
)
LOADERS = ("ort.wasm.min.js", "ort.webgpu.min.js")
"""Of the package's dist, for WebAssembly and for WebGPU; each names the module that it loads."""
SIZES = (256, 384, 512, 768)
SIZE = 384
STORED = 512
"""Long side in px of the built-in pictures beside the page."""
SHOWN = ("chelsea", "astronaut", "coffee", "china", "flower", "rocket")
"""Photographs whose licence lets a page show them."""
MOST_NAME = 60
"""Characters of a name that a file states."""
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Shown:
    """A network on the page: its name and file there, what is said of it, and its bytes."""

    name: str
    file: str
    about: str
    data: bytes


def write(
    models: Sequence[str],
    out: Path,
    *,
    dist: Path | None = None,
    given: Mapping[str, str] | None = None,
    offline: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> int:
    """Write the page of some stylisers, and return how many bytes it has in all.

    Args:
        models: as `stylebench.stylisers.styliser.load` takes them, or files that `stylebench
            export` wrote.
        out: a folder that is empty, or is made.
        dist: the folder ``dist`` of the npm package onnxruntime-web; fetched with npm by default.
        given: backbone name (without prefix) -> source of an encoder's weights.
        offline: fetch nothing.
        tell: called with a line for every network.

    Raises:
        InputError: what is no model, a folder that is not empty, no onnxruntime-web.
    """
    named.check_free(out)
    ort.require("demo")
    shares = _shares(models, given or {})
    runtime = runtime_files(dist, offline=offline)
    parts = zip(models, shares, strict=True)
    shown = _apart([_shown(model, share, offline, tell) for model, share in parts], models)
    for model, each in zip(models, shown, strict=True):
        tell(f"{model}: {each.name}, {len(each.data) / 1e6:.1f} MB")
    made: dict[str, bytes] = {f"ort/{name}": data for name, data in runtime.items()}
    made |= {f"models/{each.file}": each.data for each in shown}
    contents = [_picture(name, PHOTOGRAPHS[name], made) for name in SHOWN]
    styles = [_picture(name, PAINTINGS[name], made) for name in PAINTINGS]
    made["demo.js"] = (WEB / "demo.js").read_bytes()
    made["demo.css"] = pages.stylesheet(WEB / "demo.css").encode()
    made["index.html"] = _page(shown, contents, styles, runtime).encode()
    out.mkdir(parents=True, exist_ok=True)
    for name, data in made.items():  # index.html is the last one
        with files.replacing(out / name, out) as file:
            file.write(data)
    return sum(map(len, made.values()))


def _shares(models: Sequence[str], given: Mapping[str, str]) -> list[dict[str, str]]:
    """Return which weights are of which model; InputError for some that are of none."""
    seers = [encoders([model], own=True) if given else [] for model in models]
    archs = [[parse(each)[0] for each in own] for own in seers]
    encoder.check_given(given, [arch for own in archs for arch in own])
    return [
        {name: text for name, text in given.items() if any(encoder.takes(a, name) for a in own)}
        for own in archs
    ]


def runtime_files(dist: Path | None, *, offline: bool) -> dict[str, bytes]:
    """Return what a page needs of onnxruntime-web: name -> content.

    The archive that npm fetched is kept in the cache, and checked whenever it is taken.

    Raises:
        UnavailableError: there is none, and npm cannot fetch it.
        InputError: `dist` is no folder of the package.
    """
    if dist is not None:
        whole = {
            name: files.read(dist / name)
            for name in (path.name for path in files.listed(dist, pattern="ort*"))
            if name in LOADERS or re.fullmatch(r"ort-wasm-[\w.-]+\.(mjs|wasm)", name)
        }
        return _needed(whole, str(dist))
    package = ONNXRUNTIME_WEB
    kept = cache_folder() / "registry" / f"{package.package}-{package.version}.tgz"
    if kept.is_file():
        packages.check(package, kept)
    elif offline:
        raise UnavailableError(
            f"demo needs onnxruntime-web, which is not on this machine: {_REMEDY}"
        )
    else:
        try:
            with tempfile.TemporaryDirectory() as folder:
                data = packages.download(package, Path(folder)).read_bytes()
        except UnavailableError as error:
            raise UnavailableError(f"demo needs onnxruntime-web: {error}; or: {_REMEDY}") from None
        kept.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(kept) as file:
            file.write(data)
    members = packages.members(kept, package.folder)
    return _needed({Path(name).name: data for name, data in members.items()}, package.label)


_REMEDY = (
    f"npm install onnxruntime-web@{ONNXRUNTIME_WEB.version}, then --ort node_modules/"
    "onnxruntime-web/dist"
)


def _needed(whole: Mapping[str, bytes], where: str) -> dict[str, bytes]:
    """Return the loaders, and the modules that they name, of all files of a package."""
    found: dict[str, bytes] = {}
    for loader in LOADERS:
        if loader not in whole:
            continue
        modules = re.findall(rb"ort-wasm-[a-z.-]+\.mjs", whole[loader])
        stems = {module.decode().removesuffix(".mjs") for module in modules}
        parts = {f"{stem}{suffix}" for stem in stems for suffix in (".mjs", ".wasm")}
        if stems and parts <= whole.keys():
            found |= {name: whole[name] for name in sorted({loader, *parts})}
    if LOADERS[0] not in found:
        raise InputError(
            f"{where!r}: expected the dist folder of onnxruntime-web with {LOADERS[0]} and the "
            f"modules that it loads, found none: {_REMEDY}"
        )
    return found


def _version(runtime: Mapping[str, bytes]) -> str:
    found = re.search(rb"ONNX Runtime Web v([\w.-]+)", runtime[LOADERS[0]][:1000])
    return found[1].decode() if found else ""


def _shown(
    model: str, given: Mapping[str, str], offline: bool, tell: Callable[[str], None]
) -> Shown:
    """Return a network as the page has it, exported if need be."""
    if model.lower().endswith(".onnx"):
        data, about = export.read(Path(model))
    else:
        styliser = load(model, given=given, offline=offline)
        tell(f"{model}: exporting …")
        data, about = export.export(styliser).data, export.about(styliser)
    name = ", ".join(part[:MOST_NAME] for part in about.parts)
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-")[:MOST_NAME]
    told = f"sha256 {about.sha256[:12]}, {len(data) / 1e6:.1f} MB"
    return Shown(name, f"{stem}.onnx", told, data)


def _apart(shown: Sequence[Shown], models: Sequence[str]) -> list[Shown]:
    """Return networks under names of their own: with their files', and numbers if need be.

    Args:
        shown: networks.
        models: where each is from.
    """
    own = [f"({called(Path(model))})" for model in models]
    names = _distinct([each.name for each in shown], own)
    names = _distinct(names, [*map(str, range(1, len(shown) + 1))])
    files = [each.file for each in shown]
    return [
        replace(each, name=name, file=f"{number}-{file}" if files.count(file) > 1 else file)
        for number, (each, name, file) in enumerate(zip(shown, names, files, strict=True), 1)
    ]


def _distinct(names: Sequence[str], more: Sequence[str]) -> list[str]:
    """Return names, with what is more to them behind those that are there several times.

    >>> _distinct(["a", "b", "a"], ["1", "2", "3"])
    ['a 1', 'b', 'a 3']
    """
    pairs = zip(names, more, strict=True)
    return [f"{name} {own}" if names.count(name) > 1 else name for name, own in pairs]


@functools.cache
def _png(name: str) -> tuple[bytes, tuple[int, int]]:
    """Return a built-in picture without loss, and its width and height."""
    image, file = Image.fromarray(images.read(PREFIX + name, STORED)), io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue(), image.size


def _picture(name: str, builtin: Builtin, made: dict[str, bytes]) -> dict[str, object]:
    """Put a built-in picture among the files, and return what is said of it."""
    file, (width, height) = f"pictures/{name}.png", _png(name)[1]
    made[file] = _png(name)[0]
    return {"name": name, "file": file, "width": width, "height": height,
            "description": builtin.description, "credit": builtin.credit}  # fmt: skip


def _page(
    shown: Sequence[Shown],
    contents: Sequence[Mapping[str, object]],
    styles: Sequence[Mapping[str, object]],
    runtime: Mapping[str, bytes],
) -> str:
    return pages.template(WEB / "index.html.j2").render(
        models=shown, contents=contents, styles=styles, content=SHOWN[0], style="mosaic",
        sizes=SIZES, size=SIZE, policy=POLICY, version=__version__, ort=_version(runtime),
        webgpu=LOADERS[1] in runtime,
    )  # fmt: skip
