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
        "evals=1 size=32", "evals=1 size=40", "evals=2 size=32", "evals=2 size=40"
    ]  # fmt: skip
