"""The paper's figure 6 in numbers: Wide ResNet and Inception, with and without smoothing."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_none, claims
from stylebench.figures.dots import dots
from stylebench.store import Results


@figure("fig6", experiment="fig6")
def fig6(results: Results) -> Figure:
    """Scores of Wide ResNet and Inception, with and without smoothing (the paper's figure 6)."""
    return dots(results, "Wide ResNet and Inception, with and without smoothing")


@table("fig6", experiment="fig6")
def softmax_against_none(results: Results) -> pd.DataFrame:
    """Softmax against none of each backbone, by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    return claims(judged(results), against_none)
