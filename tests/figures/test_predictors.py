"""Correlations of statistics and scores over backbones, on numbers whose order is known."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stylebench.figures import FIGURES, TABLES, NoDataError, predictors
from stylebench.measures.statistics import STATISTICS
from stylebench.store import Results
from tests.figures.drawn import bars, panel, texts, xdata, ydata
from tests.results import scored

ARCHS = (
    "p-vgg19", "r-vgg19", "r-resnet50", "r-timm:a", "r-timm:b", "r-timm:c", "r-timm:d",
)  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return backbones whose score is their number; entropy rises with it at the deepest stage.

    At all other stages it falls; ``max`` is 10 to the number, ``max_over_mean`` the same for all.
    """
    made = scored(tmp_path_factory.mktemp("results") / "out", ARCHS)
    number = made.metrics["arch"].map(ARCHS.index)
    frame = made.statistics[made.statistics["smoothing"] == "none"]
    rank = frame["arch"].map(ARCHS.index)
    value = frame["value"].mask(
        frame["statistic"] == "entropy", rank.where(frame["stage"] == 4, -10.0 * rank)
    )
    value = value.mask(frame["statistic"] == "max", 10.0**rank)
    value = value.mask(frame["statistic"] == "max_over_mean", 7.0)
    statistics = frame.assign(value=value)
    return replace(made, metrics=made.metrics.assign(value=number * 1.0), statistics=statistics)


def test_deepest_and_mean_of_stages(results: Results) -> None:
    table = predictors.predictors(results)
    assert len(table) == len(ARCHS)
    row = table.loc["r-timm:a random"]
    assert row[("entropy", "deepest")] == pytest.approx(3)
    assert row[("entropy", "mean of stages")] == pytest.approx((3 - 4 * 30) / 5)
    assert row[("max", "deepest")] == pytest.approx(3)  # log10
    assert row[("max_over_mean", "deepest")] == pytest.approx(np.log10(7))


def test_logarithms_come_before_means_and_leave_out_what_has_none(results: Results) -> None:
    frame = results.statistics.copy()
    own = (frame["arch"] == "r-vgg19") & (frame["statistic"] == "max") & (frame["stage"] == 4)
    frame.loc[own, "value"] = [1.0, 100.0, 0.0]
    table = predictors.predictors(replace(results, statistics=frame))
    assert table.loc["r-vgg19 random", ("max", "deepest")] == pytest.approx(1)


def test_table_of_every_statistic_and_score(results: Results) -> None:
    table = TABLES["peakiness_predicts"](results)
    assert len(table) == 2 * 7 * len(list(STATISTICS)) * 2  # groups, measures, statistics, stages
    found = table[table["judge"].isin(["", "p-timm:judge"])]

    def row(group: str, metric: str, statistic: str, stages: str = "deepest") -> "pd.Series[Any]":
        wanted = {"backbones": group, "metric": metric, "statistic": statistic, "stages": stages}
        (one,) = (row for _, row in found.iterrows() if wanted.items() <= row.to_dict().items())
        return one

    assert row("all", "gram_share", "entropy")["rho"] == pytest.approx(1)
    assert row("all", "gram_share", "entropy")["n"] == 7
    assert row("random", "gram_share", "entropy")["n"] == 6
    assert row("all", "ssim", "entropy", "mean of stages")["rho"] == pytest.approx(-1)
    assert math.isnan(row("all", "ssim", "max_over_mean")["rho"])
    assert not row("all", "ssim", "entropy")["scale_free"]
    assert row("all", "ssim", "l1_entropy")["scale_free"]
    assert (table["p_holm"] >= table["p"]).loc[table["p"].notna()].all()


@pytest.mark.slow
def test_a_judge_of_few_backbones_does_not_count(results: Results) -> None:
    one = results.metrics["judge"].eq("p-timm:judge")
    missing = one & results.metrics["arch"].eq("r-vgg19")
    table = TABLES["peakiness_predicts"](replace(results, metrics=results.metrics[~missing]))
    of_judge = table[(table["judge"] == "p-timm:judge") & (table["backbones"] == "random")]
    assert set(of_judge["n"]) == {5}
    few = one & ~results.metrics["arch"].isin(ARCHS[:5])
    table = TABLES["peakiness_predicts"](replace(results, metrics=results.metrics[~few]))
    assert "p-timm:judge" not in set(table["judge"])


def test_coefficients_are_drawn(results: Results) -> None:
    figure = FIGURES["peakiness_predicts"](results)
    axes = panel(figure, "SSIM\nwith content (n = 6)")
    drawn = bars(axes)
    assert len(drawn) == (len(list(STATISTICS)) - 1) * 2  # one statistic is the same for all
    first = [float(xdata(line)[0]) for line in drawn[:4]]
    assert first == pytest.approx([1, 1, 1, -1])  # max twice, entropy twice
    assert any("Random backbones alone" in text and "quick" in text for text in texts(figure))


def test_scatter_shows_all_backbones(results: Results) -> None:
    figure = FIGURES["peakiness_scatter"](results)
    axes = panel(figure, "SSIM\nwith content")
    points = {(float(xdata(line)[0]), float(ydata(line)[0])) for line in axes.lines}
    assert points == {(float(n), float(n)) for n in range(7)}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(legend) == {"p-vgg19", "r-vgg19", "r-resnet50", "other backbones"}
    assert any("looks better than it is" in text for text in texts(figure))


@pytest.mark.slow
def test_jobs_that_did_not_move_are_told(results: Results) -> None:
    flags = results.results["flags"].mask(results.results["arch"] == "r-timm:a", "did-not-move")
    still = replace(results, results=results.results.assign(flags=flags))
    for name in ("peakiness_predicts", "peakiness_scatter"):
        told = " ".join(texts(FIGURES[name](still)))
        assert "did not move: 2 of 14 jobs (r-timm:a: 2)" in told


def test_few_backbones_or_no_statistics(results: Results, tmp_path: Path) -> None:
    few = results.metrics[results.metrics["arch"].isin(ARCHS[:4])]
    for registered in (FIGURES["peakiness_predicts"], FIGURES["peakiness_scatter"]):
        with pytest.raises(NoDataError, match="fewer than 5"):
            registered(replace(results, metrics=few))
        with pytest.raises(NoDataError, match="no statistics"):
            registered(replace(results, statistics=results.statistics[:0]))
    with pytest.raises(NoDataError, match="fewer than 5"):
        TABLES["peakiness_predicts"](replace(results, metrics=few))


def test_seeds_are_one_backbone(tmp_path: Path) -> None:
    made = scored(tmp_path, ("r-vgg19", "p-vgg19"), seeds=3)
    frame = predictors.jobs(made)
    assert set(frame["backbone"]) == {
        "r-vgg19 random", "p-vgg19 file:w.safetensors@sha256:0123456789ab",
    }  # fmt: skip
