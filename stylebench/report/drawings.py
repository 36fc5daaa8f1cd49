"""The figures that were drawn into results folders, embedded within a budget of bytes."""

import base64
import inspect
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from stylebench import figures, files
from stylebench.images import stored

STEPS = ((1400, 256, 82), (1400, 64, 75), (1000, 32, 65), (800, 32, 60), (640, 32, 60))
"""(largest width in px, colours of a PNG, quality of a JPEG): from the best to the smallest."""

BUDGET = 2_000_000
"""Bytes of all figures of the page, unless so many that the last step does not suffice."""


@dataclass(frozen=True)
class Figure:
    """A drawn figure as it is embedded."""

    path: Path
    kind: str
    data: bytes
    width: int
    height: int

    @property
    def name(self) -> str:
        """Of the figure, to be read."""
        return self.path.stem.replace("_", " ")

    @property
    def text(self) -> str:
        """What it shows."""
        known = self.path.stem in figures.FIGURES
        text = inspect.getdoc(figures.FIGURES[self.path.stem]) if known else ""
        return (text or self.path.stem).splitlines()[0]

    @property
    def uri(self) -> str:
        """Its ``data:`` address."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"


def paths(folder: Path, without: Iterable[str] = ()) -> list[Path]:
    """Return the figures of a results folder, less those of some names."""
    found = files.listed(folder / "figures", folder, "[!.]*.[pj][np]g")
    return [path for path in found if path.stem not in set(without)]


def read(paths: Sequence[Path]) -> dict[Path, Figure]:
    """Return the figures of all files that are pictures; the largest shrink to keep to `BUDGET`."""
    made = [found for path in paths if (found := _encode(path, *STEPS[0]))]
    cap = largest([len(entry.data) for entry in made], BUDGET)
    return {entry.path: _shrunk(entry, cap) for entry in made}


def largest(sizes: Sequence[int], budget: float) -> float:
    """Return the size at which the larger ones are to be cut so that all keep to the budget.

    >>> largest([1, 2, 9, 9], 11)
    4.0
    """
    left = budget
    for place, size in enumerate(sorted(sizes)):
        share = left / (len(sizes) - place)
        if size > share:
            return share
        left -= size
    return math.inf


def _encode(path: Path, width: int, colours: int, quality: int) -> Figure | None:
    """Return the smaller of a palette PNG and a JPEG, or None if the file is not a picture.

    A sheet of photographs, which is a JPEG, stays one: to find its palette takes a second.
    """
    picture = stored.found(f"{path.parent.name}/{path.name}", path.parent.parent)
    if picture is None:
        return None
    picture.thumbnail((width, 8 * width), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=quality, optimize=True)
    both = {"jpeg": jpeg.getvalue()}
    if path.suffix == ".png":
        png = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
        both["png"] = png.getvalue()
    kind, data = min(both.items(), key=lambda item: len(item[1]))
    return Figure(path, kind, data, *picture.size)


def _shrunk(entry: Figure, cap: float) -> Figure:
    """Return the figure at the first step at which it has at most `cap` bytes, or at the last."""
    for step in STEPS[1:]:
        if len(entry.data) <= cap:
            break
        entry = _encode(entry.path, *step) or entry
    return entry
