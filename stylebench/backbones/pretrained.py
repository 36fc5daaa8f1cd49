"""Pretrained weights of backbones: which take some, where they are found, and whether they fit.

What `stylebench.weights` finds without knowing any backbone is brought together here with what a
backbone says of itself. No torch here.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from stylebench import weights
from stylebench.backbones import names
from stylebench.backbones.names import TIMM, BackboneName, find, is_of_file, of_files
from stylebench.backbones.spec import ARCHS, BackboneSpec
from stylebench.config import InputSpec, NodeChoice, WeightsRef
from stylebench.errors import InputError, listing, suggestion
from stylebench.named import expanded
from stylebench.weights import Wanted, files, inputs, parse, sources
from stylebench.weights.packages import PACKAGES


def wanted(name: str) -> Wanted:
    """Return what is looked for as the weights of a backbone, given without prefix."""
    if name not in ARCHS:
        return Wanted(name)
    return Wanted(name, ARCHS[name].checkpoint, ARCHS[name].published)


def _own() -> list[str]:
    return [name for name, spec in ARCHS.items() if "p-" in spec.prefixes]


def known() -> list[str]:
    """Return whose weights are listed: registered backbones, and what there are packages of."""
    of_packages = (package.backbone or name for name, package in PACKAGES.items())
    return list(dict.fromkeys([*_own(), *of_packages]))


def _refuse_others(name: str, those: Sequence[str], where: str) -> None:
    if name not in those:
        raise InputError(
            f"{where}: no backbone {name!r} takes weights{suggestion(name, those)} "
            f"{listing(those, 'stylebench weights ls')}"
        )


def canonical(name: str) -> str:
    """Return the name of a backbone or styliser from what a user gives; unknown: InputError.

    ``p-vgg19`` is vgg19; a package may be named by its short name (``efficientnet_lite0``).
    """
    name = name.removeprefix("p-")
    name = (PACKAGES[name].backbone or name) if name in PACKAGES else name
    if not name.startswith(TIMM):
        _refuse_others(name, known(), "weights")
    return name


def check(name: str, path: Path) -> None:
    """Raise InputError if a weights file does not fit a backbone, given without prefix."""
    files.check(path, name, find(f"p-{name}"))


def check_name(name: str, where: str) -> None:
    """Raise InputError, beginning with `where`, for a backbone that takes no weights."""
    if name.startswith(TIMM):
        find(f"p-{name}")
    elif not is_of_file(name):
        _refuse_others(name, [*of_files(), *_own()], where)


def asked(archs: Iterable[str]) -> list[str]:
    """Return the names by which the pretrained among some backbones are given weights.

    A network of a file counts: with weights it is pretrained.

    Args:
        archs: as ``--arch`` takes them.
    """
    stems = [names.parse(part)[0] for part in names.listed(archs)]
    found = names.expand(stems, [stem.rpartition(":")[2] for stem in stems if names.FILE in stem])
    every = (BackboneName.parse(arch) for arch in found)
    return list(dict.fromkeys(names.bare(name.name) for name in every if name.pretrained))


def _named(value: str, archs: Iterable[str]) -> tuple[str, str]:
    """Return name and source of ``NAME=SOURCE``, or of a source that can be of one backbone alone.

    Raises:
        InputError: it is neither.
    """
    name, equals, source = value.partition("=")
    whole = not equals or expanded(value).is_file()  # runs/lr=0.1/best.pth
    if not whole and source:
        return name.removeprefix("p-"), source
    known = asked(archs) if whole and value else []
    if len(known) == 1:
        return known[0], value
    kinds = "(PATH may be a source: torchvision:ENUM, timm:TAG, registry:NAME)"
    if len(known) > 1:
        kinds = f"and several backbones are pretrained; say whose, as {known[0]}={value}"
    raise InputError(f"--weights expects NAME=PATH, found {value!r} {kinds}")


def parse_given(values: Iterable[str], archs: Iterable[str] = ()) -> dict[str, str]:
    """Return name -> source for the values of ``--weights``.

    Args:
        values: each ``NAME=SOURCE``, or ``SOURCE`` where one of `archs` alone takes weights.
        archs: those that are asked for, as ``--arch`` takes them.

    Raises:
        InputError: another form, or no such backbone or source.
    """
    result: dict[str, str] = {}
    for value in values:
        name, source = _named(value, archs)
        check_name(name, "--weights")
        parse(source)
        if result.setdefault(name, source) != source:
            raise InputError(f"--weights of {name} is given twice: {result[name]!r}, {source!r}")
    return result


def _other_tag(name: str, source: str) -> str:
    """Return the tag of timm's weights that have another normalisation than a backbone's own."""
    kind, _, model = source.partition(":")
    tag = model.partition(".")[2]
    if kind != "timm" or not tag or "." in name:
        return ""
    own, taken = (find(f"p-{text}") for text in (name, source))
    return "" if (own.mean, own.std) == (taken.mean, taken.std) else tag


def _trusted(source: str, digest: str) -> bool:
    """Tell whether weights are those of a source that states their input with the backbone."""
    return source.startswith(TIMM) or any(p.converted == digest for p in PACKAGES.values())


def _input(
    name: str, spec: BackboneSpec, source: str, path: Path, digest: str, tell: Callable[[str], None]
) -> InputSpec | None:
    """Return what weights take where nobody says so: stated, known, or told by the first layer."""
    found = inputs.stated(path) or inputs.known(digest) or sources.transform(name, digest)
    if found or _trusted(source, digest):
        return found
    network = files.sketch(spec)
    state = files.named(files.load_state(path), spec, network.state_dict())
    found, doubt = inputs.shown(name, state, network, spec.input)
    if doubt:
        tell(
            f"p-{name}: warning: {path.name}: {doubt} Say so: input: {{{name}: "
            f"{inputs.text(found or inputs.OXFORD)}}} in an experiment file, or `input` in its "
            "metadata"
        )
    return None if doubt else found


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def resolve(
    arch: str,
    seed: int,
    *,
    given: Mapping[str, str | os.PathLike[str]] | None = None,
    options: Mapping[str, str] | None = None,
    nodes: NodeChoice | None = None,
    taken: Mapping[str, InputSpec] | None = None,
    offline: bool = False,
    tell: Callable[[str], None] = _warn,
) -> WeightsRef:
    """Return the weights of a backbone, checked against it, and their identity.

    Args:
        arch: ``r-…`` or ``p-…``.
        seed: of the random initialisation of an ``r-`` backbone.
        given: backbone name (without prefix) -> source (see `weights.parse`) or path; others are
            ``auto``.
        options: of the backbone; they go before what the file itself calls for.
        nodes: chosen in place of the backbone's own; the weights must reach to them.
        taken: backbone name -> what its weights take for a picture; goes before what the file
            states or shows.
        offline: never download.
        tell: called with a line where the weights seem to take something else.

    Raises:
        UnavailableError: pretrained weights are nowhere; the text names the remedies.
        InputError: unknown name, source or option; a file that cannot be read, does not fit, or is
            not the pinned one.
    """
    name, spec = BackboneName.parse(arch), find(arch)
    chosen = dict(options or {})
    chosen = spec.check_options(arch, chosen)
    if not name.pretrained:
        return WeightsRef(source=f"random:{seed}", options=spec.started(chosen))
    text = os.fspath(name.of(given or {}) or "auto")
    source, path = weights.find(wanted(name.name), parse(text), offline=offline)
    tag = _other_tag(name.name, source)
    files.load_state(path)  # which refuses what is no file of weights
    digest = files.sha256(path)
    known = files.options(path, digest, spec)
    known = spec.check_options(arch, known)
    chosen = known | chosen
    spec = (find(f"{arch}.{tag}") if tag else spec).choose(arch, nodes, chosen)
    files.check(path, name.name, spec.shaped(chosen))
    layout = {key: chosen.get(key, spec.defaults[key]) for key in files.LAYOUT & {*spec.options}}
    chosen = spec.settled(chosen) | layout  # said even where it is the default: files look alike
    other = name.of(taken or {}) or _input(
        name.name, spec.shaped(chosen), source, path, digest, tell
    )
    if other and other.unit == spec.input.unit:
        other = None
    return WeightsRef(
        source=source,
        sha256=digest,
        path=str(path.resolve()),
        options=chosen,
        tag=tag,
        input=other,
    )
