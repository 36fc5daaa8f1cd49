"""Numbers of flags, checked as they are read: before a command imports or looks for anything."""

import math
from collections.abc import Callable
from typing import Any

import typer

from stylebench.errors import InputError

Check = Callable[[typer.Context, typer.CallbackParam, Any], Any]
LARGEST = 2**63 - 1
"""Of whole numbers, which tables hold in 64 bits."""


def bounded(expected: str, holds: Callable[[Any], bool]) -> Check:
    """Return a callback of a flag that refuses other values, each of them where it has several.

    Args:
        expected: in words, behind "expects".
        holds: tells whether a value is right.
    """

    def check(context: typer.Context, flag: typer.CallbackParam, value: Any) -> Any:
        for each in value if isinstance(value, list) else [value]:
            if not (context.resilient_parsing or each is None or holds(each)):
                found = f"{each:g}" if isinstance(each, float) else repr(each)[:40]
                raise InputError(f"{flag.opts[0]} expects {expected}, found {found}")
        return value

    return check


def _is_side(value: int) -> bool:
    from stylebench.config import SIDES

    return SIDES[0] <= value <= SIDES[1]


def _is_seed(text: str) -> bool:
    try:
        return all(0 <= int(part) <= LARGEST for part in str(text).split(","))
    except ValueError:
        return False


def _are_weights(text: str) -> bool:
    try:
        return all(0 < float(part) < math.inf for part in text.split(","))
    except ValueError:
        return False


SIDE = bounded("16 to 4096 px", _is_side)
COUNT = bounded("a positive number", lambda value: 1 <= value <= LARGEST)
BATCH = bounded(
    "auto or a positive number", lambda text: text == "auto" or (text.isdecimal() and int(text) > 0)
)
SEED = bounded("a whole number from 0 on", _is_seed)
SEEDS = bounded("whole numbers from 0 on, as 0 or 0,1,2", _is_seed)
WEIGHTS = bounded("positive numbers, as 0.7,0.3", _are_weights)
POSITIVE = bounded("a positive number", lambda value: 0 < value < math.inf)
TRIES = bounded("0 or more", lambda value: 0 <= value < math.inf)
LIMIT = bounded("0 or more (0: no limit)", lambda value: 0 <= value < math.inf)
UNIT = bounded("a number from 0 to 1", lambda value: 0 <= value <= 1)
SHARE = bounded("a number from 0 to below 1", lambda value: 0 <= value < 1)
PORT = bounded("a port from 0 to 65535", lambda value: 0 <= value <= 65535)
