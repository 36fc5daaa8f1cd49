"""Panels of scores and trade-off curves: the values that reach the axes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from stylebench.figures import FIGURES, NoDataError
from tests.unit.results import bars, helper, panel, texts, xdata, ydata
from tests.unit.scored import scored, varied

PAIRS = (("cat", "mosaic"), ("house", "brush"), ("sea", "ink"))


def means(axes: Axes) -> list[tuple[float, float]]:
    """Return (x, y) of the means with error bars."""
    return [(float(xdata(line)[0]), float(ydata(line)[0])) for line in bars(axes)]


def dots(axes: Axes, symbol: str = "o") -> list[float]:
    found = [line for line in axes.lines if line.get_alpha() and line.get_marker() == symbol]
    return [float(x) for line in found for x in xdata(line)]


def test_means_and_dots_of_every_measure(tmp_path: Path) -> None:
    results = scored(tmp_path, pairs=PAIRS)
    figure = FIGURES["gatys_photoreal_scores"](results)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 7  # edges are not in these results
    assert titles[0] == "Gram distance\njudge p-timm:judge"
    axes = panel(figure, "Gram distance\njudge p-timm:judge")
    np.testing.assert_allclose(means(axes), [(0.21, 0), (0.24, 1)])  # jobs 0–2 and 3–5
    assert sorted(dots(axes)) == pytest.approx([0.2, 0.21, 0.22, 0.23, 0.24, 0.25])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["p-vgg19", "p-resnet50"]
    assert means(panel(figure, "content: SSIM"))[0][0] == pytest.approx(0.89)
    assert any("3 pairs, 1 seed" in text and "quick" in text for text in texts(figure))


def test_seeds_of_a_pair_are_averaged_before_the_interval(tmp_path: Path) -> None:
    results = scored(tmp_path, ("r-vgg19", "r-resnet50"), pairs=PAIRS, seeds=4)
    frame = helper("_arms").judged(results)
    part = helper("_measured").by_pair(frame[frame["metric"] == "ssim"])
    assert len(part) == 2 * 3
    assert part["value"].iloc[0] == pytest.approx(0.9 - 0.015)
    table = helper("_arms").scores(part)
    assert list(table["n"]) == [3, 3]
    figure = FIGURES["gatys_photoreal_scores"](results)
    assert any("3 pairs, 4 seeds" in text for text in texts(figure))
    assert len(dots(panel(figure, "content: SSIM"))) == 24


def test_values_far_below_stand_at_the_edge(tmp_path: Path) -> None:
    results = scored(tmp_path, pairs=PAIRS)
    low = results.metrics["value"].mask(
        results.metrics["metric"].eq("texture_share") & results.metrics["arch"].eq("p-vgg19"), -40.0
    )
    figure = FIGURES["gatys_photoreal_scores"](
        replace(results, metrics=results.metrics.assign(value=low))
    )
    axes = panel(figure, "texture (Portilla–Simoncelli)")
    assert dots(axes, "<") == [-1.0] * 3
    assert len(means(axes)) == 1
    assert axes.get_xlim()[0] > -1.3


def test_only_judges_of_all_arms_compare_them(tmp_path: Path) -> None:
    results = scored(tmp_path)
    own = results.metrics["arch"].eq("p-vgg19") & results.metrics["judge"].eq("p-timm:judge")
    figure = FIGURES["gatys_photoreal_scores"](replace(results, metrics=results.metrics[~own]))
    assert not any("p-timm:judge" in axes.get_title() for axes in figure.axes)


def test_without_content_there_is_none(tmp_path: Path) -> None:
    results = scored(tmp_path)
    figure = FIGURES["texture_scores"](results)
    assert not any("content:" in axes.get_title() for axes in figure.axes)
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
    axes = panel(figure, "Gram distance\njudge p-timm:judge")
    lines = bars(axes)
    assert len(lines) == 2
    # p-vgg19 has the first two jobs of four: means of 4, 5 | 8, 9 | 0, 1, by α/β 1e-3, 1e-2, 1e-1.
    np.testing.assert_allclose(ydata(lines[0]), [0.245, 0.285, 0.205])
    np.testing.assert_allclose(xdata(lines[0]), [0.855, 0.815, 0.895])
    assert {text.get_text() for text in axes.texts} == {"1e-3", "1e-1"}
    assert len(dots(axes)) == 12


def test_a_scientific_number_is_in_its_place() -> None:
    natural = helper("_common").natural
    names = ["α/β 0.1", "α/β 1e-05", "α/β 0.0001", "T=10", "T=2"]
    assert sorted(names, key=natural) == ["T=2", "T=10", "α/β 1e-05", "α/β 0.0001", "α/β 0.1"]
