"""Masks as arrays: grey values, the rest, sizes, and masks that say nothing."""

import numpy as np
import pytest

from stylebench.errors import InputError
from stylebench.images.masks import check_form, regions


def grey(
    value: int, height: int = 20, width: int = 30
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((height, width, 3), value, np.uint8)


def test_white_is_one_and_the_rest_is_what_is_left() -> None:
    half = grey(255)
    half[:, 15:] = 0
    white, other = regions([half, None], (20, 30), ["a", "b"])
    assert white.dtype == other.dtype == np.float32
    assert (white[:, :15] == 1).all()
    assert (white + other == 1).all()
    first, rest = regions([grey(51), None], (20, 30), ["a", "b"])
    assert first[0, 0] == np.float32(0.2)
    assert rest[0, 0] == pytest.approx(0.8)
    *_, rest = regions([half, half, None], (20, 30), "abc")
    assert rest.min() == 0, "where masks overlap nothing is below zero"


def test_a_mask_has_the_size_of_the_content() -> None:
    (found,) = regions([grey(255, 21, 30)], (20, 30), ["a"])
    assert found.shape == (20, 30)
    assert (found == 1).all()
    for size in ((20, 30), (21, 30), (19, 29)):
        check_form(grey(9, *size), grey(9), "mask")
    for size in ((22, 30), (20, 28), (30, 20)):
        with pytest.raises(InputError, match=f"the content, 30×20, found {size[1]}×{size[0]}"):
            check_form(grey(9, *size), grey(9), "mask")


def test_a_mask_says_something() -> None:
    with pytest.raises(InputError, match="b: expected white where the style goes, but it is all b"):
        regions([grey(255), grey(0)], (20, 30), ["a", "b"])
    with pytest.raises(InputError, match=r"c: .* the other masks leave nothing for it"):
        regions([grey(255), None], (20, 30), ["a", "c"])


def test_a_picture_with_colours_is_no_mask() -> None:
    half = grey(0)
    half[:, 15:] = (255, 0, 0)
    with pytest.raises(InputError, match=r"b: expected a mask in black, white and grey, found col"):
        regions([grey(255), half], (20, 30), ["a", "b"])
    tinted = grey(200)
    tinted[..., 2] += 8  # as JPEG does
    assert regions([tinted], (20, 30), ["a"])[0].max() > 0.7
