"""The spectral parameterisations against numpy, autograd and dense matrices."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from stylebench.backbones.extractor import Backbone, build
from stylebench.config import (
    LossSpec,
    OptimiserSpec,
    SmoothingSpec,
    Start,
    TransferSettings,
    WeightsRef,
)
from stylebench.errors import InputError
from stylebench.transfer.objective import FIRST_STEP, Objective
from stylebench.transfer.optimisers import minimise
from stylebench.transfer.parameterisation import (
    PIXELS,
    Fourier,
    Parameterisation,
    Spectrum,
    parameterise,
)
from stylebench.transfer.stylize import stylize_batch
from tests.transfer.pairs import stylize

SIZES = [(16, 24), (17, 24), (16, 23), (17, 23)]
NONE = SmoothingSpec(name="none")
SPACES = [Fourier, Spectrum]
# Lucid, optvis/param/color.py
LUCID = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


def noise(size: tuple[int, int], seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, *size, generator=generator, dtype=dtype)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return copy.deepcopy(build("r-tiny", WeightsRef(source="random:0"), seed=0)).double()


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Tensor, Tensor]]:
    """Smooth pictures that stay in [0, 1] when they are optimised."""
    rough = 0.4 + 0.2 * torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0)).double()
    smooth = torch.nn.functional.interpolate(rough, size=(33, 40), mode="bilinear")
    return [(smooth[i : i + 1].contiguous(), smooth[i + 2 : i + 3].contiguous()) for i in range(2)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", SPACES)
def test_round_trips(size: tuple[int, int], kind: type[Spectrum]) -> None:
    x = noise(size, dtype=torch.float32)
    space = kind(x)
    assert_allclose(space.image(space.vector(x)).numpy(), x.numpy(), atol=1e-5)
    assert_allclose(space.vector(space.image(x)).numpy(), x.numpy(), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", SPACES)
def test_the_gradient_is_that_of_autograd_and_of_the_adjoint(
    size: tuple[int, int], kind: type[Spectrum]
) -> None:
    z, y = noise(size), noise(size, 1)
    space = kind(z)
    variable = z.clone().requires_grad_()
    (y * space.image(variable).sin()).sum().backward()  # type: ignore[no-untyped-call]
    assert variable.grad is not None
    found = space.gradient(y * space.image(z).cos())
    assert_allclose(found.numpy(), variable.grad.numpy(), atol=1e-10)
    inner = (space.image(z) * y).sum(), (z * space.gradient(y)).sum()
    assert_allclose(float(inner[0]), float(inner[1]), rtol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_coefficients_are_those_of_lucid(size: tuple[int, int]) -> None:
    """Lucid's x = C·irfft2(S·Z), up to one factor and the rotation of real and imaginary parts."""
    height, width = size
    x = noise(size).numpy()
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    scale = 1 / np.maximum(np.sqrt(fy**2 + fx**2), 1 / max(size))
    colours = np.einsum("ij,bjhw->bihw", np.linalg.inv(LUCID), x)
    lucid = np.fft.rfft2(colours, norm="ortho") / scale
    z = Fourier(torch.from_numpy(x)).vector(torch.from_numpy(x)).numpy()
    half = z[..., : width // 2 + 1]
    ratio = half / (lucid.real - lucid.imag)
    assert_allclose(ratio, np.broadcast_to(ratio.flat[0], ratio.shape), rtol=1e-8)
    opposite = np.roll(z[..., ::-1, ::-1], (1, 1), axis=(-2, -1))[..., : width // 2 + 1]
    assert_allclose(half**2 + opposite**2, 2 * np.abs(lucid * ratio.flat[0]) ** 2, atol=1e-10)


@pytest.mark.parametrize("size", SIZES)
def test_a_wave_is_one_coefficient_weighed_by_the_root_of_its_frequency(
    size: tuple[int, int],
) -> None:
    """cas of numpy: x = cas 2π(uy/H + vx/W) has z = √(HW)/S at (u, v) and 0 elsewhere."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    like = torch.zeros(1, 1, height, width, dtype=torch.float64)
    found = []
    for u, v in ((1, 0), (0, 2), (2, 3)):
        angle = 2 * np.pi * (u * rows / height + v * columns / width)
        z = Spectrum(like).vector(like + torch.from_numpy(np.cos(angle) + np.sin(angle)))[0, 0]
        found.append(float(z[u, v]) / np.hypot(u / height, v / width) ** 0.5)
        z[u, v] = 0
        assert_allclose(z.numpy(), 0, atol=1e-10)
    assert_allclose(found, found[0], rtol=1e-10)


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
@pytest.mark.parametrize("kind", SPACES)
def test_the_mean_square_of_the_singular_values_is_one(
    size: tuple[int, int], kind: type[Spectrum]
) -> None:
    count = 3 * size[0] * size[1]
    basis = torch.eye(count, dtype=torch.float64).view(count, 3, *size)
    matrix = kind(basis).image(basis).reshape(count, count).numpy()
    values = np.linalg.svd(matrix, compute_uv=False)
    assert_allclose((values**2).mean(), 1, rtol=1e-12)
    assert values.min() > 0.01


def test_the_first_step_changes_pixels_as_one_in_pixels_does(
    backbone: Backbone, pairs: list[tuple[Tensor, Tensor]]
) -> None:
    content = pairs[0][0]
    spaces: list[Parameterisation] = [PIXELS, *(kind(content) for kind in SPACES)]
    for space in spaces:
        objective = Objective(backbone, pairs[:1], NONE, LossSpec(), space)
        _, gradient = objective(space.vector(content))
        assert 1 <= float(space.image(gradient).abs().mean()) / FIRST_STEP < 2


@pytest.mark.parametrize("kind", SPACES)
def test_a_quadratic_is_minimised(kind: type[Spectrum]) -> None:
    target = noise((17, 24), 5)
    space = kind(target)

    def distance(vectors: Tensor) -> tuple[Tensor, Tensor]:
        change = space.image(vectors) - target
        return change.square().sum(dim=(1, 2, 3)), space.gradient(2 * change)

    minima = minimise(distance, space.vector(noise((17, 24), 6)), OptimiserSpec(history=100), 400)
    found = space.image(torch.stack([minimum.image for minimum in minima]))
    assert_allclose(found.numpy(), target.numpy(), atol=1e-3)


@pytest.mark.parametrize("image", ["fourier", "spectrum"])
@pytest.mark.parametrize("start", ["content", "style", "noise"])
@pytest.mark.parametrize(
    "optimiser",
    [
        {"name": "lbfgs"},
        pytest.param({"name": "adam", "learning_rate": 0.002}, marks=pytest.mark.slow),
        pytest.param({"line_search": "none"}, marks=pytest.mark.slow),
    ],
)
def test_it_lowers_the_loss_of_the_pixels(
    backbone: Backbone,
    pairs: list[tuple[Tensor, Tensor]],
    start: Start,
    optimiser: dict[str, Any],
    image: str,
) -> None:
    spec = OptimiserSpec.model_validate(optimiser)
    pixels = stylize(*pairs[0], backbone, optimiser=spec, start=start, evals=30)
    found = stylize(*pairs[0], backbone, optimiser=spec, start=start, evals=30, image=image)
    assert found.initial.loss == pytest.approx(pixels.initial.loss, rel=1e-6)
    assert found.initial_gradient == pytest.approx(pixels.initial_gradient, rel=1e-6)
    assert found.final.loss < 0.9 * found.initial.loss
    assert found.final.loss != pytest.approx(pixels.final.loss, rel=1e-3)
    assert found.flags == ()


def test_the_result_is_the_best_iterate_in_pixels(
    backbone: Backbone, pairs: list[tuple[Tensor, Tensor]]
) -> None:
    found = stylize(*pairs[0], backbone, evals=20, image="fourier")
    assert 0 < float(found.tensor.min()) < float(found.tensor.max()) < 1  # so nothing was clamped
    objective = Objective(backbone, pairs[:1], NONE, LossSpec())
    objective(found.tensor)
    ((evaluation, _),) = objective.trace(0, 1)
    assert evaluation.loss == pytest.approx(found.final.loss, rel=1e-9)


def test_a_batch_equals_its_pairs_one_by_one(
    backbone: Backbone, pairs: list[tuple[Tensor, Tensor]]
) -> None:
    together = stylize_batch(backbone, pairs, TransferSettings(evals=12, image="fourier"))
    for pair, found in zip(pairs, together, strict=True):
        alone = stylize(*pair, backbone, evals=12, image="fourier")
        losses = [step.loss for step in alone.evaluations]
        assert [step.loss for step in found.evaluations] == pytest.approx(losses, rel=1e-9)
        assert_allclose(found.tensor.numpy(), alone.tensor.numpy(), atol=1e-9)


def test_an_unknown_name_is_told() -> None:
    told = "image: expected pixels, fourier or spectrum, found 'wavelets'"
    with pytest.raises(InputError, match=told):
        parameterise("wavelets", torch.zeros(1, 3, 8, 8))  # type: ignore[arg-type]
