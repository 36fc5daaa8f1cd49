"""Statistics of backbones beside their scores, and the rank correlations of the two.

What a correlation over architectures can tell: whether backbones with more of a statistic have
higher scores, among those that were run. It cannot tell that the statistic is the reason:
architectures differ in much at once, families are not independent draws, so that n counts too much
and the intervals are too narrow, and a statistic that goes with depth or width goes with all that
these bring. That takes an experiment that changes the statistic alone (experiments/controls_*).
"""

from dataclasses import asdict

import numpy as np
import pandas as pd

from stylebench.figures import NoDataError
from stylebench.figures.arms import judged
from stylebench.figures.claims import by_pair
from stylebench.figures.dots import Column
from stylebench.figures.intervals import holm, spearman
from stylebench.figures.statistics import known
from stylebench.figures.style import one_setting, without_seed
from stylebench.store import Results

DEEPEST, AVERAGED = "deepest", "mean of stages"
GROUPS = {"random": "r-", "all": ""}
"""Name -> how the names of its backbones begin."""

COVERAGE = 0.75
"""A judge counts if it judged this share of the backbones: none can judge its own architecture."""

FEWEST = 5
"""Backbones under which nothing is correlated."""


def _backbone(frame: pd.DataFrame) -> "pd.Series[str]":
    """Return arch and weights as one text, the same for all seeds of random weights."""
    names: pd.Series[str] = frame["arch"].str.cat(without_seed(frame["weights"]), sep=" ")
    return names


def predictors(results: Results) -> pd.DataFrame:
    """Return the statistics of each backbone without smoothing, averaged over images and seeds.

    Those on log axes (maxima, ratios, ranks) are averaged as log10; what is not finite is left out.

    Returns:
        Index backbone; columns (statistic, `DEEPEST` or `AVERAGED`).
    """
    frame, every = results.statistics, known()
    frame = frame[frame["smoothing"].eq("none") & frame["statistic"].isin(every)]
    frame = frame[frame["size"].isin(set(results.results["size"]))]
    if not len(frame):
        raise NoDataError("no statistics of maps without smoothing at the size of the pictures")
    frame = frame.assign(backbone=_backbone(frame))
    logarithmic = [name for name, panel in every.items() if panel.scale == "log"]
    logs = np.log10(frame["value"].where(frame["value"] > 0))
    value = frame["value"].where(~frame["statistic"].isin(logarithmic), logs)
    frame = frame.assign(value=value.where(np.isfinite(value)))
    stages = frame.groupby(["backbone", "statistic", "stage"])["value"].mean().reset_index()
    deepest = stages["stage"] == stages.groupby("backbone")["stage"].transform("max")
    parts = {DEEPEST: stages[deepest], AVERAGED: stages}
    tables = {
        name: part.pivot_table(index="backbone", columns="statistic", values="value")
        for name, part in parts.items()
    }
    return pd.concat(tables, axis=1).swaplevel(axis=1)


def jobs(results: Results) -> pd.DataFrame:
    """Return metrics of the jobs without smoothing, of one setting, as `by_pair` has them.

    Of judges that judged `COVERAGE` of the backbones at least.
    """
    frame = judged(results)
    frame, _ = one_setting(frame[frame["smoothing"].astype(str) == "none"])
    values = by_pair(frame.assign(backbone=_backbone(frame)))
    judged_by = values.groupby(["judge", "judge_weights"])["backbone"].transform("nunique")
    return values[judged_by >= COVERAGE * values["backbone"].nunique()]


def means(frame: pd.DataFrame, column: Column) -> "pd.Series[float]":
    """Return the mean over the pairs of `jobs` of a metric by backbone."""
    values: pd.Series[float] = column.of(frame).groupby("backbone")["value"].mean()
    return values


def correlations(table: pd.DataFrame, scores: "pd.Series[float]") -> pd.DataFrame:
    """Return Spearman's ρ of every statistic with one score over the backbones that have both.

    Args:
        table: of `predictors`.
        scores: by backbone.

    Returns:
        Columns statistic, stages, rho, low, high (bootstrap 95 % over backbones), p (not
        corrected), p_holm (Holm's correction for all rows), n.
    """
    rows = []
    both, values = table.reindex(scores.index), scores.tolist()
    for name, stages in ((name, s) for name in known() for s in (DEEPEST, AVERAGED)):
        if (name, stages) in both:
            found = spearman(both[(name, stages)].tolist(), values)
            rows.append({"statistic": name, "stages": stages, **asdict(found)})
    columns = ["statistic", "stages", "rho", "low", "high", "p", "n"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.insert(6, "p_holm", holm(frame["p"].tolist()))
    return frame


def of_group(scores: "pd.Series[float]", group: str) -> "pd.Series[float]":
    """Return the scores of the backbones of a group of `GROUPS`."""
    return scores[scores.index.str.startswith(GROUPS[group])]
