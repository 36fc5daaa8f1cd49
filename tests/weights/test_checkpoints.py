"""Checkpoints as they are trained: wrappers, prefixes, what stands beside the weights."""

import argparse
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stylebench.backbones import pretrained
from stylebench.backbones.extractor import build
from stylebench.backbones.names import find
from stylebench.errors import InputError
from stylebench.weights import checkpoints
from tests.faults.hostile import CANARY
from tests.faults.hostile_weights import Evil
from tests.often import often

pytestmark = pytest.mark.usefixtures("no_weights", "one_thread")

NAME = "timm:test_resnet"
"""0.5 million parameters."""


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return find(f"p-{NAME}").build()


def taken(path: Path, name: str = NAME) -> dict[str, Tensor]:
    """Return the weights that a file gives a backbone."""
    ref = pretrained.resolve(f"p-{name}", 0, given={name: path}, tell=lambda text: None)
    return build(f"p-{name}", ref, 0).features.state_dict()


def refused(path: Path, name: str = NAME) -> str:
    with pytest.raises(InputError) as found:
        pretrained.resolve(f"p-{name}", 0, given={name: path})
    assert "\n" not in str(found.value)
    return str(found.value)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class _Own(nn.Module):
    """A network as people write one, with the backbone as its only module."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


def _lightning(network: nn.Module) -> dict[str, Any]:
    state = {f"model.{key}": value for key, value in network.state_dict().items()}
    return {"epoch": 3, "global_step": 12, "state_dict": state, "callbacks": {}, "loops": None}


def _compiled(network: nn.Module) -> Any:
    return torch.compile(network)


WRAPPED: dict[str, Callable[[nn.Module], Any]] = {
    "DataParallel": lambda network: nn.DataParallel(network).state_dict(),
    "torch.compile": lambda network: _compiled(network).state_dict(),
    "both": lambda network: nn.DataParallel(_compiled(network)).state_dict(),
    "both, the other way": lambda network: _compiled(nn.DataParallel(network)).state_dict(),
    "own module": lambda network: _Own(network).state_dict(),
    "three": lambda network: nn.DataParallel(_compiled(_Own(network))).state_dict(),
    "AveragedModel": lambda network: {"model_ema": AveragedModel(network).state_dict()},
    "Lightning": _lightning,
    "model_state_dict": lambda network: {"model_state_dict": network.state_dict(), "loss": 0.1},
    "net": lambda network: {"net": nn.DataParallel(network).state_dict(), "acc": 93.0, "epoch": 9},
    "state_dict_ema alone": lambda network: {"state_dict_ema": network.state_dict(), "epoch": 1},
    "a wrapper in another": lambda network: {"model": {"state_dict": network.state_dict()}},
}


@pytest.fixture(scope="module")
def plain(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    path = tmp_path_factory.mktemp("plain") / "w.pth"
    torch.save(network.state_dict(), path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("STYLEBENCH_OFFLINE", "1")
        return taken(path)


@pytest.mark.parametrize(
    "how", often({"both", "own module", "Lightning", "state_dict_ema alone"}, WRAPPED)
)
def test_wrapped_weights_are_those_without(
    how: str, network: nn.Module, plain: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(WRAPPED[how](network), tmp_path / "w.pth")
    assert same(taken(tmp_path / "w.pth"), plain)


def _trained(network: nn.Module) -> dict[str, Any]:
    """Return what timm's train.py saves (`timm.utils.CheckpointSaver`)."""
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer.step()
    args = argparse.Namespace(
        model="test_resnet", lr=0.1, mean=None, input_size=(3, 160, 160), aug=["a", "b"],
        opt_kwargs={}, opt_betas=[0.9, 0.999],
    )  # fmt: skip
    return {"epoch": 7, "arch": "test_resnet", "state_dict": state, "version": 2, "metric": 71.5,
            "optimizer": optimizer.state_dict(), "args": args,
            "amp_scaler": {"scale": 65536.0, "_growth_tracker": 0},
            "state_dict_ema": {key: value * 2 for key, value in state.items()}}  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_timms_training_is_read(
    zipped: bool, plain: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    trained = _trained(find(f"p-{NAME}").build())
    path = tmp_path / "model_best.pth.tar"
    torch.save(trained, path, _use_new_zipfile_serialization=zipped)
    assert same(taken(path), plain)


def test_the_savers_of_timm_write_what_is_read(plain: dict[str, Tensor], tmp_path: Path) -> None:
    from timm.utils import CheckpointSaver

    torch.manual_seed(0)
    network = find(f"p-{NAME}").build()
    optimizer = torch.optim.AdamW(network.parameters())
    args = argparse.Namespace(model="test_resnet", lr=0.1)
    saver = CheckpointSaver(network, optimizer, args=args, checkpoint_dir=str(tmp_path))
    saver.save_checkpoint(0, metric=0.5)
    assert same(taken(tmp_path / "last.pth.tar"), plain)


def _as_json(where: Path) -> set[str]:
    return {path.name for path in where.iterdir()}


class _InItsArguments:
    """A Namespace whose attributes would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return argparse.Namespace, (), {"lr": Evil()}


class _ByPosition:
    def __reduce__(self) -> tuple[Any, ...]:
        return argparse.Namespace, (Evil(),)


class _Setter:
    """A Namespace that is told to set itself up by a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return argparse.Namespace, (), (None, {"__setstate__": Path.touch, "__class__": Path})


class _Parser:
    """Another class of argparse, which can open files."""

    def __reduce__(self) -> tuple[Any, ...]:
        return argparse.FileType("w"), (CANARY,)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("evil", [Evil, _InItsArguments, _ByPosition, _Setter, _Parser])
def test_what_would_run_code_beside_arguments_is_refused(
    evil: type, zipped: bool, network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    held = {"state_dict": network.state_dict(), "args": argparse.Namespace(a=1), "more": evil()}
    torch.save(held, "w.pth", _use_new_zipfile_serialization=zipped)
    assert "would run code" in refused(Path("w.pth"))
    assert _as_json(tmp_path) == {"w.pth"}
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def test_a_namespace_is_let_in_by_no_other(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(a=1), "model": {}}, tmp_path / "w.pth")
    checkpoints.read(tmp_path / "w.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "w.pth", weights_only=True)


def test_an_error_names_what_is_not_let_in(network: nn.Module, tmp_path: Path) -> None:
    torch.save({"state_dict": network.state_dict(), "where": Path("a")}, tmp_path / "w.pth")
    line = refused(tmp_path / "w.pth")
    assert "found a pickle with pathlib.PosixPath that would run code; it was not executed" in line
    torch.save(network, tmp_path / "whole.pth")
    line = refused(tmp_path / "whole.pth")
    assert "timm.models.resnet.ResNet" in line
    assert "Save the state dict" in line
    assert len(line) < 700


def test_an_error_names_what_else_is_in_the_file(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    held = {"student": network.state_dict(), "teacher": {}, "epoch": 3}
    torch.save(held, path)
    found = "expected a state dict of tensors, found dict of student (OrderedDict), teacher (dict)"
    assert found in refused(path)
    torch.save({"state_dict": {"encoder." + k: v for k, v in network.state_dict().items()},
                "optimizer": {}, "epoch": 3, "\x1b[31mred": 1, **{f"k{i}": i for i in range(20)}},
               path)  # fmt: skip
    line = refused(path)
    assert "; bn1.bias may be its encoder.bn1.bias" in line
    assert "beside these weights the file holds optimizer, epoch, \\x1b[31mred, k0, k1" in line
    assert "and 15 more" in line


def test_keys_that_fit_keep_their_prefix(tmp_path: Path) -> None:
    """A network of one's own that has a module called `model` takes weights with that name."""
    from stylebench.weights.files import named

    class Spec:
        unused, options, nodes = (), {}, {}  # type: ignore[var-annotated]

        def build(self) -> nn.Module:
            return nn.ModuleDict({"model": nn.Linear(1, 1)})

        def adapt(self, state: Any) -> dict[str, Tensor]:
            return dict(state)

    own = Spec().build().state_dict()
    for prefix in ("", "module.", "model.", "module._orig_mod.model."):
        state = OrderedDict((prefix + key, value) for key, value in own.items())
        assert same(named(state, Spec(), own), own)


def test_prefixes_of_some_keys_stay(network: nn.Module, tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({**state, "head.weight": torch.zeros(1)}, tmp_path / "w.pth")
    assert "bn1.bias may be its module.bn1.bias" in refused(tmp_path / "w.pth")
