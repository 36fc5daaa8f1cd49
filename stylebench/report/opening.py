"""The first screen of the page: one pair, results of it that differ, and what they say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stylebench.figures import NoDataError
from stylebench.figures.arms import MEASURE, in_common, judged, labelled
from stylebench.figures.intervals import FEWEST
from stylebench.figures.style import order_pairs
from stylebench.report.pictures import Picture, embed
from stylebench.store import Results

RESULTS, SIDE = 4, 480
"""Results that are shown at most, and the long side in px that pictures have at most."""
METRIC = "swd_share"
"""By which arms are ordered, where judges have given it."""
STORY = (
    "headline", "frontier", "recipe", "fitted", "at_rest", "fig1_2", "fig3", "fig4", "fig6",
    "smoothing", "released", "texture", "controls_weights", "controls_rival", "controls_gamma",
    "controls_bn", "controls_scale", "peakiness_predicts", "feedforward",
)  # fmt: skip
"""Experiments in the order in which a page of several tells them; others come behind."""


@dataclass(frozen=True)
class Shown:
    """A picture of the first screen, what stands below it, and what it is in words."""

    picture: Picture
    label: str
    alt: str


@dataclass(frozen=True)
class Opening:
    """The first screen: pictures, content and style first, and a sentence, which may be empty."""

    pictures: tuple[Shown, ...]
    sentence: str


def turn(name: str) -> int:
    """Return the place of an experiment in `STORY`; a profile of it, behind a dash, has its place.

    >>> sorted(["a", "fig3", "fig1_2-standard", "frontier"], key=turn)
    ['frontier', 'fig1_2-standard', 'fig3', 'a']
    """
    found = name if name in STORY else name.rpartition("-")[0]
    return STORY.index(found) if found in STORY else len(STORY)


def _scores(results: Results) -> "tuple[pd.Series[float], str]":
    """Return the mean score of each arm, by its name, and whose it is in words.

    Judges that judged every arm count; raises NoDataError where there is none.
    """
    rows = judged(results)
    rows = in_common(rows[(rows["metric"] == METRIC) & rows["value"].notna()])
    if not len(rows):
        raise NoDataError("no judge has judged every arm")
    keys = ["content", "style", *MEASURE]
    wide = rows.pivot_table("value", keys, "arm", observed=True).dropna()  # what all arms have
    if not len(wide):
        raise NoDataError("no pair that every arm has")
    found = wide.mean().sort_values(ascending=False)
    judges = sorted(set(wide.reset_index()["judge"]))
    of = f"{judges[0]} as judge" if len(judges) == 1 else f"the mean of {len(judges)} judges"
    count = len(wide.reset_index()[["content", "style"]].drop_duplicates())
    few = "" if count >= FEWEST else ", too few to compare"
    return found, f"{of}, {count} pair{'s' * (count > 1)}{few}"


def _spread(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many of some names, the first and the last with them, evenly spaced."""
    places = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[place] for place in places]


def _plainly(arm: str) -> str:
    """Return the name of an arm for somebody who does not know what ``none`` is.

    >>> _plainly("p-vgg19, none, pixels")
    'p-vgg19, no smoothing, pixels'
    """
    return ", ".join("no smoothing" if part == "none" else part for part in arm.split(", "))


def _sentence(name: str, scores: "pd.Series[float]", told: str) -> str:
    if len(scores) < 2:
        return ""
    best, worst = _plainly(scores.index[0]), _plainly(scores.index[-1])
    return (
        f"{name}: {best} covers {scores.iloc[0]:.0%} of the way from the content to the style, "
        f"{worst} {scores.iloc[-1]:.0%} (sliced Wasserstein distance of maps, {told})."
    )


def make(results: Results) -> Opening | None:
    """Return the first screen of a results folder, None if no result of it has a picture."""
    done = results.results[(results.results["status"] == "ok") & results.results["picture"].ne("")]
    if not len(done):
        return None
    jobs = labelled(done)
    names = [str(name) for name in jobs["arm"].cat.categories]
    try:
        scores, told = _scores(results)
        sentence = _sentence(results.folder.absolute().name, scores, told)
        names = [str(name) for name in scores.index if name in set(names)] or names
    except NoDataError:
        sentence = ""
    jobs = jobs.assign(arm=jobs["arm"].astype(str)).drop_duplicates(["content", "style", "arm"])
    arms_of = jobs.groupby(["content", "style"])["arm"].nunique()
    pair = max(order_pairs(jobs), key=lambda pair: int(arms_of[pair]))
    own = jobs[(jobs["content"] == pair[0]) & (jobs["style"] == pair[1])].set_index("arm")
    chosen = _spread([name for name in names if name in own.index], RESULTS)
    if not chosen:
        return None
    first = own.loc[chosen[0]]
    places = [
        (str(first["content_picture"]), "content", f"content: {pair[0]}"),
        (str(first["style_picture"]), "style", f"style: {pair[1]}"),
        *(
            (
                str(own.loc[name, "picture"]),
                _plainly(name),
                f"{pair[0]} in the style of {pair[1]}: {_plainly(name)}",
            )
            for name in chosen
        ),
    ]
    found = [(embed(path, results.folder, SIDE), label, alt) for path, label, alt in places]
    shown = tuple(Shown(picture, label, alt) for picture, label, alt in found if picture)
    return Opening(shown, sentence) if len(shown) == len(places) else None
