"""Attention, AdaIN and the terms of training against the papers' formulas, written in numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebench.backbones.spec import Node
from stylebench.config import SmoothingSpec
from stylebench.stylisers.losses import LossNetwork
from stylebench.stylisers.moments import adain, moments, normalised
from stylebench.stylisers.sanet import Attention, SANet
from stylebench.stylisers.settings import TrainingLoss

EPSILON = 1e-5
Array = np.ndarray[Any, np.dtype[np.float64]]


def maps(seed: int, *shape: int) -> Array:
    return np.asarray(np.maximum(np.random.default_rng(seed).normal(0.3, 1.0, shape), 0))


def tensor(values: Array) -> Tensor:
    return torch.from_numpy(values)


def close(found: Tensor, expected: Array | float) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-6, atol=1e-9)


def statistics(f: Array) -> tuple[Array, Array]:
    """Of one channel's positions at a time, with loops."""
    mean, deviation = np.zeros(f.shape[:2]), np.zeros(f.shape[:2])
    for b, d in np.ndindex(*f.shape[:2]):
        values = f[b, d].ravel().tolist()
        mean[b, d] = sum(values) / len(values)
        squares = sum((v - mean[b, d]) ** 2 for v in values) / len(values)
        deviation[b, d] = (squares + EPSILON) ** 0.5
    return mean, deviation


def bar(f: Array) -> Array:
    mean, deviation = statistics(f)
    return np.stack([
        [(f[b, d] - mean[b, d]) / deviation[b, d] for d in range(f.shape[1])]
        for b in range(f.shape[0])
    ])  # fmt: skip


def with_moments_of(content: Array, style: Array) -> Array:
    mean, deviation = statistics(style)
    made = bar(content)
    for b, d in np.ndindex(*made.shape[:2]):
        made[b, d] = made[b, d] * deviation[b, d] + mean[b, d]
    return made


def one_by_one(convolution: torch.nn.Conv2d, f: Array) -> Array:
    weight = convolution.weight.detach().numpy()[:, :, 0, 0]
    bias = np.zeros(len(weight)) if convolution.bias is None else convolution.bias.detach().numpy()
    return np.asarray(np.einsum("ed,bdhw->behw", weight, f) + bias[None, :, None, None])


def three_by_three(convolution: torch.nn.Conv2d, f: Array) -> Array:
    """With reflection padding."""
    padded = np.pad(f, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    weight, (h, w) = convolution.weight.detach().numpy(), f.shape[2:]
    bias = np.zeros(len(weight)) if convolution.bias is None else convolution.bias.detach().numpy()
    made = np.zeros((len(f), len(weight), h, w)) + bias[None, :, None, None]
    for y, x in np.ndindex(3, 3):
        made += np.einsum("ed,bdhw->behw", weight[:, :, y, x], padded[:, :, y : y + h, x : x + w])
    return made


def attended(attention: Attention, content: Array, style: Array) -> Array:
    """F_c + W F_cs, position by position."""
    f, g = one_by_one(attention.f, bar(content)), one_by_one(attention.g, bar(style))
    h = one_by_one(attention.h, style)
    found = np.zeros_like(content)
    for b, y, x in np.ndindex(len(content), *content.shape[2:]):
        scores = np.array([
            np.exp(sum(f[b, :, y, x] * g[b, :, v, u])) for v, u in np.ndindex(*style.shape[2:])
        ])  # fmt: skip
        values = h[b].reshape(h.shape[1], -1)
        found[b, :, y, x] = values @ scores / scores.sum()
    return content + one_by_one(attention.out, found)


def test_moments_and_adain() -> None:
    content, style = maps(0, 2, 4, 5, 3), maps(1, 2, 4, 2, 6)
    mean, deviation = moments(tensor(style))
    close(mean[..., 0, 0], statistics(style)[0])
    close(deviation[..., 0, 0], statistics(style)[1])
    close(normalised(tensor(content)), bar(content))
    close(adain(tensor(content), tensor(style)), with_moments_of(content, style))


def test_a_map_of_one_position_has_finite_moments() -> None:
    mean, deviation = moments(torch.full((1, 2, 1, 1), 3.0))
    assert mean.flatten().tolist() == [3, 3]
    assert deviation.flatten().tolist() == pytest.approx([EPSILON**0.5] * 2)


def test_attention() -> None:
    torch.manual_seed(0)
    attention = Attention(4).double()
    content, style = maps(2, 2, 4, 3, 5), maps(3, 2, 4, 4, 2)
    close(attention(tensor(content), tensor(style)), attended(attention, content, style))


@pytest.mark.parametrize(("coarse", "size"), [(4, (2, 3)), (6, (2, 3)), (4, (2, 2))])
def test_sanet(coarse: int, size: tuple[int, int]) -> None:
    """Maps of one width and of two; twice as large, and not quite, as of 40 px: 5 and 2."""
    torch.manual_seed(1)
    network = SANet((4, coarse)).double()
    fine = (4, 6) if size == (2, 3) else (5, 4)
    content = maps(4, 1, 4, *fine), maps(5, 1, coarse, *size)
    style = maps(6, 1, 4, 4, 4), maps(7, 1, coarse, 2, 2)
    low = attended(network.coarse, content[1], style[1])
    if coarse != 4:
        assert isinstance(network.bring, torch.nn.Conv2d)
        low = one_by_one(network.bring, low)
    rows = [int(y * size[0] / fine[0]) for y in range(fine[0])]
    columns = [int(x * size[1] / fine[1]) for x in range(fine[1])]
    merged = attended(network.fine, content[0], style[0]) + low[:, :, rows][:, :, :, columns]
    convolution = network.merge[1]
    assert isinstance(convolution, torch.nn.Conv2d)
    found = network(tuple(map(tensor, content)), tuple(map(tensor, style)))
    close(found, three_by_three(convolution, merged))


class Stages(torch.nn.Module):
    """Two maps of a picture that numpy can make too: its pixels, and means of 2 × 2 of them."""

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        return {"a": picture, "b": torch.nn.functional.avg_pool2d(picture, 2) ** 2}


def stages(picture: Array) -> dict[str, Array]:
    b, d, h, w = picture.shape
    means = picture.reshape(b, d, h // 2, 2, w // 2, 2).mean(axis=(3, 5))
    return {"a": picture, "b": means**2}


NODES = (Node("a", "a", 2), Node("b", "b", 3))


def network(method: str, content: Sequence[Node] = NODES, **how: Any) -> LossNetwork:
    terms = {"style_weight": 1.0, "identity_pixels": 50.0, "identity_maps": 1.0, **how}
    return LossNetwork(Stages(), content, NODES, TrainingLoss(**terms), method)  # type: ignore[arg-type]


def distance(a: Array, b: Array, balance: str) -> Array:
    square = ((a - b) ** 2).reshape(len(a), -1).sum(axis=1)
    whole = (b**2).reshape(len(b), -1).sum(axis=1)
    return np.asarray(square / (a[0].size if balance == "none" else whole))


def terms(
    method: str, style: str, balance: str, made: Array, content: Array, target: Array
) -> tuple[float, float, float, float]:
    """All four, of pictures (made of content and target, content twice, target twice)."""
    n = len(content)
    first, own, goal = stages(made[:n]), stages(content), stages(target)
    of_content = of_style = np.zeros(n)
    for path in "ab":
        if method == "adain":
            of_content = of_content + distance(
                first[path], with_moments_of(own[path], goal[path]), balance
            )
        else:
            of_content = of_content + distance(bar(first[path]), bar(own[path]), balance)
        if style == "gram":
            grams = []
            for f in (first[path], goal[path]):
                flat = f.reshape(*f.shape[:2], -1)
                grams.append(np.einsum("bdm,bem->bde", flat, flat) / flat.shape[2])
            factor = 0.25 if balance == "none" else 1.0  # 1/(4 D²), of a mean over D² entries
            of_style = of_style + factor * distance(grams[0], grams[1], balance)
            continue
        (mean, deviation), (m, d) = statistics(first[path]), statistics(goal[path])
        if balance == "none":
            of_style = of_style + distance(mean, m, balance) + distance(deviation, d, balance)
        else:
            both = np.concatenate([mean, deviation], 1), np.concatenate([m, d], 1)
            of_style = of_style + distance(*both, balance)
    pixels = distance(made[n : 2 * n], content, "none") + distance(made[2 * n :], target, "none")
    again = np.zeros(n)
    for at, picture in ((n, content), (2 * n, target)):
        seen, wanted = stages(made[at : at + n]), stages(picture)
        again = again + sum(distance(seen[p], wanted[p], balance) for p in "ab")
    return tuple(float(t.mean()) for t in (of_content, of_style, pixels, again))  # type: ignore[return-value]


@pytest.mark.parametrize("balance", ["none", "target"])
@pytest.mark.parametrize("style", ["moments", "gram"])
@pytest.mark.parametrize("method", ["adain", "sanet"])
def test_terms(method: str, style: str, balance: str) -> None:
    random = np.random.default_rng(8)
    made, content, target = (random.random((n, 3, 8, 6)) for n in (6, 2, 2))
    pictures = tensor(np.concatenate([content, target]))
    loss = network(method, style=style, balance=balance)
    found = loss.terms(tensor(made), pictures, Stages()(pictures))
    expected = terms(method, style, balance, made, content, target)
    for value, wanted in zip(found, expected, strict=True):
        close(value, wanted)


def test_without_identities_their_terms_are_zero() -> None:
    pictures = torch.rand(4, 3, 8, 8, dtype=torch.float64)
    loss = network("adain", identity_pixels=0.0, identity_maps=0.0)
    found = loss.terms(pictures[:2], pictures, Stages()(pictures))
    assert [float(value) for value in found[2:]] == [0, 0]
    again = network("adain").terms(
        torch.cat([pictures[:2], pictures]), pictures, Stages()(pictures)
    )
    assert [float(value) for value in again[2:]] == [0, 0]
    assert found[:2] == again[:2]
    pixels = network("adain", identity_maps=0.0).terms(
        torch.cat([pictures[:2], 0.5 * pictures]), pictures, Stages()(pictures)
    )
    assert float(pixels[3]) == 0
    close(pixels[2], 0.5 * float(pictures.square().mean()))


def test_maps_are_smoothed_as_the_style_has_it_fitted() -> None:
    """Softmax at the temperature of the style's map, of content and result too."""
    from stylebench.transfer.smoothing import softmax, temperature_at

    pictures = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    made = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    smooth = SmoothingSpec(name="softmax-fitted", params={"entropy": 0.8})
    loss = network("sanet", NODES[:1], smoothing=smooth, identity_pixels=0.0, identity_maps=0.0)
    found = loss.terms(made, pictures, Stages()(pictures))
    temperature = temperature_at(pictures[1:], 0.8)
    own, content = (softmax(p, temperature)[0].numpy() for p in (made, pictures[:1]))
    close(found[0], float(distance(bar(own), bar(content), "none").mean()))


def test_deep_stages_alone_may_be_smoothed() -> None:
    smooth = SmoothingSpec(name="scale", layers="deep", params={"alpha": 0.5})
    picture = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    loss = network("sanet", smoothing=smooth)
    seen = loss.smoothed(Stages()(picture), loss.fit(Stages()(picture)))
    assert torch.equal(seen["a"], picture)
    assert torch.equal(seen["b"], Stages()(picture)["b"] * 0.5)
