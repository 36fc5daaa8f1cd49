"""Where a folder's jobs are to be logged: flags go before MLflow's variables, these before OUT.

``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME`` mean what they mean to MLflow.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stylebench.errors import InputError, masked
from stylebench.tracking.address import OFF

URI, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
LONGEST = {"experiment": 500, "key": 250, "value": 5000}
"""Characters that every MLflow takes."""
OURS = ("job_id", "status", "error", "command", "mlflow.", "stylebench.")
"""Tags that runs have already, and beginnings of such."""


@dataclass(frozen=True)
class Place:
    """Where jobs are logged, and with which tags.

    Attributes:
        uri: of MLflow; None means ``sqlite:///OUT/mlflow.db``; ``off``: nowhere.
        experiment: its name; "" means that of the sweep.
        tags: of every run.
        variables: those of the environment that were heeded.
    """

    uri: str | None = None
    experiment: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What the environment decides, in one line; "" if nothing."""
        parts = {URI: f"at {masked(self.uri or '')}", EXPERIMENT: f"experiment {self.experiment}"}
        said = [f"{parts[name]} (${name})" for name in self.variables]
        return f"MLflow: {', '.join(said)}" if said else ""


OWN = Place()
"""The database in the results folder, experiments as sweeps are called."""


def chosen(
    uri: str | None = None, experiment: str | None = None, tags: Iterable[str] = ()
) -> Place:
    """Return where jobs are logged.

    Args:
        uri: as of `Place`, from a flag; None: none was given.
        experiment: likewise.
        tags: each ``key=value``.

    Raises:
        InputError: a name that MLflow does not take, or something that would do nothing.
    """
    made = _tags(tags)
    given = {URI: uri, EXPERIMENT: experiment}
    found = {name: os.environ.get(name, "").strip() for name in given}
    heeded = tuple(name for name in given if given[name] is None and found[name])
    if (uri or found[URI]) == OFF:
        if experiment is not None or made:
            raise InputError(f"--experiment-name and --tag do nothing with --tracking-uri {OFF}")
        return Place(OFF, variables=heeded[:1] if URI in heeded else ())
    name = experiment if experiment is not None else found[EXPERIMENT]
    if experiment is not None or name:
        _check_experiment(name, "--experiment-name" if experiment is not None else f"${EXPERIMENT}")
    return Place(uri or found[URI] or None, name, made, heeded)


def _check_experiment(name: str, who: str) -> None:
    if not name.strip() or len(name) > LONGEST["experiment"] or not name.isprintable():
        raise InputError(
            f"{who} expects a name of 1 to {LONGEST['experiment']} characters on one line, "
            f"found {name[:60]!r}"
        )


def _tags(given: Iterable[str]) -> dict[str, str]:
    """Return tags from ``key=value``."""
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not _is_name(key):
            raise InputError(
                "--tag expects key=value, the key of letters, digits, spaces and / . - _; "
                f"found {text[:60]!r}"
            )
        if any(key == own or (own.endswith(".") and key.startswith(own)) for own in OURS):
            raise InputError(f"--tag {key!r} is a tag that every run has; give yours another name")
        if len(value) > LONGEST["value"]:
            raise InputError(
                f"--tag {key!r} expects at most {LONGEST['value']} characters, found {len(value)}"
            )
        if found.setdefault(key, value) != value:
            raise InputError(f"--tag {key!r} is given twice: {found[key]!r} and {value!r}")
    return found


def _is_name(key: str) -> bool:
    """Tell whether MLflow takes a key, which names a file in some of its stores."""
    short = 0 < len(key) <= LONGEST["key"]
    plain = re.fullmatch(r"[\w./ -]+", key) is not None
    return short and plain and posixpath.normpath(key) == key and key[0] not in "./"
