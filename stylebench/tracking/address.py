"""Where MLflow is: its address, the database in a results folder, and what the folder keeps of it.

OUT/.sweep-id   the identity of the folder on servers
OUT/.tracked    digests of the addresses that have answered
"""

import contextlib
import hashlib
import logging
import os
import re
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stylebench import files, runtime
from stylebench.errors import InputError, describe, is_full, masked, without_secrets

OFF = "off"
"""In place of an address: jobs are not logged, MLflow need not be installed."""
HERE = "here"
"""The identity of a results folder in the database that it holds."""
OWN = ("mlflow.db", "mlflow.db-journal", "mlflow.db-wal", "mlflow.db-shm", "mlartifacts")
"""In a results folder, what MLflow and SQLite write in place."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Set unless the user did. MLflow's own 7 retries keep quiet for minutes about a wrong address, and
send again what a slow server has carried out; `stylebench.tracking.background` looks first what is
there."""


def database(uri: str) -> Path | None:
    """Return the file of an SQLite database; None for servers."""
    path = uri.removeprefix("sqlite:///")
    return None if path == uri else Path(path).parent.resolve() / Path(path).name


def artifacts(uri: str) -> str | None:
    """Return the folder of the artifacts beside an SQLite database; servers have their own."""
    place = database(uri)
    return None if place is None else (place.resolve().parent / "mlartifacts").as_uri()


def client() -> Any:
    """Return the class of MLflow's clients.

    Raises:
        InputError: MLflow is not installed, or not whole.
    """
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        if error.name == "mlflow" and isinstance(error, ModuleNotFoundError):
            said = "MLflow is not installed: pip install mlflow"
        else:
            said = f"MLflow cannot be imported ({describe(error)}): install it again"
        raise InputError(f"{said}, or --tracking-uri {OFF}") from None
    return MlflowClient


def connection(out: Path, uri: str | None) -> tuple[Any, str, bool]:
    """Return a client of MLflow, its address, and whether it is the database in a results folder.

    Args:
        out: the results folder; its database is made if need be.
        uri: of the tracking server; None means ``sqlite:///OUT/mlflow.db``.

    Raises:
        InputError: no MLflow can be at this address, or none is installed.
    """
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    runtime.have_home()  # for which MLflow looks when it is imported
    mlflow_client = client()
    for module in ("alembic", "mlflow"):
        logging.getLogger(module).setLevel(logging.CRITICAL)  # it raises what it logs
    here = out.resolve() / "mlflow.db"
    own = uri is None or database(uri) == here
    found = uri or f"sqlite:///{here}"
    if not uri and set("%?") & set(found):  # MLflow and SQLAlchemy read these differently
        raise InputError(f"{found} has % or ? in its path, which MLflow takes for another")
    try:
        if own:
            check_own(out)
            if not (out / "mlflow.db").exists():
                create(out / "mlflow.db")
        check(found)
        return mlflow_client(tracking_uri=found), found, own
    except Exception as error:  # of MLflow, and of whatever stands behind the address
        raise refused(found, error, out if own else None) from None


def create(place: Path) -> None:
    """Make an empty database of MLflow.

    MLflow makes its tables one by one, for seconds, and refuses a database that has some of them:
    so a kill meanwhile must leave none behind.
    """
    with tempfile.TemporaryDirectory() as folder, files.replacing(place) as file:
        made = Path(folder) / "mlflow.db"
        client()(tracking_uri=f"sqlite:///{made}")
        file.write(made.read_bytes())


def check_own(out: Path) -> None:
    """Raise InputError where MLflow or SQLite would write through a link in a results folder."""
    for name in OWN:
        files.check_own(out / name, out)


def check(uri: str) -> None:
    """Raise OSError for a database that cannot be written: MLflow tries that for minutes."""
    place = database(uri)
    if place is None or not os.path.lexists(place):
        return
    opened = os.open(place, os.O_RDWR | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise InputError("expected a database, found something that is no file; move it away")
    finally:
        os.close(opened)


def move_artifacts(place: Path, old: str, new: str) -> None:
    """Tell the database of a results folder that was moved where its artifacts are now."""
    with contextlib.closing(sqlite3.connect(place)) as connection, connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old), old),
            )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__


def reason(error: BaseException, uri: str) -> str:
    """Return what an error says of MLflow at an address, in one line and without secrets.

    Of errors of the network, which come wrapped three times, the innermost says it.
    """
    *_, said = (error, *(each for each in _chain(error) if isinstance(each, OSError)))
    return without_secrets(describe(said, 10_000), uri)[:200]


def refused(uri: str, error: BaseException, out: Path | None) -> InputError:
    """Return what is wrong with MLflow at an address, with a remedy if one is known.

    Args:
        uri: the address.
        error: of MLflow or the network.
        out: the results folder, if the database is the one that it holds.
    """
    remedy = ""
    if out is not None:
        causes = list(_chain(error))
        codes = {getattr(each, "sqlite_errorcode", None) for each in causes}
        if codes & {*DAMAGED}:
            remedy = f"; it is damaged, remove it: `stylebench track {out}` makes it anew"
        elif sqlite3.SQLITE_FULL in codes or any(map(is_full, causes)):
            remedy = f"; make space, then `stylebench track {out}`"
    return InputError(f"MLflow at {masked(uri)}: {reason(error, uri)}{remedy}")


def identities(out: Path, *, own: bool) -> list[str]:
    """Return by what the runs of a results folder are known; that of new runs is the first.

    Args:
        out: the results folder.
        own: in the database that it holds, which is moved and copied with it. Earlier versions
            wrote the identity on servers there.
    """
    if not own:
        return [identity(out)]
    return [HERE, *(word for word in _words(out / ".sweep-id")[:1] if word.isalnum())]


def identity(out: Path) -> str:
    """Return the identity of a results folder on servers, kept in it so that it may be renamed.

    A copy has other inodes than stand beside the identity, and gets one of its own: it cannot be
    told whether the first folder is still there, whose runs it must not touch. Earlier versions
    wrote no inodes: their identity is kept by the first folder that is found with it.
    """
    path = out / ".sweep-id"
    out.mkdir(parents=True, exist_ok=True)
    match _words(path):
        case [word, *there] if word.isalnum() and there == [
            str(p.stat().st_ino) for p in (out, path)
        ]:
            return word
        case [word] if re.fullmatch("[0-9a-f]{16}", word):
            made = word
        case _:
            made = os.urandom(8).hex()
    with files.replacing(path) as file:
        inodes = out.stat().st_ino, os.fstat(file.fileno()).st_ino
        file.write(" ".join((made, *map(str, inodes))).encode())
    return made


def is_proven(out: Path, uri: str) -> bool:
    """Tell whether an address has answered for this folder before: then it is not mistyped."""
    return _digest(uri) in _words(out / ".tracked")


def is_elsewhere(out: Path) -> bool:
    """Tell whether an address has answered for this folder that is not the database in it."""
    own = _digest(f"sqlite:///{out.resolve() / 'mlflow.db'}")
    return any(word != own for word in _words(out / ".tracked"))


def remember(out: Path, uri: str) -> None:
    """Write down that an address has answered."""
    files.write_text(out / ".tracked", "\n".join([*_words(out / ".tracked"), _digest(uri)]) + "\n")


def _words(path: Path) -> list[str]:
    try:
        return files.read_text(path).split()
    except (FileNotFoundError, UnicodeDecodeError):
        return []


def _digest(uri: str) -> str:
    """Return what stands for an address in a file, without its secrets, which could be guessed."""
    return hashlib.sha256(masked(uri).encode()).hexdigest()[:16]
