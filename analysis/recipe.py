"""The recipe as a factorial experiment: its factors' effects, alone, on average and together."""

import itertools
import json
from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import MEASURE
from stylebench.figures.claims import UNIT
from stylebench.figures.dots import Column, draw_mean, foot, limits, mark
from stylebench.figures.frontiers import CONTENT, areas, points, tested
from stylebench.figures.layout import panels
from stylebench.figures.style import arch_looks, order_backbones
from stylebench.store import Results

NAME = "recipe"
FACTORS = {
    "balance": "gradient balance",
    "image": "Fourier space",
    "downsample": "blurred strides",
    "smoothing": "fitted softmax",
}
"""Factor -> what its second level is."""
SOFTMAX, TOGETHER = "smoothing", "all but softmax together"
Levels: TypeAlias = NDArray[np.int_]
Weights: TypeAlias = NDArray[np.float64]
SHOWN = "swd_share"
HEIGHT, GAP, LEFT = 3.6, 0.5, 2.6


def cells(results: Results) -> pd.DataFrame:
    """Return the style of each cell of the design over all contents (`frontiers.area`), by pair.

    Returns:
        Columns arch, `FACTORS` (0 or 1, whether it is at its second level), `MEASURE`, content,
        style and value, the mean over seeds.
    """
    found = points(results)
    options = [json.loads(text or "{}") for text in found["options"]]
    coded = found[["arm"]].assign(
        balance=found["balance"].eq("gradient").astype(int),
        image=found["image"].eq("fourier").astype(int),
        downsample=[int(chosen.get("downsample") == "blur") for chosen in options],
        smoothing=found["smoothing"].ne("none").astype(int),
    )
    coded = coded.drop_duplicates("arm").astype({"arm": str})
    made = areas(found).drop(columns="smoothing").astype({"arm": str})
    return made.merge(coded, on="arm")[["arch", *FACTORS, *MEASURE, *UNIT, "value"]]


def contrasts(levels: Levels, varied: Sequence[str]) -> dict[str, Weights]:
    """Return the weights of the cells of a design in each effect.

    A factor alone: the cell in which it is the only one at its second level, less the cell in which
    none is. Together: all but the softmax. Last: what a factor adds to those; the softmax, to them
    all. The effect on average: the mean over the cells at a factor's second level less that at its
    first; the interaction of two: half the difference of the one's effect between the levels of
    the other: Σ ±y / (cells/2), the sign that of the product of the levels, coded −1 and 1. Source
    of these: Box, Hunter, Hunter 2005, chapter 5.

    Args:
        levels: (cells, factors), 0 or 1.
        varied: keys of `FACTORS`.
    """
    names = [FACTORS[factor] for factor in varied]
    those = np.array([int(factor != SOFTMAX) for factor in varied])
    none, single = np.zeros_like(those), np.eye(len(varied), dtype=int)

    def less(more: Levels, fewer: Levels) -> Weights:
        found: Weights = (levels == more).all(axis=1) - (levels == fewer).all(axis=1).astype(float)
        return found

    made = {f"{name} alone": less(single[i], none) for i, name in enumerate(names)}
    if those.sum() > 1:
        made[TOGETHER] = less(those, none)
        for i, name in enumerate(names):
            made[f"{name} last"] = less(those | single[i], those & ~single[i] & 1)
    signs = 2 * levels - 1
    for count in (1, 2):
        for chosen in itertools.combinations(range(len(varied)), count):
            weights = signs[:, list(chosen)].prod(axis=1) / (len(levels) / 2)
            made[" × ".join(names[i] for i in chosen)] = weights
    return made


def effects(found: pd.DataFrame) -> pd.DataFrame:
    """Return what each factor changes, alone, last and on average, by network, metric and pair.

    `contrasts` says how; a pair in which a cell is missing is left out.

    Args:
        found: of `cells`.

    Returns:
        Columns arch, effect, `MEASURE`, content, style, value.
    """
    frames: list[pd.DataFrame] = []
    for arch, part in found.groupby("arch", sort=False):
        varied = [factor for factor in FACTORS if part[factor].nunique() == 2]
        if not varied:
            continue
        wide = part.pivot_table(index=[*MEASURE, *UNIT], columns=varied, values="value")
        if len(wide.columns) < 2 ** len(varied):
            continue
        levels = np.array([np.atleast_1d(key) for key in wide.columns])
        for name, weights in contrasts(levels, varied).items():
            values = pd.Series(wide.dot(weights), name="value")[wide.notna().all(axis=1)].dropna()
            frames.append(values.reset_index().assign(arch=arch, effect=name))
    if not frames:
        raise NoDataError("no network has every combination of two levels of a factor")
    keys = ["arch", "effect", *MEASURE, *UNIT, "value"]
    found = pd.concat(frames, ignore_index=True)
    return found[keys]


def _blocks(names: Collection[str]) -> list[list[str]]:
    """Return the effects that are drawn, alone and together, on average, and interactions."""
    singles = list(FACTORS.values())
    pairs = [" × ".join(two) for two in itertools.combinations(singles, 2)]
    alone = [*(f"{name} alone" for name in singles), TOGETHER]
    blocks = ([name for name in block if name in names] for block in (alone, singles, pairs))
    return [block for block in blocks if block]


@figure(NAME, experiment=NAME)
def recipe(results: Results) -> Figure:
    """What each factor changes in the style over all contents, alone and on average.

    The mean of the judges' SWD shares; a panel a network.
    """
    made, looks = effects(cells(results)), arch_looks(results)
    shown = made[made["metric"] == SHOWN]
    if not len(shown):
        raise NoDataError(f"no {SHOWN} that all arms were judged by")
    judges = [Column(*key) for key in shown[MEASURE].drop_duplicates().itertuples(index=False)]
    shown = shown.groupby(["arch", "effect", *UNIT], sort=False)["value"].mean().reset_index()
    archs, blocks = order_backbones(shown["arch"]), _blocks(set(shown["effect"]))
    names = [name for block in blocks for name in block]
    told = (
        f"Style (SWD share, mean of the judges) averaged over all contents ({CONTENT.upper()} from "
        f"0 to 1), over {len(shown[UNIT].drop_duplicates())} pairs; means and bootstrap 95 % "
        "intervals; faint dots: pairs. Above: what a change adds to none of the others; below on "
        "average over all levels of the others; ×: half of what one changes in the other's effect."
    )
    drawn, every = panels(
        len(archs), "Which change makes a backbone stylise", foot(results, told, judges), {},
        height=HEIGHT, gap=GAP, left=LEFT, across=3,
    )  # fmt: skip
    for number, (axes, arch) in enumerate(zip(every, archs, strict=True)):
        axes.set_title(arch)
        axes.set_xlim(*limits(shown["value"], floor=False))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.axvline(0, color="#777777", linewidth=0.9, zorder=1)
        for end in itertools.accumulate(map(len, blocks[:-1])):
            axes.axhline(end - 0.5, color="#cccccc", linewidth=0.8)
        axes.set_yticks(range(len(names)), names if number % 3 == 0 else [""] * len(names))
        for place, name in enumerate(names):
            part = shown.loc[shown["arch"].eq(arch) & shown["effect"].eq(name), "value"]
            if len(part):
                draw_mean(axes, place, part.to_numpy(), mark(looks[arch]), upright=False)
    return drawn


@table(NAME, experiment=NAME)
def factors(results: Results) -> pd.DataFrame:
    """Effects by network, metric and judge: of a factor alone, last, on average; of two together.

    difference: of the style over all contents (see `cells` and `contrasts`), with its bootstrap
    95 % interval over pairs; p of Wilcoxon's test, not corrected.
    """
    return tested(effects(cells(results)), ["arch", "effect", *MEASURE])
