"""The one exception that users see: a single line of text, never a traceback."""

import errno
import re


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


class DamagedError(InputError):
    """A file of our own that holds no longer, or never held, what was written: it is made again."""


class JobError(RuntimeError):
    """A job that cannot be done, as its reason says; exit status 1 where there is no other job."""


class UnavailableError(InputError):
    """Something that is right but not at hand, such as pretrained weights; it names the remedy."""


def is_full(error: BaseException) -> bool:
    """Tell whether an error means that the disk, or what a user may have of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def masked(text: str) -> str:
    """Return a text without the passwords in its addresses: ``http://me:***@server``."""
    return re.sub(r"(://[^/@\s]*):[^/@\s]*@", r"\1:***@", text)
