"""The paper's figures 1 and 2 in numbers: which backbone transfers style, and what smoothing does.

The pictures themselves are in the figure ``grid``.
"""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_none, arm, claims
from stylebench.figures.dots import dots
from stylebench.store import Results

BACKBONES = (
    ("p-vgg19", "p-resnet50"),
    ("r-vgg19", "r-resnet50"),
    ("r-noresnet50", "r-resnet50"),
    ("r-pseudo-vgg", "r-pseudo-resvgg"),
)
"""The paper's claims about pairs of backbones, all without smoothing: the first one is better."""


@figure("fig1_2", experiment="fig1_2")
def fig1_2(results: Results) -> Figure:
    """Scores of every backbone with and without smoothing (the paper's figures 1 and 2)."""
    return dots(results, "Style, colour and content by backbone and smoothing")


@table("fig1_2", experiment="fig1_2")
def claims_of_the_paper(results: Results) -> pd.DataFrame:
    """The paper's claims as paired comparisons a − b: of backbones, and softmax against none.

    A pair is one content and style, averaged over the seeds that both arms have. difference: mean
    of a − b with its bootstrap 95 % interval; p: two-sided, Wilcoxon's signed-rank test, not
    corrected for the number of comparisons; favours: the arm that is better where the interval
    excludes zero and p < 0.05, which takes six pairs at least, empty where most of either arm's
    jobs did not move or diverged (still_a, still_b, of jobs). With one seed of random weights the
    interval speaks of these very networks. Only judges of both arms compare.
    """
    frame = judged(results)
    of_backbones = [
        (arm(frame, backbone=a, smoothing="none"), arm(frame, backbone=b, smoothing="none"))
        for a, b in BACKBONES
    ]
    return claims(frame, of_backbones + against_none(frame))
