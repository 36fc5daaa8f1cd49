"""What stands around the panels of a figure: title, legend, notes, logarithmic axes."""

import contextlib
import textwrap
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from stylebench.figures.style import legend_label, power_of_ten, shorten

WIDTH, HEAD, LINE = 14.0, 0.62, 0.22
"""Inches, 100 pixels each: the figure, its title, a line of the legend or the note."""

TWO = 0.8
"""`HEAD` of panels whose titles have two lines."""

LEFT, RIGHT, BETWEEN = 0.68, 0.12, 0.5
"""Inches beside the panels (the first has a label on its y axis), and between two of them."""

COLUMNS = 4
"""Panels in a row, at most."""

LEGEND_COLUMNS, NOTE_LENGTH, LABEL_LENGTH = 7, 235, 50
"""Entries, and characters, that fit in a line; characters of a legend's label, at most."""
Entries = Mapping[str, Mapping[str, Any]]
"""Label -> keyword arguments of ``Axes.plot``."""

HANDLE, CHARACTER = 0.75, 0.07
"""Inches that an entry of the legend takes beside its text, and each character of it."""


NARROW, LOW, APART, NEAR, SPARE = 0.8, 1.3, 0.85, 0.14, 0.22
"""Inches, where a figure is narrower than `WIDTH`: of a panel at least, its height at most, between
rows at least, a line of the note, and at the right, where half a number stands."""
_wide: ContextVar[float] = ContextVar("wide", default=WIDTH)


@contextlib.contextmanager
def wide(inches: float | None) -> Iterator[None]:
    """Lay out what is drawn inside for a width, by default `WIDTH`."""
    token = _wide.set(min(inches or WIDTH, WIDTH))
    try:
        yield
    finally:
        _wide.reset(token)


def width() -> float:
    """Return the width of figures in inches."""
    return _wide.get()


def narrow() -> bool:
    """Tell whether figures are narrower than `WIDTH`."""
    return width() < WIDTH


def below(legend: int, note: str) -> float:
    """Return the inches that so many lines of a legend take, and those of the note."""
    lines = note.count("\n") + 1
    return LINE * legend + NEAR * lines if narrow() else LINE * (legend + lines)


def legend_columns(labels: Collection[str]) -> int:
    """Return how many entries of a legend stand in a line, as its longest label has it."""
    longest = min(max(map(len, labels), default=0), LABEL_LENGTH)
    return max(1, min(LEGEND_COLUMNS, len(labels), int(width() / (HANDLE + CHARACTER * longest))))


def panels(
    count: int, title: str, note: str, entries: Entries, *, height: float, gap: float,
    across: int = COLUMNS, left: float = LEFT, sharex: bool = False, head: float = HEAD,
    foot: float = 0.0,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a figure with `count` panels, row by row, and what stands around them.

    Args:
        count: of panels.
        title: of the figure.
        note: as that of `annotate`.
        entries: of the legend, as those of `annotate`.
        height: of the panels, in inches.
        gap: between rows of them, in inches.
        across: panels in a row, at most.
        left: room beside the first column, in inches.
        sharex: one x axis for all.
        head: room for the title and those of the first panels, in inches.
        foot: room for the labels of the last x axes, in inches, beyond one line and its name.
    """
    total_width, right = width(), RIGHT
    columns = min(across, count)
    if narrow():
        right, left, head = SPARE, min(left, 0.45 * total_width), max(head, TWO)
        fit = int((total_width - left - right + BETWEEN) / (NARROW + BETWEEN))
        columns = max(n for n in range(1, columns + 1) if n <= max(1, fit) and columns % n == 0)
        title = wrapped(title, 11)
        height, gap = min(height, LOW), max(gap, APART)
        head += LINE * title.count("\n")
    rows, note = -(-count // columns), wrapped(note, 7.5)
    foot += below(-(-len(entries) // legend_columns(entries)), note) + 0.6
    total = head + rows * height + (rows - 1) * gap + foot
    figure = Figure(figsize=(total_width, total))
    each = (total_width - left - right - (columns - 1) * BETWEEN) / columns
    place = {
        "left": left / total_width, "right": 1 - right / total_width, "top": 1 - head / total,
        "bottom": foot / total, "wspace": BETWEEN / each, "hspace": gap / height,
    }  # fmt: skip
    grid = figure.subplots(rows, columns, squeeze=False, sharex=sharex, gridspec_kw=place)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    if narrow():
        for axes in grid.flat[:count]:
            axes.tick_params(labelbottom=True)  # a row may come to stand in a file of its own
    annotate(figure, title, note, entries)
    return figure, list(grid.flat[:count])


def wrapped(text: str, size: float) -> str:
    """Return a text in lines of the width of figures; a character takes half its size or so."""
    length = int((width() - 0.1) * 72 / ((0.66 if size > 10 else 0.52) * size))
    lines = (textwrap.wrap(line, min(length, NOTE_LENGTH)) for line in text.split("\n"))
    return "\n".join(part for line in lines for part in line)


def leftmost(axes: Axes) -> bool:
    """Tell whether a panel stands in the first column."""
    place = axes.get_subplotspec()
    return place is not None and place.is_first_col()


def annotate(figure: Figure, title: str, note: str, entries: Entries) -> None:
    """Put the title above, the legend and the note below the panels.

    Args:
        figure: with room for them.
        title: bold, at the top.
        note: at the bottom, in lines that the width has room for.
        entries: of the legend.
    """
    height = figure.get_figheight()
    figure.text(
        0.5, 1 - 0.08 / height, title, ha="center", va="top", fontsize=11, fontweight="bold"
    )
    look: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7.5, "color": "#444444"}
    figure.text(0.5, 0.09 / height, note, **look)
    handles = [Line2D([], [], **look) for look in entries.values()]
    room = min(LABEL_LENGTH, int((width() - HANDLE) / CHARACTER))
    labels = [legend_label(shorten(label, room)) for label in entries]
    figure.legend(
        handles, labels, loc="lower center", ncols=legend_columns(entries), handlelength=3.2,
        bbox_to_anchor=(0.5, (0.06 + below(0, note)) / height), borderpad=0, borderaxespad=0.2,
    )  # fmt: skip


def log_axis(axes: Axes, *, across: bool = False) -> None:
    """Make an axis logarithmic with plain labels: 1, 10, 100, or 1, 2, 5, 10 if it is short.

    Args:
        axes: with its limits, or what they follow from.
        across: the x axis in place of the y axis.
    """
    (axes.set_xscale if across else axes.set_yscale)("log", nonpositive="mask")
    axis, (low, high) = (axes.xaxis, axes.get_xlim()) if across else (axes.yaxis, axes.get_ylim())
    few = high / low < 150
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=7))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
