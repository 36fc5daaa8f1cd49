"""Which values of a test's parameter are run always, and which by `make test-slow` alone."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def often(these: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Return parameters; where a value (of several its first) is none of `these`, a slow one."""
    parts = [value if isinstance(value, tuple) else (value,) for value in values]
    missing = [each for each in these if all(first != each for first, *_ in parts)]
    assert not missing, f"no parameter is {missing}"
    return [
        pytest.param(*each, marks=[] if each[0] in these else [pytest.mark.slow]) for each in parts
    ]
