"""Styles of a sweep: pictures, blends of several, and several in regions that masks give them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from stylebench import images
from stylebench.config import ImageRef, Ingredient, Region, shares
from stylebench.errors import InputError
from stylebench.images.masks import check_form, regions
from stylebench.sweeps.settings import REST, StyleBlend, StyleRegions, SweepConfig


@dataclass(frozen=True)
class NamedStyle:
    """A style as a sweep names it: one picture, or several with their weights, or their masks.

    A mask that is None takes the rest.
    """

    pictures: tuple[images.ImageSource, ...]
    weights: tuple[float, ...] = ()
    masks: tuple[images.ImageSource | None, ...] = ()


@dataclass(frozen=True)
class PlannedStyle:
    """A style of jobs: a picture, or the first of several under the name of all of them."""

    picture: ImageRef
    blend: tuple[Ingredient, ...] = ()
    regions: tuple[Region, ...] = ()


def named(
    value: str | StyleBlend | StyleRegions, tell: Callable[[str], None] = lambda text: None
) -> list[NamedStyle]:
    """Return the styles that one value of the key ``style`` names."""
    if isinstance(value, str):
        return [NamedStyle((source,)) for source in images.resolve(value, "style", tell)]
    if isinstance(value, StyleRegions):
        return [_regions(value, tell)]
    found: dict[images.ImageSource, float] = {}
    for name, weight in value.blend.items():
        source = _one(name, "style", "blend", tell)
        found[source] = found.get(source, 0.0) + weight
    return [NamedStyle(tuple(found), tuple(found.values()))]


def _one(name: str, role: images.Role, key: str, tell: Callable[[str], None]) -> images.ImageSource:
    sources = images.resolve(name, role, tell)
    if len(sources) != 1:
        raise InputError(f"{key}: expected one picture, found {len(sources)} in {name!r}")
    return sources[0]


def _regions(value: StyleRegions, tell: Callable[[str], None]) -> NamedStyle:
    found: dict[images.ImageSource, images.ImageSource | None] = {}
    for name, mask in value.regions.items():
        source = _one(name, "style", "regions", tell)
        if source in found:
            raise InputError(f"regions: expected each style once, found {name!r} again")
        found[source] = None if mask == REST else _one(mask, "mask", "regions", tell)
    rests = sum(mask is None for mask in found.values())
    if rests > (len(found) > 1):
        raise InputError(f"regions: expected `{REST}` once, beside masks, found it {rests} times")
    return NamedStyle(tuple(found), masks=tuple(found.values()))


def planned(
    style: NamedStyle, made: Mapping[str, ImageRef], of_masks: Mapping[str, ImageRef]
) -> PlannedStyle:
    """Return a style, of pictures and masks that were looked at, by reference."""
    pictures = [made[source.ref] for source in style.pictures]
    blend: tuple[Ingredient, ...] = ()
    places: tuple[Region, ...] = ()
    if style.masks:
        masks = [mask and of_masks[mask.ref] for mask in style.masks]
        places = tuple(
            Region(picture=picture, mask=mask)
            for picture, mask in zip(pictures, masks, strict=True)
        )
        parts = [f"{each.picture.name}@{each.mask.name if each.mask else REST}" for each in places]
    elif len(pictures) > 1:
        weighed = zip(pictures, shares(style.weights), strict=True)
        blend = tuple(Ingredient(picture=picture, share=share) for picture, share in weighed)
        parts = [f"{each.picture.name}*{each.share:g}" for each in blend]
    else:
        return PlannedStyle(pictures[0])
    return PlannedStyle(pictures[0].model_copy(update={"name": "+".join(parts)}), blend, places)


def check_masks(pairs: Iterable[tuple[ImageRef, PlannedStyle]], config: SweepConfig) -> None:
    """Raise InputError for masks that do not fit their content, or leave a style no place."""
    for content, style in pairs:
        if not style.regions:
            continue
        if config.gradients:
            raise InputError("gradients: expected styles without masks, found regions")
        picture = images.read(content.ref, config.size)
        shown, masks = [], []
        for each in style.regions:
            shown.append(
                f"mask {each.mask.name!r}" if each.mask else f"style {each.picture.name!r}"
            )
            masks.append(images.read(each.mask.ref, config.size) if each.mask else None)
        for name, mask in zip(shown, masks, strict=True):
            if mask is not None:
                check_form(mask, picture, f"{name} of content {content.name!r}")
        regions(masks, picture.shape[:2], shown)
