"""Paths of files with networks in ``--arch``: any name, and the same rule as for other paths."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from stylebench.backbones import names
from stylebench.registry import load_plugin
from stylebench.store import load_results
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.settings import SweepConfig
from tests.cli.bench import invoke, no_figures, write_yaml

pytestmark = pytest.mark.usefixtures("unloaded")

NET = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU())
"""
PLACES = ["a+b/net.py", "c,d/net.py", "e[1]*/net.py", "f g/net.py", "h=i/net.py", "j:k/net.py",
          "l.py:m/net.py", "a+b,c=1+2/all.py", "my+net,v[2].py", "+.py"]  # fmt: skip


def write(folder: Path, place: str) -> Path:
    file = folder / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(NET)
    return file


@pytest.mark.parametrize("place", PLACES)
def test_any_path_is_one(place: str, tmp_path: Path) -> None:
    file = write(tmp_path, place)
    for prefix, options in (("", ""), ("r-", ""), ("", "+init=torchvision")):
        arch = f"{prefix}{file}:Net{options}"
        assert names.listed([arch]) == [arch]
        assert names.listed([f"{arch}, r-vgg11,all"]) == [arch, "r-vgg11", "all"]
        config = SweepConfig(arch=(arch, "r-tiny,r-vgg11"), size=64, statistics_images=())
        made = plan.expand(config).jobs
        assert {job.label for job in made} == {f"r-{file.name}:Net{options}", "r-tiny", "r-vgg11"}


def test_lists_of_files_are_lists(tmp_path: Path) -> None:
    first, second = (f"{write(tmp_path, name)}:Net" for name in ("one.py", "two.py"))
    config = SweepConfig(arch=(f"{first}, {second},r-tiny",), size=64, statistics_images=())
    assert {job.arch for job in plan.expand(config).jobs} == {
        "r-one.py:Net", "r-two.py:Net", "r-tiny"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("place", ["a+b/net.py", "my+net,v[2].py"])
def test_such_networks_run_and_are_listed(place: str, tmp_path: Path) -> None:
    arch = f"{write(tmp_path, place)}:Net"
    with no_figures():
        done = invoke("sweep", "--arch", arch, "--nodes", "1,3", "--smoothing", "none",
                      "--content", "chelsea", "--style", "brush", "--size", 32, "--evals", 1,
                      "--statistics-images", "chelsea", "--out", tmp_path / "out")  # fmt: skip
    assert done.status == 0, done
    assert load_results(tmp_path / "out")["status"].tolist() == ["ok"]
    assert "Net of" in invoke("ls", "archs", "-v", "--arch", arch).out


def test_relative_paths_are_from_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = load_plugin(write(tmp_path, "nets/net.py")).module
    torch.save(network.Net().state_dict(), "net.pth")
    Image.linear_gradient("L").save("a.png")
    (tmp_path / "experiments").mkdir()
    file = write_yaml(tmp_path / "experiments" / "mine.yaml", arch="nets/net.py:Net",
                      content="a.png", style="a.png", weights={"Net": "net.pth"})  # fmt: skip
    (job,) = {job.arch: job for job in plan.expand(load_sweep(file)).jobs}.values()
    assert job.arch == "p-net.py:Net"
    assert job.weights.source == "file:net.pth"
    assert job.content.ref == str(tmp_path / "a.png")
