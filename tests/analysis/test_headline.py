"""The first picture: its columns, and that its file has room for five pictures of 300 px."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from stylebench.figures import FIGURES, TABLES, NoDataError
from stylebench.figures.register import draw
from stylebench.report import opening
from stylebench.store import Results
from tests.figures.drawn import texts
from tests.results import NOBODY, arms, write

PAIRS = [("chelsea", "brush"), ("coffee", "woodcut"), ("china", "mosaic")]


GIVEN = [
    *arms(("p-vgg19", "p-resnet50"), ("none",), preset="paper", balance="none"),
    *arms(("p-resnet50",), ("none",), preset="robust", balance="gradient", image="spectrum"),
]
NAMES = ["p-vgg19, as published", "p-resnet50, as published", "p-resnet50, preset robust"]


def made(out: Path) -> Results:
    return write(
        out, GIVEN, PAIRS, 1, lambda jobs: [("ssim", NOBODY, jobs["_pair"] / 9)], name="headline"
    )


def test_columns_are_backbones_and_presets(tmp_path: Path) -> None:
    told = list(texts(FIGURES["headline"](made(tmp_path))))
    assert [text for text in told if text in NAMES] == NAMES


def test_the_first_screen_and_the_tables_call_them_so_too(tmp_path: Path) -> None:
    def scores(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
        return [("swd_share", ("r-tiny", "random"), jobs["_arm"] / 9)]

    results = write(tmp_path / "scored", GIVEN, PAIRS, 1, scores, name="headline")
    found = opening.make(results)
    assert found is not None
    assert "p-resnet50, preset robust covers" in found.sentence
    assert "p-vgg19, as published" in found.sentence
    table = TABLES["comparisons"](results)
    assert {*table["a"], *table["b"]} == {*NAMES}


def test_what_robust_was_is_told_of_the_jobs(tmp_path: Path) -> None:
    """It was Fourier space once: a folder may have jobs of both."""
    given = [
        *arms(("p-resnet50",), ("none",), preset="paper", balance="none"),
        *(
            arm
            for image in ("fourier", "spectrum")
            for arm in arms(
                ("p-resnet50",), ("none",), preset="robust", balance="gradient", image=image
            )
        ),
    ]

    def drawn(name: str, count: int) -> list[str]:
        return list(texts(FIGURES["headline"](write(
            tmp_path / name, given[:count], PAIRS, 1,
            lambda jobs: [("ssim", NOBODY, jobs["_pair"] / 9)], name="headline",
        ))))  # fmt: skip

    alone, both = drawn("alone", 2), drawn("both", 3)
    assert "p-resnet50, preset robust" in alone
    assert "matched by their gradients, in Fourier space." in "\n".join(alone)
    robust = "p-resnet50, preset robust, "
    assert {f"{robust}fourier", f"{robust}spectrum"} <= set(both)
    assert "in Fourier space or the picture as its spectrum." in " ".join(both)


def test_its_pictures_are_at_least_300_px_wide(tmp_path: Path) -> None:
    list(draw(made(tmp_path).folder, ["headline"]))
    with Image.open(tmp_path / "figures" / "headline.jpg") as drawn:
        assert drawn.width >= 5 * 300


def test_results_without_stylisations_have_none(tmp_path: Path) -> None:
    results = made(tmp_path)
    empty = Results(
        results.folder, results.results[:0], results.statistics, results.trace, results.manifest
    )
    with pytest.raises(NoDataError, match="no stylisations"):
        FIGURES["headline"](empty)
