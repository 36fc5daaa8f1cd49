"""What softmax at T = 1 does to a loss: met by a change that nobody sees, or at rest."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from stylebench.figures import NoDataError, figure, table
from stylebench.figures.arms import labelled
from stylebench.figures.layout import log_axis
from stylebench.figures.sheet import GUTTER, HEADING, LINE, MARGIN, WARNING, Canvas, Sheet, absent
from stylebench.figures.style import (
    arch_looks,
    caption,
    flagged,
    one_setting,
    power_of_ten,
    shorten,
)
from stylebench.images import stored
from stylebench.store import Results

NAME = "at_rest"
OUTCOMES = {
    "diverged": "diverged", "loss-met": "loss met", "loss-stood": "at rest",
    "did-not-move": "did not move",
}  # fmt: skip
"""Flag of a job -> what it is called; the first that it has counts."""
CHANGED = "changed"
"""A job with none of these flags."""

FACTOR, ROWS = 10, 8
"""Of the differences, the same in all rows, so that they compare; arms at most."""
CELL, LEFT, NAMES, PLOT, SHARE, FOOT = 256, 46, 76, 200, 44, 34
"""Pixels: width of the pictures, left of the losses, left of the gradients, width of these two,
right of them, under the last row."""
FIRST, SECOND = MARGIN, MARGIN + CELL + GUTTER
LOSS = SECOND + CELL + LEFT
GRADIENT = LOSS + PLOT + NAMES
WIDTH = GRADIENT + PLOT + SHARE + MARGIN
HEADS = (
    (FIRST + CELL / 2, "result"),
    (SECOND + CELL / 2, f"difference × {FACTOR}"),
    (LOSS + PLOT / 2, "style loss / first one"),
    (GRADIENT + PLOT / 2, "gradient of each term, share"),
)
"""Middle of a column in pixels, and its name."""
CHARACTER, BOLD = 5.9, 7.5
"""Pixels that a character takes in a line of text, and in the name of a row."""
FAINT, DARK = "#555555", "#222222"

TITLES = ("What softmax does to a loss", "Two ways for a picture to stay as it is")
"""The second where both ways are shown."""
TOLD = (
    "The paper's softmax over all entries of a map (T = 1), in the losses. Pictures that did not",
    "move (by one grey level of 255, root mean square) look alike, yet are of two kinds:",
    "",
    "loss met: the loss fell to half or less of its start, by a change that nobody sees.",
    "at rest: it stood. Where softmax leaves one entry of a map, its gradient is nothing.",
    "",
    f"difference: {FACTOR} × (result − content), mid-grey where nothing changed.",
    "gradient: its norm by term, at the start plus noise, and its share of their sum;",
    "○ none at all. The dashed line: of the whole loss, at the start itself.",
)


def _number(value: float) -> str:
    """Return a positive number with two digits or three, as people write it."""
    if 0 < value < 0.01:
        return "less than 0.01"
    if value >= 1e6:
        return power_of_ten(float(f"{value:.0e}"))
    if value < 10:
        return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
    return f"{float(f'{value:.3g}'):,.0f}"


def outcomes(jobs: pd.DataFrame) -> list[str]:
    """Return in a word what became of each job: of `OUTCOMES`, or `CHANGED`."""
    found = pd.Series(CHANGED, jobs.index)
    for flag, word in reversed(OUTCOMES.items()):
        found = found.mask(flagged(jobs, flag), word)
    return found.tolist()


def sentence(row: "pd.Series[Any]") -> str:
    """Return what one sees of a job, from a row of `numbers`."""
    percent, moved, reach = (
        row[key] for key in ("style_loss_ratio", "moved_grey_levels", "reach_grey_levels")
    )
    told = []
    if math.isfinite(percent):
        verb = "at" if row["outcome"] == "at rest" or percent >= 1 else "fell to"
        told.append(f"style loss {verb} {_number(100 * percent)} % of its start")
    if math.isfinite(moved):
        told.append(f"picture changed by {_number(moved)} grey levels")
    slope = ""
    if math.isfinite(reach):
        slope = f"; at its first slope the loss would reach 0 after {_number(reach)} grey levels"
    elif row["gradient"] == 0:
        slope = "; the loss has no slope at its start"
    return f"{row['outcome']}: {', '.join(told) or 'its end is not known'}{slope}"


def _terms(results: Results) -> pd.DataFrame:
    """Return the terms of the loss with a weight: job_id, name, gradient and share of their sum."""
    found = results.gradients
    found = found[(found["term"] != "tv") | (found["gradient"] > 0)]
    name = found["layer"].where(found["term"] == "style", found["term"])
    total = found.groupby("job_id")["gradient"].transform("sum")
    share = found["gradient"] / total.where(total > 0)
    return found[["job_id", "gradient"]].assign(name=name, share=share)


def _entries(results: Results) -> "pd.Series[float]":
    """Return how many numbers the picture of each job has, by its content's; NaN if unknown."""
    names = results.results["content_picture"]
    found = {name: stored.found(name, results.folder) for name in names.unique()}
    counts = {name: 3.0 * p.width * p.height if p else math.nan for name, p in found.items()}
    return names.map(counts).astype(float)


def numbers(results: Results) -> pd.DataFrame:
    """Return all jobs with the columns of `labelled` and those of the table.

    Raises:
        NoDataError: none of them succeeded.
    """
    jobs = results.results
    if not (jobs["status"] == "ok").any():
        raise NoDataError("no stylisation of these results succeeded")
    slope = jobs["initial_gradient"] * np.sqrt(_entries(results))
    terms = _terms(results).dropna(subset="share").sort_values("share", kind="stable")
    largest = terms.drop_duplicates("job_id", keep="last").set_index("job_id")
    return labelled(jobs).assign(
        outcome=outcomes(jobs),
        style_loss_ratio=jobs["style_loss"] / jobs["style_loss_initial"],
        moved_grey_levels=255 * jobs["moved"],
        gradient=jobs["initial_gradient"],
        reach_grey_levels=255 * jobs["loss_initial"] / slope.where(slope > 0),
        largest_term=largest["name"].reindex(jobs["job_id"]).fillna("").to_numpy(),
        largest_share=jobs["job_id"].map(largest["share"]),
    )


@table(NAME, experiment=NAME)
def every_job(results: Results) -> pd.DataFrame:
    """What became of the loss and the picture of each job, and the gradient that it began with.

    outcome: loss met and at rest are of jobs that did not move, by less than one grey level, and
    whose loss fell to half of its start or less, or did not. loss_ratio and style_loss_ratio: end
    over start; moved_grey_levels: root mean square, of 255. gradient: L2 norm of that of the whole
    loss by the pixels at the start; reach_grey_levels: how far the picture would have to go for
    the loss to be 0, if it fell all the way as it does at first. largest_term: that with the
    largest gradient at the start plus noise; largest_share: of the sum of the norms of all.
    """
    found = numbers(results)
    found = found[found["status"] == "ok"]
    found = found.sort_values(["content", "style", "arm", "seed"], kind="stable")
    columns = [
        "content", "style", "backbone", "smoothing", "setting", "seed", "outcome", "loss_ratio",
        "style_loss_ratio", "moved_grey_levels", "gradient", "reach_grey_levels", "largest_term",
        "largest_share", "evals", "stop_reason",
    ]  # fmt: skip
    return found[[key for key in columns if key != "setting" or len(set(found[key])) > 1]]


def chosen(jobs: pd.DataFrame) -> tuple[str, str]:
    """Return the pair that has most arms, of these the one whose smoothed pictures moved least.

    What counts is the picture of it that moved most.
    """
    known = jobs[jobs["status"] == "ok"]
    moved = known["moved"].where(known["smoothing"] != "none")
    groups = known.assign(moved=moved).groupby(["content", "style"])
    counts = groups.agg(arms=("arm", "nunique"), moved=("moved", "max"))
    order = counts.sort_values(["arms", "moved"], ascending=[False, True], kind="stable")
    if not len(order):
        raise NoDataError("no stylisation of the largest setting succeeded")
    content, style = order.index[0]
    return str(content), str(style)


def _course(trace: pd.DataFrame) -> pd.DataFrame:
    """Return the style loss of the best picture so far, over that at the start, by evaluation."""
    trace = trace.sort_values("evaluation")
    best = trace["loss"] == trace["loss"].cummin()
    ratio = trace["style_loss"].where(best).ffill() / trace["style_loss"].iloc[0]
    known = np.isfinite(ratio) & (ratio > 0)
    return pd.DataFrame({"evaluation": trace["evaluation"][known], "ratio": ratio[known]})


def _difference(result: Image.Image | None, content: Image.Image | None) -> Image.Image | None:
    """Return `FACTOR` × (result − content) around mid-grey; None without both, of one size."""
    if result is None or content is None or result.size != content.size:
        return None
    change = np.asarray(result, dtype=np.float64) - np.asarray(content, dtype=np.float64)
    return Image.fromarray(np.clip(128 + FACTOR * change, 0, 255).astype(np.uint8))


class _Drawing:
    """The arms of one pair, a row each, on a canvas.

    Args:
        results: the folder that has the pictures.
        jobs: of `numbers`, of one setting.
    """

    def __init__(self, results: Results, jobs: pd.DataFrame) -> None:
        self.results, self.pair, self.looks = results, chosen(jobs), arch_looks(results)
        self.sheet = Sheet(jobs.assign(row=jobs["arm"], column=pd.Categorical([""] * len(jobs))))
        rows = [(name, self.sheet.jobs.get((*self.pair, name, ""))) for name in self.sheet.rows]
        self.rows = rows[:ROWS]
        self.jobs = {str(job["job_id"]): job for _, job in self.rows if job is not None}
        of = {key: frame[frame["job_id"].isin(self.jobs)].groupby("job_id") for key, frame in
              {"trace": results.trace, "terms": _terms(results)}.items()}  # fmt: skip
        self.courses = {str(job): _course(trace) for job, trace in of["trace"]}
        self.terms = {str(job): terms for job, terms in of["terms"]}
        self._limit()
        picture = self._stored(self.sheet.given(self.pair, "content"))
        share = picture.height / picture.width if picture else 2 / 3
        self.height = round(CELL * min(max(share, 0.5), 1.6))
        self.start = MARGIN + HEADING + max(self.height, LINE * len(TOLD)) + 14
        self.end = self.start + HEADING + len(self.rows) * (HEADING + self.height + 6) + FOOT

    def _limit(self) -> None:
        """Choose the limits of the axes, which all rows share."""
        ratios = [value for course in self.courses.values() for value in course["ratio"]]
        self.ratios = min([*ratios, 0.5]) / 1.6, max([*ratios, 1.0]) * 1.6
        self.evals = max(
            (c["evaluation"].max() for c in self.courses.values() if len(c)), default=1
        )
        norms = [norm for terms in self.terms.values() for norm in terms["gradient"]]
        norms += [job["gradient"] for job in self.jobs.values()]
        norms = [norm for norm in norms if 0 < norm < math.inf] or [1.0]
        self.norms = min(norms) / 30, max(norms) * 6

    def _stored(self, name: str) -> Image.Image | None:
        return stored.found(name, self.results.folder)

    def draw(self, told: list[str]) -> Figure:
        """Return the figure, with lines under the rows."""
        self.canvas = Canvas(WIDTH, self.end + LINE * (len(told) + 0.6))
        self._head()
        names = MARGIN + 16 + BOLD * max(len(name) for name, _ in self.rows)
        for number, (name, job) in enumerate(self.rows):
            top = self.start + HEADING + number * (HEADING + self.height + 6)
            middle, look = top + HEADING / 2, {"fontsize": 9.5, "fontweight": "bold", "ha": "left"}
            self.canvas.text(MARGIN, middle, name, **look)
            if job is None or absent(job):
                self.canvas.frame((FIRST, top + HEADING, CELL, self.height), absent(job))
                continue
            text = shorten(sentence(job), int((WIDTH - names) / CHARACTER))
            color = DARK if job["outcome"] == CHANGED else WARNING
            self.canvas.text(names, middle, text, fontsize=9, ha="left", color=color)
            self._row(job, top + HEADING, last=number == len(self.rows) - 1)
        for number, text in enumerate(told):
            text = shorten(text, int(WIDTH / CHARACTER))
            place = (WIDTH / 2, self.end + LINE * (number + 0.5))
            self.canvas.text(*place, text, color=FAINT, fontsize=8.5)
        return self.canvas.figure

    def _head(self) -> None:
        """Draw content and style, how the figure is read, and the names of the columns."""
        write, top = self.canvas.text, MARGIN + HEADING
        for left, role, name in zip((FIRST, SECOND), ("content", "style"), self.pair, strict=True):
            box = (left, top, CELL, self.height)
            if not self.canvas.picture(box, self._stored(self.sheet.given(self.pair, role))):
                self.canvas.frame(box, "no picture")
            write(left + CELL / 2, top - HEADING / 2, shorten(f"{role}: {name}", 36), fontsize=9.5)
        left = SECOND + CELL + 18
        shown = {job["outcome"] for job in self.jobs.values()}
        title = TITLES[{"loss met", "at rest"} <= shown]
        write(left, top - HEADING / 2, title, fontsize=12, fontweight="bold", ha="left")
        for number, text in enumerate(TOLD):
            write(left, top + LINE * (number + 0.7), text, fontsize=8.5, ha="left")
        for middle, name in HEADS:
            write(middle, self.start + HEADING / 2, name, fontsize=9.5, fontweight="bold")

    def _row(self, job: "pd.Series[Any]", top: int, *, last: bool) -> None:
        """Draw what there is of a job; differences of lossless pictures, as JPEG adds its own."""
        place, key = f"jobs/{job['job_id']}", str(job["job_id"])
        result, content = (self._stored(f"{place}/{n}.png") for n in ("result", "content"))
        shown = {
            FIRST: (result or self._stored(job["picture"]), "no picture"),
            SECOND: (_difference(result, content), "no lossless pictures here"),
        }
        for left, (image, missing) in shown.items():
            box = (left, top, CELL, self.height)
            if not self.canvas.picture(box, image):
                self.canvas.frame(box, missing)
        color = self.looks[job["arch"]].color
        losses, gradients = (
            self.canvas.axes((left, top + 4, PLOT, self.height - 8)) for left in (LOSS, GRADIENT)
        )
        self._draw_course(losses, self.courses.get(key), color)
        self._draw_terms(gradients, self.terms.get(key), color)
        if 0 < job["gradient"] < math.inf:
            gradients.axvline(job["gradient"], color=DARK, linewidth=1.1, linestyle=(0, (4, 2)))
        names = {losses: "closure evaluation", gradients: "‖∂(weighted term)/∂x‖"}
        for axes, name in names.items():
            axes.tick_params(labelbottom=last)
            axes.set_xlabel(name if last else "")

    def _draw_course(self, axes: Axes, course: pd.DataFrame | None, color: str) -> None:
        """Draw the style loss over the evaluations, and where it ended."""
        axes.set(xlim=(0, self.evals * 1.04), ylim=self.ratios)
        log_axis(axes)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.axhline(0.5, color="#999999", linewidth=0.9, linestyle=(0, (1, 2)))
        if course is not None and len(course):
            axes.plot(course["evaluation"], course["ratio"], color=color, linewidth=1.6)
            axes.plot(*course.iloc[-1], "o", color=color, markersize=4.5, clip_on=False)

    def _draw_terms(self, axes: Axes, terms: pd.DataFrame | None, color: str) -> None:
        """Draw the norms of the gradients of the terms, and their shares at the right."""
        axes.set_xlim(*self.norms)
        log_axis(axes, across=True)
        if terms is None:
            axes.set_yticks([])
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=FAINT)
            return
        axes.set_yticks(range(len(terms)), [shorten(name, 14) for name in terms["name"]])
        axes.set_ylim(len(terms) - 0.4, -0.6)
        aside: dict[str, Any] = {
            "transform": axes.get_yaxis_transform(),
            "va": "center",
            "fontsize": 7.5,
        }
        dot: dict[str, Any] = {"color": color, "markersize": 5.5, "clip_on": False}
        for place, (norm, share) in enumerate(zip(terms["gradient"], terms["share"], strict=True)):
            if not norm > 0:
                nothing = 0 if norm == 0 else math.nan
                axes.plot(self.norms[0] * 3 + nothing, place, "o", markerfacecolor="white", **dot)
                continue
            axes.plot([self.norms[0], norm], [place, place], color=color, linewidth=1.2)
            axes.plot(norm, place, "o", **dot)
            axes.text(1.03, place, f"{100 * share:.0f} %", **aside)


@figure(NAME, experiment=NAME, sheet=True)
def at_rest(results: Results) -> Figure:
    """One pair: what becomes of picture, loss and gradient, with softmax and without."""
    jobs, left_out = one_setting(numbers(results))
    drawing = _Drawing(results, jobs)
    pairs, arms = len(drawing.sheet.pairs), len(drawing.sheet.rows)
    one = (
        f"of {pairs} pairs the one with most arms, then the one whose smoothed pictures moved "
        f"least (table {NAME}: all)"
    )
    told = [one] if pairs > 1 else []
    told += [f"the first {ROWS} of {arms} arms"] if arms > ROWS else []
    told += ["the first seed of several"] if drawing.sheet.several_seeds else []
    told += [left_out] if left_out else []
    shown = [f"Shown: {'; '.join(told)}."] if told else []
    return drawing.draw([*shown, caption(results, jobs)])
