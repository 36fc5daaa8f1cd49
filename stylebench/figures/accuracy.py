"""What each kind of block costs in accuracy, and its maps' peaks before and after training."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.intervals import Array, Interval, over_draws
from stylebench.figures.layout import panels
from stylebench.figures.statistics import Panel, known, set_axes
from stylebench.figures.style import Look
from stylebench.store import Results

KINDS = {
    "on": ("standard shortcuts", "#D55E00", "s"),
    "pre-relu": ("before the ReLU", "#CC79A7", "v"),
    "off": ("no shortcuts", "#009E73", "^"),
}
"""Kind of block -> label, colour and marker: those of the paper's networks in other figures."""
SHOWN = ("entropy", "gram_entropy", "max", "max_over_mean")
"""Statistics beside the accuracy: the paper's (6), (8) and (5), and one without scale."""
SET = ["data", "depth", "width", "epochs"]
"""What is the same in all classifiers that are compared."""
LESS = " − that of standard shortcuts"
"""Behind a quantity: its difference from that of the standard network of the same seed."""
WEIGHTS = {"random": "before training", "trained": "after training"}


def _classifiers(results: Results) -> pd.DataFrame:
    """Return the classifiers of the setting that has most of them."""
    frame = results.accuracy[results.accuracy["shortcut"].isin(KINDS)]
    if not len(frame):
        raise NoDataError("no classifiers in these results (`stylebench accuracy` trains them)")
    counts = frame.groupby(SET).size().sort_values(kind="stable", ascending=False)
    return frame[(frame[SET] == list(counts.index[0])).all(axis=1)]


def _statistics(results: Results, classifiers: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of classifiers without smoothing, of the size that most of them have.

    The same size has its shape kept in one job and squashed in another: these are two.
    """
    frame = results.statistics
    own = {name for column in WEIGHTS for name in classifiers[column]}
    frame = frame[frame["weights"].isin(own) & (frame["smoothing"] == "none")]
    kinds = ["size", "resize"]
    counts = frame.groupby(kinds).size()
    if not len(counts):
        return frame
    usual = pd.Series(counts.idxmax(), index=kinds, dtype=object)
    return frame[(frame[kinds] == usual).all(axis=1)]


def _measured(results: Results, classifiers: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of classifiers: a row a network, weights, statistic and stage.

    The value is the mean over pictures, in logarithms (base 10) where the axis is logarithmic.
    """
    frame = _statistics(results, classifiers)
    frame = frame[np.isfinite(frame["value"]) & frame["statistic"].isin(list(known()))]
    log = frame["statistic"].map({name: panel.scale == "log" for name, panel in known().items()})
    frame = frame[~log.astype(bool) | (frame["value"] > 0)]
    values = frame["value"].where(
        ~log.astype(bool), np.log10(frame["value"].where(frame["value"] > 0))
    )
    keys = ["weights", "statistic", "stage"]
    means = frame.assign(value=values).groupby(keys)["value"].mean().reset_index()
    each = [
        classifiers[["shortcut", "seed", column]]
        .rename(columns={column: "weights"})
        .assign(training=told)
        .merge(means, on="weights")
        for column, told in WEIGHTS.items()
    ]
    return pd.concat(each, ignore_index=True)


def _note(classifiers: pd.DataFrame, results: Results) -> str:
    first, seeds = classifiers.iloc[0], classifiers["seed"].nunique()
    quick = "quick settings (the paper: CIFAR-100): " if first["data"] != "cifar100" else ""
    measured = "no statistics"
    if len(frame := _statistics(results, classifiers)):
        measured = (
            f"statistics of {frame['image'].nunique()} photographs, {frame['size'].iloc[0]} px"
        )
    return (
        f"{quick}{first['data']}, ResNet-{first['depth']} of width {first['width']} with a CIFAR "
        f"stem, {first['epochs']} epochs, {seeds} seeds, {first['tested']} test pictures; "
        f"{measured}.\nMeans and Student's 95 % intervals over seeds; small marks: single seeds. "
        "Solid: after training; dashed: random weights, before it."
    )


def _look(kind: str, *, trained: bool = True) -> Look:
    _, colour, marker = KINDS[kind]
    return Look(colour, marker, trained)


def _draw_accuracy(axes: Axes, classifiers: pd.DataFrame) -> None:
    kinds = [kind for kind in KINDS if kind in set(classifiers["shortcut"])]
    for place, kind in enumerate(kinds):
        values = 100 * classifiers.loc[classifiers["shortcut"] == kind, "accuracy"].to_numpy()
        found, look = over_draws(values), _look(kind)
        axes.plot([place - 0.18] * len(values), values, linestyle="", marker=look.marker,
                  markersize=3, color=look.color, alpha=0.5)  # fmt: skip
        half = [[0.0 if found.n < 2 else found.mean - found.low]] * 2
        axes.errorbar([place], [found.mean], yerr=half, color=look.color, marker=look.marker,
                      capsize=3, linestyle="")  # fmt: skip
    axes.set_xticks(range(len(kinds)), [KINDS[kind][0].replace(" ", "\n", 1) for kind in kinds])
    axes.set_xlim(-0.5, len(kinds) - 0.5)
    axes.set_title("accuracy, test split (%)")


def _draw_statistic(axes: Axes, frame: pd.DataFrame, panel: Panel) -> None:
    log = panel.scale == "log"
    for (kind, told), part in frame.groupby(["shortcut", "training"], sort=False):
        stages = part.groupby("stage")["value"].apply(lambda values: over_draws(values.to_numpy()))
        look = _look(str(kind), trained=told == WEIGHTS["trained"])
        ends = np.array([[i.mean, i.low, i.high] for i in stages])
        ends = 10**ends if log else ends
        low, high = ends[:, 1:].T.clip(0, 1) if panel.scale == "unit" else ends[:, 1:].T
        axes.fill_between(stages.index, low, high, color=look.color, alpha=0.12, linewidth=0)
        axes.plot(stages.index, ends[:, 0], **look.line())
    set_axes(axes, panel, sorted(set(frame["stage"])))
    axes.set_title(panel.title)
    axes.set_xlabel("stage (4 = deepest)")


@figure("accuracy")
def accuracy(results: Results) -> Figure:
    """Accuracy by kind of block, and the peaks of the maps by stage, before and after training."""
    classifiers = _classifiers(results)
    frame = _measured(results, classifiers)
    columns = [known()[name] for name in SHOWN if name in set(frame["statistic"])]
    entries = {label: _look(kind).line() for kind, (label, *_) in KINDS.items()
               if kind in set(classifiers["shortcut"])}  # fmt: skip
    made, (first, *rest) = panels(
        1 + len(columns), "What each kind of block costs in accuracy, and its peaks",
        _note(classifiers, results), entries, across=1 + len(columns), height=2.6, gap=0.3,
        foot=0.15,
    )  # fmt: skip
    _draw_accuracy(first, classifiers)
    for axes, panel in zip(rest, columns, strict=True):
        _draw_statistic(axes, frame[frame["statistic"] == panel.statistic], panel)
    return made


def _rows(results: Results) -> Iterator[dict[str, Any]]:
    classifiers = _classifiers(results)
    wide = classifiers.pivot_table(index="seed", columns="shortcut", values="accuracy")
    yield from _kinds(_by_column(wide), WEIGHTS["trained"], "accuracy")
    keys = ["statistic", "training", "stage"]
    frame = _measured(results, classifiers).pivot_table(
        index=[*keys, "seed"], columns="shortcut", values="value"
    )
    groups = defaultdict(list)
    for (statistic, training, stage), part in frame.groupby(level=keys):
        groups[statistic].append((str(training), str(stage), _by_column(part)))
    for name, panel in known().items():
        title = f"log10 {name}" if panel.scale == "log" else name
        for training, stage, values in groups[name]:
            yield from _kinds(values, training, title, stage)


def _by_column(wide: pd.DataFrame) -> dict[str, Array]:
    """Return the columns of a table of numbers."""
    return dict(zip(map(str, wide), wide.to_numpy().T, strict=True))


def _kinds(
    wide: Mapping[str, Array], told: str, title: str, stage: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a quantity: of each kind of block, and its difference from standard.

    Args:
        wide: kind of block -> values by seed, of the same seeds.
        told: the weights, trained or not.
        title: of the quantity.
        stage: of the maps.
    """
    for kind in filter(wide.__contains__, KINDS):
        values = wide[kind]
        if np.isnan(values).all():
            continue
        yield _row(kind, told, title, over_draws(values), stage)
        if kind != "on" and "on" in wide:
            yield _row(kind, told, f"{title}{LESS}", over_draws(values - wide["on"]), stage)


def _row(kind: str, told: str, what: str, found: Interval, stage: str = "") -> dict[str, Any]:
    values = {key: value for key, value in asdict(found).items() if key != "n"}
    return {"shortcut": kind, "weights": told, "quantity": what, "stage": stage, **values,
            "seeds": found.n}  # fmt: skip


@table("accuracy")
def by_block(results: Results) -> pd.DataFrame:
    """Accuracy and statistics by stage of each kind of block: mean, Student's 95 % interval.

    The interval is over seeds: it speaks of other draws of weights, order and crops, with the same
    pictures. A difference is of networks of the same seed. Statistics are means over photographs
    first; ``log10`` ones are means of logarithms.
    """
    made = pd.DataFrame(_rows(results))
    made.attrs["note"] = _note(_classifiers(results), results).replace("\n", " ")
    return made
