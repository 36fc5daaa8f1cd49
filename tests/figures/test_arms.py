"""Arms: what tells them apart. Jobs of two arms must never count as seeds of one."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from stylebench.config import OPTIMISE
from stylebench.figures import TABLES, claims, style
from stylebench.figures.arms import backbones, judged
from stylebench.report import pictures
from stylebench.store import Results
from tests.results import PAIRS, arms, experiment


def jobs(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Return jobs of (arch, options, weights)."""
    return pd.DataFrame(rows, columns=["arch", "options", "weights"])


GAMMA = '{"gamma": "0"}'


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("p-a", "{}", "file:a@sha256:1"), ("p-a", "{}", "file:b@sha256:2")],
         ["p-a file:a@sha256:1", "p-a file:b@sha256:2"]),
        ([("p-a", "{}", "file:a@sha256:1"), ("p-a", GAMMA, "file:a@sha256:1+gamma=0")],
         ["p-a", "p-a+gamma=0"]),
        ([("p-a", "{}", "file:a@sha256:1"), ("p-a", GAMMA, "file:b@sha256:2+gamma=0")],
         ["p-a", "p-a+gamma=0"]),  # the options tell them apart
        ([("p-a", GAMMA, "file:a@sha256:1+gamma=0"), ("p-a", GAMMA, "file:b@sha256:2+gamma=0")],
         ["p-a file:a@sha256:1", "p-a file:b@sha256:2"]),
        ([("r-a", "{}", "random:0"), ("r-a", "{}", "random:1")], ["r-a", "r-a"]),
        ([("r-a", "{}", "random:0"), ("r-a", GAMMA, "random:1+gamma=0")], ["r-a", "r-a+gamma=0"]),
        ([("p-a", "{}", "file:a@sha256:1"), ("p-a", "{}", "unavailable")], ["p-a", "p-a"]),
    ],
)  # fmt: skip
def test_backbones_are_told_by_options_and_weights(
    rows: list[tuple[str, str, str]], expected: list[str]
) -> None:
    assert backbones(jobs(*rows)).tolist() == expected


@pytest.fixture
def weighted(tmp_path: Path) -> Results:
    """Return jobs whose layers all weigh the same, and jobs whose stem weighs nothing."""
    stem = arms(["p-vgg19"], ["none"], layer_weights='{"stem": 0.0}')
    return experiment(tmp_path / "out", "x", [*arms(["p-vgg19"], ["none"]), *stem])


def test_weights_of_layers_make_arms(weighted: Results) -> None:
    frame = judged(weighted)
    assert list(frame["arm"].cat.categories) == ["layer weights all 1", "layer weights stem 0"]
    assert set(claims.by_pair(frame)["seeds"]) == {1}
    table = TABLES["metrics"](weighted)
    assert set(table["layer_weights"]) == {"{}", '{"stem": 0.0}'}
    assert set(table["seeds"]) == {1}


def test_weights_of_layers_are_in_grids_of_their_own(weighted: Results) -> None:
    made = pictures.grids(weighted, 96)
    assert [grid.title for grid in made] == ["layer weights {}", 'layer weights {"stem": 0.0}']


def test_backbones_with_layers_of_their_own_stand_beside_each_other(tmp_path: Path) -> None:
    other = arms(["p-resnet50"], ["none"], layer_weights='{"layer1": 2.0}')
    results = experiment(tmp_path, "x", [*arms(["p-vgg19"], ["none"]), *other])
    table = TABLES["comparisons"](results)
    assert set(zip(table["a"], table["b"], strict=True)) == {("p-vgg19", "p-resnet50")}
    assert set(table["pairs"]) == {len(PAIRS)}
    assert len(pictures.grids(results, 96)) == 1


def test_photographs_as_style_are_compared(tmp_path: Path) -> None:
    nodes = '{"content": "features.8", "style": ["features.1"]}'
    vgg = arms(["p-vgg19+pool=avg+rescale=mean"], ["none"], nodes=nodes)
    results = experiment(tmp_path, "gatys_photoreal", [*vgg, *arms(["p-resnet50"], ["none"])])
    table = TABLES["comparisons"](replace(results, manifest={}))
    assert set(zip(table["a"], table["b"], strict=True)) == {("p-vgg19", "p-resnet50")}


def test_a_setting_may_be_unknown() -> None:
    """As in the tables of a folder from elsewhere: NaN tells jobs apart, and breaks nothing."""
    settings = dict.fromkeys(style.SETTINGS, 1.0) | {"learning_rate": float("nan")}
    who = {"arch": "p-a", "weights": "w", "smoothing": "none"}
    rows = [{**settings, **who, "system": system} for system in (OPTIMISE, OPTIMISE, "network")]
    frame = pd.DataFrame(rows)
    assert len(style.alike(frame)) == 3
    assert len(style.one_setting(frame)[0]) == 3
    assert not style.varies(frame, "learning_rate")
    frame.loc[1, "learning_rate"] = 0.5
    kept, told = style.one_setting(frame.iloc[[0, 0, 1]])
    assert (len(kept), told) == (2, "1 jobs with other settings are not shown")


def test_the_setting_that_is_shown_is_one_that_succeeded() -> None:
    """As after a first try at a size that was too small for the network."""
    who = {"arch": "p-a", "weights": "w", "smoothing": "none", "system": OPTIMISE}
    sizes, status = (64.0, 64.0, 96.0), ("failed", "failed", "ok")
    rows = [
        dict.fromkeys(style.SETTINGS, 1.0) | who | {"size": size, "status": told}
        for size, told in zip(sizes, status, strict=True)
    ]
    kept, _ = style.one_setting(pd.DataFrame(rows))
    assert kept["size"].tolist() == [96.0]
