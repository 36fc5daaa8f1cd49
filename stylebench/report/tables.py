"""Tables of the page: those that are registered, statistics by layer, and jobs."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import pandas as pd

from stylebench import figures
from stylebench.figures import style
from stylebench.store import Results

JOBS = {
    "arch": "arch", "weights": "weights", "smoothing": "smoothing", "content": "content",
    "style": "style", "seed": "seed", "size": "size", "preset": "preset", "status": "status",
    "flags": "flags", "evals": "evals", "loss_initial": "loss at first", "loss_final": "loss",
    "content_loss": "content loss", "style_loss_initial": "style loss at first",
    "style_loss": "style loss", "moved": "moved", "stop_reason": "stopped by",
    "seconds": "seconds", "error": "error", "job_id": "job",
}  # fmt: skip
"""Columns of results.parquet in the table of jobs, and their names there."""

DETAILS = 60
"""Rows that a table of jobs or layers has at most in a page of several folders."""

BUDGET = 700_000
"""Characters of HTML of all tables of such a page."""


@dataclass(frozen=True)
class Field:
    """A cell: what is read, and the number (as text, exact) by which the column is sorted."""

    text: str
    value: str = ""


@dataclass(frozen=True)
class Table:
    """A table: `key` names its element, `note` stands below its title; `numeric` tells columns."""

    key: str
    title: str
    note: str
    head: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Field, ...], ...]
    file: str = ""
    """In the results folder, with the same rows."""

    @property
    def length(self) -> int:
        """About how many characters of HTML the rows take."""
        return sum(30 + len(f.text) + len(f.value) for row in self.rows for f in row)


def _field(value: object, spread: float | None = None) -> Field:
    if isinstance(value, bool) or not isinstance(value, Real):
        return Field(str(value))
    if not math.isfinite(float(value)):
        return Field("–")
    text = str(value) if isinstance(value, Integral) else f"{float(value):.4g}"
    known = spread is not None and spread == spread
    return Field(f"{text} ± {spread:.2g}" if known else text, str(value))


def from_frame(frame: pd.DataFrame, key: str, title: str, note: str = "") -> Table:
    """Return a table of a frame; columns ``x`` and ``x_std`` become one, "mean ± deviation"."""
    names = [str(name) for name in frame]
    spreads = {name: f"{name}_std" for name in names if f"{name}_std" in names}
    shown = [name for name in names if name not in spreads.values()]
    rows = tuple(
        tuple(_field(row[n], row[spreads[n]] if n in spreads else None) for n in shown)
        for row in frame.astype(object).to_dict("records")
    )
    numeric = tuple(pd.api.types.is_numeric_dtype(frame[name]) for name in shown)
    return Table(key, title, note, tuple(n.replace("_", " ") for n in shown), numeric, rows)


def _jobs(results: Results) -> Table | None:
    frame = results.results
    if not len(frame):
        return None
    told = style.alike(frame)
    differ = [key for key in style.settings(told) if style.varies(told, key)]
    columns = {key: key.replace("_", " ") for key in differ} | JOBS
    columns = {key: columns[key] for key in [*JOBS, *columns] if key != "job_id"}
    columns["job_id"] = JOBS["job_id"]
    frame = frame.assign(moved=frame["moved"] * 255)[list(columns)].rename(columns=columns)
    note = "One row a job. moved: root mean square change of the pixels, of 255 grey levels."
    return from_frame(frame, "jobs", "Stylisations, job by job", note)


def _layers(results: Results) -> Table | None:
    frame = results.statistics
    if not len(frame):
        return None
    several = [key for key in ("size", "resize") if style.varies(frame, key)]
    keys = ["arch", "smoothing", *several, "stage", "layer"]
    order = list(dict.fromkeys(frame["statistic"]))
    ranked = style.ranked(frame)
    groups = ranked.assign(arch=ranked["backbone"]).groupby(
        [*keys, "statistic"], observed=True, dropna=False
    )
    tall = groups["value"].agg(["mean", "std"])
    mean, spread = (
        tall[value].unstack("statistic")  # noqa: PD010  `.pivot_table` drops what is not known
        for value in ("mean", "std")
    )
    made = mean[[name for name in order if name in mean]].join(spread.add_suffix("_std"))
    note = f"Mean ± standard deviation over pictures and seeds; {style.STAGES}."
    return from_frame(made.reset_index(), "layers", "Statistics by layer", note)


def _own_note(frame: pd.DataFrame) -> list[str]:
    """Return what a table says of itself, such as how many rows it leaves out."""
    return [str(frame.attrs["note"])] if "note" in frame.attrs else []


def _registered(results: Results, name: str) -> Table | None:
    """Return a registered table, None without its data; one that is broken says so."""
    function = figures.TABLES[name]
    first, _, rest = (inspect.getdoc(function) or name).partition("\n")
    note = " ".join([first, *rest.split()])
    key, title = f"table-{name}", name.replace("_", " ").capitalize()
    try:
        made = function(results)
        return from_frame(made, key, title, " ".join([note, *_own_note(made)]))
    except figures.NoDataError:
        return None
    except Exception as error:
        return Table(key, title, figures.told(name, error), (), (), ())


def tables(results: Results) -> list[Table]:
    """Return all tables for which there are data: registered ones, which sum up, come first.

    Of these it has those of all results and those of the folder's own experiments.

    Args:
        results: of a folder.
    """
    own = set(figures.names(results))
    registered = [name for name in figures.TABLES if name in own]
    made = {f"tables/{name}.csv": _registered(results, name) for name in registered}
    made["stats.parquet"] = _layers(results)
    made["results.parquet"] = _jobs(results)
    return [replace(table, file=file) for file, table in made.items() if table is not None]


def fit(chapters: Mapping[str, Sequence[Table]]) -> dict[str, list[Table]]:
    """Return the tables of several folders without the rows of the longest, to keep to `BUDGET`.

    Args:
        chapters: name of the folder -> its tables; what is left out is told with its file.
    """
    every = [table for tables in chapters.values() for table in tables if not _detailed(table)]
    left, cap = BUDGET, 0
    for length in sorted(table.length for table in every):
        if length > left:
            break
        left, cap = left - length, length
    return {
        name: [_cut(t, name) if _detailed(t) or t.length > cap else t for t in tables]
        for name, tables in chapters.items()
    }


def _detailed(table: Table) -> bool:
    return table.key in ("jobs", "layers") and len(table.rows) > DETAILS


def _cut(table: Table, folder: str) -> Table:
    file = f"{folder}/{table.file}"
    note = f"{table.note} {len(table.rows)} rows, which are not shown here: see {file}.".lstrip()
    return replace(table, note=note, rows=())
