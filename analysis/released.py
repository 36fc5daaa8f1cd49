"""The settings of the authors' released code: its smoothings of deep stages, and none."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_none, by_pair, claims
from stylebench.figures.dots import dots
from stylebench.store import Results


@figure("released", experiment="released")
def released(results: Results) -> Figure:
    """Scores under the settings of the released code, by backbone and smoothing."""
    title = "The settings of the released code, by backbone and smoothing"
    return dots(results, by_pair(judged(results)), title)


@table("released", experiment="released")
def differences(results: Results) -> pd.DataFrame:
    """Each smoothing of the released code against none with the same backbone, by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    frame = judged(results)
    return claims(frame, against_none(frame))
