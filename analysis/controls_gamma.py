"""Is it the shortcut? Residual branches multiplied by γ, beside the network without shortcuts.

At γ = 0.25 every shortcut is there and the growth along it is not; at γ = 0 there is nothing else.
"""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_resnet, claims
from stylebench.figures.effects import effects
from stylebench.store import Results

LABELS = {
    "r-resnet50": "γ = 1",
    "r-resnet50+gamma=0.5": "γ = 0.5",
    "r-resnet50+gamma=0.25": "γ = 0.25",
    "r-resnet50+gamma=0": "γ = 0",
    "r-noresnet50": "NoResNet",
}


@figure("controls_gamma", experiment="controls_gamma")
def controls_gamma(results: Results) -> Figure:
    """Statistics of the deepest stage, and scores, by the factor γ of the residual branches."""
    title = "ResNet-50, random weights: residual branches multiplied by γ"
    return effects(results, title, "backbone", LABELS)


@table("controls_gamma", experiment="controls_gamma")
def against_gamma_1(results: Results) -> pd.DataFrame:
    """Each γ, and the network without shortcuts, against γ = 1 with the same smoothing, by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    return claims(judged(results), against_resnet)
