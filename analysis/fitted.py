"""Softmax at a fitted temperature: what it gives against the entropy of the style's map."""

import re

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import MEASURE
from stylebench.figures.claims import against_none, differences
from stylebench.figures.dots import Column, draw_mean, foot, limits, mark
from stylebench.figures.frontiers import areas, points, tested
from stylebench.figures.layout import TWO, panels
from stylebench.figures.style import arch_looks, order_backbones
from stylebench.store import Results
from stylebench.transfer.smoothing import parameters

NAME = "fitted"
SMOOTHING = "softmax-fitted"
HEIGHT, GAP = 2.6, 0.9


def gains(results: Results) -> pd.DataFrame:
    """Return style over all contents (`frontiers.area`), smoothed minus unsmoothed, by pair.

    Returns:
        Columns of `claims.differences`, and entropy: h of the smoothing.

    Raises:
        NoDataError: no backbone has jobs with the smoothing and without.
    """
    values = areas(points(results))
    values = values[values["smoothing"].astype(str).str.match(rf"none$|{SMOOTHING}(\(|$)")]
    found = differences(values, against_none(values))
    if not len(found):
        raise NoDataError(f"no backbone has jobs with {SMOOTHING} and without smoothing")
    plain = parameters(SMOOTHING)["entropy"]
    given = [re.search(r"entropy=([\d.]+)", str(label)) for label in found["smoothing"]]
    return found.assign(entropy=[float(match[1]) if match else plain for match in given])


@figure(NAME, experiment=NAME)
def fitted(results: Results) -> Figure:
    """What smoothing adds to the style over all contents, against the entropy it is fitted to."""
    found, looks = gains(results), arch_looks(results)
    shown = [Column(*key) for key in found[MEASURE].drop_duplicates().itertuples(index=False)]
    shown = [column for column in shown if column.metric != "gram_share"]
    archs, steps = order_backbones(found["arch"]), sorted(found["entropy"].unique())
    pairs = found[["content", "style"]].drop_duplicates()
    told = (
        f"Style over all contents, with softmax fitted to an entropy minus without smoothing, over "
        f"{len(pairs)} pairs: means and bootstrap 95 % intervals; faint dots: pairs. Above 0 "
        "smoothing helps."
    )
    drawn, every = panels(
        len(shown), "Does a softmax of any temperature help?", foot(results, told, shown),
        {arch: looks[arch].line() for arch in archs}, height=HEIGHT, gap=GAP, head=TWO,
    )  # fmt: skip
    for axes, column in zip(every, shown, strict=True):
        values = column.of(found)
        axes.set_title(column.title, fontsize=8.5)
        axes.set_xlim(-0.5, len(steps) - 0.5)
        axes.set_ylim(*limits(values["value"], floor=True))
        axes.axhline(0, color="#777777", linewidth=0.9, zorder=1)
        axes.set_xticks(range(len(steps)), [f"{h:g}" for h in steps])
        axes.set_xlabel("entropy (6) of the style's map, h")
        for number, arch in enumerate(archs):
            part, means = values[values["arch"] == arch], {}
            for step, h in enumerate(steps):
                chosen = part.loc[part["entropy"] == h, "value"].to_numpy()
                if len(chosen):
                    place = step + 0.16 * (number - (len(archs) - 1) / 2)
                    means[place] = draw_mean(axes, place, chosen, mark(looks[arch]), upright=True)
            joined = looks[arch].line() | {"marker": "", "linewidth": 0.9, "alpha": 0.6}
            axes.plot(list(means), list(means.values()), zorder=1, **joined)
    return drawn


@table(NAME, experiment=NAME)
def against_no_smoothing(results: Results) -> pd.DataFrame:
    """Style over all contents: softmax fitted to an entropy minus no smoothing.

    difference with its bootstrap 95 % interval over pairs; p of Wilcoxon's test, not corrected.
    """
    return tested(gains(results), ["backbone", "entropy", *MEASURE])
