"""Chromium without a window, driven through its DevTools protocol over a pair of pipes.

Needs nothing but the browser: messages are JSON with a zero byte behind each.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""Of a page: px by which it is wider than its window."""


def find() -> str | None:
    """Return the path of a Chromium, None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


CHROMIUM = pytest.mark.skipif(find() is None, reason="no Chromium (Debian: apt install chromium)")


class Page:
    """A page of the browser, with all that it logged, and it and its workers loaded.

    `tab` is the one of its tabs to which all goes.
    """

    def __init__(self, reads: int, writes: int) -> None:
        self._in, self._out = os.fdopen(reads, "rb"), os.fdopen(writes, "wb")
        self._rest, self._number, self.tab, self._loads = b"", 0, "", 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.open_tab()

    def open_tab(self) -> None:
        """Go to another, empty tab."""
        self.tab = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.tab = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True,
                  flatten=True)  # fmt: skip

    def close(self) -> None:
        """Close both pipes, upon which the browser ends."""
        self._in.close()
        self._out.close()

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = self._in.read1(1 << 20)
            assert data, "the browser has ended"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _send(self, session: str, method: str, params: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        return self._number

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Target.attachedToTarget" and params["waitingForDebugger"]:  # a worker
            for each in ("Network.enable", "Runtime.runIfWaitingForDebugger"):
                self._send(params["sessionId"], each, {})
        elif method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(params["args"]))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = self._send(self.tab, method, params)
        while (answer := self._receive()).get("id") != number:
            pass
        assert "error" not in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    def open(
        self, place: Path | str, *, width: int = 1280, dark: bool = False, script: bool = True
    ) -> None:
        """Load a file, or an address, in a window of a width (px), and wait until it has loaded."""
        self.requests.clear()
        self.complaints.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setTouchEmulationEnabled", enabled=width < 600)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        loads = self._loads
        url = place.resolve().as_uri() if isinstance(place, Path) else place
        self.call("Page.navigate", url=url)
        while self._loads == loads:
            self._receive()

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until an expression is true: pages answer many events after a while only."""
        end = time.monotonic() + seconds
        while not self.run(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key that writes no text, such as ``ArrowRight``; ``Enter`` presses buttons."""
        codes = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, "Enter": 13, "Tab": 9,
                 "Escape": 27, "ArrowDown": 40, "Backspace": 8, " ": 32}  # fmt: skip
        for _ in range(times):
            both = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
            text = {"text": "\r"} if key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **both, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **both)

    def touch(self, x: float, y: float) -> None:
        """Tap on a place of the window, in px."""
        points = [{"x": x, "y": y}]
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=points)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


@contextlib.contextmanager
def browser(*flags: str) -> Iterator[Page]:
    """Start the browser with a profile of its own, and end it and remove that afterwards.

    Args:
        flags: beside `FLAGS`.
    """
    command = find()
    assert command is not None
    to_page, from_us = os.pipe()
    to_us, from_page = os.pipe()
    # The browser reads from descriptor 3 and writes to 4.
    shell = f'exec "$@" 3<&{to_page} 4>&{from_page}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        own = f"--user-data-dir={profile}"
        args = ["bash", "-c", shell, "browser", command, *FLAGS, *flags, own]
        process = subprocess.Popen(
            args, pass_fds=(to_page, from_page), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_page)
        os.close(from_page)
        page = None
        try:
            page = Page(to_us, from_us)
            yield page
        finally:
            if page is not None:
                page.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
