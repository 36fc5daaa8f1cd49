"""The command ``stylebench judge``."""

from pathlib import Path

import pandas as pd
import pytest

from stylebench.config import SmoothingSpec
from stylebench.measures.metrics import METRICS
from tests.cli.bench import invoke, refused
from tests.jobs import add

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return a folder with two finished stylisations."""
    out = tmp_path / "out"
    for smoothing in ("none", "softmax"):
        add(out, smoothing=SmoothingSpec(name=smoothing))
    return out


FLAGS = ("--judge", "r-tiny", "--offline", "--device", "cpu")


def test_judge_tells_a_line_a_job_and_leaves_tables(out: Path) -> None:
    done = invoke("judge", out, *FLAGS)
    assert (done.status, done.err) == (0, ""), done
    lines = done.out.splitlines()
    assert lines[0] == "judge r-tiny: weights random:0"
    assert [line.split()[0] for line in lines[1:3]] == ["[1/2]", "[2/2]"]
    assert all("r-vgg19" in line and "metrics by r-tiny" in line for line in lines[1:3])
    assert lines[-1] == f"2 judged, 0 not in full: {out / 'metrics.parquet'}"
    assert len(pd.read_parquet(out / "metrics.parquet")) == 2 * (len(list(METRICS)) - 1)
    assert set(pd.read_csv(out / "tables" / "metrics.csv")["smoothing"]) == {"none", "softmax"}
    assert set(pd.read_csv(out / "tables" / "comparisons.csv")["pairs"]) == {1}
    again = invoke("judge", out, *FLAGS).out.splitlines()
    assert [line.endswith("judged before") for line in again[1:3]] == [True] * 2


def test_a_job_that_cannot_be_judged_is_exit_status_1(out: Path) -> None:
    next((out / "jobs").glob("*/content.png")).write_bytes(b"no picture")
    done = invoke("judge", out, *FLAGS)
    assert done.status == 1
    assert "not judged in full" in done.out
    assert "is damaged" in done.out
    assert "1 judged, 1 not in full" in done.out


def test_ls_metrics() -> None:
    shown = invoke("ls", "metrics")
    assert [line.split()[0] for line in shown.out.splitlines()] == list(METRICS)
    assert "is better" in shown.out.splitlines()[0]
    assert "Source: Gatys et al. 2016" in invoke("ls", "metrics", "-v").out


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--judge", "r-vgg91"), "unknown backbone 'r-vgg91'; did you mean"),
        (("--judge", "vgg19"), "--judge expects p-NAME or r-NAME, found 'vgg19'"),
        (("--judge", "p-vgg19", "--offline"), "no weights for p-vgg19"),
        (("--weights", "vgg19=a.pth"), "no --judge p-vgg19"),
        (("--device", "gpu"), "expects auto, cpu"),
    ],
)
def test_wrong_flags(flags: tuple[str, ...], reason: str, out: Path) -> None:
    assert reason in refused("judge", out, *flags)


def test_wrong_folders(tmp_path: Path) -> None:
    assert "no folder" in refused("judge", tmp_path / "none")
    assert "holds no finished stylisation" in refused("judge", tmp_path)
    file = tmp_path / "file"
    file.write_text("x")
    assert "no folder" in refused("judge", file)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
