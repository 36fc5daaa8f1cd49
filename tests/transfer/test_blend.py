"""Blends of styles: weighted means of Gram matrices; the strength and the scale of a style."""

from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from stylebench.backbones.extractor import Backbone, build
from stylebench.config import SmoothingSpec, WeightsRef, shares, style_size
from stylebench.errors import InputError
from stylebench.transfer import smoothing
from stylebench.transfer.losses import gram
from stylebench.transfer.targets import Blend, encode
from tests.transfer.pairs import stylize
from tests.transfer.test_stylize import Scaled

NONE, FITTED = SmoothingSpec(name="none"), SmoothingSpec(name="softmax-fitted")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("r-tiny", WeightsRef(source="random:0"), seed=0)


@pytest.fixture(scope="module")
def three() -> tuple[Tensor, Tensor, Tensor]:
    """Return a content and two styles of several sizes."""
    draw = torch.Generator().manual_seed(0)
    rough = [torch.rand(1, 3, 8, 8, generator=draw) for _ in range(3)]
    sizes = [(32, 40), (32, 32), (48, 32)]
    content, a, b = (
        torch.nn.functional.interpolate(r, size=size, mode="bilinear")
        for r, size in zip(rough, sizes, strict=True)
    )
    return content, a, 0.3 * b


def test_targets_are_weighted_means_of_gram_matrices(
    backbone: Backbone, three: tuple[Tensor, ...]
) -> None:
    content, a, b = three
    first, *styles = encode(backbone, content, Blend((a, b), (0.7, 0.3)), NONE)
    alone, *_ = encode(backbone, content, a, NONE)
    assert torch.equal(first.value, alone.value), "the content's is its own"
    with torch.no_grad():
        maps = [backbone(a), backbone(b)]
    for target in styles:
        x, y = (gram(each[target.node])[0].double().numpy() for each in maps)
        expected = 0.7 * x + 0.3 * y
        assert_allclose(
            target.value[0].numpy(), expected, rtol=1e-5, atol=1e-7 * abs(expected).max()
        )
        assert target.square == pytest.approx(np.square(expected).sum(), rel=1e-5)


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**40])
def test_styles_of_a_blend_share_one_gain(
    backbone: Backbone, three: tuple[Tensor, ...], factor: float
) -> None:
    content, a, b = three
    network = Scaled(backbone, factor)
    blend = Blend((a, b), (0.5, 0.5))
    for found, plain in zip(
        encode(network, content, blend, NONE), encode(backbone, content, blend, NONE), strict=True
    ):
        power = 2 if found.is_style else 1
        scaled = found.value.double() / (found.gain * factor) ** power
        assert_allclose(scaled.numpy(), plain.value.double().numpy(), rtol=1e-4, atol=1e-9)


def test_a_temperature_is_the_weighted_mean_of_those_fitted_to_each_style(
    backbone: Backbone, three: tuple[Tensor, ...]
) -> None:
    content, a, b = three
    mixed = encode(backbone, content, Blend((a, b), (0.7, 0.3)), FITTED)
    each = [encode(backbone, content, style, FITTED) for style in (a, b)]
    with torch.no_grad():
        maps = [backbone(style) for style in (a, b)]
    for found, one, two in zip(mixed, *each, strict=True):
        t = 0.7 * float(one.fitted) + 0.3 * float(two.fitted)
        assert float(found.fitted) == pytest.approx(t, rel=1e-6)
        if found.is_style:
            x, y = (gram(smoothing.softmax(m[found.node], t)[0]).double() for m in maps)
            assert_allclose(found.value.numpy(), (0.7 * x + 0.3 * y).numpy(), rtol=1e-4)


def test_a_blend_of_one_style_with_itself_is_that_style(
    backbone: Backbone, three: tuple[Tensor, ...]
) -> None:
    content, a, _ = three
    for smooth in (NONE, FITTED):
        alone = stylize(content, a, backbone, smoothing=smooth, evals=6)
        found = stylize(content, [a, a.clone()], backbone, smoothing=smooth, evals=6)
        assert found.final.loss == pytest.approx(alone.final.loss, rel=1e-3)


def test_weights_lead_from_one_style_to_the_other(
    backbone: Backbone, three: tuple[Tensor, ...]
) -> None:
    content, a, b = three
    greys = []
    for weight in (0.99, 0.5, 0.01):
        found = stylize(content, [a, b], backbone, blend=[weight, 1 - weight], evals=20)
        greys.append(float(found.tensor.mean()))
    assert greys[0] > greys[1] > greys[2], "b is dark"
    equal = stylize(content, (a, b), backbone, evals=20)
    assert float(equal.tensor.mean()) == pytest.approx(greys[1], abs=1e-6)
    named: dict[Any, float] = {"brush": 2, "mosaic": 6}
    one = stylize("chelsea", named, backbone, size=32, evals=3)
    two = stylize("chelsea", [*named], backbone, blend=[0.25, 0.75], size=32, evals=3)
    assert torch.equal(one.tensor, two.tensor)


@pytest.mark.parametrize(
    ("style", "blend", "text"),
    [
        ("brush", [1.0], "expected a weight a style, found 1 and 1"),
        (["brush", "mosaic"], [1.0], "found 2 and 1"),
        ([], None, "found 0 and none"),
        (["brush", "mosaic"], [1.0, 0.0], "expected positive weights, found 0.0"),
        (["brush", "mosaic"], [2.0, -1.0], "expected positive weights, found -1.0"),
        (["brush", "mosaic"], [1.0, -1.0], "expected positive weights"),
        (["brush", "mosaic"], [1.0, float("nan")], "expected positive weights"),
        (["brush", "mosaic"], [1.0, float("inf")], "expected positive weights"),
        (["brush", "mosaic"], [1.0, 1e-12], "expected positive weights"),
        ({"brush": 1, "mosaic": "much"}, None, "expected positive weights, found"),
        ({"brush": 1, "mosaic": 1}, [1.0, 1.0], "once"),
        (["brush", "nothing"], None, "nothing"),
    ],
)
def test_wrong_blends(backbone: Backbone, style: Any, blend: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        stylize("chelsea", style, backbone, blend=blend, size=32, evals=1)


def test_shares_of_weights_add_up_to_one() -> None:
    assert shares([70, 30]) == shares([0.7, 0.3]) == (0.7, 0.3)
    assert sum(shares([1, 1, 1])) == pytest.approx(1)
    for kind in (np.float32, np.float64, np.int64):
        assert shares([*np.array([7, 3], kind)]) == pytest.approx((0.7, 0.3))


def test_the_strength_multiplies_the_weight_of_the_style(
    backbone: Backbone, three: tuple[Tensor, ...]
) -> None:
    content, a, _ = three
    for preset in ("balanced", "robust", "paper"):
        made = [
            stylize(content, a, backbone, preset=preset, strength=strength, evals=5,
                    loss={"style_weight": weight})
            for strength, weight in ((1, 6.0), (2, 3.0))
        ]  # fmt: skip
        assert torch.equal(made[0].tensor, made[1].tensor)


@pytest.mark.parametrize("strength", [0, -1, float("nan"), float("inf"), 1e308])
def test_a_strength_is_positive(backbone: Backbone, strength: float) -> None:
    with pytest.raises(InputError, match="strength: expected a positive number"):
        stylize("chelsea", "brush", backbone, preset="released", strength=strength, size=32)


def test_the_style_picture_is_scaled_not_the_content(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    real = Backbone.forward

    def forward(network: Backbone, x: Tensor) -> dict[str, Tensor]:
        seen.append(tuple(x.shape[-2:]))
        return real(network, x)

    monkeypatch.setattr(Backbone, "forward", forward)
    array = np.zeros((30, 40, 3), np.uint8)
    for style, size, expected in (
        ("mosaic", 32, 48),
        (PIL.Image.new("RGB", (90, 90)), 32, 48),
        (array, None, 60),
        (torch.zeros(3, 30, 40), None, 60),
        (array, 32, 48),
    ):
        seen.clear()
        content = "chelsea" if size else torch.zeros(1, 3, 32, 24)
        found = stylize(content, style, backbone, size=size, style_scale=1.5, evals=1)
        assert max(found.tensor.shape[-2:]) == 32
        assert max(seen[0]) == expected, style


@pytest.mark.parametrize("scale", [0.4, 200, 1e308])
def test_a_scale_that_no_picture_has(backbone: Backbone, scale: float) -> None:
    with pytest.raises(InputError, match="style_scale: expected a style picture of 16 to 4096 px"):
        stylize("chelsea", "brush", backbone, size=32, style_scale=scale, evals=1)
    assert style_size(512, 8) == 4096
