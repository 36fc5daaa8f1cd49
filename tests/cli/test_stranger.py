"""A results folder from a stranger: nothing outside of it is read, sent or written by a command."""

import base64
import contextlib
import functools
import io
import json
import os
import shutil
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stylebench import store
from tests.cli.bench import Run, invoke, no_figures, with_database, write_yaml
from tests.often import often

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

MARK = b"my place and name"
JUDGES = ("--judge", "r-squeezenet1_1", "--device", "cpu")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder of one job with all that commands add to it."""
    folder = tmp_path_factory.mktemp("swept")
    out = with_database(folder / "out")
    config = write_yaml(folder / "tiny.yaml", size=64, smoothing=["none"],
                        content=["chelsea"], style=["mosaic"])  # fmt: skip
    assert invoke("sweep", config, "--out", out).status == 0
    return out


@pytest.fixture
def out(swept: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder, beside a home with a picture and a script in it."""
    home = tmp_path / "home"
    home.mkdir()
    exif = Image.Exif()
    exif[0x9286] = MARK
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(home / "private.jpg", exif=exif, comment=MARK)
    (home / ".bashrc").write_bytes(MARK)
    shutil.copy(swept.parent / "tiny.yaml", tmp_path)
    return Path(shutil.copytree(swept, tmp_path / "out"))


def job(out: Path) -> Path:
    (folder,) = (out / "jobs").glob("[!.]*")
    return folder


COMMANDS: dict[str, Callable[[Path], Run]] = {
    "sweep": lambda out: invoke("sweep", out.parent / "tiny.yaml", "--out", out),
    "status": lambda out: invoke("status", out),
    "figures": lambda out: invoke("figures", out, "--only", "grid", "--only", "summary"),
    "report": lambda out: invoke("report", out),
    "judge": lambda out: invoke("judge", out, *JUDGES),
    "compare": lambda out: invoke("compare", out, "--a", "none", "--b", "softmax"),
    "track": lambda out: invoke("track", out),
    "study": lambda out: invoke("study", "make", out, "--out", out.parent / "study"),
}


def _seen(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@contextlib.contextmanager
def _untouched(out: Path) -> Iterator[None]:
    """Check that nothing in the home changes, and nothing of it comes into the folder."""
    home = out.parent / "home"
    before = _seen(home)
    yield
    assert _seen(home) == before
    copies = [
        path
        for path in out.rglob("*")
        if not path.is_symlink() and path.is_file() and path.stat().st_nlink == 1
    ]
    assert [path for path in copies if MARK in path.read_bytes()] == []


def _refused(done: Run) -> str:
    """Return the one line of a command that refuses."""
    assert done.status in (1, 2) or "not in MLflow: " in done.out, done
    assert "Traceback" not in done.err + done.out
    assert len(done.err.splitlines()) <= 1, done.err
    return done.err + done.out


def _replace(path: Path, target: Path) -> None:
    """Put a link in place of a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target)


READ = [
    ("jobs/JOB/result.png", ["track", "judge", "sweep"]),
    ("jobs/JOB/content.png", ["judge", "sweep"]),
    ("jobs/JOB/trace.parquet", ["track", "sweep"]),
    ("jobs/JOB/record.json", ["track", "judge", "status", "sweep"]),
    ("jobs/JOB/metrics.parquet", ["judge", "track"]),
    ("figures/x.png", ["track", "report"]),
    ("tables/y.md", ["track"]),
    ("images/content_x.jpg", ["track"]),
    ("manifest.json", ["track", "figures", "report", "sweep"]),
    ("results.parquet", ["figures", "report", "judge", "compare", "study"]),
    ("metrics.parquet", ["figures", "report", "compare", "study"]),
    (".jobs.json", ["status"]),
    (".holder.json", ["status"]),
    (".tracked", ["track"]),
    (".sweep-id", ["track"]),
    (".lock", ["track", "judge", "sweep"]),
    ("mlflow.db", ["track"]),
    ("mlflow.db-wal", ["track"]),
]


LOOKED_AT = {
    "jobs/JOB/result.png",
    "jobs/JOB/record.json",
    "manifest.json",
    "results.parquet",
    "metrics.parquet",
    "figures/x.png",
    ".lock",
    "mlflow.db",
}


@pytest.mark.parametrize(
    ("name", "commands"), often(LOOKED_AT, READ), ids=[name for name, _ in READ]
)
def test_no_link_to_a_file_is_followed(name: str, commands: list[str], out: Path) -> None:
    place = out / name.replace("JOB", job(out).name)
    _replace(place, out.parent / "home" / "private.jpg")
    for command in commands:
        with _untouched(out), no_figures() if command == "sweep" else contextlib.nullcontext():
            said = _refused(COMMANDS[command](out))
        assert "is a symbolic link" in said, (command, said)


FOLDERS = [
    ("jobs", ["track", "judge", "status", "sweep"]),
    ("jobs/JOB", ["track", "judge", "status", "sweep"]),
    ("statistics", ["track", "sweep"]),
    ("images", ["track", "report", "figures", "sweep"]),
    ("figures", ["track", "report", "figures"]),
    ("tables", ["track", "figures"]),
    ("mlartifacts", ["track"]),
]


@pytest.mark.parametrize(
    ("name", "commands"),
    often({"jobs", "images", "figures"}, FOLDERS),
    ids=[name for name, _ in FOLDERS],
)
def test_no_link_to_a_folder_is_followed(name: str, commands: list[str], out: Path) -> None:
    place = out / name.replace("JOB", job(out).name)
    _replace(place, out.parent / "home")
    (out.parent / "home" / ".tmp-old").mkdir()
    os.utime(out.parent / "home" / ".tmp-old", (0, 0))
    for command in commands:
        with _untouched(out), no_figures() if command == "sweep" else contextlib.nullcontext():
            said = _refused(COMMANDS[command](out))
        assert "is a symbolic link" in said, (command, said)
    assert (out.parent / "home" / ".tmp-old").is_dir(), "what another left is not removed"


def test_the_artifacts_of_mlflow_hold_no_link(out: Path) -> None:
    (run,) = {path.parent for path in (out / "mlartifacts").rglob("manifest.json")}
    shutil.rmtree(run / "figures", ignore_errors=True)
    (run / "images").rename(run / "gone")
    (run / "images").symlink_to(out.parent / "home")
    with _untouched(out):
        assert "images' is a symbolic link" in _refused(invoke("track", out))


@pytest.mark.parametrize("kind", ["absolute", "relative", "beside"])
@pytest.mark.parametrize(
    "column", often({"picture"}, ["picture", "content_picture", "style_picture"])
)
def test_a_column_names_no_picture_elsewhere(column: str, kind: str, out: Path) -> None:
    names = {
        "absolute": str(out.parent / "home" / "private.jpg"),
        "relative": "../home/private.jpg",
        "beside": "images/../../home/private.jpg",
    }
    table = pd.read_parquet(out / "results.parquet").assign(**{column: names[kind]})
    table.to_parquet(out / "results.parquet")
    with _untouched(out):
        assert "is outside of" in _refused(COMMANDS["report"](out))
        assert "is outside of" in COMMANDS["figures"](out).out
    assert not (out / "report.html").exists()


def test_what_is_embedded_is_encoded_anew(out: Path) -> None:
    """A picture of the folder itself keeps its place, its owner and its comment to itself."""
    picture = out / pd.read_parquet(out / "results.parquet")["picture"][0]
    shutil.copy(out.parent / "home" / "private.jpg", picture)
    shutil.copy(picture, out / "figures" / "mine.png")
    assert invoke("report", out).status == 0
    page = (out / "report.html").read_text()
    found = [text.split('"')[0] for text in page.split("data:image/")[1:]]
    assert found
    for text in found:
        data = base64.b64decode(text.partition("base64,")[2])
        assert MARK not in data
        assert b"Exif" not in data


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 50\n%%EndComments\n{} loop\n%%EOF\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _vast() -> bytes:
    """Return a PNG of 201 megapixels, in 25 kB."""
    header = struct.pack(">IIBBBBB", 20_000, 10_050, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10_050 * 2501), 9)
    head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    return head + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _as(kind: str) -> bytes:
    """Return a small picture in a format that no part of stylebench leaves in a folder."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 50), "red").save(buffer, kind)
    return buffer.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "EPS": lambda: EPS,
    "vast": _vast,
    "scans": lambda: _as("JPEG")[:-2] + b"\xff\xda" * 200 + b"\xff\xd9",
    **{kind: functools.partial(_as, kind) for kind in ("TIFF", "GIF", "BMP", "PPM", "TGA")},
}


@pytest.mark.parametrize(
    "kind",
    often({"EPS", "vast"}, KINDS),
)
def test_pictures_are_png_and_jpeg_alone(
    kind: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An EPS once ran Ghostscript, and a vast PNG ended in a traceback."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("ran"))
    data = KINDS[kind]()
    for path in [*job(out).glob("*.png"), *(out / "images").iterdir(), out / "figures" / "x.png"]:
        path.write_bytes(data)
    shown = COMMANDS["report"](out)
    assert (shown.status, shown.err) == (0, "")
    assert "no picture" in (out / "report.html").read_text()
    assert COMMANDS["figures"](out).status == 0
    judged = COMMANDS["judge"](out)
    assert judged.status == 1
    assert "is damaged (" in judged.out
    assert "Traceback" not in judged.err
    planned = invoke("plan", out.parent / "tiny.yaml", "--out", out)
    assert planned.status == 0, planned
    with no_figures():
        swept = COMMANDS["sweep"](out)
    assert (swept.status, swept.err) == (0, "")
    assert "run again, 1 in all: " in swept.out
    assert store.read_picture(job(out) / "result.png").shape[1] == 64


def test_no_picture_is_looked_for_where_a_record_says(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of finished jobs is told by the pictures in their folders."""
    from stylebench import images

    path, private = job(out) / "record.json", out.parent / "home" / "private.jpg"
    known = json.loads(path.read_text())
    known["spec"]["content"]["ref"] = known["spec"]["style"]["ref"] = str(private)
    path.write_text(json.dumps(known))
    read = images.read
    monkeypatch.setattr(
        images, "read", lambda ref, *a, **k: read(ref, *a, **k) if ref != str(private)
        else pytest.fail("read")
    )  # fmt: skip
    done = invoke("plan", out.parent / "tiny.yaml", "--out", out, "--evals", "7", "--json")
    assert done.status == 0, done
    assert json.loads(done.out)["time"]["shares"]["finished"] > 0


@pytest.mark.parametrize("digest", ["/../../v", "../../v", "a/b"])
def test_a_digest_is_no_path(digest: str, tmp_path: Path) -> None:
    from stylebench.config import ImageRef
    from tests.jobs import finish
    from tests.jobs import job as spec

    finish(tmp_path / "out", spec(content=ImageRef(name="c", ref="/x", digest=digest)))
    store.compact(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3


def test_an_announced_job_is_no_path(out: Path) -> None:
    shutil.copytree(job(out), out.parent / "home" / "job")
    (out / ".jobs.json").write_text(
        json.dumps({"began": 0, "jobs": [["transfer", "../../home/job"]]})
    )
    assert ".jobs.json' is damaged: jobs.0.1" in _refused(invoke("status", out))


def test_a_record_names_no_other_folder(out: Path) -> None:
    path = job(out) / "record.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, "job_id": "../../victim"}))
    with _untouched(out):
        _refused(invoke("judge", out, *JUDGES))
    assert not (out.parent / "victim").exists()


def test_temporary_names_are_not_guessed(out: Path) -> None:
    """As many links as there are process ids once took the page to wherever they led."""
    target = out.parent / "home" / ".bashrc"
    for number in range(1, 2000):
        (out / f".report.tmp-{number}.html").symlink_to(target)
        (out / "tables" / f".summary.tmp-{number}.csv").symlink_to(target)
    with _untouched(out):
        assert COMMANDS["report"](out).status == 0
        assert COMMANDS["figures"](out).status == 0


def test_a_hard_link_keeps_what_it_had(out: Path) -> None:
    """Every name in the folder that a command writes is also that of another's file."""
    names = ["report.html", "manifest.json", ".holder.json", ".jobs.json", ".lock"]
    names += ["figures/grid.jpg", "tables/summary.csv"]
    for name in names:
        (out / name).unlink(missing_ok=True)
        (out / name).hardlink_to(out.parent / "home" / ".bashrc")
    before = _seen(out.parent / "home")
    with no_figures():
        assert COMMANDS["sweep"](out).status == 0
    assert COMMANDS["figures"](out).status == 0
    assert COMMANDS["report"](out).status == 0
    assert _seen(out.parent / "home") == before


def test_a_database_with_a_second_name_is_not_written(out: Path) -> None:
    (out.parent / "home" / "other.db").hardlink_to(out / "mlflow.db")
    with _untouched(out):
        assert "has 2 names (hard links)" in _refused(invoke("track", out))


def test_a_folder_behind_a_link_works(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out.rename(out.parent / "disk")
    out.symlink_to("disk")
    with no_figures():
        assert COMMANDS["sweep"](out).status == 0
    for command in ("status", "figures", "report", "judge", "track"):
        assert COMMANDS[command](out).status == 0, command


@pytest.mark.parametrize(
    "command", often({"status", "report"}, ["status", "figures", "report", "judge", "track"])
)
def test_a_folder_may_be_named_in_any_way(
    command: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "below").mkdir()
    (out.parent / "below").mkdir()
    for place, name in ((out, "."), (out / "below", ".."), (out.parent, "./below/../out")):
        monkeypatch.chdir(place)
        assert COMMANDS[command](Path(name)).status == 0, name


def test_a_folder_of_folders_holds_no_link(out: Path) -> None:
    (out.parent / "all").mkdir()
    shutil.copytree(out, out.parent / "all" / "a")
    (out.parent / "all" / "b").symlink_to(out)
    for command in ("figures", "report", "status"):
        assert "is a symbolic link" in _refused(COMMANDS[command](out.parent / "all")), command


@pytest.mark.parametrize(
    "name",
    often({"jobs/JOB/record.json", ".lock", "results.parquet"},
          ["jobs/JOB/result.png", "jobs/JOB/record.json", "manifest.json", "figures/x.png",
           ".jobs.json", ".lock", "results.parquet", "images/content_x.jpg"]),
)  # fmt: skip
def test_a_pipe_is_not_waited_for(name: str, out: Path) -> None:
    place = out / name.replace("JOB", job(out).name)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    for command in ("status", "judge", "track", "report", "figures"):
        done = COMMANDS[command](out)
        assert "Traceback" not in done.err, (command, done)
        assert len(done.err.splitlines()) <= 1
    assert stat.S_ISFIFO(place.lstat().st_mode)
