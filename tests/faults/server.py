"""A real ``mlflow server`` on a real PostgreSQL, both on loopback, for faults and their tests."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START = 120.0
"""Seconds that a server may take to start: it makes its tables first."""


def binaries() -> Path | None:
    """Return where initdb and pg_ctl are: in PATH, or where Debian has them; None if nowhere."""
    places = [*os.get_exec_path(), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    found = (Path(p).resolve() for p in places if shutil.which("initdb", path=p))
    return next((p for p in found if shutil.which("pg_ctl", path=str(p))), None)


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _owner() -> dict[str, Any]:
    """Return how to start PostgreSQL, which refuses to run as root: as ``nobody``."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yield the address of a new, empty database, which goes with the block."""
    place = binaries()
    assert place is not None, "needs initdb and pg_ctl (Debian: apt install postgresql)"
    folder, port = Path(tempfile.mkdtemp(prefix="stylebench-pg-")), free_port()
    owner = _owner()
    if owner:
        shutil.chown(folder, owner["user"], owner["group"])
    data = str(folder / "data")
    settings = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
        "-c fsync=off -c max_connections=30"
    )

    def call(*command: str) -> None:
        subprocess.run(
            [str(place / command[0]), *command[1:]], check=True, cwd=folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **owner,
        )  # fmt: skip

    try:
        call("initdb", "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8", "--locale=C", "-N")
        call("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield f"postgresql+psycopg2://bench@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """An MLflow server that can be killed, hung and started again at the same address."""

    def __init__(self, database: str, folder: Path) -> None:
        self._database, self._folder, self._port = database, folder, free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
                 "--port", str(self._port), "--workers", "1",
                 "--backend-store-uri", self._database,
                 "--artifacts-destination", str(self._folder / "artifacts")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )  # fmt: skip
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "server.log").read_text()[-2000:]
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.uri}/health", timeout=5),
            ):
                return
            time.sleep(0.1)
        raise TimeoutError(f"no answer from {self.uri}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes: SIGSTOP hangs it, SIGCONT ends that."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Kill it: whoever asks is refused."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def mlflow_on_postgres(folder: Path) -> Iterator[Server]:
    """Yield a running server; database and server go with the block."""
    with postgres() as database:
        server = Server(database, folder)
        try:
            server.start()
            yield server
        finally:
            server.kill()
