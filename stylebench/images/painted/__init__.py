"""Five painted styles: classic non-photorealistic rendering of the built-in photographs.

Each is laid out once, from seeded random numbers, in units of the picture and drawn at any size,
so that the same painting appears at 128 and at 1024 px.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stylebench.images.builtin import PAINTINGS, PHOTOGRAPHS
from stylebench.images.decode import Picture
from stylebench.images.painted.carved import woodcut
from stylebench.images.painted.dots import pointillism
from stylebench.images.painted.glass import stained_glass
from stylebench.images.painted.strokes import brush
from stylebench.images.painted.tiles import mosaic

__all__ = ["PAINTINGS", "Painting"]


@dataclass(frozen=True)
class Painting:
    """A painted style.

    Args:
        description: one line on what it shows.
        source: the built-in photograph that it is painted after.
        render: from the long side in px (16 or more) to the picture, uint8 (H, W, 3).
    """

    description: str
    source: str
    render: Callable[[int], Picture]

    @property
    def credit(self) -> str:
        """The photograph behind it, with its author and licence."""
        return f"painted by stylebench after {self.source!r} ({PHOTOGRAPHS[self.source].credit})"


PAINTINGS.add("brush", Painting("a pagoda under swirls, in curved brush strokes", "china", brush))
PAINTINGS.add("pointillism", Painting("a dahlia before a pinwheel, in dots", "flower", pointillism))
PAINTINGS.add("mosaic", Painting("a cup on rings of sea colours, in tiles", "coffee", mosaic))
PAINTINGS.add("woodcut", Painting("a cat in carved lines and colour blocks", "chelsea", woodcut))
PAINTINGS.add(
    "stained-glass", Painting("an astronaut with a halo, in glass", "astronaut", stained_glass)
)
