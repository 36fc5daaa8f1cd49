"""Identity of jobs, and names that are no good as file names."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from stylebench import plan, store
from stylebench.experiment import load_sweep
from tests.cli.bench import invoke, with_database, write_yaml
from tests.e2e.folders import check_mlflow, sweep

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


NAMES = ["two words", "it's \"quoted\"", "ünï ☃ 画像", "two\nlines", "-.-", "-rf", "a,b",
         "$(id) `id`", "x" * 240, "con|<>:?*\\", "[red]x[]"]  # fmt: skip


def test_odd_names_stay_inside_the_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, below = tmp_path / "photos", tmp_path / "cwd" / "below"
    for index, name in enumerate(NAMES):
        picture(photos / f"{name}.png", f"rgb({20 * index}, 90, 0)")
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
