"""Tables: what judges that were not optimised say of the results, with intervals and tests.

A metric alone is not the quality: a picture can have all of a style and nothing of the content.
"""

from collections.abc import Iterator
from itertools import product

import pandas as pd

from stylebench.figures import NoDataError, table
from stylebench.figures.arms import MEASURE, paired
from stylebench.figures.claims import UNIT, favours
from stylebench.figures.intervals import means
from stylebench.figures.style import (
    OF_ARM,
    SETTINGS,
    listed,
    over_seeds,
    ranked,
    still,
    told_settings,
)
from stylebench.store import Results

BACKBONES = ("p-vgg19", "p-resnet50")
SMOOTHINGS = ("none", "softmax")
SHARED = [key for key in SETTINGS if key not in OF_ARM]
"""Settings that two arms share."""


def _judged(results: Results) -> pd.DataFrame:
    """Return the metrics beside the settings of their jobs, in the order of the metrics' list."""
    from stylebench.measures.metrics import METRICS

    jobs = results.results[results.results["status"] == "ok"]
    jobs = ranked(jobs).assign(still=still(jobs))
    own = results.metrics[["job_id", *MEASURE, "value"]]
    wanted = ["job_id", "backbone", "arch", "weights", "smoothing", *UNIT, "seed", "still"]
    frame = own.merge(jobs[[*wanted, *SETTINGS]], on="job_id")
    if not len(frame):
        raise NoDataError("no metrics in these results; make them with `stylebench judge`")
    better = {name: metric.better for name, metric in METRICS.items()}
    found = list(dict.fromkeys(frame["metric"]))
    names = [*(n for n in better if n in found), *(n for n in found if n not in better)]
    return frame.assign(
        better=frame["metric"].map(better).fillna(""),
        metric=pd.Categorical(frame["metric"], names),
    )


@table("metrics")
def metrics(results: Results) -> pd.DataFrame:
    """Mean of every metric by backbone, smoothing and judge, with its bootstrap 95 % interval.

    The interval is over pairs of pictures, each averaged over its seeds first; seeds: how many a
    pair has (the fewest). With one seed of random weights it speaks of these very networks. A
    metric that is not defined for a picture (NaN) does not count.
    """
    frame = _judged(results)
    keys = [*SETTINGS, "backbone", "smoothing", *MEASURE]
    groups = frame.dropna(subset="value").groupby(keys, observed=True)
    told = groups.agg(
        arch=("arch", "first"), weights=("weights", listed), better=("better", "first")
    )
    found = means(over_seeds(frame, [*keys, *UNIT]), keys).join(told)
    columns = ["arch", "weights", "smoothing", *MEASURE, "better", "mean", "low", "high"]
    found = found.reset_index().rename(columns={"n": "pairs"})
    return found[[*told_settings(frame), *columns, "pairs", "seeds"]]


def _arms(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield (what is the same, arm a, arm b) of every comparison; `arm` names them."""
    for name, part in frame.groupby("backbone", observed=True):
        a, b = (part[part["smoothing"] == label].assign(arm=label) for label in SMOOTHINGS)
        yield str(name), a, b
    frame = frame.assign(arm=frame["backbone"].astype(str))
    for label, part in frame.groupby("smoothing", observed=True):
        of_arch = [part[part["arch"] == arch] for arch in BACKBONES]
        groups = [[arm for _, arm in rows.groupby("arm")] for rows in of_arch]
        for a, b in product(*groups):
            yield str(label), a, b


@table("comparisons")
def comparisons(results: Results) -> pd.DataFrame:
    """Paired comparisons: none against softmax, and p-vgg19 against p-resnet50.

    A pair is two results of the same content and style, averaged over the seeds that both arms
    have, under a judge that is neither arm's own backbone. difference: mean of a − b with its
    bootstrap 95 % interval; p: two-sided, Wilcoxon's signed-rank test, not corrected for the number
    of comparisons; detectable: the smallest difference that so many pairs would have shown by a
    t-test, in four of five repetitions; seeds: how many a pair has (the fewest); still_a, still_b:
    how many of each arm's jobs did not move or diverged; favours: the arm that is better where the
    interval excludes zero and p < 0.05, which takes six pairs at least, empty where most of either
    arm's jobs are still. With one seed of random weights the interval speaks of these very
    networks.
    """
    frame = _judged(results).sort_values(MEASURE, kind="stable")
    several = [key for key in told_settings(frame) if key in SHARED]
    rows = []
    for values, one in frame.groupby(SHARED, observed=True):
        settings = dict(zip(SHARED, values, strict=True))
        for same, a, b in _arms(one):
            better = dict(zip(a["metric"], a["better"], strict=True))
            chosen = {key: settings[key] for key in several}
            for found in paired(a, b):
                names = {"a": a["arm"].iloc[0], "b": b["arm"].iloc[0]}
                measure = {k: found[k] for k in MEASURE} | {"better": better[found["metric"]]}
                best = names.get(favours(found, measure["better"]), "")
                rows.append({**chosen, "same": same, **names, **measure, **found, "favours": best})
    if not rows:
        raise NoDataError(
            f"nothing to compare: no pair has both {' and '.join(SMOOTHINGS)}, or both "
            f"{' and '.join(BACKBONES)} under a common judge"
        )
    return pd.DataFrame(rows)
