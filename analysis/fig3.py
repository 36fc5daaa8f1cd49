"""The paper's figure 3: its four statistics by stage, and beside them two without scale.

Multiplying a map by a constant moves the first four, and not the last two.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.intervals import means
from stylebench.figures.statistics import draw_panels, known
from stylebench.figures.style import STAGES, over_seeds, ranked
from stylebench.store import Results

BESIDE = ("max_over_mean", "gram_effective_rank")
PAPERS = ("max", "entropy", "gram_max", "gram_entropy")
TITLE = "The paper's four statistics by stage; at the right two that no constant factor changes"
LOGARITHMS = ("max", "gram_max")
"""What the paper shows on a logarithmic axis; the table has log10 of them too."""


@figure("fig3", experiment="fig3")
def fig3(results: Results) -> Figure:
    """The paper's four statistics by stage, and two that a constant factor does not change."""
    panels = known()
    return draw_panels(results, [panels[name] for name in (*PAPERS, *BESIDE)], TITLE)


@table("fig3", experiment="fig3")
def by_stage(results: Results) -> pd.DataFrame:
    """Every statistic by stage, of raw and smoothed maps: mean and bootstrap 95 % interval.

    The interval is over images, each averaged over the seeds of random weights first (seeds: how
    many an image has, the fewest); with one seed it speaks of these very networks. ``log10 max``
    and ``log10 gram_max`` are means of logarithms, as on the paper's axes; what is not positive is
    left out of them.
    """
    frame = results.statistics
    if not len(frame):
        raise NoDataError("no statistics in these results")
    frame = pd.concat([frame, *map(_logarithm, [frame] * 2, LOGARITHMS)], ignore_index=True)
    frame = frame[np.isfinite(frame["value"])]
    order = pd.Categorical(frame["statistic"], _ordered(frame["statistic"]))
    frame = ranked(frame).assign(statistic=order)
    keys = ["size", "resize", "backbone", "smoothing", "stage", "layer", "statistic"]
    found = means(over_seeds(frame, [*keys, "image"]), keys)
    found = found.reset_index().rename(columns={"n": "images"})
    found.attrs["note"] = STAGES
    return found


def _logarithm(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of log10 of a statistic, where it is positive."""
    part = frame[frame["statistic"].eq(name) & (frame["value"] > 0)]
    return part.assign(statistic=f"log10 {name}", value=np.log10(part["value"]))


def _ordered(found: "pd.Series[str]") -> list[str]:
    """Return the statistics, each logarithm behind its own, others at the end."""
    order = [text for name in known() for text in (name, f"log10 {name}")]
    there = set(found)
    return [*(name for name in order if name in there), *sorted(there - set(order))]
