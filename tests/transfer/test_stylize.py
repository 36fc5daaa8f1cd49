"""The transfer loop against torch's L-BFGS alone, scipy's L-BFGS-B, and exact invariances."""

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from numpy.testing import assert_allclose
from torch import Tensor

import stylebench
from stylebench import images
from stylebench.backbones.extractor import Backbone, build
from stylebench.config import (
    LossSpec,
    OptimiserSpec,
    SmoothingSpec,
    Start,
    TransferSettings,
    WeightsRef,
)
from stylebench.errors import InputError, JobError
from stylebench.transfer import objective
from stylebench.transfer.losses import gram, total_variation
from stylebench.transfer.objective import Objective
from stylebench.transfer.optimisers import DIVERGED
from stylebench.transfer.presets import PRESETS
from stylebench.transfer.stylize import Stylization, stylize_batch
from tests.transfer.pairs import stylize, three_pairs, vgg11

BALANCED = LossSpec()
PAPER = LossSpec.model_validate(PRESETS["paper"]["loss"])
TORCH = OptimiserSpec(line_search="none", first_step="torch")
NONE, SOFTMAX = SmoothingSpec(name="none"), SmoothingSpec(name="softmax")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("r-tiny", WeightsRef(source="random:0"), seed=0)


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(2, 3, 12, 12, generator=generator)
    smooth = torch.nn.functional.interpolate(rough, size=(32, 40), mode="bicubic").clamp(0, 1)
    return smooth[:1].contiguous(), smooth[1:].contiguous()


def plain_loss(backbone: Backbone, content: Tensor, style: Tensor, image: Tensor) -> Tensor:
    """The paper's loss with α = 1, β = 1000, written out."""
    with torch.no_grad():
        wanted_c, wanted_s = backbone(content), backbone(style)
    maps = backbone(image)
    loss: Tensor = 0.5 * (maps["stage3"] - wanted_c["stage3"]).square().sum()
    for name in (f"stage{i}" for i in range(5)):
        d = maps[name].shape[1]
        loss = loss + 1000 / (4 * d**2) * (gram(maps[name]) - gram(wanted_s[name])).square().sum()
    return loss


def test_equals_torch_lbfgs_on_the_loss_written_out(pair: tuple[Tensor, Tensor]) -> None:
    content, style = (picture.double() for picture in pair)
    backbone = build("r-tiny", WeightsRef(source="random:6"), seed=6).double()
    image = content.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [image], max_iter=20, max_eval=25, tolerance_grad=0, tolerance_change=0
    )
    trace = []

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = plain_loss(backbone, content, style, image)
        loss.backward()  # type: ignore[no-untyped-call]
        trace.append(float(loss.detach()))
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    found = stylize(content, style, backbone, loss=PAPER, optimiser=TORCH, evals=20)
    assert_allclose([step.loss for step in found.evaluations][:12], trace[:12], rtol=1e-7)
    assert len(found.evaluations) == 20
    assert found.stop_reason == "evaluations"


@pytest.mark.slow
def test_reaches_the_loss_that_scipy_reaches_in_float64(pair: tuple[Tensor, Tensor]) -> None:
    """In the mean of several networks: of one, the two are up to 1.6 times apart, either way."""
    content, style = (picture.double() for picture in pair)
    ratios = []
    for seed in range(5, 10):
        network = build("r-tiny", WeightsRef(source=f"random:{seed}"), seed=seed).double()
        objective = Objective(network, [(content, style)], NONE, BALANCED)

        def value(x: np.ndarray, objective: Objective = objective) -> tuple[float, np.ndarray]:
            loss, gradient = objective(torch.from_numpy(x.reshape(content.shape)))
            scale = objective.scales[0]
            return float(loss) / scale, gradient.numpy().ravel() / scale

        expected = scipy.optimize.minimize(
            value, content.numpy().ravel(), jac=True, method="L-BFGS-B", options={"maxfun": 150}
        )
        ours = stylize(content, style, network, loss=BALANCED, evals=150)
        assert ours.final.loss < 0.1 * ours.initial.loss
        ratios.append(ours.final.loss / expected.fun)
    assert float(np.exp(np.log(ratios).mean())) < 1.35


@pytest.mark.parametrize("smooth", [NONE, SOFTMAX])
@pytest.mark.parametrize("balance", ["none", "target"])
def test_gradient_equals_finite_differences(
    pair: tuple[Tensor, Tensor], smooth: SmoothingSpec, balance: str
) -> None:
    content, style = (picture.double()[..., :16, :16].contiguous() for picture in pair)
    network = build("r-tiny", WeightsRef(source="random:8"), seed=8).double()
    spec = LossSpec.model_validate({"balance": balance, "tv_weight": 0.1, "style_weight": 10})
    objective = Objective(network, [(content, style)], smooth, spec)
    image = 0.5 * content + 0.5 * style
    _, gradient = objective(image)
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-6
    ends = [float(objective(image + sign * step * direction)[0]) for sign in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * step)
    assert_allclose(float((gradient * direction).sum()), expected, rtol=1e-5)


@pytest.mark.parametrize("factor", [2.0**-80, 2.0**-20, 2.0**20])
def test_the_unit_of_the_loss_does_not_matter(
    backbone: Backbone, pair: tuple[Tensor, Tensor], factor: float
) -> None:
    """Even where float32 would underflow; powers of two make the equality exact."""
    base = LossSpec(balance="none", content_weight=1, style_weight=1024, tv_weight=0.5)
    scaled = LossSpec(
        balance="none", content_weight=factor, style_weight=1024 * factor, tv_weight=0.5 * factor
    )
    a, b = (stylize(*pair, backbone, loss=spec, evals=12) for spec in (base, scaled))
    assert torch.equal(a.tensor, b.tensor)
    assert b.final.loss == pytest.approx(a.final.loss * factor, rel=1e-12)


def test_scaling_all_maps_is_a_change_of_weights_alone(
    backbone: Backbone, pair: tuple[Tensor, Tensor]
) -> None:
    scale = SmoothingSpec(name="scale", params={"alpha": 0.5})
    plain = LossSpec(balance="none", content_weight=1, style_weight=1000)
    undone = LossSpec(balance="none", content_weight=4, style_weight=16000)
    a = stylize(*pair, backbone, loss=plain, evals=12)
    b = stylize(*pair, backbone, loss=undone, smoothing=scale, evals=12)
    assert torch.equal(a.tensor, b.tensor)
    c = stylize(*pair, backbone, loss=BALANCED, evals=12)
    d = stylize(*pair, backbone, loss=BALANCED, smoothing=scale, evals=12)
    assert torch.equal(c.tensor, d.tensor)


class Scaled(Backbone):
    """The tiny backbone with all maps multiplied by a factor, as a deep random network has them."""

    def __init__(self, backbone: Backbone, factor: float) -> None:
        torch.nn.Module.__init__(self)
        self.inner, self.factor = backbone, factor
        self.style, self.content = backbone.style, backbone.content
        self.arch, self.mean = backbone.arch, backbone.mean

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {name: maps * self.factor for name, maps in self.inner(image).items()}


@pytest.mark.parametrize("factor", [2.0**-45, 2.0**-25, 2.0**30, 2.0**45])
@pytest.mark.parametrize("balance", ["target", "gradient"])
def test_extreme_maps_are_brought_into_the_range_of_float32(
    backbone: Backbone, pair: tuple[Tensor, Tensor], factor: float, balance: str
) -> None:
    """Squared distances of Gram matrices would go by the fourth power: 2^±180 is out of range."""
    loss = LossSpec.model_validate({"balance": balance})
    found = stylize(*pair, Scaled(backbone, factor), loss=loss, evals=8)
    assert torch.equal(found.tensor, stylize(*pair, backbone, loss=loss, evals=8).tensor)


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30])
def test_a_gain_goes_into_the_weights(
    backbone: Backbone, pair: tuple[Tensor, Tensor], factor: float
) -> None:
    spec = LossSpec(balance="none", content_weight=1, style_weight=1000)
    plain, scaled = (
        Objective(chosen, [pair], NONE, spec) for chosen in (backbone, Scaled(backbone, factor))
    )
    for one in (plain, scaled):
        one(pair[1])
    ((a, layers),), ((b, grown),) = plain.trace(0, 1), scaled.trace(0, 1)
    assert b.content_loss == pytest.approx(a.content_loss * factor**2, rel=1e-5)
    assert grown == pytest.approx({k: v * factor**4 for k, v in layers.items()}, rel=1e-5)


def test_balance_gradient_gives_every_term_the_same_gradient_norm(
    backbone: Backbone, pair: tuple[Tensor, Tensor]
) -> None:
    content, style = pair
    spec = LossSpec(balance="gradient", style_weight=1, tv_weight=1)
    objective = Objective(backbone, [(content, style)], NONE, spec)
    objective.balance_gradients(content, [3])
    noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(3))
    image = (content + 0.1 * noise).requires_grad_()
    maps, wanted_c, wanted_s = backbone(image), backbone(content), backbone(style)
    terms = {n: (gram(maps[n]) - gram(wanted_s[n])).square().sum() for n in wanted_s}
    terms["content"] = (maps["stage3"] - wanted_c["stage3"]).square().sum()
    terms["tv"] = total_variation(image).sum()
    expected = {}
    for name, term in terms.items():
        (gradient,) = torch.autograd.grad(term, image, retain_graph=True)
        expected[name] = float(term.detach() / gradient.norm())
    objective(image.detach())
    ((losses, layers),) = objective.trace(0, 1)
    found = {**layers, "content": losses.content_loss, "tv": losses.tv_loss}
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"evals": 0}, "evals: expected at least 1, found 0"),
        ({"smoothing": SmoothingSpec(name="softmax", params={"temp": 1})}, "no parameter 'temp'"),
        ({"smoothing": SmoothingSpec(name="softmx")}, "did you mean 'softmax'"),
    ],
)
def test_wrong_settings_are_told(
    backbone: Backbone, pair: tuple[Tensor, Tensor], settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        stylize(*pair, backbone, **settings)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"resize": "crop"}, "^resize: expected 'aspect' or 'squash', found 'crop'$"),
        ({"size": 64.5}, "^size: expected a whole number, found 64.5$"),
        ({"size": "big"}, "^size: expected a whole number, found 'big'$"),
        ({"seed": -1}, "^seed: expected at least 0, found -1$"),
        ({"seed": True}, "^seed: expected a whole number, found True$"),
        ({"strength": "a"}, "^strength: expected a number.*, found 'a'$"),
        ({"strenght": 2}, r"unknown setting 'strenght'; did you mean 'strength' or 'start'"),
        ({"progress": 3}, "^progress: expected a function of a step, found 3$"),
    ],
)
def test_wrong_arguments_are_told(backbone: Backbone, given: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        stylebench.stylize("chelsea", "brush", backbone, **given)


def test_a_size_of_numpy_is_a_size(backbone: Backbone) -> None:
    size: Any = np.int64(48)
    made = stylebench.stylize("chelsea", "brush", backbone, size=size, evals=1)
    assert max(made.tensor.shape[-2:]) == 48


def test_a_picture_in_its_own_style_does_not_move(
    backbone: Backbone, pair: tuple[Tensor, Tensor]
) -> None:
    found = stylize(pair[0], pair[0], backbone, evals=10)
    assert found.stop_reason == "converged"
    assert set(found.flags) == {"did-not-move", "few-evaluations"}
    assert torch.equal(found.tensor, pair[0])


@pytest.mark.parametrize(
    "start", ["content", pytest.param("style", marks=pytest.mark.slow), "noise"]
)
@pytest.mark.parametrize(
    "optimiser",
    [
        {"name": "lbfgs"},
        {"name": "adam"},
        {"name": "lbfgsb"},
        {"name": "lbfgs", "line_search": "none"},
    ],
)
def test_every_start_and_optimiser_lowers_the_loss(
    backbone: Backbone, pair: tuple[Tensor, Tensor], start: Start, optimiser: dict[str, str]
) -> None:
    spec = OptimiserSpec.model_validate(optimiser)
    runs: list[Stylization] = [
        stylize(*pair, backbone, loss=BALANCED, optimiser=spec, start=start, evals=30)
        for _ in range(2)
    ]
    assert torch.equal(runs[0].tensor, runs[1].tensor)
    assert runs[0].final.loss < runs[0].initial.loss
    assert runs[0].tensor.shape == pair[0].shape
    assert len(runs[0].evaluations) <= 30
    assert runs[0].final.loss == min(step.loss for step in runs[0].evaluations)


@pytest.mark.parametrize(
    ("search", "balance", "dtype", "evals", "tolerance"),
    [
        pytest.param("none", "target", torch.float64, 8, 1e-9, marks=pytest.mark.slow),
        ("strong_wolfe", "gradient", torch.float64, 8, 1e-9),
        ("strong_wolfe", "target", torch.float32, 6, 1e-3),
    ],
)
def test_a_batch_equals_its_pairs_one_by_one(
    search: str, balance: str, dtype: torch.dtype, evals: int, tolerance: float
) -> None:
    pairs, backbone = three_pairs(dtype), vgg11(dtype)
    settings: dict[str, Any] = {
        "loss": LossSpec.model_validate({"balance": balance}),
        "optimiser": OptimiserSpec.model_validate({"line_search": search}),
        "evals": evals,
    }
    together = stylize_batch(backbone, pairs, TransferSettings(**settings), seeds=[0, 1, 2])
    for seed, (pair, found) in enumerate(zip(pairs, together, strict=True)):
        alone = stylize(*pair, backbone, **settings, seed=seed)
        losses = [step.loss for step in found.evaluations]
        assert losses == pytest.approx([step.loss for step in alone.evaluations], rel=tolerance)
        assert found.final == found.evaluations[losses.index(min(losses))]
        assert found.stop_reason == alone.stop_reason
        assert found.tensor.shape == pair[0].shape


def test_the_first_step_measures_curvature_in_float32() -> None:
    """A step of some grey levels does; after torch's, a thousandth of one, it is rounding."""
    traces = {}
    for first in (1.0, "torch"):
        spec = OptimiserSpec.model_validate({"first_step": first})
        for dtype in (torch.float32, torch.float64):
            made = stylize_batch(
                vgg11(dtype), three_pairs(dtype), TransferSettings(optimiser=spec, evals=6)
            )
            traces[first, dtype] = np.array(
                [[step.loss for step in one.evaluations] for one in made]
            )
    off = {
        first: np.abs(traces[first, torch.float32] / traces[first, torch.float64] - 1).max()
        for first in (1.0, "torch")
    }
    assert off[1.0] < 1e-3
    assert off["torch"] > 10 * off[1.0], "the test would pass with any first step"


def test_targets_are_encoded_once_for_jobs_that_share_them(
    backbone: Backbone, pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = (picture.clone() for picture in pair)
    seen: list[Tensor] = []
    real = Backbone.forward

    def forward(network: Backbone, x: Tensor) -> dict[str, Tensor]:
        seen.append(x)
        return real(network, x)

    monkeypatch.setattr(Backbone, "forward", forward)
    for loss in (PAPER, BALANCED):
        stylize(content, style, backbone, loss=loss, evals=2)
    assert sum(x is content for x in seen) == sum(x is style for x in seen) == 1
    style.mul_(0.5)
    found = stylize(content, style, backbone, evals=2)
    fresh = stylize(content.clone(), style.clone(), backbone, evals=2)
    assert found.initial == fresh.initial


def test_a_smoothing_is_fitted_to_each_style_of_a_batch(
    backbone: Backbone, pair: tuple[Tensor, Tensor]
) -> None:
    """The content too: its target hangs on the style that it is paired with."""
    content, style = pair
    spec = SmoothingSpec(name="softmax-fitted")
    pairs = [(content, style), (content, style.flip(1) * 0.5), (content, content)]
    each = [Objective(backbone, [pair], spec, LossSpec()) for pair in pairs]
    alone = [objective(style) for objective in each]
    scales = [objective.scales[0] for objective in each]
    together = Objective(backbone, pairs, spec, LossSpec())
    losses, _ = together(torch.cat([style] * 3))
    for index, (loss, _) in enumerate(alone):
        expected = float(loss[0]) / scales[index]
        assert float(losses[index]) / together.scales[index] == pytest.approx(expected, rel=1e-5)


def test_contents_of_several_sizes_are_no_batch(
    backbone: Backbone, pair: tuple[Tensor, Tensor]
) -> None:
    other = (pair[0][..., :32], pair[1])
    with pytest.raises(
        InputError, match=r"pictures of one size in a batch, found \d+×\d+ and \d+×\d+ px"
    ):
        stylize_batch(backbone, [pair, other])


def test_which_of_the_pictures_is_too_small_is_told() -> None:
    network = build("r-inception_v3", WeightsRef(source="random:0"), 0)
    large, small = torch.rand(1, 3, 80, 90), torch.rand(1, 3, 60, 80)
    for role, pair in (("style", (large, small)), ("content", (small, large))):
        with pytest.raises(InputError, match=f"^{role} picture: .* found 80×60"):
            stylize_batch(network, [pair])


def test_wrong_shape_and_unknown_node_are_refused(
    backbone: Backbone, pair: tuple[Tensor, Tensor]
) -> None:
    with pytest.raises(InputError, match=r"content: expected a tensor \(1, 3, H, W\)"):
        stylize(pair[0][0, 0], pair[1], backbone)
    with pytest.raises(InputError, match="no style node 'relu9_1'"):
        stylize(*pair, backbone, loss=LossSpec(layer_weights={"relu9_1": 1}))


def test_layer_weights_weigh_layers(backbone: Backbone, pair: tuple[Tensor, Tensor]) -> None:
    content, style = pair
    weights = {f"stage{i}": 0.0 for i in range(5)} | {"stage1": 2.0}
    found = []
    for spec in (LossSpec(), LossSpec(layer_weights=weights)):
        objective = Objective(backbone, [(content, style)], NONE, spec)
        objective(content)
        found.append(objective.trace(0, 1)[0])
    (_, plain), (weighted, _) = found
    assert weighted.style_loss == pytest.approx(2 * plain["stage1"])


@pytest.mark.parametrize("preset", ["balanced", "released"])
def test_lbfgs_without_line_search_descends(
    backbone: Backbone, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's L-BFGS drops pairs with y·s ≤ 1e-10 and steps along −g: the scale makes that sane."""
    pixels = [torch.from_numpy(images.read(f"builtin:{n}", 128)) for n in ("chelsea", "brush")]
    content, style = ((p.permute(2, 0, 1)[None] / 255).contiguous() for p in pixels)
    spec = LossSpec.model_validate(PRESETS[preset].get("loss", {}))

    def trace() -> list[float]:
        found = stylize(content, style, backbone, loss=spec, optimiser=TORCH, evals=40)
        return [step.loss for step in found.evaluations]

    ours = trace()
    assert min(ours) < 0.3 * ours[0]
    assert max(ours) < DIVERGED * ours[0]
    monkeypatch.setattr(objective, "FIRST_STEP", 2.0**20)
    assert min(trace()) > 0.9 * ours[0], "the test would pass with any scale"


def test_a_job_without_any_finite_descent_has_failed(backbone: Backbone) -> None:
    content, style = torch.rand(2, 1, 3, 32, 32)
    how = OptimiserSpec.model_validate({"name": "adam", "learning_rate": 1e30})
    with pytest.raises(JobError, match="the loss became nan at evaluation 2,"):
        stylize(content, style, backbone, optimiser=how, evals=5)
