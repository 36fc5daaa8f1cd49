"""The one exception that users see: a single line of text, never a traceback."""

import contextlib
import errno
import functools
import inspect
import itertools
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import unquote

P = ParamSpec("P")
T = TypeVar("T")


def one_line(text: str) -> str:
    r"""Return a text on one line, with what a terminal would obey written as its escape.

    Lone surrogates, which are bytes that are no UTF-8, are written as escapes too.

    >>> one_line("two\nlines, \x1b[31mred")
    'two lines, \\x1b[31mred'
    """
    line = " ".join(text.splitlines())
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )


def describe(error: BaseException, longest: int = 160) -> str:
    """Return what an error says on one line, in at most so many characters; else its class."""
    return one_line(" ".join(str(error).split()))[:longest] or type(error).__name__


def named(error: BaseException) -> str:
    """Return the class of an error and what it says, on one line of at most 200 characters."""
    return one_line(f"{type(error).__name__}: {error}")[:200]


class InputError(ValueError):
    """Wrong input: the message says what was expected, what was found and what to do.

    The command line prints the message and exits with status 2.
    """


_FLAG = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|stylebench [^;:)]*|(?<![^\s(/])--([a-z][a-z-]*)")
"""What was found, a command, or a flag that is in neither."""


def of_python(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function of the Python API name its arguments where an error names a flag.

    ``--statistics-images`` is statistics_images there, and ``--tag`` is tags; commands stay.
    """
    names = inspect.signature(function).parameters

    def argument(found: re.Match[str]) -> str:
        name = (found[1] or "").replace("-", "_")
        return f"{name}s" if f"{name}s" in names else name or found[0]

    @functools.wraps(function)
    def called(*args: P.args, **keys: P.kwargs) -> T:
        try:
            return function(*args, **keys)
        except InputError as error:
            error.args = (_FLAG.sub(argument, str(error)),)
            raise

    return called


class DamagedError(InputError):
    """A file of our own that holds no longer, or never held, what was written: it is made again."""


class JobError(RuntimeError):
    """A job that cannot be done, as its reason says; exit status 1 where there is no other job."""


class UnavailableError(InputError):
    """Something that is right but not at hand, such as pretrained weights; it names the remedy."""


def is_full(error: BaseException) -> bool:
    """Tell whether an error means that the disk, or what a user may have of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)(.*)", re.DOTALL)
_ADDRESS_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s'\"<>]+")
LOCAL = ("sqlite://", "file://")
"""Beginnings of addresses that name a file where no host follows."""
SHORTEST = 3
"""Characters of a part of a secret that is looked for by itself: shorter ones are in any text."""


def _parts(address: str) -> tuple[str, str, str, str]:
    """Return (all before userinfo, userinfo, host and path, query and fragment) of an address.

    People write passwords as they are, with every character that an address should not have there:
    the userinfo ends with the last @.
    """
    found = _ADDRESS.search(address)
    if found is None:
        return address, "", "", ""
    before, rest = address[: found.end(1)], found[2]
    if found[1] in LOCAL and rest.startswith("/"):
        place, more = re.match(r"([^?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        return before, "", place, more
    user, at, host = rest.rpartition("@")
    place, more = re.match(r"([^?#]*)(.*)", host, re.DOTALL).groups()  # type: ignore[union-attr]
    return before, user + at, place, more


def masked(address: str) -> str:
    """Return an address without what may be secret of it: userinfo, query and fragment.

    >>> masked("http://me:A@B@server/path?token=C")
    'http://***@server/path?***'
    """
    before, user, place, more = _parts(address)
    return before + ("***@" if user else "") + place + (f"{more[0]}***" if more else "")


def without_secrets(text: str, address: str = "") -> str:
    """Return a text with its addresses masked, and with what was secret of `address` alone too.

    Who reads an address in another way than its user meant quotes a part of the password.
    """
    _, user, place, more = _parts(address)
    if address:
        text = text.replace(address, masked(address))
    if user:
        text = re.sub(rf"[^\s'\"/]*@(?={re.escape(place.partition('/')[0])})", "***@", text)
    pieces = {
        piece for part in (user[:-1], more[1:]) for piece in (part, *re.split("[:@&=]", part))
    }
    for piece in sorted(pieces | {unquote(piece) for piece in pieces}, key=len, reverse=True):
        if len(piece) >= SHORTEST:
            text = text.replace(piece, "***")
    return _ADDRESS_IN_TEXT.sub(lambda found: masked(found[0]), text)


_FOLDERS_OF_PATH = re.compile(
    r"""((?:^|[=,]|:(?!//))(?:sqlite:///|file://)?)     # where a path may begin
    (?:/ | ~[^/,:=]*/ | (?:[^/,:=]+/+)*\.\./)           # one that leads out of this folder
    (?:(?:[^,] | ,(?!/|~|\.\.?/|[\w.+-]+[=:]))*/)?      # up to the next one of a list""",
    re.VERBOSE,
)


def some(names: Sequence[str], most: int | None) -> str:
    """Return the first few of several names, and how many more there are; all without a number.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = len(names) - most if most else 0
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x' or 'y'?"`` for the closest of `known`, or an empty string.

    >>> suggestion("R-VGG_19", ["r-vgg19", "mosaic"])
    "; did you mean 'r-vgg19'?"
    """
    return either(closest(name, known))


def closest(name: str, known: Iterable[str], cutoff: float = 0.5) -> list[str]:
    """Return the closest of `known`, two at most, whatever the case and with _ as good as -.

    Args:
        name: what was typed.
        known: what there is.
        cutoff: likeness at least, from 0 to 1 (`difflib.SequenceMatcher.ratio`).
    """
    folded: dict[str, str] = {}
    for each in known:
        folded.setdefault(_folded(each), each)
    close = get_close_matches(_folded(name), folded, n=2, cutoff=cutoff)
    return [folded[match] for match in close]


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-")


def either(names: Sequence[str]) -> str:
    """Return ``"; did you mean 'x' or 'y'?"``, or an empty string for no names."""
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""


NAMED = 10
"""Names that a message lists, at most."""


def listing(known: Iterable[str], command: str = "") -> str:
    """Return ``"(known: a, b)"``; of more than `NAMED` the first, and what shows the others.

    >>> listing("abcdefghijklm", "stylebench ls letters")
    '(known: a, b, c, d, e, f, g, h, i, j and 3 more, see `stylebench ls letters`)'
    """
    names = list(known)
    others = f", see `{command}`" if command and len(names) > NAMED else ""
    return f"(known: {some(names, NAMED) or 'none'}{others})"


def published(value: Any) -> Any:
    """Return JSON as others may see it: addresses without secrets, paths without their folders.

    Of an absolute path in the working directory the relative one is left, of another one that
    leads out of it the name: folders bear the names of users. It may stand alone, behind ``NAME=``,
    and in a comma list; where it cannot be told from a comma in a folder's name, less is left.
    What has the key ``command`` is a command line. Keys may be paths too, of the styles of a blend;
    those that become the same are numbered.

    >>> published({"content": ["/home/ann/cat.jpg", "vgg19=/data/vgg.pth"]})
    {'content': ['…/cat.jpg', 'vgg19=…/vgg.pth']}
    """
    if isinstance(value, dict):
        shown: dict[Any, Any] = {}
        for key, item in value.items():
            is_command = key == "command" and isinstance(item, str)
            names = (each for each in _numbered(published(key)) if each not in shown)
            name = next(each for each in names if each == key or each not in value)
            shown[name] = published_command(item) if is_command else published(item)
        return shown
    if isinstance(value, list | tuple):
        return [published(item) for item in value]
    if not isinstance(value, str):
        return value
    text = without_secrets(value)
    with contextlib.suppress(OSError):  # the working directory was removed
        if (here := str(Path.cwd())) != "/":
            text = re.sub(rf"(^|[=,:]){re.escape(here)}/(?=.)", r"\1", text)
    return _FOLDERS_OF_PATH.sub(r"\1…/", text)


def _numbered(key: Any) -> Iterator[Any]:
    """Yield a key, and what tells it from others like it."""
    yield key
    yield from (f"{key} ({number})" for number in itertools.count(2))


def published_command(command: str) -> str:
    """Return a command line as others may see it: each word as `published`, addresses masked.

    >>> published_command("stylebench track results/two --tracking-uri=http://me:pw@host")
    "stylebench track results/two '--tracking-uri=http://***@host'"
    """
    try:
        words = shlex.split(command)
    except ValueError:  # it was no shell's
        words = [command]
    return shlex.join(published(masked(word)) for word in words)
