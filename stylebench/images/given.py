"""Pictures as people have them: names, files, PIL pictures, arrays, tensors; all become tensors."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stylebench.errors import InputError
from stylebench.images.decode import Resize, fit
from stylebench.images.names import Role, read, resolve

if TYPE_CHECKING:
    from torch import Tensor

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
SIZE = 512
"""Long side in px of pictures from files, where none is given."""


def to_tensor(
    given: Any, role: Role = "content", size: int | None = None, resize: Resize = "aspect"
) -> "Tensor":
    """Return a picture as (1, 3, H, W), float32 RGB in [0, 1].

    Args:
        given: a built-in's name, a path, a PIL picture, an array (H, W, 3) or (H, W), or a tensor
            (3, H, W) or (1, 3, H, W). Arrays and tensors are uint8, or floats in [0, 1].
        role: of the picture, for messages.
        size: the long side in px; by default `SIZE` for names, paths and PIL pictures, and what it
            is for arrays and tensors.
        resize: keep the aspect ratio, or squash to a square.

    Raises:
        InputError: it is none of these, or a file that cannot be read.
    """
    import torch

    if isinstance(given, str | os.PathLike):
        found = resolve(os.fspath(given), role)
        if len(found) != 1:
            raise InputError(f"{role} {given!r}: expected one picture, found {len(found)}")
        return of_pixels(read(found[0].ref, SIZE if size is None else size, resize=resize))
    if isinstance(given, Image.Image):
        return of_pixels(fit(given, role, SIZE if size is None else size, resize))
    if isinstance(given, np.ndarray):
        channels = given if given.ndim == 3 else np.stack([given] * 3, axis=-1)
        given = torch.from_numpy(channels.copy()).movedim(-1, 0)
    if not isinstance(given, torch.Tensor):
        raise InputError(
            f"{role}: expected a name, a path, a PIL picture, an array or a tensor, found "
            f"{type(given).__name__}"
        )
    picture = _checked(given, role)
    if size is None:
        return picture
    pixels = Image.fromarray(to_pixels(picture))
    return of_pixels(fit(pixels, role, size, resize)).to(picture.device)


def _checked(given: "Tensor", role: Role) -> "Tensor":
    import torch

    picture = given if given.ndim == 4 else given.unsqueeze(0)
    if picture.ndim != 4 or picture.shape[:2] != (1, 3):
        found = tuple(given.shape)
        raise InputError(f"{role}: expected a tensor (1, 3, H, W), found {found}")
    if picture.dtype == torch.uint8:
        return picture.float() / 255
    if not picture.is_floating_point():
        raise InputError(f"{role}: expected uint8 or floats in [0, 1], found {picture.dtype}")
    least, most = (float(value) for value in torch.aminmax(picture.detach()))
    if not (least >= 0 and most <= 1):
        raise InputError(f"{role}: expected values in [0, 1], found {least:g} to {most:g}")
    return picture


def to_pixels(image: "Tensor") -> Pixels:
    """Return (1, 3, H, W) in [0, 1] as uint8 (H, W, 3)."""
    import torch

    pixels = (image[0].detach().permute(1, 2, 0) * 255).round().clamp(0, 255)
    return pixels.to(torch.uint8).cpu().numpy()


def of_pixels(pixels: Pixels) -> "Tensor":
    """Return uint8 (H, W, 3) as (1, 3, H, W), float32 in [0, 1]."""
    import torch

    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
