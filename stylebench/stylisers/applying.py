"""Photographs in, stylised pictures out: what ``stylebench apply`` does."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylebench import images, runtime
from stylebench.config import SIDES, blend_weights, shares
from stylebench.errors import InputError
from stylebench.images import ImageSource
from stylebench.images.decode import SAVED, check_saved
from stylebench.images.given import to_pixels
from stylebench.stylisers.styliser import check_strength, load
from stylebench.transfer.targets import Blend

LARGEST = 1024
"""Long side in px of a photograph at its own size, at most: attention (SANet) compares every
position of the content with every one of the style, 16,384 × 4,096 of them there."""


@dataclass(frozen=True)
class Applied:
    """A picture that was made: its file, size in px, by which method, and seconds of the pass."""

    output: Path
    width: int
    height: int
    name: str
    seconds: float


def apply_to(
    model: str,
    content: str,
    style: str,
    output: Path,
    *,
    size: int | None = None,
    style_size: int = 512,
    strength: float = 1.0,
    blend: str | None = None,
    given: Mapping[str, str] | None = None,
    device: str = "cpu",
    offline: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    done: Callable[[Applied], None] = lambda made: None,
    broken: Callable[[str], None] = lambda text: None,
) -> list[Applied]:
    """Stylise photographs and write what is made of them; what is no picture costs no other.

    Args:
        model: as `stylebench.stylisers.styliser.load` takes it.
        content: photographs: files, folders, built-in names, a comma list of these.
        style: a picture, or several that are mixed.
        output: a picture to write; a folder where there are several photographs.
        size: long side in px; by default a photograph's own, up to `LARGEST`.
        style_size: likewise of the styles.
        strength: 0 to 1.
        blend: a comma list of weights of the styles; equal ones by default.
        given: as `load` takes it, and so are the two that follow.
        device: as torch names it.
        offline: never download.
        tell: called with a line for every folder of which something is left out.
        done: called with each picture that was written.
        broken: called with a line for each of several photographs that cannot be read.

    Raises:
        InputError: wrong input, of which nothing is written; no photograph that can be read; a
            network that makes no picture, where those of earlier photographs are kept.
    """
    check_strength(strength)
    for name, side in (("--size", size), ("--style-size", style_size)):
        if side is not None and not SIDES[0] <= side <= SIDES[1]:
            raise InputError(f"{name} expects {SIDES[0]} to {SIDES[1]} px, found {side}")
    contents = images.unique_names(images.resolve(content, "content", tell))
    styles = images.resolve(style, "style", tell)
    weights = blend_weights(blend, len(styles))
    places = _places(output, contents)
    for place in places:
        images.check_output(place, {each.ref: each.name for each in (*contents, *styles)})
    if len(contents) == 1:  # before anything is loaded
        _photograph(contents[0], size)
    runtime.configure()
    styliser = load(model, given=given, device=device, offline=offline)
    seen = [images.to_tensor(each.ref, "style", style_size).to(device) for each in styles]
    mixed: Tensor | Blend = Blend(tuple(seen), shares(weights)) if len(seen) > 1 else seen[0]
    found: list[Applied] = []
    for source, place in zip(contents, places, strict=True):
        try:
            picture = _photograph(source, size).to(device)
        except InputError as error:
            if not found and source == contents[-1]:  # so were all
                raise
            broken(str(error))
            continue
        began = time.monotonic()
        pixels = to_pixels(_finite(styliser.stylise(picture, mixed, strength), model))
        seconds = time.monotonic() - began
        images.save(place, pixels)
        found.append(Applied(place, pixels.shape[1], pixels.shape[0], styliser.name, seconds))
        done(found[-1])
    return found


def _photograph(source: ImageSource, size: int | None) -> Tensor:
    """Return a photograph at its own size, up to `LARGEST`, or with a long side of so many px."""
    side = size or min(LARGEST, images.own_size(source.ref))
    return images.to_tensor(source.ref, size=side)


def _finite(made: Tensor, model: str) -> Tensor:
    if not bool(torch.isfinite(made).all()):
        raise InputError(f"{model!r} made a picture that is not finite: its weights are no good")
    return made


def _places(output: Path, contents: list[ImageSource]) -> list[Path]:
    """Return where what is made of each photograph goes."""
    is_picture = output.suffix.lower() in SAVED
    if len(contents) == 1 and not output.is_dir():
        check_saved(output)
        return [output]
    if is_picture and not output.is_dir():
        raise InputError(
            f"--output expects a folder for {len(contents)} photographs, found {str(output)!r}"
        )
    if output.exists() and not output.is_dir():
        raise InputError(f"--output {str(output)!r} is a file; expected a folder")
    return [output / f"{source.name}.png" for source in contents]
