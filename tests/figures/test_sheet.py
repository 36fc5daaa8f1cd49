"""Sheets of pictures by arm: what stands where, what stands under it, and their bounds."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from stylebench.figures import FIGURES, NoDataError, layout, measured
from stylebench.figures.arms import labelled
from stylebench.figures.sheet import draw
from stylebench.store import Results
from tests.figures.drawn import texts
from tests.results import scored, varied


def sheet(results: Results) -> Figure:
    jobs = labelled(results.results)
    figure: Figure = measured.pictures(results, jobs)
    return figure


def shown(figure: Figure) -> int:
    return sum(bool(axes.images) for axes in figure.axes)


def test_columns_are_settings_and_rows_backbones(tmp_path: Path) -> None:
    results = scored(tmp_path, change=varied("style_weight", 10.0, 100.0, 1000.0))
    figure = sheet(results)
    found = list(texts(figure))
    assert [text for text in found if text.startswith("α/β")] == [
        "α/β 0.001", "α/β 0.01", "α/β 0.1",
    ]  # fmt: skip
    assert found.count("p-vgg19") == found.count("p-resnet50") == 2  # beside each pair
    assert shown(figure) == 2 * (2 + 2 * 3)


def test_the_axis_with_fewer_values_makes_rows(tmp_path: Path) -> None:
    results = scored(tmp_path, archs=("p-vgg19", "r-vgg19", "p-resnet50"), smoothings=("none", "x"))
    found = list(texts(sheet(results)))
    assert found.count("none") == found.count("x") == 2
    assert found.count("p-vgg19") == 1


def test_scores_under_pictures_are_those_of_the_tables(tmp_path: Path) -> None:
    figure = sheet(scored(tmp_path))
    found = list(texts(figure))
    # job 3 is p-resnet50, house × brush; the pretrained judge stands first.
    for number in range(4):
        value = number / 100
        line = f"style {0.2 + value:.2f}, {0.1 + value:.2f}  SSIM {0.9 - value:.2f}"
        assert found.count(line) == 1, line
    assert any("judge p-timm:judge, r-densenet121" in text for text in found)
    assert any("quick" in text and "pairs 2" in text for text in found)


def test_pictures_without_metrics(tmp_path: Path) -> None:
    results = scored(tmp_path)
    figure = sheet(replace(results, metrics=results.metrics[:0]))
    assert shown(figure) == 2 * (2 + 2)
    assert not any("SSIM" in text for text in texts(figure))


def test_what_went_wrong_is_told(tmp_path: Path) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[0, ["stop_reason", "flags"]] = ["diverged", "diverged"]
        frame.loc[1, ["status", "picture"]] = ["failed", ""]
        return frame.drop(index=2)

    figure = sheet(scored(tmp_path, change=change))
    found = list(texts(figure))
    assert found.count("diverged") == found.count("failed") == found.count("not run") == 1
    assert shown(figure) == 2 * 2 + 2


def test_nothing_succeeded(tmp_path: Path) -> None:
    results = scored(tmp_path, change=lambda frame: frame.assign(status="failed", picture=""))
    with pytest.raises(NoDataError, match="succeeded"):
        FIGURES["gatys_photoreal"](replace(results, metrics=results.metrics[:0]))


@pytest.mark.slow
def test_a_large_sheet_is_limited(tmp_path: Path) -> None:
    pairs = tuple((f"content {index}", "style") for index in range(9))
    change = varied("style_weight", *(10.0**power for power in range(11)))
    figure = sheet(scored(tmp_path, ("p-vgg19",), pairs=pairs, change=change))
    assert any("the first 6 of 9 pairs" in text for text in texts(figure))
    assert figure.get_figwidth() <= 14
    assert figure.get_figheight() < 40
    assert shown(figure) == 6 * (2 + 11)


def test_the_first_of_several_seeds_is_shown(tmp_path: Path) -> None:
    figure = sheet(scored(tmp_path, ("r-vgg19",), seeds=3))
    assert shown(figure) == 2 * 3
    assert any("the first seed of several" in text for text in texts(figure))


def test_texts_lie_in_the_sheet_and_pictures_pixel_by_pixel(tmp_path: Path) -> None:
    change = varied("style_weight", *(10.0**power for power in range(6)))
    figure = sheet(
        scored(tmp_path, ("p-a_very_long_name_of_a_network", "p-resnet50"), change=change)
    )
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    width, height = figure.bbox.width, figure.bbox.height
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text.get_text()
        assert box.x1 <= width, text.get_text()
        assert box.y0 >= 0, text.get_text()
    for axes in figure.axes:
        box = axes.get_position()
        size = (round(box.height * height), round(box.width * width))
        assert axes.images[0].get_size() == size


@pytest.mark.parametrize("inches", [None, 3.3])
def test_the_lines_under_a_sheet_of_one_column_are_whole(
    inches: float | None, tmp_path: Path
) -> None:
    told = f"{'long settings, ' * 30}and their end"
    results = scored(tmp_path, ("r-vgg19",), smoothings=("none",))
    jobs = results.results.assign(row=pd.Categorical(["a"] * 2), column=pd.Categorical(["b"] * 2))
    with layout.wide(inches):
        figure = draw(results, jobs, told=[told])
    assert told in " ".join(texts(figure))
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text.get_text()
        assert box.x1 <= figure.bbox.width, text.get_text()
        assert box.y0 >= 0, text.get_text()
