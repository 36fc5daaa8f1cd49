"""PNG: the colour that is transparent (tRNS), which Pillow does not match at all depths."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylebench.images.tiff import to_8_bits


def depth(path: Path) -> int:
    """Return the bits of a sample, as the header of a PNG says."""
    with path.open("rb") as file:
        return file.read(25)[24]


def is_amended(image: Image.Image, path: Path) -> bool:
    """Tell whether `transparent` makes another picture of an opened file than Pillow alone."""
    key: Any = image.info.get("transparency")
    return _is_key(image) and (depth(path) in (2, 4, 16) or np.max(key) > 255)


def _is_key(image: Image.Image) -> bool:
    key = image.info.get("transparency")
    return image.mode not in ("P", "PA", "1") and isinstance(key, int | tuple)


def transparent(image: Image.Image, path: Path) -> Image.Image:
    """Return a loaded picture with its transparent colour as Pillow understands it, or with alpha.

    Args:
        image: of the file; it may be changed.
        path: the file.
    """
    if not is_amended(image, path):
        return image
    bits, key = depth(path), image.info["transparency"]
    if bits == 16:
        del image.info["transparency"]
        return _of_16_bits(image, path, key)
    key = np.bitwise_and(key, (1 << bits) - 1) * (255 // ((1 << bits) - 1))
    image.info["transparency"] = tuple(key.tolist()) if key.ndim else int(key)
    return image


def _of_16_bits(image: Image.Image, path: Path, key: int | tuple[int, ...]) -> Image.Image:
    """Return a picture of 16 bits in 8, with alpha; two colours may be one in 8 bits."""
    if isinstance(key, int):
        values = np.asarray(image)
        same = values == key
        made = Image.fromarray(to_8_bits(values, 16))
        made.info = image.info
    else:
        with Image.open(path, formats=["PNG"]) as low:  # Pillow gives the high bytes alone, but …
            low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # … of either order
            low.load()
            same = np.ones(image.size[::-1], bool)
            for channel, value in enumerate(key):
                same &= np.asarray(image.getchannel(channel)) == value >> 8
                same &= np.asarray(low.getchannel(channel)) == value & 255
        made = image
    made.putalpha(Image.fromarray(np.where(same, 0, 255).astype(np.uint8)))
    return made
