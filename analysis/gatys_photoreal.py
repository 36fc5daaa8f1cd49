"""Gatys et al. 2016, figure 7: photographs as style."""

from matplotlib.figure import Figure

from stylebench.figures import figure
from stylebench.figures.dots import dots
from stylebench.figures.measured import pictures
from stylebench.store import Results

NAME = "gatys_photoreal"


@figure(NAME, experiment=NAME, sheet=True)
def sheet(results: Results) -> Figure:
    """Pictures by backbone."""
    return pictures(results)


@figure(f"{NAME}_scores", experiment=NAME)
def scores(results: Results) -> Figure:
    """Style, colour and content by backbone."""
    return dots(results, "Style, colour and content with photographs as style")
