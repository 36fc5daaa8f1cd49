"""Claims: which arms an experiment sets against each other, pair by pair, and the table of it."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import combinations
from statistics import fmean
from typing import Any

import pandas as pd

from stylebench.errors import InputError, either, some
from stylebench.figures import NoDataError
from stylebench.figures.arms import MEASURE, compared
from stylebench.figures.intervals import ALPHA
from stylebench.figures.style import family, over_seeds

PARTS = ["backbone", "smoothing", "setting"]
ARM = [*PARTS, "arm", "arch"]
UNIT = ["content", "style"]
Pairs = Iterable[tuple[str, str]]
"""Names of two arms that are compared."""

MOST = 12
"""Arms of which all are compared with all, and that an error names."""

JUDGES = 2
"""So many judges at most stand in a figure; a table names them all."""


def judges(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the judges (name, weights) of Gram shares, pretrained first, two at most."""
    from stylebench.measures.judges import PRETRAINED

    asked = frame[frame["metric"].eq("gram_share") & frame["judge"].ne("")]
    rank = {name: place for place, name in enumerate(PRETRAINED)}
    found = {(str(n), str(w)) for n, w in zip(asked["judge"], asked["judge_weights"], strict=True)}
    return sorted(found, key=lambda judge: (rank.get(judge[0], len(rank)), judge))[:JUDGES]


def by_pair(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one value per arm, metric, judge and pair: the mean over seeds. NaN is left out.

    Args:
        frame: of `judged`.

    Returns:
        Columns backbone, smoothing, setting, arm, arch, metric, judge, judge_weights, content,
        style, value and seeds (how many).
    """
    return over_seeds(frame, [*ARM, *MEASURE, *UNIT])


def arm(frame: pd.DataFrame, **parts: str) -> str:
    """Return the name of the one arm with these parts (`PARTS`), "" if there is none or several."""
    for key, value in parts.items():
        frame = frame[frame[key] == value]
    found = frame["arm"].unique()
    return str(found[0]) if len(found) == 1 else ""


def against(
    frame: pd.DataFrame, key: str, reference: Callable[[pd.Series], str]
) -> list[tuple[str, str]]:
    """Return each arm with the arm that differs from it in one part alone.

    Args:
        frame: of `judged`.
        key: the part that differs: backbone, smoothing or setting.
        reference: what that part is in the other arm, from a row of `ARM`.

    Returns:
        (arm, reference arm), in the order of the arms; those without one are left out.
    """
    arms = frame[ARM].drop_duplicates("arm").sort_values("arm")
    found = []
    for _, row in arms.iterrows():
        same = {part: str(row[part]) for part in PARTS if part != key}
        other = arm(frame, **same, **{key: reference(row)})
        if other and other != row["arm"]:
            found.append((str(row["arm"]), other))
    return found


def against_none(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return each arm with the same one without smoothing; as `against`."""
    return against(frame, "smoothing", lambda _: "none")


def against_resnet(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return networks with options with the plain ones, these with r-resnet50; as `against`."""

    def plainer(row: pd.Series) -> str:
        return str(row["arch"]) if row["backbone"] != row["arch"] else "r-resnet50"

    return against(frame, "backbone", plainer)


def every(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return all arms with all others; those that differ in one part alone are the first.

    Of these, arms with the first one of the part that differs (no smoothing, say) come first.

    Args:
        frame: of `judged`.

    Returns:
        (a, b), a before b in the order of the arms.
    """
    arms = frame[ARM].drop_duplicates("arm").sort_values("arm")
    codes = {str(row["arm"]): row for row in arms.assign(**_places(arms)).to_dict("records")}

    def rank(pair: tuple[str, str]) -> tuple[int, int]:
        a, b = (codes[name] for name in pair)
        differ = [part for part in PARTS if a[part] != b[part]]
        return len(differ), min(min(a[part], b[part]) for part in differ)

    return sorted(combinations(codes, 2), key=rank)


def _places(arms: pd.DataFrame) -> dict[str, "pd.Series[int]"]:
    """Return where each arm's parts stand in the order of such parts."""
    return {part: arms[part].cat.remove_unused_categories().cat.codes for part in PARTS}


def _words(text: str) -> list[str]:
    """Return the words of a text: commas and spaces part them, but in brackets.

    >>> _words("r-vgg19+pool=avg, softmax(temperature=10,x=1) fourier")
    ['r-vgg19+pool=avg', 'softmax(temperature=10,x=1)', 'fourier']
    """
    found = re.findall(r"(?:\([^)]*\)|[^\s,])+", text)
    return ["+".join([name, *sorted(more)]) for name, *more in (word.split("+") for word in found)]


FOLDER = re.compile(r"(?<![^\s,])([rp]-)?[^\s,]*/(?=[^/\s,]+\.py:)")
"""Before the file of a network of one's own: ``--arch`` takes it, arms are called without."""
LIKE = 0.6
"""Likeness (`difflib.SequenceMatcher.ratio`) of the words of an arm that is suggested, at least."""


def _near(wanted: Iterable[str], arms: Mapping[str, Collection[str]]) -> list[str]:
    """Return the arms, two at most, whose words are most like those that were typed.

    >>> _near(["vgg91"], {"r-vgg19, none": ["vgg19", "none"], "softmax": ["softmax"]})
    ['r-vgg19, none']
    """

    def like(words: Collection[str]) -> float:
        each = (max(SequenceMatcher(None, a, b).ratio() for b in words) for a in wanted)
        return fmean(each)

    likeness = {arm: like(words) for arm, words in arms.items()} if wanted else {}
    best = sorted(likeness, key=lambda arm: -likeness[arm])[:2]
    return [arm for arm in best if likeness[arm] >= LIKE]


def named(frame: pd.DataFrame, text: str, who: str = "expected an arm") -> str:
    """Return the name of the arm that a text means: as tables have it, or by words of it.

    ``p-resnet50,softmax`` is a backbone with its options as ``--arch`` takes it, a smoothing, words
    of its settings; where that tells it from others ``net.py:Net`` or ``Net`` will do for
    ``r-net.py:Net``, and a folder before a file counts for nothing.
    Without a smoothing, ``none`` is meant where there are several.

    Args:
        frame: of `judged`.
        text: what names the arm.
        who: begins the message.

    Raises:
        InputError: there is no such arm, or several.
    """
    arms = frame[[*ARM, "options"]].drop_duplicates("arm").sort_values("arm")
    names = [str(name) for name in arms["arm"]]
    if text in names:
        return text
    wanted = {*_words(FOLDER.sub(r"\1", text))}
    found, words = [], {}
    for row in arms.to_dict("records"):
        whole = row["arch"] + "".join(
            f"+{k}={v}" for k, v in json.loads(row["options"] or "{}").items()
        )
        own = whole.rpartition(".py:")[2]
        of = " ".join([whole, family(whole), own, *(str(row[part]) for part in PARTS)])
        words[str(row["arm"])] = {*_words(of)}
        if wanted and wanted <= words[str(row["arm"])]:
            found.append((str(row["arm"]), str(row["smoothing"])))
    if len(found) > 1:
        plain = [each for each in found if each[1] == "none" or {*_words(each[1])} <= wanted]
        found = plain or found
    if len(found) == 1:
        return found[0][0]
    if found:
        told = f"{text!r} names {len(found)} of them: {listed([name for name, _ in found])}"
    else:
        told = f"found {text!r}{either(_near(wanted, words))}; there are {listed(names)}"
    raise InputError(f"{who}, {told}")


def listed(names: Sequence[str]) -> str:
    """Return the first names of arms, quoted, and how many more there are."""
    return some([*map(repr, names)], MOST)


def differences(values: pd.DataFrame, arms: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Return a − b pair by pair in the rows of a: a frame like that of `by_pair`.

    Args:
        values: of `by_pair`.
        arms: (a, b), names of arms.
    """
    keys = [*MEASURE, *UNIT]
    frames = []
    for a, b in arms:
        other = values.loc[values["arm"] == b, [*keys, "value"]]
        both = values[values["arm"] == a].merge(other, on=keys, suffixes=("", "_b"))
        frames.append(both.assign(value=both["value"] - both["value_b"], b=b))
    found = pd.concat(frames) if frames else values[:0].assign(b="")
    return found.drop(columns="value_b", errors="ignore").reset_index(drop=True)


def favours(found: dict[str, Any], better: str) -> str:
    """Return the better arm, "a" or "b", where interval and test (p < 0.05) agree; else "".

    It is "" too where more than half of either arm's jobs did not move or diverged: a picture that
    stays as it was scores high on the content and tells nothing of the backbone.

    Args:
        found: a row of `arms.compared`.
        better: ``lower`` or ``higher``; "" favours none.
    """
    clear = found["p"] < ALPHA and (found["low"] > 0 or found["high"] < 0)
    stuck = 2 * max(found["still_a"], found["still_b"]) > found["jobs"]
    if stuck or not clear or not better:
        return ""
    return "a" if (found["difference"] < 0) == (better == "lower") else "b"


def claims(frame: pd.DataFrame, arms: Pairs | Callable[[pd.DataFrame], Pairs]) -> pd.DataFrame:
    """Return the table of paired comparisons a − b, as the table ``comparisons`` has them.

    A distance whose share of the way is judged too is left out: the share says the same.

    Args:
        frame: of `judged`.
        arms: (a, b), names of arms, or what makes them of the frame, such as `against_none`; those
            that are not there are left out.

    Returns:
        The columns of `compared` with better (lower or higher) and favours, the arm that is better
        where the interval excludes zero and p < 0.05, which takes six pairs at least; empty where
        most of either arm's jobs did not move or diverged (still_a, still_b, of jobs).

    With one seed of random weights (seeds: 1) the interval speaks of these very networks, and not
    of others drawn anew.

    Raises:
        NoDataError: no two arms share a pair and a judge.
    """
    from stylebench.measures.metrics import METRICS

    arms = arms(frame) if callable(arms) else arms
    shares = set(frame["metric"])
    frame = frame[[f"{metric}_share" not in shares for metric in frame["metric"]]]
    found = compared(frame, arms)
    if not len(found):
        raise NoDataError("nothing to compare: no two of this table's arms share a pair")
    names = [*METRICS, *sorted(set(found["metric"]) - {*METRICS})]
    better = found["metric"].map({name: metric.better for name, metric in METRICS.items()})
    found.insert(5, "better", better.fillna(""))
    rows = found.to_dict("records")
    sides = [favours({str(k): v for k, v in row.items()}, row["better"]) for row in rows]
    found["favours"] = [row[side] if side else "" for side, row in zip(sides, rows, strict=True)]
    found["metric"] = pd.Categorical(found["metric"], names)
    place = found.groupby(["a", "b"], sort=False).ngroup()
    found = found.assign(place=place).sort_values(["place", "metric", "judge"], kind="stable")
    return found.drop(columns="place").reset_index(drop=True)
