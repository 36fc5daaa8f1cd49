"""The one exception that users see: a single line of text, never a traceback."""

import re


class InputError(ValueError):
    """Wrong input: the message says what was expected, what was found and what to do.

    The command line prints the message and exits with status 2.
    """


class JobError(RuntimeError):
    """A job that failed, where there is nothing but that job; exit status 1."""


class UnavailableError(InputError):
    """Something that is right but not at hand, such as pretrained weights; it names the remedy."""


def masked(text: str) -> str:
    """Return a text without the passwords in its addresses: ``http://me:***@server``."""
    return re.sub(r"(://[^/@\s]*):[^/@\s]*@", r"\1:***@", text)
