"""Jobs that are the same: files of equal bytes are one picture, under all its names, ``a=b``."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from stylebench import images, store
from stylebench.config import PictureSpec, StatisticsSpec, Stylisation

AnySpec = TypeVar("AnySpec", PictureSpec, StatisticsSpec)
Pictured = TypeVar("Pictured", bound=Stylisation)


def unique(specs: Iterable[AnySpec]) -> tuple[AnySpec, ...]:
    """Return each job once, in order, its pictures with the names that they have in any."""
    same: dict[str, list[AnySpec]] = {}
    for spec in specs:
        same.setdefault(spec.job_id, []).append(spec)
    return tuple(_one_of(group) for group in same.values())


def _one_of(same: Sequence[AnySpec]) -> AnySpec:
    last = same[-1]
    if len(same) == 1 or not isinstance(last, Stylisation):
        return last
    return _named(last, [spec for spec in same if isinstance(spec, Stylisation)])


def _named(job: Pictured, same: Sequence[Stylisation]) -> Pictured:
    """Return a job whose pictures have the names of those of others that are the same."""
    named = {}
    for role in ("content", "style"):
        names = [name for spec in same for name in getattr(spec, role).name.split("=")]
        named[role] = getattr(job, role).model_copy(update={"name": "=".join(dict.fromkeys(names))})
    return job.model_copy(update=named)


def add_names(out: Path, job: PictureSpec) -> None:
    """Note in the folder of a finished job what its pictures' files are called now, beside before.

    A file of equal bytes may have joined. Built-ins keep their names.
    """
    builtin = all(p.ref.startswith(images.PREFIX) for p in (job.content, job.style))
    folder = store.place(out, job)
    record = None if builtin else store.read_record(folder)
    if record is None:
        return
    named = _named(record.stylisation, [record.stylisation, job])
    if named == record.spec:
        return
    names = {"content": named.content.name, "style": named.style.name}
    rows = [
        {str(key): value for key, value in row.items()} | names
        for row in store.read_metrics(folder).to_dict("records")
    ]
    if rows:
        store.write_metrics(folder, rows)
    store.write_record(folder, record.model_copy(update={"spec": named}))
