"""Tables read from parquet files, of which a few bytes may stand for very many.

What is decoded is bounded before it is: only columns of a schema are, of types that fit it, and
text as it lies in the file, each value once, until it is known how long all of it is.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stylebench import files
from stylebench.errors import DamagedError, describe
from stylebench.store import columns

MOST_ROWS, MOST_COLUMNS, MOST_GROUPS = 10_000_000, 200, 100
"""Of a table: 10,000 jobs of 1000 evaluations have as many rows of losses, in ten groups."""
MOST_BYTES = 1_000_000_000
"""Of a table in memory, numbers and text; while it is read there may be a second copy."""


def read_parquet(path: Path, schema: Mapping[str, str], root: Path | None = None) -> pd.DataFrame:
    """Return those columns of a table that are in a schema, as `columns.typed`.

    Pandas takes twice as long to open a small file.

    Args:
        path: of the file.
        schema: column -> type, as `columns.RESULT_COLUMNS`.
        root: the results folder that it is of; by default the folder that it is in.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        DamagedError: it is no such table, or larger than any of ours.
        InputError: it cannot be read.
    """
    with files.opened(path, root) as file, files.readable(path):
        try:
            with pq.ParquetFile(file) as table:
                about, names = table.metadata, columns.present(table.schema_arrow, schema)
            _check_size(about, names)
            text = [name for name in names if schema[name] == "str"]
            with pq.ParquetFile(file, metadata=about, read_dictionary=text) as table:
                found = _decoded(table, names)
        except DamagedError:
            raise
        except (ValueError, OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the system's, not Arrow's
                raise
            raise DamagedError(f"it is no parquet table: {describe(error)}") from None
    return columns.typed(found, schema)


def _check(amount: int, most: int, what: str) -> None:
    if amount > most:
        raise DamagedError(f"it has over {most:,} {what}, which none of ours has")


def _check_size(about: Any, names: Collection[str]) -> None:
    """Raise DamagedError for a table that says of itself to be far larger than any of ours."""
    _check(about.num_columns, MOST_COLUMNS, "columns")
    _check(about.num_row_groups, MOST_GROUPS, "groups of rows")
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    _check(max(about.num_rows, sum(group.num_rows for group in groups)), MOST_ROWS, "rows")
    paths = [about.schema.column(n).path for n in range(about.num_columns)]
    for path in paths:
        if path not in names and path.partition(".")[0] in names:  # pyarrow would read it too
            raise DamagedError(f"it has a column {path}, which none of ours has")
    places = [n for n, path in enumerate(paths) if path in names]
    sizes = [group.column(n).total_uncompressed_size for group in groups for n in places]
    _check(sum(sizes), MOST_BYTES, "bytes")


def _decoded(table: Any, names: Collection[str]) -> pa.Table:
    """Return columns of an open file, text as dictionaries; DamagedError for too many bytes.

    One is read after the other: what a file says of its size need not be so.
    """
    made: dict[str, list[pa.Array]] = {name: [] for name in names}
    spent = 0
    for number in range(table.num_row_groups):
        for name in names:
            part = table.read_row_group(number, columns=[name], use_threads=False)
            for chunk in part.column(0).chunks:
                spent += _size(chunk)
                _check(spent, MOST_BYTES, "bytes")
                made[name].append(chunk)
    schema = table.schema_arrow
    kinds = {name: schema.field(name).type for name in names}
    return pa.table({name: pa.chunked_array(made[name], kinds[name]) for name in names})


def _size(chunk: pa.Array) -> int:
    """Return the bytes that a column has in memory, of a dictionary when it is none any more."""
    if not pa.types.is_dictionary(chunk.type):
        return 8 * len(chunk)
    text = pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
    return 8 * len(chunk) + int(text) + int(chunk.dictionary.nbytes)
