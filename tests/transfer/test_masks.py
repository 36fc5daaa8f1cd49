"""Styles in regions: guided Gram matrices against numpy, white masks, places, and wrong masks."""

from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from stylebench.backbones.extractor import Backbone, build
from stylebench.config import LossSpec, SmoothingSpec, WeightsRef
from stylebench.errors import InputError
from stylebench.transfer import smoothing
from stylebench.transfer.colours import luminance
from stylebench.transfer.objective import Objective
from stylebench.transfer.presets import settings
from stylebench.transfer.stylize import stylize_batch
from stylebench.transfer.targets import Regions, encode
from tests.transfer.pairs import stylize, three_pairs, vgg11

NONE = SmoothingSpec(name="none")
Array = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("r-tiny", WeightsRef(source="random:0"), seed=0)


@pytest.fixture(scope="module")
def smooth_network() -> Backbone:
    return vgg11(torch.float64)


def left(height: int = 48, width: int = 48, end: int = 16) -> Tensor:
    """Return a mask that is white on the left, with a soft edge of a third."""
    mask = torch.zeros(1, 1, height, width, dtype=torch.float64)
    mask[..., :end] = 1
    mask[..., end : end + 4] = 1 / 3
    return mask


def guided(maps: Tensor, mask: Tensor) -> Array:
    """Return Σ w F Fᵀ over the positions, w = T², as the paper has it."""
    f = maps[0].numpy()
    d, h, w = f.shape
    m = mask[0, 0].numpy()
    rows, columns = m.shape[0] // h, m.shape[1] // w
    t = m[: h * rows, : w * columns].reshape(h, rows, w, columns).mean(axis=(1, 3))
    t = (t / np.sqrt((t**2).sum())).ravel()
    f = f.reshape(d, h * w) * t
    found: Array = f @ f.T
    return found


@pytest.mark.parametrize("balance", ["none", pytest.param("target", marks=pytest.mark.slow)])
@pytest.mark.parametrize("smooth", [NONE, SmoothingSpec(name="softmax-mean")])
def test_the_loss_is_that_of_guided_gram_matrices(
    smooth_network: Backbone, smooth: SmoothingSpec, balance: Any
) -> None:
    (content, a), (_, b), *_ = three_pairs(torch.float64)
    masks = left(), 1 - left()
    x = content.flip(-1).contiguous()
    spec = LossSpec(balance=balance, style_weight=3.0)

    def smoothed(picture: Tensor) -> dict[str, tuple[Tensor, float]]:
        with torch.no_grad():
            maps = smooth_network(picture)
        stages = {node.name: node.stage for node in smooth_network.style}
        return {k: smoothing.apply(smooth, v, stages[k]) for k, v in maps.items() if k in stages}

    expected = 0.0
    for picture, mask in ((a, masks[0]), (b, masks[1])):
        of_style, of_result = smoothed(picture), smoothed(x)
        share = float((mask.numpy() ** 2).mean())
        for node in smooth_network.style:
            (f, _), (s, style_unit) = of_result[node.name], of_style[node.name]
            flat = s[0].flatten(1).numpy()
            target = flat @ flat.T / flat.shape[1]
            distance = float(((guided(f, mask) - target) ** 2).sum())
            if balance == "target":
                expected += share * distance / float((target**2).sum())
            else:
                expected += share * distance * style_unit**4 / (4 * flat.shape[0] ** 2)
    pair = content, Regions((a, b), masks)
    objective = Objective(smooth_network, [pair], smooth, spec)
    objective(x)
    ((evaluation, layers),) = objective.trace(0, 1)
    assert evaluation.style_loss == pytest.approx(expected, rel=1e-9)
    assert sum(layers.values()) == pytest.approx(expected, rel=1e-9)
    assert list(layers) == [node.name for node in smooth_network.style], "a layer has all regions"


def test_the_gradient_is_that_of_the_loss(smooth_network: Backbone) -> None:
    (content, a), (_, b), *_ = three_pairs(torch.float64)
    pair = content, Regions((a, b), (left(), 1 - left()))
    objective = Objective(smooth_network, [pair], NONE, LossSpec())
    x = content.flip(-1).contiguous()
    (_, gradient), step = objective(x), 1e-5
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    high, low = (float(objective(x + sign * step * way)[0]) for sign in (1, -1))
    (scale,) = objective.scales
    first = objective.initial_gradients[0] * scale
    assert float(gradient.norm()) == pytest.approx(first, rel=1e-9)
    assert (high - low) / (2 * step) == pytest.approx(float((gradient * way).sum()), rel=1e-6)


@pytest.mark.parametrize("preset", ["robust", "balanced", "released"])
@pytest.mark.parametrize("smooth", ["none", "softmax-fitted"])
def test_a_white_mask_is_none_to_the_bit(backbone: Backbone, preset: str, smooth: str) -> None:
    how: dict[str, Any] = {"preset": preset, "smoothing": smooth, "size": 32, "evals": 4}
    plain = stylize("chelsea", "brush", backbone, **how)
    white = np.full((21, 32), 255, np.uint8)
    found = stylize("chelsea", "brush", backbone, masks=[white], **how)
    assert torch.equal(found.tensor, plain.tensor)
    assert found.evaluations == plain.evaluations


def test_a_white_mask_multiplies_nothing(backbone: Backbone) -> None:
    picture = torch.rand(1, 3, 32, 40)
    regions = Regions((picture, picture), (torch.ones(1, 1, 32, 40), left(32, 40)))
    _, *styles = encode(backbone, picture, regions, NONE)
    assert [target.guide is None for target in styles] == [True, False] * len(backbone.style)
    assert styles[0].share == 1.0


def test_a_style_asks_nothing_of_the_picture_elsewhere(backbone: Backbone) -> None:
    """Beyond the receptive field, which is 16 px to either side at the deepest node of r-tiny."""
    draw = torch.Generator().manual_seed(0)
    content, a, b = (torch.rand(1, 3, 64, 160, generator=draw) for _ in range(3))
    mask = torch.zeros(1, 1, 64, 160)
    mask[..., :32] = 1
    for image in ("pixels", "fourier"):
        how = settings("balanced", {"loss": {"content_weight": 0.0}, "evals": 5, "image": image})
        (made,) = stylize_batch(backbone, [(content, Regions((a,), (mask,)))], how)
        same = torch.equal(made.tensor[..., 64:], content[..., 64:])
        assert same is (image == "pixels"), "a spectrum is of the whole picture"
        assert not torch.equal(made.tensor[..., :32], content[..., :32])
    statistics = []
    for picture in (content, torch.cat([content[..., :64], b[..., 64:]], dim=-1)):
        objective = Objective(backbone, [(content, Regions((a,), (mask,)))], NONE, LossSpec())
        objective(picture)
        statistics.append(objective.trace(0, 1)[0][0].style_loss)
    assert statistics[0] == statistics[1]


def test_each_style_goes_where_its_mask_is_white(backbone: Backbone) -> None:
    draw = torch.Generator().manual_seed(0)
    rough = [torch.rand(1, 3, 8, 8, generator=draw) for _ in range(3)]
    content, bright, dark = (
        torch.nn.functional.interpolate(each, size=(48, 96), mode="bilinear") for each in rough
    )
    mask = torch.zeros(48, 96)
    mask[:, :48] = 1
    styles = [bright / 2 + 0.5, dark / 4]
    made = {}
    for name, masks in {"rest": [mask], "both": [mask, 1 - mask], "first": [None, mask]}.items():
        how: dict[str, Any] = {"masks": masks, "evals": 20, "preset": "robust"}
        made[name] = stylize(content, styles, backbone, **how).tensor
        one, two = (float(half.mean()) for half in made[name].tensor_split(2, dim=-1))
        assert (one > two + 0.1) is (name != "first"), name
        assert (two > one + 0.1) is (name == "first"), name
    assert torch.equal(made["rest"], made["both"])


def test_gradients_are_balanced_by_the_share_of_a_region(backbone: Backbone) -> None:
    draw = torch.Generator().manual_seed(0)
    content, a, b = (torch.rand(1, 3, 48, 48, generator=draw) for _ in range(3))
    mask = left().float()
    objective = Objective(backbone, [(content, Regions((a, b), (mask, 1 - mask)))], NONE,
                          LossSpec(balance="gradient"))  # fmt: skip
    objective.balance_gradients(content, [0])
    norms = objective._gradient_norms(content, [0])
    found = [norm[0] * term.factors[0] for norm, term in zip(norms, objective._terms, strict=False)]
    shares = [float(m.square().mean()) ** 0.5 for m in (mask, 1 - mask)]
    assert found == pytest.approx([1.0, *shares * len(backbone.style)], rel=1e-5)


def test_a_batch_of_masks_equals_its_pairs_one_by_one(smooth_network: Backbone) -> None:
    (c, a), (d, b), _ = three_pairs(torch.float64)
    pairs = [
        (c, Regions((a, b), (left(), 1 - left()))),
        (d, Regions((b, a), (left(end=24), torch.ones(1, 1, 48, 48, dtype=torch.float64)))),
    ]
    how = settings("balanced", {"evals": 2})
    together = stylize_batch(smooth_network, pairs, how)
    for pair, found in zip(pairs, together, strict=True):
        (alone,) = stylize_batch(smooth_network, [pair], how)
        losses = [step.loss for step in alone.evaluations]
        assert [step.loss for step in found.evaluations] == pytest.approx(losses, rel=1e-8)
    with pytest.raises(InputError, match="as many regions in each pair of a batch"):
        stylize_batch(smooth_network, [pairs[0], (d, a)], how)


def test_masks_as_people_have_them(backbone: Backbone) -> None:
    truth = np.zeros((21, 32), bool)
    truth[:10] = True
    grey = truth.astype(np.uint8) * 255
    kinds: list[Any] = [
        truth, grey, grey / 255.0, torch.from_numpy(truth), torch.from_numpy(truth)[None, None],
        PIL.Image.fromarray(grey), PIL.Image.fromarray(grey).convert("1"),
    ]  # fmt: skip
    made = [
        stylize("chelsea", "brush", backbone, masks=mask, size=32, evals=4).tensor for mask in kinds
    ]
    assert all(torch.equal(each, made[0]) for each in made)
    plain = stylize("chelsea", "brush", backbone, size=32, evals=4).tensor
    assert not torch.equal(made[0], plain)
    squashed = stylize("chelsea", "brush", backbone, masks=grey, size=32, evals=1, resize="squash")
    assert squashed.tensor.shape[-2:] == (32, 32)


WHITE, BLACK = np.full((21, 32), 255, np.uint8), np.zeros((21, 32), np.uint8)


@pytest.mark.parametrize(
    ("style", "keys", "text"),
    [
        ("brush", {"masks": [WHITE, WHITE]}, "one a style, or one less, .* found 2 for 1"),
        ("brush", {"masks": []}, "found 0 for 1"),
        ("brush", {"masks": [None]}, "found 0 for 1"),
        (["brush", "mosaic"], {"masks": [None, None]}, "found 0 for 2"),
        (["brush", "mosaic", "woodcut"], {"masks": [WHITE]}, "found 1 for 3"),
        ("brush", {"masks": [BLACK]}, "mask of style '1': .* but it is all black"),
        (["brush", "mosaic"], {"masks": [WHITE]}, "style '2': .* leave nothing for it"),
        ("brush", {"masks": [WHITE.T]}, "mask 1: expected .* of the content, 32×21, found 21×32"),
        ("brush", {"masks": [np.ones((32, 32), bool)], "resize": "squash"}, "proportions"),
        (["brush", "mosaic"], {"masks": [WHITE], "blend": [1, 1]}, "blend or masks, found both"),
        ({"brush": 1, "mosaic": 1}, {"masks": [WHITE]}, "blend or masks, found both"),
        ("brush", {"masks": [WHITE // 2], "gradients": True}, "styles without masks"),
        ("brush", {"masks": "nothing.png"}, "mask 'nothing.png' is neither"),
        ("brush", {"masks": [5]}, "mask: expected a name, a path"),
    ],
)
def test_wrong_masks(backbone: Backbone, style: Any, keys: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text) as told:
        stylize("chelsea", style, backbone, **{"size": 32, "evals": 1, **keys})
    assert "\n" not in str(told.value)


# ------------------------------------------------------------------- a picture to start from


def test_a_start_is_a_picture_of_the_contents_size(backbone: Backbone) -> None:
    how: dict[str, Any] = {"size": 32, "evals": 5}
    first = stylize("chelsea", "brush", backbone, **how)
    again = stylize("chelsea", "brush", backbone, start=first.tensor, **how)
    assert again.initial.loss < first.initial.loss
    for start in ("chelsea", "content"):
        same = stylize("chelsea", "brush", backbone, start=start, **how)
        assert torch.equal(same.tensor, first.tensor)
    assert again.final.loss <= first.final.loss * 1.01
    with pytest.raises(InputError, match="start: expected the content's 32×21 px, found 32×32"):
        stylize("chelsea", "brush", backbone, start=torch.zeros(3, 32, 32), **how)
    with pytest.raises(InputError, match="start 'nois' is neither"):
        stylize("chelsea", "brush", backbone, start="nois", **how)


def test_a_given_start_leaves_the_objective_as_it_is(backbone: Backbone) -> None:
    """Weights that are measured near the start are measured at the content."""
    how: dict[str, Any] = {"size": 32, "preset": "robust"}
    first = stylize("chelsea", "brush", backbone, evals=5, **how)
    exact = stylize("chelsea", "brush", backbone, start=first.tensor, evals=1, **how)
    assert exact.initial.loss == pytest.approx(first.final.loss, rel=0.02), "but for the clamp"


def test_kept_colours_start_from_luminance(backbone: Backbone) -> None:
    how: dict[str, Any] = {"size": 32, "evals": 4, "colours": "luminance"}
    first = stylize("chelsea", "brush", backbone, **how)
    again = stylize("chelsea", "brush", backbone, start=first.tensor, **{**how, "evals": 1})
    assert again.initial.loss < first.initial.loss / 2
    grey = luminance(first.tensor)
    same = stylize("chelsea", "brush", backbone, start=grey, **{**how, "evals": 1})
    assert same.initial.loss == pytest.approx(again.initial.loss, rel=0.05)
