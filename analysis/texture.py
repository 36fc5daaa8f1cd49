"""Texture synthesis from noise: no content term, so that the content picture gives the size alone.

A share measures from the content picture (0) to the style (1), though the start is noise.
"""

from matplotlib.figure import Figure

from stylebench.figures import figure
from stylebench.store import Results

from ._arms import judged, labelled
from ._claims import by_pair
from ._dots import CONTENT, dots
from ._measured import pictures

NAME = "texture"
TOLD = "No content term; started from noise."


@figure(NAME, experiment=NAME)
def sheet(results: Results) -> Figure:
    """Textures by backbone and smoothing."""
    return pictures(results, labelled(results.results), TOLD)


@figure(f"{NAME}_scores", experiment=NAME)
def scores(results: Results) -> Figure:
    """Style, texture and colour by backbone and smoothing."""
    title = "Style, texture and colour of textures from noise"
    values = by_pair(judged(results))
    style = values[~values["metric"].isin(CONTENT)]
    return dots(results, style, title, what=f"{TOLD} ")
