"""What is in a drawing: its panels, lines, marks and texts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title() == title)


def ydata(line: Line2D) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.asarray(line.get_ydata(), dtype=np.float64)


def xdata(line: Line2D) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.asarray(line.get_xdata(), dtype=np.float64)


def bars(axes: Axes) -> list[Line2D]:
    """Return the points of everything that has error bars, in the order in which it was drawn."""
    found = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
    return [container.lines[0] for container in found if container.lines[0] is not None]


def marks(axes: Axes) -> list[Line2D]:
    """Return the markers of means, in the order in which they were drawn."""
    solid = [line for line in axes.lines if line.get_alpha() is None]
    return [mark for mark in solid if mark.get_marker() not in ("None", "")]


def texts(figure: Figure) -> Iterator[str]:
    for text in figure.texts:
        yield text.get_text()
