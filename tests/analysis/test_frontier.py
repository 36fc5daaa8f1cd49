"""Style at equal content, on made-up numbers whose frontiers are straight lines."""

from pathlib import Path

import pandas as pd
import pytest

from stylebench.figures import FIGURES, TABLES, NoDataError
from stylebench.figures.frontiers import areas, points
from stylebench.store import Results
from tests.figures.drawn import texts
from tests.results import DENSENET, LITE, NOBODY, PAIRS, Scores, arms, write

WEIGHTS = (1.0, 10.0, 100.0)


def scores(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """Each tenfold weight costs 0.1 of SSIM and gives 0.1 of style; Fourier space gives 0.2 more.

    ResNet-50 keeps 0.05 more at every weight.
    """
    steps = jobs["style_weight"].map({weight: k / 10 for k, weight in enumerate(WEIGHTS)})
    resnet, fourier = jobs["arch"].eq("p-resnet50"), jobs["image"].eq("fourier")
    style = 0.3 + steps + 0.2 * fourier + 0.01 * jobs["_pair"]
    return [
        ("ssim", NOBODY, 0.7 - steps + 0.05 * resnet),
        ("swd_share", DENSENET, style),
        ("swd_share", LITE, style / 2),
        ("gram_share", DENSENET, style),
        ("gram_share", LITE, style),
        *(("effectiveness", judge, 5 * style - 6) for judge in (DENSENET, LITE)),
    ]


def far(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """Of one pair as `scores`; of the others ResNet-50 in pixels keeps what no other arm does."""
    (ssim, nobody, kept), *others = scores(jobs)
    beyond = jobs["arch"].eq("p-resnet50") & jobs["image"].eq("pixels") & jobs["_pair"].gt(0)
    return [(ssim, nobody, kept + 0.5 * beyond), *others]


def made(
    out: Path, archs: tuple[str, ...] = ("p-vgg19", "p-resnet50"), how: Scores = scores
) -> Results:
    given = [
        arm
        for image in ("pixels", "fourier")
        for weight in WEIGHTS
        for arm in arms(archs, ("none",), image=image, style_weight=weight)
    ]
    return write(out, given, PAIRS, 1, how, name="frontier")


def test_arms_are_compared_at_equal_content(tmp_path: Path) -> None:
    table = TABLES["frontier"](made(tmp_path))
    assert set(zip(table["a"], table["b"], strict=True)) == {
        ("p-vgg19, fourier", "p-vgg19, pixels"),
        ("p-resnet50, fourier", "p-resnet50, pixels"),
        *((f"p-resnet50, {one}", f"p-vgg19, {other}")
          for one in ("pixels", "fourier") for other in ("pixels", "fourier")),
    }  # fmt: skip
    densenet = table[table["metric"].eq("swd_share") & table["judge"].eq(DENSENET[0])]
    found = densenet.set_index(["a", "b", "at"])["difference"].sort_index()
    recipe = found["p-resnet50, fourier", "p-resnet50, pixels"]
    assert recipe["common"] == pytest.approx(0.2)
    assert recipe["0.6"] == pytest.approx(0.2)
    networks = found["p-resnet50, fourier", "p-vgg19, pixels"]
    assert networks["common"] == pytest.approx(0.25)  # 0.2, and 0.05 of SSIM are 0.05 of style
    assert networks["0.6"] == pytest.approx(0.25)
    assert networks.drop(["common", "0.6"]).isna().all()  # below 0.55 ResNet-50 has nothing
    assert set(table.loc[table["difference"].notna(), "pairs"]) == {len(PAIRS)}
    assert set(table.loc[table["at"] == "0.3", "pairs"]) == {0}


def test_the_figures_name_arms_and_judges(tmp_path: Path) -> None:
    results = made(tmp_path)
    figure = FIGURES["frontier"](results)
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        f"{arch}, {image}" for arch in ("p-vgg19", "p-resnet50") for image in ("pixels", "fourier")
    }
    resnet = ["p-resnet50, fourier", "p-resnet50, pixels"]
    told = "\n".join(texts(figure))
    for word in ("r-densenet121", "6 pairs"):
        assert word in told
    figure = FIGURES["frontier_differences"](results)
    rows = [text.get_text().strip() for text in figure.axes[0].texts]
    assert rows == [
        "minus p-vgg19, fourier", "minus p-vgg19, pixels", "minus p-resnet50, pixels",
        *resnet, "p-vgg19, fourier", *resnet, "p-resnet50, fourier",
    ]  # fmt: skip
    assert "at equal content" in "\n".join(texts(figure))


def test_comparisons_of_one_pair_are_left_out_and_named(tmp_path: Path) -> None:
    found = texts(FIGURES["frontier_differences"](made(tmp_path, how=far)))
    note = " ".join(next(text for text in found if "Left out" in text).split())
    assert "Left out, as under 2 pairs compare: p-resnet50, fourier − p-resnet50, pixels; " in note
    assert "intervals over 6 pairs" in note, "those that are left are drawn"


def test_arms_of_presets_have_their_names(tmp_path: Path) -> None:
    """Whatever the style weight, one of which is the preset's own."""
    given = [
        arm
        for weight in WEIGHTS
        for image in ("pixels", "fourier", "spectrum")
        for balance in ["target" if image == "pixels" else "gradient"]
        for arm in arms(("p-resnet50",), ("none",), image=image, balance=balance,
                        preset=f"balanced{' (modified)' * (weight != 10)}", style_weight=weight)
    ]  # fmt: skip
    table = TABLES["frontier"](write(tmp_path, given, PAIRS, 1, scores, name="frontier"))
    assert set(zip(table["a"], table["b"], strict=True)) == {
        ("preset balanced", "preset robust"),
        ("preset balanced", "preset robust, fourier"),
        ("preset robust", "preset robust, fourier"),
    }


def test_effectiveness_is_compared_and_shown_as_it_is(tmp_path: Path) -> None:
    """It is no share: below 0, without their limits, and with no area."""
    results = made(tmp_path)
    table = TABLES["frontier"](results).set_index(["metric", "judge", "a", "b", "at"])["difference"]
    key = (DENSENET[0], "p-resnet50, fourier", "p-vgg19, pixels", "common")
    share = table.loc[("swd_share", *key)]
    assert table.loc[("effectiveness", *key)] == pytest.approx(5 * share)
    drawn = {axes.get_title(): axes for axes in FIGURES["frontier"](results).axes}
    low, high = drawn["effectiveness\nr-densenet121"].get_ylim()
    assert low < 5 * 0.3 - 6
    assert 5 * 0.75 - 6 < high < 0
    titles = [axes.get_title() for axes in FIGURES["frontier_differences"](results).axes]
    assert "effectiveness\nr-densenet121" in titles
    assert set(areas(points(results))["metric"]) == {"swd_share", "gram_share"}


def test_one_arm_is_not_compared(tmp_path: Path) -> None:
    given = [a for w in WEIGHTS for a in arms(("p-vgg19",), ("none",), style_weight=w)]
    results = write(tmp_path, given, PAIRS, 1, scores, name="frontier")
    with pytest.raises(NoDataError, match="neither p-vgg19 nor two settings"):
        TABLES["frontier"](results)
    assert FIGURES["frontier"](results)
