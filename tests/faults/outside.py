"""What lies outside a stranger's results folder: canaries that tell who opened or changed them."""

import base64
import ctypes
import io
import json
import os
import re
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

TOKEN = "canary" + "5f3a9c"  # in two, so that this file does not hold it
"""In every file outside that holds text, and in the EXIF of the picture."""
_COLOURS = ((255, 0, 255), (0, 255, 0))


def make(folder: Path, results: Path) -> None:
    """Put canaries into a folder: private files, and the results folder of somebody else."""
    folder.mkdir()
    (folder / "empty").mkdir()
    (folder / "bashrc").write_text(f"export SECRET={TOKEN}\n")
    pixels = np.empty((32, 48, 3), np.uint8)
    pixels[:], pixels[8:24] = _COLOURS
    exif = Image.Exif()
    exif[315] = TOKEN
    for name in ("private.jpg", "private.png"):
        Image.fromarray(pixels).save(folder / name, exif=exif)
    text = next(results.glob("jobs/*/record.json")).read_text()
    (folder / "record.json").write_text(text.replace("chelsea", TOKEN))
    pq.write_table(
        _with_token(pq.read_table(results / "results.parquet")), folder / "table.parquet"
    )
    with sqlite3.connect(folder / "database.db") as database:
        database.execute("CREATE TABLE secrets (text)")
        database.execute("INSERT INTO secrets VALUES (?)", (TOKEN,))
    shutil.copytree(results, folder / "run")
    for path in [*folder.glob("run/**/*.json"), *folder.glob("run/tables/*")]:
        path.write_text(path.read_text().replace("chelsea", TOKEN))
    for path in folder.glob("run/**/*.parquet"):
        pq.write_table(_with_token(pq.read_table(path)), path)
    for path in [*folder.glob("run/**/*.png"), *folder.glob("run/**/*.jpg")]:
        Image.fromarray(pixels).save(path, exif=exif)


def _with_token(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if field.name in ("content", "image", "layer", "preset"):
            named = pa.array([TOKEN] * len(table), field.type)
            table = table.set_column(index, field.name, named)
    return table


def state(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what is in a folder, with what tells of any change; nothing is opened."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        stat = path.lstat()
        found[str(path)] = (stat.st_mode, stat.st_ino, stat.st_size, stat.st_ctime_ns)
    return found


def shows(data: bytes) -> str:
    """Return what of the canaries bytes hold: their text, or their picture; "" for nothing."""
    if TOKEN.encode() in data:
        return "text"
    if data[:15].lower().startswith(b"<!doctype html"):
        inside = re.findall(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", data)
        pictures = [base64.b64decode(each) for each in inside]
    else:
        pictures = [data]
    return "a picture" if any(map(_is_canary, pictures)) else ""


def _is_canary(data: bytes) -> bool:
    if data[:3] != b"\xff\xd8\xff" and data[:4] != b"\x89PNG":
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.thumbnail((200, 200))
            pixels = np.asarray(image.convert("RGB")).astype(int)
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
    near = [(abs(pixels - colour).sum(axis=2) < 120).mean() for colour in _COLOURS]
    return bool(min(near) > 0.003)


_OPENED, _NONBLOCK = 0x20, 0o4000
_EVENT = struct.Struct("iIII")


class Watch:
    """Tells which files of a folder were opened, by whatever program: inotify of Linux."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(_NONBLOCK)
        self._names = {
            self._libc.inotify_add_watch(self._fd, os.fsencode(path), _OPENED): path.name
            for path in [folder, *folder.rglob("*")]
        }

    def opened(self) -> set[str]:
        """Return the names that were opened since this was last asked."""
        return set(self._read())

    def _read(self) -> Iterator[str]:
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return
            place = 0
            while place < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, place)
                place += _EVENT.size
                name = data[place : place + length].rstrip(b"\0").decode()
                place += length
                if not mask & 0x40000000 or name:  # a folder that is listed counts by its own watch
                    yield name or self._names.get(watch, "?")

    def close(self) -> None:
        """Watch no more."""
        os.close(self._fd)


def write_job(out: Path, place: Path) -> None:
    """Write a job of a results folder as ``run-job`` takes it."""
    record = json.loads(sorted(out.glob("jobs/*/record.json"))[0].read_text())
    place.write_text(json.dumps(record["spec"]))
