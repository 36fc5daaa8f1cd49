"""Is it BatchNorm? In evaluation mode, with statistics 0 and 1, random ones normalise nothing."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_resnet, claims
from stylebench.figures.effects import effects
from stylebench.store import Results

LABELS = {
    f"{arch}{option}": name
    for option, name in {
        "": "evaluation\nmode",
        "+batchnorm=calibrated": "calibrated",
        "+batchnorm=train": "training\nmode",
    }.items()
    for arch in ("r-resnet50", "r-noresnet50")
}


@figure("controls_bn", experiment="controls_bn")
def controls_bn(results: Results) -> Figure:
    """Statistics of the deepest stage, and scores, by the mode of BatchNorm."""
    return effects(results, "BatchNorm's statistics, random weights", "backbone", LABELS)


@table("controls_bn", experiment="controls_bn")
def against_evaluation_mode(results: Results) -> pd.DataFrame:
    """Each mode against evaluation mode, and NoResNet against ResNet-50 in that mode, by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    return claims(judged(results), against_resnet)
