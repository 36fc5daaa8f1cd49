"""Streams that are closed, full or ASCII, and machines on which something is missing."""

import errno
import os
import pwd
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stylebench import runtime
from tests.cli.bench import COMMAND, invoke, no_figures, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")

TRANSFER = ("transfer", "chelsea", "brush", "--arch", "r-tiny", "--size", "32", "--evals", "1")


def run(
    args: tuple[str, ...], shell: str = "", **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command, with what a shell does to its streams."""
    words = ["sh", "-c", f'exec "$@" {shell}', "sh", *COMMAND, *args]
    return subprocess.run(
        words, env={**os.environ, **environment}, capture_output=True, check=False, timeout=250
    )


def test_a_stream_in_ascii_takes_every_text() -> None:
    done = run(("ls", "smoothings"), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u03c3(F)" in done.stdout


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-"])
def test_a_closed_stream_leads_nowhere(shell: str) -> None:
    done = run(("ls", "images"), shell)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"chelsea" in done.stdout) == (shell != ">&-")


def test_without_any_stream_a_picture_is_made() -> None:
    done = run((*TRANSFER, "-o", "made.png"), "<&- >&- 2>&-")
    assert done.returncode == 0
    assert Path("made.png").read_bytes().startswith(b"\x89PNG")


def test_no_job_on_a_closed_standard_input() -> None:
    done = run(("run-job", "-", "--out", "out"), "<&-")
    assert done.returncode == 2
    assert done.stderr.startswith(b"stylebench: expected a job as JSON")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_a_stream(unbuffered: str) -> None:
    done = run(("ls", "images"), ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"No space left" in done.stderr
    assert run(("status", "nothing"), "2>/dev/full").returncode == 2


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))


IN_TIME = """
import sys, torch
from stylebench.sweeps import run, job, judge
from stylebench.tracking import mlflow, background
from tests.cli import test_streams
background.opened = test_streams.untracked
getattr(test_streams, sys.argv.pop(1))()
from stylebench import figures
figures.draw = lambda *_: iter(())
from stylebench.cli.main import main
main()
"""
"""Limits come after the imports: a system that cannot load Python's own is not ours to tell."""


def untracked(*_: object) -> object:
    """Return a context in which nothing is tracked."""
    import contextlib

    return contextlib.nullcontext(lambda record: None)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_no_descriptors_left_for_workers() -> None:
    config = write_yaml(Path("x.yaml"), statistics_images=[])
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", IN_TIME, "_few_files", "sweep", str(config), "--out", "out",
         "--jobs", "2"],
        env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, timeout=250,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr
    assert "Too many open files" in done.stderr


def test_no_processes_left_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    monkeypatch.setattr("stylebench.tracking.background.opened", untracked)
    done = invoke("sweep", write_yaml(Path("x.yaml")), "--out", "out", "--jobs", 2)
    assert done.status == 1
    assert "stylebench: a worker process cannot be started (" in done.err
    assert done.err.splitlines()[-1].endswith(
        "use fewer --jobs, or see `ulimit -u` and `ulimit -n`"
    )


def test_no_threads_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    done = invoke("sweep", write_yaml(Path("x.yaml")), "--out", "out")
    assert done.status == 1
    assert (
        done.err
        == "stylebench: can't start new thread: the system has none left; see `ulimit -u`\n"
    )


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def nobody(_: object) -> object:
        raise KeyError("no such user")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_user_without_a_home_has_one(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.have_home()
    home = Path.home()
    assert home == homeless / f"stylebench-{os.getuid()}"
    assert home.stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("HOME")
    runtime.have_home()
    assert Path.home() == home


@pytest.mark.parametrize("home", ["", ".", "/nonexistent", "/dev/null", "/dev/null/x", "x" * 5000])
def test_a_home_that_is_none_is_not_used(
    home: str, homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", home)
    runtime.have_home()
    assert Path.home() == homeless / f"stylebench-{os.getuid()}"


def test_a_home_that_is_empty_is_the_one_that_the_system_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = pwd.getpwuid(os.getuid())
    known = [*user[:5], str(tmp_path), user[6]]
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(known))
    monkeypatch.setenv("HOME", "")
    runtime.have_home()
    assert Path.home() == tmp_path


def test_weights_in_a_home_that_can_only_be_read_are_found(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = homeless / "home"
    (home / ".cache" / "torch").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in (*runtime.WEIGHTS, "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: access(path, mode) and not mode & os.W_OK)
    runtime.have_home()
    assert Path.home() == homeless / f"stylebench-{os.getuid()}"
    assert os.environ["TORCH_HOME"] == str(home / ".cache" / "torch")
    assert "HF_HOME" not in os.environ


def test_without_any_place_for_a_home_all_stays(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    runtime.have_home()
    assert "HOME" not in os.environ


@pytest.mark.parametrize(
    "taken", [Path.touch, lambda p: p.symlink_to("/"), lambda p: (p.mkdir(), p.chmod(0o777))]
)
def test_a_home_of_others_is_not_taken(homeless: Path, taken: Callable[[Path], object]) -> None:
    place = homeless / f"stylebench-{os.getuid()}"
    taken(place)
    runtime.have_home()
    assert Path.home() != place
    assert Path.home().stat().st_mode & 0o777 == 0o700


def test_a_working_directory_that_is_no_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\xfe")
    folder.mkdir()
    monkeypatch.chdir(folder)
    config = write_yaml(Path("x.yaml"))
    with no_figures():
        swept = invoke("sweep", config, "--out", "out")
    assert (swept.status, swept.err) == (0, "")
    assert "5 ok, 0 failed" in swept.out
    for args in (("status", "out"), ("figures", "out", "--only", "summary"), ("report", "out")):
        shown = invoke(*args)
        assert (shown.status, shown.err) == (0, ""), shown
    listed = run(("status", "out"))
    assert (listed.returncode, listed.stderr) == (0, b"")
