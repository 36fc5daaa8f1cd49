"""Made-up metrics under two judges, for the tests of what is drawn from them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from stylebench.store import Results
from stylebench.store.columns import METRIC_COLUMNS
from tests.results import make

JUDGES = (("r-densenet121", "random:0"), ("p-timm:judge", "file:j"))
Change = Callable[[pd.DataFrame], pd.DataFrame]


def metrics(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return shares that grow with the number of the job, SSIM that falls with it."""
    number = jobs["job_id"].map(lambda job: int(job, 16)) / 100
    asked = [
        *(("gram_share", judge, 0.1 * (i + 1) + number) for i, judge in enumerate(JUDGES)),
        *(("swd_share", judge, 0.5 - number) for judge in JUDGES),
        ("texture_share", ("", ""), 0.3 + number),
        ("colour_share", ("", ""), 0.6 + number),
        ("ssim", ("", ""), 0.9 - number),
    ]
    frames = [
        jobs.assign(metric=name, judge=judge, judge_weights=weights, value=value)
        for name, (judge, weights), value in asked
    ]
    return pd.concat(frames, ignore_index=True)[list(METRIC_COLUMNS)]


def scored(
    out: Path,
    archs: tuple[str, ...] = ("p-vgg19", "p-resnet50"),
    smoothings: tuple[str, ...] = ("none",),
    pairs: tuple[tuple[str, str], ...] = (("cat", "mosaic"), ("house", "brush")),
    seeds: int = 1,
    change: Change = lambda frame: frame,
) -> Results:
    """Return a made-up folder with these metrics."""
    made = make(out, archs, smoothings, pairs, seeds, change)
    return replace(made, metrics=metrics(made.results))


def varied(column: str, *values: float | str) -> Change:
    """Return a change that repeats all jobs, once with each value of a column."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        copies = [frame.assign(**{column: value}) for value in values]
        jobs = pd.concat(copies, ignore_index=True)
        return jobs.assign(job_id=[f"{number:016x}" for number in range(len(jobs))])

    return change
