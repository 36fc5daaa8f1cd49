"""Loss curves as inline SVG: a chart a backbone, a line a job, the loss relative to the first."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stylebench.figures import style
from stylebench.figures.ends import relative
from stylebench.store import Results

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 34
"""Pixels of the drawing: the whole, and around the frame of the curves."""

CEILING, FLOOR = 30.0, 1e-12
"""Relative losses outside are drawn at these: a run that diverges can jump by 1e13."""

POINTS, LOOKS = 60, 7
"""Points a line has at most; how many looks the style sheet has."""


@dataclass(frozen=True)
class Line:
    """A job: the data of its SVG path, and the number of its look (by smoothing)."""

    path: str
    end: tuple[float, float] | None
    """Where it diverged, in px; None if it did not."""
    look: int
    title: str


@dataclass(frozen=True)
class Chart:
    """The curves of a backbone; ticks are (place in px, label)."""

    title: str
    text: str
    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Curves:
    """All charts; `legend` is (look, smoothing), `note` says what is not shown."""

    charts: tuple[Chart, ...]
    legend: tuple[tuple[int, str], ...]
    note: str


@dataclass(frozen=True)
class _Frame:
    """Where an evaluation and a relative loss lie in a chart."""

    last: float
    low: float
    high: float

    def x(self, evaluation: float) -> float:
        share = (evaluation - 1) / max(self.last - 1, 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, ratio: float) -> float:
        ratio = min(max(ratio, self.low), self.high)
        share = math.log(ratio / self.low) / math.log(self.high / self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def path(self, places: npt.NDArray[np.float64], ratios: npt.NDArray[np.float64]) -> str:
        """Return the data of an SVG path; it is broken where the loss is not a number."""
        step = -(-len(places) // POINTS)
        kept = sorted({*range(0, len(places), step), len(places) - 1})
        parts, pen = [], "M"
        for index in kept:
            if not math.isfinite(ratios[index]):
                pen = "M"
                continue
            parts.append(f"{pen}{self.x(places[index])} {self.y(ratios[index])}")
            pen = "L"
        return "".join(parts)

    def ticks(self) -> list[float]:
        """Return powers of ten in the frame, at most about six; 2 and 5 times them if few."""
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        step = -(-(high - low) // 6)
        factors = (1, 2, 5) if high - low < 3 else (1,)
        found = [f * 10.0**power for power in range(low, high + 1, step) for f in factors]
        return [value for value in found if self.low <= value <= self.high]


def _frame(ratios: Sequence[pd.Series], last: float) -> _Frame:
    values = np.concatenate([ratio.dropna().to_numpy(float) for ratio in ratios])
    values = np.clip(values, FLOOR, CEILING)
    return _Frame(last, float(values.min()) / 1.3, max(float(values.max()), 1.0) * 1.3)


def _records(jobs: pd.DataFrame) -> list[dict[str, Any]]:
    found = jobs.sort_values(["content", "style", "seed"]).to_dict("records")
    return [{str(key): value for key, value in job.items()} for job in found]


def _line(job: dict[str, Any], looks: dict[str, int], frame: _Frame) -> Line:
    places, ratios = (job[key].to_numpy(float) for key in ("places", "ratios"))
    known = np.flatnonzero(np.isfinite(ratios))
    diverged = job["stop_reason"] == "diverged" and len(known)
    return Line(
        frame.path(places, ratios),
        (frame.x(places[known[-1]]), frame.y(ratios[known[-1]])) if diverged else None,
        looks[job["smoothing"]] % LOOKS,
        f"{job['smoothing']}, {job['content']} in the style of {job['style']}, seed {job['seed']}",
    )


def _chart(
    name: str,
    jobs: pd.DataFrame,
    looks: dict[str, int],
    frame: _Frame,
    label: Callable[[float], str],
) -> Chart:
    last = int(frame.last)
    lines = tuple(_line(job, looks, frame) for job in _records(jobs))
    ends = [
        f"{smoothing}: " + ", ".join(f"{r.dropna().iloc[-1]:.2g}" for r in part["ratios"])
        for smoothing, part in jobs.groupby("smoothing")
    ]
    return Chart(
        title=name,
        text=f"Loss over evaluations for {name}. At the end, relative to the first: "
        + "; ".join(ends),
        lines=lines,
        across=tuple((frame.x(place), str(place)) for place in sorted({1, last // 2 or 1, last})),
        up=tuple((frame.y(value), label(value)) for value in frame.ticks()),
    )


def curves(results: Results) -> Curves | None:
    """Return the curves of the setting that has most jobs, None if there are no traces.

    Args:
        results: of a folder.
    """
    jobs = results.results
    jobs = jobs[(jobs["status"] == "ok") & jobs["job_id"].isin(results.trace["job_id"])]
    if not len(jobs):
        return None
    jobs, note = style.one_setting(jobs)
    traces = dict(iter(results.trace.groupby("job_id")))
    every = {job: relative(traces[job]) for job in jobs["job_id"]}
    found: dict[str, Any] = {job: curve for job, curve in every.items() if curve is not None}
    known = jobs[jobs["job_id"].isin(list(found))]
    if not len(known):
        return None
    known = known.assign(
        backbone=style.backbone_names(known),
        places=[found[job][0] for job in known["job_id"]],
        ratios=[found[job][1] for job in known["job_id"]],
    )
    frame = _frame(list(known["ratios"]), max(float(p.max()) for p in known["places"]))
    looks = {name: i for i, name in enumerate(style.order_smoothings(known["smoothing"]))}
    charts = tuple(
        _chart(name, known[known["backbone"] == name], looks, frame, style.power_of_ten)
        for name in style.order_backbones(known["backbone"])
    )
    legend = tuple((index % LOOKS, name) for name, index in looks.items())
    return Curves(charts, legend, note)
