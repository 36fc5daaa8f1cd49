"""What `stylebench.stylize` is given beside the content, as tensors: styles, masks, a start."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from stylebench.config import shares, style_size
from stylebench.errors import InputError
from stylebench.images import Resize, to_tensor
from stylebench.images.given import SIZE, Pixels, to_pixels
from stylebench.images.masks import check_form
from stylebench.transfer.targets import Regions


def mixture(style: Any, blend: Sequence[float] | None) -> tuple[list[Any], tuple[float, ...]]:
    """Return the style pictures that are given, and their shares."""
    if isinstance(style, Mapping):
        if blend is not None:
            raise InputError("blend: expected weights once, in the mapping of styles or beside it")
        style, blend = list(style), list(style.values())
    many = isinstance(style, list | tuple)
    styles = list(style) if many else [style]
    if not styles or (blend is not None and (not many or len(blend) != len(styles))):
        told = "none" if blend is None else len(blend)
        raise InputError(f"blend: expected a weight a style, found {len(styles)} and {told}")
    return styles, shares([1.0] * len(styles) if blend is None else blend)


def load_style(style: Any, size: int | None, resize: Resize, scale: float) -> Tensor:
    """Return a style picture, `scale` times as large as it would be without."""
    if scale != 1:
        is_array = isinstance(style, np.ndarray | Tensor)
        own = max(to_tensor(style, "style").shape[-2:]) if is_array else SIZE
        size = style_size(size or own, scale)
    return to_tensor(style, "style", size, resize)


def _mask(given: Any, size: int) -> Pixels:
    """Return a mask as a picture; arrays and tensors may be (H, W), and of truth values."""
    if isinstance(given, Tensor) and given.numel() == math.prod(given.shape[-2:]):
        given = given.detach().reshape(given.shape[-2:]).cpu().numpy()
    if isinstance(given, np.ndarray) and given.dtype == bool:
        given = given.astype(np.uint8) * 255
    return to_pixels(to_tensor(given, "mask", size))


def regions(masks: Any, styles: Sequence[Tensor], given: Any, content: Tensor) -> Regions:
    """Return styles with their masks.

    Args:
        masks: what `stylize` takes.
        styles: pictures.
        given: the content as it was given, of which a mask has the proportions.
        content: (1, 3, H, W).
    """
    asked = list(masks) if isinstance(masks, list | tuple) else [masks]
    if len(asked) == len(styles) - 1:
        asked.append(None)
    rests = sum(mask is None for mask in asked)
    if len(asked) != len(styles) or rests > (len(styles) > 1):
        raise InputError(
            "masks: expected one a style, or one less, where the last style takes the rest; found "
            f"{len(asked) - rests} for {len(styles)}"
        )
    size = max(content.shape[-2:])
    found = [None if mask is None else _mask(mask, size) for mask in asked]
    form = to_pixels(to_tensor(given, "content", size))
    for number, mask in enumerate(found, start=1):
        if mask is not None:
            check_form(mask, form, f"mask {number}")
    return Regions.of(styles, found, content, [str(n + 1) for n in range(len(styles))])


def to_start(start: Any, content: Tensor, resize: Resize) -> Tensor:
    """Return a picture to start from, of the size of the content."""
    found = to_tensor(start, "start", max(content.shape[-2:]), resize).to(content)
    if found.shape != content.shape:
        (height, width), (h, w) = content.shape[-2:], found.shape[-2:]
        raise InputError(f"start: expected the content's {width}×{height} px, found {w}×{h}")
    return found
