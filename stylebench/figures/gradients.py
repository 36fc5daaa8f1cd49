"""The gradient budget: what each term of the loss asks of the picture at the start.

Smoothing changes these norms by powers of ten, so that it re-weights the layers' terms.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import labelled
from stylebench.figures.dots import counts, draw_mean, drawn_once
from stylebench.figures.intervals import means
from stylebench.figures.layout import leftmost, log_axis, panels
from stylebench.figures.style import caption, order_smoothings, over_seeds, shorten
from stylebench.store import Results

NAME = "gradients"
TERMS = ("style", "content", "tv")
COLUMNS, PANELS, HEIGHT, GAP = 3, 12, 2.0, 0.95
"""Panels in a row, at most; inches: a panel, between rows, which has the names of the layers."""

BY_TERM = ["backbone", "smoothing", "setting", "name", "term", "layer"]
"""What makes a mean: an arm and a term."""

LOOKS = (
    ("#222222", "o"), ("#D55E00", "s"), ("#0072B2", "^"), ("#009E73", "D"), ("#CC79A7", "v"),
    ("#E69F00", "P"), ("#56B4E9", "X"),
)  # fmt: skip
"""By smoothing, in order."""


def _budget(results: Results) -> pd.DataFrame:
    """Return the positive norms by arm, term and pair: geometric means of the seeds.

    Returns:
        Columns of `BY_TERM`, sorted by them with terms in the order of the layers; content, style,
        value (their logarithm), gradient and seeds (how many).
    """
    done = results.results[results.results["status"] == "ok"]
    if not len(done) or not len(results.gradients):
        raise NoDataError("no gradients in these results; `gradients: true` measures them")
    frame = results.gradients.merge(labelled(done), on="job_id")
    known = frame["term"].isin(TERMS)
    frame = frame[known & frame["gradient"].between(0, math.inf, inclusive="neither")]
    if not len(frame):
        raise NoDataError("no gradient of these results is a positive number of a known term")
    name = frame["term"].where(frame["term"] != "style", frame["layer"])
    rank = frame["term"].map(TERMS.index)
    names = name[rank.sort_values(kind="stable").index].drop_duplicates()
    frame = frame.assign(name=pd.Categorical(name, names), value=np.log(frame["gradient"]))
    found = over_seeds(frame, [*BY_TERM, "content", "style"])
    return found.assign(gradient=np.exp(found["value"]))


@table(NAME)
def budget(results: Results) -> pd.DataFrame:
    """Norm of the gradient of each weighted term by the pixels, at the start plus noise.

    gradient: geometric mean over pairs of ‖∂(weight · term)/∂x‖, x in [0, 1], the weights and the
    unit of the smoothing in it, with its bootstrap 95 % interval; seeds are averaged first. Terms
    of weight 0 are left out. Terms of one arm compare with each other; arms compare by ratios of
    terms, for a factor that all terms share changes nothing.
    """
    found = means(_budget(results), BY_TERM).reset_index()
    found[["mean", "low", "high"]] = np.exp(found[["mean", "low", "high"]])
    found = found.rename(columns={"mean": "gradient", "n": "pairs"})
    found = found.drop(columns=["name", "seeds"])
    return found if len(set(found["setting"])) > 1 else found.drop(columns="setting")


def _draw(axes: Axes, part: pd.DataFrame, smoothings: list[str]) -> None:
    """Draw the terms of one backbone and setting; a colour a smoothing."""
    names = [str(name) for name in part["name"].cat.categories if name in set(part["name"])]
    norms = part["gradient"]
    axes.set_ylim(norms.min() / 1.6, norms.max() * 1.6)
    log_axis(axes)
    shifts = np.linspace(-0.2, 0.2, len(smoothings)) if len(smoothings) > 1 else [0.0]
    for shift, smoothing, (color, marker) in zip(shifts, smoothings, LOOKS, strict=False):
        own = part[part["smoothing"].astype(str) == smoothing]
        look = {"color": color, "marker": marker, "markersize": 5}
        for name, values in own.groupby("name", observed=True)["gradient"]:
            place = names.index(str(name)) + shift
            draw_mean(axes, place, values.to_numpy(), look, upright=True)
    texts = {"content": "content", "tv": "total variation"}
    axes.set_xticks(range(len(names)), [texts.get(n, shorten(n, 16)) for n in names])
    axes.tick_params(axis="x", labelrotation=30)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(names) - 0.4)


def _left(what: str, shown: int, count: int) -> str:
    return f" The first {shown} of {count} {what}." if count > shown else ""


@figure(NAME)
def norms(results: Results) -> Figure:
    """Norm of the gradient of each term by smoothing; a panel a backbone and setting."""
    frame = _budget(results)
    every = order_smoothings(frame["smoothing"].astype(str))
    smoothings = every[: len(LOOKS)]
    groups = list(frame.groupby(["backbone", "setting"], observed=True))
    shown = groups[:PANELS]
    entries = {
        f"smoothing: {name}": {"color": color, "marker": marker, "linestyle": "none"}
        for name, (color, marker) in zip(smoothings, LOOKS, strict=False)
    }
    left = _left("panels", len(shown), len(groups)) + _left("smoothings", len(LOOKS), len(every))
    told = (
        "At the start plus noise. Markers: geometric mean and bootstrap 95 % interval over pairs "
        f"({counts(frame, BY_TERM)}); faint: single pairs. Terms of weight 0 are not shown.{left}"
    )
    jobs = results.results[results.results["job_id"].isin(results.gradients["job_id"])]
    note = "\n".join(filter(None, [told, drawn_once(results), caption(results, jobs)]))
    made, every_panel = panels(
        len(shown), "Gradient of each term of the loss by the picture", note, entries,
        across=COLUMNS, height=HEIGHT, gap=GAP, foot=0.25,
    )  # fmt: skip
    for axes, ((backbone, setting), part) in zip(every_panel, shown, strict=True):
        _draw(axes, part, smoothings)
        axes.set_title(shorten(", ".join(filter(None, (str(backbone), str(setting)))), 70))
        if leftmost(axes):
            axes.set_ylabel("‖∂(weighted term)/∂x‖")
    return made
