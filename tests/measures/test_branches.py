"""By how much blocks with a shortcut change their input, among the statistics of a backbone."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch import Tensor, nn

import stylebench
from stylebench.backbones import pretrained, shortcuts
from stylebench.figures import TABLES, load
from stylebench.measures.statistics import BRANCH_CHANGE
from stylebench.store import Results
from tests.cli.bench import no_figures
from tests.often import often


def changes(backbone: str | nn.Module, size: int = 64, **keys: Any) -> pd.DataFrame:
    picture = f"builtin:{shortcuts.PHOTOGRAPH}"
    found = stylebench.statistics(backbone, picture, size=size, device="cpu", **keys)
    return found[found["statistic"] == BRANCH_CHANGE]


def test_they_are_those_that_ls_measures() -> None:
    """`tests.backbones.test_initial` has that number from hooks and a formula."""
    found = changes("r-resnet18", 224)
    expected = shortcuts.measure("r-resnet18", pretrained.resolve("r-resnet18", 0)).branches
    assert found["layer"].tolist() == [branch.path for branch in expected]
    assert found["value"].tolist() == pytest.approx([b.change for b in expected], rel=1e-3)
    assert found["stage"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert set(found["smoothing"]) == {"none"}


def test_branches_that_are_off_are_zero() -> None:
    found = changes("r-resnet18+gamma=0")
    assert found["value"].tolist() == [0.0] * 8


class Flow(nn.Module):
    """Torch.fx cannot trace this; the same branch runs twice, one is behind the last node."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1))
        self.down = nn.AvgPool2d(2)
        self.late = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.mean() < 1e9:
            x = x + self.branch(x)
        x = self.down(x + self.branch(x))
        out: Tensor = x + self.late(x)
        return out


def test_branches_are_found_with_hooks_and_have_names_of_their_own() -> None:
    found = changes(Flow(), style=["stem", "down"], content="stem")
    assert found["layer"].tolist() == ["branch", "branch#2"]
    assert set(found["stage"]) == {4}


@pytest.mark.parametrize(
    ("arch", "count"),
    often({"vgg11", "timm:test_convnext"},
          [("vgg11", 0), ("densenet121", 0), ("mobilenet_v2", 10),
           ("timm:vit_tiny_patch16_224", 24), ("timm:test_convnext", 9)]),
)  # fmt: skip
def test_every_block_of_networks_of_several_kinds_is_a_row(arch: str, count: int) -> None:
    found = changes(f"r-{arch}")
    assert len(found) == count
    assert not found["layer"].duplicated().any()
    assert found["stage"].is_monotonic_increasing


@pytest.mark.slow
def test_a_folder_that_was_measured_before_is_filled_up(tmp_path: Path) -> None:
    def sweep() -> Results:
        with no_figures():
            return stylebench.sweep(
                out=out, arch=["r-resnet18"], smoothing=["none", "softmax"], content=["chelsea"],
                style=["brush"], size=64, evals=2, statistics_images=["chelsea"],
                tell=told.append, tracking_uri="off",
            )  # fmt: skip

    out, told = tmp_path / "out", list[str]()
    first = sweep().statistics
    blocks = first[first["statistic"] == BRANCH_CHANGE]
    assert len(blocks) == 8
    (job,) = (out / "statistics").iterdir()
    table = pd.read_parquet(job / "statistics.parquet")
    table[table["statistic"] != BRANCH_CHANGE].to_parquet(job / "statistics.parquet")
    record = json.loads((job / "record.json").read_text())
    del record["statistics"][BRANCH_CHANGE]
    (job / "record.json").write_text(json.dumps(record))
    told.clear()
    again = sweep().statistics
    assert told[0] == "1 jobs to run, 2 finished before"
    pd.testing.assert_frame_equal(again, first)
    told.clear()
    found = sweep()
    assert told[0] == "0 jobs to run, 3 finished before"
    load()
    row = TABLES["statistics"](found).query("smoothing == 'none'").iloc[0]
    assert row["layer"] == "stage4"
    deep = blocks.query("stage == 4")["value"]
    assert row["branch_change"] == pytest.approx(deep.mean())
