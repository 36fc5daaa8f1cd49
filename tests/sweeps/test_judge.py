"""Judging a results folder: what is computed, kept, told, and gathered."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stylebench
from stylebench import store
from stylebench.config import ImageRef, WeightsRef
from stylebench.errors import InputError
from stylebench.measures.metrics import METRICS
from stylebench.store import columns
from stylebench.sweeps import judge
from tests.jobs import add

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

PLAIN = {name for name, metric in METRICS.items() if not metric.needs}
JUDGED = {name for name, metric in METRICS.items() if metric.needs == "backbone"}
ONE = judge.JudgeOptions(names=["r-tiny"])
TWO = judge.JudgeOptions(names=["r-tiny,r-squeezenet1_1"])


def judged(out: Path, options: judge.JudgeOptions) -> tuple[judge.Summary, list[str]]:
    lines: list[str] = []
    return judge.run(out, options, lines.append), lines


def test_every_metric_has_a_row_in_the_job_and_in_the_table(tmp_path: Path) -> None:
    spec = add(tmp_path, seed=3)
    assert judged(tmp_path, TWO)[0] == judge.Summary(1, 0)
    table = store.load(tmp_path).metrics
    assert list(table) == list(columns.METRIC_COLUMNS)
    pd.testing.assert_frame_equal(table, store.read_metrics(tmp_path / "jobs" / spec.job_id))
    assert set(table["metric"]) == PLAIN | JUDGED
    assert len(table) == len(PLAIN) + 2 * len(JUDGED)
    judges = table[table["judge"] != ""]
    assert set(judges["judge"]) == {"r-tiny", "r-squeezenet1_1"}
    assert set(judges["judge_weights"]) == {"random:0"}
    first = table.iloc[0]
    assert list(first[:6]) == [spec.job_id, "r-vgg19", "none", "c", "s", 3]


def test_worker_processes_say_what_one_process_says(tmp_path: Path) -> None:
    specs = [add(tmp_path / out, seed=seed) for seed in range(3) for out in ("one", "two")]
    (tmp_path / "two" / "jobs" / specs[1].job_id / "result.png").write_bytes(b"broken")
    (tmp_path / "one" / "jobs" / specs[1].job_id / "result.png").write_bytes(b"broken")
    alone, lines = judged(tmp_path / "one", ONE)
    together, told = judged(tmp_path / "two", dataclasses.replace(ONE, workers=2))
    assert alone == together == judge.Summary(2, 1)
    parts = [[line.rpartition("  ")[0] for line in each] for each in (lines, told)]
    assert parts[0] == [line.replace("two", "one") for line in parts[1]]
    one, two = (store.load(tmp_path / out).metrics for out in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, rtol=1e-4)


@pytest.mark.slow
def test_a_worker_that_cannot_have_its_judges_says_why(tmp_path: Path) -> None:
    spec = add(tmp_path)
    made = judge._judged
    lost = WeightsRef(source="file:lost.safetensors", sha256="0" * 64, path=str(tmp_path / "lost"))
    options = dataclasses.replace(ONE, workers=2)
    records = list(store.records(tmp_path)) * 2
    found = list(made(records, tmp_path, {"p-vgg11": lost}, options))
    assert all(isinstance(each, InputError) and "lost" in str(each) for each in found), found
    assert len(found) == 2
    assert spec.job_id == records[0].job_id


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    spec = add(tmp_path)
    path = tmp_path / "jobs" / spec.job_id / "metrics.parquet"
    judged(tmp_path, ONE)
    before = path.stat().st_mtime_ns
    assert judged(tmp_path, ONE)[1][-1].endswith("judged before")
    assert path.stat().st_mtime_ns == before
    assert f"{len(JUDGED)} metrics by r-squeezenet1_1 " in judged(tmp_path, TWO)[1][-1]
    forced = judge.JudgeOptions(names=["r-tiny"], force=True)
    assert f"{len(PLAIN | JUDGED)} metrics by r-tiny " in judged(tmp_path, forced)[1][-1]
    assert judged(tmp_path, TWO)[1][-1].endswith("judged before")


def test_a_new_metric_is_added_to_old_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path)
    with monkeypatch.context() as patched:
        patched.delitem(METRICS._entries, "edges")
        judged(tmp_path, ONE)
    assert "  1 metrics  " in judged(tmp_path, ONE)[1][-1]
    assert "edges" in set(store.load(tmp_path).metrics["metric"])


def test_no_backbone_judges_its_own_jobs(tmp_path: Path) -> None:
    own = add(tmp_path, "r-tiny")
    judged(tmp_path, TWO)
    rows = store.read_metrics(tmp_path / "jobs" / own.job_id)
    assert set(rows["judge"]) == {"", "r-squeezenet1_1"}


def test_a_job_that_is_run_again_loses_its_metrics(tmp_path: Path) -> None:
    add(tmp_path)
    other = add(tmp_path, content=ImageRef(name="other", ref="x", digest="3"))
    judged(tmp_path, ONE)
    again = add(tmp_path)
    table = store.load(tmp_path).metrics
    assert set(table["job_id"]) == {other.job_id}
    store.write_metrics(tmp_path / "jobs" / other.job_id, [])
    store.compact(tmp_path)
    assert not (tmp_path / "metrics.parquet").exists()
    assert store.load(tmp_path).metrics.empty
    judged(tmp_path, ONE)
    assert again.job_id in set(store.load(tmp_path).metrics["job_id"])


def test_a_damaged_picture_costs_no_other_job(tmp_path: Path) -> None:
    bad = add(tmp_path)
    good = add(tmp_path, content=ImageRef(name="other", ref="x", digest="3"))
    (tmp_path / "jobs" / bad.job_id / "style.png").write_bytes(b"no picture")
    summary, lines = judged(tmp_path, ONE)
    assert summary == judge.Summary(1, 1)
    assert any(
        f"{bad.job_id} is damaged (no picture of ours (cannot identify" in line for line in lines
    )
    assert set(store.load(tmp_path).metrics["job_id"]) == {good.job_id}


def test_a_damaged_table_is_made_again(tmp_path: Path) -> None:
    spec = add(tmp_path)
    (tmp_path / "jobs" / spec.job_id / "metrics.parquet").write_bytes(b"no table")
    assert judged(tmp_path, ONE)[0] == judge.Summary(1, 0)


def test_a_metric_that_breaks_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(name: str, *args: object) -> float:
        if name == "ssim":
            raise RuntimeError("no\nsense")
        if name == "swd":
            raise InputError("too small")
        return 1.0

    add(tmp_path)
    monkeypatch.setattr(judge, "measure", measure)
    summary, lines = judged(tmp_path, ONE)
    assert summary == judge.Summary(0, 1)
    assert lines[-1].endswith("not judged in full: too small; ssim: RuntimeError: no sense")
    assert set(store.load(tmp_path).metrics["metric"]) == (PLAIN | JUDGED) - {"ssim", "swd"}


def test_what_was_measured_before_an_interruption_is_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object) -> float:
        raise KeyboardInterrupt

    first = add(tmp_path)
    judged(tmp_path, ONE)
    add(tmp_path, content=ImageRef(name="other", ref="x", digest="3"))
    monkeypatch.setattr(judge, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        judged(tmp_path, ONE)
    assert set(store.load(tmp_path).metrics["job_id"]) == {first.job_id}


def test_equal_pictures_are_decoded_once(tmp_path: Path) -> None:
    spec = add(tmp_path)
    data = (tmp_path / "jobs" / spec.job_id / "style.png").read_bytes()
    picture = judge._decoded(data, "cpu")
    assert judge._decoded(bytes(data), "cpu") is picture
    assert tuple(picture.shape) == (1, 3, 64, 72)
    expected = store.read_picture(tmp_path / "jobs" / spec.job_id / "style.png") / np.float32(255)
    np.testing.assert_array_equal(picture[0].permute(1, 2, 0).numpy(), expected)


def test_a_squashed_result_is_judged_with_squash() -> None:
    found = stylebench.stylize(
        "china", "brush", backbone="r-tiny", size=48, evals=2, resize="squash", device="cpu"
    )
    assert found.tensor.shape[2:] == (48, 48)
    with pytest.raises(InputError, match=r'one size, found 48×48 and 48×\d+ px; resize="squash"'):
        stylebench.judge(found, "china", "brush", judges=["r-squeezenet1_1"], device="cpu")
    table = stylebench.judge(
        found, "china", "brush", judges="r-squeezenet1_1", device="cpu", resize="squash"
    )
    assert set(table["judge"]) == {"", "r-squeezenet1_1"}
    with pytest.raises(InputError, match="judge r-tiny cannot judge what r-tiny made, its own"):
        stylebench.judge(found, "china", "brush", judges="r-tiny", device="cpu", resize="squash")
    assert table.loc[table["metric"].eq("ssim"), "value"].gt(0.3).all()
