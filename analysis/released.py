"""The settings of the authors' released code: its smoothings of deep stages, and none."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_none, claims
from stylebench.figures.dots import dots
from stylebench.store import Results


@figure("released", experiment="released")
def released(results: Results) -> Figure:
    """Scores under the settings of the released code, by backbone and smoothing."""
    return dots(results, "The settings of the released code, by backbone and smoothing")


@table("released", experiment="released")
def differences(results: Results) -> pd.DataFrame:
    """Each smoothing of the released code against none with the same backbone, by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    return claims(judged(results), against_none)
