"""The grid of the page: rows are pairs, columns backbone × smoothing; pictures are embedded."""

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from PIL import Image

from stylebench.figures import style
from stylebench.figures.cells import FLAGS
from stylebench.store import Results

BUDGET, PER_PIXEL, LARGEST, SMALLEST = 1_500_000, 0.45, 512, 96
"""Bytes of all pictures of the page; bytes a pixel takes (measured: 0.35 to 0.42); sides in px."""

PAIRS = 2
"""Rows of a grid in a page of several results folders."""

QUALITY = 82
"""Of JPEGs that are made smaller; others are embedded as they are."""


@dataclass(frozen=True)
class Picture:
    """An embedded picture: its ``data:`` address, width and height in px."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Cell:
    """A place in the grid: a picture, or None and a note that says why there is none."""

    key: str
    """Of the element in the page; the comparison finds the picture by it."""
    label: str
    alt: str
    picture: Picture | None
    note: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """A column of the grid; `weights` says where the backbone's come from, "random" if made up."""

    backbone: str
    smoothing: str
    weights: str

    @property
    def label(self) -> str:
        """The two names in one line."""
        return f"{self.backbone}, {self.smoothing}"


@dataclass(frozen=True)
class Row:
    """A pair: its names, and the cells of content, style and every arm, in this order."""

    content: str
    style: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """The stylisations of one setting; `title` says which, if the results have several."""

    title: str
    caption: str
    arms: tuple[Arm, ...]
    rows: tuple[Row, ...]
    note: str = ""
    """Which pairs are not shown."""

    @property
    def backbones(self) -> list[tuple[str, str, int]]:
        """(name, weights, number of arms) of each backbone, in the order of the columns."""
        counts: dict[tuple[str, str], int] = {}
        for arm in self.arms:
            key = (arm.backbone, arm.weights)
            counts[key] = counts.get(key, 0) + 1
        return [(*key, count) for key, count in counts.items()]


def long_side(count: int) -> int:
    """Return the largest side in px of `count` pictures that together keep to `BUDGET`."""
    pixels = BUDGET / PER_PIXEL / max(count, 1)
    return min(LARGEST, max(SMALLEST, math.isqrt(int(pixels * 1.4))))


def embed(path: Path, side: int) -> Picture | None:
    """Return a picture as a JPEG in a ``data:`` address, or None if the file is not a picture.

    Args:
        path: of a picture file.
        side: its long side in px, at most; a JPEG that has no more is taken as it is.
    """
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            kind, made = image.format, image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    if kind != "JPEG" or max(made.size) > side:
        made.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        made.save(buffer, "JPEG", quality=QUALITY, optimize=True)
        data = buffer.getvalue()
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", *made.size)


def _weights(labels: "pd.Series[str]") -> str:
    known = sorted({label.split("@")[0] for label in labels if label})
    return "random" if known and known[0].startswith("random") else ", ".join(known)


@dataclass(frozen=True)
class _Sheet:
    """The jobs of one setting, and what it takes to make their cells."""

    results: Results
    jobs: pd.DataFrame
    prefix: str
    """Of the keys of its cells."""
    side: int
    album: dict[str, Picture | None]

    @cached_property
    def by_place(self) -> dict[tuple[str, str, str, str], pd.DataFrame]:
        """The jobs by (content, style, backbone, smoothing)."""
        keys = ["content", "style", "backbone", "smoothing"]
        return {tuple(map(str, key)): part for key, part in self.jobs.groupby(keys)}  # type: ignore[misc]

    def picture(self, name: str) -> Picture | None:
        if name not in self.album:
            self.album[name] = embed(self.results.folder / name, self.side) if name else None
        return self.album[name]

    def given(self, pair: tuple[str, str], role: int, key: str) -> Cell:
        """Return the cell of the content (role 0) or style (1) picture of a pair."""
        kind = ("content", "style")[role]
        mine = (self.jobs["content"] == pair[0]) & (self.jobs["style"] == pair[1])
        found = [str(name) for name in self.jobs.loc[mine, f"{kind}_picture"] if name]
        picture = self.picture(found[0]) if found else None
        note = "" if picture else "no picture"
        return Cell(key, kind, f"{kind}: {pair[role]}", picture, note)

    def made(self, pair: tuple[str, str], arm: Arm, key: str) -> Cell:
        """Return the cell of a stylisation: the job of the lowest seed stands for all."""
        jobs = self.by_place.get((*pair, arm.backbone, arm.smoothing))
        alt = f"{pair[0]} in the style of {pair[1]} by {arm.backbone}, smoothing {arm.smoothing}"
        if jobs is None:
            return Cell(key, arm.label, alt, None, "not run")
        done = jobs[jobs["status"] == "ok"]
        job = (done if len(done) else jobs).sort_values(["seed", "job_id"]).iloc[0]
        if job["status"] != "ok":
            told = ": ".join(filter(None, (job["status"], job["error"])))
            return Cell(key, arm.label, alt, None, told[:160])
        found = {*str(job["flags"]).split(), *{str(job["stop_reason"])} & {"diverged"}}
        flags = tuple(FLAGS.get(flag, flag) for flag in sorted(found))
        several = f"; seed {job['seed']}, one of {len(done)} jobs" if len(done) > 1 else ""
        picture = self.picture(job["picture"])
        alt += f" ({', '.join(flags)})" if flags else ""
        note = _outcome(job) + several if picture else "no picture"
        return Cell(key, arm.label, alt, picture, note, flags)

    def rows(self, pairs: list[tuple[str, str]], arms: tuple[Arm, ...]) -> Iterator[Row]:
        for place, pair in enumerate(pairs):
            key = f"{self.prefix}-{place}"
            given = (self.given(pair, role, f"{key}-{role}") for role in (0, 1))
            made = (self.made(pair, arm, f"{key}-{i}") for i, arm in enumerate(arms, 2))
            yield Row(*pair, (*given, *made))


def _outcome(job: "pd.Series[float]") -> str:
    first, moved = float(job["style_loss_initial"]), float(job["moved"]) * 255
    share = float(job["style_loss"]) / first if first > 0 else math.nan
    told = [f"style loss ×{share:.2g}"] if math.isfinite(share) else []
    told += [f"moved {moved:.3g}"] if math.isfinite(moved) else []
    return ", ".join(told)


def _keyed(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the jobs with a column backbone, and the columns by which grids are told apart."""
    return frame.assign(backbone=style.backbone_names(frame)), style.settings(frame)


def count(frame: pd.DataFrame, pairs: int | None = None) -> int:
    """Return how many pictures `grids` shows of these jobs.

    Args:
        frame: results.parquet.
        pairs: how many a grid shows; all by default.
    """
    if not len(frame):
        return 0
    frame, keys = _keyed(frame)
    places = 0
    for _, jobs in frame.groupby(keys):
        shown = set(style.order_pairs(jobs)[:pairs])
        made = jobs[["content", "style", "backbone", "smoothing"]].drop_duplicates()
        drawn = sum(p in shown for p in zip(made["content"], made["style"], strict=True))
        places += 2 * len(shown) + drawn
    return places


def grids(results: Results, side: int, pairs: int | None = None, prefix: str = "") -> list[Grid]:
    """Return a grid for every setting of the results.

    Args:
        results: of a folder.
        side: the long side of the pictures in px, see `long_side`.
        pairs: how many a grid shows; all by default.
        prefix: of the keys of all cells.
    """
    if not len(results.results):
        return []
    frame, keys = _keyed(results.results)
    differ = [key for key in keys if style.varies(frame, key)]
    album: dict[str, Picture | None] = {}
    made = []
    for number, (_, jobs) in enumerate(frame.groupby(keys, sort=False)):
        arms = tuple(
            Arm(name, smooth, _weights(part["weights"]))
            for name in style.order_backbones(jobs["backbone"])
            for smooth in style.order_smoothings(jobs["smoothing"])
            if len(part := jobs[(jobs["backbone"] == name) & (jobs["smoothing"] == smooth)])
        )
        sheet = _Sheet(results, jobs, f"{prefix}picture-{number}", side, album)
        title = ", ".join(f"{key.replace('_', ' ')} {jobs[key].iloc[0]}" for key in differ)
        every = style.order_pairs(jobs)
        shown = every[:pairs]
        note = ""
        if len(shown) < len(every):
            where = f"{results.folder.absolute().name}/images"
            note = f"The first {len(shown)} of {len(every)} pairs; all are in {where}."
        rows = tuple(sheet.rows(shown, arms))
        made.append(Grid(title, style.caption(results, jobs), arms, rows, note))
    return made
