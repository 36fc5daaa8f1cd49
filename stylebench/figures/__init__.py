"""Figures and tables of results: their register, what they are drawn with, those of any sweep."""

from stylebench.figures.notes import is_quick, provenance, steps_of, trained
from stylebench.figures.register import (
    FIGURES,
    TABLES,
    NoDataError,
    draw,
    experiments,
    figure,
    load,
    names,
    table,
    told,
)

__all__ = [
    "FIGURES",
    "TABLES",
    "NoDataError",
    "draw",
    "experiments",
    "figure",
    "is_quick",
    "load",
    "names",
    "provenance",
    "steps_of",
    "table",
    "told",
    "trained",
]
