"""A server for a study: it gives the page, takes answers, and nothing else.

It is meant for one's own machine and network: HTTP without encryption. What it takes is checked
against the design, and written as a new file of a name that the server makes, whole or not at all.
"""

import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Lock

from stylebench import files
from stylebench.errors import InputError, is_full, named
from stylebench.study import answers, design
from stylebench.study.design import PAGE, Design

PLACE = "answers"
"""Folder of the study into which answers go, and the address that takes them."""
MOST_FILES = 10_000
"""Answer files in it."""
AT_ONCE = 16
"""Requests that are served side by side."""
PATIENCE = 10.0
"""Seconds in which a part of a request must come."""


class Server(ThreadingHTTPServer):
    """Serves one study.

    Args:
        folder: of the study.
        host: address of this machine.
        port: 0 takes one that is free.
        tell: takes a line for every answer file that was written.

    Raises:
        InputError: there is no study in the folder, or the address cannot be had.
    """

    daemon_threads = True

    def __init__(
        self, folder: Path, host: str, port: int, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder, self.tell = folder, tell
        self.design: Design = design.read(folder)
        try:
            self.page = files.read(folder / PAGE, folder)
        except files.ABSENT:
            raise InputError(f"{str(folder)!r} has no {PAGE}; make the study again") from None
        self.writing, self.room = Lock(), BoundedSemaphore(AT_ONCE)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"cannot serve at {host}:{port}: {getattr(error, 'strerror', None) or error}; "
                "expected --host with an address of this machine and --port with a free port"
            ) from None

    @property
    def address(self) -> str:
        """Where the page is."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Tell of a request that failed in a line: clients that went away are none of them."""
        self.tell(f"a request failed: {named(sys.exception() or RuntimeError())}")

    def keep(self, data: bytes) -> Path:
        """Write answers into a new file; InputError if they are none, or there are too many."""
        answers.parse(data, self.design)
        with self.writing:
            place = self.folder / PLACE
            there = {path.name for path in files.listed(place, self.folder)}
            if len(there) >= MOST_FILES:
                raise OSError(f"over {MOST_FILES:,} answer files")
            name = f"{secrets.token_hex(8)}.json"
            while name in there:
                name = f"{secrets.token_hex(8)}.json"
            with files.replacing(place / name, self.folder) as file:
                file.write(data)
        self.tell(f"{place / name}")
        return place / name


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE
    server_version, sys_version = "stylebench", ""

    def handle(self) -> None:
        """Serve a request, if there are not too many already."""
        if not self.server.room.acquire(blocking=False):
            return
        try:
            super().handle()
        except OSError:  # the client has gone, or is silent
            pass
        finally:
            self.server.room.release()

    def do_GET(self) -> None:
        """Give the page."""
        if self.path.partition("?")[0] not in ("/", f"/{PAGE}"):
            self._answer(HTTPStatus.NOT_FOUND, "there is the page alone")
        else:
            self._answer(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Take answers."""
        origin, host = self.headers.get("Origin", ""), self.headers.get("Host", "")
        length = self.headers.get("Content-Length", "")
        if self.path != f"/{PLACE}":
            self._answer(HTTPStatus.NOT_FOUND, f"answers go to /{PLACE}")
        elif origin and origin != f"http://{host}":
            self._answer(HTTPStatus.FORBIDDEN, "answers of another page")
        elif self.headers.get_content_type() != "application/json":
            self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        elif not (length.isascii() and length.isdigit()):
            self._answer(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length")
        elif len(length) > 9 or int(length) > answers.MOST:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"over {answers.MOST:,} bytes")
        else:
            self._take(int(length))

    def _take(self, length: int) -> None:
        data = self.rfile.read(length)
        if len(data) < length:
            self._answer(HTTPStatus.BAD_REQUEST, "not all of it came")
            return
        try:
            self.server.keep(data)
        except InputError as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            full = is_full(error) or error.errno is None
            status = HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.INTERNAL_SERVER_ERROR
            self._answer(status, "the answers could not be written")
        else:
            self._answer(HTTPStatus.CREATED, "written")

    def _answer(
        self, status: HTTPStatus, body: str | bytes, kind: str = "text/plain; charset=utf-8"
    ) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
            "Connection": "close",
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Record nobody's address."""
