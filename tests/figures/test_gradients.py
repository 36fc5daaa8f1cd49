"""The gradient budget: means over pairs by term, and what is drawn of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stylebench.figures import FIGURES, TABLES, NoDataError, experiments
from tests.figures.drawn import marks, panel, texts, ydata
from tests.results import scored, varied

PAIRS = (("cat", "mosaic"), ("house", "brush"), ("sea", "ink"))


def test_means_are_geometric_and_over_pairs(tmp_path: Path) -> None:
    results = scored(tmp_path, ("r-vgg19",), ("none", "softmax"), pairs=PAIRS, seeds=2)
    jobs = results.results.set_index("job_id")
    job = results.gradients["job_id"]
    factor = job.map(jobs["content"]).map({"cat": 1.0, "house": 10.0, "sea": 100.0})
    factor *= job.map(jobs["seed"]).map({0: 0.5, 1: 2.0})
    grown = results.gradients.assign(gradient=results.gradients["gradient"] * factor)
    table = TABLES["gradients"](replace(results, gradients=grown))
    assert list(table["layer"]) == ["stem", "deep", "deep"] * 2
    assert list(table["term"]) == ["style", "style", "content"] * 2  # TV has weight 0
    assert "setting" not in table
    np.testing.assert_allclose(table["gradient"], [1e3, 1e-5, 30] * 2)
    assert set(table["pairs"]) == {3}
    assert (table["low"] >= table["gradient"] / 10 - 1e-12).all()
    assert (table["high"] <= table["gradient"] * 10 + 1e-9).all()


def test_a_colour_for_each_smoothing_and_a_panel_for_each_setting(tmp_path: Path) -> None:
    change = varied("balance", "none", "gradient")
    results = scored(tmp_path, ("p-vgg19", "p-resnet50"), ("none", "softmax"), change=change)
    assert set(TABLES["gradients"](results)["setting"]) == {"balance gradient", "balance none"}
    figure = FIGURES["gradients"](results)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 4
    axes = panel(figure, "p-vgg19, balance none")
    means = marks(axes)
    assert len(means) == 3 * 2  # terms × smoothings
    assert sorted({float(ydata(line)[0]) for line in means}) == pytest.approx([1e-6, 3, 100])
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["stem", "deep", "content"]
    assert axes.get_yscale() == "log"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["smoothing: none", "smoothing: softmax"]
    told = " ".join(texts(figure))
    assert "2 pairs, each averaged over 1 seed" in told
    assert "quick" in told


def test_a_term_that_nobody_knows_is_not_drawn(tmp_path: Path) -> None:
    results = scored(tmp_path, ("r-vgg19",), ("none",), pairs=PAIRS)
    terms = results.gradients["term"].where(results.gradients["term"] != "content", "<b>")
    changed = replace(results, gradients=results.gradients.assign(term=terms))
    assert set(TABLES["gradients"](changed)["term"]) == {"style"}
    FIGURES["gradients"](changed)
    with pytest.raises(NoDataError):
        TABLES["gradients"](replace(changed, gradients=changed.gradients.assign(term="x")))


def test_smoothings_that_are_not_drawn_are_told(tmp_path: Path) -> None:
    smoothings = tuple(f"softmax(temperature={number})" for number in range(9))
    figure = FIGURES["gradients"](scored(tmp_path, ("p-vgg19",), smoothings))
    assert len(figure.legends[0].get_texts()) == 7
    assert any("The first 7 of 9 smoothings." in text for text in texts(figure))


def test_every_experiment_has_them_if_it_wrote_them(tmp_path: Path) -> None:
    assert "gradients" not in experiments()
    results = scored(tmp_path)
    for registered in (FIGURES, TABLES):
        with pytest.raises(NoDataError, match="gradients: true"):
            registered["gradients"](replace(results, gradients=results.gradients[:0]))
        zero = results.gradients.assign(gradient=0.0)
        with pytest.raises(NoDataError, match="positive"):
            registered["gradients"](replace(results, gradients=zero))
