"""Gatys et al. 2016, figure 5: the content layer; conv2_2 keeps detail, conv4_2 arrangement."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import compared, in_common, judged, labelled
from stylebench.figures.claims import against, by_pair
from stylebench.figures.dots import dots
from stylebench.figures.measured import pictures
from stylebench.store import Results

NAME = "gatys_layers"
LAYERS = {"features.8": "conv2_2", "features.22": "conv4_2"}
"""Paths in torchvision's VGG-19, after the ReLU -> names in Simonyan & Zisserman's."""


def _put(text: str) -> str:
    """Return a text that ends with the path of a layer with that layer's name."""
    head, _, last = text.rpartition(" ")
    return f"{head} {LAYERS.get(last, last)}" if head else text


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame in which settings and arms have the names of the layers."""
    names = {key: frame[key].cat.rename_categories(_put) for key in ("setting", "arm")}
    return frame.assign(**names)


@figure(NAME, experiment=NAME, sheet=True)
def sheet(results: Results) -> Figure:
    """Pictures by content layer."""
    return pictures(results, _named(labelled(results.results)))


@figure(f"{NAME}_scores", experiment=NAME)
def scores(results: Results) -> Figure:
    """Style, colour and content by content layer."""
    values = by_pair(_named(judged(results)))
    return dots(results, "Style, colour and content by content layer", values, row="setting")


@table(NAME, experiment=NAME)
def differences(results: Results) -> pd.DataFrame:
    """Paired differences of the content layers, conv2_2 − conv4_2, under every metric and judge.

    difference: mean with its bootstrap 95 % interval; p: Wilcoxon's signed-rank test, two-sided,
    not corrected for the number of metrics. All else of the two arms is the same.
    """
    frame = in_common(_named(judged(results)))
    first, second = (f"content {layer}" for layer in LAYERS.values())
    pairs = against(frame, "setting", lambda row: str(row["setting"]).replace(first, second))
    found = compared(frame, pairs)
    if not len(found):
        raise NoDataError(f"no pair has both {first} and {second}")
    return found
