"""Names of backbones: what one says, which there are, and what lists and globs of them stand for.

``r-`` is a network with random weights, ``p-`` one with pretrained ones. Behind it stands the name
of a registered backbone, ``timm:`` and a model of timm, or a Python file and what in it makes the
network: ``my_net.py:MyNet``; then options, ``+gamma=0.5``. No torch here.
"""

import csv
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Self, TypeVar

from stylebench.backbones.spec import ARCHS, INIT, BackboneSpec
from stylebench.errors import NAMED, InputError, closest, either, listing, some, suggestion
from stylebench.registry import PLUGINS, load_plugin

TIMM = "timm:"
"""Before the name of a model of timm, which is a backbone without being registered."""
FILE = ".py:"
"""Between a file and what in it makes a network."""
COMMAND = "stylebench ls archs"
"""Shows all names."""
V = TypeVar("V")


@dataclass(frozen=True)
class BackboneName:
    """What the name of a backbone says.

    Attributes:
        pretrained: whether it has p- in front, else r-.
        name: without prefix, as weights and nodes are given for it.
    """

    pretrained: bool
    name: str

    @classmethod
    def parse(cls, arch: str) -> Self:
        """Return what a name without options says; one without r- or p- is an InputError."""
        prefix, name = _split(arch)
        if not prefix:
            raise InputError(f"expected a backbone as r-NAME or p-NAME, found {arch!r}")
        return cls(prefix == "p-", name)

    @property
    def arch(self) -> str:
        """The name with its prefix and without options: ``p-vgg19``."""
        return f"{'p' if self.pretrained else 'r'}-{self.name}"

    @property
    def is_timm(self) -> bool:
        """Whether it is a model of timm."""
        return self.name.startswith(TIMM)

    @property
    def is_file(self) -> bool:
        """Whether it is a network of a file."""
        return FILE in self.name

    @property
    def model(self) -> str:
        """The name without ``timm:``; of a file's network what makes it."""
        return self.name.partition(FILE)[2] or self.name.removeprefix(TIMM)

    @property
    def architecture(self) -> str:
        """The network without what tells its weights: timm:resnet50.a1_in1k is resnet50.

        So is robust-resnet50.
        """
        return self.model.removeprefix("robust-").partition(".")[0]

    def of(self, given: Mapping[str, V]) -> V | None:
        """Return what is given for it by name; of a file's network the file need not be named."""
        return given.get(self.name, given.get(self.model) if self.is_file else None)


def _split(text: str) -> tuple[str, str]:
    """Return the prefix of a name, r-, p- or none, and what follows it."""
    return (text[:2], text[2:]) if text[:2] in ("r-", "p-") else ("", text)


def is_of_file(name: str) -> bool:
    """Tell whether a name (``my_net.py:MyNet`` or ``MyNet``) is something in a loaded plug-in."""
    file, _, attribute = name.rpartition(":")
    return any(
        file in ("", known) and attribute in vars(plugin.module)
        for known, plugin in PLUGINS.items()
    )


def listed(values: Iterable[str]) -> list[str]:
    """Return the parts of what ``--arch`` was given; the path of a file may hold commas."""
    found: list[str] = []
    for text in values:
        path = _split(text.strip())[1].rpartition(FILE)[0]
        first, *more = text[text.rfind(FILE) :].split(",")
        if path and Path(path + ".py").expanduser().is_file():
            found += [text[: text.rfind(FILE)] + first, *more]
        else:
            found += text.split(",")
    return [part.strip() for part in found]


def of_files() -> list[str]:
    """Return what in the loaded plug-ins may make a network: their own classes and functions."""
    return [
        name
        for plugin in PLUGINS.values()
        for name, value in vars(plugin.module).items()
        if makes(value, plugin.module)
    ]


def makes(value: object, module: object) -> bool:
    """Tell whether something in a file may make a network and is its own."""
    own = getattr(value, "__module__", None) == getattr(module, "__name__", "")
    return isinstance(value, BackboneSpec) or (own and callable(value))


def parse(part: str) -> tuple[str, dict[str, str]]:
    """Return (name, options) of ``NAME+OPTION=VALUE…``; what is not of that form: InputError.

    A plus in the path of a file is part of the name.
    """
    path, file, rest = part.rpartition(FILE)
    name, *settings = rest.split("+")
    name = path + file + name
    options: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"backbone {part!r}: expected NAME+OPTION=VALUE, found {setting!r}")
        if options.get(key, value) != value:
            raise InputError(
                f"backbone {part!r}: expected one value of {key}, found {options[key]} and "
                f"{value}; for both, give two backbones"
            )
        options[key] = value
    return name, options


ALL = (
    "r-vgg19",
    "p-vgg19",
    "r-resnet50",
    "p-resnet50",
    "r-noresnet50",
    "r-pseudo-vgg",
    "r-pseudo-resvgg",
)
"""What ``--arch all`` means: the paper's backbones, r- random, p- pretrained."""


def known(*, hidden: bool = False) -> list[str]:
    """Return the names that ``--arch`` knows, see `BackboneSpec.prefixes`."""
    return [
        prefix + name
        for name, spec in ARCHS.items()
        if hidden or not spec.hidden
        for prefix in spec.prefixes
    ]


def find(arch: str) -> BackboneSpec:
    """Return the backbone of a name such as ``p-vgg19``; unknown raises InputError."""
    name = BackboneName.parse(arch) if _split(arch)[0] else None
    if name and name.is_timm:
        from stylebench.backbones import timm

        found: BackboneSpec = timm.spec(name.model, name.pretrained)
    elif name and name.is_file:
        from stylebench.backbones import own

        found = own.spec(name.name)
    elif name is None or arch not in known(hidden=True):
        if arch.endswith(".py"):
            raise InputError(f"{arch!r}: expected the class in the file too, as {arch}:MyNet")
        near, there = either(_near(arch)), listing(["all", *known()], COMMAND)
        raise InputError(f"unknown backbone {arch!r}{near} {there}")
    else:
        found = ARCHS[name.name]
    return found if name.pretrained else replace(found, options={**found.options, **INIT})


def _near(arch: str) -> list[str]:
    """Return what may have been meant by a name that is none; timm's where it is one of theirs."""
    prefix, name = _split(arch)
    own = [each for each in known() if _split(each)[1] == name]
    if not own and name.partition(".")[0] in timm_models():
        return [f"{prefix or 'r-'}{TIMM}{name}"]
    return own or closest(arch, known()) or closest(f"r-{name}", known())


def code_of(arch: str) -> dict[str, str]:
    """Return the plug-in that a backbone comes from -> its digest; empty for what is built in."""
    name = BackboneName.parse(arch)
    file = name.name.partition(":")[0]
    return {file: PLUGINS[file].digest} if name.is_file else ARCHS.code(name.name)


def of_file(text: str, pretrained: Collection[str] = ()) -> str:
    """Load the file of ``[r-|p-]FOLDER/FILE.py:NAME``; return the backbone's name, without FOLDER.

    Args:
        text: what ``--arch`` was given.
        pretrained: names that weights are given for: without prefix such a network is p-.
    """
    prefix, place = _split(text)
    path, _, attribute = place.rpartition(":")
    name = f"{load_plugin(path).name}:{attribute}"
    given = {attribute, name} & set(pretrained)
    return (prefix or ("p-" if given else "r-")) + name


def bare(text: str) -> str:
    """Return the name that nodes and weights are given by, of a name as ``--arch`` takes it.

    That is the name without prefix and options; of a file's network what makes it.
    """
    name = _split(parse(text.strip())[0])[1]
    return name.partition(FILE)[2] or name


def look_up(values: Iterable[str], given: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Load the files among what ``--arch`` was given; check other names and options but timm's.

    Weights may be given by the names of files that are loaded; timm takes seconds to import.

    Args:
        values: each a name, a list or a glob, with options.
        given: name without prefix -> more options.

    Raises:
        InputError: a file that cannot be loaded, a name or a glob that fits nothing, an option that
            a backbone does not have, or none of a group.
    """
    found, parts = list[tuple[str, dict[str, str], bool]](), listed(values)
    for text in parts:
        name, options = parse(text)
        if FILE in text:
            of_file(name)
        elif TIMM not in name:
            found += [(arch, options, named) for arch, named in expand([name]).items()]
    for arch, options, named in found:
        more = BackboneName.parse(arch).of(given or {}) or {}
        find(arch).check_options(arch, {**more, **options} if named else more)
    if not any(TIMM in text for text in parts):  # else one of timm's may have it
        taking(found, lambda text: None)


def _matching(pattern: str) -> list[str]:
    """Return the names that a glob fits; timm's only if it says so."""
    prefix, name = _split(pattern)
    if prefix and name.startswith(TIMM):
        from stylebench.backbones import timm

        there = [f"{prefix}{TIMM}{name}" for name in timm.names(pretrained=prefix == "p-")]
        told = f"({len(there)} models of timm are known)"
    else:
        there = known()
        told = listing(there, COMMAND)
    found = [name for name in there if fnmatchcase(name, pattern)]
    if not found:
        raise InputError(f"no backbone matches {pattern!r} {told}")
    return found


def expand(values: Iterable[str], pretrained: Collection[str] = ()) -> dict[str, bool]:
    """Return the backbones that a list of names, comma lists, globs and ``all`` stands for.

    Args:
        values: each a name, a list or a glob.
        pretrained: see `of_file`.

    Returns:
        name -> whether it was named explicitly (rather than through ``all`` or a glob), in order.

    Raises:
        InputError: a name or a glob that fits nothing.
    """
    result: dict[str, bool] = {}
    for value in listed(values):
        if value.startswith(TIMM):
            value = f"r-{value}"
        if value == "all":
            found, explicit = list(ALL), False
        elif FILE in value:
            found, explicit = [of_file(value, pretrained)], True
            find(found[0])
        elif any(character in value for character in "*?["):
            found, explicit = _matching(value), False
        else:
            find(value)
            found, explicit = [value], True
        for name in found:
            result[name] = result.get(name, False) or explicit
    return result


def taking(
    archs: Sequence[tuple[str, Mapping[str, str], bool]], tell: Callable[[str], object]
) -> list[tuple[str, dict[str, str], bool]]:
    """Return backbones with the options that are given for them, of a group's those that it has.

    Args:
        archs: (name, options, whether it was named explicitly), as `expand` tells.
        tell: called with a line for every option that some of a group do not have.

    Raises:
        InputError: an option that none of the group has; of one named explicitly nothing is said.
    """
    found: list[tuple[str, dict[str, str], bool]] = []
    taken: set[tuple[str, str]] = set()
    lacking: dict[tuple[str, str], dict[str, InputError]] = {}
    for arch, options, explicit in archs:
        own = dict(options)
        for setting in () if explicit else options.items():
            try:
                find(arch).check_options(arch, dict([setting]))
                taken.add(setting)
            except InputError as error:
                lacking.setdefault(setting, {})[arch] = error
                del own[setting[0]]
        found.append((arch, own, explicit))
    for setting, without in lacking.items():
        if setting not in taken:
            near = [arch for arch in without if setting[0] in find(arch).options]
            known = {key for arch in without for key in find(arch).options}
            text = f"none of {some([*without], NAMED)} has an option {setting[0]!r}"
            raise without[near[0]] if near else InputError(text + suggestion(setting[0], known))
        lacks = some([*without], NAMED)
        tell(f"{'='.join(setting)}: {lacks} cannot have it and run without")
    return found


@cache
def timm_models() -> dict[str, tuple[str, int, bool]]:
    """Return name -> (family, parameters, dormant) of the models of timm 1.0.31.

    A family is its module; dormant as in `BackboneSpec`.
    """
    table = files("stylebench.backbones").joinpath("timm_models.csv").read_text("utf-8")
    rows = csv.DictReader(table.splitlines())
    return {
        row["model"]: (row["family"], int(row["parameters"]), row["dormant"] == "1") for row in rows
    }


def limited(archs: Mapping[str, bool], most: int | None) -> dict[str, bool]:
    """Return at most so many of the backbones that `expand` returned, spread over families.

    First those that are not timm's, in their order. Then of each of timm's families the smallest
    by parameters, the smallest family first; then the second of each, and so on. None: all.
    """
    if most is None:
        return dict(archs)
    unknown = ("", sys.maxsize)  # of a later timm
    models = {name: row[:2] for name, row in timm_models().items()}
    sizes = {arch: models.get(arch[2 + len(TIMM) :].partition(".")[0], unknown) for arch in archs}
    taken: Counter[tuple[str, str]] = Counter()
    order: dict[str, tuple[int, int]] = {}
    for arch in sorted(archs, key=lambda arch: (sizes[arch][1], arch)):
        family = arch[:2], sizes[arch][0]
        order[arch] = (taken[family], sizes[arch][1]) if arch[2:].startswith(TIMM) else (-1, 0)
        taken[family] += 1
    first = sorted(archs, key=lambda arch: order[arch])[:most]
    return {arch: archs[arch] for arch in first}
