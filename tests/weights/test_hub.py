"""timm's downloads through the hub's own client, from a server of the test's own that plays it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from stylebench.errors import UnavailableError
from stylebench.weights import hub
from tests.weights.serving import send, serving

pytestmark = pytest.mark.usefixtures("no_weights")

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Hub:
    """What is sent, which sha256 is stated of it, after how many bytes answers break off."""

    content: bytes = CONTENT
    tag: str = DIGEST
    status: int = 200
    cuts: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    plan = Hub()

    def answer(request: BaseHTTPRequestHandler) -> None:
        plan.asked.append(f"{request.command} {request.path}")
        wanted = request.headers.get("Range") if plan.status == 200 else None
        begin = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        request.send_response(206 if wanted else plan.status)
        request.send_header("ETag", f'"{plan.tag}"')
        request.send_header("X-Repo-Commit", "a" * 40)
        send(request, plan.content[begin:] if plan.status == 200 else b"", plan.cuts)

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    huggingface_hub.close_session()
    with serving(answer) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        path = "{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{path}")
        yield plan
    huggingface_hub.close_session()


def refused(offline: bool = False) -> str:
    with pytest.raises(UnavailableError) as found:
        hub.timm_file("resnet18", offline=offline)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_a_file_arrives_once(server: Hub) -> None:
    source, path = hub.timm_file("resnet18")
    assert source == "timm:resnet18.a1_in1k"
    assert path.read_bytes() == CONTENT
    assert server.asked[-1] == "GET /timm/resnet18.a1_in1k/resolve/main/model.safetensors"
    server.asked.clear()
    assert hub.timm_file("resnet18") == (source, path)
    assert server.asked == []


def test_another_content_than_stated_is_refused_and_removed(server: Hub) -> None:
    server.content = CONTENT[:-1] + b"!"
    text = refused()
    assert f"expected a file of sha256 {DIGEST[:12]}, found" in text
    assert "timm:resnet18.a1_in1k is not on this machine" in refused(offline=True)
    server.content = CONTENT
    assert hub.timm_file("resnet18")[1].read_bytes() == CONTENT


def test_a_cut_connection_is_continued(server: Hub) -> None:
    server.cuts = [1000, 2000]
    assert hub.timm_file("resnet18")[1].read_bytes() == CONTENT
    assert [request[:3] for request in server.asked].count("GET") == 3


def test_a_missing_file_is_told(server: Hub) -> None:
    server.status = 404
    assert "404" in refused()


def test_small_files_have_no_sha256_to_compare(server: Hub) -> None:
    """git's own hash, of 40 digits, is the tag of what is not kept as a large file."""
    server.tag = "b" * 40
    assert hub.timm_file("resnet18")[1].read_bytes() == CONTENT


def test_a_file_that_was_damaged_in_the_cache(server: Hub) -> None:
    path = hub.timm_file("resnet18")[1]
    path.resolve().write_bytes(b"damaged")
    assert "timm:resnet18.a1_in1k is damaged" in refused(offline=True)
    assert hub.timm_file("resnet18")[1].read_bytes() == CONTENT
