"""Who writes into a results folder, and how far a sweep is."""

import errno
import json
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stylebench import images, store
from stylebench.cli.status import lines
from stylebench.config import Spec
from stylebench.errors import InputError
from stylebench.figures import register
from stylebench.store import lock, status
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.job import run_job
from tests.cli.bench import invoke, no_figures, with_database, write_yaml

COMMAND = "stylebench sweep --arch all"


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with lock.claim(out, COMMAND):
        held = lock.holder(out)
        assert held is not None
        assert (held["command"], held["host"]) == (COMMAND, platform.node())
        with pytest.raises(InputError) as error, lock.claim(out, "another"):
            pass
        said = str(error.value)
        assert f"{str(out)!r} is being written by another command ({COMMAND}: process" in said
        assert lock.holder(out) == held
    assert lock.holder(out) is None
    with lock.claim(out, "another"):
        pass


def test_a_sweep_into_a_held_folder_runs_nothing(tmp_path: Path) -> None:
    config, out = write_yaml(tmp_path / "tiny.yaml"), tmp_path / "out"
    with lock.claim(out, COMMAND):
        for command in (("sweep", config), ("stats", "--arch", "r-tiny")):
            refused = invoke(*command, "--out", out)
            assert refused.status == 2
            assert COMMAND in refused.err
            assert len(refused.err.splitlines()) == 1
    assert not store.records(out)
    assert not (out / "manifest.json").exists()


KILLED = """
import os, pathlib, signal, sys
from stylebench.store import lock

with lock.claim(pathlib.Path(sys.argv[1]), "a command"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / ".holder.json").exists()
    assert lock.holder(tmp_path) is None
    with lock.claim(tmp_path, "another"):
        pass


def test_status_of_a_sweep_half_done(tmp_path: Path) -> None:
    picture = tmp_path / "mine.png"
    picture.write_bytes(b"")
    config, out = load_sweep(write_yaml(tmp_path / "tiny.yaml")), tmp_path / "out"
    made = plan.expand(config)
    specs: list[Spec] = [*made.jobs, *made.statistics]
    assert len(specs) == 5
    absent = made.jobs[0].content.model_copy(update={"ref": str(picture)})
    gone = made.jobs[0].model_copy(update={"seed": 7, "content": absent})
    with lock.claim(out, COMMAND):
        lock.announce(out, [*specs, gone])
        for spec in (*specs[:2], gone):
            run_job(spec, out)
        (out / "jobs" / f".tmp-{specs[2].job_id}-abc").mkdir()
        found = status.read(out)
        assert (found.jobs, found.ok, found.to_do, found.begun) == (6, 2, 3, 1)
        assert found.left is not None
        (reason,) = found.failed
        assert reason.startswith("r-tiny  none  chelsea × mosaic  seed 7: ")
        assert "mine.png" in reason
        text = "\n".join(lines(found))
        assert COMMAND in text
        assert "2 of 6 jobs ok, 1 failed, 3 to do, 1 of them begun, about " in text
    found = status.read(out)
    assert found.holder is None
    assert found.left is None
    assert "not running; the same command goes on" in lines(found)[0]


def test_status_from_the_command_line(tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml")
    with no_figures():
        out = with_database(tmp_path / "all" / "one")
        assert invoke("sweep", config, "--out", out).status == 0
    for folder in (tmp_path / "all" / "one", tmp_path / "all"):
        shown = invoke("status", folder)
        assert shown.status == 0
        assert shown.out.splitlines() == [
            f"{tmp_path / 'all' / 'one'}: finished",
            "  5 of 5 jobs ok, 0 failed, 0 to do",
        ]
    machine = json.loads(invoke("status", tmp_path / "all", "--json").out)
    assert (machine["ok"], machine["holder"], machine["failed"]) == (5, None, [])
    refused = invoke("status", tmp_path)
    assert refused.status == 2
    assert "holds no sweep; begin one with" in refused.err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--engine", "slurm"], "--engine expects inline, local, ray, found 'slurm'"),
        (["--engine", "inline", "--jobs", "2"], "use --engine local for --jobs"),
        (["--time-limit", "5"], "--time-limit is of worker processes; add --engine local"),
        (["--retries", "1"], "--retries is of worker processes; add --engine local"),
        (["--jobs", "2", "--retries", "-1"], "--retries expects 0 or more, found -1"),
        (["--jobs", "2", "--time-limit", "nan"], "expects 0 or more (0: no limit), found nan"),
        (["--jobs", "2", "--time-limit", "inf"], "expects 0 or more (0: no limit), found inf"),
        (["--address", "here:1"], "--address is of a Ray cluster; add --engine ray"),
        (["--engine", "ray", "--address", "127.0.0.1:1"], "no Ray cluster at 127.0.0.1:1: "),
    ],
)
def test_wrong_engines(flags: list[str], told: str, tmp_path: Path) -> None:
    if "ray" in flags:
        pytest.importorskip("ray")
    config = write_yaml(tmp_path / "tiny.yaml")
    refused = invoke("sweep", config, "--out", tmp_path / "out", *flags)
    assert refused.status == 2
    assert told in refused.err
    assert len(refused.err.splitlines()) == 1


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    config, out = write_yaml(tmp_path / "tiny.yaml"), with_database(tmp_path / "out")
    refused = invoke("sweep", config, "--out", out, "--engine", "ray")
    assert refused.status == 2
    assert "pip install 'stylebench[ray]'" in refused.err
    assert len(refused.err.splitlines()) == 1


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, out = write_yaml(tmp_path / "tiny.yaml"), with_database(tmp_path / "out")

    def full(path: Path, picture: object, *_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched, no_figures():
        patched.setattr(images, "save", full)
        refused = invoke("sweep", config, "--out", out)
    assert refused.status == 1
    (line,) = refused.err.splitlines()
    assert line.startswith("stylebench: No space left on device: ")
    assert line.endswith("; make space and run the same command again, what is finished is kept")
    assert [path.name for path in (out / "jobs").iterdir()] == []
    with no_figures():
        assert invoke("sweep", config, "--out", out).status == 0
    assert len(store.load_results(out)) == 4
    monkeypatch.setattr(register, "_save_figure", lambda *_: full(out / "half", None))
    drawn = invoke("figures", out)
    assert drawn.status == 1
    assert "No space left on device" in drawn.err
