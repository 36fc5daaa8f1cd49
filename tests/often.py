"""Which values of a test's parameter are run always, and which by `make test-slow` alone."""

from collections.abc import Container, Iterable
from typing import Any

import pytest


def often(these: Container[Any], values: Iterable[Any]) -> list[Any]:
    """Return parameters; where a value (of several its first) is none of `these`, a slow one."""
    found = []
    for value in values:
        parts = value if isinstance(value, tuple) else (value,)
        marks = [] if parts[0] in these else [pytest.mark.slow]
        found.append(pytest.param(*parts, marks=marks))
    return found
