"""What a study says: tables of its answers, and lines of them to be printed."""

import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stylebench import files, store
from stylebench.errors import DamagedError, InputError, describe
from stylebench.figures.arms import MEASURE
from stylebench.figures.register import inert
from stylebench.store import columns
from stylebench.study import design as designs
from stylebench.study import scores
from stylebench.study.answers import Answers, Choice, Participant
from stylebench.study.design import METRICS, Design, Trial

Preference = dict[Choice, float]
POINTS: Preference = {"a": 1.0, "b": -1.0, "same": 0.0}
MOST = 10_000_000
"""Bytes of a table."""


@dataclass(frozen=True)
class Reading:
    """What was read: the tables by name, who answered, and what was asked."""

    design: Design
    participants: list[Participant]
    tables: dict[str, pd.DataFrame]

    @property
    def kept(self) -> list[Answers]:
        """The answers that count."""
        return _kept(self.participants)

    @property
    def simulated(self) -> bool:
        """Whether programs gave the answers, and not people."""
        return any(answers.simulated for answers in self.kept)


def read(design: Design, metrics: pd.DataFrame, participants: Sequence[Participant]) -> Reading:
    """Return what participants say.

    Repeats and attention checks do not count as comparisons.

    Args:
        design: of the study.
        metrics: of its jobs, as `columns.METRIC_COLUMNS`; may be empty.
        participants: of `answers.gather`.

    Raises:
        InputError: no answers count.
    """
    kept = _kept(participants)
    if not kept:
        raise InputError(
            f"no answers that count: expected one file of them at least, and all "
            f"{len(participants)} are left out"
        )
    preferences = _preferences(design, kept)
    tables = {
        "scores": _scores(design, kept),
        "preferences": preferences,
        "metrics": _metrics(preferences, metrics),
        "agreement": _agreement(design, kept),
        "participants": _participants(design, participants),
    }
    simulated = kept[0].simulated
    for name, table in tables.items():
        if name != "participants":
            table["simulated"] = simulated
    return Reading(design, [*participants], tables)


def metrics_of(design: Design, folder: Path, results: Path | None = None) -> pd.DataFrame:
    """Return the metrics of a study's jobs, as they were when it was made or as they are now.

    Args:
        design: of the study.
        folder: of it.
        results: a results folder that has been judged since.

    Raises:
        InputError: the folder has none of the jobs, or the table is damaged.
    """
    if results is None:
        try:
            return store.read_parquet(folder / METRICS, columns.METRIC_COLUMNS, folder)
        except files.ABSENT:
            return columns.frame([], columns.METRIC_COLUMNS)
        except DamagedError as error:
            raise InputError(f"{str(folder / METRICS)!r} is damaged: {error}") from None
    loaded = store.load(results)
    jobs = {job for trial in design.trials for job in (trial.job_a, trial.job_b)}
    if not jobs & {*loaded.results["job_id"]}:
        raise InputError(f"--results {str(results)!r} has none of the jobs of this study")
    return loaded.metrics[loaded.metrics["job_id"].isin(jobs)]


def preferred(folder: Path) -> dict[str, tuple[str, float, float, float]]:
    """Return question, score, low and high of the arm of each job of a study that was read.

    Raises:
        InputError: it was not read, or its answers are simulated: nobody prefers anything there.
    """
    made, path = designs.read(folder), folder / "tables" / "scores.csv"
    try:
        table = pd.read_csv(io.BytesIO(files.read(path, folder, MOST)), dtype={"arm": str})
        scored = {
            str(row["arm"]).removeprefix("'"): tuple(
                float(row[k]) for k in ("score", "low", "high")
            )
            for row in table.to_dict("records")
        }
        simulated = bool(table["simulated"].astype(bool).any())
    except files.ABSENT:
        raise InputError(
            f"{str(folder)!r} was not read yet: `stylebench study read {folder} ANSWERS.json…`"
        ) from None
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} is damaged ({describe(error)}): read the study again"
        ) from None
    if simulated:
        raise InputError(
            f"{str(folder)!r}: its answers are simulated; nobody prefers anything there"
        )
    return {
        job: (made.question, *scored[arm])  # type: ignore[misc]
        for trial in made.of_kind("pair")
        for arm, job in ((trial.a, trial.job_a), (trial.b, trial.job_b))
        if arm in scored
    }


def write(reading: Reading, folder: Path) -> list[Path]:
    """Write the tables as FOLDER/tables/NAME.csv; return their paths."""
    paths = []
    for name, table in reading.tables.items():
        text = table.map(inert).to_csv(index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(folder / "tables" / f"{name}.csv", text, folder)
        paths.append(folder / "tables" / f"{name}.csv")
    return paths


def _kept(participants: Iterable[Participant]) -> list[Answers]:
    return [each.answers for each in participants if each.answers and not each.left_out]


def _pair(trial: Trial) -> tuple[str, str]:
    return trial.content, trial.style


def _wins(design: Design, kept: Sequence[Answers]) -> scores.Array:
    """Return (participants, pairs of pictures, n, n): wins of the row's arm, a tie half a win."""
    arm = {name: place for place, name in enumerate(design.arms)}
    trials = design.of_kind("pair")
    pairs = {pair: place for place, pair in enumerate(dict.fromkeys(map(_pair, trials)))}
    wins = np.zeros((len(kept), len(pairs), len(arm), len(arm)))
    for person, answers in enumerate(kept):
        for trial in trials:
            a, b = arm[trial.a], arm[trial.b]
            for_a = (POINTS[answers.chosen[trial.trial]] + 1) / 2
            wins[person, pairs[_pair(trial)], a, b] += for_a
            wins[person, pairs[_pair(trial)], b, a] += 1 - for_a
    return wins


def _scores(design: Design, kept: Sequence[Answers]) -> pd.DataFrame:
    """Return a row an arm, the best first."""
    wins = _wins(design, kept)
    every = wins.sum((0, 1))
    found = scores.bradley_terry(every)
    ends = scores.intervals(wins, np.random.default_rng(0))
    rows = [
        {
            "question": design.question, "arm": name, "score": found[i], "low": ends[i, 0],
            "high": ends[i, 1], "won": every[i].sum() / (every[i].sum() + every[:, i].sum()),
            "comparisons": int(every[i].sum() + every[:, i].sum()), "participants": len(kept),
            "pairs": wins.shape[1],
        }
        for i, name in enumerate(design.arms)
    ]  # fmt: skip
    return pd.DataFrame(rows).sort_values("score", ascending=False, ignore_index=True)


def _preferences(design: Design, kept: Sequence[Answers]) -> pd.DataFrame:
    """Return a row a comparison, arms in the design's order; preference is 1 if all chose a."""
    order = {name: place for place, name in enumerate(design.arms)}
    rows = []
    for trial in design.of_kind("pair"):
        counts = Counter(answers.chosen[trial.trial] for answers in kept)
        one, other = (trial.a, trial.job_a, counts["a"]), (trial.b, trial.job_b, counts["b"])
        a, b = sorted((one, other), key=lambda each: order[each[0]])
        rows.append({
            "content": trial.content, "style": trial.style, "seed": trial.seed,
            "a": a[0], "b": b[0], "job_a": a[1], "job_b": b[1],
            "chose_a": a[2], "chose_b": b[2], "no_difference": counts["same"],
            "preference": (a[2] - b[2]) / len(kept),
        })  # fmt: skip
    keys = ["a", "b", "content", "style", "seed"]
    ranked = pd.DataFrame(rows)
    places = ranked[["a", "b"]].apply(lambda names: names.map(order))
    ranked = ranked.assign(_a=places["a"], _b=places["b"])
    ranked = ranked.sort_values(["_a", "_b", *keys[2:]], ignore_index=True)
    return ranked.drop(columns=["_a", "_b"])


def _metrics(preferences: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return a row a metric and judge: how well its differences a − b rank as preferences do.

    Differences are counted so that more is better: those of distances are turned round.
    """
    from stylebench.measures.metrics import METRICS as KNOWN

    rows = []
    for key, part in metrics.dropna(subset="value").groupby(MEASURE, sort=False):
        value = part.drop_duplicates("job_id", keep="last").set_index("job_id")["value"]
        a, b = (preferences[side].map(value) for side in ("job_a", "job_b"))
        metric = str(key[0])
        better = KNOWN[metric].better if metric in KNOWN else ""
        differences = ((a - b) * (-1 if better == "lower" else 1)).to_numpy(dtype=float)
        known = np.isfinite(differences)
        if not known.any():  # a judge that judged no two of them: it was one of the networks
            continue
        x = differences[known]
        y = preferences["preference"].to_numpy(dtype=float)[known]
        pairs = preferences.loc[known, ["content", "style"]].itertuples(index=False, name=None)
        low, high = scores.agreement_interval(x, y, [*pairs], np.random.default_rng(0))
        told = (x != 0) & (y != 0)
        same = (x[told] > 0) == (y[told] > 0)
        rows.append({
            **dict(zip(MEASURE, key, strict=True)), "better": better,
            "rho": scores.rank_agreement(x, y), "low": low, "high": high,
            "same_side": same.mean() if len(same) else math.nan, "comparisons": len(x),
        })  # fmt: skip
    names = [*MEASURE, "better", "rho", "low", "high", "same_side", "comparisons"]
    found = pd.DataFrame(rows, columns=names)
    return found.sort_values("rho", ascending=False, ignore_index=True, kind="stable")


def _agreement(design: Design, kept: Sequence[Answers]) -> pd.DataFrame:
    """Return how far participants agree: with each other (alpha), and with themselves."""
    units = [[each.chosen[t.trial] for each in kept] for t in design.of_kind("pair")]
    again = [one for each in kept if not math.isnan(one := consistency(each, design))]
    ties = np.mean([choice == "same" for unit in units for choice in unit])
    rows = [
        ("between participants: Krippendorff's alpha", scores.krippendorff(units), len(kept)),
        ("with themselves: repeats answered alike", np.mean(again or [math.nan]), len(again)),
        ("no difference: share of answers", ties, len(kept)),
    ]
    return pd.DataFrame(rows, columns=["measure", "value", "participants"])


def consistency(answers: Answers, design: Design) -> float:
    """Return the share of repeats in which a participant chose the same again; NaN without any."""
    turned: dict[Choice, Choice] = {"a": "b", "b": "a", "same": "same"}
    chosen, repeats = answers.chosen, design.of_kind("repeat")
    alike = [turned[chosen[repeat.trial]] == chosen[repeat.of] for repeat in repeats]
    return float(np.mean(alike)) if alike else math.nan


def _participants(design: Design, participants: Sequence[Participant]) -> pd.DataFrame:
    """Return a row an answer file: whether it counts and why not, repeats, the left side, ties."""
    rows: list[dict[str, Any]] = []
    for each in participants:
        row: dict[str, Any] = {"file": each.name, "left_out": each.left_out}
        if each.answers:
            choices = [each.answers.chosen[trial.trial] for trial in design.of_kind("pair")]
            left: Choice = "b" if each.answers.exchanged else "a"
            row |= {
                "simulated": each.answers.simulated, "language": each.answers.language,
                "repeats_alike": consistency(each.answers, design),
                "left": choices.count(left) / len(choices),
                "no_difference": choices.count("same") / len(choices),
            }  # fmt: skip
        rows.append(row)
    names = ["file", "left_out", "language", "repeats_alike", "left", "no_difference", "simulated"]
    return pd.DataFrame(rows, columns=names)
