"""The grid of the page: rows are pairs, columns backbone × smoothing; pictures are embedded."""

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from stylebench.figures import style
from stylebench.figures.sheet import FLAGS, Pair, Sheet, absent
from stylebench.images import stored
from stylebench.store import Results
from stylebench.store.tables import PREVIEW

BUDGET, PER_PIXEL, LARGEST, SMALLEST = 1_500_000, 0.45, 512, 256
"""Bytes of all pictures of the page; bytes a pixel takes (measured: 0.35 to 0.42); sides in px."""

PAIRS = 1
"""Rows of a grid in a page of several results folders."""

QUALITY = 82
"""Of JPEGs that are made smaller; others keep that of previews, which they have."""


LITTLE = 16
"""Side in px at which pictures are compared."""


@dataclass(frozen=True)
class Picture:
    """An embedded picture: its ``data:`` address, width and height in px.

    `little` is what it looks like, as bytes of LITTLE × LITTLE px in RGB.
    """

    uri: str
    width: int
    height: int
    little: bytes = field(repr=False, default=b"")


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
        beside = groupby(self.arms, lambda arm: (arm.backbone, arm.weights))
        return [(*key, len(list(arms))) for key, arms in beside]


def long_side(count: int) -> int:
    """Return the largest side in px of `count` pictures that together keep to `BUDGET`."""
    pixels = BUDGET / PER_PIXEL / max(count, 1)
    return min(LARGEST, max(SMALLEST, math.isqrt(int(pixels * 1.4))))


def embed(name: str, folder: Path, side: int) -> Picture | None:
    """Return a picture as a JPEG in a ``data:`` address, or None if the file is not a picture.

    It is encoded anew: what else there is in the file stays there.

    Args:
        name: of a picture, its path in the results folder.
        folder: that results folder.
        side: its long side in px, at most.
    """
    image = stored.found(name, folder)
    if image is None:
        return None
    quality = QUALITY if max(image.size) > side else PREVIEW
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    uri = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    little = image.convert("RGB").resize((LITTLE, LITTLE), Image.Resampling.BOX).tobytes()
    return Picture(uri, *image.size, little)


def small(cell: Cell) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return what the picture of a cell looks like at LITTLE × LITTLE px."""
    assert cell.picture is not None
    return np.frombuffer(cell.picture.little, np.uint8).astype(float)


def _weights(labels: "pd.Series[str]") -> str:
    known = sorted({label.split("@")[0] for label in labels if label})
    return "random" if known and known[0].startswith("random") else ", ".join(known)


@dataclass(frozen=True)
class _Cells:
    """The cells of a sheet, and the pictures that are embedded in them."""

    folder: Path
    sheet: Sheet
    side: int
    album: dict[str, Picture | None] = field(default_factory=dict)

    def picture(self, name: str) -> Picture | None:
        if name not in self.album:
            self.album[name] = embed(name, self.folder, self.side)
        return self.album[name]

    def given(self, pair: Pair, role: int, key: str) -> Cell:
        """Return the cell of the content (role 0) or style (1) picture of a pair."""
        kind = ("content", "style")[role]
        picture = self.picture(self.sheet.given(pair, kind))
        return Cell(key, kind, f"{kind}: {pair[role]}", picture, "" if picture else "no picture")

    def made(self, pair: Pair, arm: Arm, key: str) -> Cell:
        """Return the cell of a stylisation."""
        job = self.sheet.jobs.get((*pair, arm.smoothing, arm.backbone))
        alt = f"{pair[0]} in the style of {pair[1]} by {arm.backbone}, smoothing {arm.smoothing}"
        reason = absent(job)
        if job is None or reason:
            error = str(job["error"]) if job is not None else ""
            told = ": ".join(filter(None, (reason, error)))
            return Cell(key, arm.label, alt, None, told[:160])
        found = {*str(job["flags"]).split(), *{str(job["stop_reason"])} & {"diverged"}}
        flags = tuple(FLAGS.get(flag, flag) for flag in sorted(found))
        several = f"; seed {job['seed']}, one of {job['done']} jobs" if job["done"] > 1 else ""
        picture = self.picture(job["picture"])
        alt += f" ({', '.join(flags)})" if flags else ""
        note = _outcome(job) + several if picture else "no picture"
        return Cell(key, arm.label, alt, picture, note, flags)

    def rows(self, pairs: list[Pair], arms: tuple[Arm, ...], prefix: str) -> Iterator[Row]:
        for place, pair in enumerate(pairs):
            key = f"{prefix}-{place}"
            given = (self.given(pair, role, f"{key}-{role}") for role in (0, 1))
            made = (self.made(pair, arm, f"{key}-{i}") for i, arm in enumerate(arms, 2))
            yield Row(*pair, (*given, *made))


def _outcome(job: "pd.Series[float]") -> str:
    first, moved = float(job["style_loss_initial"]), float(job["moved"]) * 255
    share = float(job["style_loss"]) / first if first > 0 else math.nan
    told = [f"style loss ×{share:.2g}"] if math.isfinite(share) else []
    told += [f"moved {moved:.3g}"] if math.isfinite(moved) else []
    return ", ".join(told)


def _settings(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield what tells a setting from the others, and its jobs as `Sheet` takes them."""
    if not len(frame):
        return
    keys, ranked = style.settings(frame), style.ranked(frame)
    frame = frame.assign(column=ranked["backbone"], row=ranked["smoothing"])
    told = style.alike(frame)
    differ = [key for key in keys if style.varies(told, key)]
    for _, rows in told.groupby(keys, sort=False):
        jobs = frame.loc[rows.index]
        yield ", ".join(f"{key.replace('_', ' ')} {rows[key].iloc[0]}" for key in differ), jobs


def count(frame: pd.DataFrame, pairs: int | None = None) -> int:
    """Return how many pictures `grids` shows of these jobs.

    Args:
        frame: results.parquet.
        pairs: how many a grid shows; all by default.
    """
    places = 0
    for _, jobs in _settings(frame):
        sheet = Sheet(jobs)
        shown = set(sheet.pairs[:pairs])
        places += 2 * len(shown) + sum(place[:2] in shown for place in sheet.jobs)
    return places


def grids(results: Results, side: int, pairs: int | None = None, prefix: str = "") -> list[Grid]:
    """Return a grid for every setting of the results.

    Args:
        results: of a folder.
        side: the long side of the pictures in px, see `long_side`.
        pairs: how many a grid shows; all by default.
        prefix: of the keys of all cells.
    """
    album: dict[str, Picture | None] = {}
    made = []
    for number, (title, jobs) in enumerate(_settings(results.results)):
        arms = tuple(
            Arm(str(backbone), str(smoothing), _weights(part["weights"]))
            for (backbone, smoothing), part in jobs.groupby(["column", "row"], observed=True)
        )
        cells = _Cells(results.folder, Sheet(jobs), side, album)
        every = cells.sheet.pairs
        shown = every[:pairs]
        note = ""
        if len(shown) < len(every):
            where = f"{results.folder.absolute().name}/images"
            note = f"The first {len(shown)} of {len(every)} pairs; all are in {where}."
        rows = tuple(cells.rows(shown, arms, f"{prefix}picture-{number}"))
        made.append(Grid(title, style.caption(results, jobs), arms, rows, note))
    return made
