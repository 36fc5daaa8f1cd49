"""Runs the command line for tests: in this process, so that torch is imported once."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from stylebench.cli.main import main
from stylebench.tracking import address

COMMAND = (sys.executable, "-c", "from stylebench.cli.main import main; main()")
"""The command line as a process of its own."""

LOADING = """
import json, sys
from stylebench.cli.main import main
status, commands = json.loads(sys.argv[1])
for words in commands:
    sys.argv = ["stylebench", *words]
    try:
        main()
    except SystemExit as end:
        assert end.code == status, (words, end.code)
    print("LOADED", *sys.modules)
"""

NO_FIGURES = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from stylebench import figures; figures.draw = lambda *_: iter(());"
    "from stylebench.cli.main import main; main()",
)
"""The same, but it draws no figures, which take longer than all the rest, and heeds Ctrl-C even
where the tests run in the background, as children of what ignores it."""

TINY = {
    "name": "tiny",
    "arch": ["r-tiny"],
    "smoothing": ["none", "softmax"],
    "content": ["chelsea", "china"],
    "style": ["mosaic", "brush"],
    "pairing": "zip",
    "statistics_images": ["chelsea"],
    "size": 32,
    "evals": 5,
}


@dataclass(frozen=True)
class Run:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def invoke(*args: object, stdin: str = "") -> Run:
    """Run ``stylebench ARGS`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    status: object = None
    with (
        mock.patch.object(sys, "argv", ["stylebench", *map(str, args)]),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code
    assert isinstance(status, int), "the command line ends with sys.exit(status)"
    return Run(status, out.getvalue(), err.getvalue())


def refused(*args: object, stdin: str = "") -> str:
    """Return the one line with which a command refuses its input."""
    done = invoke(*args, stdin=stdin)
    assert (done.status, done.out) == (2, ""), done
    assert done.err.startswith("stylebench: ")
    assert done.err.endswith("\n")
    assert len(done.err.splitlines()) == 1, done.err
    assert "Traceback" not in done.err
    return done.err


def write_yaml(path: Path, **changes: object) -> Path:
    """Write the smallest sweep of two pairs and two smoothings, with some keys changed."""
    path.write_text(yaml.safe_dump({**TINY, **changes}), encoding="utf-8")
    return path


def with_database(out: Path) -> Path:
    """Make a results folder with an empty MLflow database: other processes take seconds for it.

    One that is there is emptied in place: MLflow keeps it open.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        address.create(Path(folder, "mlflow.db"))
        shutil.copy(Path(folder, "mlflow.db"), out)
    return out


def tracked(out: Path) -> Any:
    """Return a client of the MLflow database in a results folder.

    MLflow keeps a database open under the address that it was given: a relative one goes on to mean
    the working folder of the test that was the first to use it.
    """
    return address.client()(tracking_uri=f"sqlite:///{out.resolve() / 'mlflow.db'}")


def no_figures() -> contextlib.AbstractContextManager[object]:
    """Return a context in which sweeps of this process draw nothing."""
    return mock.patch("stylebench.figures.draw", return_value=())


def modules(commands: list[list[str]], cwd: Path, status: int = 0) -> list[set[str]]:
    """Return what a process has imported after each of some commands, which end with a status."""
    done = subprocess.run(
        [sys.executable, "-c", LOADING, json.dumps([status, commands])],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [set(line.split()) for line in done.stdout.splitlines() if line.startswith("LOADED")]
