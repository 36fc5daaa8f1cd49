"""A sweep from the command line to the results folder and MLflow, and jobs that fail."""

import importlib.metadata
import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stylebench import store
from stylebench.config import TransferSettings
from stylebench.measures.statistics import STATISTICS
from stylebench.store import columns
from stylebench.tracking import view
from stylebench.transfer.stylize import Stylization, stylize_batch
from tests.cli.bench import Run, with_database, write_yaml
from tests.e2e.folders import check_mlflow, done, rows, runs, snapshot, sweep

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

RESULTS = ["job_id", "status", "arch", "weights", "smoothing", "content", "style", "seed", "size",
           "evals", "seconds", "loss_initial", "loss_final", "content_loss", "style_loss",
           "stop_reason", "error"]  # fmt: skip
STATS = ["arch", "weights", "smoothing", "image", "layer", "stage", "statistic", "value", "seed"]
PAIRS = [("chelsea", "mosaic"), ("china", "brush")]


def test_all_is_well(swept: tuple[Run, Path]) -> None:
    run, out = swept
    assert run.status == 0, run
    assert run.out.splitlines()[-1].startswith("5 ok, 0 failed, 0 unavailable in")
    expected = {"results.parquet", "stats.parquet", "trace.parquet", "mlflow.db", "manifest.json",
                "jobs", "images", "figures"}  # fmt: skip
    assert expected <= {path.name for path in out.iterdir()}
    for figure in ("grid", "statistics", "scale_free", "curves"):
        suffix = "jpg" if figure == "grid" else "png"
        assert (out / "figures" / f"{figure}.{suffix}").is_file()
    assert not [path for path in out.rglob("*") if "tmp" in path.name]


def test_results(swept: tuple[Run, Path]) -> None:
    frame = pd.read_parquet(swept[1] / "results.parquet")
    assert [column for column in frame.columns if column in RESULTS] == RESULTS
    assert len(frame) == 4
    assert {(row.content, row.style) for row in frame.itertuples()} == set(PAIRS)
    assert Counter(frame["smoothing"]) == {"none": 2, "softmax": 2}
    for column, value in {"status": "ok", "arch": "r-tiny", "weights": "random:0", "seed": 0,
                          "size": 32, "error": "", "preset": "robust"}.items():  # fmt: skip
        assert (frame[column] == value).all(), column
    assert frame["evals"].between(1, 5).all()
    assert (frame["seconds"] > 0).all()
    assert (frame["peak_memory_mb"] > 10).all()
    numbers = ["loss_initial", "loss_final", "content_loss", "style_loss"]
    assert np.isfinite(frame[numbers].to_numpy()).all()
    assert (frame["loss_final"] <= frame["loss_initial"]).all()
    assert frame["stop_reason"].isin(["evaluations", "converged", "diverged"]).all()
    plain = frame[frame["smoothing"] == "none"]
    assert (plain["loss_final"] < 0.9 * plain["loss_initial"]).all()
    assert (plain["evals"] == 5).all()
    assert frame.equals(store.load_results(swept[1]))
    assert set(frame["job_id"]) == {path.name for path in (swept[1] / "jobs").iterdir()}


def test_statistics(swept: tuple[Run, Path]) -> None:
    frame = pd.read_parquet(swept[1] / "stats.parquet")
    assert [column for column in frame.columns if column in STATS] == STATS
    assert set(frame["statistic"]) == set(STATISTICS)
    assert set(frame["smoothing"]) == {"none", "softmax"}
    assert set(frame["stage"]) == {0, 1, 2, 3, 4}
    assert set(frame["image"]) == {"chelsea"}
    assert len(frame) == 2 * 5 * len(list(STATISTICS))
    assert np.isfinite(frame["value"]).all()
    mean = frame[frame["statistic"] == "entropy"].groupby("smoothing")["value"].mean()
    assert 0 <= mean["none"] < mean["softmax"] <= 1 + 1e-6


def test_traces(swept: tuple[Run, Path]) -> None:
    trace = pd.read_parquet(swept[1] / "trace.parquet")
    assert set(trace["job_id"]) == {row["job_id"] for row in rows(swept[1])}
    for row in rows(swept[1]):
        steps = trace[trace["job_id"] == row["job_id"]]
        assert list(steps["evaluation"]) == list(range(1, row["evals"] + 1))
        assert steps["loss"].iloc[0] == row["loss_initial"]
        assert steps["loss"].min() == row["loss_final"]


def test_records_and_pictures(swept: tuple[Run, Path]) -> None:
    out = swept[1]
    for row in rows(out):
        folder = out / "jobs" / row["job_id"]
        record = store.read_record(folder)
        assert record is not None
        assert (record.job_id, record.status) == (row["job_id"], "ok")
        assert record.loss_final == row["loss_final"]
        assert {"torch", "stylebench", "python"} <= set(record.environment)
        for column in ("picture", "content_picture", "style_picture"):
            path = out / row[column]
            assert path.parent == out / "images"
            with Image.open(path) as picture:
                assert picture.format == "JPEG"
                assert max(picture.size) == 32
        result, content = (store.read_picture(folder / f"{n}.png") for n in ("result", "content"))
        assert result.shape == content.shape
        assert result.shape == (21, 32, 3), "the aspect ratio is kept"
        if row["smoothing"] == "none":
            assert not np.array_equal(result, content)


def test_manifest(swept: tuple[Run, Path]) -> None:
    (run,) = json.loads((swept[1] / "manifest.json").read_text())["runs"]
    assert run["command"].startswith("stylebench sweep --out ")
    assert run["config"]["arch"] == ["r-tiny"]
    assert [(w["arch"], w["source"]) for w in run["weights"]] == [("r-tiny", "random:0")]
    assert run["environment"]["torch"] == importlib.metadata.version("torch")


def test_mlflow_has_parameters_metrics_and_pictures(swept: tuple[Run, Path]) -> None:
    out = swept[1]
    check_mlflow(out)
    parent, children, client = runs(out)
    assert len(children) == 4
    assert parent.data.tags["command"].startswith("stylebench sweep --out ")
    logged = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"manifest.json", "grid.jpg", "statistics.png"} <= logged
    shared = {Path(item.path) for item in client.list_artifacts(parent.info.run_id, "images")}
    kinds = ("content_chelsea", "content_china", "style_brush", "style_mosaic")
    assert {path.name.partition("_32_")[0] for path in shared} == set(kinds)
    held = ("content_picture", "style_picture")
    assert shared == {Path(row[column]) for row in rows(out) for column in held}
    records = done(out)
    for run in children:
        record = records[run.data.tags["job_id"]]
        spec, params = record.stylisation, run.data.params
        assert params["arch"] == "r-tiny"
        assert params["smoothing"] == spec.smoothing.name
        assert (params["content"], params["style"]) in PAIRS
        assert (params["size"], params["seed"], params["preset"]) == ("32", "0", "robust")
        assert run.info.run_name == spec.title
        assert (params["style_weight"], params["style_scale"]) == ("10.0", "1.0")
        assert not {*view.SETTINGS} & {*run.data.metrics}
        for key in ("content_loss", "style_loss", "loss_initial", "seconds", "peak_memory_mb"):
            assert run.data.metrics[key] == pytest.approx(getattr(record, key))
        trace = pd.read_parquet(out / "jobs" / record.job_id / "trace.parquet")
        for column in ("loss", "content_loss", "style_loss"):
            history = client.get_metric_history(run.info.run_id, f"trace/{column}")
            assert [metric.value for metric in history] == pytest.approx(list(trace[column]))
        entropies = client.get_metric_history(run.info.run_id, "statistics/entropy")
        assert sorted(metric.step for metric in entropies) == [0, 1, 2, 3, 4]
        files = {item.path: item.file_size for item in client.list_artifacts(run.info.run_id)}
        folder = out / "jobs" / record.job_id
        assert files == {n: (folder / n).stat().st_size for n in ("result.png", "record.json")}
        assert run.info.start_time == int((record.started or 0) * 1000)
        assert run.info.end_time == int(record.finished * 1000)


def test_numbers_that_were_chosen_are_parameters() -> None:
    """Every column of numbers is measured, which the record states, or a setting."""
    numbers = {name for name, kind in columns.RESULT_COLUMNS.items() if kind == "float64"}
    assert numbers - {*store.JobRecord.model_fields, "loss_ratio"} == {*view.SETTINGS}


def _fails_when_smoothed(
    backbone: Any, pairs: Any, settings: TransferSettings, *rest: Any
) -> list[Stylization]:
    if settings.smoothing.name == "softmax":
        raise RuntimeError("no luck\nat all")
    return stylize_batch(backbone, pairs, settings, *rest)


def test_a_failed_job_is_told_kept_and_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = write_yaml(tmp_path / "tiny.yaml"), with_database(tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr("stylebench.sweeps.job.stylize_batch", _fails_when_smoothed)
        run = sweep("--out", out, config)
    assert run.status == 1
    assert run.out.splitlines()[-1].startswith("3 ok, 2 failed, 0 unavailable in")
    assert len([line for line in run.out.splitlines() if "] failed  r-tiny  softmax" in line]) == 2
    for row in rows(out):
        failed = row["smoothing"] == "softmax"
        assert row["status"] == ("failed" if failed else "ok")
        assert row["error"] == ("RuntimeError: no luck" if failed else "")
        assert np.isnan(row["loss_final"]) == failed
    check_mlflow(out)
    finished = [row["job_id"] for row in rows(out) if row["status"] == "ok"]
    assert len(finished) == 2
    kept = {job_id: snapshot(out / "jobs" / job_id) for job_id in finished}

    again = sweep("--out", out, config)
    assert again.status == 0
    assert "2 jobs to run, 3 finished before" in again.out
    assert "MLflow failed" not in again.out
    assert set(store.load_results(out)["status"]) == {"ok"}
    assert {job_id: snapshot(out / "jobs" / job_id) for job_id in kept} == kept
    check_mlflow(out)


def test_a_group_without_weights_goes_on(tmp_path: Path) -> None:
    config = write_yaml(
        tmp_path / "tiny.yaml", arch=["r-tiny", "p-vgg1[9]", "p-resnet5?"], smoothing=["none"]
    )
    out = with_database(tmp_path / "out")
    run = sweep("--offline", "--out", out, config)
    assert run.status == 0
    assert run.out.splitlines()[-1].startswith("3 ok, 0 failed, 4 unavailable in")
    frame = store.load_results(out)
    assert Counter(zip(frame["arch"], frame["status"], strict=True)) == {
        ("r-tiny", "ok"): 2,
        ("p-vgg19", "unavailable"): 2,
        ("p-resnet50", "unavailable"): 2,
    }
    missing = frame[frame["status"] == "unavailable"]
    assert (missing["weights"] == "unavailable").all()
    for row in cast("list[dict[str, str]]", missing.to_dict("records")):
        assert f"no weights for {row['arch']}" in row["error"]
        assert f"--weights {row['arch'][2:]}=PATH" in row["error"]
    assert not set(missing["job_id"]) & set(done(out))
    assert set(pd.read_parquet(out / "stats.parquet")["arch"]) == {"r-tiny"}
    check_mlflow(out)
    assert sweep("--offline", "--out", out, config).status == 0
    assert len(store.load_results(out)) == 6
