"""What the JSON files of a results folder hold, checked when they are read: a model for each.

A folder may come from a stranger, or be damaged: what does not fit its model is a `DamagedError`.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from stylebench import files
from stylebench.config import Kind, first_problem
from stylebench.errors import DamagedError, describe, one_line

MOST = 1 << 24
"""Bytes of such a file; a list of 100,000 jobs has a quarter of that."""

MOST_DIGITS = 100
"""Of a whole number: Python reads no more than 4,300."""

Model = TypeVar("Model", bound=BaseModel)


def encodable(text: str) -> str:
    """Return a text; ValueError for one with lone surrogates, which are bytes that are no UTF-8."""
    text.encode()
    return text


def _date(text: str) -> str:
    if text:
        datetime.fromisoformat(text).timestamp()
    return text


Text = Annotated[str, AfterValidator(encodable)]
"""That a table, a page or MLflow can hold."""
Seconds = Annotated[float, Field(ge=0, le=4e9, allow_inf_nan=False)]
"""Since the epoch, or that something took."""
Whole = Annotated[int, Field(ge=0, lt=2**63)]
"""That a table can hold."""
JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Holder(BaseModel):
    """.holder.json: who writes into the folder."""

    command: Text
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    host: Text
    began: Seconds


class Announced(BaseModel):
    """.jobs.json: when the last sweep began, and its jobs."""

    began: Seconds
    jobs: list[tuple[Kind, JobId]]


class _Config(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: Annotated[Text, Field(max_length=100)] = ""
    description: Text = ""


class _Weights(BaseModel):
    model_config = ConfigDict(extra="allow")

    arch: Text = ""
    source: Text = ""
    sha256: Text = ""


class Run(BaseModel):
    """A run in manifest.json: how a part of the folder was made."""

    model_config = ConfigDict(extra="allow")

    command: Text
    environment: dict[Text, Text]
    config: _Config | None = None
    weights: list[_Weights] = []
    device: Text = ""
    began: Annotated[Text, AfterValidator(_date)] = ""


class Manifest(BaseModel):
    """manifest.json: see `stylebench.sweeps.run`."""

    model_config = ConfigDict(extra="allow")

    runs: list[Run]


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def parsed(data: bytes) -> Any:
    """Return what the bytes of a file of JSON in UTF-8 hold; ValueError says why they are none."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"at line {error.lineno}, column {error.colno}" if data.strip() else "it is empty"
        raise ValueError(f"no JSON: {where}") from None


def read(path: Path, model: type[Model], root: Path | None = None) -> Model:
    """Return what a file of JSON in a results folder holds.

    Args:
        path: of the file.
        model: that it has to fit.
        root: the results folder; by default the folder that the file is in.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        DamagedError: it does not fit.
        InputError: it cannot be read.
    """
    data = files.read(path, root, MOST)
    try:  # by json: pydantic's reader refuses the lone surrogates of paths that are no UTF-8
        return model.model_validate(parsed(data))
    except ValidationError as error:
        where, expected, _ = first_problem(error)
        problem = one_line(f"{where}: {expected}" if where else expected)[:200]
    except (ValueError, OverflowError, RecursionError) as error:
        problem = describe(error)
    raise DamagedError(f"{str(path)!r} is damaged: {problem}")
