"""Cells of sheets of pictures: a result or why there is none, its remark, the pair's pictures."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stylebench.figures.canvas import Box, Canvas, picture_shape
from stylebench.figures.style import shorten

NOTE = 16
"""Pixels: a line under a picture."""

SMALL, LARGE = 6.3, 8.6
"""Pixels that a character takes under pictures (of 8 points), and in the names over columns."""

PER_LINE = 8
"""Columns of pictures in a line, at most."""

FLAGS = {"diverged": "diverged", "did-not-move": "did not move", "few-evaluations": "stopped early"}
WARNING = "#B23A00"


def remark(job: pd.Series) -> str:
    """Return what stands under a picture: why it may look as it does, or nothing."""
    found = {*str(job["flags"]).split(), str(job["stop_reason"])}
    return next((text for flag, text in FLAGS.items() if flag in found), "")


def in_lines(names: Sequence[str]) -> list[Sequence[str]]:
    """Return names in lines of about equal length, none longer than `PER_LINE`."""
    count = -(-len(names) // PER_LINE)
    length = -(-len(names) // count)
    return [names[i : i + length] for i in range(0, len(names), length)]


def height_of(folder: Path, job: pd.Series, width: int) -> int:
    """Return the height in pixels of a cell: as the content picture of `job` has it, bounded.

    Args:
        folder: of the results.
        job: one with pictures; an empty series gives 3 : 2.
        width: of the cell.
    """
    shape = picture_shape(folder / job["content_picture"]) if len(job) else None
    across, down = shape or (3, 2)
    return round(width * min(max(down / across, 0.4), 1.6))


def draw_under(
    canvas: Canvas, box: Box, text: str, line: int = 0, size: float = 8, **look: str
) -> None:
    """Write a line under a cell, shortened to its width.

    Args:
        canvas: to write on.
        box: of the cell.
        text: of the line.
        line: 0 is the first one, 1 that below.
        size: of the letters, in points.
        look: keyword arguments of ``Figure.text``.
    """
    x, y, width, height = box
    text = shorten(text, max(8, int(width / (SMALL * size / 8))))
    middle = y + height + (line + 0.5) * NOTE - 1
    canvas.text(x + width / 2, middle, text, fontsize=size, **look)


def draw_remark(canvas: Canvas, job: pd.Series, box: Box, line: int = 0) -> None:
    """Write the remark of a job under its picture, if it has one."""
    if text := remark(job):
        draw_under(canvas, box, text, line, color=WARNING, style="italic")


def draw_result(canvas: Canvas, folder: Path, job: pd.Series | None, box: Box) -> bool:
    """Draw the picture of a job, or a frame that says why there is none.

    Returns:
        False if there is no picture.
    """
    if job is None:
        canvas.frame(box, "not run")
    elif job["status"] != "ok":
        canvas.frame(box, str(job["status"]))
    elif not job["picture"] or not canvas.picture(box, folder / job["picture"]):
        canvas.frame(box, "no picture")
    else:
        return True
    return False


def draw_input(
    canvas: Canvas, folder: Path, job: pd.Series, role: str, name: str, box: Box
) -> None:
    """Draw the content or the style picture (`role`) of a job with its name under it."""
    if not len(job) or not canvas.picture(box, folder / job[f"{role}_picture"]):
        canvas.frame(box, "no picture")
    draw_under(canvas, box, f"{role}: {name}")
