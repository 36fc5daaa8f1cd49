"""Texture synthesis from noise: no content term, so that the content picture gives the size alone.

A share measures from the content picture (0) to the style (1), though the start is noise.
"""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_none, by_pair, claims
from stylebench.figures.dots import dots
from stylebench.figures.measured import pictures
from stylebench.store import Results

NAME = "texture"
TOLD = "No content term; started from noise."


@figure(NAME, experiment=NAME, sheet=True)
def sheet(results: Results) -> Figure:
    """Textures by backbone and smoothing."""
    return pictures(results, told=TOLD)


@figure(f"{NAME}_scores", experiment=NAME)
def scores(results: Results) -> Figure:
    """Style, texture and colour by backbone and smoothing."""
    values = by_pair(_of_style(judged(results)))
    return dots(
        results, "Style, texture and colour of textures from noise", values, what=f"{TOLD} "
    )


@table(NAME, experiment=NAME)
def differences(results: Results) -> pd.DataFrame:
    """Softmax against none with the same backbone, by pairs; without metrics of the content.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    return claims(_of_style(judged(results)), against_none)


def _of_style(frame: pd.DataFrame) -> pd.DataFrame:
    """Return metrics without those of the content, of which a texture keeps nothing."""
    from stylebench.measures.metrics import METRICS

    of_content = [name for name, metric in METRICS.items() if metric.about == "content"]
    return frame[~frame["metric"].isin(of_content)]
