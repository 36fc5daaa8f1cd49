"""Figures of one thing that is changed: the controls and figures 3, 4 and 6."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import gmean

from stylebench.figures import FIGURES, TABLES, NoDataError, draw, effects
from stylebench.store import Results
from tests.figures.drawn import marks, panel, texts, xdata, ydata
from tests.results import PAIRS, Arm, arms, experiment, statistic, values

BN = ("", "+batchnorm=calibrated", "+batchnorm=train")
GAMMA = ("resnet50", "resnet50+gamma=0.5", "resnet50+gamma=0", "noresnet50")
SMOOTHINGS = ("none", "softmax", "softmax@deep", "softmax(temperature=10)")
WEIGHTED = ["p-vgg19", "p-resnet50"]
GIVEN: dict[str, list[Arm]] = {
    "controls_gamma": arms([f"r-{name}" for name in GAMMA]),
    "controls_bn": arms([f"r-{arch}{mode}" for arch in ("resnet50", "noresnet50") for mode in BN]),
    "fig4": arms(["r-resnet50", "r-resnet50+shortcut=pre-relu", "r-resnet34", "r-noresnet50"]),
    "fig6": arms(["r-wide_resnet50_2", "r-googlenet"]),
    "controls_scale": arms(["p-vgg19", "r-resnet50"], ["none", "mean", "softmax", "softmax-mean"]),
    "controls_weights": [
        *arms(WEIGHTED, balance="target"),
        *arms(WEIGHTED, balance="gradient"),
        *arms(WEIGHTED, balance="none", preset="paper", style_weight=1000.0),
    ],
    "controls_rival": [
        *arms(["p-resnet50", "p-vgg19", "r-resnet50", "p-robust-resnet50"], ["none"]),
        *arms(["p-vgg19", "p-resnet50"], ["none"], image="fourier"),
        *arms(["p-resnet50+activation=leaky", "p-resnet50+downsample=blur"], ["none"]),
        *arms(["p-resnet50", "r-resnet50"], ["softmax"]),
    ],
    "smoothing": [
        *arms(["r-resnet50", "p-resnet50"], SMOOTHINGS),
        *arms(["p-resnet50"], ["none", "softmax@deep"], preset="released", style_weight=1e17),
    ],
    "released": arms(
        ["p-resnet50", "p-vgg19"], ["none", "softmax-channels@deep", "scale(alpha=0.001)@deep"]
    ),
    "fig3": arms(["r-vgg19", "p-vgg19"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    folder = tmp_path_factory.mktemp("experiments")
    return {name: experiment(folder / name, name, given) for name, given in GIVEN.items()}


@pytest.fixture(scope="module")
def drawn(made: dict[str, Results]) -> dict[str, Figure]:
    return {name: FIGURES[name](results) for name, results in made.items()}


def points(figure: Figure, title: str) -> dict[tuple[int, str], float]:
    """Return (nearest place on x, marker) -> mean, of a panel with one colour."""
    found = {}
    for mark in marks(panel(figure, title)):
        found[round(xdata(mark)[0]), str(mark.get_marker())] = float(ydata(mark)[0])
    return found


def labels(figure: Figure, title: str) -> list[str]:
    return [text.get_text() for text in panel(figure, title).get_xticklabels()]


@pytest.mark.parametrize("name", GIVEN)
def test_without_data_there_is_nothing(made: dict[str, Results], name: str) -> None:
    results = made[name]
    empty = replace(results, metrics=results.metrics[:0], statistics=results.statistics[:0])
    for of in (FIGURES, TABLES):
        with pytest.raises(NoDataError):
            of[name](empty)


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(made: dict[str, Results]) -> None:
    out = made["controls_gamma"].folder
    read: list[dict[Path, bytes]] = []
    for _ in range(2):
        paths = [path for _, path in draw(out, ["controls_gamma"]) if isinstance(path, Path)]
        assert len(paths) == 2
        read.append({path: path.read_bytes() for path in paths})
    assert read[0] == read[1]


def test_scores_stand_at_their_variant(made: dict[str, Results], drawn: dict[str, Figure]) -> None:
    title = "SSIM, with content"
    assert labels(drawn["controls_gamma"], title) == ["γ = 1", "γ = 0.5", "γ = 0", "NoResNet"]
    found = points(drawn["controls_gamma"], title)
    assert len(found) == 4 * 2
    results = made["controls_gamma"]
    jobs = results.results.set_index("job_id")["options"].eq('{"gamma": "0.5"}')
    half = results.metrics[results.metrics["job_id"].map(jobs)]
    for marker, smoothing in (("o", "none"), ("D", "softmax")):
        one = values(replace(results, metrics=half), metric="ssim", smoothing=smoothing)
        assert len(one) == len(PAIRS) * 2
        assert found[1, marker] == pytest.approx(one.mean())


def test_statistics_are_those_of_the_last_stage(drawn: dict[str, Figure]) -> None:
    figure = drawn["controls_gamma"]
    for title, mean, name in (
        ("activation entropy, eq. (6)", np.mean, "entropy"),
        ("effective rank of G", gmean, "gram_effective_rank"),
        ("share of G's top eigenvalue", np.mean, "gram_top_share"),
    ):
        expected = {}
        for place, smoothed in product(range(len(GAMMA)), range(2)):
            arm = 2 * place + smoothed
            images = [
                float(np.mean([statistic(4, seed, image, arm, name) for seed in range(2)]))
                for image in range(3)
            ]
            expected[place, "oD"[smoothed]] = mean(images)
        assert points(figure, title) == pytest.approx(expected)


def test_panels_and_legend(drawn: dict[str, Figure]) -> None:
    figure = drawn["controls_bn"]
    assert [axes.get_title() for axes in figure.axes] == [
        *effects.STATISTICS.values(),
        "Gram share, p-efficientnet_lite0", "Gram share, r-densenet121",
        "texture share, of luminance", "colour share, CIELAB", "SSIM, with content",
    ]  # fmt: skip
    assert labels(figure, "SSIM, with content") == [
        "evaluation\nmode",
        "calibrated",
        "training\nmode",
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "r-resnet50, none", "r-resnet50, softmax", "r-noresnet50, none", "r-noresnet50, softmax",
    ]  # fmt: skip
    told = " ".join(texts(figure))
    for part in ("3 images", "6 pairs, each averaged over 2 seeds", "judges: p-timm:eff", "quick"):
        assert part in told, part


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fig4", ["bottle-\nneck", "bottle-\nneck,\npre-ReLU", "basic", "no short-\ncut"]),
        ("controls_scale", ["none", "mean", "softmax", "softmax\nof mean"]),
        ("controls_weights", ["relative\nterms", "gradient-\nmatched", "nominal\n(paper)"]),
    ],
)
def test_variants_in_order(drawn: dict[str, Figure], name: str, expected: list[str]) -> None:
    assert labels(drawn[name], "SSIM, with content") == expected


def test_weights_of_layers_change_no_statistic(drawn: dict[str, Figure]) -> None:
    titles = [axes.get_title() for axes in drawn["controls_weights"].axes]
    assert "effective rank of G" not in titles
    assert len(titles) == 5


def test_options_of_statistics() -> None:
    options = effects.options
    assert options("random:0") == "{}"
    assert (
        options("file:a+b/w.pt@sha256:0123+gamma=0.5+pool=avg") == '{"gamma": "0.5", "pool": "avg"}'
    )


def pairs_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(table["a"], table["b"], strict=True)))


@pytest.mark.parametrize(
    ("name", "count", "one"),
    [
        ("controls_gamma", 6, ("r-resnet50+gamma=0.5, softmax", "r-resnet50, softmax")),
        ("controls_bn", 10, ("r-noresnet50+batchnorm=train, none", "r-noresnet50, none")),
        ("controls_bn", 10, ("r-noresnet50, none", "r-resnet50, none")),
        ("fig4", 6, ("r-resnet34, softmax", "r-resnet50, softmax")),
        ("fig6", 2, ("r-googlenet, softmax", "r-googlenet, none")),
        ("controls_scale", 8, ("p-vgg19, softmax-mean", "p-vgg19, mean")),
        ("released", 4, ("p-vgg19, scale(alpha=0.001)@deep", "p-vgg19, none")),
    ],
)
def test_tables_compare_with_the_reference(
    made: dict[str, Results], name: str, count: int, one: tuple[str, str]
) -> None:
    table = TABLES[name](made[name])
    assert len(pairs_of(table)) == count
    assert one in pairs_of(table)
    assert set(table["pairs"]) == {len(PAIRS)}


def test_textures_are_not_compared_by_their_content(tmp_path: Path) -> None:
    given = arms(["p-vgg19", "r-vgg19"], ["none", "softmax@deep"], content_weight=0.0)
    table = TABLES["texture"](experiment(tmp_path, "texture", given))
    assert pairs_of(table) == [
        ("r-vgg19, softmax@deep", "r-vgg19, none"), ("p-vgg19, softmax@deep", "p-vgg19, none"),
    ]  # fmt: skip
    assert set(table["metric"]) == {"gram_share", "swd_share", "texture_share", "colour_share"}


def test_released_arms_are_drawn(drawn: dict[str, Figure]) -> None:
    assert len(marks(panel(drawn["released"], "SSIM\nwith content"))) == 2 * 3


def test_weightings_are_compared_under_their_settings(made: dict[str, Results]) -> None:
    found = pairs_of(TABLES["controls_weights"](made["controls_weights"]))
    assert len(found) == 6 + 8
    smoothed = [(a, b) for a, b in found if "softmax" in a and "none," in b]
    assert len(smoothed) == 6
    assert all(a.partition("softmax")[2] == b.partition("none")[2] for a, b in smoothed)
    assert all(b.endswith("balance target") for _, b in found[6:])


def column(figure: Figure, title: str, marker: str) -> list[float]:
    found = marks(panel(figure, title))
    return [float(xdata(mark)[0]) for mark in found if mark.get_marker() == marker]


def test_smoothings_of_all_layers_stand_beside_deep_ones(drawn: dict[str, Figure]) -> None:
    figure = drawn["smoothing"]
    assert len(column(figure, "SSIM\nwith content", "o")) == 3 + 3 + 1
    assert len(column(figure, "SSIM\nwith content", "D")) == 1 + 1 + 1
    names = [text.get_text() for text in figure.axes[0].texts]
    assert [name for name in names if not name.startswith(" ")] == [
        "r-resnet50, preset balanced", "p-resnet50, preset balanced", "p-resnet50, preset released",
    ]  # fmt: skip
    assert [name.strip() for name in names[3:6]] == ["none", "softmax", "softmax(temperature=10)"]


def test_smoothings_are_compared_with_none(made: dict[str, Results]) -> None:
    found = pairs_of(TABLES["smoothing"](made["smoothing"]))
    assert len(found) == 3 + 3 + 1
    released = "preset released"
    assert (f"p-resnet50, softmax@deep, {released}", f"p-resnet50, none, {released}") in found


def test_rivals_are_differences_from_the_plain_network(
    made: dict[str, Results], drawn: dict[str, Figure]
) -> None:
    table = TABLES["controls_rival"](made["controls_rival"])
    assert pairs_of(table) == [
        ("p-vgg19, none, fourier", "p-vgg19, none, pixels"),
        ("p-vgg19, none, pixels", "p-resnet50, none, pixels"),
        ("r-resnet50, softmax, pixels", "r-resnet50, none, pixels"),
        ("p-resnet50, none, fourier", "p-resnet50, none, pixels"),
        ("p-resnet50, softmax, pixels", "p-resnet50, none, pixels"),
        ("p-resnet50+activation=leaky, none, pixels", "p-resnet50, none, pixels"),
        ("p-resnet50+downsample=blur, none, pixels", "p-resnet50, none, pixels"),
        ("p-robust-resnet50, none, pixels", "p-resnet50, none, pixels"),
    ]  # fmt: skip
    ssim: Any = table[table["metric"] == "ssim"].set_index("a")
    leaky = ssim.loc["p-resnet50+activation=leaky, none, pixels"]
    assert leaky["difference"] == pytest.approx(0.05 * 6)  # arm 6 against arm 0
    assert leaky["of_gap"] == pytest.approx(6)  # VGG-19 is arm 1
    assert np.isnan(ssim.loc["r-resnet50, softmax, pixels", "of_gap"])
    squares = column(drawn["controls_rival"], "SSIM\nwith content", "s")
    assert len(squares) == 4 + 1
    assert sorted(squares)[-1] == pytest.approx(0.05 * 8)


def test_a_deficit_of_vgg_is_no_lead(made: dict[str, Results]) -> None:
    results = made["controls_rival"]
    turned = results.metrics.assign(value=1 - results.metrics["value"])
    table = TABLES["controls_rival"](replace(results, metrics=turned))
    yardstick = table[(table["a"] == "p-vgg19, none, pixels") & (table["metric"] == "ssim")]
    assert yardstick["high"].iloc[0] < 0
    assert table.loc[table["metric"] == "ssim", "of_gap"].isna().all()


def test_by_stage_every_statistic_has_its_interval(
    made: dict[str, Results], drawn: dict[str, Figure]
) -> None:
    assert len(drawn["fig3"].axes) == 6 * 2
    table = TABLES["fig3"](made["fig3"])
    assert len(table) == 2 * 2 * 5 * 12
    row: Any = table[
        (table["backbone"] == "r-vgg19") & (table["smoothing"] == "none") & (table["stage"] == 2)
    ].set_index("statistic")
    entropy, largest = (
        np.array([[statistic(2, seed, image, 0, name) for seed in range(2)] for image in range(3)])
        for name in ("entropy", "max")
    )
    assert row.loc["entropy", "mean"] == pytest.approx(entropy.mean())
    assert row.loc["log10 max", "mean"] == pytest.approx(np.log10(largest).mean())
    found = row.loc["entropy", ["mean", "low", "high"]]
    images = entropy.mean(1)  # the spread of the seeds, ten times as large, is not in the interval
    assert images.min() <= found["low"] < found["mean"] < found["high"] <= images.max()
    assert tuple(row.loc["entropy", ["images", "seeds"]]) == (3, 2)
    p = table[(table["backbone"] == "p-vgg19") & (table["statistic"] == "entropy")]
    assert set(p["images"]) == {3}
    assert set(p["seeds"]) == {1}


def test_what_is_not_positive_has_no_logarithm(made: dict[str, Results]) -> None:
    frame = made["fig3"].statistics.copy()
    frame.loc[frame["image"] == "coffee", "value"] = 0.0
    zero = replace(made["fig3"], statistics=frame)
    table: Any = TABLES["fig3"](zero).set_index("statistic")
    assert set(table.loc["log10 max", "images"]) == {2}
    assert set(table.loc["max", "images"]) == {3}
