"""The grid of stylisations: the pictures of the paper's figure 1, and the one in the README.

One band per content and style pair: the two pictures at the left, then a column per backbone and a
row per smoothing. It is laid out in pixels, and pictures are scaled once, to those of their cells.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure
from stylebench.figures.canvas import Box, Canvas
from stylebench.figures.cells import (
    LARGE,
    NOTE,
    SMALL,
    draw_input,
    draw_remark,
    draw_result,
    height_of,
    in_lines,
)
from stylebench.figures.style import (
    backbone_names,
    caption,
    one_setting,
    order_backbones,
    order_pairs,
    order_smoothings,
    shorten,
)
from stylebench.store import Results

WIDTH, NARROWEST, MARGIN, GUTTER, GAP, SIDE = 1400, 1000, 8, 4, 10, 22
"""Pixels: the figure, its edge, between pictures, between bands, the names of smoothings."""

HEADING, CAPTION = 24, 46
"""Pixels: the names of the backbones, the caption."""

WIDEST, BANDS, ROWS = 300, 6, 12
"""The widest cell; pairs, and rows of pictures at most."""

TINY = 5.9
"""Pixels that a character takes in the names of smoothings."""

Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Sheet:
    """What is drawn: the jobs by (content, style, backbone, smoothing), and in which order."""

    results: Results
    jobs: dict[Key, pd.Series]
    pairs: Sequence[tuple[str, str]]
    backbones: Sequence[Sequence[str]]  # in lines
    smoothings: Sequence[str]

    @property
    def lead(self) -> int:
        """How many columns content and style take: one, over each other, if there are two rows."""
        return 1 if len(self.smoothings) > 1 else 2

    @property
    def cell(self) -> int:
        """Width of a picture in pixels."""
        columns = self.lead + max(map(len, self.backbones))
        free = WIDTH - 2 * MARGIN - SIDE - (columns - 1) * GUTTER
        return min(WIDEST, free // columns)

    @property
    def width(self) -> int:
        """Of the figure; narrower than `WIDTH` when there are few backbones."""
        columns = self.lead + max(map(len, self.backbones))
        return max(2 * MARGIN + SIDE + columns * (self.cell + GUTTER) - GUTTER, NARROWEST)

    def height(self, pair: tuple[str, str]) -> int:
        """Height of the pictures of a pair in pixels: as their content picture has it."""
        return height_of(self.results.folder, self.any_job(pair), self.cell)

    def any_job(self, pair: tuple[str, str]) -> pd.Series:
        """Return a job of a pair that has pictures; an empty series if there is none."""
        jobs = [job for key, job in self.jobs.items() if key[:2] == pair]
        return next((job for job in jobs if job["content_picture"]), pd.Series(dtype=object))


def _sheet(results: Results) -> tuple[Sheet, pd.DataFrame, list[str]]:
    """Return what to draw, the jobs that it is chosen from, and notes on what is left out."""
    frame = results.results
    if not len(frame):
        raise NoDataError("no stylisations in these results")
    frame, note = one_setting(frame.assign(backbone=backbone_names(frame)))
    if not (frame["status"] == "ok").any():
        raise NoDataError("no stylisation of these results succeeded")
    keys = ["content", "style", "backbone", "smoothing"]
    newest = frame.drop_duplicates([*keys, "seed"], keep="last")
    first = newest.sort_values("seed", kind="stable").drop_duplicates(keys)
    smoothings = order_smoothings(first["smoothing"])
    lines = in_lines(order_backbones(first["backbone"]))
    pairs = order_pairs(first)
    limit = min(BANDS, max(1, ROWS // (len(smoothings) * len(lines))))
    jobs = {tuple(row[key] for key in keys): row for _, row in first.iterrows()}
    notes = [note] if note else []
    if len(pairs) > limit:
        notes.append(f"the first {limit} of {len(pairs)} pairs")
    if frame.groupby(keys)["seed"].nunique().max() > 1:
        notes.append("the first seed of several")
    sheet = Sheet(results, jobs, pairs[:limit], lines, smoothings)
    return sheet, frame, notes


def _cell(canvas: Canvas, sheet: Sheet, key: Key, box: Box) -> None:
    """Draw one stylisation, or a frame that says why there is none."""
    job = sheet.jobs.get(key)
    if draw_result(canvas, sheet.results.folder, job, box) and job is not None:
        draw_remark(canvas, job, box)


def _lead(canvas: Canvas, sheet: Sheet, pair: tuple[str, str], top: int, height: int) -> None:
    """Draw the content and the style picture of a pair."""
    job, cell = sheet.any_job(pair), sheet.cell
    for index, role in enumerate(("content", "style")):
        x = MARGIN + (index * (cell + GUTTER) if sheet.lead == 2 else 0)
        y = top + (0 if sheet.lead == 2 else index * (height + NOTE))
        draw_input(canvas, sheet.results.folder, job, role, pair[index], (x, y, cell, height))


def _headings(canvas: Canvas, sheet: Sheet, backbones: Sequence[str], top: int) -> None:
    for column, name in enumerate(backbones):
        x = _left(sheet, column) + sheet.cell / 2
        text = shorten(name, max(8, int(sheet.cell / LARGE)))
        canvas.text(x, top + HEADING / 2, text, fontsize=10, fontweight="bold")


def _left(sheet: Sheet, column: int) -> int:
    """Return the left edge of a column of stylisations."""
    return MARGIN + (sheet.lead + column) * (sheet.cell + GUTTER) - GUTTER + SIDE


def _line(
    canvas: Canvas, sheet: Sheet, pair: tuple[str, str], backbones: Sequence[str], top: int
) -> None:
    """Draw some backbones × all smoothings of a pair."""
    height = sheet.height(pair)
    _lead(canvas, sheet, pair, top, height)
    room = max(6, int(height / TINY))
    prefix = "smoothing: "
    if len(prefix) + max(map(len, sheet.smoothings)) > room:
        prefix = ""
    for row, smooth in enumerate(sheet.smoothings):
        y = top + row * (height + NOTE)
        label = shorten(prefix + smooth, room)
        canvas.text(
            _left(sheet, 0) - SIDE / 2 + 1, y + height / 2, label, rotation=90, fontsize=7.5
        )
        for column, name in enumerate(backbones):
            box = (_left(sheet, column), y, sheet.cell, height)
            _cell(canvas, sheet, (*pair, name, smooth), box)


def _lines(sheet: Sheet) -> Iterator[tuple[tuple[str, str], Sequence[str], int, bool]]:
    """Yield (pair, backbones, top, whether names stand above) of every line, then its end."""
    top = MARGIN
    for number, pair in enumerate(sheet.pairs):
        for backbones in sheet.backbones:
            headed = number == 0 or len(sheet.backbones) > 1
            top += HEADING if headed else 0
            yield pair, backbones, top, headed
            top += len(sheet.smoothings) * (sheet.height(pair) + NOTE) + GAP


@figure("grid", sheet=True)
def grid(results: Results) -> Figure:
    """Stylisations: content and style, then a column per backbone and a row per smoothing."""
    sheet, frame, notes = _sheet(results)
    lines = list(_lines(sheet))
    pair, _, top, _ = lines[-1]
    end = top + len(sheet.smoothings) * (sheet.height(pair) + NOTE)
    canvas = Canvas(sheet.width, end + CAPTION)
    for pair, backbones, top, headed in lines:
        if headed:
            _headings(canvas, sheet, backbones, top - HEADING)
        _line(canvas, sheet, pair, backbones, top)
    legend = "r- = random weights, p- = pretrained.  Smoothing is applied in the losses only."
    told = [legend + "".join(f"  Shown: {note}." for note in notes), caption(results, frame)]
    for index, text in enumerate(told):
        text = shorten(text, int(sheet.width / SMALL))
        canvas.text(sheet.width / 2, end + 12 + 17 * index, text, color="#444444", fontsize=8.5)
    return canvas.figure
