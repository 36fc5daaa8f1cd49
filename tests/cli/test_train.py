"""`train` and `apply`: what they write and tell, and what wrong input ends in."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from stylebench.errors import InputError, JobError
from stylebench.store import lock
from stylebench.sweeps import training
from stylebench.sweeps.reading import shipped
from tests.cli.bench import COMMAND, invoke, refused, tracked, with_database
from tests.stylisers.tiny import model

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")

TINY: dict[str, Any] = {
    "method": "adain", "encoder": "r-tiny", "size": 48, "crop": 32, "batch": 1, "steps": 3,
    "checkpoint": 2, "content": ["chelsea"], "style": ["mosaic"],
}  # fmt: skip
OFF = ("--tracking-uri", "off")


def written(**changes: Any) -> Path:
    path = Path("t.yaml")
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("trained"), steps=1, method="adain")


def test_a_training_tells_how_it_goes_and_is_not_run_twice() -> None:
    done = invoke("train", written(), "--out", "o", *OFF)
    assert (done.status, done.err) == (0, "")
    first, last = done.out.splitlines()
    assert first == "adain  r-tiny: 1 contents × 1 styles, 32 px, batches of 1, 3 steps on cpu …"
    assert last.startswith("o/model.safetensors: 3 steps, loss ")
    before = Path("o/model.safetensors").stat().st_mtime_ns
    again = invoke("train", "t.yaml", "--out", "o", *OFF)
    assert (again.status, again.err, again.out.count("\n")) == (0, "", 1)
    assert again.out.startswith("finished already: o/model.safetensors (3 steps, loss ")
    assert again.out.endswith("; another --out trains it anew\n")
    assert Path("o/model.safetensors").stat().st_mtime_ns == before
    card = json.loads(Path("o/model.json").read_text())
    assert card["command"] == "stylebench train t.yaml --out o --tracking-uri off"
    line = refused("train", "t.yaml", "--out", "o", "--steps", 4, *OFF)
    assert "'o/model.safetensors' is finished, after 3 steps, and of another training: " in line
    assert "steps 3, not 4; a finished one does not go on: another --out trains anew" in line
    line = refused("train", "t.yaml", "--out", "o", "--style", "brush", "--seed", 2, *OFF)
    assert "style ['mosaic'], not ['brush'], seed 0, not 2;" in line


def test_flags_go_before_the_file() -> None:
    flags = ("--steps", 1, "--seed", 3, "--content", "coffee", "--style", "brush,mosaic")
    assert invoke("train", written(), "--out", "o", *flags, *OFF).status == 0
    told = json.loads(Path("o/model.json").read_text())
    assert (told["steps"], told["seed"]) == (1, 3)
    assert [told["data"][role]["names"] for role in ("content", "style")] == [
        ["coffee"], ["brush", "mosaic"]
    ]  # fmt: skip


def test_a_training_is_in_mlflow_once() -> None:
    with_database(Path("o"))
    assert invoke("train", written(name="mine"), "--out", "o").status == 0
    assert invoke("train", "t.yaml", "--out", "o").status == 0
    client = tracked(Path("o"))
    (place,) = [e for e in client.search_experiments() if e.name == "mine"]
    (run,) = client.search_runs([place.experiment_id])
    assert run.info.status == "FINISHED"
    assert (run.data.params["method"], run.data.params["loss.style_weight"]) == ("adain", "10.0")
    told = client.get_metric_history(run.info.run_id, "style")
    assert [metric.step for metric in told] == [1, 2, 3]
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["model.json", "samples"]
    samples = client.list_artifacts(run.info.run_id, "samples")
    assert [Path(f.path).name for f in samples] == ["step-000002.png", "step-000003.png"]


def test_a_run_ends_as_its_training_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped, failed, gone on with: one run, which has each step and each sample once."""
    from mlflow import MlflowClient

    with_database(Path("ends"))
    settings = training.load_training(written(name="mine", steps=4, checkpoint=1))
    client = tracked(Path("ends"))

    def state() -> str:
        (place,) = [e for e in client.search_experiments() if e.name == "mine"]
        (run,) = client.search_runs([place.experiment_id])
        told = client.get_metric_history(run.info.run_id, "loss")
        assert len({metric.step for metric in told}) == len(told)
        return str(run.info.status)

    def fail(step: Any) -> bool:
        if step.number == 3:
            raise JobError("the loss became nan")
        return False

    assert training.train(settings, Path("ends"), lambda step: step.number == 1) is None
    assert state() == "KILLED"
    with pytest.raises(JobError):
        training.train(settings, Path("ends"), fail)
    assert state() == "FAILED"
    sent: list[str] = []
    whole = MlflowClient.log_artifact

    def log(client: MlflowClient, run: str, path: str, to: str | None) -> None:
        sent.append(Path(path).name)
        whole(client, run, path, to)

    monkeypatch.setattr(MlflowClient, "log_artifact", log)
    assert training.train(settings, Path("ends")) is not None
    assert state() == "FINISHED"
    assert sent == ["step-000003.png", "step-000004.png", "model.json"]


def test_a_run_has_so_many_points_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the training is logged while it grows."""
    monkeypatch.setattr("stylebench.tracking.training.POINTS", 3)
    with_database(Path("points"))
    settings = training.load_training(written(name="mine", steps=8, checkpoint=1))
    assert training.train(settings, Path("points")) is not None
    client = tracked(Path("points"))
    (place,) = [e for e in client.search_experiments() if e.name == "mine"]
    (run,) = client.search_runs([place.experiment_id])
    for term in ("loss", "style"):
        told = client.get_metric_history(run.info.run_id, term)
        assert [metric.step for metric in told] == [3, 6]


def test_nothing_is_logged_through_a_link() -> None:
    with_database(Path("linked"))
    assert invoke("train", written(name="mine"), "--out", "linked").status == 0
    Path("linked/samples/step-000009.png").symlink_to(Path("t.yaml").resolve())
    done = invoke("train", "t.yaml", "--out", "linked")
    assert done.status == 2
    assert "step-000009.png' is a symbolic link" in done.err


def test_an_mlflow_that_is_away_is_told() -> None:
    line = refused("train", written(), "--out", "o", "--tracking-uri", "http://127.0.0.1:9")
    assert line.startswith("stylebench: MLflow at http://127.0.0.1:9: ")


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_trained() -> None:
    written(steps=100_000, checkpoint=100_000)
    with subprocess.Popen(
        [*COMMAND, "train", "t.yaml", "--out", "o", *OFF], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        while not line.startswith("["):
            assert line, "it has ended"
            line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130
    assert "stopped: what is trained is kept in o; run the same command again to go on" in rest
    assert Path("o/checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metod": "adain"}, "t.yaml: unknown key 'metod'; did you mean 'method'"),
        ({"loss": {"smothing": "none"}}, "unknown key 'loss.smothing'; did you mean 'smoothing'?"),
        ({"loss": 3}, "t.yaml: loss: "),
        ({"method": "adian"}, "method: expected adain or sanet, found 'adian'; did you mean"),
        ({"method": None}, "method: expected adain or sanet, found none: a sweep's file?"),
        ({"encoder": "r-tniy"}, "unknown backbone 'r-tniy'"),
        ({"encoder": "p-vgg19"}, "p-vgg19"),
        ({"encoder": "r-*"}, "expected one backbone"),
        ({"encoder": "r-tiny+gamma=1"}, "r-tiny has no option 'gamma'"),
        ({"loss": {"network": "r-vit"}}, "unknown backbone 'r-vit'"),
        ({"loss": {"smoothing": "softmx"}}, "softmx"),
        ({"loss": {"smoothing": {"name": "softmax", "temperature": -1}}}, "must be positive"),
        ({"loss": {"nodes": ["stage9"]}}, "has no node 'stage9'"),
        ({"loss": {"style_weight": -1}}, "loss.style_weight"),
        ({"crop": 33}, "t.yaml: crop: expected a multiple of 16 px, found 33"),
        ({"crop": 64}, "t.yaml: crop: expected at most size, 48 px, found 64"),
        ({"batch": 10**9}, "t.yaml: batch: "),
        ({"steps": "many"}, "t.yaml: steps: "),
        ({"reconstruct": 500}, "t.yaml: reconstruct: expected less than 1, found 500"),
        ({"learning_rate": 1.0e39}, "t.yaml: learning_rate: "),
        ({"content": "nowhere/"}, "content 'nowhere/' is neither a file"),
        ({"samples": "nothing"}, "content 'nothing' is neither a file"),
        ({"precision": "fp8"}, "t.yaml: precision"),
        ({"profiles": {"quick": {"stps": 1}}}, "unknown key 'stps'; did you mean 'steps'"),
        ({"profiles": 3}, "profiles: expected names with settings"),
    ],
)
def test_a_training_that_is_wrong(changes: dict[str, Any], message: str) -> None:
    line = refused("train", written(**changes), "--out", "o", *OFF)
    assert message in line
    assert not Path("o/checkpoint.pt").exists()


def test_what_is_wrong_with_a_flag_is_told_of_the_flag() -> None:
    line = refused("train", written(), "--out", "o", "--steps", "0", *OFF)
    assert line.startswith("stylebench: --steps expects a positive number, found 0")
    profiles = {"quick": {"learning_rate": 2}}
    line = refused("train", written(profiles=profiles), "--out", "o", *OFF)
    assert "t.yaml: profiles.quick: learning_rate: " in line


@pytest.mark.parametrize("name", shipped("train"))
def test_steps_of_a_shipped_training_can_be_few(name: str) -> None:
    found = training.load_training(Path(name), {"steps": 300})
    assert (found.steps, found.reconstructing) == (300, 150)


def test_weights_of_no_network_are_refused() -> None:
    line = refused("train", written(), "--out", "o", "--weights", "vgg19=x.pth", *OFF)
    assert "--weights vgg19=…: expected those of tiny" in line


def test_two_trainings_do_not_write_into_one_folder() -> None:
    with lock.claim(Path("o"), "another"):
        line = refused("train", written(), "--out", "o", *OFF)
    assert "'o' is being written by another command (another: process " in line


def test_a_training_that_is_not_there() -> None:
    line = refused("train", "adian")
    assert "no training 'adian'; did you mean 'adain'? (known: adain, sanet)" in line
    assert "no experiment file 'none.yaml'" in refused("train", "none.yaml")
    assert "'t.yaml' is not a folder" in refused("train", written(), "--out", "t.yaml", *OFF)
    assert "no profile 'ful'; did you mean 'full'?" in refused("train", "adain", "--profile", "ful")


@pytest.mark.parametrize("name", shipped("train"))
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_shipped_trainings_are_right(name: str, profile: str) -> None:
    found = training.load_training(Path(name), {}, profile)
    assert found.method == name
    assert found.description
    if profile == "full":
        assert (found.size, found.crop, found.steps) == (512, 256, 160_000)
        assert (found.learning_rate, found.decay) == (1e-4, 5e-5)
    else:
        assert found.crop == 128
        assert not set(found.samples) & set(found.content)


def test_trainings_are_listed() -> None:
    shown = invoke("ls", "trainings").out.splitlines()
    assert [line.split()[0] for line in shown] == ["adain", "sanet"]
    assert "stylebench" not in invoke("ls", "experiments").out.split("\n")[0]


def test_a_picture(trained: Path) -> None:
    done = invoke("apply", trained, "chelsea", "mosaic", "-o", "x.png", "--size", 50)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("x.png: 50 × 33 px, adain, ")
    with Image.open("x.png") as made:
        assert made.size == (50, 33)
    assert invoke("apply", trained, "coffee", "brush,mosaic", "--strength", 0.5).status == 0
    with Image.open("stylized.png") as made:
        assert made.size == (600, 400)  # its own


def test_a_folder_of_photographs(trained: Path) -> None:
    for name, size in (("a", (40, 30)), ("b", (20, 50))):
        Path("photos").mkdir(exist_ok=True)
        Image.new("RGB", size, "teal").save(f"photos/{name}.png")
    blend = ("--blend", "3,1", "--style-size", 64)
    done = invoke("apply", trained, "photos", "brush,mosaic", "-o", "made", *blend)
    assert (done.status, done.err) == (0, "")
    assert [line.split(", ")[0] for line in done.out.splitlines()] == [
        "made/a.png: 40 × 30 px", "made/b.png: 20 × 50 px"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("nothing.safetensors", "chelsea", "mosaic"),
            "no model 'nothing.safetensors' (expected MOD",
        ),
        (("magenta", "chelsea", "mosaic"), "no model 'magenta'; did you mean 'registry:magenta'?"),
        (("Registry:Magneta", "chelsea", "mosaic"), "did you mean 'registry:magenta'?"),
        (("FOLDER", "chelsea", "mosaic"), "model.safetensors'? (expected"),
        (
            ("MODEL", "chelsea", "mosaic", "--mask", "m.png"),
            "No such option: --mask; --mask FILE,FI"
            "LE is of stylebench transfer, which optimises; apply makes one pass",
        ),
        (("MODEL", "chelsea", "mosaic", "--tv-weight", "1"), "No such option: --tv-weight"),
        (("--model", "m", "chelsea", "mosaic"), "here it is among the arguments: stylebench apply"),
        (("registry:nothing", "chelsea", "mosaic"), "no model 'registry:nothing'"),
        (("MODEL", "nowhere.jpg", "mosaic"), "content 'nowhere.jpg' is neither a file"),
        (("MODEL", "chelsea", "mosiac"), "did you mean 'mosaic'"),
        (("MODEL", "chelsea", "mosaic", "--strength", "1.5"), "--strength expects a number from 0"),
        (("MODEL", "chelsea", "mosaic", "--strength", "nan"), "--strength expects a number from 0"),
        (("MODEL", "chelsea", "mosaic", "--size", "5"), "--size expects 16 to 4096 px, found 5"),
        (("MODEL", "chelsea", "mosaic", "--style-size", "9999"), "--style-size expects 16 to 4096"),
        (("MODEL", "chelsea", "mosaic", "--blend", "1"), "a weight for each of two styles or more"),
        (
            ("MODEL", "chelsea", "mosaic,brush", "--blend", "1,x"),
            "--blend expects positive numbers",
        ),
        (("MODEL", "chelsea", "mosaic,brush", "--blend", "0,1"), "--blend expects positive"),
        (("MODEL", "chelsea", "mosaic", "-o", "x.gif"), "--output expects a name in .png"),
        (("MODEL", "chelsea,china", "mosaic", "-o", "x.png"), "expects a folder for 2 photographs"),
        (("MODEL", "chelsea", "mosaic", "--weights", "vgg19"), "--weights expects NAME=PATH"),
        (("MODEL", "chelsea", "mosaic", "--weights", "vgg19=x.pth"), "expected those of tiny"),
        (("registry:magenta", "chelsea", "mosaic", "--weights", "vgg19=x"), "which registry:mag"),
        (("MODEL", "chelsea", "mosaic", "--device", "gpu"), "--device expects"),
        (("MODEL", "cut.jpg", "mosaic", "-o", "made.png"), "cut.jpg' is damaged"),
        (("MODEL", "chelsea", "cut.jpg", "-o", "made.png"), "cut.jpg' is damaged"),
    ],
)
def test_apply_that_is_wrong(trained: Path, words: tuple[str, ...], message: str) -> None:
    Image.effect_noise((64, 48), 99).save("whole.jpg")
    Path("cut.jpg").write_bytes(Path("whole.jpg").read_bytes()[:900])
    known = {"MODEL": str(trained), "FOLDER": str(trained.parent)}
    line = refused("apply", *(known.get(word, word) for word in words))
    assert message in line
    assert not [*Path().glob("*.png"), *Path().glob("made/*")]


def test_a_broken_photograph_costs_no_other(trained: Path) -> None:
    Path("photos").mkdir()
    for name in "abc":
        Image.effect_noise((64, 48), 99).save(f"photos/{name}.jpg")
    Path("photos/b.jpg").write_bytes(Path("photos/b.jpg").read_bytes()[:900])
    done = invoke("apply", trained, "photos", "mosaic", "-o", "made")
    assert done.status == 1
    assert [path.name for path in sorted(Path("made").iterdir())] == ["a.png", "c.png"]
    first, last = done.err.splitlines()
    assert first.startswith("left out: ")
    assert "b.jpg' is damaged" in first
    assert last == "1 of the photographs cannot be read, see above"
    for name in "ac":
        Path(f"photos/{name}.jpg").write_bytes(b"none")
    done = invoke("apply", trained, "photos", "mosaic", "-o", "none")
    assert (done.status, done.err.count("\n")) == (2, 3), "all are named"
    assert not Path("none").exists()


def test_an_input_is_never_overwritten(trained: Path) -> None:
    Image.new("RGB", (40, 30), "teal").save("a.png")
    line = refused("apply", trained, "a.png", "mosaic", "-o", "a.png")
    assert "'a.png' is a, of which the result is made" in line


NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for a, b in ((3, 4), (4, 8), (8, 8)):
            layers.append(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()))
        self.stages = nn.Sequential(*layers)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(self.stages(x).mean((2, 3)))
"""


@pytest.mark.slow
def test_a_network_of_ones_own_is_trained_applied_and_exported() -> None:
    pytest.importorskip("onnx", reason="needs stylebench[onnx]")
    Path("own_net.py").write_text(NET)
    assert (
        invoke("train", written(encoder="own_net.py:Net", steps=1), "--out", "o", *OFF).status == 0
    )
    own = ("--plugin", "own_net.py")
    model = "o/model.safetensors"
    assert invoke("apply", model, "chelsea", "mosaic", "--size", 48, *own).status == 0
    done = invoke("export", model, "net.onnx", *own)
    assert (done.status, done.err) == (0, "")
    assert "--plugin" in invoke("demo", "--help").out


def test_weights_without_a_name_are_of_the_only_pretrained_encoder(trained: Path) -> None:
    """Of which there is none here: the message is of that, not of the form."""
    Path("x.pth").write_text("no weights")
    files_ = written(encoder="p-vgg19", method="adain")
    line = refused("train", files_, "--out", "o", "--weights", "x.pth", *OFF)
    assert "NAME=PATH" not in line
    assert "x.pth" in line


def test_a_published_styliser_is_of_no_device() -> None:
    from stylebench.stylisers.styliser import load

    with pytest.raises(InputError, match="computed on the cpu alone, found cuda"):
        load("registry:magenta", device="cuda")
    with pytest.raises(InputError, match="which registry:magenta has not"):
        load("registry:magenta", given={"vgg19": "x.pth"})
