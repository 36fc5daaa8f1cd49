"""Experiments of classifiers, found and read: what ``stylebench accuracy`` runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylebench.classifiers.settings import AccuracySettings
from stylebench.errors import InputError, listing
from stylebench.sweeps.reading import located, read_yaml, settled, shipped

COMMAND = "stylebench ls classifiers"


def load_settings(
    path: Path, flags: Mapping[str, Any] | None = None, profile: str | None = None
) -> AccuracySettings:
    """Return the settings of an experiment.

    Args:
        path: its file, or the name of one of ``shipped("accuracy")``.
        flags: keys from the command line, which go before the file's; None values are left out.
        profile: of the file's ``profiles``, laid on its other settings; by default the first.

    Raises:
        InputError: unknown keys, values of the wrong type or range; the text names one.
    """
    known = shipped("accuracy")
    data = read_yaml(located(path, known, "experiment of classifiers", COMMAND), known)
    return settled(data, AccuracySettings, str(path), flags or {}, profile, check=_check_kind)


def _check_kind(data: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a file of something else than classifiers."""
    for key, command in (("arch", "sweep"), ("method", "train")):
        if key in data and key not in AccuracySettings.model_fields:
            known = listing(AccuracySettings.model_fields)
            raise InputError(
                f"{where}: expected an experiment of classifiers, found the key {key!r}: "
                f"`stylebench {command}` runs such files {known}"
            )
