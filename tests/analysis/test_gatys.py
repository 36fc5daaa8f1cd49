"""Figures and tables of gatys_layers, gatys_init and keras, on made-up numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stylebench.figures import FIGURES, TABLES, NoDataError
from stylebench.figures import experiments as known
from stylebench.store import Results
from tests.figures.drawn import panel, texts, ydata
from tests.results import by_number, metrics, numbered, scored, varied

PAIRS = (("cat", "mosaic"), ("house", "brush"), ("sea", "ink"))
STYLE = ["features.1", "features.6"]


def nodes(content: str) -> str:
    return json.dumps({"style": STYLE, "content": content})


def test_every_one_is_of_its_experiment_alone(made: Results) -> None:
    experiments = [
        "gatys_tradeoff", "gatys_layers", "gatys_init", "gatys_photoreal", "keras", "texture",
    ]  # fmt: skip
    for name in experiments:
        assert known()[name] == name
        assert name in FIGURES


def test_layers_are_paired_differences(tmp_path: Path) -> None:
    change = varied("nodes", nodes("features.22"), nodes("features.8"))
    results = scored(tmp_path, ("p-vgg19",), pairs=PAIRS, change=change)
    table = TABLES["gatys_layers"](results)
    assert set(table["a"]) == {"content conv2_2"}
    assert set(table["b"]) == {"content conv4_2"}
    assert set(table["pairs"]) == {3}
    row = table[(table["metric"] == "ssim")].iloc[0]
    assert row["difference"] == pytest.approx(-0.03)  # jobs 3–5 against 0–2
    assert len(table) == 7
    assert "content conv2_2" in list(texts(FIGURES["gatys_layers"](results)))
    figure = FIGURES["gatys_layers_scores"](results)
    labels = [text.get_text().strip() for text in figure.axes[0].texts]
    assert labels == ["p-vgg19", "content conv2_2", "content conv4_2"]


def test_layers_are_compared_under_one_backbone(tmp_path: Path) -> None:
    change = varied("nodes", nodes("features.22"), nodes("features.8"))
    table = TABLES["gatys_layers"](scored(tmp_path, ("p-vgg19", "r-vgg19"), change=change))
    found = set(zip(table["a"], table["b"], strict=True))
    first, second = ("content conv2_2", "content conv4_2")
    assert found == {(f"{arch}, {first}", f"{arch}, {second}") for arch in ("p-vgg19", "r-vgg19")}


def test_one_layer_has_no_differences(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match=r"content conv2_2 and content conv4_2"):
        TABLES["gatys_layers"](scored(tmp_path, ("p-vgg19",)))


@pytest.fixture
def starts(tmp_path: Path) -> Results:
    """Return jobs from the content, the style and noise of two seeds, with losses by start."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        noise = [frame.assign(start="noise", seed=seed) for seed in (0, 1)]
        every = numbered([frame.assign(start="content"), frame.assign(start="style"), *noise])
        loss = every["start"].map({"content": 1.0, "style": 10.0, "noise": 2.0})
        return every.assign(loss_final=loss * every["seed"].map({0: 1.0, 1: 4.0}), content_loss=0.5)

    return scored(tmp_path, ("p-vgg19",), pairs=PAIRS, change=change)


def test_starts_by_their_losses(starts: Results) -> None:
    table = TABLES["gatys_init_losses"](starts)
    whole = table[table["loss"] == "loss_final"].set_index("start")
    assert list(whole.index) == ["from content", "from style", "from noise"]
    np.testing.assert_allclose(whole["ratio"], [1, 10, 4])  # noise: √(2·8)
    np.testing.assert_allclose(whole["mean"], [1, 10, 4])
    assert list(whole["pairs"]) == [3, 3, 3]
    assert list(whole["jobs"]) == [3, 3, 6]


def test_losses_are_of_the_pairs_that_the_reference_has(starts: Results) -> None:
    jobs = starts.results
    jobs = jobs[~((jobs["start"] == "content") & (jobs["content"] == "cat"))]
    loss = jobs["content_loss"].mask(jobs["content"] == "cat", 100.0)
    table = TABLES["gatys_init_losses"](replace(starts, results=jobs.assign(content_loss=loss)))
    content = table[table["loss"] == "content_loss"]
    np.testing.assert_allclose(content["mean"], [0.5, 0.5, 0.5])
    assert list(content["pairs"]) == [2, 2, 2]
    assert list(content["jobs"]) == [2, 2, 4]


def test_how_far_starts_lie_apart(starts: Results) -> None:
    table = TABLES["gatys_init"](starts).drop_duplicates("metric").set_index("metric")
    between, seeds = table["between_starts"], table["between_seeds"]
    assert between["log10 loss_final"] == pytest.approx(1.0)
    assert seeds["log10 loss_final"] == pytest.approx(np.log10(4))
    # SSIM falls by 0.01 a job; starts are three jobs apart, noise is the mean of 6–8 and 9–11.
    assert between["ssim"] == pytest.approx(0.075)
    assert seeds["ssim"] == pytest.approx(0.03)
    assert set(table["pairs"]) == {3}
    assert set(table["seeds"]) == {2}


def test_starts_are_drawn(starts: Results) -> None:
    found = list(texts(FIGURES["gatys_init"](starts)))
    for name in ("from content", "from style", "from noise, seed 0", "from noise, seed 1"):
        assert found.count(name) == 1
    axes = panel(FIGURES["gatys_init_losses"](starts), "cat × mosaic")
    assert len(axes.lines) == 4
    np.testing.assert_allclose(ydata(axes.lines[0]), [10, 10 / 4, 10 / 9, 10 / 16])
    scores = FIGURES["gatys_init_scores"](starts)
    labels = [text.get_text().strip() for text in scores.axes[0].texts]
    assert labels == ["p-vgg19", "from content", "from style", "from noise"]
    assert any("3 pairs, each averaged over 1–2 seeds" in text for text in texts(scores))


def test_no_start_from_the_content(starts: Results) -> None:
    jobs = starts.results[starts.results["start"] != "content"]
    with pytest.raises(NoDataError, match="from the content"):
        TABLES["gatys_init_losses"](replace(starts, results=jobs))


@pytest.fixture
def keras(tmp_path: Path) -> Results:
    """Return scipy's and our optimiser, and scipy's without total variation."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        scipys = frame.assign(optimiser="lbfgsb", tv_weight=1e-6, tv_loss=1.0)
        ours = frame.assign(optimiser="lbfgs", tv_weight=1e-6, tv_loss=2.0, loss_final=3.0)
        return numbered([scipys, scipys.assign(tv_weight=0.0, tv_loss=8.0), ours])

    return scored(tmp_path, ("p-vgg19",), pairs=PAIRS, change=change)


def test_keras_losses_compare_only_on_one_objective(keras: Results) -> None:
    table = TABLES["keras"](keras).set_index(["arm", "loss"])
    assert ("scipy's L-BFGS-B, no TV", "loss_final") not in table.index
    assert table.loc[("scipy's L-BFGS-B, no TV", "tv_loss"), "ratio"] == pytest.approx(8)
    assert table.loc[("our L-BFGS", "loss_final"), "ratio"] == pytest.approx(3)
    axes = panel(FIGURES["keras_losses"](keras), "cat × mosaic")
    assert len(axes.lines) == 2
    found = list(texts(FIGURES["keras"](keras)))
    for name in ("scipy's L-BFGS-B", "scipy's L-BFGS-B, no TV", "our L-BFGS"):
        assert found.count(name) == 1
    labels = [text.get_text().strip() for text in FIGURES["keras_scores"](keras).axes[0].texts]
    assert labels == ["p-vgg19", "scipy's L-BFGS-B", "scipy's L-BFGS-B, no TV", "our L-BFGS"]


def test_several_first_steps_of_our_optimiser_are_several_arms(keras: Results) -> None:
    ours = keras.results[keras.results["optimiser"] == "lbfgs"]
    twice = numbered([ours, ours.assign(first_step="torch")])
    scores = replace(keras, results=twice, metrics=metrics(twice, by_number))
    labels = [text.get_text().strip() for text in FIGURES["keras_scores"](scores).axes[0].texts]
    assert labels == ["p-vgg19", "our L-BFGS, first step 1.0", "our L-BFGS, first step torch"]


def test_losses_never_rise_in_a_course(keras: Results) -> None:
    trace = keras.trace.sort_values(["job_id", "evaluation"])
    jump = trace.assign(loss=np.resize([5.0, 9.0, 2.0, 4.0], len(trace)))
    axes = panel(FIGURES["keras_losses"](replace(keras, trace=jump)), "cat × mosaic")
    np.testing.assert_allclose(ydata(axes.lines[0]), [5, 5, 2, 2])


def test_without_traces_or_scipy(keras: Results) -> None:
    with pytest.raises(NoDataError, match="succeeded"):
        FIGURES["keras_losses"](replace(keras, trace=keras.trace[:0]))
    ours = keras.results[keras.results["optimiser"] == "lbfgs"]
    with pytest.raises(NoDataError, match="scipy's"):
        TABLES["keras"](replace(keras, results=ours))
