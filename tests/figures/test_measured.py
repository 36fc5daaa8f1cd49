"""Scores under pictures, panels of scores and trade-off curves: the values that are told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stylebench.figures import FIGURES, NoDataError, claims, style
from stylebench.figures.arms import judged
from tests.figures.drawn import marks, panel, texts, xdata, ydata
from tests.results import scored, varied

PAIRS = (("cat", "mosaic"), ("house", "brush"), ("sea", "ink"))


def test_backbones_alone_are_rows_without_headings(tmp_path: Path) -> None:
    results = scored(tmp_path, pairs=PAIRS)
    figure = FIGURES["gatys_photoreal_scores"](results)
    assert len(figure.axes) == 7  # edges are not in these results
    axes = panel(figure, "Gram share\np-judge")
    # jobs 0–2 and 3–5
    np.testing.assert_allclose([xdata(mark)[0] for mark in marks(axes)], [0.21, 0.24])
    np.testing.assert_allclose([ydata(mark)[0] for mark in marks(axes)], [0.5, 1.5])
    assert [text.get_text() for text in figure.axes[0].texts] == ["p-vgg19", "p-resnet50"]


def test_seeds_of_a_pair_are_averaged_before_the_interval(tmp_path: Path) -> None:
    results = scored(tmp_path, ("r-vgg19", "r-resnet50"), pairs=PAIRS, seeds=4)
    frame = judged(results)
    part = claims.by_pair(frame[frame["metric"] == "ssim"])
    assert len(part) == 2 * 3
    assert set(part["seeds"]) == {4}
    assert part["value"].iloc[0] == pytest.approx(0.9 - 0.015)
    figure = FIGURES["gatys_photoreal_scores"](results)
    assert any("over 3 pairs, each averaged over 4 seeds" in text for text in texts(figure))


def test_what_is_nan_for_one_arm_is_not_under_its_pictures(tmp_path: Path) -> None:
    results = scored(tmp_path)
    own = results.metrics["arch"].eq("p-vgg19") & results.metrics["judge"].eq("p-timm:judge")
    metrics = results.metrics.assign(value=results.metrics["value"].mask(own))
    figure = FIGURES["gatys_photoreal"](replace(results, metrics=metrics))
    assert any("judge r-densenet121; SSIM" in text for text in texts(figure))
    assert "style 0.10  SSIM 0.90" in list(texts(figure))


def test_textures_have_no_scores_of_the_content(tmp_path: Path) -> None:
    results = scored(tmp_path, change=lambda jobs: jobs.assign(content_weight=0.0))
    figure = FIGURES["texture_scores"](results)
    assert len(figure.axes) == 6
    assert not any("SSIM" in axes.get_title() for axes in figure.axes)
    assert any("No content term" in text for text in texts(figure))
    sheet = list(texts(FIGURES["texture"](results)))
    assert any("texture 0.3" in text for text in sheet)
    assert not any("SSIM" in text for text in sheet)


@pytest.mark.parametrize(
    "name", ["gatys_photoreal_scores", "texture_scores", "gatys_tradeoff_curve", "keras_scores"]
)
def test_without_metrics(name: str, tmp_path: Path) -> None:
    results = scored(tmp_path)
    with pytest.raises(NoDataError, match="stylebench judge"):
        FIGURES[name](replace(results, metrics=results.metrics[:0]))


def test_tradeoff_goes_through_the_ratios_in_their_order(tmp_path: Path) -> None:
    change = varied("style_weight", 10.0, 1000.0, 100.0)  # jobs 0–3, 4–7, 8–11
    results = scored(tmp_path, change=change)
    figure = FIGURES["gatys_tradeoff_curve"](results)
    axes = panel(figure, "Gram share\np-judge")
    lines = [line for line in axes.lines if len(xdata(line)) == 3]
    assert len(lines) == 2
    # p-vgg19 has the first two jobs of four: means of 4, 5 | 8, 9 | 0, 1, by α/β 1e-3, 1e-2, 1e-1.
    np.testing.assert_allclose(ydata(lines[0]), [0.245, 0.285, 0.205])
    np.testing.assert_allclose(xdata(lines[0]), [0.855, 0.815, 0.895])
    assert {text.get_text() for text in axes.texts} == {"α/β 0.001", "α/β 0.1"}
    up, right = marks(axes)[:2]  # of the same mean
    assert [ydata(up)[0], ydata(right)[0]] == pytest.approx([0.245] * 2)
    assert [xdata(up)[0], xdata(right)[0]] == pytest.approx([0.855] * 2)


def test_tradeoff_keeps_shares_far_below_at_the_edge(tmp_path: Path) -> None:
    results = scored(tmp_path, pairs=PAIRS, change=varied("style_weight", 10.0, 100.0))
    share = results.metrics["metric"].eq("texture_share") & results.metrics["content"].eq("cat")
    metrics = results.metrics.assign(value=results.metrics["value"].mask(share, -40.0))
    figure = FIGURES["gatys_tradeoff_curve"](replace(results, metrics=metrics))
    axes = panel(figure, "texture share\nof luminance")
    assert -1.2 < axes.get_ylim()[0] < -1
    assert all(ydata(mark)[0] >= axes.get_ylim()[0] for mark in marks(axes))


def test_a_scientific_number_is_in_its_place() -> None:
    natural = style.natural
    names = ["α/β 0.1", "α/β 1e-05", "α/β 0.0001", "T=10", "T=2"]
    assert sorted(names, key=natural) == ["T=2", "T=10", "α/β 1e-05", "α/β 0.0001", "α/β 0.1"]
