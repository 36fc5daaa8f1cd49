"""Wrong input: exit status 2, one line on standard error, nothing written, nothing executed."""

import io
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from stylebench import runtime
from stylebench.errors import InputError
from stylebench.images.decode import read_file
from stylebench.sweeps.run import check_folder
from tests.cli.bench import COMMAND, invoke, refused, write_yaml
from tests.faults.hostile import CANARY, huge, large, laughs, seed_files

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")


def photograph() -> bytes:
    """Return a good picture that does not compress well, as PNG."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


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
    "bomb": (huge("png", photograph()), "at most 100,000,000 pixels"),
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


def doubled(text: str) -> str:
    """Return a mapping of which each level holds the one before twice, as `loss` and in a text."""
    levels = [f"  k{n}: &x{n} {{a: *x{n - 1}, b: *x{n - 1}}}" for n in range(1, 35)]
    return "\n".join(["weights:", "  k0: &x0 {a: 1}", *levels, "loss: *x34", text])


def merged_keys() -> str:
    """Return ten mappings of 101 keys each, merged into one."""
    own = [f"x{i}: &x{i} {{{', '.join(f'k{i}_{j}: 1' for j in range(101))}}}" for i in range(10)]
    return "\n".join([*own, f"loss: {{<<: [{', '.join(f'*x{i}' for i in range(10))}]}}"])


UNKNOWN: dict[str, tuple[list[str], str]] = {
    "arch": (["sweep", "--arch", "r-vgg91"], "did you mean 'r-vgg19'"),
    "arch in a list": (["sweep", "--arch", "r-tiny,r-resnet5"], "did you mean 'r-resnet50'"),
    "arch without its prefix": (["sweep", "--arch", "resnet50"], "'r-resnet50' or 'p-resnet50'?"),
    "arch in capitals": (["sweep", "--arch", "P-ResNet_50"], "did you mean 'p-resnet50'"),
    "arch of timm": (
        ["sweep", "--arch", "p-vit_small_patch16_224"],
        "did you mean 'p-timm:vit_small_patch16_224'?",
    ),
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
    "precision": (["sweep", "--precision", "fp16"], "'auto', 'fp32', 'tf32' or 'bf16'"),
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
    "size word": (["sweep", "--size", "big"], "--size expects a whole number, found 'big'"),
    "size fraction": (["sweep", "--size", "64.5"], "--size expects a whole number, found '64.5'"),
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
    "unknown nested key": (
        "loss: {style_wieght: 3}",
        "unknown key 'loss.style_wieght'; did you mean 'style_weight'",
    ),
    "unknown key of the optimiser": ("optimiser: {histroy: 3}", "did you mean 'history'"),
    "unknown first step": (
        "optimiser: {first_step: tourch}",
        "first_step: expected a positive number or torch, found 'tourch'",
    ),
    "first step backwards": ("optimiser: {first_step: -1}", "or torch, found -1"),
    "list": ("- arch\n- r-tiny", "expected a mapping of keys to values, found list"),
    "text": ("sweep everything", "expected a mapping of keys to values, found str"),
    "number as key": ("1: 2", "expected keys that are text, found 1"),
    "invalid": ("arch: [r-tiny\nsize: 32", "expected YAML"),
    "object": ("arch: !!python/object/apply:os.system ['touch ran']", "expected YAML"),
    "nested too deeply": ("a: " + "[" * 5000, "expected YAML"),
    "no date": ("size: 2001-99-99", "month must be in 1..12"),
    "no number": ("size: !!float x", "could not convert string to float"),
    "no truth value": ("size: !!bool x", "expected YAML"),
    "tag of a mapping on a text": ("loss: !!set x", "expected YAML"),
    "large": (f"seed: 0x{'f' * 90}", "an integer of 360 bits"),
    **{
        f"far too many digits, {how}": (f"seed: {text}", "at most 100 digits in a number, found")
        for how, text in {
            "to base 10": "9" * 5000,
            "to base 16": "0x" + "f" * 6000,
            "to base 2": "0b" + "1" * 6000,
            "to base 8": "0" + "7" * 6000,
            "to base 60": "1" + ":1" * 400_000,
            "to base 60, with fractions": "1" + ":1" * 400_000 + ".5",
            "to base 60, by its tag": "!!int '1" + ":1" * 400_000 + "'",
            "with underscores": "1" + "_" * 900_000,
            "with fractions": "1." + "1" * 900_000,
        }.items()
    },
    "far too many digits, in a key": ("1" + ":1" * 50 + ": 2", "at most 100 digits in a number"),
    "billion laughs": (laughs() + "\nseed: *x29", "at most 50,000 values"),
    "billion laughs in a variant": (laughs() + "\nvariants: *x29", "at most 50,000 values"),
    "billion merged keys": (laughs(merged=True), "at most 50,000 values"),
    "keys merged without end": (merged_keys(), "expected at most 1000 keys"),
    "aliases in a profile": (doubled("profiles: {quick: {loss: *x34}}"), "at most 50,000 values"),
    "aliases in a variant": (doubled("variants: [{loss: *x34}]"), "at most 50,000 values"),
    "aliases in a key": (doubled("backbone_options: {a: *x34}"), "at most 50,000 values"),
    "too many values": ("seed: " + str([0] * 50_000), "at most 50,000 values"),
    "too many variants": (
        "variants: [" + "{}, " * 1001 + "]",
        "at most 1,000 variants, found 1,001",
    ),
    "too large a grid": (
        "grid: {seed: " + str([*range(40)]) + ", evals: " + str([*range(1, 41)]) + "}",
        "grid: expected at most 1,000 combinations",
    ),
    "too deep a grid": ("grid: {" + "a." * 50 + "a: [1]}", "grid: expected keys with lists"),
    "list that holds itself": ("seed: &a [*a]", "an alias stands in what it repeats"),
    "mapping that holds itself": ("loss: &a {loss: *a}", "an alias stands in what it repeats"),
    "too long": ("# " + "x" * 1_000_000, "at most 1,000,000 bytes"),
    "too many jobs": ("arch: r-tiny\nseed: " + str(list(range(30_000))), "at most 100,000 jobs"),
    "too small": ("size: 0", "size: expected at least 16, found 0"),
    "too large": ("size: 8192", "expected at most 4096"),
    "control characters": ('name: "\\x1b]0;title\\a"', "\\x1b"),
    "wrong type": ("size: big", "size"),
    "list for a number": ("size: [32]", "size"),
    "text for a mapping": ("loss: strong", "loss"),
    "1e6": ("evals: 1e6", "evals: expected a whole number"),
    "truth value for a whole number": ("evals: true", "evals: expected a whole number, found True"),
    "truth value for a weight": (
        "loss: {style_weight: on}",
        "mine.yaml: loss.style_weight: expected a number, found True",
    ),
    "truth value for a parameter": (
        "smoothing: {name: softmax, temperature: yes}",
        "smoothing.0.params.temperature: expected a number, found True",
    ),
    "key twice": ("evals: 3\nsize: 32\nevals: 4", "'evals' stands twice (line 3, column 1)"),
    "syntax": ("arch: [r-tiny\nsize: 32", "(line 2, column 5)"),
    "nothing": ("# to be written\n", "found an empty file"),
    "the unknown key first": ("size: '64'\nevals: -3\nsmothing: []", "did you mean 'smoothing'"),
    "no content": ("content: []\nstyle: [mosaic]", "mine.yaml: content: expected pictures"),
    "no style": (
        "content: [chelsea, china]\nstyle: []",
        "mine.yaml: style: expected pictures",
    ),
    "too many nodes": (f"nodes: {{vgg19: {{style: {[*range(65)]}, content: 0}}}}", "at most 64"),
    "name of two words": ("name: a b", "name: expected 1 to 100 letters, digits, ., _ and -, the"),
    "no name": ("smoothing: {temperature: 3}", "smoothing.0.name: expected a value, found nothing"),
    "smoothing off": ("smoothing: off", "smoothing: expected a name, as softmax, or {name: soft"),
    "node that is none": (
        "nodes: {vgg19: {style: [1.5], content: 0}}",
        "nodes.vgg19.style.0: expected the path of a node, or a number, found 1.5",
    ),
    "date for a list": ("content: 2024-11-29", "content: expected a text, found 2024-11-29 (so"),
    "key that is no text": ("on: 3", "expected keys that are text, found True"),
    "not finite": ("loss: {style_weight: .inf}", "loss.style_weight: expected a finite"),
    "negative weight": ("loss: {style_weight: -1}", "style_weight"),
    "name with a path": ("name: ../../elsewhere", "name"),
    "no archs": ("arch: []", "arch"),
    "no smoothings": ("smoothing: []", "smoothing"),
    "smoothing": ("smoothing: [sofmax]", "unknown smoothing 'sofmax'; did you mean 'softmax'"),
    "parameter": (
        "smoothing: [{name: softmax, temprature: 3}]",
        "did you mean 'temperature'",
    ),
    "parameter in params": (
        "smoothing: [{name: softmax, params: {temprature: 3}}]",
        "mine.yaml: smoothing 'softmax' has no parameter",
    ),
    "a long key twice": (f"? {'a' * 3000}\n: 1\n? {'a' * 3000}\n: 2", "(line 3, column 3)"),
    "parameter of none": ("smoothing: [{name: none, alpha: 1}]", "no parameter 'alpha'"),
    "parameters and params": (
        "smoothing: [{name: softmax, params: {}, foo: 1}]",
        "(known: name, layers, params)",
    ),
    "parameter out of range": (
        "smoothing: [{name: softmax, temperature: 0}]",
        "temperature must be positive",
    ),
    "smoothing without a name": ("smoothing: [{temperature: 3}]", "smoothing.0.name"),
    "preset": ("preset: papper", "unknown preset 'papper'; did you mean 'paper'"),
    "pairing": (
        "pairing: zip\ncontent: [chelsea, china]\nstyle: [mosaic]",
        "as many contents as styles, found 2 and 1",
    ),
    "option": (
        "backbone_options: {vgg19: {stride_in: conv1}}\narch: r-vgg19",
        "r-vgg19 has no option",
    ),
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


def test_nothing_in_a_yaml_is_executed() -> None:
    text = f"description: !!python/object/apply:os.mkdir ['{CANARY}']"
    yaml.unsafe_load(text)
    assert Path(CANARY).exists(), "the file is meant to run code"
    Path(CANARY).rmdir()
    Path("mine.yaml").write_text(text)
    assert "expected YAML" in refused("sweep", "mine.yaml", "--dry-run")
    assert not Path(CANARY).exists()


def test_nothing_in_a_picture_is_executed() -> None:
    script = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n({CANARY}) (w) file closefile\n"
    for name in ("mine.png", "mine.jpg", "mine.eps"):
        Path(name).write_text(script)
        line = refused("sweep", "--arch", "r-tiny", "--content", name, "--dry-run")
        assert "not a picture" in line
    assert not Path(CANARY).exists()


def test_bytes_that_are_no_text_in_a_name() -> None:
    name = os.fsdecode(b"caf\xe9.png")
    line = refused("sweep", "--arch", "r-tiny", f"--content={name}")
    assert "expected arguments in UTF-8" in line
    assert "caf\\udce9.png" in line
    Path("photos").mkdir()
    try:
        Path("photos", name).write_bytes(photograph())
    except OSError:
        pytest.skip("this file system takes no such names")
    assert "expected a file name in UTF-8" in refused("sweep", "--arch", "r-tiny",
                                                      "--content", "photos")  # fmt: skip


def test_tiff_that_libtiff_talks_about(capfd: pytest.CaptureFixture[str]) -> None:
    for number, (suffix, _, data) in enumerate(seed_files()):
        if suffix == "tif":
            Path(f"{number}.tif").write_bytes(data[: len(data) // 3] + bytes(len(data) // 3))
            invoke("sweep", "--arch", "r-tiny", "--content", f"{number}.tif", "--style", "chelsea",
                   "--size", 32, "--dry-run")  # fmt: skip
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "args",
    [["sweep", "--dry-run"], ["plan"], ["stats"], ["train", "adain"], ["accuracy", "blocks"]],
    ids=lambda args: args[0],
)
def test_files_of_others_are_not_written_among(args: list[str]) -> None:
    Path("photos").mkdir()
    Path("photos", "cat.jpg").touch()
    line = refused(*args, "--out", "photos")
    assert "--out 'photos' holds 'cat.jpg'; expected a new or empty folder, or one" in line
    assert [path.name for path in Path("photos").iterdir()] == ["cat.jpg"]


REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@pytest.mark.parametrize(
    "own", ["results.parquet", "stats.parquet", "jobs", "statistics", "mlflow.db", ".lock"]
)
def test_our_folders_may_hold_notes(own: str) -> None:
    Path("out").mkdir()
    Path("out", own).touch()
    Path("out", "notes.txt").touch()
    check_folder(Path("out"))


@pytest.mark.parametrize("folder", [path for path in REFERENCE.iterdir() if path.is_dir()])
def test_folders_in_a_clone_are_ours(folder: Path) -> None:
    check_folder(folder)


@pytest.mark.parametrize("name", ["sweep.log", "slurm-17.out", "told.jsonl"])
def test_what_a_command_prints_may_go_into_its_folder(name: str) -> None:
    Path("out").mkdir()
    Path("out", name).touch()
    check_folder(Path("out"))
    Path("out", "cat.jpg").touch()
    with pytest.raises(InputError, match=r"holds 'cat\.jpg'; expected a new or empty folder"):
        check_folder(Path("out"))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["P", "RGBA", "I;16"])
def test_largest_pictures_take_less_than_2_gb(mode: str) -> None:
    Path("mine.png").write_bytes(large(mode))
    memory = runtime.PeakMemory("cpu")
    before = memory.read()
    assert read_file(Path("mine.png").resolve(), 32, "aspect").shape == (32, 32, 3)
    assert memory.read() - before < 2000


def test_nothing_is_told_before_an_error() -> None:
    text = "arch: '*-vgg19'\nvariants: [{}, {content: [missing.png]}]\nsize: 32"
    Path("mine.yaml").write_text(text)
    line = refused("sweep", "mine.yaml", "--dry-run", "--offline")
    assert "missing.png" in line


def test_yaml_that_is_no_text() -> None:
    Path("mine.yaml").write_bytes(b"\xff\xfe\x00binary")
    assert "expected an experiment in UTF-8" in refused("sweep", "mine.yaml")
    Path("folder.yaml").mkdir()
    assert "expected an experiment: is a directory" in refused("sweep", "folder.yaml")


def test_missing_yaml_suggests_the_one_beside_it() -> None:
    write_yaml(Path("smoke.yaml"))
    assert "smoke.yaml" in refused("sweep", "smok.yaml").replace("'smok.yaml'", "")


@pytest.mark.parametrize("kind", [pytest.param("truncated", marks=pytest.mark.slow), "bomb"])
def test_nothing_else_on_standard_error(kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(PICTURES[kind][0] or b"")
    args = ["sweep", "--arch", "r-tiny", "--content", "mine.png", "--size", "32"]
    done = subprocess.run([*COMMAND, *args], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stylebench: image ")
    assert len(done.stderr.splitlines()) == 1
