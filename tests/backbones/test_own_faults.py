"""Networks of one's own that cannot be used as they are: each is told in one line."""

from pathlib import Path

import pytest
from torch import Tensor, nn
from torch.nn import functional

import stylebench
from stylebench.backbones import names
from stylebench.backbones.pretrained import parse_given
from stylebench.errors import InputError
from stylebench.registry import load_plugin
from tests.cli.bench import invoke, no_figures

pytestmark = pytest.mark.usefixtures("unloaded")

HEAD = """
import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 8, 3, 2, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.deep({})
"""
RANDOM = [
    "functional.dropout(self.stem(x))",
    "self.stem(x) * torch.rand(1)",
    "self.stem(x + torch.randn_like(x))",
    "self.stem(x)[:, torch.randperm(4)]",
    "functional.rrelu(self.stem(x), training=True)",
    "self.stem(x + torch.rand_like(x)) if x.mean() > -9 else x",  # which torch.fx cannot trace
]
FIXED = ["self.drop(self.stem(x))", "functional.dropout(self.stem(x), 0.5, self.training)"]


def write(folder: Path, form: str) -> str:
    (folder / "net.py").write_text(HEAD.format(form))
    return f"{folder / 'net.py'}:Net"


@pytest.mark.parametrize("form", RANDOM)
def test_a_network_that_draws_random_numbers_is_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the same maps for the same picture") as refused:
        stylebench.backbone(write(tmp_path, form), device="cpu")
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("r-net.py:Net: ")


@pytest.mark.parametrize("form", FIXED)
def test_dropout_that_is_off_is_no_randomness(form: str, tmp_path: Path) -> None:
    stylebench.backbone(write(tmp_path, form), device="cpu")


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x)


def test_a_module_that_is_handed_in_is_asked_twice_too() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), Noisy(), nn.Conv2d(4, 4, 1, 2))
    with pytest.raises(InputError, match="two passes differ"):
        stylebench.backbone(module, device="cpu")


def test_the_command_says_so_and_exits_1(tmp_path: Path) -> None:
    with no_figures():
        done = invoke("stats", "--arch", write(tmp_path, RANDOM[0]), "--content", "chelsea",
                      "--size", 32, "--out", tmp_path / "out")  # fmt: skip
    assert done.status == 1
    assert "two passes differ at" in done.out
    assert "training=self.training" in done.out


def test_a_mistyped_name_of_weights_is_told_the_classes_of_files(tmp_path: Path) -> None:
    load_plugin(write(tmp_path, FIXED[0]).rpartition(":")[0])
    assert names.of_files() == ["Net"]
    with pytest.raises(InputError, match=r"no backbone 'Nett' .* did you mean 'Net'.*: Net, vgg"):
        parse_given(["Nett=net.pth"])
    assert parse_given(["Net=net.pth"]) == {"Net": "net.pth"}
