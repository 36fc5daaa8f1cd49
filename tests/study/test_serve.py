"""The server of a study: the page and answers, and nothing else."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylebench.errors import InputError
from stylebench.study import answers, serve
from stylebench.study.design import Design
from stylebench.study.serve import Server
from tests.study.simulated import SCORES, results, study
from tests.study.simulated import answers as answered

JSON = {"Content-Type": "application/json"}
Answer = tuple[int, bytes, dict[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    study(place / "study", results(place / "out", pairs=2))
    (place / "study" / "index.html").write_text("<p>the page</p>")
    return place / "study"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, "127.0.0.1", 0) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(server: Server, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)  # type: ignore[arg-type]
    try:
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        connection.close()


def whole(made: Design) -> bytes:
    return json.dumps(answered(made, SCORES, np.random.default_rng())).encode()


def post(server: Server, data: bytes, path: str = "/answers", **headers: str) -> Answer:
    return ask(server, "POST", path, data, **{"Content_Type": "application/json", **headers})


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "answers").glob("*")) if (folder / "answers").is_dir() else []


@pytest.mark.parametrize("path", ["/", "/index.html", "/?x"])
def test_the_page_is_given(server: Server, path: str) -> None:
    status, body, headers = ask(server, "GET", path)
    assert (status, body) == (200, b"<p>the page</p>")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["server"].strip() == "stylebench"


@pytest.mark.parametrize("path", [
    "/design.json", "/metrics.parquet", "/answers", "/answers/", "/../design.json",
    "//design.json", "/%2e%2e/design.json", "/index.html/../design.json", "http://x/design.json",
])  # fmt: skip
def test_nothing_else_is(server: Server, path: str) -> None:
    assert ask(server, "GET", path)[0] == 404


def test_answers_are_written_whole_under_names_of_the_server(server: Server, folder: Path) -> None:
    before = kept(folder)
    sent = [whole(server.design) for _ in range(3)]
    for data in [*sent, sent[0]]:
        assert post(server, data)[0] == 201
    new = [path for path in kept(folder) if path not in before]
    assert sorted(path.read_bytes() for path in new) == sorted([*sent, sent[0]])
    found = answers.gather(new, server.design)
    assert sum(not each.left_out for each in found) == 3


@pytest.mark.parametrize(("change", "status"), [
    ({"data": b"{}"}, 400), ({"data": b"\xff"}, 400), ({"data": b""}, 400),
    ({"data": b"[" * 100_000}, 400), ({"data": b"x" * (answers.MOST + 1)}, 413),
    ({"Content_Length": "-1"}, 411), ({"Content_Length": "9" * 30}, 413),
    ({"Content_Length": "½"}, 411), ({"Content_Type": "text/plain"}, 415),
    ({"Content_Type": "multipart/form-data"}, 415), ({"path": "/answers/x.json"}, 404),
    ({"path": "/"}, 404), ({"Origin": "http://elsewhere.example"}, 403), ({"Origin": "null"}, 403),
])  # fmt: skip
def test_what_is_no_answer_is_refused(
    server: Server, folder: Path, change: dict[str, Any], status: int
) -> None:
    before = kept(folder)
    data = change.pop("data", whole(server.design))
    try:
        found = post(server, data, **{k: v.encode("utf-8").decode("latin-1")
                                      for k, v in change.items()})[0]  # fmt: skip
    except (BrokenPipeError, ConnectionResetError):  # it was told before all was sent
        found = 413
    assert found == status
    assert kept(folder) == before


def test_its_own_page_may_send(server: Server) -> None:
    origin = server.address.rstrip("/")
    assert post(server, whole(server.design), Origin=origin)[0] == 201


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    assert ask(server, method, "/answers", b"{}")[0] == 501


def test_there_may_be_so_many_files(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kept(folder)
    monkeypatch.setattr(serve, "MOST_FILES", len(before))
    assert post(server, whole(server.design))[0] == 507
    assert kept(folder) == before


def test_half_a_request_is_nothing(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve._Handler, "timeout", 0.2)
    before, data = kept(folder), whole(server.design)
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)  # type: ignore[arg-type]
    connection.putrequest("POST", "/answers")
    for name, value in {**JSON, "Content-Length": str(len(data))}.items():
        connection.putheader(name, value)
    connection.endheaders(data[:-5])
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    connection.close()
    assert kept(folder) == before
    assert ask(server, "GET", "/")[0] == 200


def test_a_link_in_place_of_the_folder_is_not_followed(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    before = (folder / "answers").rename(folder / "kept") if kept(folder) else None
    (folder / "answers").symlink_to(tmp_path)
    try:
        assert post(server, whole(server.design))[0] in (400, 500)
        assert list(tmp_path.iterdir()) == []
    finally:
        (folder / "answers").unlink()
        if before:
            before.rename(folder / "answers")


def test_an_address_that_cannot_be_had(server: Server, folder: Path, tmp_path: Path) -> None:
    port = server.server_address[1]
    with pytest.raises(InputError, match="expected --host with an address of this machine"):
        Server(folder, "127.0.0.1", port)
    for host, wrong in (("no such host", 0), ("127.0.0.1", 99999), ("127.0.0.1", -1)):
        with pytest.raises(InputError, match="cannot serve at"):
            Server(folder, host, wrong)
    with pytest.raises(InputError, match="holds no study"):
        Server(tmp_path, "127.0.0.1", 0)
