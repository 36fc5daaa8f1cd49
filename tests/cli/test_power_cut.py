"""What is in place is checked before it counts: after a power cut, and where it cannot be read."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from stylebench import store
from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.job import run_jobs
from tests.cli.bench import Run, invoke, no_figures, with_database, write_yaml
from tests.often import often

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder of two jobs and one of statistics."""
    folder = tmp_path_factory.mktemp("swept")
    out = with_database(folder / "out")
    config = write_yaml(folder / "tiny.yaml", smoothing=["none"], gradients=True)
    with no_figures():
        assert invoke("sweep", config, "--out", out).status == 0
    return out


@pytest.fixture
def out(swept: Path, tmp_path: Path) -> Path:
    shutil.copy(swept.parent / "tiny.yaml", tmp_path)
    return Path(shutil.copytree(swept, tmp_path / "out"))


def again(out: Path) -> Run:
    with no_figures():
        return invoke("sweep", out.parent / "tiny.yaml", "--out", out)


def jobs(out: Path) -> list[Path]:
    return sorted((out / "jobs").iterdir())


def _tables(out: Path) -> dict[str, pd.DataFrame]:
    loaded = store.load(out)
    return {
        "results": loaded.results.drop(columns=["seconds", "peak_memory_mb"]).sort_values("job_id"),
        "trace": loaded.trace.sort_values(["job_id", "evaluation"]),
        "gradients": loaded.gradients.sort_values(["job_id", "term", "layer"]),
        "statistics": loaded.statistics,
    }


def _same(out: Path, swept: Path) -> None:
    before = _tables(swept)
    for name, table in _tables(out).items():
        pd.testing.assert_frame_equal(
            table.reset_index(drop=True), before[name].reset_index(drop=True), rtol=1e-3
        )


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def a_page(path: Path) -> None:
    """Lose a part in the middle alone: sums of a format tell it, its ends do not."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)


FILES = ("record.json", "result.png", "content.png", "style.png", "trace.parquet",
         "gradients.parquet")  # fmt: skip


@pytest.mark.parametrize("damage", [zeros, half])
def test_what_is_damaged_is_run_again_and_told_once(
    damage: Callable[[Path], None], swept: Path, out: Path
) -> None:
    for folder in jobs(out):
        for name in FILES:
            damage(folder / name)
    (statistics,) = (out / "statistics").iterdir()
    damage(statistics / "statistics.parquet")
    done = again(out)
    assert (done.status, done.err) == (0, ""), done
    (line,) = [line for line in done.out.splitlines() if "run again" in line]
    assert line.startswith("run again, 3 in all: ")
    assert "3 ok, 0 failed" in done.out
    _same(out, swept)
    assert "run again" not in again(out).out


@pytest.mark.parametrize("name", FILES)
def test_each_file_of_a_job_is_checked(name: str, swept: Path, out: Path) -> None:
    first, second = jobs(out)
    zeros(first / name)
    kept = (second / "record.json").read_bytes()
    done = again(out)
    assert done.status == 0
    assert "1 jobs to run" in done.out or "1 job to run" in done.out
    assert f"run again, 1 in all: {first} is damaged" in done.out.replace("'", "") or (
        f"run again, 1 in all: '{first}/{name}' " in done.out
    )
    assert (second / "record.json").read_bytes() == kept
    _same(out, swept)


@pytest.mark.parametrize("name", ["result.png", "content.png", "style.png"])
def test_a_picture_that_lost_a_part_is_not_whole(name: str, out: Path) -> None:
    a_page(jobs(out)[0] / name)
    assert "run again, 1 in all: " in again(out).out


OWN = ("results.parquet", "stats.parquet", "trace.parquet", "gradients.parquet", "manifest.json",
       ".jobs.json", ".lock", ".tracked")  # fmt: skip


@pytest.mark.parametrize("damage", [zeros, half])
def test_tables_and_previews_are_made_anew(
    damage: Callable[[Path], None], swept: Path, out: Path
) -> None:
    for path in [*(out / name for name in OWN), *(out / "images").iterdir()]:
        damage(path)
    before = (out / "manifest.json").read_bytes()
    done = again(out)
    assert (done.status, done.err) == (0, ""), done
    assert "0 jobs to run" in done.out or "3 finished" in done.out
    _same(out, swept)
    for picture in (out / "images").iterdir():
        assert store.read_picture(picture).any()
    assert "is kept as manifest.damaged.json" in done.out
    assert (out / "manifest.damaged.json").read_bytes() == before
    zeros(out / "manifest.json")
    assert "is kept as manifest.damaged-2.json" in again(out).out


def test_a_damaged_job_of_another_sweep_is_named_and_left_out(out: Path) -> None:
    """It blocks no table, and it is told in one line with all others."""
    other = write_yaml(out.parent / "other.yaml", smoothing=["none"], content=["coffee"],
                       style=["brush"])  # fmt: skip
    damaged = jobs(out)
    for folder in damaged:
        zeros(folder / "trace.parquet")
    with no_figures():
        done = invoke("sweep", other, "--out", out)
    assert done.status == 0
    (line,) = [line for line in done.out.splitlines() if line.startswith("not in the tables: ")]
    assert all(f"{folder} is damaged" in line for folder in damaged)
    assert list(store.load_results(out)["content"]) == ["coffee"]
    assert invoke("figures", out, "--only", "grid").status == 0


def test_a_copy_of_a_job_is_no_job(swept: Path, out: Path) -> None:
    """As a cloud drive makes it, or a person."""
    first, second = jobs(out)
    copy = out / "jobs" / f"{first.name} (conflicted copy)"
    shutil.copytree(first, copy)
    done = again(out)
    assert "3 ok, 0 failed" in done.out
    assert f"not in the tables: {copy} holds what job {first.name} is" in done.out
    _same(out, swept)
    assert f"not logged: {copy} holds" in invoke("track", out).out
    assert "0 jobs logged, 2 were there" in invoke("track", out).out
    shutil.rmtree(second)
    copy.rename(second)
    done = again(out)
    assert "run again, 1 in all: " in done.out
    assert "3 ok, 0 failed" in done.out
    _same(out, swept)


def test_an_id_is_computed_again(swept: Path, out: Path) -> None:
    """A record that says it is another job than its settings are is none."""
    first, second = jobs(out)
    text = (second / "record.json").read_text().replace(second.name, first.name)
    (first / "record.json").write_text(text)
    done = again(out)
    assert f"{first} holds what job {second.name} is" in done.out
    _same(out, swept)


@pytest.mark.parametrize("name", ["record.json", "result.png", "manifest.json", ".jobs.json",
                                  "results.parquet", "metrics.parquet", "jobs"])  # fmt: skip
@pytest.mark.parametrize(
    "number",
    often({errno.EACCES, errno.EIO}, [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE]),
)
def test_what_cannot_be_read_is_not_taken_for_undone(
    number: int, name: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of another user once made a sweep compute all jobs again and replace them."""
    opens = os.open

    def refuse(path: str, *args: object, **keys: object) -> int:
        if path == name:
            raise OSError(number, os.strerror(number))
        return opens(path, *args, **keys)  # type: ignore[arg-type]

    commands = {
        "record.json": ["sweep", "status", "judge", "track", "plan"],
        "result.png": ["sweep", "judge"],
        "manifest.json": ["sweep", "report", "figures"],
        ".jobs.json": ["status"],
        "results.parquet": ["report", "figures", "judge"],
        "metrics.parquet": ["report"],
        "jobs": ["sweep", "judge", "plan"],
    }
    before = {path: path.stat().st_mtime_ns for path in (out / "jobs").rglob("*")}
    text = (out / "manifest.json").read_bytes()
    monkeypatch.setattr("stylebench.files.os.open", refuse)
    if name == "metrics.parquet":
        (out / name).write_bytes(b"")
    yaml = out.parent / "tiny.yaml"
    for command in commands[name]:
        words = {"sweep": (yaml, "--out", out), "plan": (yaml, "--out", out)}
        done = invoke(command, *words.get(command, (out,)))
        assert done.status == 2, (command, done)
        assert len(done.err.splitlines()) == 1, (command, done.err)
        assert f"cannot be read: {os.strerror(number).lower()}" in done.err, (command, done.err)
    assert {path: path.stat().st_mtime_ns for path in (out / "jobs").rglob("*")} == before
    assert (out / "manifest.json").read_bytes() == text


def test_a_job_that_cannot_be_put_in_place_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = plan.expand(load_sweep(write_yaml(tmp_path / "tiny.yaml", smoothing=["none"]))).jobs
    stuck, replace = specs[1], Path.replace

    def busy(self: Path, target: Path) -> Path:
        if target.name == stuck.job_id:
            raise OSError(errno.EBUSY, "Device or resource busy", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    with pytest.raises(OSError, match=stuck.job_id):
        run_jobs(specs, tmp_path / "out")
    assert store.pending(tmp_path / "out", specs) == [stuck]
    assert [path.name for path in jobs(tmp_path / "out")] == [specs[0].job_id]


@pytest.mark.parametrize("plant", [Path.touch, Path.mkdir])
def test_what_stands_in_the_place_of_a_job_is_replaced(
    plant: Callable[[Path], None], swept: Path, out: Path
) -> None:
    first = jobs(out)[0]
    shutil.rmtree(first)
    plant(first)
    assert "3 ok, 0 failed" in again(out).out
    _same(out, swept)


def test_a_link_in_the_place_of_a_job_is_refused_before_anything_is_run(out: Path) -> None:
    first = jobs(out)[0]
    first.rename(out.parent / "elsewhere")
    first.symlink_to(out.parent / "elsewhere")
    done = again(out)
    assert done.status == 2
    assert "is a symbolic link, expected a folder" in done.err
    with pytest.raises(InputError, match="symbolic link"):
        store.records(out)
