"""Masks: greyscale pictures that are white where a style goes, and black elsewhere."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylebench.errors import InputError
from stylebench.images.decode import Picture

Mask = npt.NDArray[np.float32]
TINTED, SHARE = 16, 0.001
"""Grey levels by which the channels of a pixel differ at least where it has a colour, and the share
of such pixels at which a picture is no mask: JPEG tints a grey pixel by a few levels."""


def check_form(mask: Picture, content: Picture, shown: str) -> None:
    """Raise InputError unless a mask has the proportions of the content, to a pixel.

    Args:
        mask: at the working size, its proportions kept.
        content: the same.
        shown: what messages call the mask.
    """
    (h, w), (height, width) = mask.shape[:2], content.shape[:2]
    if abs(h - height) > 1 or abs(w - width) > 1:
        raise InputError(
            f"{shown}: expected a mask in the proportions of the content, {width}×{height}, found "
            f"{w}×{h}; crop it, or draw it on the content"
        )


def regions(
    masks: Sequence[Picture | None], size: Sequence[int], shown: Sequence[str]
) -> list[Mask]:
    """Return where each style goes: (H, W) in [0, 1], its mask in grey (ITU-R 601) over 255.

    Args:
        masks: pictures; None takes the rest, 1 − the sum of the others where that is positive.
        size: (H, W) of the content, to which they are resized where they have another.
        shown: what messages call each.

    Raises:
        InputError: one has colours, is black everywhere, or nothing is left for the rest.
    """
    height, width = size
    for given, name in zip(masks, shown, strict=True):
        if given is not None:
            _check_grey(given, name)
    made = [None if mask is None else _values(mask, (width, height)) for mask in masks]
    taken = sum((mask for mask in made if mask is not None), np.zeros((height, width), np.float32))
    found = [np.clip(1 - taken, 0, 1) if mask is None else mask for mask in made]
    for mask, source, name in zip(found, masks, shown, strict=True):
        if not mask.any():
            why = "the other masks leave nothing for it" if source is None else "it is all black"
            raise InputError(f"{name}: expected white where the style goes, but {why}")
    return found


def _check_grey(mask: Picture, shown: str) -> None:
    """Raise InputError for a picture with colours: its grey would say nothing of where to go."""
    share = float(np.mean(np.ptp(mask, axis=-1) >= TINTED))
    if share > SHARE:
        raise InputError(
            f"{shown}: expected a mask in black, white and grey, found colours in {share:.1%} of "
            "it; make one greyscale picture for each style"
        )


def _values(mask: Picture, size: tuple[int, int]) -> Mask:
    grey = Image.fromarray(mask).convert("L")
    if grey.size != size:
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(grey, np.float32) / np.float32(255)
