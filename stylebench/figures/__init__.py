"""Figures and tables of results: their register, what they are drawn with, those of any sweep."""

from stylebench.figures.register import (
    EXPERIMENTS,
    FIGURES,
    TABLES,
    NoDataError,
    draw,
    figure,
    load,
    names,
    provenance,
    table,
    told,
)

__all__ = [
    "EXPERIMENTS",
    "FIGURES",
    "TABLES",
    "NoDataError",
    "draw",
    "figure",
    "load",
    "names",
    "provenance",
    "table",
    "told",
]
