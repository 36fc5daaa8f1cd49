"""Bad weights, jobs and results folders: one clear line, exit status 2."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stylebench import store
from stylebench.backbones.names import find
from tests.cli.bench import invoke, refused, write_yaml
from tests.faults.hostile import CANARY
from tests.faults.hostile_weights import Evil

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
def test_pickle_does_not_run(name: str, pickled: bool) -> None:
    path, state = Path(name), {"features.0.weight": Evil()}
    path.write_bytes(pickle.dumps(state)) if pickled else torch.save(state, path)
    load = pickle.load if pickled else partial(torch.load, weights_only=False)
    load(io.BytesIO(path.read_bytes()))
    assert Path(CANARY).exists(), "the file is meant to run code"
    Path(CANARY).unlink()
    line = refused("sweep", "--arch", "p-vgg19", "--weights", f"vgg19={name}", "--size", 32)
    assert name in line
    if name != "w.safetensors":
        assert "would run code; it was not executed" in line
    assert not Path(CANARY).exists()


def _safetensors(path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.bias": torch.zeros(1000)}, path)


def _truncated_safetensors(path: Path) -> None:
    _safetensors(path)
    path.write_bytes(path.read_bytes()[:-100])


def _truncated_checkpoint(path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    path.write_bytes(path.read_bytes()[:1000])


def _vgg19(change: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict that fits but for its first bias."""
    with torch.device("meta"):
        shapes = find("p-vgg19").build().state_dict()
    state = {key: torch.zeros(1).expand(value.shape) for key, value in shapes.items()}
    return {**state, "features.0.bias": change(torch.zeros(64))}


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(50_000_000))


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
    "bomb": ("w.pth", lambda path: _bomb(path), "unpacks to 50.0 MB"),
    "no tensors": ("w.pth", lambda p: torch.save({"epoch": 3}, p), "a state dict of tensors"),
    "list": ("w.pth", lambda p: torch.save([1, 2], p), "found list"),
}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda bias: bias.to(torch.complex64), "complex64, strided, cpu"),
        (lambda bias: bias.to(torch.int32), "int32, strided, cpu"),
        (lambda bias: bias.to(torch.float8_e4m3fn), "float8_e4m3fn, strided, cpu"),
        (lambda bias: bias.to_sparse(), "float32, sparse_coo, cpu"),
        (lambda bias: bias.to("meta"), "float32, strided, meta"),
    ],
)
def test_weights_that_are_no_dense_floats(
    change: Callable[[torch.Tensor], torch.Tensor], found: str
) -> None:
    torch.save(_vgg19(change), "w.pth")
    line = refused("sweep", "--arch", "p-vgg19", "--weights", "vgg19=w.pth", "--size", 32)
    assert f"float32 or float64, found {found} in features.0.bias; convert it" in line


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights(what: str) -> None:
    name, make, reason = WEIGHTS[what]
    make(Path(name))
    line = refused("sweep", "--arch", "p-vgg19", "--weights", f"vgg19={name}", "--size", 32)
    assert reason in line
    assert name in line
    assert len(line) < 1000


@pytest.mark.parametrize("path", ["\\ud800", "a\\0b.pth"])
def test_weights_that_no_file_can_be(path: str) -> None:
    Path("x.yaml").write_text(f'arch: p-vgg11\nsize: 32\nweights: {{vgg11: "{path}"}}')
    assert "expected a weights file" in refused("sweep", "x.yaml", "--dry-run")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("vgg19", "expects NAME=PATH, found 'vgg19'"),
        ("vgg19=", "expects NAME=PATH"),
        ("", "expects NAME=PATH, found ''"),
        ("=w.safetensors", "no backbone ''"),
        ("vgg91=w.safetensors", "did you mean 'vgg19'"),
        ("noresnet50=w.safetensors", "no backbone 'noresnet50' takes weights"),
    ],
)
def test_weights_flag(value: str, reason: str) -> None:
    assert reason in refused("sweep", "--arch", "r-tiny", "--weights", value)


@pytest.mark.parametrize("arch", ["p-vgg19", "p-vgg19,r-vgg11", "p-vgg19+pool=avg"])
@pytest.mark.parametrize("path", ["w.safetensors", "lr=0.1.safetensors"])
def test_weights_without_a_name_are_those_of_the_only_backbone(arch: str, path: str) -> None:
    _safetensors(Path(path))
    line = refused("sweep", "--arch", arch, "--weights", path, "--size", 32)
    assert f"{path}: expected the weights of vgg19" in line


def test_weights_without_a_name_in_every_command() -> None:
    _safetensors(Path("w.safetensors"))
    flags = ("--arch", "p-vgg19", "--weights", "w.safetensors", "--size", 32)
    Path("x.yaml").write_text("variants: [{arch: r-tiny}, {arch: p-vgg19}]\nsize: 32\n")
    for command in (("sweep", *flags, "--dry-run"), ("stats", *flags, "--content", "chelsea"),
                    ("transfer", "chelsea", "brush", *flags), ("plan", "x.yaml", *flags[2:4]),
                    ("sweep", "x.yaml", *flags[2:4])):  # fmt: skip
        assert "expected the weights of vgg19" in refused(*command), command


def test_weights_without_a_name_of_several_are_refused() -> None:
    _safetensors(Path("w.safetensors"))
    flags = ("--weights", "w.safetensors", "--size", 32)
    line = refused("sweep", "--arch", "p-vgg19,p-resnet50", *flags)
    assert "several backbones are pretrained; say whose, as vgg19=w.safetensors" in line
    assert "expects NAME=PATH" in refused("sweep", "--arch", "r-vgg19", *flags)


def test_weights_of_one_backbone_are_given_once() -> None:
    _safetensors(Path("w.safetensors"))
    given = ("--weights", "vgg19=w.safetensors", "--weights", "p-vgg19=other.pth")
    line = refused("sweep", "--arch", "p-vgg19", *given)
    assert "--weights of vgg19 is given twice: 'w.safetensors', 'other.pth'" in line


def test_weights_without_a_name_of_a_network_of_ones_own() -> None:
    Path("net.py").write_text(
        "from torch import nn\n\nclass Mine(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())\n"
    )
    _safetensors(Path("w.safetensors"))
    line = refused("sweep", "--arch", "net.py:Mine", "--weights", "w.safetensors", "--size", 32)
    assert "w.safetensors: expected the weights of" in line


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
    "lacks keys": ("{}", "content: expected a value"),
    "wrong type": ('{"arch": 3}', "expected a job as JSON: content"),
}


@pytest.mark.parametrize("what", JOBS)
def test_job(what: str) -> None:
    text, reason = JOBS[what]
    Path("job.json").write_text(text)
    assert reason in refused("run-job", "job.json", "--out", "out")
    assert reason in refused("run-job", "-", "--out", "out", stdin=text)
    assert not Path("out").exists()


@pytest.mark.parametrize(("key", "reason"), [("evls", "evls"), ("nodes", "other nodes")])
def test_job_with_an_unknown_key_or_other_nodes(key: str, reason: str) -> None:
    listed = invoke("sweep", "--dry-run", "--json", write_yaml(Path("tiny.yaml")))
    job = {**json.loads(listed.out.splitlines()[0]), key: {}}
    assert reason in refused("run-job", "-", "--out", "out", stdin=json.dumps(job))


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
