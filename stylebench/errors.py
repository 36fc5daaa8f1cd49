"""The one exception that users see: a single line of text, never a traceback."""


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


class InputError(ValueError):
    """Wrong input: the message says what was expected, what was found and what to do.

    The command line prints the message and exits with status 2.
    """


class JobError(RuntimeError):
    """A job that failed, where there is nothing but that job; exit status 1."""


class UnavailableError(InputError):
    """Something that is right but not at hand, such as pretrained weights; it names the remedy."""
