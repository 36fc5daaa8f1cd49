"""Commands on results folders from a stranger, each in a process of its own that is watched."""

import contextlib
import faulthandler
import functools
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults import mutations, outside, sweeps

SECONDS = 10.0
"""Of processor time for a command."""
WAITING = 35.0
"""Seconds in which a command that uses no processor is taken for one that hangs."""
MEMORY = 2e9
"""Bytes by which the resident set may grow."""
FAST = (
    "--arch", "r-tiny", "--size", "32", "--evals", "1", "--device", "cpu", "--precision", "fp32",
)  # fmt: skip
DRAWN = ("grid", "summary", "statistics", "curves", "metrics", "gradients", "scale_free",
         "comparisons")  # fmt: skip
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"}
WRITTEN = ("made.png", "report.html")
"""By commands, beside the results folder."""
USER = 54321
"""Of whom the commands are where this is root, to whom no file is forbidden."""
_LIMIT = 3_000_000
"""Bytes of a file that is looked into."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, what is wrong, and seconds of processor time."""

    command: str
    status: int
    findings: tuple[str, ...]
    seconds: float
    waited: float = 0.0


@dataclass
class Folder:
    """Where a worker works: the folder of a case, the canaries, and the good results."""

    root: Path
    results: Path
    experiment: Path
    case: Path = field(init=False)
    outside: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        self.case, self.outside = self.root / "case", self.root / "outside"
        self._begin()

    def _begin(self) -> None:
        outside.make(self.outside, self.results)
        own(self.outside)
        self.watch = outside.Watch(self.outside)
        self.state = outside.state(self.outside)
        self.watch.opened()  # by the line before

    def touched(self) -> list[str]:
        """Return what was opened or changed outside since this was last asked."""
        found = [f"opened outside: {name}" for name in sorted(self.watch.opened())]
        now = outside.state(self.outside)
        self.watch.opened()  # by the line before
        changed = {p for p in now.keys() | self.state.keys() if now.get(p) != self.state.get(p)}
        if changed:
            found += [f"changed outside: {Path(path).name}" for path in sorted(changed)]
            self.watch.close()
            shutil.rmtree(self.outside)
            self._begin()
        return found


def load() -> None:
    """Import all that a command may need, so that a process that is forked starts at once."""
    import importlib

    from stylebench import figures
    from stylebench.cli import main

    figures.load()
    for name in (
        "mlflow.store.tracking.sqlalchemy_store", "mlflow.tracking.client", "skimage.metrics",
        "mlflow.store.artifact.artifact_repository_registry", "torchmetrics", "rich.progress",
        "mlflow.store.artifact.local_artifact_repo", "alembic.command", "stylebench.report.page",
        "stylebench.sweeps.run", "stylebench.sweeps.judge", "stylebench.measures.metrics",
        "stylebench.store.status", "stylebench.tracking.background", "stylebench.cli.show",
        "stylebench.backbones.pretrained", "stylebench.transfer.stylize", "matplotlib.font_manager",
        "matplotlib.backends.backend_agg",
    ):  # fmt: skip
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    del main
    gc.freeze()  # so that the collector of a forked process copies no page


def plain(args: Sequence[str]) -> None:
    """Run ``stylebench ARGS`` in a new process, quietly, to its good end."""
    command = [sys.executable, "-m", "stylebench", *args]
    subprocess.run(command, env=sweeps.environment(), check=True, capture_output=True)


def commands(name: str, chance: Random) -> list[tuple[str, ...]]:
    """Return the commands of a case; `name` is the folder's."""
    job = chance.choice(["result", "content", "style"])
    one = f"{name}/jobs/{{job}}"
    force = ("--force",) * chance.randint(0, 1)
    whole = [("status", "."), ("report", "."), ("figures", ".", "--only", chance.choice(DRAWN))]
    only = ("--only", chance.choice(DRAWN))
    return [
        ("status", name),
        ("figures", name, *only),
        ("report", name),
        ("judge", name, "--judge", "r-tiny", "--device", "cpu", *force),
        ("track", name),
        ("run-job", "job.json", "--out", name, "--device", "cpu", *force),
        ("run-job", f"{one}/record.json", "--out", "made", "--device", "cpu"),
        ("transfer", f"{one}/{job}.png", f"{name}/images/{{image}}", *FAST, "-o", "made.png"),
        ("sweep", "x.yaml", "--out", name, "--device", "cpu", *force),
        *([chance.choice(whole)] if chance.random() < 0.2 else []),
    ]


def _fill(args: Sequence[str], out: Path, chance: Random) -> list[str]:
    """Put names of files of the folder into a command."""
    found = {}
    for key, place in (("{job}", "jobs"), ("{image}", "images")):
        with contextlib.suppress(OSError):
            found[key] = chance.choice(sorted(p.name for p in (out / place).iterdir()) or ["x"])
    for key, name in found.items():
        args = [arg.replace(key, name) for arg in args]
    return list(args)


def _audit(say: Callable[[str], object]) -> None:
    """Tell of processes that are started, and of connections."""

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event in STARTS:
            say(f"started {args[0]!r:.80}")
        elif event == "socket.connect":
            say(f"connected to {args[1]!r:.80}")

    sys.addaudithook(hook)


def child(args: Sequence[str], place: Path, told: Path, prepare: Callable[[], None]) -> None:
    """Run ``stylebench ARGS`` in a folder, in this process, which ends with it.

    Args:
        args: of the command.
        place: the working directory.
        told: what it says goes into the files out, err and audit there.
        prepare: called before.
    """
    status = 70
    try:
        os.setsid()
        os.chdir(place)
        tempfile.tempdir = str(told / "tmp")
        for number, name in ((1, "out"), (2, "err")):
            opened = os.open(told / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
            os.dup2(opened, number)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        faulthandler.enable(sys.stderr)
        faulthandler.register(signal.SIGUSR1, file=2)
        audited = os.open(told / "audit", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        _audit(lambda text: os.write(audited, f"{text}\n".encode(errors="replace")))
        sys.argv = ["stylebench", *args]
        from stylebench.cli.main import main

        prepare()
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 71
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(status)


def _as_stranger(*, draw: bool) -> None:
    """Be a user to whom files may be forbidden, and leave figures out, which take long."""
    if not os.getuid():
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
    if not draw:
        from stylebench import figures

        figures.draw = lambda *_: iter(())


def _used(pid: int) -> tuple[float, float]:
    """Return the processor time of a process in s, and its resident set in bytes."""
    try:
        parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    seconds = sum(map(int, parts[11:15])) / os.sysconf("SC_CLK_TCK")
    return seconds, int(parts[21]) * os.sysconf("SC_PAGE_SIZE")


def _wait(pid: int) -> tuple[int, str, float]:
    """Wait for a process; return its status, why it was killed, and its processor time in s."""
    _, start = _used(pid)
    busy, used, killed = time.monotonic(), 0.0, ""
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), killed, usage.ru_utime + usage.ru_stime
        seconds, memory = _used(pid)
        if seconds > used + 0.05:
            busy, used = time.monotonic(), seconds
        if not killed:
            if seconds > 3 * SECONDS:
                killed = f"hang: over {3 * SECONDS:.0f} s of processor time"
            elif time.monotonic() - busy > WAITING:
                killed = f"hang: idle for {WAITING:.0f} s"
            elif memory - start > MEMORY:
                killed = f"memory: over {MEMORY / 1e9:.0f} GB"
            if killed:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGUSR1)
                    time.sleep(0.3)
                    os.killpg(pid, signal.SIGKILL)
        time.sleep(0.02)


def run(args: Sequence[str], folder: Folder, told: Path, draw: bool) -> Ended:
    """Run a command in the folder of a case and return how it went."""
    shutil.rmtree(told, ignore_errors=True)
    (told / "tmp").mkdir(parents=True)
    own(told)
    before = _files(folder.case)
    folder.touched()
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        child(args, folder.case, told, functools.partial(_as_stranger, draw=draw))
    status, killed, seconds = _wait(pid)
    waited = time.monotonic() - began
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    found = [killed] if killed else []
    if not killed and seconds > SECONDS:
        found.append(f"hang: {seconds:.0f} s of processor time")
    touched = folder.touched()
    found += [text for text in touched if not (_named(args) and text.startswith("opened"))]
    found += _said(told, status, bool(killed))
    left = _left(folder.case, before)
    found += [text for text in left if not (_named(args) and text.startswith("a picture"))]
    return Ended(" ".join(args), status, tuple(found), seconds, waited)


def _named(args: Sequence[str]) -> bool:
    """Tell whether a command reads files that its user names: these may be links to anywhere."""
    return args[0] == "transfer" or args[1].endswith("record.json")


def _said(told: Path, status: int, killed: bool) -> list[str]:
    """Return what is wrong with what a command said, and with its exit status."""
    texts = {n: (told / n).read_bytes() if (told / n).exists() else b"" for n in ("out", "err")}
    found = []
    for name, text in texts.items():
        if b"Traceback (most recent call last)" in text:
            found.append(f"traceback: {_last(text)}")
        if seen := outside.shows(text):
            found.append(f"{seen} from outside in {name}")
        if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", text):
            found.append(f"escapes in {name}")
        if broken := re.search(
            rb"failed, (?!(?:Input|Damaged|OS|Permission|FileExists|\w+ADirectory)Error)"
            rb"\w+: .{0,60}",
            text,
        ):
            found.append(f"broke: {broken[0].decode(errors='replace')}")
    lines = texts["err"].strip().splitlines()
    if status not in (0, 1, 2) and not killed:
        found.append(f"exit status {status}")
    if status == 2 and len(lines) != 1:
        found.append(f"{len(lines)} lines of error: {b' / '.join(lines)[:200]!r}")
    if (told / "audit").exists():
        found += sorted(set((told / "audit").read_text().splitlines()))
    return found


def _last(text: bytes) -> str:
    """Return where a traceback of ours ends, and its last line."""
    lines = text.decode(errors="replace").strip().splitlines()
    places = [line.strip() for line in lines if "/stylebench/" in line or "/analysis/" in line]
    place = re.sub(r'File ".*/(.*?)", line (\d+), in (\w+)', r"\1:\2 \3", (places or [""])[-1])
    return f"{place}: {lines[-1][:160]}"


def _files(case: Path) -> dict[Path, tuple[int, int]]:
    found = {}
    for folder, _, names in os.walk(case):
        for name in names:
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                stat = path.lstat()
                found[path] = stat.st_ino, stat.st_ctime_ns
    return found


def _left(case: Path, before: dict[Path, tuple[int, int]]) -> list[str]:
    """Return what is wrong with what a command has written."""
    found = []
    for path, stamp in _files(case).items():
        if before.get(path) == stamp:
            continue
        name = path.name
        if path not in before and re.search(r"^\.(tmp-|.*\.(part|tmp)\b)", name):
            found.append(f"litter: {re.sub('[0-9a-f]{8,}', 'X', name)}")
        if path.is_file() and not path.is_symlink() and path.lstat().st_size < _LIMIT:
            with contextlib.suppress(OSError):
                if seen := outside.shows(path.read_bytes()):
                    found.append(f"{seen} from outside in {path.relative_to(case).parts[-1]}")
        if len(path.relative_to(case).parts) == 1 and path not in before and name not in WRITTEN:
            found.append(f"wrote {name}")
    return found


def judge(number: int, seed: int, folder: Folder) -> tuple[list[str], list[Ended]]:
    """Return what was done to the folder of a case, and how every command on it went."""
    chance = Random(f"{seed}:{number}")
    name = chance.choice(["run"] * 12 + ["=a b", "[x]", "a%?b", "-run"])
    typed = f"./{name}" if name.startswith("-") else name  # else it were a flag
    done: list[str] = []
    ended = []
    for args in commands(typed, chance):
        done = make(folder, name, Random(f"{seed}:{number}:mutations"))
        if args[1] == ".":
            shutil.copytree(folder.results, folder.case / "whole")
        own(folder.case)
        filled = _fill(args, folder.case / name, chance)
        drawn = args[0] != "sweep" or not number % 10
        ended.append(run(filled, folder, folder.root / "told", drawn))
    return done, ended


def make(folder: Folder, name: str, chance: Random) -> list[str]:
    """Make the folder of a case, and return what was done to the results in it."""
    _remove(folder.case)
    folder.case.mkdir()
    out = folder.case / name
    shutil.copytree(folder.results, out, symlinks=True)
    shutil.copy(folder.experiment, folder.case / "x.yaml")
    outside.write_job(folder.results, folder.case / "job.json")
    return mutations.mutate(out, folder.outside, chance)


def own(place: Path) -> None:
    """Give a folder to the user of whom the commands are, where this is root."""
    if not os.getuid():
        for folder, names, files in os.walk(place):
            for name in [".", *names, *files]:
                os.chown(Path(folder) / name, USER, USER, follow_symlinks=False)


def _remove(folder: Path) -> None:
    """Remove a folder, whatever rights were taken from what is in it."""
    for place, names, _ in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
