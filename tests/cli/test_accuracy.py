"""`accuracy`: what it writes and tells, and what wrong input ends in."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from stylebench.classifiers import data
from stylebench.errors import JobError
from stylebench.sweeps import accuracy, classifiers, job
from stylebench.sweeps.run import RunOptions
from stylebench.tracking.place import Place
from tests.classifiers import small
from tests.cli.bench import invoke, refused, tracked, with_database

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")

TINY: dict[str, Any] = {
    "name": "mine", "data": "digits", "depth": 18, "width": 8, "epochs": 2, "batch": 8,
    "checkpoint": 1, "precision": "fp32", "seed": [0], "shortcut": ["on", "pre-relu"],
    "statistics_images": ["chelsea"], "size": 32,
}  # fmt: skip


def written(**changes: Any) -> Path:
    path = Path("a.yaml")
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    return path


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "digits", small.data)


@pytest.mark.usefixtures("few")
def test_networks_are_trained_logged_and_put_on_the_bench() -> None:
    with_database(Path("o"))
    done = invoke("accuracy", written(), "--out", "o")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("digits: 26 to learn from, 12 to be tested on; ResNet-18, width 8, ")
    table = pd.read_parquet("o/accuracy.parquet").set_index("shortcut")
    assert list(table.index) == ["on", "pre-relu"]
    assert (table["accuracy"] == table["correct"] / 12).all()
    measured = pd.read_parquet("o/stats.parquet")
    assert set(measured["weights"]) == {*table["trained"], *table["random"]}
    assert len(set(measured["weights"])) == 4
    assert set(measured["stage"]) == {0, 1, 2, 3, 4}
    assert Path("o/figures/accuracy.png").stat().st_size > 0
    assert Path("o/tables/accuracy.csv").stat().st_size > 0

    client = tracked(Path("o"))
    (place,) = [e for e in client.search_experiments() if e.name == "mine"]
    runs = {run.info.run_name: run for run in client.search_runs([place.experiment_id])}
    assert set(runs) == {"on-seed0", "pre-relu-seed0"}
    run = runs["pre-relu-seed0"]
    assert (run.info.status, run.data.params["shortcut"]) == ("FINISHED", "pre-relu")
    assert run.data.metrics["test_accuracy"] == table.loc["pre-relu", "accuracy"]
    told = client.get_metric_history(run.info.run_id, "learning_rate")
    assert [metric.step for metric in told] == [1, 2]

    times = [path.stat().st_mtime_ns for path in sorted(Path("o").rglob("*.safetensors"))]
    again = invoke("accuracy", "a.yaml", "--out", "o")
    assert again.status == 0
    assert again.out.count("(trained before)") == 2
    assert "statistics of" not in again.out
    assert [p.stat().st_mtime_ns for p in sorted(Path("o").rglob("*.safetensors"))] == times
    assert len(client.search_runs([place.experiment_id])) == 2

    own = "o/networks/pre-relu-seed0.safetensors"
    flags = ("--arch", "p-cifar-resnet", "--weights", own, "--content", "chelsea", "--size", 32)
    assert invoke("stats", *flags, "--out", "s").status == 0
    bench = pd.read_parquet("s/stats.parquet")
    assert set(bench["weights"]) == {table.loc["pre-relu", "trained"]}
    both = bench.merge(measured, on=["weights", "layer", "statistic", "image", "smoothing"])
    assert len(both) == len(bench[bench["smoothing"] == "none"]) > 50
    pd.testing.assert_series_equal(both["value_x"], both["value_y"], check_names=False)


def test_wrong_input_is_one_line(tmp_path: Path) -> None:
    refused("accuracy", "blokcs")
    assert "did you mean 'blocks'" in refused("accuracy", "blokcs")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"data": "mnist"}, "data"),
        ({"depth": 20}, "depth"),
        ({"width": 7}, "width"),
        ({"shortcut": ["on", "on"]}, "expected each value once"),
        ({"shortcut": []}, "shortcut"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"momentum": 1}, "momentum"),
        ({"folder": "here"}, "digits come with scikit-learn"),
        ({"statistics_images": ["nowhere.png"]}, "nowhere.png"),
        ({"epohcs": 3}, "did you mean 'epochs'"),
        ({"batch": 9999}, "batch"),
        ({"method": "adain"}, "`stylebench train` runs such files"),
        ({"arch": "r-vgg19"}, "`stylebench sweep` runs such files"),
    ]
    for changes, told in cases:
        assert told in refused("accuracy", written(**changes), "--out", "o"), changes
    assert not Path("o").exists()
    for flags, told in (
        (("--download",), "--download is of cifar100"),
        (("--folder", "here"), "--folder: digits come with scikit-learn"),
        (("--epochs", "0"), "--epochs expects a positive number"),
        (("--seed", "x"), "--seed expects whole numbers"),
        (("--precision", "fp8"), "precision"),
        (("--device", "gpu"), "--device expects"),
        (("--profile", "quick"), "no profile 'quick'"),
    ):
        assert told in refused("accuracy", written(), "--out", "o", *flags), flags
    assert "cifar100: expected a folder" in refused("accuracy", written(data="cifar100"))
    assert "expected CIFAR-100 in it" in refused(
        "accuracy", written(data="cifar100"), "--folder", tmp_path
    )


def test_what_comes_with_stylebench_is_listed_and_valid() -> None:
    shown = invoke("ls", "classifiers")
    assert "blocks  Accuracy and entropies by stage" in shown.out
    for profile, known in (("quick", "digits"), ("full", "cifar100")):
        settings = classifiers.load_settings(Path("blocks"), {}, profile)
        assert settings.data == known
        assert settings.shortcut == ("on", "pre-relu", "off")  # which YAML has as true and false
        assert len(settings.seed) == 5
    assert settings.epochs == 200


@pytest.mark.usefixtures("few")
def test_statistics_that_fail_are_told_and_the_rest_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measure(*_: Any, **__: Any) -> None:
        raise JobError("no memory")

    file = written(shortcut=["on"], epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(job, "measure_backbone", measure)
        done = invoke("accuracy", file, "--out", "o", "--tracking-uri", "off")
    assert (done.status, done.out.count("no memory")) == (1, 2)
    assert "statistics of 2 of 2 networks, see above" in done.err
    assert Path("o/tables/accuracy.csv").stat().st_size > 0
    again = invoke("accuracy", file, "--out", "o", "--tracking-uri", "off")
    assert (again.status, len(pd.read_parquet("o/stats.parquet")["weights"].unique())) == (0, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("last", ["on", "pre-relu"])
def test_a_stop_in_the_last_epoch_begins_nothing_else(last: str) -> None:
    """What was then trained is kept, and the next command goes on."""
    settings = classifiers.load_settings(written(epochs=1))
    found = data.load(settings.data, settings.folder, download=False)
    how = RunOptions(out=Path("o"), tracking=Place("off"))
    begun: list[str] = []

    def step(told: Any) -> bool:
        begun.append(told.network)
        return bool(told.network.startswith(last))

    assert accuracy.run(settings, found, how, accuracy.Watching(step=step)) is False
    assert begun[-1].startswith(last)
    assert list(pd.read_parquet("o/accuracy.parquet")["shortcut"])[-1] == last
    assert not Path("o/stats.parquet").exists()
    assert accuracy.run(settings, found, how, accuracy.Watching()) is True
    assert len(pd.read_parquet("o/accuracy.parquet")) == 2
