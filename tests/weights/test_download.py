"""Downloads, from a server of the test's own that breaks in every way servers do."""

import contextlib
import copy
import hashlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import torch

from stylebench.backbones import pretrained
from stylebench.backbones.spec import ARCHS
from stylebench.errors import UnavailableError
from stylebench.weights import download, sources
from tests.weights.serving import send, serving

CONTENT = random.Random(0).randbytes(100_000)
NAME = f"w-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@dataclass
class Server:
    """What the server does with each request, in turn, and which Range headers it got."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    silence: threading.Event | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "PAUSE", 0)
    plan = Server()

    def answer(request: BaseHTTPRequestHandler) -> None:
        plan.asked.append(wanted := request.headers.get("Range"))
        if plan.silence:
            plan.silence.wait(10)
            return
        status = plan.statuses.pop(0) if plan.statuses else 200
        begin = 0
        if wanted and plan.ranges and status == 200:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = 206 if begin < len(plan.content) else 416
        request.send_response(status)
        send(request, plan.content[begin:] if status in (200, 206) else b"sorry", plan.cuts)

    with serving(answer) as address:
        plan.url = f"{address}/"
        yield plan
        if plan.silence:
            plan.silence.set()


def fails(server: Server, path: Path) -> str:
    with pytest.raises(UnavailableError) as found:
        download.fetch(server.url + path.name, path)
    assert "\n" not in str(found.value)
    assert not path.exists()
    return str(found.value)


def test_a_file_arrives(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "new" / NAME
    download.fetch(server.url + NAME, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("how", "left", "asked"),
    [
        ({"cuts": [40_000, 30_000]}, b"", [None, "bytes=40000-", "bytes=70000-"]),
        ({"cuts": [40_000], "ranges": False}, b"", [None, "bytes=40000-"]),
        ({}, CONTENT[:123], ["bytes=123-"]),
        ({}, CONTENT + b"more", ["bytes=100004-", None]),
        ({"statuses": [503, 200]}, b"", [None, None]),
    ],
    ids=["cut", "no ranges", "left by an earlier run", "left and too long", "busy"],
)
def test_a_broken_download_goes_on_where_it_can(
    how: dict[str, Any], left: bytes, asked: list[str | None], server: Server, tmp_path: Path
) -> None:
    for key, value in how.items():
        setattr(server, key, copy.copy(value))
    if left:
        (tmp_path / f"{NAME}.part").write_bytes(left)
    download.fetch(server.url + NAME, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert server.asked == asked


def test_what_an_earlier_run_left_may_be_of_another_file(server: Server, tmp_path: Path) -> None:
    """Of a name without a hash nobody could tell; within one run it is continued all the same."""
    path = tmp_path / "IN1K-vit.h.14-300e.pth.tar"
    path.with_name(f"{path.name}.part").write_bytes(b"other" * 20)
    server.cuts = [40_000]
    download.fetch(server.url + path.name, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=40000-"]


def test_nothing_is_downloaded_through_a_link(server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(CONTENT[:123])
    (tmp_path / f"{NAME}.part").symlink_to(mine)
    with pytest.raises(UnavailableError, match="symbolic links"):
        download.fetch(server.url + NAME, tmp_path / NAME)
    assert mine.read_bytes() == CONTENT[:123]


def test_breaks_are_counted_and_what_came_is_kept(server: Server, tmp_path: Path) -> None:
    server.cuts = [100] * 99
    assert f"broke {download.TRIES} times" in fails(server, tmp_path / NAME)
    assert len(server.asked) == download.TRIES
    assert (tmp_path / f"{NAME}.part").stat().st_size == 100 * download.TRIES


def test_another_sha256_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"!"
    text = fails(server, tmp_path / NAME)
    found = hashlib.sha256(server.content).hexdigest()
    assert NAME[2:10] in text
    assert found[:12] in text
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.statuses = [404] * 9
    assert "HTTP 404 Not Found" in fails(server, tmp_path / NAME)
    assert len(server.asked) == 1


def test_a_silent_server_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.silence = threading.Event()
    assert "timed out" in fails(server, tmp_path / NAME)


def test_a_server_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setattr(download, "WINDOW", 0.2)
    ended = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                request.wfile.write(b"x")

    with serving(drip) as address:
        try:
            with pytest.raises(UnavailableError, match=r"broke 5 times \(\d bytes in 0 s\)"):
                download.fetch(f"{address}/{NAME}", tmp_path / NAME)
        finally:
            ended.set()


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "refused" in fails(Server(url="http://127.0.0.1:9/"), tmp_path / NAME)


def test_auto_downloads_into_the_cache_of_torchvision(
    server: Server, pretrained_tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    server.content = pretrained_tiny
    monkeypatch.setattr(sources, "URL", server.url)
    ref = pretrained.resolve("p-tiny", 0)
    assert ref.source == f"torchvision:{ARCHS['tiny'].checkpoint}"
    assert ref.sha256 == hashlib.sha256(pretrained_tiny).hexdigest()
    assert torch.hub.get_dir() in ref.path
    assert pretrained.resolve("p-tiny", 0, offline=True) == ref
    assert len(server.asked) == 1


def test_offline_asks_nobody(
    server: Server, pretrained_tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "URL", server.url)
    with pytest.raises(UnavailableError, match="offline"):
        pretrained.resolve("p-tiny", 0, offline=True)
    assert server.asked == []
