"""A sheet of pictures for the arms of an experiment: a band per pair, content and style first.

What varies in the experiment is told apart by columns, and by rows where backbones, smoothings or
settings make two axes. Laid out in pixels; pictures are scaled once, to those of their cells.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError
from stylebench.figures.canvas import Canvas
from stylebench.figures.cells import (
    LARGE,
    NOTE,
    SMALL,
    draw_input,
    draw_remark,
    draw_result,
    draw_under,
    height_of,
    in_lines,
    remark,
)
from stylebench.figures.style import caption, order_pairs, shorten
from stylebench.store import Results

WIDTH, NARROWEST, MARGIN, GUTTER, GAP, SIDE = 1400, 1000, 8, 4, 12, 24
"""Pixels: the figure, its edge, between pictures, between bands, the names of rows."""

HEADING, LINE, FOOT = 24, 17, 12
"""Pixels: the names of columns, a line of the caption, between pictures and caption."""

WIDEST, BANDS, ROWS = 300, 6, 18
"""The widest cell; pairs, and rows of pictures at most."""

AXES = ("backbone", "smoothing", "setting")


@dataclass(frozen=True)
class Sheet:
    """What is drawn: jobs by (content, style, row, column), and a line under each picture."""

    results: Results
    jobs: Mapping[tuple[str, str, str, str], pd.Series]
    pairs: Sequence[tuple[str, str]]
    rows: Sequence[str]
    columns: Sequence[Sequence[str]]  # in lines
    notes: Mapping[str, str] = field(default_factory=dict)  # by job_id

    @cached_property
    def lines(self) -> list[tuple[str, Sequence[str]]]:
        """Rows of pictures of a pair: (name of the row, its columns)."""
        return [(row, columns) for row in self.rows for columns in self.columns]

    @cached_property
    def lead(self) -> int:
        """How many columns content and style take: one, over each other, if there are two lines."""
        return 1 if len(self.lines) > 1 else 2

    @cached_property
    def cell(self) -> int:
        """Width of a picture in pixels."""
        free = WIDTH - 2 * MARGIN - SIDE - (self._across - 1) * GUTTER
        return min(WIDEST, free // self._across)

    @cached_property
    def width(self) -> int:
        """Of the figure; narrower than `WIDTH` when there are few columns."""
        used = 2 * MARGIN + SIDE + self._across * (self.cell + GUTTER) - GUTTER
        return max(used, NARROWEST)

    @cached_property
    def under(self) -> int:
        """Pixels under every picture: a line for notes, one for remarks where any job has one."""
        remarked = any(remark(job) for job in self.jobs.values())
        return NOTE * max(1, bool(self.notes) + remarked)

    @property
    def _across(self) -> int:
        return self.lead + max(map(len, self.columns))

    def left(self, column: int) -> int:
        """Return the left edge of a column of results."""
        return MARGIN + (self.lead + column) * (self.cell + GUTTER) - GUTTER + SIDE

    def any_job(self, pair: tuple[str, str]) -> pd.Series:
        """Return a job of a pair that has pictures; an empty series if there is none."""
        jobs = [job for key, job in self.jobs.items() if key[:2] == pair]
        return next((job for job in jobs if job["content_picture"]), pd.Series(dtype=object))

    def height(self, pair: tuple[str, str]) -> int:
        """Height of the pictures of a pair in pixels."""
        return height_of(self.results.folder, self.any_job(pair), self.cell)


def _axes(jobs: pd.DataFrame) -> tuple[str, list[str]]:
    """Return what names rows, "" if nothing does, and what names columns together."""
    counts = {axis: jobs[axis].nunique() for axis in AXES}
    used = [axis for axis in AXES if counts[axis] > 1] or ["backbone"]
    if len(used) < 2:
        return "", used
    row = min(used, key=lambda axis: counts[axis])
    return row, [axis for axis in used if axis != row]


def _columns(jobs: pd.DataFrame, axes: Sequence[str]) -> pd.Series:
    """Return the name of each row's column, as an ordered category."""
    texts = jobs[list(axes)].astype(str).agg(", ".join, axis=1)
    order = texts[jobs.sort_values(list(axes), kind="stable").index].drop_duplicates()
    return pd.Series(pd.Categorical(texts, order), index=jobs.index)


def _sheet(
    results: Results, jobs: pd.DataFrame, notes: Mapping[str, str]
) -> tuple[Sheet, list[str]]:
    """Return what to draw, and what is left out."""
    row, axes = _axes(jobs)
    jobs = jobs.assign(row=jobs[row] if row else "", column=_columns(jobs, axes))
    keys = ["content", "style", "row", "column"]
    newest = jobs.drop_duplicates([*keys, "seed"], keep="last")
    first = newest.sort_values("seed", kind="stable").drop_duplicates(keys)
    rows = [str(name) for name in first["row"].sort_values().drop_duplicates()]
    columns = [str(name) for name in first["column"].sort_values().drop_duplicates()]
    lines = in_lines(columns)
    pairs = order_pairs(first)
    limit = min(BANDS, max(1, ROWS // (len(rows) * len(lines))))
    left_out = []
    if len(pairs) > limit:
        left_out.append(f"the first {limit} of {len(pairs)} pairs")
    if len(newest) > len(first):
        left_out.append("the first seed of several")
    found = {
        (str(job["content"]), str(job["style"]), str(job["row"]), str(job["column"])): job
        for _, job in first.iterrows()
    }
    return Sheet(results, found, pairs[:limit], rows, lines, notes), left_out


def _headings(canvas: Canvas, sheet: Sheet, columns: Sequence[str], top: int) -> None:
    for index, name in enumerate(columns):
        text = shorten(name, max(8, int(sheet.cell / LARGE)))
        x = sheet.left(index) + sheet.cell / 2
        canvas.text(x, top + HEADING / 2, text, fontsize=10, fontweight="bold")


def _lead(canvas: Canvas, sheet: Sheet, pair: tuple[str, str], role: int, top: int) -> None:
    """Draw the content (0) or the style (1) picture of a pair."""
    x = MARGIN + (role * (sheet.cell + GUTTER) if sheet.lead == 2 else 0)
    box = (x, top, sheet.cell, sheet.height(pair))
    name = ("content", "style")[role]
    draw_input(canvas, sheet.results.folder, sheet.any_job(pair), name, pair[role], box)


def _line(
    canvas: Canvas, sheet: Sheet, pair: tuple[str, str], line: tuple[str, Sequence[str]], top: int
) -> None:
    """Draw one row of results of a pair."""
    row, columns = line
    height = sheet.height(pair)
    label = shorten(row, max(6, int(height / LARGE)))
    x = sheet.left(0) - SIDE / 2 + 1
    canvas.text(x, top + height / 2, label, rotation=90, fontsize=9, fontweight="bold")
    for index, column in enumerate(columns):
        job = sheet.jobs.get((*pair, row, column))
        box = (sheet.left(index), top, sheet.cell, height)
        if draw_result(canvas, sheet.results.folder, job, box) and job is not None:
            note = sheet.notes.get(str(job["job_id"]), "")
            draw_under(canvas, box, note, size=7.2)
            draw_remark(canvas, job, box, line=1 if note else 0)


def _placed(
    sheet: Sheet,
) -> Iterator[tuple[tuple[str, str], int, tuple[str, Sequence[str]], int, bool]]:
    """Yield (pair, number of the line in its band, line, top, whether names stand above)."""
    top = MARGIN
    for band, pair in enumerate(sheet.pairs):
        for number, line in enumerate(sheet.lines):
            headed = len(sheet.columns) > 1 or (band == 0 and number == 0)
            top += HEADING if headed else 0
            yield pair, number, line, top, headed
            top += sheet.height(pair) + sheet.under
        top += GAP


def strip(
    results: Results,
    jobs: pd.DataFrame,
    *,
    notes: Mapping[str, str] | None = None,
    told: Sequence[str] = (),
) -> Figure:
    """Return the sheet of pictures of jobs.

    Args:
        results: the folder that has the pictures.
        jobs: rows of results.parquet with the columns of `arms.labelled`; of backbone, smoothing
            and setting the axis with the fewest values makes rows, the others columns. Of several
            seeds the first is shown.
        notes: by job_id, a line under the picture.
        told: lines under the sheet, over the line of the settings.

    Raises:
        NoDataError: no job has a picture.
    """
    if not (jobs["status"] == "ok").any():
        raise NoDataError("no stylisation of these results succeeded")
    sheet, left_out = _sheet(results, jobs, notes or {})
    placed = list(_placed(sheet))
    pair, _, _, top, _ = placed[-1]
    end = top + sheet.height(pair) + sheet.under + FOOT
    shown = f"  Shown: {'; '.join(left_out)}." if left_out else ""
    legend = "r- = random weights, p- = pretrained."
    told = [*filter(None, told), legend + shown, caption(results, jobs)]
    canvas = Canvas(sheet.width, end + LINE * len(told) + MARGIN)
    for pair, number, line, top, headed in placed:
        if headed:
            _headings(canvas, sheet, line[1], top - HEADING)
        roles = (0, 1) if sheet.lead == 2 else (number,) if number < 2 else ()
        for role in roles:
            _lead(canvas, sheet, pair, role, top)
        _line(canvas, sheet, pair, line, top)
    for index, text in enumerate(told):
        text = shorten(text, int(sheet.width / SMALL))
        canvas.text(
            sheet.width / 2, end + LINE * (index + 0.5), text, color="#444444", fontsize=8.5
        )
    return canvas.figure
