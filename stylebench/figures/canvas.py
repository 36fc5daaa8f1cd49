"""A figure measured in pixels, on which pictures lie pixel by pixel."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

DPI = 100
Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels, from the top left corner."""


def picture_shape(path: Path) -> tuple[int, int] | None:
    """Return (width, height) of a picture file; None if it cannot be read."""
    try:
        with Image.open(path) as opened:
            return opened.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


class Canvas:
    """A figure measured in pixels from its top left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        """Write text at a pixel; centred unless told otherwise."""
        look: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "fontsize": 8,
            "color": "#222222",
        } | options
        self.figure.text(x / self.width, 1 - y / self.height, text, **look)

    def picture(self, box: Box, path: Path) -> bool:
        """Draw a picture in a box (x, y, width, height), as large as it fits, scaled once.

        Returns:
            False if the file cannot be read; nothing is drawn then.
        """
        x, y, width, height = box
        try:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError):
            return False
        scale = min(width / image.width, height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
        axes = self._axes(x + (width - size[0]) // 2, y + (height - size[1]) // 2, *size)
        axes.imshow(pixels, interpolation="none", aspect="auto")
        return True

    def frame(self, box: Box, text: str) -> None:
        """Draw an empty frame with a word in it."""
        x, y, width, height = box
        axes = self._axes(*box)
        axes.set_facecolor("#f2f2f2")
        axes.patch.set(edgecolor="#bdbdbd", linewidth=1)
        self.text(x + width / 2, y + height / 2, text, color="#666666", style="italic")

    def _axes(self, x: int, y: int, width: int, height: int) -> Axes:
        left, bottom = x / self.width, 1 - (y + height) / self.height
        axes = self.figure.add_axes((left, bottom, width / self.width, height / self.height))
        axes.grid(visible=False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes
