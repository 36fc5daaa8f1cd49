"""How much a scene flickers from frame to frame."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stylebench.images import Picture


@dataclass(frozen=True)
class Flicker:
    """Mean change from one frame to the next, in grey levels of 255; see `flicker`.

    Attributes:
        excess: of the results, beyond the change of the contents at each pixel.
        contents: of the contents.
    """

    excess: float
    contents: float


def flicker(results: Iterable[Picture], contents: Iterable[Picture]) -> Flicker:
    """Return how much more results change than their contents do, from each frame to the next.

    The mean over successive frames, pixels and channels of max(|Δresult| − |Δcontent|, 0), in grey
    levels, [0, 255]. Lower is better; 0 where nothing changes but what changed in the scene.

    Source: the temporal error of Ruder, Dosovitskiy & Brox 2016, "Artistic style transfer for
    videos" (arXiv 1604.08610), and Huang et al. 2017, "Real-time neural style transfer for videos",
    without optical flow, of absolute differences, and above those of the contents. For a scene that
    stands still it is the same. Where the scene moves it is no measure of quality: results that
    move along flicker where their texture has more contrast than the content, results that stay
    where they are do not.

    Args:
        results: uint8 (H, W, 3), two frames or more in order.
        contents: as many, of the same sizes.
    """
    found = []
    for before, after in pairwise(zip(results, contents, strict=True)):
        changes = [
            np.abs(new.astype(np.int16) - old) for old, new in zip(before, after, strict=True)
        ]
        result, content = changes
        found.append((np.maximum(result - content, 0).mean(), content.mean()))
    excess, own = np.mean(found, axis=0)
    return Flicker(float(excess), float(own))
