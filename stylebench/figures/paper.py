"""Figures for papers: text that can be read at their width, and no file taller than a page."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from stylebench.figures import NoDataError
from stylebench.figures.style import shorten

SMALLEST, CHARACTER = 7.0, 0.56
"""Points: text of a figure that is laid out for a width; of its size, what a character takes."""
TALLEST, EDGE = 9.0, 0.04
"""Inches: a part of a figure, at most, as a page's text is no higher; over and under a part."""
LINES = 2
"""Of the names of panels and axes, at most."""


def settle(figure: Figure, inches: float) -> None:
    """Give a figure a width, and its text `SMALLEST` points at least.

    Raises:
        NoDataError: it is wider and cannot be laid out anew: its text would be too small.
    """
    if figure.get_figwidth() > inches + 0.01:
        raise NoDataError(
            f"no layout of it is narrower than {figure.get_figwidth():.3g} in; leave out --width"
        )
    for text in figure.findobj(Text):
        if isinstance(text, Text) and float(text.get_fontsize()) < SMALLEST:
            text.set_fontsize(SMALLEST)
    for axes in figure.axes:
        _name(axes, figure)


def _name(axes: Axes, figure: Figure) -> None:
    """Break the names of a panel and its axes into lines that stand beside it alone."""
    box = axes.get_position()
    across, up = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    size = min(float(axes.title.get_fontsize()), 8.0)
    axes.set_title(_lines(axes.get_title(), across + 0.3, size), fontsize=size)
    for axis, inches in ((axes.xaxis, across + 0.3), (axes.yaxis, up + 0.4)):
        size = float(axis.label.get_fontsize())
        axis.set_label_text(_lines(axis.get_label_text(), inches, size))


def _lines(text: str, inches: float, size: float) -> str:
    """Return a text in `LINES` lines of a length at most, cut in its middle if it is longer."""
    length = max(8, int(inches * 72 / (CHARACTER * size)))
    given = text.split("\n")
    if len(given) > 1:
        return "\n".join(shorten(line, length) for line in given)
    for room in range(LINES * length, 0, -1):
        found = textwrap.wrap(shorten(text, room), length)
        if len(found) <= LINES:
            return "\n".join(found)
    return text


@dataclass(frozen=True)
class Part:
    """What stands between two heights of a figure, in inches from its lower edge."""

    artists: tuple[Artist, ...]
    bottom: float
    top: float


def parts(figure: Figure, tallest: float = TALLEST) -> list[Part]:
    """Return the parts of a figure, from its top, about as tall as each other.

    It is cut where nothing is drawn; what has no such place stays whole, however tall it is.

    Args:
        figure: the figure.
        tallest: a part, at most, in inches.
    """
    blocks = _blocks(figure)
    fewest = len(_joined(blocks, tallest))
    least = figure.get_figheight() / fewest
    for limit in np.arange(least, tallest, 0.1):
        found = _joined(blocks, float(limit))
        if len(found) <= fewest:
            return found
    return _joined(blocks, tallest)


def _blocks(figure: Figure) -> list[Part]:
    """Return what is drawn, from the top, in blocks between which nothing is."""
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    figure.draw(renderer)
    found: list[Part] = []
    for artist, bottom, top in sorted(_boxes(figure, renderer), key=lambda box: -box[2]):
        if found and top > found[-1].bottom:
            last = found.pop()
            bottom, top = min(bottom, last.bottom), last.top
            found.append(Part((*last.artists, artist), bottom, top))
        else:
            found.append(Part((artist,), bottom, top))
    return found


def _boxes(figure: Figure, renderer: Any) -> Iterator[tuple[Artist, float, float]]:
    """Yield what a figure consists of, with its lower and upper end in inches."""
    for artist in figure.get_children():
        box = artist.get_tightbbox(renderer) if artist is not figure.patch else None
        if artist.get_visible() and box is not None and box.height > 0:
            yield artist, box.y0 / figure.dpi, box.y1 / figure.dpi


def _joined(blocks: Sequence[Part], tallest: float) -> list[Part]:
    """Return blocks put together as long as they are not taller than that."""
    found: list[Part] = []
    for block in blocks:
        if found and found[-1].top - block.bottom + 2 * EDGE <= tallest:
            last = found.pop()
            block = Part((*last.artists, *block.artists), block.bottom, last.top)
        found.append(block)
    return found


def shown(figure: Figure, part: Part) -> Bbox:
    """Hide all but a part of a figure, and return what is to be saved, in inches."""
    for artist in figure.get_children():
        artist.set_visible(artist is figure.patch or artist in part.artists)
    height = figure.get_figheight()
    bottom, top = max(0.0, part.bottom - EDGE), min(height, part.top + EDGE)
    return Bbox([[0, bottom], [figure.get_figwidth(), top]])
