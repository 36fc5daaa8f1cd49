"""Tables: what judges that were not optimised say of the results, with intervals and tests.

A metric alone is not the quality: a picture can have all of a style and nothing of the content.
"""

import pandas as pd

from stylebench.figures import NoDataError, table
from stylebench.figures.arms import MEASURE, judged
from stylebench.figures.claims import MOST, UNIT, claims, every
from stylebench.figures.intervals import holm, means
from stylebench.figures.style import SETTINGS, listed, over_seeds, ranked, told_settings
from stylebench.store import Results

ROWS = MOST * (MOST - 1) // 2
"""Comparisons of arms in a table, at most."""


def _judged(results: Results) -> pd.DataFrame:
    """Return the metrics beside the settings of their jobs, in the order of the metrics' list."""
    from stylebench.measures.metrics import METRICS

    jobs = results.results[results.results["status"] == "ok"]
    jobs = ranked(jobs)
    own = results.metrics[["job_id", *MEASURE, "value"]]
    wanted = ["job_id", "system", "backbone", "arch", "weights", "smoothing", *UNIT, "seed"]
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
    groups = frame.dropna(subset="value").groupby(keys, observed=True, dropna=False)
    told = groups.agg(
        arch=("arch", "first"), weights=("weights", listed), better=("better", "first")
    )
    found = means(over_seeds(frame, [*keys, *UNIT]), keys).join(told)
    columns = ["arch", "weights", "smoothing", *MEASURE, "better", "mean", "low", "high"]
    found = found.reset_index().rename(columns={"n": "pairs"})
    return found[[*told_settings(frame), *columns, "pairs", "seeds"]]


@table("comparisons")
def comparisons(results: Results) -> pd.DataFrame:
    """Paired comparisons of all arms: backbone, smoothing and settings where these differ.

    A pair is two results of the same content and style, averaged over the seeds that both arms
    have, under a judge that is neither arm's own backbone; a distance whose share is judged too is
    left out. difference: mean of a − b with its bootstrap 95 % interval; p: two-sided, Wilcoxon's
    signed-rank test, not corrected for the number of comparisons; p_holm: corrected (Holm) for the
    table's comparisons under one metric and judge; detectable: the smallest difference that so many
    pairs would have shown by a t-test, in four of five repetitions; seeds: how many a pair has (the
    fewest); still_a, still_b: how many of each arm's jobs did not move or diverged; favours: the
    arm that is better where the interval excludes zero and p < 0.05, not corrected, which takes six
    pairs at least, empty where most of either arm's jobs are still. With one seed of random weights
    the interval speaks of these very networks. Of more than twelve arms, so many comparisons stand
    here as twelve have, of those that differ in one thing first.
    """
    frame = judged(results)
    pairs = every(frame)
    if not pairs:
        raise NoDataError("nothing to compare: these results have one arm")
    found = claims(frame, pairs[:ROWS])
    corrected = found.groupby(MEASURE, observed=True)["p"].transform(lambda p: holm(p.tolist()))
    found.insert(list(found).index("p") + 1, "p_holm", corrected)
    if left := len(pairs[ROWS:]):
        found.attrs["note"] = (
            f"{left} of {len(pairs)} comparisons of {frame['arm'].nunique()} arms are left out: "
            "`stylebench compare DIR --a ARM --b ARM` tells of any two"
        )
    return found
