"""What a stranger may have done to results: links, types, lengths, formats, nesting, names.

A mutation is a function of a results folder, of the folder outside that nothing may touch, and of
chance; it changes the first and says what it did.
"""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from stylebench.config import JobSpec
from tests.faults import hostile
from tests.faults.hostile_tables import TABLES

Mutation = Callable[[Path, Path, Random], str]

JSONS = ("jobs/*/record.json", "statistics/*/record.json", "manifest.json", ".jobs.json",
         ".holder.json")  # fmt: skip
PICTURES = ("jobs/*/*.png", "images/*.jpg", "figures/*")
NEW = (
    "report.html", ".report.html", ".lock", ".holder.json", ".jobs.json", ".sweep-id", ".tracked",
    "mlflow.db-journal", "mlflow.db-wal", "mlflow.db-shm", "mlartifacts", "figures/x.png",
    "tables/y.md", "tables/summary.csv", "tables/summary.md", "figures/grid.jpg",
    "images/content_x.png", "jobs/.tmp-x", "stylebench.py", "pip.py", "matplotlibrc",
)  # fmt: skip
"""Names that are written, or looked for, and need not be there."""

Raw = str
"""JSON as it stands in a file."""
DEEP = "[" * 100_000 + "]" * 100_000


def values(outside: Path) -> list[Raw]:
    """Return hostile values as JSON."""
    texts = [
        "", "x" * 100_000, "../../../outside/victim", "../../outside", str(outside / "private.jpg"),
        str(outside / "bashrc"), f"file:{outside / 'bashrc'}", "/../../v", "..", ".", "/", "\0",
        "\ud800", "\x1b[31mred\a\x1b]0;title\a", "<script>alert(1)</script>", "=cmd|'/c calc'!A1",
        "$(touch canary)", "two\nlines", "a/b", "{{ 7 * 191 }}", "r-tiny+pool=avg", "r-nobody",
        "x.py:X", "timm:nothing", "builtin:nobody", "-1", "nan", "été", "a" * 300, "\u202egnp.exe",
        "http://me:SECRET@127.0.0.1:9/", "9999-99-99T00:00:00Z", "0001-01-01T00:00:00Z",
    ]  # fmt: skip
    numbers = ["0", "-1", "1", "1e308", "-1e308", "1e400", "NaN", "Infinity", "-Infinity", "0.5",
               "9" * 400, "9" * 5000, "9223372036854775808", "true", "false", "null",
               "1e-320"]  # fmt: skip
    shapes = ["[]", "{}", "[[]]", "[null]", '{"": null}', "[1, [2, [3]]]", "[" * 500 + "]" * 500,
              DEEP, '{"a":' * 900 + "1" + "}" * 900, "[" + "0," * 200_000 + "0]",
              '{"name": "a", "name": "b"}', '[["transfer", "../../outside/victim"]]',
              '[["nothing", "x"]]', '[["transfer"]]', '[["transfer", 3]]']  # fmt: skip
    return [*map(json.dumps, texts), *numbers, *shapes]


def _choose(out: Path, chance: Random, *patterns: str) -> Path | None:
    found = sorted(path for pattern in patterns for path in out.glob(pattern))
    return chance.choice(found) if found else None


def _clear(path: Path) -> None:
    """Remove what is there, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)


def _any(out: Path, chance: Random) -> Path:
    """Return a place in the folder: of a file, a folder, or one that is not there."""
    if chance.random() < 0.25:
        return out / chance.choice(NEW)
    inside = sorted(p for p in out.rglob("*") if "mlartifacts" not in p.parts[:-1])
    if chance.random() < 0.3:
        inside = [p for p in inside if p.is_dir()] or inside
    return chance.choice(inside)


def link(out: Path, outside: Path, chance: Random) -> str:
    """Put a symbolic link in place of anything."""
    place = _any(out, chance)
    name, suffix = str(place.relative_to(out)), place.suffix
    fit = {".png": "private.png", ".jpg": "private.jpg", ".json": "record.json",
           ".parquet": "table.parquet", ".db": "database.db"}.get(suffix, "bashrc")  # fmt: skip
    if place.is_dir():
        fit = "run/" + name if (outside / "run" / name).exists() else "run"
    elif (outside / "run" / name).is_file() and chance.random() < 0.5:
        fit = f"run/{name}"
    targets = [outside / fit] * 6
    targets += [outside, outside / "new", outside / "empty", Path("/dev/zero"), place, Path(".."),
                out / "nothing"]  # fmt: skip
    target = chance.choice(targets)
    if chance.random() < 0.5 and target != place:
        target = Path(os.path.relpath(target, place.parent))
    _clear(place)
    place.symlink_to(target)
    return f"{name} -> {target}"


def kind(out: Path, outside: Path, chance: Random) -> str:
    """Put something of another type in place of anything: a FIFO, a socket, a folder, a file."""
    place = _any(out, chance)
    what = chance.choice(["fifo", "fifo", "socket", "folder", "file"])
    _clear(place)
    if what == "fifo":
        os.mkfifo(place)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(place.parent):
            made.bind(place.name)
    elif what == "folder":
        place.mkdir()
        (place / "x").write_text("x")
    else:
        place.write_text("a file\n")
    return f"{place.relative_to(out)} is a {what}"


def length(out: Path, outside: Path, chance: Random) -> str:
    """Make a file empty, shorter, twice as long, huge, all zeros, or damage some of its bytes."""
    files = sorted(p for p in out.rglob("*") if p.is_file() and "mlartifacts" not in p.parts)
    place = chance.choice(files)
    what = chance.choice(["empty", "cut", "zeros", "twice", "sparse", "bits"])
    data = place.read_bytes()
    if what == "sparse":
        with place.open("r+b") as file:
            file.truncate(chance.choice([3 << 30, 1 << 40]))
    elif what == "bits":
        changed = bytearray(data)
        for _ in range(chance.randint(1, 30) if changed else 0):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        place.write_bytes(changed)
    else:
        cut = data[: chance.randrange(len(data) + 1)]
        made = {"empty": b"", "cut": cut, "zeros": bytes(len(data)), "twice": 2 * data}[what]
        place.write_bytes(made)
    return f"{place.relative_to(out)} {what}"


_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n{} loop\n%%EOF\n"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


def format_(out: Path, outside: Path, chance: Random) -> str:
    """Give a file the bytes of another format, or a picture that is far too large."""
    place = _choose(out, chance, *PICTURES, *JSONS, "*.parquet", "jobs/*/*.parquet", "tables/*")
    if place is None or not place.is_file():
        return ""
    options: dict[str, Callable[[], bytes]] = {
        "eps": lambda: _EPS,
        "svg": lambda: _SVG,
        "huge": lambda: hostile.huge(*chance.choice(
            [(suffix, data) for suffix, _, data in hostile.seed_files()])),
        "large": lambda: hostile.large("L"),
        "picture": lambda: chance.choice(hostile.seed_files())[2],
        "other": lambda: chance.choice(
            [p for p in sorted(out.rglob("*")) if p.is_file()]).read_bytes(),
        "html": lambda: b"<html><script>alert(1)</script>",
        "pickle": lambda: b"\x80\x04cposix\nsystem\n(Vtouch canary\ntR.",
        "utf-16": lambda: '{"a": 1}'.encode("utf-16"),
    }  # fmt: skip
    pictures = place.suffix in (".png", ".jpg")
    what = chance.choice(["eps", "huge", "large", "picture", "svg"] if pictures else [*options])
    place.write_bytes(options[what]())
    return f"{place.relative_to(out)} is {what}"


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in a JSON document, its own first."""
    items = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    return [path, *(place for key, item in items for place in _places(item, (*path, key)))]


def nesting(out: Path, outside: Path, chance: Random) -> str:
    """Replace, remove, double or add something anywhere in a file of JSON."""
    place = _choose(out, chance, *JSONS)
    if place is None or not place.is_file():
        return ""
    try:
        document = json.loads(place.read_text(encoding="utf-8"))
        text, told = _edited(document, values(outside), chance)
        place.write_text(text, encoding="utf-8")
    except (ValueError, RecursionError, OSError):  # damaged by another mutation
        return ""
    return f"{place.relative_to(out)}: {told}"


def _edited(document: Any, hostile_values: list[Raw], chance: Random) -> tuple[Raw, str]:
    places = _places(document)
    # The shallow ones are few, and count as much as all of the deep ones.
    shallow = [path for path in places if len(path) <= 3]
    path = chance.choice(shallow if chance.random() < 0.5 else places)
    raw, how = chance.choice(hostile_values), chance.choice(["set", "set", "set", "del", "add"])
    if not path:
        return raw, f"all is {raw[:40]}"
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if how == "del":
        del parent[path[-1]]
    elif how == "set" or isinstance(parent, list):
        parent[path[-1]] = "@HERE@"
    else:
        parent[chance.choice(["", "x", "../x", "=1", "name", "\x1b[31m"])] = "@HERE@"
    where = ".".join(map(str, path))
    return json.dumps(document).replace('"@HERE@"', raw), f"{how} {where} {raw[:60]}"


def identity(out: Path, outside: Path, chance: Random) -> str:
    """Change what a job says of itself, and its folder's name with it, so that the two agree."""
    place = _choose(out, chance, "jobs/*/record.json")
    if place is None:
        return ""
    try:
        record = json.loads(place.read_text(encoding="utf-8"))
        spec = record["spec"]
        texts = [json.loads(v) for v in values(outside) if v.startswith('"')]
        value = chance.choice(texts)
        where = chance.choice([
            ("content", "digest"), ("style", "digest"), ("content", "name"), ("style", "name"),
            ("content", "ref"), ("weights", "path"), ("weights", "source"), ("arch",), ("preset",),
            ("smoothing", "name"), ("weights", "sha256"), ("weights", "missing"),
        ])  # fmt: skip
        parent = spec if len(where) == 1 else spec[where[0]]
        parent[where[-1]] = value
        job_id = JobSpec.model_validate(spec).job_id
        record["job_id"] = job_id
        place.write_text(json.dumps(record), encoding="utf-8")
        place.parent.rename(place.parent.with_name(job_id))
    except (ValueError, OSError, KeyError, TypeError, RecursionError, AttributeError):
        return ""
    return f"jobs/{job_id}: {'.'.join(where)} = {value!r:.60}, with the id that follows"


def names(out: Path, outside: Path, chance: Random) -> str:
    """Copy or rename a folder of a job, or a file, to a name that is none."""
    place = _choose(out, chance, "jobs/*", "jobs/*/*", "statistics/*", "images/*", "figures/*")
    if place is None or place.is_symlink():
        return ""
    name = chance.choice([
        f"{place.name} (conflicted copy)", "..x", "-rf", "a b", "=1+1", "\x1b[31mred", "two\nlines",
        "x" * 250, "\udcff\udcfe", "$(touch canary)", "0" * 16, "ABCDEF0123456789", "été",
        f"{place.name}.bak", "<b>", "jobs", f".tmp-{place.name}-x", "record.json", "%s", "\u202e",
    ])  # fmt: skip
    target = place.with_name(name)
    if target.exists() or target == place:
        return ""
    if chance.random() < 0.6 and place.is_dir():
        shutil.copytree(place, target, symlinks=True)
        return f"{place.relative_to(out)} is copied to {name!r}"
    place.rename(target)
    return f"{place.relative_to(out)} is renamed to {name!r}"


def mode(out: Path, outside: Path, chance: Random) -> str:
    """Take the right to read or to write from a file or a folder."""
    place = _any(out, chance)
    if place.is_symlink() or not place.exists():
        return ""
    bits = chance.choice([0o000, 0o200, 0o400, 0o444, 0o500])
    place.chmod(bits)
    return f"{place.relative_to(out)} has mode {bits:o}"


def gone(out: Path, outside: Path, chance: Random) -> str:
    """Remove a file or a folder."""
    place = _any(out, chance)
    _clear(place)
    return f"{place.relative_to(out)} is gone"


_SQL = (
    "UPDATE experiments SET artifact_location = '{0}'",
    "UPDATE experiments SET artifact_location = 'http://127.0.0.1:9/x'",
    "UPDATE experiments SET artifact_location = 'ftp://127.0.0.1/x'",
    "UPDATE runs SET artifact_uri = '{0}'",
    "UPDATE experiments SET lifecycle_stage = 'deleted'",
    "UPDATE experiments SET name = 'x'",
    "UPDATE tags SET value = '{0}'",
    "UPDATE runs SET status = 'NOTHING'",
    "UPDATE alembic_version SET version_num = 'x'",
    "DELETE FROM tags",
    "DROP TABLE runs",
    "DROP TABLE alembic_version",
    "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
)


def database(out: Path, outside: Path, chance: Random) -> str:
    """Change something in the database of MLflow."""
    place = out / "mlflow.db"
    if not place.is_file() or place.is_symlink():
        return ""
    sql = chance.choice(_SQL).format(chance.choice([outside / "run", outside.as_uri()]))
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(place)) as opened,
        opened,
    ):
        opened.execute(sql)
    return f"mlflow.db: {sql}"


def temporary(out: Path, outside: Path, chance: Random) -> str:
    """Have links where a writer that can be foretold would put its temporary files."""
    names_ = ["report", "manifest", "results", "stats", "trace", "metrics", "tables/summary"]
    suffixes = {"report": ".html", "manifest": ".json", "tables/summary": ".csv"}
    name = chance.choice(names_)
    suffix = suffixes.get(name, ".parquet")
    folder, stem = (out / name).parent, Path(name).name
    for pid in range(0, 3000, 7):
        with contextlib.suppress(OSError):
            (folder / f".{stem}.tmp-{pid}{suffix}").symlink_to(outside / "bashrc")
    return f"links at .{name}.tmp-PID{suffix}"


KINDS: dict[Mutation, int] = {
    link: 26, kind: 9, length: 10, format_: 9, nesting: 18, identity: 7, names: 6, mode: 4, gone: 2,
    database: 4, temporary: 1, **TABLES,
}  # fmt: skip
"""How often each is made, of all."""


def mutate(out: Path, outside: Path, chance: Random) -> list[str]:
    """Make one mutation, or up to four; return what was done."""
    told: list[str] = []
    for _ in range(chance.choice([1, 1, 1, 2, 3, 4])):
        try:
            (made,) = chance.choices([*KINDS], [*KINDS.values()])
            told.append(made(out, outside, chance))
        except (OSError, ValueError) as error:  # an earlier one is in its way
            told.append(f"({error})")
    return [text for text in told if text]
