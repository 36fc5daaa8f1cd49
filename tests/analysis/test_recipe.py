"""The factorial experiment, on made-up numbers whose effects are known."""

import itertools
from pathlib import Path

import pandas as pd
import pytest

from stylebench.figures import FIGURES, TABLES, NoDataError
from stylebench.store import Results
from tests.figures.drawn import texts
from tests.results import DENSENET, LITE, NOBODY, PAIRS, Arm, arms, write

ARCHS = ("p-resnet50+downsample=blur", "p-resnet50", "p-vgg19")


def scores(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """All keep everything but 0.0, so that the area is half of the style given."""
    gradient, fourier = jobs["balance"].eq("gradient"), jobs["image"].eq("fourier")
    blur, smooth = jobs["options"].str.contains("blur"), jobs["smoothing"].ne("none")
    style = 1.0 + 0.2 * gradient + 0.1 * (gradient & fourier) - 0.4 * smooth + 0.06 * blur
    style = style + 0.02 * jobs["_pair"]
    return [
        ("ssim", NOBODY, 0.0 * style),
        *(("swd_share", judge, style) for judge in (DENSENET, LITE)),
    ]


def given(archs: tuple[str, ...] = ARCHS) -> list[Arm]:
    return [
        arm
        for balance, image in itertools.product(("target", "gradient"), ("pixels", "fourier"))
        for arm in arms(archs, ("none", "softmax-fitted"), balance=balance, image=image)
    ]


def made(out: Path, chosen: list[Arm]) -> Results:
    return write(out, chosen, PAIRS, 1, scores, name="recipe")


def test_effects_and_interactions(tmp_path: Path) -> None:
    table = TABLES["recipe"](made(tmp_path, given()))
    found = table[table["judge"] == DENSENET[0]].set_index(["arch", "effect"])["difference"]
    expected = {
        "gradient balance": 0.25, "Fourier space": 0.05, "fitted softmax": -0.4,
        "gradient balance × Fourier space": 0.05, "gradient balance × fitted softmax": 0,
        "Fourier space × fitted softmax": 0,
    }  # fmt: skip
    for effect, value in expected.items():
        for arch in ("p-resnet50", "p-vgg19"):
            assert found[arch, effect] == pytest.approx(value / 2, abs=1e-12)
    assert found["p-resnet50", "blurred strides"] == pytest.approx(0.03)
    single = {
        "gradient balance alone": 0.2, "Fourier space alone": 0, "blurred strides alone": 0.06,
        "fitted softmax alone": -0.4, "all but softmax together": 0.36,
        "gradient balance last": 0.3, "Fourier space last": 0.1, "blurred strides last": 0.06,
        "fitted softmax last": -0.4,
    }  # fmt: skip
    for effect, value in single.items():
        assert found["p-resnet50", effect] == pytest.approx(value / 2, abs=1e-12)
    assert found["p-vgg19", "all but softmax together"] == pytest.approx(0.15)
    assert ("p-vgg19", "blurred strides") not in found.index
    assert set(table["pairs"]) == {len(PAIRS)}
    assert len(table) == 2 * (10 + 6 + 9 + 7)


def test_a_network_with_a_missing_cell_is_left_out(tmp_path: Path) -> None:
    chosen = [arm for arm in given() if (arm["arch"], arm["image"], arm["smoothing"])
              != ("p-vgg19", "fourier", "softmax-fitted")]  # fmt: skip
    assert set(TABLES["recipe"](made(tmp_path, chosen))["arch"]) == {"p-resnet50"}
    with pytest.raises(NoDataError, match="every combination"):
        TABLES["recipe"](made(tmp_path / "one", given(("p-vgg19",))[:1]))


def test_the_figure_has_a_panel_a_network(tmp_path: Path) -> None:
    figure = FIGURES["recipe"](made(tmp_path, given()))
    assert [axes.get_title() for axes in figure.axes] == ["p-vgg19", "p-resnet50"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    names = ["gradient balance", "Fourier space", "blurred strides", "fitted softmax"]
    assert labels[:5] == [*(f"{name} alone" for name in names), "all but softmax together"]
    assert labels[5:9] == names
    assert len(labels) == 15
    assert "6 pairs" in "\n".join(texts(figure))
