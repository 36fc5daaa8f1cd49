"""Named extension points: registries that suggest, refuse duplicates and load lazily; plug-ins.

A plug-in is a Python file of a user's, which registers what it defines. It is loaded where a user
names it: ``--plugin FILE``, ``$STYLEBENCH_PLUGINS`` (files, separated as in ``$PATH``), or an entry
point of the group ``stylebench`` of an installed package. Jobs hold the digest of those that their
numbers come from, never a path to run.
"""

import ast
import contextlib
import hashlib
import importlib.metadata
import inspect
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

from stylebench.errors import InputError, listing, named, suggestion

T = TypeVar("T")
GROUP = "stylebench"
"""Of entry points: each names a module, which registers what it defines when it is imported."""
VARIABLE = "STYLEBENCH_PLUGINS"


LISTS = {"backbone": "archs"} | {
    kind: f"{kind}s" for kind in ("smoothing", "statistic", "metric", "figure")
}
"""Kind of a registry -> what ``stylebench ls`` calls its entries."""


@dataclass(frozen=True)
class PlugIn:
    """A plug-in that is loaded.

    Attributes:
        name: of the file, or of an installed module: what jobs call it.
        digest: sha256 of its source and of the modules beside it that it imports, 16 digits.
        files: name -> path of these sources, the first is the plug-in itself; none where every
            process finds it by itself.
        module: what the source became.
        installed: found through an entry point, so that every process finds it.
    """

    name: str
    digest: str
    files: Mapping[str, Path]
    module: ModuleType
    installed: bool = False


_FOLDERS: set[Path] = set()
"""Of plug-ins, which are on Python's path for the modules beside them."""
PLUGINS: dict[str, PlugIn] = {}
"""The plug-ins of this process by name."""


class Registry(Generic[T]):
    """A mapping from names to entries of one kind.

    Args:
        kind: what an entry is called in messages, e.g. ``"smoothing"``.
        module: dotted path of the module that registers the built-in entries; it is imported at
            the first look-up, so that naming a registry costs no import.
    """

    _all: ClassVar["weakref.WeakSet[Registry[Any]]"] = weakref.WeakSet()
    loading: ClassVar[str] = ""
    """The plug-in that is being loaded."""

    def __init__(self, kind: str, module: str | None = None) -> None:
        self.kind = kind
        self._module = module
        self._entries: dict[str, T] = {}
        self._origin: dict[str, str] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}
        Registry._all.add(self)

    def add(self, name: str, entry: T, **facts: Any) -> T:
        """Register `entry`, with what is said of it; a name that is taken raises ValueError."""
        origin = _registering(entry)
        if name in (self._built_in() if origin else self._entries):
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name], self._facts[name] = entry, facts
        if origin:
            self._origin[name] = origin
        return entry

    def fact(self, name: str, key: str) -> Any:
        """Return what was said of an entry when it was registered; None for nothing."""
        self._loaded()
        return self._facts.get(name, {}).get(key)

    def called(self, name: str) -> str:
        """Return how messages call an entry: ``smoothing 'half' of mine.py``."""
        plugin = self._origin.get(name)
        return f"{self.kind} {name!r}" + (f" of {plugin}" if plugin else "")

    def code(self, name: str) -> dict[str, str]:
        """Return the plug-in that an entry comes from -> its digest; empty for what is built in."""
        plugin = self._origin.get(name)
        return {plugin: PLUGINS[plugin].digest} if plugin else {}

    def _built_in(self) -> dict[str, T]:
        if self._module is not None:
            module, self._module = self._module, None
            import_module(module)
        return self._entries

    def _loaded(self) -> dict[str, T]:
        entries = self._built_in()
        load_installed()
        return entries

    def __getitem__(self, name: str) -> T:
        entries = self._loaded()
        if name not in entries:
            command = f"stylebench ls {LISTS[self.kind]}" if self.kind in LISTS else ""
            raise InputError(
                f"unknown {self.kind} {name!r}{suggestion(name, entries)} "
                f"{listing(entries, command)}"
            )
        return entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._loaded()

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def items(self) -> list[tuple[str, T]]:
        """Return (name, entry) pairs in the order of registration."""
        return list(self._loaded().items())

    @classmethod
    def forget(cls, plugin: str) -> None:
        """Take out what a plug-in registered, anywhere."""
        for registry in cls._all:
            for name in [name for name, origin in registry._origin.items() if origin == plugin]:
                del registry._entries[name], registry._origin[name], registry._facts[name]


def _importing() -> str:
    """Return the name of the module that is being imported, which may be one of our own."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")) if frame is not None else ""


def _registering(entry: object) -> str:
    """Return the plug-in whose code registers an entry; empty for what is built in.

    Where nothing is being loaded that is a script, or a module that it imports: its file is the
    plug-in. Of a file that is none (a notebook's cell) the source of the entry is hashed.
    """
    frame = inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if not name.startswith("stylebench."):
            break
        if frame.f_code.co_name == "<module>":
            return ""
        frame = frame.f_back
    if Registry.loading or frame is None:
        return Registry.loading
    file = frame.f_code.co_filename
    whole: Any = entry
    try:
        there = Path(file).is_file()
        source = Path(file).read_bytes() if there else inspect.getsource(whole).encode()
    except (OSError, TypeError):
        source = b""
    made = PlugIn(Path(file).name, _hash([source]), {}, ModuleType(name), installed=True)
    PLUGINS[made.name] = made
    return made.name


def summary(function: Callable[..., object]) -> str:
    """Return the first line of a function's docstring; empty if it has none."""
    return next(iter((inspect.getdoc(function) or "").splitlines()), "")


def check_function(
    kind: str, name: str, function: object, takes: str, *, keywords: bool = False
) -> None:
    """Raise InputError for what cannot be registered, with its place in the source.

    Args:
        kind: of the registry.
        name: of the entry.
        function: must be called as `takes` says, and have a docstring.
        takes: names of the positional parameters, as ``result, content, style``.
        keywords: whether further parameters may follow, with defaults.
    """
    if not inspect.isroutine(function) and not isinstance(function, Callable):  # type: ignore[arg-type]
        raise InputError(f"{kind} {name!r}: expected a function, found {type(function).__name__}")
    code = getattr(inspect.unwrap(function), "__code__", None)  # type: ignore[arg-type]
    where = f" ({Path(code.co_filename).name}, line {code.co_firstlineno})" if code else ""
    wanted = takes.split(", ")
    expected = f"{kind} {name!r}{where}: expected a function of ({takes})"
    parameters = list(inspect.signature(function).parameters.values())  # type: ignore[arg-type]
    free = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    if any(p.kind is p.VAR_POSITIONAL for p in free):
        free = []
    elif len(free) < len(wanted) or any(p.kind is p.KEYWORD_ONLY for p in free[: len(wanted)]):
        found = ", ".join(p.name for p in free)
        raise InputError(f"{expected}, found one of ({found})")
    for parameter in free[len(wanted) :]:
        if not keywords or parameter.default is parameter.empty:
            more = " and keyword parameters with defaults" if keywords else " alone"
            raise InputError(f"{expected}{more}, found {parameter.name!r} too")
    if not summary(function):  # type: ignore[arg-type]
        raise InputError(
            f"{kind} {name!r}{where}: expected a docstring whose first line says what it is"
        )


def check_number(value: object, who: str) -> float:
    """Return what a function of an entry returned as a number; InputError for what is none."""
    single = getattr(value, "size", None) == 1 or getattr(value, "numel", lambda: 0)() == 1
    try:
        if isinstance(value, int | float) or single:
            return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        pass
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    told = f" {value!r:.40}" if isinstance(value, str) else shape
    raise InputError(f"{who}: expected a number, found {type(value).__name__}{told}")


def _hash(sources: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for source in sources:
        found.update(hashlib.sha256(source).digest())
    return found.hexdigest()[:16]


def _imported(source: bytes, file: str) -> list[str]:
    """Return the modules that a source names in its import statements, anywhere in it."""
    try:
        tree = ast.parse(source, file)
    except (SyntaxError, ValueError):  # which running it tells
        return []
    found = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
             for alias in node.names]  # fmt: skip
    return found + [
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
    ]


def _sources(path: Path) -> dict[str, bytes]:
    """Return path in the folder -> source, of a plug-in and of the modules beside it it imports.

    Of a package all files. What Python or an installed package has too is not taken from beside it.
    """
    found = {path.name: path.read_bytes()}
    todo = [found[path.name]]
    while todo:
        for name in _imported(todo.pop(), str(path)):
            top = name.partition(".")[0]
            if not top or top in sys.stdlib_module_names or _is_installed(top, path.parent):
                continue
            module, package = path.parent / f"{top}.py", path.parent / top
            files = sorted(package.rglob("*.py")) if (package / "__init__.py").is_file() else []
            for file in files or [module] * module.is_file():
                relative = file.relative_to(path.parent).as_posix()
                if relative not in found:
                    found[relative] = file.read_bytes()
                    todo.append(found[relative])
    return found


def _is_installed(top: str, folder: Path) -> bool:
    """Tell whether a module is found elsewhere than in a folder."""
    own = {folder, *_FOLDERS}
    elsewhere = [entry for entry in sys.path if entry and Path(entry).absolute() not in own]
    found = PathFinder.find_spec(top, elsewhere)
    return found is not None and found.origin is not None  # a mere folder hides no module


def _module(relative: str) -> str:
    """Return the name under which Python knows a source: ``nets/__init__.py`` is nets."""
    return relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _run(name: str, run: Callable[[], ModuleType], where: str) -> ModuleType:
    """Run a plug-in's code, what it registers being noted as its own."""
    if Registry.loading:
        raise InputError(f"{where}: a plug-in loads another one; name both")
    Registry.loading = name
    try:
        return run()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except Exception as error:
        line = _line(error, where)
        raise InputError(f"{where}{line}: cannot be imported: {named(error)}") from None
    finally:
        Registry.loading = ""


def _line(error: BaseException, where: str) -> str:
    """Return the last line of a file that an error came through."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == where:
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def load_plugin(file: str | os.PathLike[str]) -> PlugIn:
    """Load a plug-in, or return it if it is loaded as it is now; one that changed is loaded anew.

    Raises:
        InputError: no such file, one that cannot be imported, or another one of its name.
    """
    path = Path(os.path.expanduser(file)).absolute()  # noqa: PTH111  pathlib's raises
    known = PLUGINS.get(path.name)
    if path.suffix != ".py" or not path.is_file():
        missing = path.suffix == ".py" and not path.exists()
        why = "no such file" if missing else "expected a Python file, NAME.py"
        raise InputError(f"no plug-in {str(file)!r}: {why}")
    sources = _sources(path)
    digest = _hash(sources.values())
    before = known.files.get(path.name) if known else None
    if known and before == path and known.digest == digest:
        return known
    if before not in (None, path) and known and known.digest != digest:
        raise InputError(f"two plug-ins are called {path.name}: {before} and {path}; rename one")
    for name in known.files if known else ():
        if name != path.name:
            sys.modules.pop(_module(name), None)
    Registry.forget(path.name)
    files = {name: path.parent / name for name in sources}
    _remove_bytecode(files.values())
    for name in list(files)[1:]:
        loaded = getattr(sys.modules.get(_module(name)), "__file__", None)
        if loaded and Path(loaded) != files[name]:
            raise InputError(f"{path}: imports {files[name]}, but {loaded} is loaded by that name")
    module = ModuleType(f"stylebench_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    if known and sys.modules.get(path.stem) is known.module:
        del sys.modules[path.stem]
    sys.modules.setdefault(path.stem, module)  # a BackboneSpec names it as its target
    _FOLDERS.add(path.parent)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: a file beside it hides no installed module
    invalidate_caches()

    def run() -> ModuleType:
        with _no_bytecode():
            exec(compile(sources[path.name], str(path), "exec"), vars(module))
        return module

    try:
        _run(path.name, run, str(path))
        if _hash(_sources(path).values()) != digest:
            raise InputError(f"{path}: changed while it was loaded; run the command again")
    except InputError:
        Registry.forget(path.name)
        raise
    PLUGINS[path.name] = PlugIn(path.name, digest, files, module)
    return PLUGINS[path.name]


def _remove_bytecode(sources: Iterable[Path]) -> None:
    """Remove bytecode that a plug-in's functions left when they imported; see `_no_bytecode`."""
    for source in sources:
        with contextlib.suppress(OSError):
            Path(cache_from_source(source)).unlink()


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Write no bytecode: Python takes it for that of a file which changed within a second."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


_INSTALLED: list[bool] = []


def load_installed() -> None:
    """Load the plug-ins of ``$STYLEBENCH_PLUGINS`` and of installed packages, once a process.

    Raises:
        InputError: one of them cannot be loaded.
    """
    if _INSTALLED or Registry.loading or _importing().startswith("stylebench."):
        return  # not in the middle of an import of ours
    for file in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        load_plugin(file)
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.module not in PLUGINS:
            _run(point.module, point.load, f"entry point {point.name}")
            module = sys.modules[point.module]
            source = Path(str(module.__file__))
            package = source.name == "__init__.py"
            files = sorted(source.parent.rglob("*.py")) if package else [source]
            digest = _hash(file.read_bytes() for file in files)
            PLUGINS[point.module] = PlugIn(point.module, digest, {}, module, installed=True)
    _INSTALLED.append(True)


def carried() -> list[PlugIn]:
    """Return the plug-ins that another process has to be told of."""
    return [plugin for plugin in PLUGINS.values() if not plugin.installed]


def check_code(code: Mapping[str, str]) -> None:
    """Raise InputError where the plug-ins of a job are not those of this process."""
    load_installed()
    for name, digest in code.items():
        if name not in PLUGINS:
            raise InputError(f"the job needs the plug-in {name}; name it: --plugin {name}")
        if PLUGINS[name].digest != digest:
            raise InputError(f"the plug-in {name} changed after the job was planned; plan it again")
