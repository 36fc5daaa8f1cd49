"""The design of a study: which results of which arms meet, on which side, and in which part.

Every two arms meet equally often, on the same pictures, and each is on the left as often as the
other. A participant meets the comparisons of a part in an order of their own, and for half of the
participants left and right are exchanged in all of them: that is up to the page.
"""

import itertools
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stylebench import files
from stylebench.config import first_problem
from stylebench.errors import InputError
from stylebench.figures import arms, claims
from stylebench.figures.style import family, still
from stylebench.images import stored
from stylebench.store import Results, models
from stylebench.store.models import Text, Whole

DESIGN, METRICS, PAGE = "design.json", "metrics.parquet", "index.html"
"""Files of a study."""

COMPARISONS, REPEATS, CHECKS = 24, 6, 2
"""Comparisons by default, at most; of how many one is repeated; attention checks."""

QUESTIONS = ("style", "content", "overall")
UNTOUCHED, SCRAMBLED = "the untouched content", "a result in pieces"
"""What an attention check shows beside a result."""

Question = Literal["style", "content", "overall"]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Cell = tuple[str, str, int]
"""Content, style and seed."""


class Trial(BaseModel):
    """A comparison: `a` is on the left, or on the right for those whose sides are exchanged."""

    model_config = ConfigDict(extra="forbid")

    trial: Key
    kind: Literal["pair", "repeat", "check"]
    part: Annotated[int, Field(ge=0, le=2)]
    content: Text
    style: Text
    seed: Whole
    a: Text
    b: Text
    job_a: Key
    job_b: Key
    of: Key | Literal[""] = ""
    """The comparison that a repeat shows again, with a and b exchanged."""
    expected: Literal["a", "b", ""] = ""
    """The answer that passes an attention check."""


class Design(BaseModel):
    """design.json: what was asked about which arms; it tells which arm is which."""

    model_config = ConfigDict(extra="forbid")

    study: Key
    made: Text
    question: Question
    command: Text
    arms: Annotated[list[Text], Field(min_length=2)]
    trials: Annotated[list[Trial], Field(min_length=1, max_length=10_000)]

    def of_kind(self, kind: str) -> list[Trial]:
        """Return the trials that are pairs, repeats or checks."""
        return [trial for trial in self.trials if trial.kind == kind]


def read(folder: Path) -> Design:
    """Return the design of a study's folder; InputError if it holds none."""
    try:
        return models.read(folder / DESIGN, Design, folder)
    except files.ABSENT:
        raise InputError(
            f"{str(folder)!r} holds no study (no {DESIGN}); make one with `stylebench study make`"
        ) from None


def write(design: Design, results: Results, folder: Path) -> None:
    """Write the design and the metrics of its jobs into a study's folder."""
    wanted = {job for trial in design.trials for job in (trial.job_a, trial.job_b)}
    metrics = results.metrics[results.metrics["job_id"].isin(wanted)]
    with files.replacing(folder / METRICS, folder) as file:
        metrics.to_parquet(file, index=False)
    files.write_text(folder / DESIGN, design.model_dump_json(indent=1) + "\n", folder)


def jobs(results: Results) -> pd.DataFrame:
    """Return the jobs whose results can be shown, with the names of their arms (`arms.labelled`).

    Raises:
        InputError: there are none.
    """
    done = results.results[results.results["status"].eq("ok")]
    if done.empty:
        raise InputError(f"{str(results.folder)!r} has no finished stylisation to be shown")
    found = arms.labelled(done.assign(still=still(done)))
    return found.drop_duplicates(["arm", "content", "style", "seed"], keep="last")


def chosen(frame: pd.DataFrame, texts: Sequence[str]) -> list[str]:
    """Return the names of the arms that texts mean, each as `claims.named` takes it.

    In a text commas part arms, and within an arm its words: a word that is a backbone begins the
    next arm. Where no word is one, each is an arm.

    Args:
        frame: of `jobs`.
        texts: of the command line; none means all arms.

    Raises:
        InputError: an arm is not there, or they are fewer than two.
    """
    names = [str(name) for name in frame["arm"].sort_values().unique()]
    found = [claims.named(frame, text, "--arms") for text in _parted(frame, texts)] or names
    if len(names) < 2:
        raise InputError(f"expected two arms at least, there is but {names[0]!r}")
    if twice := [name for name, n in Counter(found).items() if n > 1]:
        raise InputError(f"--arms names {twice[0]!r} twice; there are {claims.listed(names)}")
    if len(found) < 2:
        raise InputError(
            f"--arms expects two arms at least, found {found[0]!r}; there are "
            f"{claims.listed(names)}"
        )
    return found


def _parted(frame: pd.DataFrame, texts: Sequence[str]) -> list[str]:
    """Return the arms that are named in texts, one each."""
    names, archs = {*map(str, frame["arm"])}, {*map(str, frame["arch"])}
    known = archs | {*map(family, archs)}
    found: list[str] = []
    for text in texts:
        parts = [text] if text in names else re.findall(r"(?:\([^)]*\)|[^,(])+", text)
        pieces = [part.strip() for part in parts if part.strip()]
        begins = [piece.split()[0].split("+")[0] in known for piece in pieces]
        start = len(found)
        for piece, new in zip(pieces, begins, strict=True):
            if new or not any(begins) or len(found) == start:
                found.append(piece)
            else:
                found[-1] += f", {piece}"
    return found


def make(
    results: Results,
    question: str,
    texts: Sequence[str] = (),
    comparisons: int | None = None,
    command: str = "",
    chance: Random | None = None,
) -> Design:
    """Return the design of a study on a results folder.

    Args:
        results: of the folder.
        question: what is asked, of `QUESTIONS`.
        texts: the arms, as `chosen` takes them.
        comparisons: how many, of all arms together; by default up to `COMPARISONS`. Repeats and
            attention checks are added.
        command: that made it, for the record.
        chance: decides pictures, sides and parts; by default nobody can foresee them.

    Raises:
        InputError: these arms do not have so many pictures in common, or it is no multiple of the
            number of pairs of arms.
    """
    chance = chance or Random(secrets.randbits(128))
    frame = jobs(results)
    names = chosen(frame, texts)
    shown = _shown(frame[frame["arm"].isin(names)], results.folder)
    common = set.intersection(*({*shown.get(name, {})} for name in names))
    met = [*itertools.combinations(range(len(names)), 2)]
    each = _each(len(met), len(common), comparisons, len(names))
    cells = spread(common, each, chance)
    trials = _pairs(names, met, cells, shown, chance)
    repeated = _repeats(trials, chance)
    _part(trials, {trial.of for trial in repeated}, chance)
    checks = _checks(frame[frame["arm"].isin(names)], question, shown, chance)
    every = [*trials, *repeated, *checks]
    chance.shuffle(every)
    return Design.model_validate({
        "study": _key(chance), "made": datetime.now(UTC).strftime("%Y-%m-%d"), "question": question,
        "command": command, "arms": names, "trials": every,
    })  # fmt: skip


def _key(chance: Random) -> str:
    return f"{chance.getrandbits(64):016x}"


def _shown(frame: pd.DataFrame, folder: Path) -> dict[str, dict[Cell, str]]:
    """Return the job of each cell of each arm, of those whose three pictures can be shown."""
    there: dict[str, bool] = {}

    def can(name: str) -> bool:
        if name not in there:
            there[name] = stored.found(name, folder) is not None
        return there[name]

    found: dict[str, dict[Cell, str]] = {}
    for row in frame.to_dict("records"):
        if all(can(str(row[key])) for key in ("picture", "content_picture", "style_picture")):
            cell = (str(row["content"]), str(row["style"]), int(row["seed"]))
            found.setdefault(str(row["arm"]), {})[cell] = str(row["job_id"])
    return found


def _each(pairs: int, cells: int, comparisons: int | None, count: int) -> int:
    """Return how often every two arms meet."""
    if not cells:
        raise InputError(
            f"the {count} arms have no pictures in common: expected results of all of them for "
            "the same content, style and seed" + "; name fewer with --arms" * (count > 2)
        )
    if comparisons is None and pairs > COMPARISONS:
        raise InputError(
            f"every two of {count} arms make {pairs} comparisons, expected at most {COMPARISONS} a "
            f"participant: choose fewer arms with --arms, or say --pairs {pairs}"
        )
    if comparisons is None:
        return min(cells, COMPARISONS // pairs)
    if comparisons < 1 or comparisons % pairs:
        below = max(1, comparisons // pairs) * pairs
        raise InputError(
            f"--pairs {comparisons}: expected a multiple of {pairs}, so that every two of {count} "
            f"arms meet equally often, such as {below} or {below + pairs}"
        )
    if comparisons // pairs > cells:
        raise InputError(
            f"--pairs {comparisons}: every two arms would meet {comparisons // pairs} times, but "
            f"they have {cells} pictures in common; expected --pairs {cells * pairs} at most"
        )
    return comparisons // pairs


def spread(cells: Iterable[Cell], count: int, chance: Random) -> list[Cell]:
    """Return so many cells, of as many pairs, contents and styles as there can be."""
    left, used, taken = sorted(cells), Counter[object](), []
    chance.shuffle(left)
    for _ in range(count):
        content, style, seed = best = min(
            left,
            key=lambda cell: (used[cell[:2]], used["c", cell[0]] + used["s", cell[1]]),
        )
        used.update([(content, style), ("c", content), ("s", style)])
        left.remove(best)
        taken.append((content, style, seed))
    return taken


def _pairs(
    names: Sequence[str],
    met: Sequence[tuple[int, int]],
    cells: Sequence[Cell],
    shown: dict[str, dict[Cell, str]],
    chance: Random,
) -> list[Trial]:
    """Return the comparisons: every two arms on every cell, each on the left half of the times."""
    made = []
    for one, other in met:
        order = [*cells]
        chance.shuffle(order)
        first = (one + other) % 2  # where the times are odd no arm is on the left much more often
        for number, cell in enumerate(order):
            a, b = (names[one], names[other])[:: 1 if (number + first) % 2 else -1]
            made.append(_trial(chance, "pair", cell, (a, b), (shown[a][cell], shown[b][cell])))
    return made


def _trial(
    chance: Random,
    kind: Literal["pair", "repeat", "check"],
    cell: Cell,
    names: tuple[str, str],
    of_jobs: tuple[str, str],
    **other: object,
) -> Trial:
    try:
        return Trial.model_validate({
            "trial": _key(chance), "kind": kind, "part": 0,
            "content": cell[0], "style": cell[1], "seed": cell[2],
            "a": names[0], "b": names[1], "job_a": of_jobs[0], "job_b": of_jobs[1], **other,
        })  # fmt: skip
    except ValidationError as error:
        where, expected, found = first_problem(error)
        raise InputError(
            f"results.parquet has a job whose {where} is {str(found)[:40]!r}: {expected}"
        ) from None


def _repeats(trials: Sequence[Trial], chance: Random) -> list[Trial]:
    """Return comparisons that are shown again in the last part, of as many two arms as can be."""
    met = Counter[frozenset[str]]()
    ranked = []
    for trial in chance.sample(trials, len(trials)):
        ranked.append((met[frozenset((trial.a, trial.b))], trial))
        met[frozenset((trial.a, trial.b))] += 1
    ranked.sort(key=lambda each: each[0])
    count = min(len(trials), max(2, len(trials) // REPEATS))
    return [
        _trial(chance, "repeat", (t.content, t.style, t.seed), (t.b, t.a), (t.job_b, t.job_a),
               of=t.trial, part=2)
        for _, t in ranked[:count]
    ]  # fmt: skip


def _part(trials: Sequence[Trial], early: set[str], chance: Random) -> None:
    """Put what is repeated into the first part, and a few others between it and the last one."""
    others = [trial for trial in trials if trial.trial not in early]
    chance.shuffle(others)
    first = max(0, (len(trials) + 1) // 2 - len(early))
    for number, trial in enumerate(others):
        trial.part = 0 if number < first else 1 if number < first + 3 else 2


def _checks(
    frame: pd.DataFrame, question: str, shown: dict[str, dict[Cell, str]], chance: Random
) -> list[Trial]:
    """Return the attention checks: one in the first part, one in the last, on either side.

    Style: a result against the untouched content; it has more of the style. Content: the same; the
    untouched one keeps more. Overall: a result against its own pieces, which nobody prefers. They
    are of the results that moved most.
    """
    there = {job for cells in shown.values() for job in cells.values()}
    usable = frame[frame["job_id"].isin(there) & ~frame["still"]]
    ranked = usable.sort_values("moved", ascending=False, kind="stable", na_position="last")
    rows = ranked.drop_duplicates(["content", "style"]).head(CHECKS).to_dict("records")
    if not rows:
        raise InputError(
            "none of these results moved from where it began: expected one at least, which "
            "attention checks can show beside the untouched content"
        )
    beside = SCRAMBLED if question == "overall" else UNTOUCHED
    sides = ["a", "b"]
    chance.shuffle(sides)
    made = []
    for number, side in enumerate(sides):
        row = rows[number % len(rows)]
        right, wrong = (beside, str(row["arm"]))[:: 1 if question == "content" else -1]
        names = (right, wrong) if side == "a" else (wrong, right)
        cell = (str(row["content"]), str(row["style"]), int(row["seed"]))
        made.append(_trial(chance, "check", cell, names, (str(row["job_id"]),) * 2,
                           expected=side, part=2 * number))  # fmt: skip
    return made
