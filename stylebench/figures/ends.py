"""Where optimisations end: losses of arms by pair, and their course over the evaluations."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stylebench.figures import NoDataError
from stylebench.figures.intervals import interval
from stylebench.figures.layout import leftmost, log_axis, panels
from stylebench.figures.style import caption, order_pairs, over_seeds, shorten
from stylebench.store import Results

LOSSES = ("loss_final", "content_loss", "style_loss", "tv_loss")
WEIGHTS = ["content_weight", "style_weight", "tv_weight", "balance", "normalisation", "nodes"]
"""What makes the objective: only where they agree can the whole losses be compared."""

PAIR = ["content", "style"]
COLUMNS, ROWS, HEIGHT, GAP = 3, 2, 2.0, 0.72
"""Panels in a row, rows of them at most; inches: a panel, between rows."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")


def finished(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the jobs that are ok; none raise NoDataError."""
    done = jobs[jobs["status"] == "ok"]
    if not len(done):
        raise NoDataError("no stylisation of these results succeeded")
    return done


def ends(jobs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return losses at the end by arm, and as multiples of those of the arm `reference`.

    Args:
        jobs: that are ok, with the columns of `arms.labelled`.
        reference: an arm; jobs of pairs that it has not are left out.

    Returns:
        Columns arm, loss, mean (geometric), ratio (geometric mean over pairs of the loss over the
        reference's, both geometric means of their seeds) with its bootstrap 95 % interval low and
        high, pairs and jobs, all over the pairs that both have. Losses that are not positive are
        left out, and the whole loss of arms that have another objective.
    """
    rows = []
    own = jobs[jobs["arm"] == reference]
    for arm, part in jobs.groupby("arm", observed=True):
        for loss in LOSSES:
            if loss == "loss_final" and not _same(part, own):
                continue
            logs = _logs(part, loss).merge(_logs(own, loss), on=PAIR, suffixes=("", "_reference"))
            found = interval((logs["value"] - logs["value_reference"]).tolist())
            if found.n:
                shown = np.exp([logs["value"].mean(), found.mean, found.low, found.high])
                rows.append((arm, loss, *shown, found.n, int(logs["seeds"].sum())))
    columns = ["arm", "loss", "mean", "ratio", "low", "high", "pairs", "jobs"]
    return pd.DataFrame(rows, columns=columns)


def _same(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    return bool(len(pd.concat([a, b])[WEIGHTS].drop_duplicates()) == 1)


def _logs(jobs: pd.DataFrame, loss: str) -> pd.DataFrame:
    """Return `over_seeds` of the logarithm of a loss by pair, where it is positive."""
    known = jobs[loss].where(np.isfinite(jobs[loss]) & (jobs[loss] > 0))
    return over_seeds(jobs.assign(value=known.map(np.log)), PAIR)


Curve = tuple[pd.Series, pd.Series]


def relative(trace: pd.DataFrame) -> Curve | None:
    """Return (evaluation, loss / first loss); None if the first is not a positive number.

    Values that a log axis cannot show (0, negative, infinite) become NaN, which leaves a gap.
    """
    trace = trace.sort_values("evaluation")
    first = float(trace["loss"].iloc[0])
    if not (np.isfinite(first) and first > 0):
        return None
    ratio = trace["loss"] / first
    return trace["evaluation"], ratio.where(np.isfinite(ratio) & (ratio > 0))


def courses(results: Results, jobs: pd.DataFrame, title: str) -> Figure:
    """Return the lowest loss so far over the evaluations: a panel a pair, a line a job.

    Args:
        results: with traces.
        jobs: of one objective, so that losses compare, with the columns of `arms.labelled`.
        title: of the figure.
    """
    jobs = finished(jobs[jobs["job_id"].isin(results.trace["job_id"])])
    arms = [str(arm) for arm in jobs["arm"].cat.categories if arm in set(jobs["arm"])]
    looks: dict[str, dict[str, Any]] = {
        arm: {"color": COLORS[index % len(COLORS)], "linewidth": 1.4}
        for index, arm in enumerate(arms)
    }
    pairs = order_pairs(jobs)
    shown = pairs[: COLUMNS * ROWS]
    left = f"; the first {len(shown)} of {len(pairs)} pairs" if len(pairs) > len(shown) else ""
    note = f"A line per seed, all of one objective{left}.  {caption(results, jobs)}"
    made, every = panels(len(shown), title, note, looks, across=COLUMNS, height=HEIGHT, gap=GAP)
    traces = dict(iter(results.trace.groupby("job_id")))
    for axes, pair in zip(every, shown, strict=True):
        own = jobs[(jobs["content"] == pair[0]) & (jobs["style"] == pair[1])]
        for job, arm in zip(own["job_id"], own["arm"], strict=True):
            trace = traces[job].sort_values("evaluation")
            axes.plot(trace["evaluation"], trace["loss"].cummin(), **looks[str(arm)])
        log_axis(axes)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_title(shorten(f"{pair[0]} × {pair[1]}", 60))
        axes.set_xlabel("closure evaluation")
        if leftmost(axes):
            axes.set_ylabel("lowest loss so far")
    return made
