"""Softmax at fitted temperatures, on made-up numbers."""

from pathlib import Path

import pandas as pd
import pytest

from stylebench.figures import FIGURES, TABLES, NoDataError
from stylebench.store import Results
from tests.results import DENSENET, LITE, NOBODY, PAIRS, arms, write

GAINS = {"none": 0.0, "softmax-fitted": -0.2, "softmax-fitted(entropy=0.99)": 0.1}


def scores(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """All keep nothing, so that the area is half of the style given."""
    style = 0.5 + jobs["smoothing"].map(GAINS) + 0.02 * jobs["_pair"]
    return [
        ("ssim", NOBODY, 0.0 * style),
        *(("swd_share", judge, style) for judge in (DENSENET, LITE)),
    ]


def made(out: Path, smoothings: list[str]) -> Results:
    given = arms(("p-vgg19", "r-resnet50"), smoothings)
    return write(out, given, PAIRS, 2, scores, name="fitted")


def test_each_entropy_against_no_smoothing(tmp_path: Path) -> None:
    table = TABLES["fitted"](made(tmp_path, list(GAINS)))
    found = table[table["judge"] == DENSENET[0]].set_index(["backbone", "entropy"])["difference"]
    for backbone in ("p-vgg19", "r-resnet50"):
        assert found[backbone, 0.9] == pytest.approx(-0.1)
        assert found[backbone, 0.99] == pytest.approx(0.05)
    assert len(table) == 2 * 2 * 2


def test_a_pair_that_lacks_a_style_weight_does_not_count(tmp_path: Path) -> None:
    given = [a for w in (3.0, 30.0) for a in arms(("p-vgg19",), list(GAINS), style_weight=w)]

    def fail(jobs: pd.DataFrame) -> pd.DataFrame:
        jobs.loc[0, ["status", "picture"]] = ["failed", ""]  # of the first pair, unsmoothed
        return jobs

    results = write(tmp_path, given, PAIRS, 1, scores, fail, name="fitted")
    assert set(TABLES["fitted"](results)["pairs"]) == {len(PAIRS) - 1}


def test_the_figure_goes_by_entropy(tmp_path: Path) -> None:
    figure = FIGURES["fitted"](made(tmp_path, list(GAINS)))
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.9", "0.99"]
    assert len(figure.axes) == 2


def test_nothing_to_compare_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="with softmax-fitted and without"):
        TABLES["fitted"](made(tmp_path, ["none"]))
