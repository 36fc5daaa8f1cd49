"""Effects: what changes when one thing is changed, in the statistics and in the scores.

A place on the x axis for each variant: above the statistics of the deepest stage, below the scores.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stylebench.figures import NoDataError
from stylebench.figures.arms import OPTIONS, backbones, in_common, judged
from stylebench.figures.claims import by_pair
from stylebench.figures.dots import Column, columns, counts, draw_mean, foot, limits, mark
from stylebench.figures.layout import log_axis, panels
from stylebench.figures.style import (
    DASHED,
    SOLID,
    Look,
    arch_looks,
    order_backbones,
    order_smoothings,
    over_seeds,
    shorten,
)
from stylebench.store import Results

HEIGHT, GAP, DODGE, NAME = 1.9, 0.7, 0.5, 22
"""Inches: a panel, and between rows. Of a step of x: over it the lines are spread. Characters."""
MARKERS = ("o", "D", "s", "^")
"""By smoothing, in order."""
STATISTICS = {
    "entropy": "activation entropy, eq. (6)",
    "gram_entropy": "Gram entropy, eq. (8)",
    "max_over_mean": "max|F| / mean|F|",
    "gram_effective_rank": "effective rank of G",
    "gram_top_share": "share of G's top eigenvalue",
}
"""The two entropies of the paper, which a constant factor changes, and three that none does."""
LOGARITHMIC = ("max_over_mean", "gram_effective_rank")
SCORES = ("gram_share", "texture_share", "colour_share", "ssim")


def deepest(results: Results) -> pd.DataFrame:
    """Return the statistics of the last stage: a value per image, the mean over seeds.

    Returns:
        Columns arch, backbone (as `arms.backbones` names it), smoothing, statistic, unit (the
        image), value and seeds (how many); of the size that has most values. What is not finite is
        left out.
    """
    frame = results.statistics[np.isfinite(results.statistics["value"])]
    frame = frame[frame["size"].eq(frame["size"].mode().max())]
    frame = frame[frame["stage"].eq(frame.groupby(["arch", "weights"])["stage"].transform("max"))]
    frame = frame.assign(backbone=backbones(frame.assign(options=frame["weights"].map(options))))
    keys = ["arch", "backbone", "smoothing", "statistic", "image"]
    return over_seeds(frame, keys).rename(columns={"image": "unit"})


def options(weights: str) -> str:
    """Return the options that end the name of weights, as the column `options` has them.

    >>> options("random:0+gamma=0.5+pool=avg")
    '{"gamma": "0.5", "pool": "avg"}'
    """
    end = OPTIONS.search(weights)
    return json.dumps(dict(re.findall(r"\+(\w+)=([^+]*)", end[0] if end else "")))


@dataclass(frozen=True)
class Line:
    """What one line joins: a network and a smoothing over the variants."""

    arch: str
    smoothing: str
    look: Mapping[str, Any]
    places: Mapping[str, float]

    @property
    def name(self) -> str:
        """Of the legend."""
        return ", ".join(text for text in (self.arch, self.smoothing) if text)


def _lines(frame: pd.DataFrame, looks: Mapping[str, Look]) -> list[Line]:
    """Return the lines of a frame with columns x, arch and smoothing, side by side at each x."""
    smoothings = order_smoothings(frame["smoothing"])
    there = set(zip(frame["arch"], frame["smoothing"], strict=True))
    keys = [(a, s) for a in order_backbones(frame["arch"]) for s in smoothings if (a, s) in there]
    places: dict[tuple[str, str], dict[str, float]] = {key: {} for key in keys}
    for place, name in enumerate(frame["x"].cat.categories):
        part = frame[frame["x"] == name]
        at = set(zip(part["arch"], part["smoothing"], strict=True))
        beside = [key for key in keys if key in at]
        shifts = DODGE * (np.arange(len(beside)) - (len(beside) - 1) / 2) / len(keys)
        for key, shift in zip(beside, shifts, strict=True):
            places[key][name] = place + float(shift)
    found = []
    for arch, smoothing in keys:
        number = smoothings.index(smoothing)
        look = mark(looks[arch]) | {"markersize": 4.5}
        if len(smoothings) > 1:
            look["marker"] = MARKERS[number % len(MARKERS)]
        look["linestyle"] = DASHED if number else SOLID
        found.append(Line(arch, smoothing, look, places[arch, smoothing]))
    return found


def _draw(axes: Axes, frame: pd.DataFrame, lines: list[Line]) -> None:
    """Draw a panel of a frame with columns x (an ordered category), arch, smoothing and value."""
    for line in lines:
        part = frame[(frame["arch"] == line.arch) & (frame["smoothing"] == line.smoothing)]
        joined = {key: line.look[key] for key in ("color", "linestyle")}
        means = {}
        for name, place in line.places.items():
            values = part.loc[part["x"] == name, "value"].to_numpy()
            if len(values):
                point = dict(line.look) | {"linestyle": ""}
                means[place] = draw_mean(axes, place, values, point, upright=True)
        axes.plot(list(means), list(means.values()), linewidth=0.9, alpha=0.6, zorder=1, **joined)


def _ticks(axes: Axes, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names, fontsize=6.8)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.tick_params(labelbottom=True)


def _statistic(axes: Axes, name: str, frame: pd.DataFrame, lines: list[Line]) -> None:
    found = frame[frame["statistic"] == name]
    axes.set_title(STATISTICS[name])
    if name in LOGARITHMIC:
        found = found[found["value"] > 0]
        if len(found):
            axes.set_ylim(found["value"].min() / 1.3, found["value"].max() * 1.3)
            log_axis(axes)
    else:
        axes.set_ylim(-0.05, 1.05)
    _draw(axes, found, lines)


def _score(axes: Axes, column: Column, frame: pd.DataFrame, lines: list[Line]) -> None:
    values = column.of(frame)
    axes.set_ylim(*limits(values["value"], floor=column.metric.endswith("_share")))
    axes.axhline(0, color="#777777", linewidth=0.9, zorder=1)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(column.title.replace("\n", ", "), fontsize=8.5)
    _draw(axes, values, lines)


def effects(results: Results, title: str, key: str, labels: Mapping[str, str]) -> Figure:
    """Return the figure of one thing that is changed.

    Args:
        results: with metrics, and with statistics unless `key` is ``setting``.
        title: of the figure.
        key: what is changed: backbone, smoothing or setting.
        labels: value of `key` -> name on the x axis, in this order; several may share one. What is
            not in it follows under its own name.

    Raises:
        NoDataError: no metrics.
    """
    scored, statistics = by_pair(judged(results)), deepest(results)
    frames = [frame for frame in (statistics, scored) if key in frame and len(frame)]
    names = _order(frames, key, labels)
    frames = [_placed(frame, key, labels, names) for frame in frames]
    found = [column for column in columns(in_common(scored)) if column.metric in SCORES]
    if not found:
        raise NoDataError("no metric that all arms of these results were judged by")
    lines = _lines(frames[-1], arch_looks(results))
    legend = {line.name: line.look for line in lines}
    images = statistics["unit"].nunique()
    upper = f"{images} images, of the maps as smoothed, geometric on logarithmic axes; below: over "
    told = (
        f"Means and bootstrap 95 % intervals over {upper if len(frames) > 1 else ''}"
        f"{counts(scored)}; faint dots: single ones."
    )
    note = foot(results, told, found)
    wide = max(len(found), len(STATISTICS) if len(frames) > 1 else 0)
    figure, every = panels(
        len(frames) * wide, title, note, legend, across=wide, height=HEIGHT, gap=GAP, sharex=True
    )
    above, below = every[:-wide], every[-wide:]
    for axes, name in zip(above, STATISTICS, strict=False):
        _statistic(axes, name, frames[0], lines)
    for axes, column in zip(below, found, strict=False):
        _score(axes, column, frames[-1], lines)
    for axes in every:
        if axes.has_data():
            _ticks(axes, names)
        else:
            axes.set_axis_off()
    for row, name in ((above, "deepest stage"), (below, "scores")):
        if row:
            row[0].set_ylabel(name, fontweight="bold")
    return figure


def _order(frames: list[pd.DataFrame], key: str, labels: Mapping[str, str]) -> list[str]:
    """Return the names on the x axis."""
    there = {value: None for frame in reversed(frames) for value in frame[key].astype(str)}
    known = [name for value, name in labels.items() if value in there]
    return list(dict.fromkeys([*known, *(shorten(v, NAME) for v in there if v not in labels)]))


def _placed(
    frame: pd.DataFrame, key: str, labels: Mapping[str, str], names: list[str]
) -> pd.DataFrame:
    """Return a frame with its place on the x axis; smoothings are not told apart if they are it."""
    told = [labels.get(value, shorten(value, NAME)) for value in frame[key].astype(str)]
    frame = frame.assign(x=pd.Categorical(told, names))
    return frame.assign(smoothing="") if key == "smoothing" else frame
