"""The gradient budget against autograd on the losses written out in double precision."""

import copy
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from stylebench import store
from stylebench.backbones.extractor import Backbone, build
from stylebench.config import LossSpec, SmoothingSpec, TransferSettings, WeightsRef
from stylebench.sweeps import job, plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.transfer.losses import total_variation
from stylebench.transfer.presets import PRESETS
from stylebench.transfer.stylize import stylize_batch
from tests.transfer.pairs import stylize

LAYERS = [f"stage{i}" for i in range(5)]
RELEASED = LossSpec.model_validate(
    {**PRESETS["released"]["loss"], "tv_weight": 3.0, "layer_weights": {"stage1": 0.5}}
)
GRADIENT = RELEASED.model_copy(update={"balance": "gradient", "style_weight": 1e-200})


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("r-tiny", WeightsRef(source="random:3"), seed=3)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.rand(4, 1, 3, 32, 40, generator=torch.Generator().manual_seed(0))


def written_out(
    backbone: Backbone, content: Tensor, style: Tensor, seed: int, smooth: str
) -> dict[tuple[str, str], float]:
    """The terms of the released script: means of squared differences, Gram matrices by C·H·W."""
    probe = torch.randn(content.shape, generator=torch.Generator().manual_seed(seed))
    image = (content + 0.1 * probe).double().requires_grad_()
    network = copy.deepcopy(backbone).double()

    def maps(picture: Tensor) -> dict[str, Tensor]:
        found = network(picture.double())
        if smooth == "softmax":
            return {n: m.flatten(1).softmax(dim=1).view_as(m) for n, m in found.items()}
        return dict(found)

    def gram(found: Tensor) -> Tensor:
        flat = found[0].flatten(1)
        return flat @ flat.T / found.numel()

    with torch.no_grad():
        wanted_c, wanted_s = maps(content), maps(style)
    mine = maps(image)
    terms = {("content", "stage3"): (mine["stage3"] - wanted_c["stage3"]).square().mean()}
    for name in LAYERS:
        weight = 1e17 * RELEASED.layer_weights.get(name, 1.0)
        distance = (gram(mine[name]) - gram(wanted_s[name])).square().mean()
        terms["style", name] = weight * distance
    terms["tv", ""] = 3 * total_variation(image).sum()
    return {
        key: float(torch.autograd.grad(term, image, retain_graph=True)[0].norm())
        for key, term in terms.items()
    }


@pytest.mark.parametrize("smooth", ["none", "softmax"])
def test_equals_autograd_on_the_terms_written_out(
    backbone: Backbone, pictures: Tensor, smooth: str
) -> None:
    content, style = pictures[0], pictures[1]
    found = stylize(
        content, style, backbone, smoothing=SmoothingSpec(name=smooth), loss=RELEASED, evals=1,
        seed=4, gradients=True,
    )  # fmt: skip
    budget = {(each.term, each.layer): each.gradient for each in found.gradients}
    assert budget == pytest.approx(
        written_out(backbone, content, style, 4, smooth), rel=2e-3, abs=0
    )


def test_balance_by_gradient_leaves_the_weights_alone(backbone: Backbone, pictures: Tensor) -> None:
    """β = 1e-200 is nothing in float32."""
    found = stylize(pictures[0], pictures[1], backbone, loss=GRADIENT, evals=1, gradients=True)
    styles = [("style", n, 0.5e-200 if n == "stage1" else 1e-200) for n in LAYERS]
    expected = [("content", "stage3", 1.0), *styles, ("tv", "", 3.0)]
    for each, (term, layer, gradient) in zip(found.gradients, expected, strict=True):
        assert (each.term, each.layer) == (term, layer)
        assert each.gradient == pytest.approx(gradient, rel=1e-9, abs=0)


def test_it_is_of_each_image_and_not_of_what_is_optimised(
    backbone: Backbone, pictures: Tensor
) -> None:
    pairs = [(pictures[0], pictures[1]), (pictures[2], pictures[3])]
    together = stylize_batch(
        backbone, pairs, TransferSettings(evals=1, gradients=True), seeds=[1, 2]
    )
    for seed, (pair, found) in enumerate(zip(pairs, together, strict=True), 1):
        alone = stylize(*pair, backbone, evals=1, seed=seed, image="fourier", gradients=True)
        for each, other in zip(found.gradients, alone.gradients, strict=True):
            assert each.gradient == pytest.approx(other.gradient, rel=1e-4)
    assert stylize(*pairs[0], backbone, evals=1).gradients == ()


@pytest.mark.usefixtures("no_weights")
def test_a_job_writes_it_into_its_folder(tmp_path: Path) -> None:
    keys = {"arch": ["r-tiny"], "size": 32, "evals": 1, "statistics_images": [],
            "content": ["chelsea"], "style": ["mosaic"], "smoothing": ["none"],
            "gradients": True, "image": "fourier"}  # fmt: skip
    (spec,) = plan.expand(load_sweep(None, keys)).jobs
    record = job.run_job(spec, tmp_path)
    assert record.status == "ok"
    written = pd.read_parquet(tmp_path / "jobs" / spec.job_id / "gradients.parquet")
    assert list(written["term"]) == ["content", *["style"] * 5, "tv"]
    assert list(written["layer"]) == ["stage3", *LAYERS, ""]
    store.compact(tmp_path)
    found = store.load(tmp_path)
    assert found.gradients.drop(columns="job_id").equals(written)
    assert set(found.gradients["job_id"]) == {spec.job_id}
    assert list(found.results["image"]) == ["fourier"]
