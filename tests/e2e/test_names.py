"""Identity of jobs, and names that are no good as file names."""

import json
import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from stylebench import store
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from tests.cli.bench import invoke, refused, with_database, write_yaml
from tests.e2e.folders import check_mlflow, sweep
from tests.often import often

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


def picture(path: Path, colour: str = "red") -> Path:
    """Write a small picture with something in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.new("RGB", (40, 32), colour)
    made.paste(Image.linear_gradient("L").resize((20, 20)), (5, 5))
    made.save(path, "PNG")
    return path


def test_job_id_does_not_depend_on_paths_and_names(tmp_path: Path) -> None:
    first = picture(tmp_path / "a" / "one.png")
    second = tmp_path / "b" / "two words.png"
    second.parent.mkdir()
    shutil.copy(first, second)
    other = picture(tmp_path / "a" / "other.png", "blue")

    def ids(content: Path, **changes: object) -> list[str]:
        config = write_yaml(tmp_path / "x.yaml", content=[str(content)], style=["brush"],
                            **({"precision": "fp32"} | changes))  # fmt: skip
        return [spec.job_id for spec in plan.expand(load_sweep(config)).jobs]

    assert ids(first) == ids(second) == ids(first, name="another", description="words")
    assert len(set(ids(first))) == 2
    assert not set(ids(first)) & set(ids(other))
    for changes in ({"size": 48}, {"evals": 6}, {"seed": [1]}, {"start": "noise"},
                    {"precision": "bf16"}, {"loss": {"style_weight": 3}}):  # fmt: skip
        assert not set(ids(first)) & set(ids(first, **changes)), changes
    (spec, _) = plan.expand(load_sweep(tmp_path / "x.yaml")).jobs
    renamed = spec.model_copy(update={"preset": "paper"})
    assert renamed.job_id == spec.job_id, "the name of the preset is no meaning"


NFC, NFD = (unicodedata.normalize(form, "été") for form in ("NFC", "NFD"))
RIGHT_TO_LEFT = "שלום\u202egnp"

NAMES = [NFC, NFD, RIGHT_TO_LEFT, "100%s %20", "<script>alert(1)<", "x..", "~", "{0}", "&amp;",
         "two words", "it's \"quoted\"", "ünï ☃ 画像", "two\nlines", "-.-", "-rf", "a,b",
         "$(id) `id`", "x" * 240, "con|<>:?*\\", "[red]x[]"]  # fmt: skip


def test_odd_names_stay_inside_the_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, below = tmp_path / "photos", tmp_path / "cwd" / "below"
    for index, name in enumerate(NAMES):
        picture(photos / f"{name}.png", f"rgb({12 * index}, 90, 0)")
    picture(tmp_path / ("y" * 200) / f"{'x' * 240}.png", "white")
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    out = tmp_path / 'it\'s "my" résults ☃'
    with_database(out)
    before = {path for path in tmp_path.rglob("*") if out not in path.parents}
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    run = sweep("--out", out, "--style", "../../photos/../photos/two words.png",
                "--content", f"../../{'y' * 200}", "--content", "../../photos", config)  # fmt: skip
    assert run.status == 0, run
    frame = store.load_results(out)
    assert len(frame) == len(NAMES) + 1
    assert set(frame["status"]) == {"ok"}
    assert frame["content"].is_unique
    assert not frame["content"].str.contains("\n").any()
    after = {path for path in tmp_path.rglob("*") if out not in path.parents}
    assert after == before | {config}
    assert frame["picture"].is_unique
    for name in frame[["picture", "content_picture", "style_picture"]].to_numpy().ravel():
        assert Path(name).parent == Path("images")
        assert (out / name).is_file()
    check_mlflow(out)


@pytest.mark.parametrize(
    "name", ["../../../../evil", "/tmp/evil", "x" * 300, "", "a\nb", "..", "%s"]
)
def test_names_in_a_job_stay_inside_the_results_folder(name: str, tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], content=["chelsea"],
                        style=["brush"], evals=2, statistics_images=[])  # fmt: skip
    out = tmp_path / "deep" / "deeper" / "out"
    spec = json.loads(invoke("sweep", "--dry-run", "--json", config).out)
    spec["content"]["name"] = spec["style"]["name"] = name
    assert invoke("run-job", "-", "--out", out, stdin=json.dumps(spec)).status == 0
    table = store.compact(out)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path for path in files if out not in path.parents} == {config}
    assert list(table["content"]) == [name]
    assert len([path for path in files if path.parent == out / "images"]) == 3
    assert store.pending(out, plan.expand(load_sweep(config)).jobs) == []


FOLDERS = ["two words", "it's \"quoted\"", NFD, RIGHT_TO_LEFT, "two\nlines", "../beside", "-rf",
           "%s", "<script>alert(1)<", "x" * 255, f"{'y' * 150}/{'z' * 150}", "~", "$(id)",
           "\x1b[31mred"]  # fmt: skip


@pytest.mark.parametrize("name", often({NFD, "two\nlines", "-rf", "x" * 255}, FOLDERS), ids=ascii)
def test_odd_folders_hold_all_that_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below, photos = tmp_path / "cwd", tmp_path / "cwd" / "photos" / name
    below.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(below)
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=2, statistics_images=[],
                        content=[str(picture(photos / "one.png"))], style=["brush"])  # fmt: skip
    before = set(tmp_path.rglob("*"))
    with_database(Path(name))
    run = sweep(f"--out={name}", f"--content={photos}", config)
    assert run.status == 0, run
    assert "\x1b" not in run.out + run.err
    out = (below / name).resolve()
    new = set(tmp_path.rglob("*")) - before
    assert {path for path in new if not path.is_relative_to(out)} <= {*out.parents}
    assert list(store.load_results(out)["status"]) == ["ok"]
    assert {path.name for path in (out / "images").iterdir()} == {
        Path(path).name
        for path in store.load_results(out)[["picture", "content_picture", "style_picture"]].iloc[0]
    }


@pytest.mark.parametrize("name", ["x" * 256, "y" * 300, "a\0b"], ids=ascii)
def test_folders_that_cannot_be(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused("sweep", "--arch", "r-tiny", "--size", 32, "--out", name)
    refused("sweep", "--arch", "r-tiny", "--size", 32, "--content", name)
    refused("sweep", f"{name}.yaml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "stem", [NFD, RIGHT_TO_LEFT, "<script>", "-rf", "..", "%s", "x" * 240, "☃"], ids=ascii
)
def test_experiment_files_with_odd_names(
    stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{stem}.yaml"
    path.write_text("arch: r-tiny\nsize: 32\ncontent: chelsea\nstyle: flower\n")
    run = invoke("sweep", "--dry-run", path)
    assert run.status == 0
    into = run.err.rpartition("into results/")[2].strip()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", into)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["../out", "a/b", "", "-rf", "<script>", "x" * 300, "a\nb", "%s", "."]
)
def test_experiments_with_odd_names(name: str, tmp_path: Path) -> None:
    path = write_yaml(tmp_path / "tiny.yaml", name=name)
    assert "name" in refused("sweep", "--dry-run", path)
