"""A web server of a test's own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Let `answer` see to GET and HEAD; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_HEAD(self) -> None:
            answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with (
        pytest.MonkeyPatch.context() as patched,
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http,
    ):
        patched.setenv("no_proxy", "127.0.0.1")
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def send(request: BaseHTTPRequestHandler, body: bytes, cuts: list[int]) -> None:
    """Send a body, of which no more arrives than the next of `cuts` says."""
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body[: cuts.pop(0)] if cuts else body)
