"""Losses and smoothings against float64 numpy, gradcheck, and the released script's formulas."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import softmax as scipy_softmax
from scipy.stats import entropy as shannon
from torch import Tensor, nn
from torchvision.models import resnet50

from stylebench.backbones.extractor import Backbone, build
from stylebench.config import LossSpec, SmoothingSpec, WeightsRef
from stylebench.errors import InputError
from stylebench.transfer import losses, smoothing
from stylebench.transfer.objective import Objective
from stylebench.transfer.presets import PRESETS

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, for ImageNet


def random_maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numpy_gram(maps: Tensor) -> np.ndarray:
    flat = maps.numpy().reshape(maps.shape[0], maps.shape[1], -1)
    return np.asarray(np.einsum("bim,bjm->bij", flat, flat) / flat.shape[2])


def test_gram_equals_numpy_in_float64() -> None:
    maps = random_maps(2, 5, 4, 3)
    assert_allclose(losses.gram(maps).numpy(), numpy_gram(maps), rtol=1e-13)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (1, 8, 60, 61), (3, 4, 64, 64), (2, 3, 1, 2051)])
def test_gram_as_a_gpu_computes_it_equals_numpy(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    maps = random_maps(*shape).contiguous(memory_format=layout)
    assert_allclose(losses.gram(maps).numpy(), numpy_gram(maps), rtol=1e-12, atol=1e-14)


def test_softmax_as_a_gpu_computes_it_equals_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    maps = 300 * random_maps(2, 5, 4, 3)
    found, unit = smoothing.softmax(maps, temperature=2.0)
    expected = scipy_softmax(maps.numpy().reshape(2, -1) / 2, axis=1)
    assert_allclose((found * unit).reshape(2, -1).numpy(), expected, rtol=1e-12)
    few = random_maps(2, 2, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: smoothing.softmax(x)[0], (few,))


def test_auto_is_fp32_for_exponents_on_a_gpu_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (9, 0))
    found = {
        (name, device): smoothing.precision("auto", SmoothingSpec(name=name), device)
        for name in ("none", "softmax", "softmax-fitted")
        for device in ("cuda", "cpu")
    }
    assert [found[name, "cuda"] for name in ("none", "softmax", "softmax-fitted")] == [
        "bf16", "fp32", "fp32",
    ]  # fmt: skip
    assert found["softmax", "cpu"] == found["softmax-fitted", "cpu"] == "fp32"


def test_paper_normalisation_is_equations_3_and_4() -> None:
    x, target = random_maps(1, 6, 5, 4), random_maps(1, 6, 5, 4, seed=1)
    d, m = 6, 20
    content = losses.content_factor((1, 6, 5, 4), "paper") * losses.squared_distance(x, target)
    assert_allclose(content.item(), 0.5 * ((x - target).numpy() ** 2).sum(), rtol=1e-13)
    difference = (numpy_gram(x) - numpy_gram(target)) * m  # G = F Fᵀ, as in eq. (1)
    expected = (difference**2).sum() / (4 * d**2 * m**2)
    distance = losses.squared_distance(losses.gram(x), losses.gram(target))
    factor = losses.style_factor((1, 6, 5, 4), "paper", pixels=80)
    assert_allclose((factor * distance).item(), expected, rtol=1e-12)


def test_total_variation_equals_numpy() -> None:
    image = random_maps(1, 3, 7, 5)
    x = image[0].numpy()
    expected = ((np.diff(x, axis=1) ** 2).sum() + (np.diff(x, axis=2) ** 2).sum()) / x.size
    assert_allclose(losses.total_variation(image).item(), expected, rtol=1e-13)


def keras_variation(image: np.ndarray) -> float:
    """The Keras example's, of one image (1, 3, H, W) in [0, 1], position by position."""
    x, total = 255 * image[0].astype(np.float64), 0.0
    _, height, width = x.shape
    for i in range(height - 1):
        for j in range(width - 1):
            a, b = (x[:, i, j] - x[:, i + 1, j]) ** 2, (x[:, i, j] - x[:, i, j + 1]) ** 2
            total += ((a + b) ** 1.25).sum()
    return total


def test_keras_total_variation_equals_numpy() -> None:
    image = torch.rand(2, 3, 7, 5, generator=torch.Generator().manual_seed(3)).double()
    expected = [keras_variation(one.numpy()) for one in image[:, None]]
    assert_allclose(losses.keras_total_variation(image).numpy(), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(losses.keras_total_variation, image.requires_grad_())


def test_keras_total_variation_is_flat_on_a_flat_picture() -> None:
    image = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    variation = losses.keras_total_variation(image)
    variation.sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert variation.item() == image.grad.abs().max().item() == 0


@pytest.mark.parametrize("size", [(32, 40), (64, 56)])
def test_keras_preset_is_the_keras_example(size: tuple[int, int]) -> None:
    """Its formulas in float64; a style picture of another size counts by its mean per position."""
    generator = torch.Generator().manual_seed(5)
    x, content = torch.rand(2, 1, 3, 32, 40, generator=generator)
    style = torch.rand(1, 3, *size, generator=generator)
    backbone = build("r-tiny", WeightsRef(source="random:0"), seed=0)
    with torch.no_grad():
        maps, wanted_c, wanted_s = (
            {name: found.double() for name, found in backbone(image).items()}
            for image in (x, content, style)
        )
    expected_c = float(((maps["stage3"] - wanted_c["stage3"]).numpy() ** 2).sum())
    expected_s = 0.0
    for name in (f"stage{stage}" for stage in range(5)):
        a, b = (m[name].flatten(2)[0].numpy() for m in (maps, wanted_s))
        positions = a.shape[1] / b.shape[1]  # 1 where both pictures have one size, as in Keras
        expected_s += ((a @ a.T - positions * b @ b.T) ** 2).sum() / (4 * 3**2 * (32 * 40) ** 2)
    expected_v = keras_variation(x.numpy())
    spec = LossSpec.model_validate(PRESETS["keras"]["loss"])
    objective = Objective(backbone, [(content, style)], SmoothingSpec(name="none"), spec)
    objective(x)
    ((found, _),) = objective.trace(0, 1)
    assert_allclose(
        (found.content_loss, found.style_loss, found.tv_loss),
        (expected_c, expected_s, expected_v),
        rtol=1e-4,
    )
    expected = 2.5e-8 * expected_c + 1e-6 / 5 * expected_s + 1e-6 * expected_v
    assert_allclose(found.loss, expected, rtol=1e-4)


@pytest.mark.parametrize("name", list(smoothing.SMOOTHINGS))
def test_gradients_of_the_smoothed_gram_loss(name: str) -> None:
    target = losses.gram(random_maps(1, 3, 4, 3, seed=2))

    spec = SmoothingSpec(name=name)
    fitted = smoothing.fit(spec, random_maps(1, 3, 4, 3, seed=1), 0)

    def loss(maps: Tensor) -> Tensor:
        smoothed, _ = smoothing.apply(spec, maps, 0, fitted)
        return losses.squared_distance(losses.gram(smoothed), target)

    assert torch.autograd.gradcheck(loss, random_maps(1, 3, 4, 3).requires_grad_())


@pytest.mark.parametrize(
    ("name", "axes"),
    [("softmax", (1, 2, 3)), ("softmax-channels", (1,)), ("softmax-space", (2, 3))],
)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 10.0])
def test_smoothing_equals_scipy_softmax(
    name: str, axes: tuple[int, ...], temperature: float
) -> None:
    maps = 3 * random_maps(2, 5, 4, 3)
    spec = SmoothingSpec(name=name, params={"temperature": temperature})
    found, unit = smoothing.apply(spec, maps, stage=0)
    assert_allclose(
        (found * unit).numpy(), scipy_softmax(maps.numpy() / temperature, axes), rtol=1e-12
    )
    assert found.mean().item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("times", [2, 3])
def test_nested_is_a_softmax_of_n_times_a_softmax(times: int) -> None:
    maps = 2 * random_maps(2, 5, 4, 3)
    found, unit = smoothing.apply(SmoothingSpec(name="nested", params={"times": times}), maps, 0)
    expected = scipy_softmax(maps.numpy(), (1, 2, 3))
    for _ in range(times - 1):
        expected = scipy_softmax(60 * expected, (1, 2, 3))
    assert_allclose((found * unit).numpy(), expected, rtol=1e-11)
    assert found.mean().item() == pytest.approx(1, rel=1e-12)
    plain = smoothing.apply(SmoothingSpec(name="nested"), maps, 0)[0]
    assert torch.equal(plain, found) is (times == 2)


def test_nested_keeps_what_a_bare_softmax_of_a_softmax_loses() -> None:
    maps = random_maps(1, 100, 100, 100)
    bare = maps.flatten(1).softmax(dim=1).softmax(dim=1) * maps.numel()
    found, _ = smoothing.apply(SmoothingSpec(name="nested"), maps, 0)
    assert float((bare - 1).abs().max()) < 2e-4
    assert float(found.std()) > 0.5


def test_mean_divides_each_image_by_its_mean_magnitude() -> None:
    maps = random_maps(3, 5, 4, 3) * torch.tensor([1e-3, 1.0, 1e4]).view(3, 1, 1, 1)
    found, unit = smoothing.apply(SmoothingSpec(name="mean"), maps, 0)
    sizes = np.abs(maps.numpy()).mean(axis=(1, 2, 3), keepdims=True)
    assert unit == 1
    assert_allclose(found.numpy(), maps.numpy() / sizes, rtol=1e-13)


def test_mean_of_a_dead_map_is_zero_and_so_is_its_gradient_finite() -> None:
    maps = random_maps(2, 3, 4, 3)
    maps[0] = 0
    maps.requires_grad_()
    found, _ = smoothing.apply(SmoothingSpec(name="mean"), maps, 0)
    torch.autograd.backward(found.square().sum())
    assert not found[0].any()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_mean_of_a_map_in_bf16_keeps_its_relative_error() -> None:
    """Whatever the scale: 2^-9 by rounding each entry, and less for their average."""
    maps = random_maps(1, 8, 16, 16) * 1e3
    exact, _ = smoothing.apply(SmoothingSpec(name="mean"), maps, 0)
    found, _ = smoothing.apply(SmoothingSpec(name="mean"), maps.bfloat16(), 0)
    assert found.dtype == torch.float32
    assert_allclose(found.numpy(), exact.numpy(), rtol=2**-8)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_softmax_mean_is_softmax_without_the_scale(temperature: float, size: float) -> None:
    maps = random_maps(2, 5, 4, 3)
    spec = SmoothingSpec(name="softmax-mean", params={"temperature": temperature})
    found, unit = smoothing.apply(spec, size * maps, stage=0)
    scaled = maps.numpy() / np.abs(maps.numpy()).mean(axis=(1, 2, 3), keepdims=True)
    expected = scipy_softmax(scaled / temperature, (1, 2, 3))
    assert_allclose((found * unit).numpy(), expected, rtol=1e-11)
    assert found.mean().item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("times", [1.0, 2.5])
def test_times_is_a_whole_number_of_at_least_2(times: float) -> None:
    with pytest.raises(
        InputError, match=f"times must be a whole number of at least 2, found {times:g}"
    ):
        smoothing.check(SmoothingSpec(name="nested", params={"times": times}))
    smoothing.check(SmoothingSpec(name="nested", params={"times": 3.0}))


def test_defaults_are_no_part_of_a_smoothing() -> None:
    for name in smoothing.SMOOTHINGS:
        spec = SmoothingSpec(name=name, params=smoothing.parameters(name))
        assert smoothing.canonical(spec) == SmoothingSpec(name=name)


@pytest.mark.parametrize("entropy", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_the_fitted_temperature_gives_the_entropy_at_any_scale(
    entropy: float, factor: float
) -> None:
    maps = random_maps(2, 3, 16, 16).square() * factor
    fitted = smoothing.temperature_at(maps, entropy)
    assert fitted.shape == (2, 1, 1, 1)
    for image, temperature in zip(maps.numpy(), fitted.flatten().tolist(), strict=True):
        p = scipy_softmax(image.ravel() / temperature)
        assert shannon(p) / math.log(p.size) == pytest.approx(entropy, abs=1e-4)


def test_a_map_is_smoothed_as_the_style_s_is() -> None:
    style, other = random_maps(1, 3, 4, 4, seed=1) * 50, random_maps(1, 3, 4, 4)
    spec = SmoothingSpec(name="softmax-fitted", params={"entropy": 0.8})
    fitted = smoothing.fit(spec, style, 0)
    assert fitted is not None
    found, unit = smoothing.apply(spec, other, 0, fitted)
    expected = scipy_softmax(other.numpy() / float(fitted))
    assert_allclose((found * unit).numpy(), expected, rtol=1e-12)
    assert smoothing.fit(SmoothingSpec(name="softmax-fitted", layers="deep"), style, 0) is None
    assert smoothing.fit(SmoothingSpec(name="softmax"), style, 0) is None


@pytest.mark.parametrize("maps", [torch.zeros(1, 2, 3, 3), torch.full((1, 2, 3, 3), 7.0)])
def test_a_constant_map_is_smoothed_to_a_constant(maps: Tensor) -> None:
    found, _ = smoothing.softmax_fitted(maps)
    assert torch.equal(found, torch.ones_like(found))


@pytest.mark.parametrize("entropy", [1.0, 1.5])
def test_an_entropy_is_below_1(entropy: float) -> None:
    with pytest.raises(InputError, match=f"entropy must be below 1, found {entropy:g}"):
        smoothing.check(SmoothingSpec(name="softmax-fitted", params={"entropy": entropy}))


def test_scale_multiplies_by_alpha() -> None:
    maps = random_maps(1, 3, 2, 2)
    found, unit = smoothing.apply(SmoothingSpec(name="scale", params={"alpha": 0.01}), maps, 0)
    assert_allclose((found * unit).numpy(), 0.01 * maps.numpy(), rtol=1e-15)


def test_deep_smooths_the_two_deepest_stages_alone() -> None:
    maps = random_maps(1, 3, 2, 2)
    spec = SmoothingSpec(name="softmax", layers="deep")
    untouched = [smoothing.apply(spec, maps, stage)[0] is maps for stage in range(5)]
    assert untouched == [True, True, True, False, False]


class Released(nn.Module):
    """The released script's terms, written out independently of stylebench, with forward hooks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.smooth, self.maps = resnet50(weights=None).eval(), "none", list[Tensor]()
        for module in (self.net.relu, *(getattr(self.net, f"layer{i}") for i in range(1, 5))):
            module.register_forward_hook(lambda m, i, o: self.maps.append(o.clone()))

    def features(self, image: Tensor) -> list[Tensor]:
        mean, std = torch.tensor(MEAN), torch.tensor(STD)
        self.maps.clear()
        self.net((image - mean[:, None, None]) / std[:, None, None])
        maps = list(self.maps)
        for stage in (3, 4):
            if self.smooth == "softmax-channels":
                maps[stage] = torch.softmax(maps[stage], dim=1)
            elif self.smooth == "scale":
                maps[stage] = maps[stage] * 0.001
        return maps

    @staticmethod
    def gram(maps: Tensor) -> Tensor:
        b, c, h, w = maps.shape
        flat = maps.reshape(b * c, h * w)
        return torch.mm(flat, flat.t()) / (b * c * h * w)

    def terms(self, x: Tensor, content: Tensor, style: Tensor) -> tuple[float, float]:
        found, wanted_c, wanted_s = (self.features(image) for image in (x, content, style))
        content_term = ((found[3] - wanted_c[3]) ** 2).mean()
        pairs = zip(found, wanted_s, strict=True)
        style_term = sum((((self.gram(a) - self.gram(b)) ** 2).mean() for a, b in pairs))
        return float(content_term), float(style_term)


@pytest.mark.parametrize("size", [(32, 40), (64, 40), (32, 80)])
@pytest.mark.parametrize("name", ["none", "softmax"])
def test_pictures_of_different_sizes_are_compared_by_means(
    name: str, size: tuple[int, int]
) -> None:
    """The style term of eqs. (4) and (13) in float64, with G/M for G and N·σ for σ."""
    generator = torch.Generator().manual_seed(4)
    x, style = torch.rand(1, 3, 32, 40, generator=generator), torch.rand(1, 3, *size)
    backbone = build("r-tiny", WeightsRef(source="random:0"), seed=0)
    with torch.no_grad():
        maps, wanted = backbone(x), backbone(style)
    expected, units = 0.0, 1.0
    for key in (f"stage{stage}" for stage in range(5)):
        a, b = (found[key].double() for found in (maps, wanted))
        if name == "softmax":
            a, b = (torch.from_numpy(scipy_softmax(m.numpy())) * m.numel() for m in (a, b))
            units = b.numel() ** -4
        d = a.shape[1]
        expected += units * ((numpy_gram(a) - numpy_gram(b)) ** 2).sum() / (4 * d**2)
    spec = LossSpec(balance="none")
    objective = Objective(backbone, [(x, style)], SmoothingSpec(name=name), spec)
    objective(x)
    assert_allclose(objective.trace(0, 1)[0][0].style_loss, expected, rtol=1e-4)


@pytest.fixture(scope="module")
def released() -> tuple[Released, Backbone]:
    return Released(), build("r-resnet50", WeightsRef(source="random:0"), seed=0)


@pytest.mark.parametrize("smooth", ["none", "softmax-channels", "scale"])
@pytest.mark.parametrize("start", [pytest.param("content", marks=pytest.mark.slow), "other"])
def test_released_preset_reproduces_the_released_script(
    released: tuple[Released, Backbone], smooth: str, start: str
) -> None:
    script, backbone = released
    script.smooth = smooth
    x, content, style = torch.rand(3, 1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    x = content if start == "content" else x
    with torch.no_grad():
        expected = script.terms(x, content, style)
    spec = LossSpec.model_validate(PRESETS["released"]["loss"])
    assert (spec.content_weight, spec.style_weight) == (1, 1e17)
    smoothed = SmoothingSpec(name=smooth, layers="deep")
    objective = Objective(backbone, [(content, style)], smoothed, spec)
    objective(x)
    ((found, _),) = objective.trace(0, 1)
    # BatchNorm is folded here and not there: rounding of float32 through 50 layers.
    assert_allclose((found.content_loss, found.style_loss), expected, rtol=3e-5)
    assert_allclose(found.loss, expected[0] + 1e17 * expected[1], rtol=3e-5)
