"""Arms: what an experiment compares, what judges say of them, and paired comparisons.

An arm is a backbone with its options, a smoothing, and whatever settings its experiment varies.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stylebench.figures import NoDataError
from stylebench.figures.intervals import compare
from stylebench.figures.style import (
    OF_PICTURES,
    SETTINGS,
    alike,
    backbone_names,
    is_trained,
    natural,
    order_backbones,
    order_smoothings,
    still,
    varies,
)
from stylebench.figures.style import settings as common_settings
from stylebench.store import Results

Values = np.ndarray[Any, Any]
Row = dict[str, Any]
MEASURE = ["metric", "judge", "judge_weights"]
COUNTS = ["pairs", "seeds", "jobs", "still_a", "still_b"]
"""What a paired comparison is over, see `compared`."""
OF_PRESET = {"preset", "balance", "normalisation", "line_search", "learning_rate", "history",
             "first_step"}  # fmt: skip
"""Settings that are named only if nothing else tells two arms apart: a preset decides them."""

OPTIONS = re.compile(r"(\+\w+=[^+]*)*$")
"""What ends the name of weights: the options of the backbone that has them."""


def backbones(frame: pd.DataFrame) -> "pd.Series[str]":
    """Return each row's backbone with the options that not all jobs of it share.

    Where one has several weights these stand behind it, as in `style.backbone_names`.

    >>> jobs = pd.DataFrame({"arch": ["r-a", "r-a"], "options": ['{"gamma": "0"}', "{}"]})
    >>> backbones(jobs.assign(weights=["random:0+gamma=0", "random:1"])).tolist()
    ['r-a+gamma=0', 'r-a']
    """
    items = [{(k, str(v)) for k, v in json.loads(o or "{}").items()} for o in frame["options"]]
    own = pd.Series(items, frame.index, dtype=object)
    shared = {arch: set.intersection(*found) for arch, found in own.groupby(frame["arch"])}
    names = [
        arch + "".join(f"+{k}={v}" for k, v in sorted(found - shared[arch]))
        for arch, found in zip(frame["arch"], own, strict=True)
    ]
    weights = frame["weights"].str.replace(OPTIONS, "", regex=True)
    named = {"arch": names, "weights": weights, "smoothing": frame.get("smoothing", "")}
    return backbone_names(pd.DataFrame(named, index=frame.index))


def _content(nodes: str) -> str:
    choice = json.loads(nodes or "{}")
    return f"content {choice['content']}" if choice else "content of its own"


def _layer_weights(weights: str) -> str:
    chosen = ", ".join(f"{node} {value:g}" for node, value in json.loads(weights or "{}").items())
    return f"layer weights {chosen or 'all 1'}"


PUBLISHED = {"paper": "as published"}
"""What a preset is called where arms differ in it."""
TOLD: dict[str, Callable[[Any], str]] = {
    "preset": lambda name: PUBLISHED.get(name, f"preset {name}"),
    "nodes": _content,
    "layer_weights": _layer_weights,
    "tv_weight": lambda value: f"TV {value:g}",
    "image": str,
    "optimiser": str,
}
"""How settings are told that their name and value do not tell well."""


def _told(job: Mapping[Any, Any], keys: Sequence[str]) -> str:
    """Return the text of settings of a job: ``start noise, balance gradient``."""
    parts = []
    for key in keys:
        if key in ("content_weight", "style_weight"):
            content, style = job["content_weight"], job["style_weight"]
            parts.append(f"α/β {content / style:.3g}" if style else "no style")
        else:
            name = key.replace("_", " ")
            parts.append(TOLD[key](job[key]) if key in TOLD else f"{name} {job[key]}")
    return ", ".join(dict.fromkeys(parts))


def settings(frame: pd.DataFrame) -> "pd.Series[str]":
    """Return what tells the settings of each row apart; "" where all rows share them."""
    frame = alike(frame)
    differ = [key for key in common_settings(frame) if varies(frame, key)]
    first = [key for key in differ if key not in OF_PRESET]
    balance = [key for key in differ if key == "balance"]
    every = len(frame[differ].drop_duplicates())
    whole = "preset" in differ and not frame["preset"].str.contains("(", regex=False).any()
    choices = ([["preset"], ["preset", "image"]] if whole else []) + [first, first + balance]
    enough = (k for k in choices if k and len(frame[k].drop_duplicates()) == every)
    keys = next(enough, differ)
    of_pictures = [key for key in keys if key in OF_PICTURES]
    told = [
        _told(job, of_pictures if trained else keys)
        for job, trained in zip(frame.to_dict("records"), is_trained(frame), strict=True)
    ]
    return pd.Series(told, frame.index, dtype=str)


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Return jobs with columns backbone, setting and arm, all ordered categories.

    `arm` joins what differs: ``r-resnet50+gamma=0.5, softmax, image fourier``.
    """
    frame = frame.assign(backbone=backbones(frame), setting=settings(frame))
    names = order_backbones(frame["backbone"])
    smoothings = order_smoothings(frame["smoothing"])
    told = sorted(set(frame["setting"]), key=natural)
    parts = {"backbone": names, "smoothing": smoothings, "setting": told}
    used = [key for key, values in parts.items() if len(values) > 1] or ["backbone"]
    frame = frame.assign(**{k: pd.Categorical(frame[k], values) for k, values in parts.items()})
    rows = frame[used].astype(str).to_numpy().tolist()
    frame["arm"] = [", ".join(filter(None, row)) for row in rows]
    ordered = frame.sort_values(list(parts), kind="stable")["arm"].drop_duplicates()
    frame["arm"] = pd.Categorical(frame["arm"], ordered)
    return frame


def judged(results: Results) -> pd.DataFrame:
    """Return a row for each metric of each job that is ok, with the columns of `labelled`.

    `still` tells whether the job did not move or diverged (`style.still`).

    Raises:
        NoDataError: no metrics.
    """
    jobs = results.results[results.results["status"] == "ok"]
    if not len(jobs) or not len(results.metrics):
        raise NoDataError("no metrics in these results; make them with `stylebench judge`")
    own = ["job_id", "system", "arch", "weights", "options", "content", "style", "seed"]
    wanted = [*own, *SETTINGS]
    jobs = labelled(jobs.assign(still=still(jobs)))
    jobs = jobs[[*wanted, "smoothing", "backbone", "setting", "arm", "still"]]
    return results.metrics[["job_id", *MEASURE, "value"]].merge(jobs, on="job_id")


def in_common(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of metrics whose judge judged every arm: only these compare the arms."""
    arms = frame.groupby(MEASURE)["arm"].nunique()
    kept = arms[arms == frame["arm"].nunique()].index
    return frame[pd.MultiIndex.from_frame(frame[MEASURE]).isin(kept)]


class _Wide:
    """Metrics with a column for each arm, so that any two of them are compared at once.

    Rows are sorted by metric and judge, then pair, then seed.

    Args:
        frame: of `judged`.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        keys = [*MEASURE, "content", "style", "seed"]
        asked = {"value": "mean", "still": "max"}
        every = frame.groupby([*keys, "arm"], observed=True).agg(asked)
        cells: Any = every.unstack("arm")  # noqa: PD010  a pivot table lacks arms without any value
        self._value: pd.DataFrame = cells["value"]
        self._still: pd.DataFrame = cells["still"].eq(True)
        rows = cells.index.to_frame(index=False)
        self._pair = rows.groupby(keys[:-1], sort=True, observed=True).ngroup().to_numpy()
        each = rows[~rows.duplicated(keys[:-1])]
        self._measure = each.groupby(MEASURE, sort=True, observed=True).ngroup().to_numpy()
        self._measures = list(each[MEASURE].drop_duplicates().itertuples(index=False, name=None))
        arms = frame[["arm", *MEASURE]].drop_duplicates()
        self._order = {arm: [*part[MEASURE].itertuples(index=False, name=None)]
                       for arm, part in arms.groupby("arm", observed=True)}  # fmt: skip

    def __contains__(self, arm: str) -> bool:
        return arm in self._order

    def paired(self, a: str, b: str) -> list[dict[str, Any]]:
        """Return the comparison of two arms under each metric and judge of a that judged both.

        Returns:
            A row of what `compared` has, from metric on, for each.
        """
        arms = (a, b)
        values = [self._value[arm].to_numpy() for arm in arms]
        known = ~np.isnan(values).any(axis=0)
        pair, count = self._pair[known], len(self._measure)
        seeds = np.bincount(pair, minlength=count)

        def summed(column: Values) -> Values:
            return np.bincount(pair, column[known].astype(float), minlength=count)

        with np.errstate(invalid="ignore"):  # of pairs that one arm lacks
            means = [summed(value) / seeds for value in values]
        still = [summed(self._still[arm].to_numpy()).astype(int) for arm in arms]
        found = {}
        for number, key in enumerate(self._measures):
            there = (self._measure == number) & (seeds > 0)
            if there.any():
                parts = (column[there] for column in (*means, seeds, *still))
                found[key] = _comparison(*parts)
        return [dict(zip(MEASURE, k, strict=True)) | found[k] for k in self._order[a] if k in found]


def _comparison(a: Values, b: Values, seeds: Values, still_a: Values, still_b: Values) -> Row:
    """Return the comparison of two arms' means by pair, and what it is over."""
    found = compare(a, b)
    return {
        "mean_a": float(a.mean()), "mean_b": float(b.mean()),
        "difference": found.difference.mean, "low": found.difference.low,
        "high": found.difference.high, "p": found.p,
        "detectable": found.detectable, "pairs": found.difference.n,
        "seeds": int(seeds.min()), "jobs": int(seeds.sum()),
        "still_a": int(still_a.sum()), "still_b": int(still_b.sum()),
    }  # fmt: skip


def compared(frame: pd.DataFrame, arms: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Return paired comparisons a − b of arms under every metric and judge that judged both.

    Args:
        frame: of `judged`.
        arms: (a, b), names of arms; those that are not there are left out.

    Returns:
        Columns a, b, metric, judge, judge_weights, mean_a, mean_b, difference with its bootstrap
        95 % interval low and high, p (Wilcoxon, not corrected), detectable (the smallest
        difference that so many pairs would have shown) and pairs; a pair is one content and style,
        averaged over the seeds that both arms have; seeds: how many a pair has (the fewest); jobs:
        how many of each arm entered; still_a, still_b: how many of these did not move or diverged.
    """
    wide = _Wide(frame)
    rows = [
        {"a": a, "b": b, **found}
        for a, b in arms
        if a in wide and b in wide
        for found in wide.paired(a, b)
    ]
    of = ["mean_a", "mean_b", "difference", "low", "high", "p", "detectable", *COUNTS]
    return pd.DataFrame(rows, columns=["a", "b", *MEASURE, *of])
