"""What the figures share: the order of names, one look per backbone, labels, which jobs to draw."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stylebench.backbones.names import ALL
from stylebench.config import MODEL, OPTIMISE
from stylebench.figures import is_quick, provenance
from stylebench.store import Results

PAPER_SIZE, PAPER_EVALS = 512, 1000
FULL_SIZE, FULL_EVALS = 512, 500
"""Smaller pictures or fewer evaluations are labelled "standard", beside what the paper has."""
STANDARD_SIZE, STANDARD_EVALS = 256, 200
"""Below either, they are labelled "quick": for trying, and no verdict rests on them."""

SETTINGS = [
    "preset", "size", "resize", "evals_budget", "start", "precision", "balance", "normalisation",
    "content_weight", "style_weight", "tv_weight", "optimiser", "learning_rate", "history",
    "line_search", "first_step", "image", "layer_weights", "nodes", "style_scale", "colours",
    "tolerance", "strength",
]  # fmt: skip
"""What is the same in all jobs of a sweep; jobs that differ in it are never averaged."""

OF_ARM = ("precision", "layer_weights", "nodes")
"""Settings in which backbones and smoothings may differ within one sweep."""

OF_PICTURES = ("size", "resize", "style_scale", "strength")
"""Settings that trained networks have too."""

FAMILIES = {
    "vgg19": ("#0072B2", "o"),
    "resnet50": ("#D55E00", "s"),
    "noresnet50": ("#009E73", "^"),
    "pseudo-vgg": ("#56B4E9", "D"),
    "pseudo-resvgg": ("#CC79A7", "v"),
}
"""Colour (Okabe and Ito's, safe for the colour-blind) and marker of the paper's backbones."""

OTHERS = (
    ("#E69F00", "P"), ("#222222", "X"), ("#8C6D31", "<"), ("#332288", ">"), ("#999933", "p"),
    ("#882255", "h"), ("#8A8A8A", "*"),
)  # fmt: skip
"""The same for all others, in order of their names, again from the start when they run out."""

STAGES = (
    "stage: 4 is the deepest style node, of a network of your own too, and the one before it 3; of "
    "more than five nodes 4 is the coarsest resolution, and the next finer one 3"
)
"""How style nodes are numbered (`stylebench.backbones.nodes.choose`), for whoever reads of them."""

SOLID, DASHED = "-", (0, (4, 1.6))


@dataclass(frozen=True)
class Look:
    """How a backbone is drawn: solid and filled when pretrained, dashed and hollow when random."""

    color: str
    marker: str
    pretrained: bool

    def line(self) -> dict[str, Any]:
        """Return keyword arguments of ``Axes.plot``."""
        return {
            "color": self.color,
            "linestyle": SOLID if self.pretrained else DASHED,
            "marker": self.marker,
            "markersize": 4.5,
            "markerfacecolor": self.color if self.pretrained else "white",
            "markeredgewidth": 1.1,
        }


def natural(text: str) -> list[tuple[int, float, str]]:
    """Return a sort key by which ``T=2`` comes before ``T=10``, and ``1e-05`` before both."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[-+]\d+)?)", text)
    return [(1, float(p), "") if i % 2 else (0, 0.0, p) for i, p in enumerate(parts)]


def without_seed(weights: "pd.Series[str]") -> "pd.Series[str]":
    """Return names of weights without the seed of random ones: seeds are repetitions."""
    return weights.str.replace(r"^random:\d+", "random", regex=True)


def backbone_names(frame: pd.DataFrame) -> pd.Series:
    """Return the name of each row's backbone: arch, and its weights where one arch has several.

    Random weights that differ in the seed alone count as one.
    """
    weights = without_seed(frame["weights"])
    real = ~weights.str.match(r"unavailable|$")
    own = weights.str.startswith(MODEL)  # a network for each smoothing in its losses
    of = frame["arch"].where(~own, frame["arch"] + "\n" + frame.get("smoothing", ""))
    several = weights[real].groupby(of).nunique()
    marked = of.isin(several[several > 1].index) & real
    return frame["arch"].where(~marked, frame["arch"] + " " + weights)


def family(name: str) -> str:
    """Return a backbone's name without ``p-`` or ``r-``."""
    return re.sub(r"^[pr]-", "", name)


def order_backbones(names: Iterable[str]) -> list[str]:
    """Return the names once each, the paper's first, in the order of ``--arch all``.

    Others follow by name, random before pretrained.
    """
    rank = {name: index for index, name in enumerate(ALL)}

    def key(name: str) -> tuple[int, list[tuple[int, float, str]], bool]:
        place = rank.get(name.split(" ")[0], len(rank))
        return place, natural(family(name)), not name.startswith("r-")

    return sorted(set(names), key=key)


def order_smoothings(labels: Iterable[str]) -> list[str]:
    """Return the labels once each, ``none`` first."""
    return sorted(set(labels), key=lambda label: (label != "none", natural(label)))


def ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows with columns backbone (`backbone_names`) and smoothing, ordered categories."""
    names, smoothings = backbone_names(frame), frame["smoothing"]
    return frame.assign(
        backbone=pd.Categorical(names, order_backbones(names)),
        smoothing=pd.Categorical(smoothings, order_smoothings(smoothings)),
    )


def order_pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the (content, style) pairs once each."""
    pairs = set(zip(frame["content"], frame["style"], strict=True))
    return sorted(pairs, key=lambda pair: (natural(pair[0]), natural(pair[1])))


def looks(results: Results) -> dict[str, Look]:
    """Return how each backbone of the results is drawn, the same in every figure of them."""
    return _looks({*backbone_names(results.results), *backbone_names(results.statistics)})


def arch_looks(results: Results) -> dict[str, Look]:
    """Return how each architecture of the results is drawn, whatever its options and weights."""
    return _looks({*results.results["arch"], *results.statistics["arch"]})


def _looks(names: Iterable[str]) -> dict[str, Look]:
    families = {name: family(name) for name in names}
    unknown = sorted(set(families.values()) - set(FAMILIES), key=natural)
    table = FAMILIES | {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(unknown)}
    return {
        name: Look(*table[families[name]], pretrained=not name.startswith("r-"))
        for name in order_backbones(names)
    }


def flagged(jobs: pd.DataFrame, flag: str) -> "pd.Series[bool]":
    """Return which jobs have a flag (``did-not-move``, ``diverged``), or stopped for it."""
    found: pd.Series[bool] = jobs["flags"].str.contains(flag, regex=False)
    return found | jobs["stop_reason"].eq(flag)


def still(jobs: pd.DataFrame) -> "pd.Series[bool]":
    """Return which jobs did not move or diverged: their pictures are no evidence for a backbone."""
    return flagged(jobs, "did-not-move") | flagged(jobs, "diverged")


def over_seeds(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the mean value over seeds by `keys`, so that seeds never count as further pairs.

    Args:
        frame: with columns value, where NaN is left out, and `keys`.
        keys: what is told apart.

    Returns:
        Columns `keys`, value and seeds (how many).
    """
    groups = frame.dropna(subset="value").groupby(list(keys), observed=True, dropna=False)
    return groups["value"].agg(value="mean", seeds="size").reset_index()


def listed(values: Iterable[str]) -> str:
    """Return the texts once each, with commas between, empty ones left out."""
    return ", ".join(sorted(filter(None, set(values))))


def settings(frame: pd.DataFrame) -> list[str]:
    """Return the columns by which jobs are told apart: `SETTINGS`, mostly without `OF_ARM`.

    ``precision: auto`` gives smoothings different precisions, and backbones have their own nodes
    and weights of layers: these stand beside each other in a figure. Where one backbone with one
    smoothing has several, they are settings like the others.
    """
    arms = frame.groupby(["arch", "weights", "smoothing"])[list(OF_ARM)].nunique()
    return [key for key in SETTINGS if key not in OF_ARM or (arms[key] > 1).any()]


def varies(frame: pd.DataFrame, key: str) -> bool:
    """Tell whether jobs differ in a setting; an optimiser without a first step does not."""
    values = set(frame[key].unique())  # of which NaN is one, however often it stands there
    return len(values - {""} if key == "first_step" else values) > 1


def told_settings(frame: pd.DataFrame) -> list[str]:
    """Return the settings that a table names: preset, size and those that are not all the same."""
    told = alike(frame)
    return [key for key in SETTINGS if key in ("preset", "size") or varies(told, key)]


def is_trained(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Return which jobs are of trained networks."""
    return frame["system"] != OPTIMISE


def alike(frame: pd.DataFrame) -> pd.DataFrame:
    """Return jobs where what most optimisations have stands with trained networks too.

    Settings of optimisations alone, which these do not have, tell them from none of the others.
    """
    networks = is_trained(frame)
    if not networks.any() or networks.all():
        return frame
    keys = [key for key in SETTINGS if key not in OF_PICTURES]
    most = frame.loc[~networks].groupby(keys, dropna=False).size().sort_values(kind="stable")
    values = dict(zip(keys, most.index[-1], strict=True))
    return frame.assign(**{key: frame[key].where(~networks, values[key]) for key in keys})


def one_setting(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the jobs of the setting of which most succeeded, and a note if there are others."""
    told, keys = alike(frame), settings(frame)
    done = frame["status"].eq("ok") if "status" in frame else True
    groups = told.assign(done=done).groupby(keys, dropna=False)["done"]
    counts = pd.DataFrame({"succeeded": groups.sum(), "jobs": groups.size()}).sort_values(
        ["succeeded", "jobs"], kind="stable", ascending=False
    )
    if len(counts) < 2:
        return frame, ""
    chosen = counts.index[0]
    same = np.logical_and.reduce([
        told[column].isna() if pd.isna(value) else told[column] == value
        for column, value in zip(keys, chosen, strict=True)
    ])  # fmt: skip
    left = len(frame) - int(same.sum())
    return frame[same], f"{left} jobs with other settings are not shown"


def caption(results: Results, frame: pd.DataFrame) -> str:
    """Return the line under a figure of `frame`: settings, and "quick" if less than the paper's.

    Args:
        results: drawn from.
        frame: the jobs; without any, the line is that of the statistics.
    """
    part = Results(results.folder, frame, results.statistics, results.trace, results.manifest)
    return _quick(part) + provenance(part)[0]


def _quick(results: Results) -> str:
    """Return how the size of results compares with the paper's; "" where it is about as large."""
    jobs, budget = results.results, ""
    size, evals = (jobs if len(jobs) else results.statistics)["size"].max(), PAPER_EVALS
    if len(jobs) and is_trained(jobs).all():
        evals = 0 if is_quick(jobs) else PAPER_EVALS
    elif len(jobs):
        budget, evals = f", about {PAPER_EVALS} evaluations", jobs["evals_budget"].max()
    if not (size < FULL_SIZE or evals < FULL_EVALS):  # nor where it is not known
        return ""
    tiny = size < STANDARD_SIZE or evals < STANDARD_EVALS
    word = "quick settings" if tiny else "standard settings"
    return f"{word} (the paper: {PAPER_SIZE} px{budget}): "


def shorten(text: str, length: int) -> str:
    """Return a text of at most `length` characters, with an ellipsis in its middle if cut."""
    if len(text) <= length:
        return text
    head = max((length - 1) // 2, 1)
    tail = max(length - 1 - head, 0)
    return f"{text[:head]}…{text[len(text) - tail :]}"


def legend_label(text: str) -> str:
    """Return a label that matplotlib shows: it leaves out those that start with ``_``."""
    return f" {text}" if text.startswith("_") else text


def power_of_ten(value: float) -> str:
    """Return a tick label of a log axis without mathtext: 0.01, 1, 100, 10⁵, 2·10⁵.

    >>> power_of_ten(1e-5)
    '10⁻⁵'
    """
    if not value > 0:
        return ""
    exponent = math.floor(math.log10(value) + 1e-9)
    if -3 <= exponent <= 3:
        return f"{value:g}"
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    factor = round(value / 10.0**exponent, 3)
    return ("" if factor == 1 else f"{factor:g}·") + "10" + digits
