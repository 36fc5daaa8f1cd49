"""Sheets of pictures: which job stands where, and the figure of it.

A band for every pair: its content and style pictures first, then rows × columns of results. The
figure is laid out in pixels, and pictures are scaled once, to those of their cells.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from stylebench.figures import NoDataError, layout
from stylebench.figures.style import caption, order_pairs, shorten
from stylebench.images import stored
from stylebench.store import Results

DPI = 100
NARROWEST, MARGIN, GUTTER = 1000, 8, 4
"""Pixels: the figure at least, its edge, between pictures."""

HEADING, NOTE, LINE = 24, 16, 17
"""Pixels: the names of columns, a line under a picture, one of the caption."""

SMALL, LARGE = 6.3, 8.6
"""Pixels that a character takes under pictures (of 8 points), and in the names over columns."""

LEAST, PAPER_ROWS, DENSE = 90, 8, 3
"""Of a sheet that is laid out for a width: pixels of a cell at least, rows of pictures at most, and
pixels of a picture for each of its cell."""
TEXT_LINES, NEAR = 2, 13
"""Likewise: lines of the names over and under pictures, at most, and pixels of each. These texts
touch their pictures, so that no part of the sheet begins or ends between them."""
INPUTS = -1
"""Number of the line that content and style have for themselves where there is little room."""

BANDS, PER_LINE = 6, 8
"""Pairs, and columns of pictures in a line, at most."""

FLAGS = {
    "diverged": "diverged", "did-not-move": "did not move", "loss-met": "loss met",
    "loss-stood": "loss stood", "few-evaluations": "stopped early",
}  # fmt: skip
"""Flag of a job -> what it is called. Those of the loss are of jobs that did not move
(`stylebench.store.columns.MET`)."""
WARNING = "#B23A00"

Pair = tuple[str, str]
Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels, from the top left corner."""


class Sheet:
    """Which job stands where: one for every pair, row and column that has any.

    It is the newest of the first seed, among those that succeeded if any did; `done` of it says how
    many these are.

    Args:
        jobs: rows of results.parquet with the columns row and column, ordered categories.
    """

    def __init__(self, jobs: pd.DataFrame) -> None:
        keys = ["content", "style", "row", "column"]
        failed = jobs["status"] != "ok"
        done = (~failed).groupby([jobs[key] for key in keys], observed=True).transform("sum")
        newest = jobs.assign(failed=failed, done=done).drop_duplicates([*keys, "seed"], keep="last")
        first = newest.sort_values(["failed", "seed"], kind="stable").drop_duplicates(keys)
        self.several_seeds = len(newest) > len(first)
        self.pairs = order_pairs(first)
        self.rows, self.columns = (
            [str(name) for name in first[key].sort_values().drop_duplicates()] for key in keys[2:]
        )
        self.jobs: dict[tuple[str, str, str, str], pd.Series] = {
            (str(job["content"]), str(job["style"]), str(job["row"]), str(job["column"])): job
            for _, job in first.iterrows()
        }

    def given(self, pair: Pair, role: str) -> str:
        """Return the file of the content or the style picture (`role`) of a pair; "" if unknown."""
        found = (job[f"{role}_picture"] for key, job in self.jobs.items() if key[:2] == pair)
        return next((str(name) for name in found if name), "")


def absent(job: pd.Series | None) -> str:
    """Return why a place has no picture, "" where it should have one."""
    return "not run" if job is None else "" if job["status"] == "ok" else str(job["status"])


def _remark(job: pd.Series) -> str:
    """Return what stands under a picture: why it may look as it does, or nothing."""
    found = {*str(job["flags"]).split(), str(job["stop_reason"])}
    told = [text for flag, text in FLAGS.items() if flag in found]
    return ", ".join(told[: 1 if "diverged" in found else 2])


@dataclass(frozen=True)
class Look:
    """How a sheet is laid out; lengths in pixels."""

    width: int = 1400
    """Of the figure, at most."""
    widest: int = 300
    """Of a cell, at most."""
    side: int = 24
    """Of the names of rows."""
    gap: int = 12
    """Between bands."""
    rows: int = 18
    """Of pictures, at most."""
    around: tuple[float, float] = (12, 8)
    """Over and under the caption."""
    name: Mapping[str, Any] = field(default_factory=lambda: {"fontsize": 9, "fontweight": "bold"})
    """Look of the names of rows."""
    character: float = LARGE
    """That a character takes in them."""
    prefix: str = ""
    """Of the names of rows, where all have room for it."""
    legend: str = "r- = random weights, p- = pretrained."


class Canvas:
    """A figure that is measured in pixels from its top left corner.

    Args:
        width: of the figure.
        height: of it.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def text(self, x: float, y: float, text: str, **look: Any) -> None:
        """Write text around a pixel."""
        usual: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": "#222222"}
        if text:
            self.figure.text(x / self.width, 1 - y / self.height, text, **usual | look)

    def picture(self, box: Box, image: Image.Image | None) -> bool:
        """Draw a picture as large as it fits, scaled once; False if there is none."""
        x, y, width, height = box
        if image is None:
            return False
        scale = min(width / image.width, height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        axes = self.blank((x + (width - size[0]) // 2, y + (height - size[1]) // 2, *size))
        dense = DENSE if layout.narrow() else 1
        scaled = image.resize((dense * size[0], dense * size[1]), Image.Resampling.LANCZOS)
        pixels = np.asarray(scaled)
        axes.imshow(pixels, interpolation="none", aspect="auto")
        return True

    def frame(self, box: Box, text: str) -> None:
        """Draw an empty frame with a word in it."""
        x, y, width, height = box
        axes = self.blank(box)
        axes.set_facecolor("#f2f2f2")
        axes.patch.set(edgecolor="#bdbdbd", linewidth=1)
        self.text(x + width / 2, y + height / 2, text, color="#666666", style="italic")

    def blank(self, box: Box) -> Axes:
        """Return axes without ticks and spines."""
        axes = self.axes(box)
        axes.grid(visible=False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes

    def axes(self, box: Box) -> Axes:
        """Return axes in a box, without what stands around them."""
        x, y, width, height = box
        left, bottom = x / self.width, 1 - (y + height) / self.height
        return self.figure.add_axes((left, bottom, width / self.width, height / self.height))


class _Drawing:
    """A sheet on a canvas."""

    def __init__(self, folder: Path, sheet: Sheet, notes: Mapping[str, str], look: Look) -> None:
        self.folder, self.sheet, self.notes, self.look = folder, sheet, notes, look
        self.limit, most, lines = look.width, PER_LINE, look.rows
        self.narrow = layout.narrow()
        if self.narrow:
            self.limit, lines = (
                min(look.width, int(layout.width() * DPI)),
                min(look.rows, PAPER_ROWS),
            )
            most = max(1, (self.limit - 2 * MARGIN - look.side + GUTTER) // (LEAST + GUTTER))
        count = -(-len(sheet.columns) // most)
        length = -(-len(sheet.columns) // count)
        parts = [sheet.columns[i : i + length] for i in range(0, len(sheet.columns), length)]
        self.lines = [(row, part) for part in parts for row in sheet.rows]
        self.pairs = sheet.pairs[: min(BANDS, max(1, lines // len(self.lines)))]
        self.lead = 1 if len(self.lines) > 1 else 2  # columns: content over style, or beside it
        if self.narrow and self.lead + length > most:
            self.lead = 0  # both in a line of their own
        across = max(self.lead + length, 2)
        free = self.limit - 2 * MARGIN - look.side - (across - 1) * GUTTER
        self.cell = min(look.widest, free // across)
        used = 2 * MARGIN + look.side + across * (self.cell + GUTTER) - GUTTER
        self.width = max(used, min(NARROWEST, self.limit))
        self.under, self.heading = self._room()
        self.heights = {pair: self._height(pair) for pair in self.pairs}

    def _room(self) -> tuple[int, int]:
        """Return the pixels under pictures, and those of names over them."""
        remarks = [_remark(job) for job in self.sheet.jobs.values()]
        if not self.narrow:
            return NOTE * max(1, bool(self.notes) + any(remarks)), HEADING
        inputs = [f"content: {name}" for pair in self.pairs for name in pair]
        lines = [max(len(self._lines(text)) for text in texts)
                 for texts in ([*self.notes.values(), ""], remarks)]  # fmt: skip
        under = max(sum(lines), *(len(self._lines(text)) for text in inputs))
        over = max(len(self._lines(name, bold=True)) for name in self.sheet.columns)
        return NEAR * under + 3, NEAR * over + 6

    def _lines(self, text: str, size: float = 8, *, bold: bool = False) -> list[str]:
        """Return a text in lines of the width of a cell, or in one, shortened to it."""
        length = max(8, int(self.cell / (LARGE if bold else SMALL * size / 8)))
        if not self.narrow:
            return [shorten(text, length)]
        length = int(length * (LARGE / SMALL if bold else 1))  # as its letters are smaller there
        breakable = re.sub(r"([+=,/_])(?=\w)", r"\1 ", text)  # hyphens are, by themselves
        for room in range(TEXT_LINES * length, 0, -1):
            lines = textwrap.wrap(shorten(breakable, room), length)
            if len(lines) <= TEXT_LINES:
                return lines
        return [shorten(text, length)]

    def _height(self, pair: Pair) -> int:
        """Return the height of the pictures of a pair: as its content picture has it, bounded."""
        content = stored.found(self.sheet.given(pair, "content"), self.folder)
        share = content.height / content.width if content else 2 / 3
        return round(self.cell * min(max(share, 0.4), 1.6))

    def _placed(self) -> Iterator[tuple[Pair, int, int, bool]]:
        """Yield (pair, number of the line in its band, top, whether names stand over it)."""
        top = MARGIN
        for pair in self.pairs:
            if self.lead == 0:
                yield pair, INPUTS, top, False
                top += self.heights[pair] + self.under
            for number, (row, columns) in enumerate(self.lines):
                several = len(columns) < len(self.sheet.columns)
                headed = row == self.sheet.rows[0] and (several or pair == self.pairs[0])
                top += self.heading if headed else 0
                yield pair, number, top, headed
                top += self.heights[pair] + self.under
            top += self.look.gap

    def draw(self, told: Sequence[str]) -> Figure:
        """Return the figure, with lines under the pictures."""
        placed, (above, below) = list(self._placed()), self.look.around
        pair, _, top, _ = placed[-1]
        end = top + self.heights[pair] + self.under + above
        length = int(self.width / SMALL)
        told = "\n".join(
            layout.wrapped(text, 8.5) if self.narrow else textwrap.fill(text, length)
            for text in told
        ).split("\n")
        self.canvas = Canvas(self.width, end + LINE * len(told) + below)
        for pair, number, top, headed in placed:
            if headed:
                self._headings(self.lines[number][1], top)
            self._inputs(pair, number, top)
            if number != INPUTS:
                self._line(pair, *self.lines[number], top)
        for index, text in enumerate(told):
            place = (self.width / 2, end + LINE * (index + 0.5))
            self.canvas.text(*place, text, color="#444444", fontsize=8.5)
        return self.canvas.figure

    def _left(self, column: int) -> int:
        """Return the left edge of a column of results."""
        return MARGIN + (self.lead + column) * (self.cell + GUTTER) - GUTTER + self.look.side

    def _headings(self, columns: Sequence[str], top: float) -> None:
        """Write names over pictures whose top this is."""
        look: dict[str, Any] = {"fontsize": 10}
        y = top - HEADING / 2
        if self.narrow:
            y, look = top + 1, {"fontsize": 7.5, "va": "bottom", "linespacing": 1}
        for index, name in enumerate(columns):
            text = "\n".join(self._lines(name, bold=True))
            x = self._left(index) + self.cell / 2
            self.canvas.text(x, y, text, fontweight="bold", **look)

    def _inputs(self, pair: Pair, number: int, top: int) -> None:
        """Draw content and style of a pair beside its first lines; both if it has but one."""
        both = self.lead == 2 or number == INPUTS
        for role in (0, 1) if both else [number] * (self.lead == 1 and number < 2):
            x = MARGIN + (role * (self.cell + GUTTER) if both else 0)
            x += self.look.side if number == INPUTS else 0
            box, name = (x, top, self.cell, self.heights[pair]), ("content", "style")[role]
            if not self._picture(box, self.sheet.given(pair, name)):
                self.canvas.frame(box, "no picture")
            self._under(box, f"{name}: {pair[role]}")

    def _line(self, pair: Pair, row: str, columns: Sequence[str], top: int) -> None:
        """Draw a row of results."""
        height, prefix = self.heights[pair], self.look.prefix
        room = max(6, int(height / self.look.character))
        if len(prefix) + max(map(len, self.sheet.rows)) > room:
            prefix = ""
        x = self._left(0) - self.look.side / 2 + 1
        label = shorten(prefix + row, room)
        self.canvas.text(x, top + height / 2, label, rotation=90, **self.look.name)
        for index, column in enumerate(columns):
            job = self.sheet.jobs.get((*pair, row, column))
            self._result((self._left(index), top, self.cell, height), job)

    def _result(self, box: Box, job: pd.Series | None) -> None:
        """Draw the picture of a job and what is told of it, or a frame that says why not."""
        reason = absent(job)
        if job is None or reason or not self._picture(box, job["picture"]):
            self.canvas.frame(box, reason or "no picture")
            return
        note = self.notes.get(str(job["job_id"]), "")
        under = self._under(box, note, size=7.2)
        self._under(box, _remark(job), under, color=WARNING, style="italic")

    def _under(self, box: Box, text: str, line: int = 0, size: float = 8, **look: Any) -> int:
        """Write a text under a cell, below so many lines; return how many it has."""
        x, y, width, height = box
        lines = self._lines(text, size) if text else []
        place, how = y + height + (line + 0.5) * NOTE - 1, dict[str, Any]()
        if self.narrow:
            place, how = y + height + line * NEAR - 0.5, {"va": "top", "linespacing": 1}
            size = min(size, 7.2)
        self.canvas.text(x + width / 2, place, "\n".join(lines), fontsize=size, **how, **look)
        return len(lines)

    def _picture(self, box: Box, name: str) -> bool:
        """Draw a picture by its file; False if that cannot be read."""
        return self.canvas.picture(box, stored.found(name, self.folder))


def draw(
    results: Results, jobs: pd.DataFrame, *, look: Look = Look(), told: Sequence[str] = (),
    notes: Mapping[str, str] | None = None, left_out: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """Return the figure of a sheet.

    Args:
        results: the folder that has the pictures.
        jobs: as `Sheet` takes them.
        look: of the figure.
        told: lines under the sheet, over the line of the settings.
        notes: by job_id, a line under the picture.
        left_out: what is told as not shown, beside pairs and seeds.

    Raises:
        NoDataError: no job succeeded.
    """
    if not (jobs["status"] == "ok").any():
        raise NoDataError("no stylisation of these results succeeded")
    sheet = Sheet(jobs)
    drawing = _Drawing(results.folder, sheet, notes or {}, look)
    shown = list(left_out)
    if len(drawing.pairs) < len(sheet.pairs):
        shown.append(f"the first {len(drawing.pairs)} of {len(sheet.pairs)} pairs")
    if sheet.several_seeds:
        shown.append("the first seed of several")
    legend = look.legend + (f"  Shown: {'; '.join(shown)}." if shown else "")
    return drawing.draw([*filter(None, told), legend, caption(results, jobs)])
