"""Is it scale? Maps divided by their own mean magnitude, with and without softmax."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against, against_none, claims
from stylebench.figures.effects import effects
from stylebench.store import Results

LABELS = {"none": "none", "mean": "mean", "softmax": "softmax", "softmax-mean": "softmax\nof mean"}


@figure("controls_scale", experiment="controls_scale")
def controls_scale(results: Results) -> Figure:
    """Statistics of the deepest stage as the losses see it, and scores, by what is done to maps."""
    title = "Maps as they are, divided by their mean, and softmax of both"
    return effects(results, title, "smoothing", LABELS)


@table("controls_scale", experiment="controls_scale")
def differences(results: Results) -> pd.DataFrame:
    """Each smoothing against none with the same backbone, and softmax-mean against mean, by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    frame = judged(results)
    of_mean = [
        (a, b)
        for a, b in against(frame, "smoothing", lambda _: "mean")
        if a.endswith("softmax-mean")
    ]
    return claims(frame, against_none(frame) + of_mean)
