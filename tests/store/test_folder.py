"""The results folder: atomic, resumable, and never outside itself."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stylebench import files, store
from stylebench.config import ImageRef, StatisticsSpec, WeightsRef
from stylebench.errors import InputError
from stylebench.store import JobRecord, columns
from stylebench.tracking import view
from tests.jobs import BUDGET, finish, job


def break_a_job(out: Path) -> None:
    with store.job_folder(out, "transfer", "abc") as folder:
        (folder / "half").write_text("x")
        raise RuntimeError


def test_a_job_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        break_a_job(tmp_path)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_what_a_killed_process_left_is_removed_a_day_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young, old = (tmp_path / "jobs" / f".tmp-{name}" for name in ("abc-1", "abc-2"))
    for folder in (young, old):
        folder.mkdir(parents=True)
    finish(tmp_path, job())
    names = [f".{number:016x}.part" for number in range(3)]
    parts = [tmp_path / "tables" / names[0], tmp_path / names[1]]
    parts.append(store.place(tmp_path, job()) / names[2])
    (tmp_path / "tables").mkdir()
    day = 86400
    for path in parts:
        path.touch()
    store.remove_stale(tmp_path)
    assert all(path.exists() for path in parts)
    for path in (old, *parts):
        os.utime(path, (time.time() - day - 1,) * 2)
    monkeypatch.setattr(files, "_TIDY", set())  # as another process has it
    store.remove_stale(tmp_path)
    assert not any(path.exists() for path in parts)
    assert set((tmp_path / "jobs").iterdir()) == {young, store.place(tmp_path, job())}
    store.remove_stale(tmp_path, age=0, job_id="abd")
    assert young.exists()
    store.remove_stale(tmp_path, age=0, job_id="abc")
    assert not young.exists()


@pytest.mark.parametrize("kind", ["transfer", "statistics"])
def test_a_record_of_another_kind_is_no_outcome(kind: str, tmp_path: Path) -> None:
    """As `cp -r statistics/X jobs/X` leaves it, and the other way round."""
    finish(tmp_path, job())
    own = store.place(tmp_path, job())
    if kind == "statistics":
        spec = StatisticsSpec(
            arch="r-vgg19", weights=job().weights, smoothing=(job().smoothing,), images=(), size=64,
            resize="aspect", nodes={}, seed=0,
        )  # fmt: skip
        own = store.place(tmp_path, spec)
        own.mkdir(parents=True)
        (own / "statistics.parquet").write_text("x")
        store.write_record(own, JobRecord.of(spec, status="ok", finished=1.0))
    other = {"transfer": "statistics", "statistics": "jobs"}[kind]
    copy = tmp_path / other / own.name
    shutil.copytree(own, copy)
    assert store.read_record(own)
    assert store.read_record(copy) is None
    assert view.read(tmp_path, own.name) is None or kind == "transfer"
    (why,) = store.survey(tmp_path, "statistics" if kind == "transfer" else "transfer")[1]
    assert why == f"{copy} holds a job of another kind ({kind})"


def test_a_finished_job_survives_a_break_while_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, replace = job(), Path.replace
    finish(tmp_path, spec)

    def breaks(self: Path, target: Path) -> Path:
        if self.name.startswith(".tmp-") and not self.name.endswith("-old"):
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", breaks)
        with pytest.raises(KeyboardInterrupt):
            finish(tmp_path, spec)
    assert store.pending(tmp_path, [spec]) == []
    assert [f.name for f in (tmp_path / "jobs").iterdir()] == [spec.job_id]


def test_a_job_takes_the_place_of_its_failure(tmp_path: Path) -> None:
    spec = job()
    finish(tmp_path, spec, "failed", error="broke")
    assert store.pending(tmp_path, [spec]) == [spec]
    finish(tmp_path, spec)
    assert store.pending(tmp_path, [spec]) == []
    assert store.pending(tmp_path, [spec], force=True) == [spec]
    assert [f.name for f in (tmp_path / "jobs").iterdir()] == [spec.job_id]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_record_that_cannot_be_read_is_not_finished(tmp_path: Path, content: str) -> None:
    spec = job()
    finish(tmp_path, spec)
    (tmp_path / "jobs" / spec.job_id / "record.json").write_text(content)
    assert store.pending(tmp_path, [spec]) == [spec]


@pytest.mark.parametrize("name", ["result.png", "trace.parquet"])
def test_a_job_that_lost_a_file_is_not_finished(tmp_path: Path, name: str) -> None:
    spec = job()
    finish(tmp_path, spec)
    (tmp_path / "jobs" / spec.job_id / name).write_bytes(b"")
    assert store.pending(tmp_path, [spec]) == [spec]


def test_statistics_alone_keep_the_rows_of_unavailable_jobs(tmp_path: Path) -> None:
    missing = job(weights=WeightsRef(source="unavailable", missing="none here"))
    finish(tmp_path, job())
    store.compact(tmp_path, [missing])
    before = store.load_results(tmp_path)
    store.compact(tmp_path)
    pd.testing.assert_frame_equal(store.load_results(tmp_path), before)
    store.compact(tmp_path, [])
    assert store.load_results(tmp_path)["status"].tolist() == ["ok"]


def test_compact_makes_the_tables_of_the_contract(tmp_path: Path) -> None:
    done, missing = (
        job(),
        job(arch="p-resnet50", weights=WeightsRef(source="unavailable", missing="none here")),
    )
    finish(tmp_path, done, loss_final=0.5, style_loss=float("nan"))
    store.compact(tmp_path, [missing])
    frame = store.load_results(tmp_path).set_index("status")
    assert list(frame.index) == ["ok", "unavailable"]
    assert frame.loc["unavailable", "error"] == "none here"
    assert frame.loc["ok", "loss_final"] == 0.5
    assert frame["style_loss"].isna().tolist() == [True, True]
    for column in ("picture", "content_picture", "style_picture"):
        assert store.read_picture(tmp_path / str(frame.loc["ok", column])).shape == (20, 30, 3)
    assert len(store.load(tmp_path).trace) == 2


def test_a_picture_that_changed_replaces_the_one_before_in_the_tables(tmp_path: Path) -> None:
    """Same reference, other content: nothing may average over both."""
    style = ImageRef(name="brush", ref="builtin:brush", digest="old")
    old, new = job(style=style), job(style=style.model_copy(update={"digest": "new"}))
    elsewhere = job(style=style.model_copy(update={"ref": "/x/brush.png"}))
    for number, spec in enumerate((old, elsewhere, new)):
        finish(tmp_path, spec, finished=float(number))
    store.compact(tmp_path, [])
    results = store.load(tmp_path)
    assert set(results.results["job_id"]) == set(results.trace["job_id"])
    assert set(results.results["job_id"]) == {new.job_id, elsewhere.job_id}
    assert store.pending(tmp_path, [old]) == [], "its folder stays"


def test_a_picture_that_is_what_it_was_again_counts(tmp_path: Path) -> None:
    style = ImageRef(name="brush", ref="builtin:brush", digest="old")
    old, new = job(style=style), job(style=style.model_copy(update={"digest": "new"}))
    for number, spec in enumerate((old, new)):
        finish(tmp_path, spec, finished=float(number))
    store.compact(tmp_path, [], {old.job_id})
    assert list(store.load_results(tmp_path)["job_id"]) == [old.job_id]


def test_what_lies_in_anothers_folder_is_no_job(tmp_path: Path) -> None:
    spec = job()
    finish(tmp_path, spec)
    (tmp_path / "jobs" / spec.job_id).rename(tmp_path / "jobs" / "0123456789abcdef")
    assert store.records(tmp_path) == []
    store.compact(tmp_path, [])
    assert len(store.load_results(tmp_path)) == 0


def test_records_are_strict_json(tmp_path: Path) -> None:
    inf, nan = float("inf"), float("nan")
    record = JobRecord.of(
        job(), status="ok", finished=1.0, loss_final=nan, moved=-0.5, style_layers={"a": inf}
    )
    store.write_record(tmp_path, record)
    text = (tmp_path / "record.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert {key: found[key] for key in ("loss_final", "moved", "style_layers")} == {
        "loss_final": None, "moved": -0.5, "style_layers": {"a": None},
    }  # fmt: skip
    assert found["error"] == ""
    assert "seconds" not in found, "what is not known is not written"


@pytest.mark.parametrize(
    "change",
    [
        lambda known: known.pop("finished"),
        lambda known: known.pop("spec"),
        lambda known: known.update(status="well"),
        lambda known: known.update(kind="statistics"),
        lambda known: known.update(seconds="long"),
        lambda known: known["spec"].update(size="large"),
    ],
)
def test_a_record_that_is_none_means_a_job_to_do(
    change: Callable[[dict[str, Any]], Any], tmp_path: Path
) -> None:
    spec = job()
    finish(tmp_path, spec)
    path = store.place(tmp_path, spec) / "record.json"
    known = json.loads(path.read_text())
    assert store.pending(tmp_path, [spec]) == []
    later = {
        "a key": 1,
        "environment": {"cpus": 2},
        "style_layers": None,
        "flags": None,
        "evals": None,
    }
    path.write_text(json.dumps({**known, **later, "device": "\udcff"}))
    assert store.pending(tmp_path, [spec]) == []
    change(known)
    path.write_text(json.dumps(known))
    assert store.pending(tmp_path, [spec]) == [spec]


@pytest.mark.parametrize(
    "name",
    ["../../up", "a/b", "ein Bild", 'it\'s "quoted"', "猫", "x" * 300, "", "..", "a\nb", "$x_1$"],
)
def test_pictures_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    spec = job(content=ImageRef(name=name, ref="/x", digest="1" * 32))
    finish(out, spec)
    frame = store.compact(out)
    assert frame["content"][0] == name
    assert {p.name for p in tmp_path.iterdir()} == {"out"}
    made = [p for p in (out / "images").rglob("*") if p.is_file()]
    assert len(made) == 3
    assert all(p.parent == out / "images" and len(p.name) < 200 for p in made)


def test_gradients_are_gathered_from_the_jobs_that_have_them(tmp_path: Path) -> None:
    plain, budgeted = job(), job(gradients=True, seed=1)
    finish(tmp_path, plain)
    finish(tmp_path, budgeted)
    store.compact(tmp_path)
    found = store.load(tmp_path).gradients
    assert found.to_dict("list") == {"job_id": [budgeted.job_id] * 2, **BUDGET}
    (tmp_path / "jobs" / budgeted.job_id / "gradients.parquet").unlink()
    assert store.pending(tmp_path, [plain, budgeted]) == [budgeted]
    store.compact(tmp_path)
    assert not (tmp_path / "gradients.parquet").exists()
    assert list(store.load(tmp_path).gradients) == ["job_id", "term", "layer", "gradient"]


def test_a_folder_without_results_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no results .*stylebench sweep"):
        store.load_results(tmp_path)


def test_a_broken_table_is_told(tmp_path: Path) -> None:
    (tmp_path / "results.parquet").write_text("no")
    with pytest.raises(InputError, match="expected a parquet table"):
        store.load_results(tmp_path)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "results.parquet")
    with pytest.raises(InputError, match="lacks job_id"):
        store.load_results(tmp_path)


def test_folders_are_those_that_hold_results(tmp_path: Path) -> None:
    for name in ("fig10", "fig3", "fig1_2", "gamma", ".hidden", "empty"):
        (tmp_path / name).mkdir()
        if name != "empty":
            (tmp_path / name / "stats.parquet").write_text("")
    (tmp_path / "bench.json").write_text("{}")
    found = [folder.name for folder in store.folders(tmp_path)]
    assert found == ["fig1_2", "fig3", "fig10", "gamma"]
    assert store.folders(tmp_path / "nowhere") == []


def test_tables_of_before_a_column_was_added_are_read(tmp_path: Path) -> None:
    finish(tmp_path, job())
    store.compact(tmp_path)
    path = tmp_path / "results.parquet"
    table = pd.read_parquet(path)
    assert table["first_step"].tolist() == ["1.0"]
    table.drop(columns="first_step").to_parquet(path)
    assert store.load_results(tmp_path)["first_step"].tolist() == ["torch"]


@pytest.mark.parametrize(
    ("final", "flags"),
    [
        (0.4, "did-not-move loss-met"),
        (0.5, "did-not-move loss-met"),
        (0.9, "did-not-move loss-stood"),
    ],
)
def test_a_loss_that_was_met_is_told_from_one_that_stood(
    final: float, flags: str, tmp_path: Path
) -> None:
    """By the losses of a record, and by those of a table of an earlier version."""
    known = {"loss_initial": 1.0, "loss_final": final, "initial_gradient": 3.0}
    record = JobRecord.of(job(), status="ok", finished=1.0, flags=("did-not-move",), **known)
    row = columns.result_row(record)
    assert (row["flags"], row["loss_ratio"], row["initial_gradient"]) == (flags, final, 3.0)
    table = columns.frame([row], columns.RESULT_COLUMNS).assign(flags="did-not-move")
    found = columns.of_earlier(table.drop(columns=["loss_ratio", "initial_gradient"]))
    assert list(found["flags"]) == [flags]
    assert list(found["loss_ratio"]) == [final]
    moved = JobRecord.of(job(), status="ok", finished=1.0, **known)
    assert columns.result_row(moved)["flags"] == ""
