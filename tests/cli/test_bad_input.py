"""Wrong input: exit status 2, one line on standard error, nothing written, nothing executed."""

import io
import json
import os
import pickle
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from stylebench import store
from tests.cli.bench import COMMAND, invoke, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "_in_an_empty_folder")


@pytest.fixture
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(*args: object, stdin: str = "") -> str:
    """Return the one line with which a command refuses its input."""
    done = invoke(*args, stdin=stdin)
    assert (done.status, done.out) == (2, ""), done
    assert done.err.startswith("stylebench: ")
    assert done.err.endswith("\n")
    assert len(done.err.splitlines()) == 1, done.err
    assert "Traceback" not in done.err
    return done.err


def photograph() -> bytes:
    """Return a good picture that does not compress well, as PNG."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def bomb() -> bytes:
    """Return a PNG of a few bytes whose header claims 60000 × 60000 px."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def small() -> bytes:
    """Return a picture of 15 × 40 px."""
    file = io.BytesIO()
    Image.new("RGB", (15, 40)).save(file, "PNG")
    return file.getvalue()


PICTURES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "neither a file"),
    "empty": (b"", "is empty"),
    "truncated": (photograph()[:-2000], "damaged or cut off"),
    "text": (b"I am no picture\n" * 100, "not a picture"),
    "zeros": (bytes(1000), "not a picture"),
    "small": (small(), "at least 16 px"),
    "bomb": (bomb(), "at most 100,000,000 pixels"),
}


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("role", ["content", "style"])
def test_picture(role: str, kind: str) -> None:
    data, reason = PICTURES[kind]
    if data is not None:
        Path("mine.png").write_bytes(data)
    flags = {"content": "chelsea", "style": "mosaic"} | {role: "mine.png"}
    line = refused("sweep", "--arch", "r-tiny", "--size", 32, "--out", "out",
                   "--content", flags["content"], "--style", flags["style"])  # fmt: skip
    assert reason in line
    assert "mine.png" in line
    assert not Path("out").exists()


def test_picture_is_good_uncut() -> None:
    Path("mine.png").write_bytes(photograph())
    done = invoke("sweep", "--arch", "r-tiny", "--content", "mine.png", "--style", "mosaic",
                  "--size", 32, "--dry-run")  # fmt: skip
    assert done.status == 0


@pytest.mark.parametrize("kind", ["empty", "truncated", "bomb"])
@pytest.mark.parametrize(
    "args",
    [
        ["transfer", "mine.png", "mosaic", "--arch", "r-tiny", "-o", "out.png"],
        ["transfer", "chelsea", "mine.png", "--arch", "r-tiny", "-o", "out.png"],
        ["stats", "--content", "mine.png", "--arch", "r-tiny", "--out", "out"],
    ],
)
def test_picture_of_other_commands(args: list[str], kind: str) -> None:
    data, reason = PICTURES[kind]
    assert data is not None
    Path("mine.png").write_bytes(data)
    assert reason in refused(*args)
    assert not Path("out").exists()
    assert not Path("out.png").exists()


def test_folder_without_pictures() -> None:
    Path("photos").mkdir()
    Path("photos/notes.txt").write_text("none")
    assert "holds no pictures" in refused("sweep", "--arch", "r-tiny", "--content", "photos")


def test_one_bad_picture_in_a_folder() -> None:
    Path("photos").mkdir()
    Path("photos/good.png").write_bytes(photograph())
    Path("photos/worse.png").write_bytes(PICTURES["truncated"][0] or b"")
    assert "worse.png" in refused("sweep", "--arch", "r-tiny", "--content", "photos")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe_does_not_block() -> None:
    os.mkfifo("pipe.png")
    assert "no regular file" in refused("sweep", "--arch", "r-tiny", "--content", "pipe.png")


@pytest.mark.parametrize(
    "name",
    ["two words.png", "it's \"quoted\".png", "ünï ☃.png", "two\nlines.png", "$(touch x).png",
     "-rf.png", "[red]x.png", "a,b.png", "%s {0}.png"],
)  # fmt: skip
def test_odd_file_names_are_told_in_one_line(name: str) -> None:
    Path(name).write_text("I am no picture")
    line = refused("sweep", "--arch", "r-tiny", f"--content={name}", "--style", "mosaic")
    assert "not a picture" in line
    assert repr(name)[1:-1] in line
    Path(name).unlink()
    refused("sweep", "--arch", "r-tiny", f"--content={name}")
    refused("sweep", f"--out={name}", "--arch", "r-tiny", "--smoothing", "nope")
    refused("sweep", name if not name.startswith("-") else f"./{name}")
    refused("sweep", "--arch", "p-vgg19", f"--weights=vgg19={name}")
    refused("sweep", f"--arch={name}")
    refused("figures", f"./{name}")
    refused("run-job", f"./{name}", "--out", "out")
    assert list(Path.cwd().iterdir()) == []


UNKNOWN: dict[str, tuple[list[str], str]] = {
    "arch": (["sweep", "--arch", "r-vgg91"], "did you mean 'r-vgg19'"),
    "arch in a list": (["sweep", "--arch", "r-tiny,r-resnet5"], "did you mean 'r-resnet50'"),
    "arch glob": (["sweep", "--arch", "q-*"], "no backbone matches 'q-*'"),
    "arch empty": (["sweep", "--arch", ""], "unknown backbone ''"),
    "hidden p-": (["sweep", "--arch", "p-tiny"], "unknown backbone 'p-tiny'"),
    "arch of stats": (["stats", "--arch", "vgg19"], "unknown backbone 'vgg19'"),
    "arch of transfer": (["transfer", "chelsea", "mosaic", "--arch", "r-vg19"], "'r-vgg19'"),
    "smoothing": (["sweep", "--smoothing", "softmx"], "did you mean 'softmax'"),
    "smoothing of stats": (["stats", "--smoothing", "sofmax"], "did you mean 'softmax'"),
    "content": (["sweep", "--content", "chelse"], "did you mean 'chelsea'"),
    "style": (["sweep", "--style", "mosaik"], "did you mean 'mosaic'"),
    "builtin": (["sweep", "--content", "builtin:cat"], "builtin:cat"),
    "empty content": (["sweep", "--content", ""], "empty entry"),
    "preset": (["sweep", "--preset", "papr"], "did you mean 'paper'"),
    "device": (["sweep", "--device", "gpu"], "expects auto, cpu, cuda, cuda:N or mps"),
    "device number": (["sweep", "--device", "cuda:99"], "no such device"),
    "device letter": (["sweep", "--device", "cuda:x"], "expects auto, cpu"),
    "precision": (["sweep", "--precision", "fp16"], "'fp32' or 'bf16'"),
    "command": (["swep"], "Did you mean 'sweep'"),
    "flag": (["sweep", "--evls", "3"], "--evls"),
    "flag without value": (["sweep", "--size"], "requires an argument"),
    "extra argument": (["sweep", "a.yaml", "b.yaml"], "unexpected extra argument"),
    "transfer of nothing": (["transfer", "chelsea"], "Missing argument"),
    "kind of ls": (["ls", "arch"], "did you mean 'archs'"),
    "size 0": (["sweep", "--size", "0"], "size"),
    "size negative": (["sweep", "--size", "-5"], "size"),
    "size small": (["sweep", "--size", "15"], "size"),
    "size huge": (["sweep", "--size", "1000000"], "size"),
    "size word": (["sweep", "--size", "big"], "--size"),
    "size fraction": (["sweep", "--size", "64.5"], "--size"),
    "size of transfer": (["transfer", "chelsea", "mosaic", "--size", "0"], "size"),
    "size of stats": (["stats", "--size", "-1"], "size"),
    "evals 0": (["sweep", "--evals", "0"], "evals"),
    "evals negative": (["sweep", "--evals", "-1"], "evals"),
    "evals float": (["sweep", "--evals", "1e3"], "--evals"),
    "jobs 0": (["sweep", "--jobs", "0"], "--jobs expects a positive number, found 0"),
    "jobs negative": (["stats", "--jobs", "-2"], "--jobs expects a positive number, found -2"),
    "jobs word": (["sweep", "--jobs", "two"], "--jobs"),
    "seed negative": (["sweep", "--seed", "-1"], "seed"),
    "seed word": (["sweep", "--seed", "x"], "--seed"),
    "seed huge": (["sweep", "--seed", "99999999999999999999"], "seed"),
    "output suffix": (
        ["transfer", "chelsea", "mosaic", "--arch", "r-tiny", "-o", "out.gif"],
        "expects a name in .png, .jpg or .jpeg",
    ),
    "many for transfer": (
        ["transfer", "chelsea", "mosaic", "--arch", "r-tiny", "--smoothing", "none,softmax"],
        "use stylebench sweep for many",
    ),
    "no experiment": (["sweep", "experiments/non.yaml"], "no experiment file"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_flag(what: str) -> None:
    args, reason = UNKNOWN[what]
    small = ["--size", "32"] if args[0] == "sweep" and "--size" not in args else []
    assert reason in refused(*args, *small)
    assert list(Path.cwd().iterdir()) == []


YAML: dict[str, tuple[str, str]] = {
    "unknown key": ("evls: 3", "unknown key 'evls'; did you mean 'evals'"),
    "unknown nested key": ("loss: {style_wieght: 3}", "did you mean 'style_weight'"),
    "unknown key of the optimiser": ("optimiser: {histroy: 3}", "did you mean 'history'"),
    "list": ("- arch\n- r-tiny", "expected a mapping of keys to values, found list"),
    "text": ("sweep everything", "expected a mapping of keys to values, found str"),
    "number as key": ("1: 2", "expected a mapping"),
    "invalid": ("arch: [r-tiny\nsize: 32", "expected YAML"),
    "object": ("arch: !!python/object/apply:os.system ['touch ran']", "expected YAML"),
    "nested too deeply": ("a: " + "[" * 5000, "expected YAML"),
    "wrong type": ("size: big", "size"),
    "list for a number": ("size: [32]", "size"),
    "text for a mapping": ("loss: strong", "loss"),
    "1e6": ("evals: 1e6", "'1e6'"),
    "not finite": ("loss: {style_weight: .inf}", "style_weight"),
    "negative weight": ("loss: {style_weight: -1}", "style_weight"),
    "name with a path": ("name: ../../elsewhere", "name"),
    "no archs": ("arch: []", "arch"),
    "no smoothings": ("smoothing: []", "smoothing"),
    "parameter": ("smoothing: [{name: softmax, temprature: 3}]", "temprature"),
    "parameter out of range": ("smoothing: [{name: softmax, temperature: 0}]", "temperature"),
    "smoothing without a name": ("smoothing: [{temperature: 3}]", "smoothing.0.name"),
    "preset": ("preset: best", "unknown preset 'best'"),
    "pairing": (
        "pairing: zip\ncontent: [chelsea, china]\nstyle: [mosaic]",
        "as many contents as styles",
    ),
    "option": ("backbone_options: {vgg19: {stride_in: conv1}}\narch: r-vgg19", "no option"),
    "options of nothing": ("backbone_options: {vgg91: {}}", "did you mean 'vgg19'"),
    "layer": ("loss: {layer_weights: {stage9: 1}}\narch: r-tiny", "no style node 'stage9'"),
}


@pytest.mark.parametrize("what", YAML)
def test_yaml(what: str) -> None:
    text, reason = YAML[what]
    Path("mine.yaml").write_text(f"{text}\n")
    line = refused("sweep", "--out", "out", "mine.yaml")
    assert reason in line
    assert [path.name for path in Path.cwd().iterdir()] == ["mine.yaml"]


def test_yaml_that_is_no_text() -> None:
    Path("mine.yaml").write_bytes(b"\xff\xfe\x00binary")
    assert "readable text" in refused("sweep", "mine.yaml")
    Path("folder.yaml").mkdir()
    assert "readable text" in refused("sweep", "folder.yaml")


def test_missing_yaml_suggests_the_one_beside_it() -> None:
    write_yaml(Path("smoke.yaml"))
    assert "smoke.yaml" in refused("sweep", "smok.yaml").replace("'smok.yaml'", "")


class Evil:
    """What runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def _evil_zip(path: Path, mark: Path) -> None:
    torch.save({"features.0.weight": Evil(mark)}, path)


def _evil_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps({"features.0.weight": Evil(mark)}))


@pytest.mark.parametrize("write", [_evil_zip, _evil_pickle])
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
def test_pickle_does_not_run(name: str, write: Callable[[Path, Path], None]) -> None:
    mark, path = Path("ran").resolve(), Path(name)
    write(path, mark)
    if write is _evil_zip:
        torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert mark.exists(), "the file is meant to run code"
    mark.unlink()
    line = refused("sweep", "--arch", "p-vgg19", "--weights", f"vgg19={name}", "--size", 32)
    assert name in line
    if name != "w.safetensors":
        assert "would run code; it was not executed" in line
    assert not mark.exists()


def _safetensors(path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.bias": torch.zeros(1000)}, path)


def _truncated_safetensors(path: Path) -> None:
    _safetensors(path)
    path.write_bytes(path.read_bytes()[:-100])


def _truncated_checkpoint(path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    path.write_bytes(path.read_bytes()[:1000])


WEIGHTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("w.safetensors", lambda path: None, "No such file"),
    "empty": ("w.safetensors", Path.touch, "expected a safetensors file"),
    "empty checkpoint": ("w.pth", Path.touch, "expected a torch checkpoint"),
    "folder": ("w.safetensors", Path.mkdir, "found a folder"),
    "corrupt": ("w.safetensors", lambda p: p.write_bytes(b"\xff" * 500), "a safetensors file"),
    "corrupt checkpoint": ("w.pth", lambda p: p.write_bytes(b"\xff" * 500), "corrupt file"),
    "truncated": ("w.safetensors", _truncated_safetensors, "expected a safetensors file"),
    "truncated checkpoint": ("w.pth", _truncated_checkpoint, "expected a torch checkpoint"),
    "other architecture": (
        "w.safetensors",
        _safetensors,
        "expected the weights of vgg19, but it lacks features.0.bias",
    ),
    "wrong suffix": ("w.pth", _safetensors, "w.pth"),
    "wrong shape": (
        "w.pth",
        lambda p: torch.save({"features.0.weight": torch.zeros(2, 2)}, p),
        "has other shapes for features.0.weight",
    ),
    "no tensors": ("w.pth", lambda p: torch.save({"epoch": 3}, p), "a state dict of tensors"),
    "list": ("w.pth", lambda p: torch.save([1, 2], p), "found list"),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights(what: str) -> None:
    name, make, reason = WEIGHTS[what]
    make(Path(name))
    line = refused("sweep", "--arch", "p-vgg19", "--weights", f"vgg19={name}", "--size", 32)
    assert reason in line
    assert name in line
    assert len(line) < 1000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("vgg19", "expects NAME=PATH, found 'vgg19'"),
        ("vgg19=", "expects NAME=PATH"),
        ("=w.safetensors", "no backbone ''"),
        ("vgg91=w.safetensors", "did you mean 'vgg19'"),
        ("noresnet50=w.safetensors", "no backbone 'noresnet50' takes weights"),
    ],
)
def test_weights_flag(value: str, reason: str) -> None:
    assert reason in refused("sweep", "--arch", "r-tiny", "--weights", value)


def test_bad_weights_of_a_group_are_an_error_too() -> None:
    _safetensors(Path("w.safetensors"))
    line = refused("sweep", "--arch", "*-vgg19", "--weights", "vgg19=w.safetensors", "--offline")
    assert "expected the weights of vgg19" in line


def test_weights_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEBENCH_WEIGHTS", "nowhere")
    line = refused("sweep", "--arch", "p-vgg19", "--size", 32)
    assert "STYLEBENCH_WEIGHTS" in line
    assert "'nowhere'" in line


@pytest.mark.parametrize("command", ["sweep", "stats", "transfer"])
def test_named_backbone_without_weights(command: str) -> None:
    pictures = ["chelsea", "mosaic"] if command == "transfer" else []
    line = refused(command, "--arch", "p-vgg19", "--offline", "--size", 32, *pictures)
    for remedy in ("--weights vgg19=PATH", "vgg19.safetensors", "$STYLEBENCH_WEIGHTS"):
        assert remedy in line


@pytest.mark.parametrize("out", ["file", "file/below", "x" * 300])
@pytest.mark.parametrize("command", ["sweep", "stats"])
def test_out_that_cannot_be_a_folder(command: str, out: str) -> None:
    Path("file").write_text("mine")
    line = refused(command, "--arch", "r-tiny", "--size", 32, "--out", out)
    assert "cannot write into" in line
    assert Path("file").read_text() == "mine"


JOBS: dict[str, tuple[str, str]] = {
    "cut off": ('{"arch": "r-tiny"', "expected a job as JSON"),
    "empty": ("", "expected a job as JSON"),
    "list": ("[]", "expected a job as JSON"),
    "lacks keys": ("{}", "arch: Field required"),
    "wrong type": ('{"arch": 3}', "expected a job as JSON: arch"),
}


@pytest.mark.parametrize("what", JOBS)
def test_job(what: str) -> None:
    text, reason = JOBS[what]
    Path("job.json").write_text(text)
    assert reason in refused("run-job", "job.json", "--out", "out")
    assert reason in refused("run-job", "-", "--out", "out", stdin=text)
    assert not Path("out").exists()


def test_job_with_an_unknown_key() -> None:
    listed = invoke("sweep", "--dry-run", "--json", write_yaml(Path("tiny.yaml")))
    text = listed.out.splitlines()[0].replace('"evals":', '"evls":3,"evals":')
    assert "evls" in refused("run-job", "-", "--out", "out", stdin=text)


def test_job_with_other_nodes() -> None:
    listed = invoke("sweep", "--dry-run", "--json", write_yaml(Path("tiny.yaml")))
    job = {**json.loads(listed.out.splitlines()[0]), "nodes": {}}
    assert "other nodes" in refused("run-job", "-", "--out", "out", stdin=json.dumps(job))


def test_job_that_is_no_text_or_no_file() -> None:
    Path("job.json").write_bytes(b"\xff\xfe")
    assert "expected a job as JSON" in refused("run-job", "job.json", "--out", "out")
    assert "expected a job as JSON" in refused("run-job", "none.json", "--out", "out")
    assert "expected a job as JSON" in refused("run-job", ".", "--out", "out")


def test_figures_of_a_folder_without_results() -> None:
    Path("empty").mkdir()
    assert "holds no results" in refused("figures", "empty")
    assert "holds no results" in refused("figures", "missing")
    assert list(Path("empty").iterdir()) == []


def test_figures_of_other_tables() -> None:
    Path("out").mkdir()
    store.compact(Path("out"))
    assert "'gird'; did you mean 'grid'" in refused("figures", "out", "--only", "gird")
    Path("out/results.parquet").write_text("not parquet")
    assert "expected a parquet table" in refused("figures", "out")


@pytest.mark.parametrize("kind", ["truncated", "bomb"])
def test_nothing_else_on_standard_error(kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(PICTURES[kind][0] or b"")
    args = ["sweep", "--arch", "r-tiny", "--content", "mine.png", "--size", "32"]
    done = subprocess.run([*COMMAND, *args], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stylebench: image ")
    assert len(done.stderr.splitlines()) == 1
