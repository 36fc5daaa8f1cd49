"""No file of our own, whatever is in it, is read with any error but our own."""

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylebench import store
from stylebench.config import ImageRef
from stylebench.errors import DamagedError, InputError
from stylebench.store import columns, lock, models, status
from stylebench.tracking import view
from tests import jobs
from tests.results import make as made_up

EXAMPLES = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
some_and_many = pytest.mark.parametrize("examples", [5, pytest.param(100, marks=pytest.mark.slow)])

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text()
    | st.sampled_from([2**63, 10**400, -1, "\ud800", "\0", "../..", "x" * 5000, 1e308])
)  # fmt: skip


def holding(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)


values = st.recursive(scalars, holding, max_leaves=8)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = [*value.items()] if isinstance(value, dict) else []
    items += enumerate(value) if isinstance(value, list) else []
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn, document: str) -> str:
    """Draw a document of which one to three values are others, or gone."""
    data = json.loads(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(data)))
        if not path:
            return json.dumps(draw(values))
        parent = data
        for key in path[:-1]:
            parent = parent[key]
        if draw(st.booleans()):
            parent[path[-1]] = draw(st.sampled_from([None, ""]) | values)
        else:
            del parent[path[-1]]
    return json.dumps(data)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with everything that there is in one."""
    out = tmp_path_factory.mktemp("results") / "out"
    spec = jobs.add(out, gradients=True)
    run = {"command": "stylebench sweep", "environment": {"torch": "2"}, "device": "cpu",
           "config": {"name": "x"}, "weights": [{"arch": "r-vgg19", "source": "random:0"}],
           "began": "2026-01-01T00:00:00Z"}  # fmt: skip
    (out / "manifest.json").write_text(json.dumps({"runs": [run]}))
    lock.announce(out, [spec])
    about = {"command": "x", "pid": 1, "host": "elsewhere", "began": 1.0}
    (out / ".holder.json").write_text(json.dumps(about))
    return out


def used(out: Path) -> None:
    """Read all that there is of a results folder, as commands do."""
    (job,) = [path.name for path in (out / "jobs").iterdir()]
    for read in (
        lambda: status.read(out), lambda: lock.holder(out), lambda: store.read_manifest(out),
        lambda: store.records(out), lambda: view.read(out, job), lambda: store.compact(out),
        lambda: store.load(out), lambda: view.sweeps(out), lambda: store.keep_manifest(out),
    ):  # fmt: skip
        with contextlib.suppress(InputError):
            read()


def anew(good: Path, tmp_path: Path) -> Path:
    """Return a copy of a good folder, in the place of the one before."""
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(good, out)
    return out


JSONS = ("jobs/*/record.json", "manifest.json", ".jobs.json", ".holder.json")


@some_and_many
@pytest.mark.parametrize("pattern", JSONS)
def test_json(pattern: str, examples: int, good: Path, tmp_path: Path) -> None:
    (source,) = good.glob(pattern)
    document = source.read_text()

    @settings(EXAMPLES, max_examples=examples)
    @given(changed(document))
    def is_read_or_refused(text: str) -> None:
        out = anew(good, tmp_path)
        (out / source.relative_to(good)).write_text(text)
        used(out)

    is_read_or_refused()


ARRAYS: dict[str, Callable[[int], Any]] = {
    "null": pa.nulls,
    "int": lambda n: pa.array(range(n)),
    "negative": lambda n: pa.array([-(2**62)] * n),
    "unsigned": lambda n: pa.array([2**64 - 1] * n, pa.uint64()),
    "float": lambda n: pa.array([float("nan")] * n),
    "infinite": lambda n: pa.array([float("inf")] * n),
    "half": lambda n: pa.array(np.zeros(n, np.float16)),
    "bool": lambda n: pa.array([True] * n),
    "text": lambda n: pa.array(["x\0\x1b"] * n),
    "bytes": lambda n: pa.array([b"\xff"] * n),
    "list": lambda n: pa.array([["a"]] * n),
    "struct": lambda n: pa.array([{"a": {"b": 1}}] * n),
    "dictionary": lambda n: pa.array(["x"] * n).dictionary_encode(),
    "dictionary of numbers": lambda n: pa.array([1] * n).dictionary_encode(),
    "time": lambda n: pa.array([2**62] * n, pa.timestamp("us")),
    "decimal": lambda n: pa.array(["1.5"] * n).cast(pa.decimal128(38, 10)),
    "map": lambda n: pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64())),
}


@st.composite
def tables(draw: st.DrawFn, table: Any) -> Any:
    """Draw a table of which columns are of other types, twice, gone, or without order."""
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, table.num_columns - 1))
        name = table.column_names[index]
        how = draw(st.sampled_from([*ARRAYS, "gone", "twice", "renamed", "no rows", "pandas"]))
        if how in ARRAYS:
            table = table.set_column(index, name, ARRAYS[how](len(table)))
        elif how == "gone" and table.num_columns > 1:
            table = table.remove_column(index)
        elif how == "twice":
            table = table.append_column(name, table.column(index))
        elif how == "renamed":
            table = table.rename_columns([draw(st.text()).replace("\0", "")[:9] + str(n)
                                          for n in range(table.num_columns)])  # fmt: skip
        elif how == "no rows":
            table = table.slice(0, 0)
        else:
            said = draw(st.sampled_from([b"", b"[]", b"null", b'{"index_columns": ["x"]}']))
            table = table.replace_schema_metadata({b"pandas": said})
    return table


PARQUET = ("jobs/*/trace.parquet", "jobs/*/gradients.parquet", "results.parquet", "stats.parquet",
           "trace.parquet", "gradients.parquet")  # fmt: skip


@some_and_many
@pytest.mark.parametrize("pattern", PARQUET)
def test_parquet(pattern: str, examples: int, good: Path, tmp_path: Path) -> None:
    (source,) = good.glob(pattern)
    whole = pq.read_table(source)

    @settings(EXAMPLES, max_examples=examples)
    @given(tables(whole))
    def is_read_or_refused(table: Any) -> None:
        out = anew(good, tmp_path)
        pq.write_table(table, out / source.relative_to(good))
        used(out)

    is_read_or_refused()


def test_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    pq.write_table(pa.table({"job_id": pa.array([b"\xff"]).view(pa.utf8())}), path)
    with pytest.raises(DamagedError, match=r"column job_id: .*UTF8"):
        store.read_parquet(path, {"job_id": "str"})


def test_a_table_of_few_bytes_and_very_many_rows_is_not_read(tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 11_000_000, pa.int8()), pa.array(["x"]))
    pq.write_table(pa.table({"job_id": column}), tmp_path / "results.parquet", compression="zstd")
    assert (tmp_path / "results.parquet").stat().st_size < 1_000_000
    with pytest.raises(DamagedError, match="over 10,000,000 rows"):
        store.read_parquet(tmp_path / "results.parquet", {"job_id": "str"})


def long(n: int) -> pa.Array:
    """Return one text of a million characters n times, as a file has it in a few bytes."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int16()), pa.array(["x" * 10**6]))


def test_a_text_that_is_repeated_is_measured_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    pq.write_table(pa.table({"job_id": long(2000)}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 1000
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(DamagedError, match="over 1,000,000,000 bytes"):
        store.read_parquet(path, {"job_id": "str"})
    assert pa.default_memory_pool().max_memory() <= max(before, 50_000_000)


@pytest.mark.parametrize("name", ["junk", "job_id.x"])
def test_columns_that_are_not_asked_for_are_not_decoded(name: str, tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    table = pa.table({name: long(2000), "job_id": ["a"] * 2000})
    pq.write_table(table, path, compression="zstd", store_schema=False)
    before = pa.default_memory_pool().max_memory()
    if name == "junk":
        assert [*store.read_parquet(path, {"job_id": "str"})] == ["job_id"]
    else:
        with pytest.raises(DamagedError, match="it has a column job_id"):
            store.read_parquet(path, {"job_id": "str"})
    assert pa.default_memory_pool().max_memory() <= max(before, 50_000_000)


def test_texts_that_share_their_beginnings_are_not_decoded(tmp_path: Path) -> None:
    path, texts = tmp_path / "results.parquet", [f"{'x' * 10**6}{n}" for n in range(60)]
    pq.write_table(
        pa.table({"job_id": texts}), path, compression="zstd", use_dictionary=False,
        column_encoding="DELTA_BYTE_ARRAY", store_schema=False,
    )  # fmt: skip
    assert path.stat().st_size < 2000
    with pytest.raises(DamagedError, match="no parquet table"):
        store.read_parquet(path, {"job_id": "str"})


@pytest.mark.parametrize("column", ["a", "n", "x"])
def test_very_many_groups_of_rows_are_not_read(column: str, tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    table = pa.table({"a": ["x"] * 101, "n": [1] * 101, "x": [0.5] * 101})
    pq.write_table(table, path, row_group_size=1)
    with pytest.raises(DamagedError, match="over 100 groups of rows"):
        store.read_parquet(path, {column: {"a": "str", "n": "int64", "x": "float64"}[column]})


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("dictionary", [True, False])
def test_what_is_read_is_what_was_written(size: int, dictionary: bool, tmp_path: Path) -> None:
    made = pd.DataFrame({"a": [f"é{n % 5}" for n in range(50)] + [""], "x": [0.5, None, -1.0] * 17})
    made["n"] = range(51)
    made.to_parquet(tmp_path / "x", row_group_size=size, use_dictionary=dictionary)
    found = store.read_parquet(tmp_path / "x", {"a": "str", "n": "int64", "x": "float64"})
    pd.testing.assert_frame_equal(found, made[["a", "n", "x"]])


def test_columns_keep_their_types_and_values() -> None:
    schema = {"a": "str", "n": "int64", "x": "float64", "absent": "str"}
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, None], "a": ["é", None], "more": [1, 2]})
    file = io.BytesIO()
    frame.to_parquet(file)
    made = columns.typed(pq.read_table(io.BytesIO(file.getvalue())), schema)
    assert list(made) == ["a", "n", "x"]
    assert list(made["a"]) == ["é", ""]
    assert [str(kind) for kind in made.dtypes] == ["str", "int64", "float64"]


def test_a_table_without_rows_has_no_types() -> None:
    file = io.BytesIO()
    pd.DataFrame([], columns=["a", "n"]).to_parquet(file)
    made = columns.typed(pq.read_table(io.BytesIO(file.getvalue())), {"a": "str", "n": "int64"})
    assert [str(kind) for kind in made.dtypes] == ["str", "int64"]
    with pytest.raises(DamagedError, match="found nothing in some rows"):
        columns.typed(pa.table({"n": pa.nulls(2)}), {"n": "int64"})


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "NaN", '{"began": NaN, "jobs": []}', "1" * 5000, "\udc80", "", "\0" * 40],
)
def test_what_is_no_json_is_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DamagedError, match="is damaged"):
        models.read(tmp_path / "x", models.Announced)


@pytest.mark.parametrize(
    ("column", "text"),
    [("options", "x"), ("options", "[1]"), ("options", '{"a": {}}'), ("options", "[" * 10_000),
     ("nodes", "[1]"), ("nodes", "{}"), ("layer_weights", '{"a": "b"}'), ("layer_weights", "1")],
)  # fmt: skip
def test_a_column_of_json_that_is_none_of_ours_is_damaged(
    column: str, text: str, tmp_path: Path
) -> None:
    results = made_up(tmp_path / "out", seeds=1)
    path = results.folder / "results.parquet"
    pd.read_parquet(path).assign(**{column: text}).to_parquet(path)
    with pytest.raises(InputError, match=f"column {column}: expected a JSON object of ours"):
        store.load(results.folder)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-32-be", "utf-8-sig"])
def test_json_is_utf_8(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes('{"jobs": []}'.encode(encoding))
    with pytest.raises(DamagedError, match="is damaged"):
        models.read(tmp_path / "x", models.Announced)


@pytest.mark.parametrize("name", ["\ud800", "caf\udce9.png"])
def test_jobs_of_pictures_whose_paths_are_no_utf_8_are_told_apart(
    name: str, tmp_path: Path
) -> None:
    pictures = [ImageRef(name="c", ref=ref, digest="1") for ref in (name, "/x/c.png")]
    for number, picture in enumerate(pictures):
        jobs.add(tmp_path, content=picture, seed=number)
    assert len(store.newest(store.records(tmp_path))) == 2
