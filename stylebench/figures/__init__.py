"""Figures and tables of results: their register, and the intervals that they show."""

from stylebench.figures.register import (
    ANALYSIS,
    EXPERIMENTS,
    FIGURES,
    TABLES,
    NoDataError,
    draw,
    figure,
    load_analysis,
    names,
    provenance,
    table,
    told,
)

__all__ = [
    "ANALYSIS",
    "EXPERIMENTS",
    "FIGURES",
    "TABLES",
    "NoDataError",
    "draw",
    "figure",
    "load_analysis",
    "names",
    "provenance",
    "table",
    "told",
]
