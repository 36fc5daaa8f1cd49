"""The figure and table scripts in analysis/, on a small results folder made here."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from stylebench import figures, store
from stylebench.errors import InputError
from stylebench.figures import FIGURES, TABLES, NoDataError, draw, load_analysis
from stylebench.registry import Registry
from stylebench.store import RESULT_COLUMNS, STATISTICS_COLUMNS, TRACE_COLUMNS, Results

FIGURE_NAMES = ["curves", "grid", "scale_free", "statistics"]
TABLE_NAMES = ["statistics", "summary"]
STATISTIC_NAMES = [
    "max", "entropy", "gram_max", "gram_entropy", "l1_entropy", "max_over_mean",
    "participation_ratio", "gram_effective_rank", "gram_top_share", "gram_diagonal_share",
]  # fmt: skip
ARCHS = ("r-vgg19", "p-vgg19", "r-resnet50")


def _weights(arch: str, seed: int) -> str:
    return f"random:{seed}" if arch.startswith("r-") else "file:w.safetensors@sha256:0123456789ab"


def _job(
    number: int, arch: str, smoothing: str, pair: tuple[str, str], seed: int
) -> dict[str, Any]:
    job = f"{number:016x}"
    return {
        "job_id": job, "status": "ok", "arch": arch, "weights": _weights(arch, seed),
        "smoothing": smoothing, "content": pair[0], "style": pair[1], "seed": seed, "size": 64,
        "preset": "balanced", "start": "content", "evals": 4, "evals_budget": 4, "seconds": 1.5,
        "peak_memory_mb": 100.0 + number, "loss_initial": 10.0, "loss_final": 1.0,
        "content_loss": 0.5, "style_loss": 0.1 + 0.01 * number, "style_loss_initial": 1.0,
        "tv_loss": 0.0, "moved": 0.1, "stop_reason": "evaluations", "flags": "", "error": "",
        "precision": "fp32", "device": "cpu", "weights_sha256": "", "options": "{}",
        "resize": "aspect", "balance": "target", "normalisation": "paper", "content_weight": 1.0,
        "style_weight": 10.0, "tv_weight": 0.0, "layer_weights": "{}", "optimiser": "lbfgs",
        "learning_rate": 1.0, "history": 100, "line_search": "strong_wolfe",
        "content_digest": pair[0], "style_digest": pair[1],
        "picture": f"images/{job}.jpg", "content_picture": "images/content.jpg",
        "style_picture": "images/style.jpg",
    }  # fmt: skip


def _results(
    archs: Sequence[str], smoothings: Sequence[str], pairs: Sequence[tuple[str, str]], seeds: int
) -> pd.DataFrame:
    keys = [
        (arch, smoothing, pair, seed)
        for arch in archs
        for pair in pairs
        for smoothing in smoothings
        for seed in range(1 if arch.startswith("p-") else seeds)
    ]
    rows = [_job(number, *key) for number, key in enumerate(keys)]
    return pd.DataFrame(rows, columns=list(RESULT_COLUMNS))


def _statistics(archs: Sequence[str], smoothings: Sequence[str], seeds: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        (arch, _weights(arch, seed), smoothing, image, f"stage{stage}", stage, name, value, seed,
         64, "aspect", image)
        for arch in archs
        for seed in range(1 if arch.startswith("p-") else seeds)
        for smoothing in smoothings
        for image in ("astronaut", "chelsea", "coffee")
        for stage in range(5)
        for name, value in zip(STATISTIC_NAMES, random.uniform(0.1, 1, 10), strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(STATISTICS_COLUMNS))


def _trace(results: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (job, step, 10.0 / step**2, 0.1, 1.0 / step, 0.0)
        for job in results.loc[results["status"] == "ok", "job_id"]
        for step in range(1, 5)
    ]
    return pd.DataFrame(rows, columns=list(TRACE_COLUMNS))


def _write_pictures(out: Path, names: Sequence[str]) -> None:
    (out / "images").mkdir(exist_ok=True)
    for name in sorted({*names, "images/content.jpg", "images/style.jpg"} - {""}):
        random = np.random.default_rng(len(name))
        pixels = random.integers(0, 255, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(out / name)


def make(
    out: Path,
    archs: Sequence[str] = ARCHS,
    smoothings: Sequence[str] = ("none", "softmax"),
    pairs: Sequence[tuple[str, str]] = (("cat", "mosaic"), ("house", "brush")),
    seeds: int = 2,
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
) -> Results:
    """Write a results folder with made-up numbers and return it."""
    out.mkdir(exist_ok=True)
    results = change(_results(archs, smoothings, pairs, seeds))
    _write_pictures(out, list(results["picture"]))
    results.to_parquet(out / "results.parquet")
    _statistics(archs, smoothings, seeds).to_parquet(out / "stats.parquet")
    _trace(results).to_parquet(out / "trace.parquet")
    run = {"command": "stylebench sweep", "environment": {"torch": "2.0"}}
    manifest = {"runs": [run, run, {**run, "command": "stylebench stats"}]}
    (out / "manifest.json").write_text(json.dumps(manifest))
    return store.load(out)


@pytest.fixture(scope="module", autouse=True)
def _scripts() -> None:
    load_analysis()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make(tmp_path_factory.mktemp("results") / "out")


@pytest.fixture(scope="module")
def drawn(made: Results) -> dict[str, Figure]:
    return {name: FIGURES[name](made) for name in FIGURE_NAMES}


def helper(name: str) -> ModuleType:
    """Return a module of analysis/, as `load_analysis` imported it."""
    return next(module for key, module in sys.modules.items() if key.endswith(f"analysis.{name}"))


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title() == title)


def ydata(line: Line2D) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.asarray(line.get_ydata(), dtype=np.float64)


def texts(figure: Figure) -> Iterator[str]:
    for text in figure.texts:
        yield text.get_text()


def test_everything_is_drawn_and_twice_the_same(made: Results) -> None:
    first = list(draw(made.folder))
    assert [name for name, _ in first] == [*FIGURE_NAMES, *TABLE_NAMES]
    paths = [path for _, path in first if isinstance(path, Path)]
    assert len(paths) == len(first)
    paths += [path.with_suffix(".csv") for path in paths if path.suffix == ".md"]
    for path in paths[:4]:
        with Image.open(path) as image:
            assert path.stem == "grid" or image.width == 1400
        assert path.stat().st_size < (1_500_000 if path.stem == "grid" else 600_000)
    before = {path: path.read_bytes() for path in paths}
    assert [path for _, path in draw(made.folder)] == [path for _, path in first]
    assert {path: path.read_bytes() for path in paths} == before
    assert not list(made.folder.glob("*/.*"))


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
        return [float(value) for value in helper("_panels").by_stage(frame, log=log).loc[3]]

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
    found = helper("curves").relative(trace.iloc[::-1])
    if expected is None:
        assert found is None
    else:
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
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[0, "flags"] = "did-not-move"
        frame.loc[1, ["stop_reason", "flags"]] = ["diverged", "diverged"]
        frame.loc[2, ["status", "picture", "error"]] = ["failed", "", "RuntimeError: x"]
        gone = frame["arch"] == "p-vgg19"
        columns = ["status", "weights", "picture", "content_picture", "style_picture"]
        frame.loc[gone, columns] = ["unavailable", "unavailable", "", "", ""]
        return frame.drop(index=3)

    figure = FIGURES["grid"](make(tmp_path, seeds=1, change=change))
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


def test_grid_of_a_large_sweep_is_limited(tmp_path: Path) -> None:
    archs = [f"r-timm:a_very_long_name_of_a_network.{i}" for i in range(9)]
    pairs = [(f"content{i}", "s") for i in range(8)]
    results = make(tmp_path, archs, ("none", "softmax", "scale(alpha=0.001)@deep"), pairs, 1)
    figure = FIGURES["grid"](results)
    assert any("first 4 of 8 pairs" in text for text in texts(figure))
    assert figure.get_figwidth() <= 14
    assert figure.get_figheight() < 60


def test_a_picture_file_that_is_gone_is_a_frame(tmp_path: Path) -> None:
    results = make(tmp_path, ["r-vgg19"], ["none"], [("cat", "mosaic")], 1)
    (tmp_path / results.results["picture"][0]).write_bytes(b"no JPEG")
    (tmp_path / "images/style.jpg").unlink()
    assert list(texts(FIGURES["grid"](results))).count("no picture") == 2


def test_a_single_job(tmp_path: Path) -> None:
    make(tmp_path, ["p-vgg19"], ["softmax"], [("cat", "mosaic")], 1)
    assert all(isinstance(path, Path) for _, path in draw(tmp_path))


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    pair = ("_a$b$c^{2}_|x|.png", "ночь 夜 \\frac{1}")
    results = make(tmp_path, ["r-a$_$b", "p-\\x"], ["so$ft_max$"], [pair], 1)
    drawn = list(draw(tmp_path))
    assert all(isinstance(path, Path) for _, path in drawn)
    assert any(pair[0] in text for text in texts(FIGURES["grid"](results)))
    figure = FIGURES["statistics"](results)
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert labels == ["p-\\x", "r-a$_$b"]
    assert not any(text.get_parse_math() for text in figure.texts)


def test_no_number_at_all(made: Results) -> None:
    numbers = {name: np.nan for name, kind in RESULT_COLUMNS.items() if kind == "float64"}
    empty = replace(
        made,
        results=made.results.assign(**numbers),
        statistics=made.statistics.assign(value=np.nan),
    )
    for name in ("grid", "statistics", "scale_free"):
        FIGURES[name](empty).draw_without_rendering()
    table = TABLES["summary"](empty)
    assert table["style_loss_ratio"].isna().all()
    assert TABLES["statistics"](empty)["max"].isna().all()


def test_summary(made: Results) -> None:
    frame = made.results.assign(peak_memory_mb=np.arange(len(made.results), dtype=float))
    first = frame.index[(frame["arch"] == "r-vgg19") & (frame["smoothing"] == "none")]
    frame.loc[first[0], "flags"] = "few-evaluations did-not-move"
    frame.loc[first[0], "style_loss"] = np.nan
    frame.loc[first[1], "stop_reason"] = "diverged"
    broken = frame.index[frame["arch"] == "p-vgg19"]
    frame.loc[broken, "status"] = "unavailable"
    frame.loc[broken, "error"] = "no weights of p-vgg19"
    table = TABLES["summary"](replace(made, results=frame))
    assert list(dict.fromkeys(table["arch"])) == list(ARCHS)
    assert set(table["preset"]) == {"balanced"}
    row = table.iloc[0]
    assert list(row[["arch", "smoothing", "status"]]) == ["r-vgg19", "none", "ok"]
    ratios = frame.loc[first[1:], "style_loss"] / frame.loc[first[1:], "style_loss_initial"]
    assert row["style_loss_ratio"] == pytest.approx(np.prod(ratios) ** (1 / len(ratios)))
    assert row["jobs"] == 4
    assert row["pairs"] == 2
    assert row["did_not_move"] == 1 / 4
    assert row["diverged"] == 1 / 4
    assert row["moved_grey_levels"] == pytest.approx(25.5)
    assert row["peak_memory_mb"] == first.max()
    assert row["weights"] == "random:0, random:1"
    missing = table.iloc[3]
    assert list(missing[["arch", "smoothing", "status"]]) == ["p-vgg19", "softmax", "unavailable"]
    assert missing["jobs"] == 2
    assert missing["reason"] == "no weights of p-vgg19"


def test_statistics_table(made: Results) -> None:
    table = TABLES["statistics"](made)
    assert list(table.columns[:9]) == [
        "preset", "size", "arch", "weights", "smoothing", "stage", "layer", "images", "seeds",
    ]  # fmt: skip
    assert len(table) == len(ARCHS) * 2
    frame = made.statistics
    for _, row in table.iterrows():
        part = frame[
            (frame["arch"] == row["arch"])
            & (frame["smoothing"] == row["smoothing"])
            & (frame["stage"] == 4)
        ]
        for name in STATISTIC_NAMES:
            values = part.loc[part["statistic"] == name, "value"].to_numpy()
            assert row[name] == pytest.approx(values.mean())
            assert row[f"{name}_std"] == pytest.approx(values.std(ddof=1))


def test_markdown_has_spread_and_provenance(made: Results) -> None:
    ((_, path),) = [item for item in draw(made.folder, ["statistics"]) if ".md" in str(item[1])]
    assert isinstance(path, Path)
    text = path.read_text(encoding="utf-8")
    assert " ± " in text
    assert "_std" not in text
    assert "preset balanced; 64 px" in text
    assert "weights: file:w.safetensors" in text
    told = ["command: stylebench sweep", "command: stylebench stats", "versions: torch 2.0"]
    assert [line.rstrip() for line in text.rstrip().splitlines()[-3:]] == told


def test_two_weights_of_one_backbone_are_two_rows_and_lines(made: Results) -> None:
    def other(frame: pd.DataFrame) -> pd.DataFrame:
        more = frame[frame["arch"] == "p-vgg19"].assign(weights="file:v.safetensors")
        return pd.concat([frame, more], ignore_index=True)

    both = replace(made, results=other(made.results), statistics=other(made.statistics))
    labels = [str(line.get_label()) for line in FIGURES["statistics"](both).axes[0].lines]
    assert labels[1] == "p-vgg19 file:v.safetensors"
    assert labels[2].startswith("p-vgg19 file:w.safetensors@")
    assert len(TABLES["summary"](both)) == len(TABLES["summary"](made)) + 2


def test_other_settings_in_the_folder_are_told(made: Results) -> None:
    more = made.results[:2].assign(preset="released", job_id=["x", "y"])
    weighted = made.results[:1].assign(style_weight=1e3, job_id="z")
    both = replace(made, results=pd.concat([made.results, more, weighted], ignore_index=True))
    assert any("3 jobs with other settings" in text for text in texts(FIGURES["grid"](both)))
    table = TABLES["summary"](both)
    assert set(table["preset"]) == {"balanced", "released"}
    assert set(table["style_weight"]) == {10.0, 1e3}
    assert table["jobs"].sum() == len(both.results)


def test_squashed_pictures_are_not_averaged_with_others(made: Results) -> None:
    more = made.statistics.assign(resize="squash", value=-1.0)
    less = pd.concat([made.statistics, more[: len(more) // 2]], ignore_index=True)
    both = replace(made, statistics=less)
    table = TABLES["statistics"](both)
    assert set(table["resize"]) == {"aspect", "squash"}
    old = TABLES["statistics"](made)
    kept = table[table["resize"] == "aspect"].drop(columns="resize").reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, old)
    figure = FIGURES["statistics"](both)
    assert any("other sizes not shown: 64 px square" in text for text in texts(figure))


def test_options_of_a_random_backbone_are_a_row_of_their_own(made: Results) -> None:
    more = made.results[made.results["arch"] == "r-resnet50"]
    more = more.assign(weights=more["weights"] + "+stride_in=conv1")
    both = replace(made, results=pd.concat([made.results, more], ignore_index=True))
    assert "r-resnet50 random+stride_in=conv1" in helper("_common").looks(both)
    assert len(TABLES["summary"](both)) == len(TABLES["summary"](made)) + 2


def test_folder_with_statistics_alone(tmp_path: Path) -> None:
    make(tmp_path)
    for name in ("results.parquet", "trace.parquet"):
        (tmp_path / name).unlink()
    drawn = list(draw(tmp_path))
    reasons = {name: str(reason) for name, reason in drawn if isinstance(reason, NoDataError)}
    assert set(reasons) == {"curves", "grid", "summary"}
    assert all(reason.startswith("no ") for reason in reasons.values())
    assert sum(isinstance(path, Path) for _, path in drawn) == 3
    text = (tmp_path / "tables" / "statistics.md").read_text(encoding="utf-8")
    assert "statistics alone; 64 px; seed 0, 1; images 3" in text


def test_folder_without_statistics(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "stats.parquet").unlink()
    skipped = [name for name, reason in draw(tmp_path) if isinstance(reason, NoDataError)]
    assert skipped == ["scale_free", "statistics", "statistics"]


def test_no_job_succeeded(made: Results) -> None:
    frame = made.results.assign(status="failed", picture="", error="boom")
    failed = replace(made, results=frame)
    for name in ("grid", "curves"):
        with pytest.raises(NoDataError):
            FIGURES[name](failed)
    assert set(TABLES["summary"](failed)["status"]) == {"failed"}


def test_unknown_name_is_refused_with_a_suggestion(made: Results) -> None:
    with pytest.raises(InputError, match=r"unknown figure or table 'gird'; did you mean 'grid'"):
        list(draw(made.folder, ["statistics", "gird"]))
    with pytest.raises(InputError, match="did you mean 'summary'"):
        list(draw(made.folder, ["sumary"]))


def test_a_name_that_is_figure_and_table_gives_both(made: Results) -> None:
    paths = [path for _, path in draw(made.folder, ["statistics", "statistics"])]
    suffixes = [path.suffix for path in paths if isinstance(path, Path)]
    assert suffixes == [".png", ".md"]


def test_a_broken_figure_does_not_take_the_others_with_it(
    made: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(results: Results) -> Figure:
        raise TypeError("no\nsense")

    monkeypatch.setattr(figures, "FIGURES", Registry("figure"))
    figures.figure("broken")(broken)
    found = dict(draw(made.folder))
    assert figures.told("broken", found["broken"]) == "broken: failed, TypeError: no sense"
    assert isinstance(found["summary"], Path)


def test_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results"):
        list(draw(tmp_path))


def test_scripts_are_loaded_once_and_need_the_folder(tmp_path: Path) -> None:
    load_analysis()
    assert sorted(FIGURES) == FIGURE_NAMES
    assert sorted(TABLES) == TABLE_NAMES
    with pytest.raises(InputError, match="not in the wheel"):
        load_analysis(tmp_path / "none")


def test_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FIGURES", Registry("figure"))
    (tmp_path / "_shared.py").write_text("NAME = 'mine'\n")
    (tmp_path / "one.py").write_text(
        "from matplotlib.figure import Figure\n"
        "from stylebench.figures import figure\n"
        "from ._shared import NAME\n"
        "@figure(NAME)\n"
        "def mine(results): return Figure()\n"
    )
    load_analysis(tmp_path)
    load_analysis(tmp_path)
    assert list(figures.FIGURES) == ["mine"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.05, "0.05"), (1000.0, "1000"), (1e5, "10⁵"), (2e-12, "2·10⁻¹²"), (0.0, "")],
)
def test_ticks_without_mathtext(value: float, text: str) -> None:
    assert helper("_common").power_of_ten(value) == text


@pytest.mark.parametrize(
    ("length", "text"), [(30, "abcdefghij"), (10, "abcdefghij"), (5, "ab…ij"), (2, "a…")]
)
def test_shorten(length: int, text: str) -> None:
    assert helper("_common").shorten("abcdefghij", length) == text


def test_order_of_names() -> None:
    common = helper("_common")
    names = ["r-zoo10", "r-zoo9", "p-zoo9", "p-vgg19", "r-vgg19", "r-vgg19"]
    assert common.order_backbones(names) == [
        "r-vgg19", "p-vgg19", "r-zoo9", "p-zoo9", "r-zoo10",
    ]  # fmt: skip
    labels = ["softmax(temperature=10)", "softmax(temperature=2.5)", "none", "softmax"]
    assert common.order_smoothings(labels) == ["none", "softmax", labels[1], labels[0]]
