"""Figures and tables of results: their register, what they are drawn with, those of any sweep."""

from stylebench.figures.register import (
    FIGURES,
    TABLES,
    NoDataError,
    draw,
    experiments,
    figure,
    load,
    names,
    provenance,
    table,
    told,
    trained,
)

__all__ = [
    "FIGURES",
    "TABLES",
    "NoDataError",
    "draw",
    "experiments",
    "figure",
    "load",
    "names",
    "provenance",
    "table",
    "told",
    "trained",
]
