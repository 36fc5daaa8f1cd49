"""Gatys et al. 2016, figure 6: starts from the content, the style, and noise of some seeds."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import MEASURE, in_common, judged, labelled
from stylebench.figures.claims import by_pair
from stylebench.figures.dots import dots
from stylebench.figures.ends import LOSSES, PAIR, courses, ends, finished
from stylebench.figures.measured import pictures
from stylebench.store import Results

NAME = "gatys_init"
STARTS = {"content": "from content", "style": "from style", "noise": "from noise"}


def _by_start(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a labelled frame whose arms are the starts; noise of all seeds is one arm."""
    arm = pd.Categorical(frame["start"].map(STARTS), list(STARTS.values()))
    return frame.assign(setting=arm, arm=arm)


def _by_seed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a labelled frame whose arms are the starts, noise by its seed."""
    start = frame["start"].map(STARTS)
    names = start.mask(frame["start"] == "noise", start + ", seed " + frame["seed"].astype(str))
    order = frame.assign(name=names, place=frame["start"].map(list(STARTS).index))
    ordered = order.sort_values(["place", "seed"])["name"].drop_duplicates()
    arm = pd.Categorical(names, ordered)
    return frame.assign(setting=arm, arm=arm)


@figure(NAME, experiment=NAME, sheet=True)
def sheet(results: Results) -> Figure:
    """Pictures by start."""
    return pictures(results, _by_seed(labelled(results.results)))


@figure(f"{NAME}_losses", experiment=NAME)
def losses(results: Results) -> Figure:
    """Loss over the evaluations by start."""
    return courses(results, _by_start(labelled(results.results)), "Loss by start of the picture")


@figure(f"{NAME}_scores", experiment=NAME)
def scores(results: Results) -> Figure:
    """Style, colour and content by start."""
    values = by_pair(_by_start(judged(results)))
    return dots(results, "Style, colour and content by start", values, row="setting")


@table(f"{NAME}_losses", experiment=NAME)
def at_the_end(results: Results) -> pd.DataFrame:
    """Losses at the end by start, and as multiples of those of the start from the content.

    mean: geometric; ratio: geometric mean over pairs of the loss over that from the content, seeds
    averaged first, with its bootstrap 95 % interval.
    """
    found = ends(finished(_by_start(labelled(results.results))), STARTS["content"])
    if not len(found):
        raise NoDataError("no pair was started from the content")
    return found.rename(columns={"arm": "start"})


@table(NAME, experiment=NAME)
def spread(results: Results) -> pd.DataFrame:
    """How far apart the results of different starts lie, by loss and by metric.

    between_starts: the largest minus the smallest value among the starts (noise: mean of its
    seeds), mean over pairs; between_seeds: the same among the seeds of noise; of losses in log10.
    """
    jobs = finished(_by_start(labelled(results.results)))
    values = [
        jobs.assign(metric=f"log10 {name}", judge="", judge_weights="", value=_log10(jobs[name]))
        for name in LOSSES
    ]
    if len(results.metrics):
        values.append(in_common(_by_start(judged(results))))
    rows = []
    every = pd.concat(values).dropna(subset="value")
    for key, part in every.groupby(MEASURE, sort=False):
        noise = part[part["start"] == "noise"]
        starts = part.groupby([*PAIR, "arm"], observed=True)["value"].mean()
        rows.append(
            {
                **dict(zip(MEASURE, key, strict=True)),
                "between_starts": _range(starts),
                "between_seeds": _range(noise.set_index(PAIR)["value"]),
                "pairs": len(part[PAIR].drop_duplicates()),
                "seeds": noise["seed"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def _log10(values: "pd.Series[float]") -> "pd.Series[float]":
    return values.where(values > 0).map(np.log10)


def _range(values: "pd.Series[float]") -> float:
    """Return the mean over pairs of the range; NaN where no pair has two values."""
    groups = values.groupby(PAIR)
    ranges = (groups.max() - groups.min())[groups.size() > 1]
    return float(ranges.mean())
