"""The figures in analysis/, on a small results folder made here."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from stylebench.figures import FIGURES, NoDataError, draw, ends, statistics
from stylebench.store import Results
from tests.figures.drawn import panel, texts, ydata
from tests.results import ARCHS, FIGURE_NAMES, TABLE_NAMES, gone_wrong, make


@pytest.fixture(scope="module")
def paths(made: Results) -> list[Path]:
    """Return the files of all that is drawn of a results folder."""
    drawn = list(draw(made.folder))
    assert sorted(name for name, _ in drawn) == sorted([*FIGURE_NAMES, *TABLE_NAMES])
    found = [path for _, path in drawn if isinstance(path, Path)]
    assert len(found) == len(drawn)
    return found + [path.with_suffix(".csv") for path in found if path.suffix == ".md"]


def test_everything_is_drawn(made: Results, paths: list[Path]) -> None:
    for path in paths[: len(FIGURE_NAMES)]:
        with Image.open(path) as image:
            assert path.stem == "grid" or image.width == 1400
        assert path.stat().st_size < (1_500_000 if path.stem == "grid" else 600_000)
    assert not list(made.folder.glob("*/.*"))


@pytest.mark.parametrize(
    "names",
    [["statistics", "grid", "summary"], pytest.param(None, marks=pytest.mark.slow)],
    ids=["three", "all"],
)
def test_drawn_again_everything_is_the_same(
    names: list[str] | None, made: Results, paths: list[Path]
) -> None:
    before = {path: path.read_bytes() for path in paths}
    again = list(draw(made.folder, names))
    assert {name for name, _ in again} >= {*(names or FIGURE_NAMES)}
    drawn = [path for _, path in again if isinstance(path, Path)]
    assert drawn == [path for path in paths if path in drawn]
    assert names or len(drawn) == len(again) == len([*FIGURE_NAMES, *TABLE_NAMES])
    assert {path: path.read_bytes() for path in paths} == before


def test_matplotlib_is_left_as_it_was(made: Results) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 31.0, "axes.grid": False}):
        figure = FIGURES["statistics"](made)
        assert float(figure.axes[0].xaxis.label.get_fontsize()) < 20
        assert mpl.rcParams["font.size"] == 31.0


@pytest.mark.parametrize(
    ("figure", "title", "statistic", "log"),
    [
        ("statistics", "activation maximum, eq. (5)", "max", True),
        ("statistics", "activation entropy, eq. (6)", "entropy", False),
        ("statistics", "Gram maximum (G/M), eq. (7)", "gram_max", True),
        ("statistics", "Gram entropy (G/M), eq. (8)", "gram_entropy", False),
        ("scale_free", "entropy of |F|/Σ|F|", "l1_entropy", False),
        ("scale_free", "effective rank of G", "gram_effective_rank", True),
        ("scale_free", "share of G's diagonal", "gram_diagonal_share", False),
    ],
)
def test_lines_are_the_means(
    made: Results, drawn: dict[str, Figure], figure: str, title: str, statistic: str, log: bool
) -> None:
    axes = panel(drawn[figure], title)
    assert [line.get_label() for line in axes.lines] == list(ARCHS)
    frame = made.statistics
    for line in axes.lines:
        part = frame[
            (frame["arch"] == line.get_label())
            & (frame["smoothing"] == "none")
            & (frame["statistic"] == statistic)
        ]
        by_stage = [part.loc[part["stage"] == stage, "value"].to_numpy() for stage in range(5)]
        expected = [np.exp(np.log(v).mean()) if log else v.mean() for v in by_stage]
        np.testing.assert_allclose(ydata(line), expected, rtol=1e-12)
        np.testing.assert_allclose(np.asarray(line.get_xdata(), float), np.arange(5.0), atol=0.11)
    assert axes.get_yscale() == ("log" if log else "linear")


def test_bands_are_one_standard_deviation() -> None:
    values = [1.0, 10.0, 100.0, np.nan, np.inf, 0.0, -1.0]
    frame = pd.DataFrame({"stage": 3, "value": values})

    def found(frame: pd.DataFrame, *, log: bool) -> list[float]:
        rows: list[list[float]] = statistics.by_stage(frame, log=log).loc[[3]].to_numpy().tolist()
        return rows[0]

    assert found(frame, log=True) == pytest.approx([10, 1, 100])
    deviation = float(np.std(values[:3], ddof=1))
    assert found(frame[:3], log=False) == pytest.approx([37, 37 - deviation, 37 + deviation])
    assert found(frame[:1], log=False) == [1, 1, 1]


def test_one_look_per_backbone_in_all_figures(drawn: dict[str, Figure]) -> None:
    lines = [
        {line.get_label(): (line.get_color(), line.get_linestyle()) for line in axes.lines}
        for name in ("statistics", "scale_free")
        for axes in drawn[name].axes
    ]
    assert all(found == lines[0] for found in lines)
    assert lines[0]["p-vgg19"][0] == lines[0]["r-vgg19"][0] != lines[0]["r-resnet50"][0]
    assert lines[0]["p-vgg19"][1] == "-"
    assert lines[0]["r-vgg19"][1] == "--"


def test_curves_are_relative_to_the_first_loss(drawn: dict[str, Figure]) -> None:
    axes = panel(drawn["curves"], "r-resnet50")
    assert axes.get_yscale() == "log"
    assert len(axes.lines) == 2 * 2 * 2  # pairs × smoothings × seeds
    for line in axes.lines:
        assert list(np.asarray(line.get_xdata())) == [1, 2, 3, 4]
        np.testing.assert_allclose(ydata(line), [1, 1 / 4, 1 / 9, 1 / 16])


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0], [1]),
        ([2.0, np.inf, 1.0, np.nan, 0.0, -3.0], [1, np.nan, 0.5, np.nan, np.nan, np.nan]),
        ([0.0, 1.0], None),
        ([np.nan, 1.0], None),
        ([np.inf, 1.0], None),
    ],
)
def test_relative_loss(losses: list[float], expected: list[float] | None) -> None:
    trace = pd.DataFrame({"evaluation": range(1, len(losses) + 1), "loss": losses})
    found = ends.relative(trace.iloc[::-1])
    if expected is None:
        assert found is None
    else:
        assert found is not None
        np.testing.assert_allclose(found[1], expected)


def test_odd_traces_are_drawn(made: Results) -> None:
    trace = made.trace.copy()
    trace["loss"] = np.resize([0.0, 1e300, np.inf, np.nan, 1e-300, 5.0, 7.0], len(trace))
    results = made.results.assign(stop_reason="diverged")
    figure = FIGURES["curves"](replace(made, trace=trace, results=results))
    figure.draw_without_rendering()
    assert any("left out" in text and "× where a run diverged" in text for text in texts(figure))
    zero = trace.assign(loss=0.0)
    with pytest.raises(NoDataError, match="positive"):
        FIGURES["curves"](replace(made, trace=zero))
    one = made.trace[made.trace["evaluation"] == 1]
    FIGURES["curves"](replace(made, trace=one)).draw_without_rendering()


def test_grid_shows_pictures_flags_and_what_is_missing(tmp_path: Path) -> None:
    figure = FIGURES["grid"](make(tmp_path, seeds=1, change=gone_wrong))
    found = list(texts(figure))
    for name in (*ARCHS, "did not move", "diverged", "failed", "not run", "unavailable"):
        assert name in found, name
    assert found.count("unavailable") == 4
    images = [axes for axes in figure.axes if axes.images]
    assert len(images) == 2 * 2 + 12 - 4 - 1 - 1
    caption = found[-1]
    assert "quick" in caption
    assert "preset balanced; 64 px; 4 closure evaluations" in caption


def test_grid_pictures_lie_pixel_by_pixel(drawn: dict[str, Figure]) -> None:
    figure = drawn["grid"]
    width, height = figure.get_size_inches() * figure.dpi
    for axes in figure.axes:
        shape = axes.images[0].get_size()
        box = axes.get_position()
        np.testing.assert_allclose((box.height * height, box.width * width), shape, atol=1e-6)


def test_grid_of_a_sweep_with_the_papers_settings_is_not_quick(tmp_path: Path) -> None:
    results = make(tmp_path, change=lambda frame: frame.assign(size=512, evals_budget=1000))
    assert not any("quick" in text for text in texts(FIGURES["grid"](results)))


@pytest.mark.slow
def test_grid_of_a_large_sweep_is_limited(tmp_path: Path) -> None:
    archs = [f"r-timm:a_very_long_name_of_a_network.{i}" for i in range(9)]
    pairs = [(f"content{i}", "s") for i in range(8)]
    results = make(tmp_path, archs, ("none", "softmax", "scale(alpha=0.001)@deep"), pairs, 1)
    figure = FIGURES["grid"](results)
    assert any("first 2 of 8 pairs" in text for text in texts(figure))
    assert figure.get_figwidth() <= 14
    assert figure.get_figheight() < 60


def test_a_picture_file_that_is_gone_is_a_frame(tmp_path: Path) -> None:
    results = make(tmp_path, ["r-vgg19"], ["none"], [("cat", "mosaic")], 1)
    (tmp_path / results.results["picture"][0]).write_bytes(b"no JPEG")
    (tmp_path / "images/style.jpg").unlink()
    assert list(texts(FIGURES["grid"](results))).count("no picture") == 2


def test_a_single_job(tmp_path: Path) -> None:
    make(tmp_path, ["p-vgg19"], ["softmax"], [("cat", "mosaic")], 1)
    missing = {name for name, path in draw(tmp_path) if not isinstance(path, Path)}
    assert "comparisons" in missing
    assert not missing & {"curves", "grid", "metrics", "scale_free", "statistics", "summary"}


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    pair = ("_a$b$c^{2}_|x|.png", "ночь 夜 \\frac{1}")
    results = make(tmp_path, ["r-a$_$b", "p-\\x"], ["so$ft_max$"], [pair], 1)
    missing = {name for name, path in draw(tmp_path) if not isinstance(path, Path)}
    assert not missing & {"curves", "grid", "metrics", "scale_free", "statistics", "summary"}
    assert any(pair[0] in text for text in texts(FIGURES["grid"](results)))
    figure = FIGURES["statistics"](results)
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert labels == ["p-\\x", "r-a$_$b"]
    assert not any(text.get_parse_math() for text in figure.texts)


def test_tables_in_markdown_show_names_as_they_are(tmp_path: Path) -> None:
    pair = ("a|b\nc", "<img src=x onerror=alert(1)>")
    smoothing = "![x](http://x) \x1b[31m"

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[0, ["status", "error"]] = ["failed", "|\n" + pair[1]]
        return frame.assign(weights="file:" + pair[1])

    make(tmp_path, ["r-a|\n|<b>", "p-x"], [smoothing], [pair], 1, change)
    command = "stylebench sweep '<script>\n| x |'"
    run = {"command": command, "environment": {}}
    (tmp_path / "manifest.json").write_text(json.dumps({"runs": [run]}))
    assert dict(draw(tmp_path, ["summary"]))["summary"] == tmp_path / "tables" / "summary.md"
    text = (tmp_path / "tables" / "summary.md").read_text()
    table, _, notes = text.partition("\n\n")
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
    assert len(cells) == 1, "each row has the same cells"
    assert len(table.splitlines()) == 2 + 2
    assert "r-a\\| \\|&lt;b&gt;" in table
    assert not re.search(r"<|\]\(|\x1b", text)
    assert len(notes.splitlines()) == 4
    assert (tmp_path / "tables" / "summary.csv").is_file()


@pytest.mark.slow
def test_legends_of_many_long_names_stay_in_the_figure(tmp_path: Path) -> None:
    archs = [f"r-timm:a_rather_long_name_of_a_model_{number}" for number in range(24)]
    results = make(tmp_path, archs, ("none",), [("cat", "mosaic")], 1)
    for name in ("statistics", "scale_free"):
        figure = FIGURES[name](results)
        (legend,) = figure.legends
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 < min(axes.get_window_extent().y0 for axes in figure.axes)
