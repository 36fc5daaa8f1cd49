"""The page with stylisers in a real browser, with the real onnxruntime-web."""

import base64
import functools
import http.server
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from stylebench import images
from stylebench.errors import UnavailableError
from stylebench.images.given import to_pixels
from stylebench.stylisers.styliser import Styliser, load
from tests.e2e.browser import CHROMIUM, FLAGS, OVERFLOW, Page, browser
from tests.stylisers.tiny import model

demo = pytest.importorskip("stylebench.stylisers.demo", reason="needs stylebench[onnx]")
published = pytest.importorskip("tests.stylisers.published", reason="needs stylebench[onnx]")

pytestmark = CHROMIUM

IDLE = "!document.getElementById('result').hasAttribute('aria-busy')"
DONE = f"document.getElementById('status').textContent.includes(' s, ') && {IDLE}"
NO_GPU = {"No available adapters."}
"""Of Chromium, where there is no GPU."""
GREY_LEVELS = 2.0


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def dist() -> dict[str, bytes]:
    """The real onnxruntime-web: in $STYLEBENCH_ORT, or where `stylebench demo` left it."""
    folder = os.environ.get("STYLEBENCH_ORT")
    try:
        found: dict[str, bytes] = demo.runtime_files(Path(folder) if folder else None, offline=True)
    except UnavailableError:
        pytest.skip("no onnxruntime-web: run stylebench demo once, or set STYLEBENCH_ORT")
    return found


@pytest.fixture(scope="module")
def stylisers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Styliser]:
    folder = tmp_path_factory.mktemp("stylisers")
    return {
        "magenta": published.magenta(folder),
        "adain, r-tiny": load(model(folder / "adain", method="adain", steps=2)),
    }


@pytest.fixture(scope="module")
def site(
    dist: dict[str, bytes], stylisers: dict[str, Styliser], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    """A folder that holds the page, and its address."""
    out = tmp_path_factory.mktemp("site") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "runtime_files", lambda *_, **__: dist)
        patch.setattr(demo, "load", lambda name, **_: stylisers[name])
        demo.write([*stylisers], out)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(out))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield out, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def page(window: Page) -> Page:
    return window


def ready(page: Page, site: tuple[Path, str], width: int = 1280, dark: bool = False) -> None:
    page.open(site[1], width=width, dark=dark)
    page.until(DONE, 120)


def choose(page: Page, name: str, value: object) -> None:
    """Change a setting, and wait for the picture."""
    part = f"document.getElementById('{name}')"
    page.run("document.getElementById('status').textContent = ''")
    page.run(f"{part}.value = {value!r}; {part}.dispatchEvent(new Event('change'))")
    page.until(DONE, 120)


def shown(page: Page, name: str) -> np.ndarray:
    """Return the pixels of a canvas."""
    address = page.run(f"document.getElementById('{name}-canvas').toDataURL()")
    data = base64.b64decode(address.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


@pytest.mark.parametrize("name", [pytest.param("magenta", marks=pytest.mark.slow), "adain, r-tiny"])
def test_the_picture_is_that_of_python(
    page: Page, site: tuple[Path, str], stylisers: dict[str, Styliser], name: str
) -> None:
    ready(page, site)
    check(page, site, name, stylisers[name])
    status = page.run("document.getElementById('status').textContent")
    assert status.startswith("256 × ")
    assert status.endswith(f" s, {name}, WebAssembly")


def check(page: Page, site: tuple[Path, str], name: str, styliser: Styliser) -> None:
    """Check pictures of a network on the page against Python's."""
    options = "[...document.getElementById('model').options]"
    place = page.run(f"{options}.map((each) => each.textContent)").index(name)
    choose(page, "model", page.run(f"{options}[{place}].value"))
    choose(page, "strength", "70")
    choose(page, "size", "256")
    pictures = site[0] / "pictures"
    content = images.to_tensor(pictures / "chelsea.png", size=256)
    style = images.to_tensor(pictures / "mosaic.png", "style", 256)
    for part, tensor in (("content", content), ("style", style)):
        assert np.abs(shown(page, part) - to_pixels(tensor)).max() <= 2
    expected = to_pixels(styliser.stylise(content, style, 0.7)).astype(float)
    found = shown(page, "result")
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < GREY_LEVELS


@pytest.mark.slow
def test_by_webgpu_too(site: tuple[Path, str], stylisers: dict[str, Styliser]) -> None:
    flags = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
             "--enable-features=Vulkan")  # fmt: skip
    patched = mock.patch("tests.e2e.browser.FLAGS", [f for f in FLAGS if f != "--disable-gpu"])
    with patched, browser(*flags) as page:
        ready(page, site)
        if page.run("document.getElementById('backends').hidden"):
            pytest.skip("this Chromium has no WebGPU")
        choose(page, "size", "256")
        choose(page, "backend", "webgpu")
        check(page, site, "magenta", stylisers["magenta"])
        check(page, site, "adain, r-tiny", stylisers["adain, r-tiny"])
        assert page.run("document.getElementById('status').textContent").endswith("WebGPU")


def test_the_camera_takes_a_picture(site: tuple[Path, str]) -> None:
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with browser(*flags) as page:
        ready(page, site, width=390)
        page.run("document.getElementById('content-camera').click()")
        page.until("document.getElementById('camera').open")
        page.until("document.getElementById('video').videoWidth > 0")
        page.run("document.getElementById('status').textContent = ''")
        page.run("document.querySelector('#camera [value=take]').click()")
        page.until("document.getElementById('content-name').textContent.startsWith('camera, 384')")
        page.until(DONE, 120)


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_loads_nothing_elsewhere(
    page: Page, site: tuple[Path, str], width: int, dark: bool
) -> None:
    ready(page, site, width, dark)
    assert set(page.complaints) <= NO_GPU
    assert page.run(OVERFLOW) <= 0
    assert [url for url in page.requests if not url.startswith((site[1], "data:", "blob:"))] == []
    names = {url.rpartition("/")[2] for url in page.requests}
    assert {"magenta.onnx", "ort.wasm.min.js"} <= names  # that of the worker is seen too
    assert page.run("document.getElementById('alert').hidden")
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(", "))) < 300) == dark


def test_by_keyboard(page: Page, site: tuple[Path, str]) -> None:
    ready(page, site)
    before = shown(page, "result")
    page.run("document.querySelector('#style [type=radio]:checked').focus()")
    page.run("document.getElementById('status').textContent = ''")
    page.press("ArrowRight")
    page.until(DONE, 120)
    assert np.abs(shown(page, "result") - before).mean() > 0
    assert page.run("document.getElementById('style-name').textContent").startswith("woodcut")
    page.run("document.getElementById('strength').focus()")
    page.run("document.getElementById('status').textContent = ''")
    page.press("ArrowLeft")
    page.until(DONE, 120)
    assert page.run("document.getElementById('share').textContent") == "95 %"


def test_a_file_is_dropped_and_the_result_is_saved(page: Page, site: tuple[Path, str]) -> None:
    ready(page, site)
    page.run(
        "(async () => { const blob = await (await fetch('pictures/coffee.png')).blob();"
        "const given = new DataTransfer();"
        "given.items.add(new File([blob], 'my cup.png', {type: 'image/png'}));"
        "document.getElementById('status').textContent = '';"
        "document.getElementById('content').dispatchEvent("
        "new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true})); })()"
    )
    page.until("document.getElementById('content-name').textContent.startsWith('my cup, 384')")
    page.until(DONE, 120)
    assert page.run("document.querySelector('#content [type=radio]:checked')") is None
    page.run(
        "HTMLAnchorElement.prototype.click = function () { window.saved = this.download; };"
        "document.getElementById('save').click()"
    )
    page.until("window.saved === 'my-cup-mosaic.png'")


def test_what_is_no_picture_is_told(page: Page, site: tuple[Path, str]) -> None:
    ready(page, site)
    page.run(
        "(() => { const given = new DataTransfer();"
        "given.items.add(new File(['no picture'], 'notes.txt', {type: 'text/plain'}));"
        "document.getElementById('style').dispatchEvent("
        "new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true})); })()"
    )
    page.until("!document.getElementById('alert').hidden")
    assert "notes is no picture" in page.run("document.getElementById('alert').textContent")
    assert page.run(IDLE)


def test_a_model_that_is_gone_is_told(page: Page, site: tuple[Path, str]) -> None:
    page.open(site[1])
    page.until(DONE, 120)
    page.run(
        "document.getElementById('model').options[0].value = 'models/none.onnx';"
        "document.getElementById('model').dispatchEvent(new Event('change'))"
    )
    page.until("!document.getElementById('alert').hidden", 60)
    assert page.run("document.getElementById('alert').textContent").startswith("magenta: ")


def drop(page: Page, role: str, name: str, blob: str) -> None:
    """Drop a file on a picture; `blob` is what JavaScript makes it of."""
    page.run(
        f"(async () => {{ const blob = await ({blob}); const given = new DataTransfer();"
        f"given.items.add(new File([blob], {name!r}, {{type: 'image/png'}}));"
        f"document.getElementById({role!r}).dispatchEvent(new DragEvent('drop',"
        "{dataTransfer: given, bubbles: true, cancelable: true})); })()"
    )


FETCHED = "fetch('pictures/coffee.png').then((answer) => answer.blob())"


def test_of_two_pictures_the_later_one_stays(page: Page, site: tuple[Path, str]) -> None:
    """However long the earlier one takes to decode."""
    ready(page, site)
    page.run(
        "window.whole = createImageBitmap; window.calls = 0;"
        "window.createImageBitmap = async (blob) => {"
        "const made = await window.whole(blob);"
        "if (!window.calls++) await new Promise((yes) => window.release = yes); return made; }"
    )
    drop(page, "content", "slow.png", FETCHED)
    page.until("Boolean(window.release)")
    drop(page, "content", "fast.png", FETCHED)
    page.until("document.getElementById('content-name').textContent.startsWith('fast')")
    page.run("window.release()")
    choose(page, "strength", "50")
    assert page.run("document.getElementById('content-name').textContent").startswith("fast")


def test_where_one_picture_is_too_narrow_both_stay(page: Page, site: tuple[Path, str]) -> None:
    ready(page, site)
    choose(page, "size", "768")
    canvas = (
        "new Promise((yes) => { const c = document.createElement('canvas'); c.width = 600;"
        "c.height = 18; c.getContext('2d').fillRect(0, 0, 9, 9); c.toBlob(yes); })"
    )
    drop(page, "style", "narrow.png", canvas)
    page.until("document.getElementById('style-name').textContent.startsWith('narrow, 768')")
    page.until(DONE, 120)
    page.run(
        "document.getElementById('size').value = '256';"
        "document.getElementById('size').dispatchEvent(new Event('change'))"
    )
    page.until("!document.getElementById('alert').hidden")
    assert "too narrow" in page.run("document.getElementById('alert').textContent")
    assert page.run("document.getElementById('content-name').textContent").endswith(" px")
    assert ", 768 × " in page.run("document.getElementById('content-name').textContent")


def test_a_worker_that_fails_is_told(page: Page, site: tuple[Path, str]) -> None:
    ready(page, site)
    page.run(
        "window.Own = Worker; window.Worker = class { constructor() {"
        "return new window.Own('none.js'); } };"
        "document.getElementById('backend').dispatchEvent(new Event('change'))"
    )
    page.until("!document.getElementById('alert').hidden", 60)
    assert "the worker failed" in page.run("document.getElementById('alert').textContent")
    page.run(
        "window.Worker = window.Own; document.getElementById('status').textContent = '';"
        "document.getElementById('size').dispatchEvent(new Event('change'))"
    )
    page.until(DONE, 120)


def test_out_of_a_file_it_says_what_to_run(page: Page, site: tuple[Path, str]) -> None:
    page.open(site[0] / "index.html")
    page.until("!document.getElementById('alert').hidden")
    assert "python -m http.server" in page.run("document.getElementById('alert').textContent")
