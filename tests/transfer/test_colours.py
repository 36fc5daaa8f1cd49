"""Colours of the content that are kept, against numpy's covariances and scikit-image's YIQ."""

import colorsys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skimage.color import rgb2yiq, yiq2rgb
from torch import Tensor

from stylebench.backbones.extractor import Backbone, build
from stylebench.config import Colours, WeightsRef
from stylebench.transfer import colours
from stylebench.transfer.presets import settings
from stylebench.transfer.stylize import stylize_batch
from tests.transfer.pairs import stylize


def picture(seed: int, height: int = 24, width: int = 32) -> Tensor:
    """Return a picture in float64 whose channels depend on each other."""
    draw = np.random.default_rng(seed)
    mix = draw.uniform(-0.5, 1, (3, 3))
    pixels = draw.uniform(0, 1, (height * width, 3)) @ mix
    pixels = (pixels - pixels.min()) / np.ptp(pixels)
    return torch.from_numpy(pixels.reshape(1, height, width, 3)).movedim(-1, 1).contiguous()


def rows(image: Tensor) -> Any:
    return image[0].flatten(1).T.numpy()


def yiq(image: Tensor) -> Any:
    return rgb2yiq(image[0].movedim(0, -1).numpy())


CONTENT, STYLE = picture(1), picture(2, 20, 40)


def test_matched_has_the_mean_and_covariance_of_the_content() -> None:
    found = colours.matched(STYLE, CONTENT)
    assert found.shape == STYLE.shape
    assert_allclose(rows(found).mean(axis=0), rows(CONTENT).mean(axis=0), rtol=1e-12)
    assert_allclose(
        np.cov(rows(found).T), np.cov(rows(CONTENT).T) * 800 / 799 * 767 / 768, rtol=1e-9
    )


def test_matched_is_the_change_by_symmetric_roots() -> None:
    """A = Σ_C^½ Σ_S^−½, which the order of the channels does not change, as Cholesky's would."""

    def root(matrix: Any) -> Any:
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(np.sqrt(values)) @ vectors.T

    s, c = (np.cov(rows(image).T, bias=True) for image in (STYLE, CONTENT))
    change = root(c) @ np.linalg.inv(root(s))
    expected = (rows(STYLE) - rows(STYLE).mean(axis=0)) @ change.T + rows(CONTENT).mean(axis=0)
    assert_allclose(rows(colours.matched(STYLE, CONTENT)), expected, rtol=1e-9)
    turned = colours.matched(STYLE.flip(1), CONTENT.flip(1)).flip(1)
    assert_allclose(rows(turned), expected, rtol=1e-9)
    assert_allclose(rows(colours.matched(STYLE, STYLE)), rows(STYLE), atol=1e-12)


@pytest.mark.parametrize("how", ["matched", "luminance"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_style_of_one_colour_or_in_grey_is_no_division_by_zero(
    how: Colours, dtype: torch.dtype
) -> None:
    content = CONTENT.to(dtype)
    flat = torch.tensor([0.1, 0.7, 0.3], dtype=dtype).view(1, 3, 1, 1).expand(1, 3, 20, 20)
    own, found = colours.prepared(how, content, flat)
    assert_allclose(rows(found), rows(own).mean(axis=0)[None].repeat(400, 0), atol=1e-6)
    grey = STYLE[:, :1].expand_as(STYLE).to(dtype)
    for style, other in ((grey, content), (content, grey), (grey, grey)):
        found = colours.prepared(how, other, style)[1]
        assert found.isfinite().all()
        assert float(found.abs().max()) < 10
        assert found.dtype == dtype


def test_luminance_is_the_y_of_yiq() -> None:
    found = colours.luminance(CONTENT)
    assert torch.equal(found[:, 0], found[:, 2])
    assert_allclose(found[0, 1].numpy(), yiq(CONTENT)[..., 0], atol=1e-12)
    red, green, blue = (float(CONTENT[0, i, 3, 4]) for i in range(3))
    assert float(found[0, 0, 3, 4]) == pytest.approx(
        colorsys.rgb_to_yiq(red, green, blue)[0], abs=0.01
    )


def test_the_luminance_of_the_style_gets_the_contents_mean_and_deviation() -> None:
    content, style = colours.prepared("luminance", CONTENT, STYLE)
    assert torch.equal(content, colours.luminance(CONTENT))
    y, of_content = (yiq(image)[..., 0] for image in (STYLE, CONTENT))
    expected = of_content.std() / y.std() * (y - y.mean()) + of_content.mean()
    assert_allclose(style[0, 0].numpy(), expected, rtol=1e-9)
    assert torch.equal(style[:, 0], style[:, 1])


def test_a_result_takes_the_contents_i_and_q() -> None:
    result = 0.4 + 0.2 * picture(3)
    content = 0.4 + 0.2 * CONTENT
    found = colours.finished("luminance", content, result)
    expected = yiq(content)
    expected[..., 0] = yiq(result)[..., 0]
    assert_allclose(found[0].movedim(0, -1).numpy(), yiq2rgb(expected), atol=1e-6)
    assert colours.finished("matched", content, result) is result
    bright = colours.finished("luminance", CONTENT, torch.ones_like(CONTENT))
    assert (float(bright.min()) >= 0, float(bright.max()) <= 1) == (True, True)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("r-tiny", WeightsRef(source="random:0"), seed=0)


@pytest.mark.parametrize("blended", [False, True])
def test_the_luminance_alone_is_stylised(backbone: Backbone, blended: bool) -> None:
    """That of the result is what two grey pictures give, its colours are the content's."""
    content, style = 0.3 + 0.4 * CONTENT.float(), STYLE.float()
    other = style.flip(1) if blended else style
    greys = [colours.prepared("luminance", content, each) for each in (style, other)]
    seen: list[Tensor] = []
    found = stylize(
        content, [style, other], backbone, colours="luminance", evals=6,
        progress=lambda step: seen.append(step.tensor),
    )  # fmt: skip
    plain = stylize(greys[0][0], [grey for _, grey in greys], backbone, evals=6)
    assert found.final == plain.final
    expected = colours.finished("luminance", content, plain.tensor)
    assert torch.equal(found.tensor, expected)
    assert torch.equal(seen[-1], expected), "pictures on the way are finished too"
    assert_allclose(yiq(found.tensor)[..., 1:], yiq(content)[..., 1:], atol=1e-5)


def test_matched_is_before_anything_else(backbone: Backbone) -> None:
    content, style = CONTENT.float(), STYLE.float()
    found = stylize(content, style, backbone, colours="matched", evals=6)
    assert found.moved > 0
    pair = (content, colours.matched(style, content))
    (plain,) = stylize_batch(backbone, [pair], settings("balanced", {"evals": 6}))
    assert torch.equal(found.tensor, plain.tensor)
