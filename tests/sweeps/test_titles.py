"""What a sweep tells of its jobs: no two lines are the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stylebench.config import Spec
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.titles import told_apart
from tests.cli.bench import invoke, no_figures, write_yaml

ONE = {"smoothing": ["none"], "content": ["chelsea"], "style": ["brush"], "statistics_images": []}


def titles(path: Path, **keys: Any) -> tuple[list[Spec], Mapping[str, str]]:
    made = plan.expand(load_sweep(write_yaml(path / "x.yaml", **{**ONE, **keys})))
    specs: list[Spec] = [*made.jobs, *made.statistics]
    return specs, told_apart(specs)


GRIDS: dict[str, list[Any]] = {
    "size": [32, 48],
    "evals": [3, 4],
    "resize": ["aspect", "squash"],
    "precision": ["fp32", "bf16"],
    "start": ["content", "noise"],
    "image": ["pixels", "fourier"],
    "gradients": [False, True],
    "style_scale": [1, 2],
    "colours": ["style", "luminance"],
    "preset": ["paper", "released", "keras", "balanced", "robust"],
    "seed": [[0], [1]],
    "loss.style_weight": [10, 20],
    "loss.balance": ["none", "target", "gradient"],
    "loss.layer_weights": [{"stage0": 2}, {"stage1": 2}, {}],
    "optimiser.name": ["lbfgs", "adam"],
    "optimiser.history": [5, 10],
    "smoothing": [["none"], [{"name": "softmax", "layers": "deep"}], ["softmax"]],
    "nodes": [{"tiny": {"style": ["stages.0", "stages.2"], "content": "stages.2"}}, {}],
    "style": [["brush"], [{"blend": {"brush": 0.5, "mosaic": 0.5}}],
              [{"blend": {"brush": 0.7, "mosaic": 0.3}}]],
}  # fmt: skip


@pytest.mark.parametrize("key", GRIDS)
def test_variants_are_told_apart(key: str, tmp_path: Path) -> None:
    specs, found = titles(tmp_path, grid={key: GRIDS[key]})
    assert len(specs) == len(GRIDS[key])
    assert len(set(found.values())) == len(found) == len(specs)


def test_all_at_once_and_statistics_too(tmp_path: Path) -> None:
    grid = {"size": [32, 48], "evals": [3, 4], "loss.style_weight": [10, 20], "seed": [[0], [1]]}
    specs, found = titles(tmp_path, grid=grid, statistics_images=["chelsea"])
    assert len(specs) == 16 + 4
    assert len(set(found.values())) == 20


def test_pictures_of_one_name_are_told_apart(tmp_path: Path) -> None:
    import shutil

    from PIL import Image

    for folder, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (40, 30), colour).save(tmp_path / folder / "x.png")
    shutil.copy(tmp_path / "a" / "x.png", tmp_path / "a" / "y.png")
    contents = [[str(tmp_path / folder / "x.png")] for folder in ("a", "b")]
    _, found = titles(tmp_path, variants=[{"content": each} for each in contents])
    assert len(set(found.values())) == 2


MASKS = [{"regions": {"brush": f"{name}.png", "mosaic": "rest"}} for name in ("left", "right")]
BLENDS = [{"blend": {"brush": share, "mosaic": 1 - share}} for share in (0.5, 0.75)]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"grid": {"style": [[BLENDS[0]]], "size": [32, 48]}}, {"size=32", "size=48"}),
        ({"grid": {"style": [[BLENDS[0]], [BLENDS[1]]], "size": [32, 48]}}, {"size=32", "size=48"}),
        ({"grid": {"style": [[MASKS[0]]], "size": [32, 48]}}, {"size=32", "size=48"}),
        ({"grid": {"style": [[MASKS[0]], [MASKS[1]]], "size": [32, 48]}}, {"size=32", "size=48"}),
        ({"grid": {"size": [32, 48]}, "statistics_images": ["chelsea", "mosaic"]},
         {"size=32", "size=48"}),
        ({"variants": [{"statistics_images": [["chelsea", "mosaic"][n], "brush"]} for n in (0, 1)]},
         {"images.0.name=chelsea", "images.0.name=mosaic", ""}),
    ],
)  # fmt: skip
def test_of_pictures_in_lists_only_what_differs_is_told(
    keys: dict[str, Any], told: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for name, place in (("left", (0, 0, 20, 30)), ("right", (20, 0, 40, 30))):
        mask = Image.new("L", (45, 30))
        mask.paste(255, place)
        mask.save(f"{name}.png")
    specs, found = titles(tmp_path, **keys)
    titled = {spec.job_id: spec.title for spec in specs}
    assert {text.removeprefix(titled[job]).strip() for job, text in found.items()} == told
    assert len({*found.values()}) == len(found)


def test_masks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    from PIL import Image

    styles = []
    for folder, width in (("a", 20), ("b", 30)):
        (tmp_path / folder).mkdir()
        mask = Image.new("L", (45, 30))
        mask.paste(255, (0, 0, width, 30))
        mask.save(tmp_path / folder / "m.png")
        regions = {"brush": str(tmp_path / folder / "m.png"), "mosaic": "rest"}
        styles.append([{"regions": regions}])
    specs, found = titles(tmp_path, grid={"style": styles})
    assert len({*found.values()}) == len(found) == 2
    for spec in specs:
        assert found[spec.job_id].startswith(f"{spec.title}  regions.0.mask.digest=")
    assert not any(str(tmp_path) in text for text in found.values())


def test_what_is_told_apart_by_its_title_has_no_more_said(tmp_path: Path) -> None:
    specs, found = titles(tmp_path, smoothing=["none", "softmax"], seed=[0, 1])
    assert found == {spec.job_id: spec.title for spec in specs}


@pytest.mark.usefixtures("one_thread", "no_weights")
def test_progress_lines_differ(tmp_path: Path) -> None:
    path = write_yaml(tmp_path / "x.yaml", **ONE, grid={"size": [32, 40], "evals": [1, 2]})
    with no_figures():
        done = invoke("sweep", path, "--out", tmp_path / "out", "--tracking-uri", "off")
    assert done.status == 0, done
    lines = [line for line in done.out.splitlines() if "ok  r-tiny" in line]
    assert sorted(line.partition("seed 0  ")[2].partition("  ")[0] for line in lines) == [
        "size=32 evals=1", "size=32 evals=2", "size=40 evals=1", "size=40 evals=2"
    ]  # fmt: skip
