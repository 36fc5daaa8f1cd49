"""Figures and tables of results: their register, what they are drawn with, those of any sweep."""

from stylebench.figures.register import (
    EXPERIMENTS,
    FIGURES,
    IN_CHECKOUT,
    ROOT,
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
    "IN_CHECKOUT",
    "ROOT",
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
