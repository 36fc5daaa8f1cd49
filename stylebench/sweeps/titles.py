"""What the jobs of a sweep are called: no two of them the same."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stylebench.config import Spec


def _settings(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the values in nested mappings by their paths: ``loss.balance``, ``blend.0.share``.

    Where files lie is of no job's meaning: of pictures `ref` is left out.
    """
    found: dict[str, Any] = {}
    for key, each in value.items():
        if isinstance(each, list) and any(isinstance(one, Mapping) for one in each):
            each = dict(enumerate(each))
        if isinstance(each, Mapping):
            found |= _settings(each, f"{path}{key}.")
        elif key != "ref" or "digest" not in value:
            found[f"{path}{key}"] = each
    return found


_UNTOLD: Any = {"weights": {"path", "missing"}}
"""Of no job's meaning too."""


def _differing(every: Sequence[Mapping[str, Any]], keys: Iterable[str]) -> list[str]:
    """Return, for each of some settings, those of the keys in which they differ, in one text."""
    differ = [key for key in keys if len({json.dumps(each.get(key)) for each in every}) > 1]
    return [" ".join(f"{k}={each[k]!s:.60}" for k in differ if k in each) for each in every]


def told_apart(specs: Iterable[Spec]) -> dict[str, str]:
    """Return job id -> title, followed by the settings in which jobs of the same title differ.

    Digests of pictures and weights are told where nothing else differs: other sizes have others.
    """
    groups: dict[str, dict[str, Spec]] = {}
    for spec in specs:
        groups.setdefault(spec.title, {})[spec.job_id] = spec
    found = {job_id: title for title, jobs in groups.items() for job_id in jobs}
    for title, jobs in groups.items():
        if len(jobs) == 1:
            continue
        every = [_settings(spec.model_dump(mode="json", exclude=_UNTOLD)) for spec in jobs.values()]
        keys = dict.fromkeys(key for each in every for key in each)
        told = _differing(every, (key for key in keys if not key.endswith(("digest", "sha256"))))
        if len(set(told)) < len(told):
            told = _differing(every, keys)
        for job_id, text in zip(jobs, told, strict=True):
            found[job_id] = f"{title}  {text}"
    return found
