"""Who watches a stylisation: sees every evaluation and the best picture so far, and may end it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stylebench.backbones.extractor import Backbone, build
from stylebench.config import WeightsRef
from stylebench.transfer.step import Step
from tests.transfer.pairs import stylize

OPTIMISERS = [{"name": "lbfgs"}, {"name": "adam"}, {"name": "lbfgsb"}]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("r-tiny", WeightsRef(source="random:0"), seed=0)


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    rough = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(rough, size=(32, 40), mode="bicubic").clamp(0, 1)
    return smooth[:1].contiguous(), smooth[1:].contiguous()


@pytest.mark.parametrize("image", ["pixels", "fourier"])
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: o["name"])
def test_every_evaluation_is_told(
    backbone: Backbone, pair: tuple[Tensor, Tensor], optimiser: dict[str, str], image: str
) -> None:
    seen: list[tuple[Any, ...]] = []

    def progress(step: Step) -> None:
        seen.append((step.number, step.evals, step.losses, step.initial, step.best, step.tensor))

    settings: dict[str, Any] = {"optimiser": optimiser, "image": image, "evals": 9}
    found = stylize(*pair, backbone, progress=progress, **settings)
    assert torch.equal(found.tensor, stylize(*pair, backbone, **settings).tensor), "it only looks"
    assert [number for number, *_ in seen] == list(range(1, len(found.evaluations) + 1))
    assert {evals for _, evals, *_ in seen} == {9}
    assert tuple(step[2] for step in seen) == found.evaluations
    losses = [losses.loss for losses in found.evaluations]
    assert [step[4].loss for step in seen] == [min(losses[: i + 1]) for i in range(len(losses))]
    assert {step[3] for step in seen} == {found.initial}
    assert torch.equal(seen[-1][5], found.tensor)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: o["name"])
def test_true_ends_it_with_the_best_so_far(
    backbone: Backbone, pair: tuple[Tensor, Tensor], optimiser: dict[str, str]
) -> None:
    steps: list[Step] = []

    def progress(step: Step) -> bool:
        steps.append(step)
        return step.number == 5

    found = stylize(*pair, backbone, optimiser=optimiser, evals=50, progress=progress)
    assert (len(found.evaluations), found.stop_reason) == (5, "stopped")
    assert found.final.loss == min(step.loss for step in found.evaluations)
    assert torch.equal(steps[-1].tensor, found.tensor)
    assert steps[-1].image.tobytes() == found.image.tobytes()
    assert not torch.equal(steps[0].tensor, found.tensor), "a step stays what it was"


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: o["name"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_it_raises_goes_through(
    backbone: Backbone,
    pair: tuple[Tensor, Tensor],
    optimiser: dict[str, str],
    error: type[BaseException],
) -> None:
    def progress(step: Step) -> None:
        raise error

    with pytest.raises(error):
        stylize(*pair, backbone, optimiser=optimiser, evals=5, progress=progress)
