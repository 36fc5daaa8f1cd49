"""The paper's figure 4: kinds of residual blocks, and shortcuts taken before the ReLU."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_resnet, claims
from stylebench.figures.effects import effects
from stylebench.store import Results

LABELS = {
    "r-resnet50": "bottle-\nneck",
    "r-resnet50+shortcut=pre-relu": "bottle-\nneck,\npre-ReLU",
    "r-resnet34": "basic",
    "r-resnet34+shortcut=pre-relu": "basic,\npre-ReLU",
    "r-noresnet50": "no short-\ncut",
}


@figure("fig4", experiment="fig4")
def fig4(results: Results) -> Figure:
    """Statistics of the deepest stage, and scores, by the kind of block (the paper's figure 4)."""
    return effects(results, "Kinds of residual blocks, random weights", "backbone", LABELS)


@table("fig4", experiment="fig4")
def against_plain_blocks(results: Results) -> pd.DataFrame:
    """Pre-ReLU shortcuts against plain ones; other networks against ResNet-50; by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    return claims(judged(results), against_resnet)
