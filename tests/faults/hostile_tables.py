"""What a stranger may have done to the parquet tables of a results folder."""

import functools
import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PLACES = ("results.parquet", "stats.parquet", "trace.parquet", "gradients.parquet",
          "metrics.parquet", "jobs/*/*.parquet", "statistics/*/*.parquet")  # fmt: skip
MANY = 30_000_000
"""Rows of a table of few bytes."""


def _table(out: Path, chance: Random) -> tuple[Path, Any] | None:
    found = [p for pattern in PLACES for p in sorted(out.glob(pattern)) if p.is_file()]
    place = chance.choice(found) if found else None
    if place is None:
        return None
    try:
        about = pq.read_metadata(place)
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        if about.num_rows * sum(group.total_byte_size for group in groups) > 1 << 32:
            return None  # `repeated` was here
        return place, pq.read_table(place)
    except (OSError, ValueError):  # another mutation has damaged it
        return None


def _write(out: Path, place: Path, table: Any, told: str) -> str:
    place.unlink()
    pq.write_table(table, place)
    return f"{place.relative_to(out)}: {told}"


def _column(out: Path, chance: Random) -> tuple[Path, Any, int, str] | None:
    """Return a table and one of its columns, by number and name."""
    found = _table(out, chance)
    if found is None or not found[1].num_columns:
        return None
    index = chance.randrange(found[1].num_columns)
    return *found, index, found[1].column_names[index]


def columns(out: Path, outside: Path, chance: Random) -> str:
    """Drop, double, rename or add columns."""
    found = _column(out, chance)
    if found is None:
        return ""
    place, table, index, name = found
    how = chance.choice(["drop", "double", "rename", "add", "none"])
    if how == "drop":
        table = table.remove_column(index)
    elif how == "double":
        table = table.append_column(name, table.column(index))
    elif how == "rename":
        new = chance.choice(["", "x", name.upper(), "\x1b[31m", "=1", "../x", "a" * 3000])
        table = table.rename_columns([new if n == name else n for n in table.column_names])
    elif how == "add":
        many = {f"x{n}": pa.nulls(len(table)) for n in range(chance.choice([1, 3000]))}
        table = pa.table({**{n: table.column(n) for n in table.column_names}, **many})
    else:
        table = pa.table({})
    return _write(out, place, table, f"{how} {name}")


_CASTS: dict[str, Callable[[int], Any]] = {
    "null": lambda n: pa.nulls(n),
    "int": lambda n: pa.array(range(n)),
    "float": lambda n: pa.array([0.5] * n),
    "bool": lambda n: pa.array([True] * n),
    "text": lambda n: pa.array(["x"] * n),
    "bytes": lambda n: pa.array([b"\xff\xfe"] * n),
    "list": lambda n: pa.array([["a", "b"]] * n),
    "struct": lambda n: pa.array([{"a": {"b": 1}}] * n),
    "dictionary": lambda n: pa.array(["x"] * n).dictionary_encode(),
    "time": lambda n: pa.array([0] * n, pa.timestamp("ns", tz="UTC")),
    "far": lambda n: pa.array([2**62] * n, pa.timestamp("us")),
    "decimal": lambda n: pa.array(["1.5"] * n).cast(pa.decimal128(38, 10)),
    "duration": lambda n: pa.array([1] * n, pa.duration("s")),
    "map": lambda n: pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64())),
}


def types(out: Path, outside: Path, chance: Random) -> str:
    """Give a column another type."""
    found = _column(out, chance)
    if found is None:
        return ""
    place, table, index, name = found
    what = chance.choice([*_CASTS])
    table = table.set_column(index, name, _CASTS[what](len(table)))
    return _write(out, place, table, f"{name} is {what}")


_NUMBERS = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 0.0, -1.0, 1e-320, 2.0**62)


def cells(out: Path, outside: Path, chance: Random) -> str:
    """Put hostile text or numbers into one row of a column, or into all of them."""
    from tests.faults.mutations import values

    found = _table(out, chance)
    if found is None or not len(found[1]) or not found[1].num_columns:
        return ""
    place, table = found
    kinds = [n for n, c in enumerate(table.schema.names) if "picture" in c]
    index = chance.choice(kinds or [*range(table.num_columns)])
    if chance.random() < 0.5:
        index = chance.randrange(table.num_columns)
    name, kind = table.column_names[index], table.schema.field(index).type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = [json.loads(v) for v in values(outside) if v.startswith('"') and "ud800" not in v]
        value: Any = chance.choice([*texts, str(outside / "private.png"), None])
    elif pa.types.is_floating(kind):
        value = chance.choice([*_NUMBERS, None])
    elif pa.types.is_integer(kind):
        value = chance.choice([0, -1, 2**62, -(2**62), 10**9, None])
    else:
        value = None
    column = table.column(index).to_pylist()
    places = range(len(column)) if chance.random() < 0.5 else [chance.randrange(len(column))]
    for row in places:
        column[row] = value
    table = table.set_column(index, name, pa.array(column, kind))
    return _write(out, place, table, f"{name} = {value!r:.60} in {len(places)} rows")


def rows(out: Path, outside: Path, chance: Random) -> str:
    """Leave no rows, or have each many times."""
    found = _table(out, chance)
    if found is None:
        return ""
    place, table = found
    times = chance.choice([0, 2, 300])
    table = pa.concat_tables([table] * times) if times else table.slice(0, 0)
    return _write(out, place, table, f"rows {times} times")


def metadata(out: Path, outside: Path, chance: Random) -> str:
    """Change what pandas reads of a table beside its columns."""
    found = _table(out, chance)
    if found is None:
        return ""
    place, table = found
    name = table.column_names[0] if table.num_columns else "x"
    many = {"kind": "range", "start": 0, "stop": 10**12, "step": 1, "name": None}
    zone = {"numpy_type": "datetime64[ns, Nowhere]", "metadata": {"timezone": "Nowhere"}}
    nowhere = {"name": name, "field_name": name, "pandas_type": "object", **zone}
    empty: dict[str, Any] = {"index_columns": [], "columns": [], "column_indexes": []}
    texts = [json.dumps({**empty, **more}).encode() for more in (
        {"index_columns": ["nothing"]}, {"index_columns": [name]}, {"index_columns": [many]},
        {"columns": [nowhere], "column_indexes": [{"name": 1}]},
    )]  # fmt: skip
    text = chance.choice([b"", b"nothing", b"[]", b"{}", b"null", b"[" * 100_000, *texts])
    return _write(
        out, place, table.replace_schema_metadata({b"pandas": text}), f"pandas {text[:40]!r}"
    )


@functools.cache
def _bomb(names: tuple[str, ...]) -> bytes:
    """Return a table of few kilobytes and very many rows."""
    columns_ = {n: pa.DictionaryArray.from_arrays(pa.array([0] * MANY, pa.int8()), pa.array(["x"]))
                for n in names[:3]}  # fmt: skip
    file = io.BytesIO()
    pq.write_table(pa.table(columns_), file, compression="zstd")
    return file.getvalue()


def bomb(out: Path, outside: Path, chance: Random) -> str:
    """Have a table of very many rows in few bytes."""
    found = _table(out, chance)
    if found is None:
        return ""
    place, table = found
    data = _bomb(tuple(table.column_names))
    place.write_bytes(data)
    return f"{place.relative_to(out)}: {MANY} rows in {len(data)} bytes"


def repeated(out: Path, outside: Path, chance: Random) -> str:
    """Have a text of a million characters in every row of a column, stored once."""
    found = _table(out, chance)
    if found is None or not found[1].num_columns:
        return ""
    place, table = found
    name = chance.choice([*table.column_names, "junk"])
    rows_ = chance.choice([300, 1500, 100_000])
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows_, pa.int8()), pa.array(["x" * 10**6]))
    taken = pa.array([n % max(1, len(table)) for n in range(rows_)])
    table = table.take(taken) if len(table) else pa.table({})
    others = {n: table.column(n) for n in table.column_names if n != name}
    place.unlink()
    pq.write_table(pa.table({**others, name: text}), place, compression="zstd", store_schema=False)
    return f"{place.relative_to(out)}: {name} is a million characters in {rows_} rows"


TABLES = {columns: 4, types: 5, cells: 8, rows: 2, metadata: 2, bomb: 1, repeated: 1}
