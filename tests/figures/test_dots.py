"""The figure of arms × metrics, the claims beside it, and what both are made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import wilcoxon

from stylebench.figures import FIGURES, TABLES, NoDataError, claims, dots, experiments, names
from stylebench.figures.arms import judged
from stylebench.store import Results
from tests.figures.drawn import marks, panel, texts, xdata, ydata
from tests.results import JUDGES, METRICS, PAIRS, arms, experiment, values

ALL = [
    "r-vgg19",
    "p-vgg19",
    "r-resnet50",
    "p-resnet50",
    "r-noresnet50",
    "r-pseudo-vgg",
    "r-pseudo-resvgg",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return experiment(tmp_path_factory.mktemp("fig1_2") / "out", "fig1_2", arms(ALL))


@pytest.fixture(scope="module")
def drawn(results: Results) -> Figure:
    return FIGURES["fig1_2"](results)


def means(axes: Axes) -> list[float]:
    """Return the means that a column shows, from the top."""
    placed = sorted((float(ydata(mark)[0]), float(xdata(mark)[0])) for mark in marks(axes))
    return [value for _, value in placed]


def test_it_is_of_its_experiment_alone(results: Results) -> None:
    assert experiments()["fig1_2"] == "fig1_2"
    assert "fig1_2" in names(results)
    assert "fig1_2" not in names(replace(results, manifest={}))


def test_columns_are_style_by_two_common_judges_colour_and_content(drawn: Figure) -> None:
    assert [axes.get_title().splitlines()[0] for axes in drawn.axes] == [
        "Gram share", "Gram share", "SWD share", "SWD share", "texture share", "colour share",
        "SSIM", "edges",
    ]  # fmt: skip
    assert [axes.get_title().splitlines()[1] for axes in drawn.axes[:2]] == [
        "p-efficientnet_lite0",
        "r-densenet121",
    ]


def test_means_and_dots_are_those_of_the_pairs(results: Results, drawn: Figure) -> None:
    axes = panel(drawn, "SSIM\nwith content")
    found = means(axes)
    expected = [
        values(results, arch=arch, smoothing=smoothing, metric="ssim").mean()
        for arch in ALL
        for smoothing in ("none", "softmax")
    ]
    np.testing.assert_allclose(found, expected)
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert len(dots) == len(ALL) * 2
    assert {len(xdata(line)) for line in dots} == {len(PAIRS)}
    seen = values(results, arch="r-vgg19", smoothing="none", metric="ssim", content="photo0")
    assert float(xdata(dots[0])[0]) == pytest.approx(seen.mean())


def test_the_foot_tells_pairs_seeds_judges_and_quick(drawn: Figure) -> None:
    told = " ".join(texts(drawn))
    for part in (
        "over 6 pairs, each averaged over 1–2 seeds",
        JUDGES[0][0],
        "r-densenet121 (random:0)",
        "quick",
    ):
        assert part in told, part
    assert "diverged" not in told


def test_diverged_and_unavailable_jobs_are_told(results: Results) -> None:
    jobs = results.results.copy()
    jobs.loc[0, "stop_reason"] = "diverged"
    jobs.loc[jobs["arch"] == "p-vgg19", "status"] = "unavailable"
    figure = FIGURES["fig1_2"](replace(results, results=jobs))
    told = " ".join(texts(figure))
    assert "unavailable: 12 jobs of p-vgg19" in told
    assert f"diverged: 1 of {len(jobs) - 12} jobs (r-vgg19, none: 1)" in told
    assert len(means(figure.axes[0])) == 2 * (len(ALL) - 1)


def test_many_arms_with_a_flag_are_counted(results: Results) -> None:
    jobs = results.results.assign(flags="did-not-move")
    told = dots.trouble(replace(results, results=jobs))
    assert told.startswith(f"did not move: {len(jobs)} of {len(jobs)} jobs (r-vgg19, none: 12; ")
    assert told.endswith("; 9 more arms)")


def test_one_seed_of_random_weights_is_told(results: Results, drawn: Figure) -> None:
    said = "One seed of random weights: intervals speak of these very networks"
    assert said not in " ".join(texts(drawn))
    one = results.results[results.results["seed"] == 0]
    assert said in " ".join(texts(FIGURES["fig1_2"](replace(results, results=one))))
    alone = dots.drawn_once(replace(results, results=one[one["arch"] == "p-vgg19"]))
    assert alone == ""


def test_a_judge_that_did_not_judge_all_is_not_shown(results: Results) -> None:
    own = results.metrics["arch"].eq("p-vgg19") & results.metrics["judge"].eq("r-densenet121")
    figure = FIGURES["fig1_2"](replace(results, metrics=results.metrics[~own]))
    assert not [axes for axes in figure.axes if "densenet" in axes.get_title()]
    assert len(figure.axes) == 6


def test_shares_far_below_zero_are_arrows_at_the_edge(results: Results) -> None:
    metrics = results.metrics.copy()
    share = metrics["metric"].eq("colour_share") & metrics["content"].eq("photo0")
    metrics.loc[share & metrics["arch"].eq("r-vgg19"), "value"] = -7.0
    axes = panel(FIGURES["fig1_2"](replace(results, metrics=metrics)), "colour share\nCIELAB")
    assert -1.2 < axes.get_xlim()[0] < -1
    arrows = [line for line in axes.lines if line.get_marker() == "<"]
    assert len(arrows) == 2
    metrics.loc[
        metrics["metric"].eq("colour_share") & metrics["arch"].eq("r-vgg19"), "value"
    ] = -7.0
    axes = panel(FIGURES["fig1_2"](replace(results, metrics=metrics)), "colour share\nCIELAB")
    assert [mark.get_marker() for mark in marks(axes)][:3] == ["<", "<", "o"]  # means below it too


def test_what_is_nan_everywhere_is_no_column(results: Results) -> None:
    nan = results.metrics["value"].mask(results.metrics["metric"].eq("texture_share"))
    figure = FIGURES["fig1_2"](replace(results, metrics=results.metrics.assign(value=nan)))
    assert len(figure.axes) == 7


@pytest.mark.slow
def test_forty_arms_and_long_names(tmp_path: Path) -> None:
    archs = [
        f"r-timm:a_very_long_name_of_a_network_that_goes_on_and_on.number{i}" for i in range(20)
    ]
    figure = FIGURES["fig1_2"](experiment(tmp_path, "fig1_2", arms(archs), PAIRS[:2], 1))
    assert len(means(figure.axes[0])) == 40
    assert figure.get_figheight() < 15
    assert all(len(text.get_text()) < 60 for text in figure.axes[0].texts)


def test_claims_are_paired(results: Results) -> None:
    table = TABLES["fig1_2"](results)
    order = list(dict.fromkeys(zip(table["a"], table["b"], strict=True)))
    assert order[:4] == [
        ("p-vgg19, none", "p-resnet50, none"),
        ("r-vgg19, none", "r-resnet50, none"),
        ("r-noresnet50, none", "r-resnet50, none"),
        ("r-pseudo-vgg, none", "r-pseudo-resvgg, none"),
    ]
    assert order[4:] == [(f"{arch}, softmax", f"{arch}, none") for arch in ALL]
    assert "gram" not in set(table["metric"])  # its share is there
    row = table[(table["b"] == "r-resnet50, none") & (table["metric"] == "ssim")].iloc[0]
    a, b = (
        values(results, arch=arch, smoothing="none", metric="ssim").reshape(len(PAIRS), 2).mean(1)
        for arch in ("r-vgg19", "r-resnet50")
    )
    assert row["difference"] == pytest.approx((a - b).mean())
    assert row["p"] == pytest.approx(wilcoxon(a, b).pvalue)
    assert (row["pairs"], row["favours"], row["better"]) == (6, "r-resnet50, none", "higher")
    assert (row["seeds"], row["jobs"], row["still_a"], row["still_b"]) == (2, 12, 0, 0)


def test_claims_of_jobs_that_did_not_move_favour_nobody(results: Results) -> None:
    jobs = results.results
    own = jobs["arch"].eq("r-vgg19") & jobs["smoothing"].eq("none")
    still = replace(results, results=jobs.assign(flags=jobs["flags"].mask(own, "did-not-move")))
    table = TABLES["fig1_2"](still)
    asked = (table["b"] == "r-resnet50, none") & (table["metric"] == "ssim")
    row = table[asked & (table["a"] == "r-vgg19, none")].iloc[0]
    assert row["p"] < 0.05
    assert (row["jobs"], row["still_a"], row["still_b"], row["favours"]) == (12, 12, 0, "")
    softmax = table[(table["b"] == "r-vgg19, none") & (table["metric"] == "ssim")].iloc[0]
    assert (softmax["still_a"], softmax["still_b"], softmax["favours"]) == (0, 12, "")


def test_differences_are_of_the_same_pairs(results: Results) -> None:
    arm = ("r-vgg19, softmax", "r-vgg19, none")
    values = claims.by_pair(judged(results))
    found = claims.differences(values, [arm, ("r-vgg19, none", "nobody")])
    assert set(found["arm"]) == {"r-vgg19, softmax"}
    assert len(found) == len(PAIRS) * len(METRICS)
    ssim = found[found["metric"] == "ssim"].set_index("content")["value"]
    expected = 0.05 + 0.002 * (np.arange(6) - 2.5)
    np.testing.assert_allclose(ssim[[f"photo{i}" for i in range(6)]], expected)


@pytest.mark.parametrize(
    ("low", "high", "p", "better", "expected"),
    [
        (0.1, 0.3, 0.03, "higher", "a"),
        (0.1, 0.3, 0.03, "lower", "b"),
        (-0.3, -0.1, 0.03, "lower", "a"),
        (-0.1, 0.3, 0.03, "higher", ""),
        (0.1, 0.3, 0.06, "higher", ""),
        (np.nan, np.nan, np.nan, "higher", ""),
        (0.1, 0.3, 0.03, "", ""),
    ],
)
def test_favours(low: float, high: float, p: float, better: str, expected: str) -> None:
    found = {"difference": (low + high) / 2, "low": low, "high": high, "p": p}
    found |= {"jobs": 8, "still_a": 4, "still_b": 0}
    assert claims.favours(found, better) == expected
    for arm in ("still_a", "still_b"):
        assert claims.favours(found | {arm: 5}, better) == ""


def test_without_metrics_there_is_nothing(results: Results) -> None:
    empty = replace(results, metrics=results.metrics[:0])
    for made in (FIGURES["fig1_2"], TABLES["fig1_2"]):
        with pytest.raises(NoDataError, match="stylebench judge"):
            made(empty)
    one = results.results["arch"].eq("r-vgg19") & results.results["smoothing"].eq("none")
    with pytest.raises(NoDataError, match="nothing to compare"):
        TABLES["fig1_2"](replace(results, results=results.results[one]))


def test_one_pair_has_no_interval(tmp_path: Path) -> None:
    made = experiment(tmp_path, "fig1_2", arms(ALL[:1]), PAIRS[:1], 1)
    figure = FIGURES["fig1_2"](made)
    figure.draw_without_rendering()
    assert len(means(figure.axes[0])) == 2
    assert isinstance(TABLES["fig1_2"](made), pd.DataFrame)
