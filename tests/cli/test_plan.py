"""What ``stylebench plan`` tells, and what it refuses."""

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.timing import estimate, forecast
from tests.cli.bench import invoke, no_figures, refused, with_database, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Return a file of times, with which nothing is measured."""
    rows = [
        {"arch": "tiny", "size": 32, "batch": 1, "precision": precision, "device": "cpu",
         "seconds": 0.01}
        for precision in ("fp32", "bf16")
    ]  # fmt: skip
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"machine": {"threads": 1}, "rows": rows}))
    return path


def told(*args: object) -> dict[str, Any]:
    done = invoke("plan", "--json", *args)
    assert done.status == 0, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_counts_are_those_of_the_plan(tmp_path: Path, bench: Path) -> None:
    config = write_yaml(tmp_path / "t.yaml", arch=["r-tiny", "r-alexnet"], seed=[0, 1], size=64)
    with mock.patch.object(estimate, "measured", side_effect=AssertionError):
        found = told("--from", bench, "--out", tmp_path / "out", config)
    planned = plan.expand(load_sweep(config))
    assert found["stylisations"]["to do"] == len(planned.jobs) == 16
    assert found["statistics"]["to do"] == len(planned.statistics) == 4
    assert {name: counts["to do"] for name, counts in found["backbones"].items()} == {
        "r-tiny": 10, "r-alexnet": 10,
    }  # fmt: skip
    assert found["time"]["least"] < found["time"]["seconds"] < found["time"]["most"]
    assert found["disk"]["least"] < found["disk"]["bytes"] < found["disk"]["most"]
    assert not (tmp_path / "out").exists()


def test_finished_jobs_are_known_and_their_times_used(tmp_path: Path) -> None:
    out, config = with_database(tmp_path / "out"), write_yaml(tmp_path / "t.yaml")
    with no_figures():
        assert invoke("sweep", "--out", out, config).status == 0
    done = told("--out", out, config)
    assert done["stylisations"] == {"to do": 0, "finished": 4, "to download": 0, "unavailable": 0}
    assert (done["time"]["seconds"], done["disk"]["bytes"]) == (0, 0)
    with mock.patch.object(estimate, "measured", side_effect=AssertionError):
        more = told("--out", out, "--evals", 50, "--seed", 0, "--seed", 1, config)
    assert more["stylisations"]["to do"] == 8
    assert more["time"]["shares"]["finished"] > 0
    assert more["time"]["shares"]["measured"] == more["time"]["shares"]["operations"] == 0
    assert told("--out", out, "--force", config)["stylisations"]["to do"] == 4


def test_missing_weights_are_downloads_unless_offline(
    tmp_path: Path, bench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    config = write_yaml(tmp_path / "t.yaml", arch=["p-alex*", "r-tiny"], size=64)
    flags = ["--from", bench, "--out", tmp_path / "out", config]
    found = told(*flags)
    assert found["stylisations"] == {
        "to do": 4, "finished": 0, "to download": 4, "unavailable": 0,
    }  # fmt: skip
    # 61,100,840 parameters by torchvision's documentation
    assert found["downloads"] == {"p-alexnet": 4 * 61_100_840}
    offline = told("--offline", *flags)
    assert offline["stylisations"]["unavailable"] == 4
    assert offline["downloads"] == {}
    assert offline["time"]["seconds"] < found["time"]["seconds"]


def test_text_says_what_matters(tmp_path: Path, bench: Path) -> None:
    config = write_yaml(tmp_path / "t.yaml", judge=True)
    done = invoke("plan", "--from", bench, "--out", tmp_path / "out", "--jobs", 2, config)
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[:3] == [f"tiny, into {tmp_path}/out", "stylisations: 4 to do",
                         "statistics: 1 to do"]  # fmt: skip
    assert any(line.startswith("r-tiny  ") for line in lines)
    assert "judging, figures and tracking come on top" in done.out
    assert "warning" not in done.out


def test_too_small_a_disk_is_told(tmp_path: Path, bench: Path) -> None:
    with mock.patch.object(forecast, "_free", return_value=10_000):
        done = invoke("plan", "--from", bench, "--out", tmp_path / "out",
                      write_yaml(tmp_path / "t.yaml"))  # fmt: skip
    assert done.status == 0
    assert done.out.splitlines()[-1].startswith("warning: ")


def test_it_measures_where_nothing_is_known(tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "t.yaml")
    found = told("--out", tmp_path / "out", config)
    assert found["time"]["seconds"] == found["time"]["shares"]["measured"] > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--arch", "r-vgg91"], "did you mean 'r-vgg19'"),
        (["--jobs", "0"], "--jobs expects a positive number"),
        (["--batch", "x"], "--batch expects auto or a positive number"),
        (["--size", "3"], "size"),
        (["--profile", "full"], "no profile 'full'"),
        (["--from", "nowhere.json"], "expected what `stylebench bench --json` prints"),
        (["--out", "t.yaml"], "is not a folder"),
        (["--device", "tpu"], "--device expects"),
    ],
)
def test_wrong_input_is_one_line(
    flags: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_yaml(Path("t.yaml"))
    assert text in refused("plan", "t.yaml", *flags)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"rows": []}', '{"rows": [1]}', '{"machine": {"threads": 1}, "rows": []}'],
)
def test_a_file_that_is_no_bench_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(text)
    config = write_yaml(tmp_path / "t.yaml")
    assert "--from" in refused("plan", "--from", tmp_path / "b.json", config)
