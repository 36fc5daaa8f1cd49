"""Answers of a participant: a JSON file, checked against the design of its study.

They come from anybody: what does not fit is named in one line and left out as a whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stylebench import named
from stylebench.config import first_problem
from stylebench.errors import InputError, describe, one_line
from stylebench.store import models
from stylebench.study.design import Design, Key

MOST = 1_000_000
"""Bytes of an answer file: one of 10,000 comparisons has half of that."""

Choice = Literal["a", "b", "same"]


class Answer(BaseModel):
    """What was chosen in a trial of the design: its a, its b, or no difference."""

    model_config = ConfigDict(extra="forbid", strict=True)

    trial: Key
    choice: Choice


class Answers(BaseModel):
    """An answer file: all answers of a participant, in the order in which they were given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    study: Key
    participant: Key
    language: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{2,40}$")]
    exchanged: bool
    """Whether a was on the right."""
    simulated: bool = False
    """Whether a program gave them."""
    answers: Annotated[list[Answer], Field(max_length=10_000)]

    @property
    def chosen(self) -> dict[str, Choice]:
        """Trial -> choice."""
        return {each.trial: each.choice for each in self.answers}


@dataclass(frozen=True)
class Participant:
    """A file of answers that is whole, and why it does not count ("" if it does)."""

    name: str
    answers: Answers | None
    left_out: str = ""


def parse(data: bytes, design: Design) -> Answers:
    """Return the answers in the bytes of a file; InputError says in words why they are none."""
    try:
        found = Answers.model_validate(models.parsed(data))
    except ValidationError as error:
        where, expected, _ = first_problem(error)
        told = f"{where}: {expected}" if where else expected
        raise InputError(f"no answers to a study: {one_line(told)[:160]}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"no answers to a study: {describe(error, 100)}") from None
    if found.study != design.study:
        raise InputError(f"answers to another study, {found.study}, not to {design.study}")
    given, asked = [each.trial for each in found.answers], {t.trial for t in design.trials}
    if strange := [trial for trial in given if trial not in asked]:
        raise InputError(f"answers to what was not asked: {strange[0]}")
    if len(given) != len(set(given)):
        raise InputError("two answers to one comparison")
    if len(given) < len(asked):
        raise InputError(f"not whole: {len(given)} of {len(asked)} answers")
    return found


def gather(paths: Iterable[Path], design: Design) -> list[Participant]:
    """Return the participants of answer files, in their order, with why some do not count.

    Left out are files that are damaged or of another study, a participant's second file, those who
    failed an attention check, and simulated ones where people answered too.
    """
    found: list[Participant] = []
    first: dict[str, str] = {}
    for path in paths:
        try:
            answers = parse(named.read(path, "answers to a study (JSON)", MOST).encode(), design)
        except InputError as error:
            why = str(error).removeprefix(f"{str(path)!r}: ")
            found.append(Participant(path.name, None, why))
            continue
        why = failed(answers, design)
        if answers.participant in first:
            why = f"the same participant as {first[answers.participant]}"
        first.setdefault(answers.participant, path.name)
        found.append(Participant(path.name, answers, why))
    return _apart(found)


def failed(answers: Answers, design: Design) -> str:
    """Return which attention checks a participant failed, "" for none."""
    checks, chosen = design.of_kind("check"), answers.chosen
    wrong = sum(chosen[check.trial] != check.expected for check in checks)
    return f"failed {wrong} of {len(checks)} attention checks" if wrong else ""


def _apart(found: list[Participant]) -> list[Participant]:
    """Leave simulated participants out where there are people: they are never counted together."""
    kept = [each.answers for each in found if each.answers and not each.left_out]
    if all(answers.simulated for answers in kept) or not any(a.simulated for a in kept):
        return found
    return [
        Participant(each.name, each.answers, "simulated, beside answers of people")
        if each.answers and each.answers.simulated and not each.left_out
        else each
        for each in found
    ]
