"""``bench --to-loss``: the plain way, and when ours are where it ends."""

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stylebench.backbones import pretrained
from stylebench.backbones.extractor import build, whole_network
from stylebench.config import LossSpec, SmoothingSpec
from stylebench.images import to_tensor
from stylebench.measures import judges
from stylebench.timing import race
from stylebench.timing.plain import Plain
from stylebench.transfer.objective import Objective
from tests.cli.bench import invoke

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


def pair(size: int) -> tuple[Tensor, Tensor]:
    content, style = race.PAIR
    return to_tensor(content, "content", size), to_tensor(style, "style", size)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["r-vgg11", "r-resnet18"])
def test_the_plain_way_has_the_loss_of_ours(arch: str) -> None:
    """Two writings of relative errors: hooks and mse_loss here, the extractor and Objective."""
    ref = pretrained.resolve(arch, 0)
    content, style = pair(64)
    plain = Plain(*whole_network(arch, ref, 0), content, style)
    none = SmoothingSpec(name="none")
    objective = Objective(build(arch, ref, 0), [(content, style)], none, LossSpec())
    noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(0))
    for picture in (content, noise):
        objective(picture)
    for number, picture in enumerate((content, noise)):
        expected = objective.losses(0, number).loss
        assert float(plain.loss(picture)) == pytest.approx(expected, rel=1e-3)


def test_the_plain_way_goes_down_by_torchs_own_optimiser() -> None:
    content, style = pair(48)
    ref = pretrained.resolve("r-tiny", 0)
    plain = Plain(*whole_network("r-tiny", ref, 0), content, style)
    losses = [plain.step() for _ in range(10)]
    assert losses[0] == pytest.approx(float(plain.loss(content)))
    assert losses[-1] < losses[0]
    assert not torch.equal(plain.image, content)


def test_the_plain_way_takes_channels_in_the_order_of_the_weights() -> None:
    spec, network = whole_network("r-tiny", pretrained.resolve("r-tiny", 0), 0)
    spec = replace(spec, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    content, style = pair(48)
    turned = Plain(replace(spec, order="bgr"), copy.deepcopy(network), content, style).loss(style)
    straight = Plain(spec, network, content.flip(1), style.flip(1)).loss(style.flip(1))
    assert float(turned) == pytest.approx(float(straight), rel=1e-6)


def test_a_way_has_its_own_clock_and_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))

    def steps() -> Iterator[Tensor]:
        yield from torch.linspace(-1, 2, 12)

    way = race.Way(steps(), seconds=3)
    for number in range(1, 16):  # it ends after 12
        way.turn(number)
    way.look()
    way.look()
    assert way.seconds == 15
    told = [(look.evaluations, look.seconds) for look in way.looks]
    assert told == [(5, 8), (10, 13), (12, 15)]
    assert all(0 <= float(look.picture) <= 1 for look in way.looks)


def test_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"r-squeezenet1_1": pretrained.resolve("r-squeezenet1_1", 0)}
    monkeypatch.setattr(judges, "choose", lambda archs: small)
    flags = ("bench", "--to-loss", "--arch", "tiny", "--size", 48, "--evals", 20, "--device", "cpu")
    done = invoke(*flags, "--precision", "fp32", "--json")
    assert done.status == 0, done
    report = race.Report.model_validate(json.loads(done.out))
    assert [row.preset for row in report.rows] == ["balanced", "balanced, spectrum", "robust"]
    for row in report.rows:
        assert row.arch == "r-tiny"
        assert row.evaluations == 20
        if row.loss is not None:
            assert row.lowest <= row.plain_loss
            assert row.loss % race.LOOK_EVERY == 0
            assert row.seconds_to_loss is not None
            assert 0 < row.seconds_to_loss <= row.seconds
    balanced = report.rows[0]
    assert (balanced.loss is not None) == (balanced.lowest <= balanced.plain_loss)
    assert set(balanced.best) == {"colour_share", *(f"swd_share {who}" for who in report.judges)}
    text = invoke(*flags, "--precision", "fp32").out
    assert "r-tiny" in text
    assert "20 evaluations of each way" in text


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--evals", 5), "--evals is of --to-loss"),
        (("--to-loss", "--evals", 0), "--evals expects a positive number, found 0"),
        (("--to-loss", "--batch", 2), "expected no --batch"),
        (("--to-loss", "--arch", "densenet121", "--size", 64), "the plain way cannot be run"),
        (("--to-loss", "--arch", "vgg11", "--size", 24), "the plain way cannot be run"),
    ],
)
def test_what_cannot_be_raced_is_one_line(flags: tuple[object, ...], text: str) -> None:
    done = invoke("bench", "--device", "cpu", *flags)
    assert done.status == 2
    assert text in done.err
