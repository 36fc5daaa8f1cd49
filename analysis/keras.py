"""The Keras example: scipy's L-BFGS-B beside ours, and what total variation does."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import judged, labelled
from stylebench.figures.claims import by_pair
from stylebench.figures.dots import dots
from stylebench.figures.ends import courses, ends, finished
from stylebench.figures.measured import pictures
from stylebench.store import Results

NAME = "keras"
OPTIMISERS = {"lbfgsb": "scipy's L-BFGS-B", "lbfgs": "our L-BFGS", "adam": "Adam"}


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a labelled frame whose arms are optimiser and total variation, scipy's first.

    Where a folder has our L-BFGS with several first steps, each is an arm.
    """
    optimiser = frame["optimiser"].map(lambda name: OPTIMISERS.get(name, name))
    steps = frame["first_step"]
    if len(set(steps[frame["optimiser"] == "lbfgs"])) > 1:
        optimiser += steps.map(lambda step: f", first step {step}" if step else "")
    names = optimiser + frame["tv_weight"].map(lambda weight: "" if weight else ", no TV")
    texts = dict.fromkeys([*OPTIMISERS.values(), *sorted(optimiser.unique())])
    order = [text + tv for text in texts for tv in ("", ", no TV")]
    arm = pd.Categorical(names, [text for text in order if text in set(names)])
    return frame.assign(setting=arm, arm=arm)


@figure(NAME, experiment=NAME, sheet=True)
def sheet(results: Results) -> Figure:
    """Pictures by optimiser, and without total variation."""
    return pictures(results, _named(labelled(results.results)), told="TV: total variation.")


@figure(f"{NAME}_losses", experiment=NAME)
def losses(results: Results) -> Figure:
    """Loss over the evaluations of both optimisers on the same objective."""
    jobs = _named(labelled(results.results))
    jobs = jobs[jobs["tv_weight"] > 0]
    return courses(results, jobs, "Loss of the Keras example's objective by optimiser")


@figure(f"{NAME}_scores", experiment=NAME)
def scores(results: Results) -> Figure:
    """Style, colour and content by optimiser, and without total variation."""
    values = by_pair(_named(judged(results)))
    return dots(results, "Style, colour and content by optimiser and TV", values, row="setting")


@table(NAME, experiment=NAME)
def at_the_end(results: Results) -> pd.DataFrame:
    """Losses at the end, and as multiples of those of scipy's L-BFGS-B with total variation.

    mean: geometric; ratio: geometric mean over pairs with its bootstrap 95 % interval. The whole
    loss is compared between arms of one objective alone.
    """
    jobs = finished(_named(labelled(results.results)))
    found = ends(jobs, OPTIMISERS["lbfgsb"])
    if not len(found):
        raise NoDataError("no pair was run with scipy's L-BFGS-B and total variation")
    return found
