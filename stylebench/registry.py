"""Named extension points: a registry that suggests, refuses duplicates and loads lazily."""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from typing import Generic, TypeVar

from stylebench.errors import InputError

T = TypeVar("T")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x' or 'y'?"`` for the closest of `known`, or an empty string."""
    close = get_close_matches(name, list(known), n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(match) for match in close)}?" if close else ""


class Registry(Generic[T]):
    """A mapping from names to entries of one kind.

    Args:
        kind: what an entry is called in messages, e.g. ``"smoothing"``.
        module: dotted path of the module that registers the built-in entries; it is imported at
            the first look-up, so that naming a registry costs no import.
    """

    def __init__(self, kind: str, module: str | None = None) -> None:
        self.kind = kind
        self._module = module
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Register `entry`; a name that is taken raises ValueError."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers what it decorates under `name`."""
        return lambda entry: self.add(name, entry)

    def _loaded(self) -> dict[str, T]:
        if self._module is not None:
            module, self._module = self._module, None
            import_module(module)
        return self._entries

    def __getitem__(self, name: str) -> T:
        entries = self._loaded()
        if name not in entries:
            raise InputError(
                f"unknown {self.kind} {name!r}{suggestion(name, entries)} "
                f"(known: {', '.join(entries)})"
            )
        return entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._loaded()

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def items(self) -> list[tuple[str, T]]:
        """Return (name, entry) pairs in the order of registration."""
        return list(self._loaded().items())
