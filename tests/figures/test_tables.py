"""The tables in analysis/, what is not averaged, and folders that lack something."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from stylebench.errors import InputError
from stylebench.figures import FIGURES, TABLES, NoDataError, draw, load, register, style
from stylebench.registry import Registry
from stylebench.store import Results
from stylebench.store.columns import RESULT_COLUMNS
from tests.figures.drawn import texts
from tests.results import ARCHS, STATISTIC_NAMES, make


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
    frame.loc[first[0], "flags"] = "few-evaluations did-not-move loss-met"
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
    assert row["did_not_move"] == row["loss_met"] == 1 / 4
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


@pytest.mark.parametrize("key", ["style_weight", "size", "preset"])
def test_a_setting_that_is_not_known_costs_no_row(made: Results, key: str) -> None:
    unknown = made.results.assign(**{key: made.results[key].where(made.results["seed"].eq(0))})
    table = TABLES["summary"](replace(made, results=unknown))
    assert table["jobs"].sum() == len(made.results)
    rows, known = (
        TABLES["metrics"](replace(made, results=each)) for each in (unknown, made.results)
    )
    assert len(rows) > len(known) > 0


def test_a_setting_of_statistics_that_is_not_known_costs_no_row(made: Results) -> None:
    known = made.statistics
    unknown = known.assign(resize=None)
    both = pd.concat([known, unknown], ignore_index=True)
    rows = [len(TABLES["statistics"](replace(made, statistics=each))) for each in (known, both)]
    assert rows[1] == 2 * rows[0] > 0


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
    assert "r-resnet50 random+stride_in=conv1" in style.looks(both)
    assert len(TABLES["summary"](both)) == len(TABLES["summary"](made)) + 2


def test_folder_with_statistics_alone(tmp_path: Path) -> None:
    make(tmp_path)
    for name in ("results.parquet", "trace.parquet"):
        (tmp_path / name).unlink()
    drawn = list(draw(tmp_path))
    reasons = {name: str(reason) for name, reason in drawn if isinstance(reason, NoDataError)}
    assert {"comparisons", "curves", "gradients", "grid", "metrics", "summary"} <= set(reasons)
    assert all(reason.startswith("no ") for reason in reasons.values())
    made = [name for name, path in drawn if isinstance(path, Path)]
    assert {"scale_free", "statistics"} <= set(made)
    assert made.count("statistics") == 2  # the figure and the table
    text = (tmp_path / "tables" / "statistics.md").read_text(encoding="utf-8")
    assert "statistics alone; 64 px; seed 0, 1; images 3" in text


def test_folder_without_statistics(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "stats.parquet").unlink()
    drawn = list(draw(tmp_path))
    skipped = {name for name, reason in drawn if isinstance(reason, NoDataError)}
    assert {"scale_free", "statistics"} <= skipped
    made = {name for name, path in drawn if isinstance(path, Path)}
    assert {"comparisons", "curves", "gradients", "grid", "metrics", "summary"} <= made
    assert not made & skipped


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
        """Nothing."""
        raise TypeError("no\nsense")

    monkeypatch.setattr(register, "FIGURES", Registry("figure"))
    register.figure("broken")(broken)
    found = dict(draw(made.folder))
    assert register.told("broken", found["broken"]) == "broken: failed, TypeError: no sense"
    assert isinstance(found["summary"], Path)


def test_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results"):
        list(draw(tmp_path))


def test_scripts_are_loaded_once_and_need_the_folder(tmp_path: Path) -> None:
    before = [*FIGURES, *TABLES]
    load()
    assert [*FIGURES, *TABLES] == before
    assert {"grid", "statistics", "fig1_2"} <= {*FIGURES}
    assert {"statistics", "summary", "fig1_2"} <= {*TABLES}
    with pytest.raises(InputError, match="found no"):
        load(tmp_path / "none")


def test_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr(register, "FIGURES", Registry("figure"))
    (tmp_path / "_shared.py").write_text("NAME = 'mine'\n")
    (tmp_path / "one.py").write_text(
        "from matplotlib.figure import Figure\n"
        "from stylebench.figures import figure\n"
        "from ._shared import NAME\n"
        "@figure(NAME)\n"
        "def mine(results):\n"
        "    'Mine.'\n"
        "    return Figure()\n"
    )
    load(tmp_path)
    load(tmp_path)
    assert list(register.FIGURES) == ["mine"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.05, "0.05"), (1000.0, "1000"), (1e5, "10⁵"), (2e-12, "2·10⁻¹²"), (0.0, "")],
)
def test_ticks_without_mathtext(value: float, text: str) -> None:
    assert style.power_of_ten(value) == text


@pytest.mark.parametrize(
    ("length", "text"), [(30, "abcdefghij"), (10, "abcdefghij"), (5, "ab…ij"), (2, "a…")]
)
def test_shorten(length: int, text: str) -> None:
    assert style.shorten("abcdefghij", length) == text


def test_order_of_names() -> None:
    common = style
    names = ["r-zoo10", "r-zoo9", "p-zoo9", "p-vgg19", "r-vgg19", "r-vgg19"]
    assert common.order_backbones(names) == [
        "r-vgg19", "p-vgg19", "r-zoo9", "p-zoo9", "r-zoo10",
    ]  # fmt: skip
    labels = ["softmax(temperature=10)", "softmax(temperature=2.5)", "none", "softmax"]
    assert common.order_smoothings(labels) == ["none", "softmax", labels[1], labels[0]]


def test_smoothings_of_different_precision_stand_beside_each_other(made: Results) -> None:
    """As ``precision: auto`` gives them; not so two precisions of one arm."""
    softmaxed = made.results["smoothing"] == "softmax"
    mixed = made.results.assign(precision=softmaxed.map({True: "fp32", False: "bf16"}))
    drawn = texts(FIGURES["grid"](replace(made, results=mixed)))
    assert not any("other settings" in text for text in drawn)
    other = made.results.assign(precision="bf16", job_id="x" + made.results["job_id"])
    twice = replace(made, results=pd.concat([made.results, other]))
    assert any("other settings" in text for text in texts(FIGURES["grid"](twice)))


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t="])
def test_no_cell_is_a_formula(
    begin: str, made: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil, rows = f"{begin}HYPERLINK(1)", {"name": "plain", "x": -1.5}
    monkeypatch.setitem(TABLES._entries, "evil", lambda _: pd.DataFrame([{evil: evil, **rows}]))
    folder = tmp_path / "out"
    shutil.copytree(made.folder, folder)
    assert dict(draw(folder, ["evil"]))["evil"] == folder / "tables" / "evil.md"
    with (folder / "tables" / "evil.csv").open(newline="") as file:
        head, row = csv.reader(file)
    assert head == [f"'{evil}", "name", "x"]
    assert row == [f"'{evil}", "plain", "-1.5"]
