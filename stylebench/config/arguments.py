"""Arguments that functions of the Python API share, checked as the keys of jobs are."""

from numbers import Integral
from typing import Annotated, Any, Literal

from pydantic import ValidationError

from stylebench.config.specs import Frozen, NoSwitch, Seed, Size, first_problem
from stylebench.errors import InputError


class _Arguments(Frozen):
    """What functions of the Python API take beside pictures and settings."""

    size: Size | None = None
    resize: Literal["aspect", "squash"] | None = None
    seed: Seed = 0
    strength: Annotated[float, NoSwitch] = 1.0


def check_arguments(**given: Any) -> None:
    """Raise InputError for a wrong `size`, `resize`, `seed` or `strength` of a function."""
    whole = {
        key: int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value
        for key, value in given.items()
    }
    try:
        _Arguments.model_validate(whole)
    except ValidationError as error:
        path, expected, found = first_problem(error)
        raise InputError(f"{path}: {expected}, found {found!r:.60}") from None
