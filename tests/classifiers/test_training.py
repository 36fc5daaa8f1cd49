"""Classifiers: schedule, the blocks' arithmetic, resume to the same bits, and the way back."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stylebench.backbones import extractor, pretrained
from stylebench.backbones.paper import cifar_resnet
from stylebench.classifiers.data import Split
from stylebench.classifiers.settings import SHORTCUTS
from stylebench.classifiers.training import Step, Training, rate
from stylebench.errors import InputError, JobError
from stylebench.weights import checkpoints
from stylebench.weights import files as weights
from tests.classifiers import small

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_schedule_is_torchs() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=17)
    for step in range(18):
        assert rate(0.3, step, 17) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        optimiser.step()
        schedule.step()


def norm(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, var, weight, bias = (
        state[f"{name}.{part}"][None, :, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def branch(state: Mapping[str, Tensor], name: str, x: Tensor, stride: int) -> Tensor:
    x = functional.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1)
    x = norm(state, f"{name}.bn1", x).clamp_min(0)
    return norm(
        state, f"{name}.bn2", functional.conv2d(x, state[f"{name}.conv2.weight"], padding=1)
    )


def shortcut(state: Mapping[str, Tensor], name: str, x: Tensor, stride: int) -> Tensor:
    if f"{name}.downsample.0.weight" not in state:
        return x
    x = functional.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
    return norm(state, f"{name}.downsample.1", x)


def by_hand(state: Mapping[str, Tensor], kind: str, x: Tensor) -> Tensor:
    """Return the scores of a ResNet-18 in evaluation mode, each kind as the paper words it."""
    x = norm(state, "bn1", functional.conv2d(x, state["conv1.weight"], padding=1)).clamp_min(0)
    for stage in (1, 2, 3, 4):
        u = x  # of the variant: what is before the ReLU
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            if kind == "on":
                x = (shortcut(state, name, x, stride) + branch(state, name, x, stride)).clamp_min(0)
            elif kind == "off":
                x = branch(state, name, x, stride).clamp_min(0)
            else:
                name += ".block"
                u = shortcut(state, name, u, stride) + branch(state, name, u.clamp_min(0), stride)
                x = u.clamp_min(0)
    return x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_blocks_compute_what_is_written_by_hand(kind: str) -> None:
    torch.manual_seed(0)
    network = cifar_resnet("18", "8", kind, 5).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low in ((module.running_mean, -0.3), (module.running_var, 0.5),
                                (module.weight, 0.5), (module.bias, -0.3)):  # fmt: skip
                assert values is not None
                torch.nn.init.uniform_(values, low, low + 0.6)
    pictures = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(
            network(pictures), by_hand(network.state_dict(), kind, pictures), rtol=1e-9, atol=1e-9
        )


def test_kinds_of_blocks_have_the_same_weights_and_other_functions() -> None:
    made = []
    for kind in SHORTCUTS:
        torch.manual_seed(3)
        made.append(cifar_resnet("18", "8", kind, 5).eval())
    states = [
        {key.replace(".block.", "."): value for key, value in network.state_dict().items()}
        for network in made
    ]
    assert states[0].keys() == states[1].keys() > states[2].keys()
    for state in states[1:]:
        assert all(torch.equal(value, states[0][key]) for key, value in state.items())
    with torch.no_grad():
        scores = [network(torch.ones(1, 3, 16, 16)) for network in made]
    assert not any(torch.allclose(scores[a], scores[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize(("depth", "expansion"), [("18", 1), ("34", 1), ("50", 4), ("101", 4)])
def test_stages_have_strides_1_2_4_8(depth: str, expansion: int) -> None:
    with torch.device("meta"):
        network = cifar_resnet(depth, "16", "on", 7)
        x = network.relu(network.bn1(network.conv1(torch.zeros(2, 3, 32, 32))))
        assert x.shape == (2, 16, 32, 32)
        for stage, side in enumerate((32, 16, 8, 4)):
            x = getattr(network, f"layer{stage + 1}")(x)
            assert x.shape == (2, 16 * 2**stage * expansion, side, side)
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
        layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
        assert len(layers) - 3 - (expansion > 1) == int(depth)  # but for projections


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def never(step: Step) -> bool:
    return False


def nothing() -> None:
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Training:
    made = small.training(tmp_path_factory.mktemp("whole"), "pre-relu")
    assert made.run(never, nothing)
    return made


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_what_was_stopped_goes_on_to_the_same_bits(
    whole: Training, tmp_path: Path, end: str
) -> None:
    def watch(step: Step) -> bool:
        if end == "killed" and step.number == 5:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return end == "stopped"

    first = small.training(tmp_path, "pre-relu")
    if end == "stopped":
        assert first.run(watch, nothing) is None
    else:
        with pytest.raises(KeyboardInterrupt):
            first.run(watch, nothing)
    assert first.model.with_suffix(".pt").exists()
    assert not first.model.exists()
    again = small.training(tmp_path, "pre-relu")
    seen: list[int] = []
    found = again.run(lambda step: seen.append(step.number), nothing)
    assert seen == [4, 5, 6, 7, 8, 9]
    assert digest(again.model) == digest(whole.model)
    assert again.table.read_text() == whole.table.read_text()
    assert not again.model.with_suffix(".pt").exists()
    assert found == whole.result()


def test_a_trained_network_is_not_trained_again(whole: Training) -> None:
    def refuse(step: Step) -> bool:
        raise AssertionError

    assert whole.run(refuse, nothing) == whole.result()


@pytest.mark.parametrize("changes", [{"epochs": 4}, {"learning_rate": 0.2}, {"width": 16}])
def test_other_settings_are_refused(whole: Training, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is of other settings or data; give another --out"):
        small.training(whole.out, "pre-relu", **changes).run(never, nothing)


@pytest.mark.parametrize(
    "changes", [{"correct": 13}, {"correct": -1}, {"train_accuracy": 2.0}, {"tested": 0}]
)
def test_a_file_that_counts_wrong_is_refused(
    whole: Training, tmp_path: Path, changes: dict[str, Any]
) -> None:
    made = small.training(tmp_path, "pre-relu")
    made.model.parent.mkdir(parents=True)
    known = json.loads(weights.metadata(whole.model)["stylebench"])
    assert known["tested"] == 12
    told = json.dumps({**known, **changes})
    made.model.write_bytes(checkpoints.packed({"x": torch.zeros(1)}, {"stylebench": told}))
    with pytest.raises(InputError, match=r"expected a network of .*; remove it"):
        made.result()


def test_a_loss_that_is_not_finite_ends_it(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"on-seed0: the loss became nan at epoch 1: lower"):
        small.training(tmp_path, learning_rate=100.0, momentum=0.99, weight_decay=1e30).run(
            never, nothing
        )


def test_a_batch_is_of_the_training_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most the 26 pictures of the training split of digits"):
        small.training(tmp_path, batch=27)


def test_it_learns(tmp_path: Path) -> None:
    """Four classes of one grey each are told apart in a few epochs."""
    labels = torch.arange(64) % 4
    pictures = (labels * 80).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).contiguous()
    split = Split(pictures, labels)
    data = small.data(train=split, test=split)
    made = Training(small.settings(epochs=8, batch=16), "on", 0, data, tmp_path)
    found = made.run(never, nothing)
    assert found is not None
    assert (found.accuracy, found.correct, found.tested) == (1.0, 64, 64)


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_a_trained_network_is_a_backbone(whole: Training, tmp_path: Path, kind: str) -> None:
    """Its maps are the network's own: depth, width, kind and normalisation stand in its file."""
    made = whole if kind == "pre-relu" else small.training(tmp_path, kind, epochs=1)
    made.run(never, nothing)
    given = {"cifar-resnet": str(made.model)}
    ref = pretrained.resolve("p-cifar-resnet", 0, given=given, offline=True)
    wanted = {"depth": "18", "width": "8", "shortcut": kind}
    assert ref.options == {k: v for k, v in wanted.items() if (k, v) not in
                           (("depth", "18"), ("shortcut", "on"))}  # fmt: skip
    backbone = extractor.build("p-cifar-resnet", ref, 0)
    network = cifar_resnet("18", "8", kind, 4).eval()
    from safetensors.torch import load_file

    network.load_state_dict(load_file(made.model))
    mean, std = (torch.tensor(v)[None, :, None, None] for v in small.data().input)
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = network.relu(network.bn1(network.conv1((picture - mean) / std)))
        own = [x := getattr(network, f"layer{n}")(x) for n in (1, 2, 3, 4)]
        maps = backbone(picture)
    for stage, wanted_map in enumerate(own, start=1):
        assert torch.allclose(maps[f"stage{stage}"], wanted_map, rtol=1e-3, atol=1e-4)


def test_weights_of_another_shape_are_refused(whole: Training) -> None:
    given = {"cifar-resnet": str(whole.model)}
    with pytest.raises(InputError, match="expected the weights of cifar-resnet, but it"):
        pretrained.resolve("p-cifar-resnet", 0, given=given, options={"shortcut": "on"})
