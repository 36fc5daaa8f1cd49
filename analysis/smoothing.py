"""All smoothings, on all layers and on the two deepest stages alone.

Under relative losses a constant factor cancels: ``scale`` is the same arm as ``none``, but for
rounding. What differs there is not the size of the maps.
"""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure, table
from stylebench.figures.arms import judged
from stylebench.figures.claims import against_none, by_pair, claims
from stylebench.figures.dots import dots
from stylebench.figures.style import order_smoothings
from stylebench.store import Results

DEEP = "@deep"
LAYERS = ("all layers", "two deepest stages")


@figure("smoothing", experiment="smoothing")
def smoothing(results: Results) -> Figure:
    """Scores of every smoothing by backbone and setting, all layers beside deep ones."""
    values = by_pair(judged(results))
    deep = values["smoothing"].astype(str).str.endswith(DEEP)
    name = values["smoothing"].astype(str).str.removesuffix(DEEP)
    told = [
        ", ".join(filter(None, texts))
        for texts in zip(values["backbone"].astype(str), values["setting"].astype(str), strict=True)
    ]
    order = values.assign(told=told).sort_values(["backbone", "setting"])["told"]
    values = values.assign(
        backbone=pd.Categorical(told, list(dict.fromkeys(order))),
        smoothing=pd.Categorical(name, order_smoothings(name)),
        series=pd.Categorical(deep.map({False: LAYERS[0], True: LAYERS[1]}), LAYERS),
    )
    return dots(results, "Smoothings, on all layers and on the two deepest stages", values)


@table("smoothing", experiment="smoothing")
def differences(results: Results) -> pd.DataFrame:
    """Each smoothing against none of the same backbone and setting, by pairs.

    The columns are those of the table ``comparisons``; p is not corrected for their number.
    """
    return claims(judged(results), against_none)
