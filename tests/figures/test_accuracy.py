"""The price of a block in accuracy: the numbers in the table, and what the figure shows of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stylebench import store
from stylebench.figures import FIGURES, TABLES, NoDataError
from stylebench.figures.intervals import over_draws
from stylebench.store import Results
from stylebench.store.columns import STATISTICS_COLUMNS, frame

KINDS = ("on", "pre-relu", "off")


def row(made: pd.DataFrame, *keys: str) -> "pd.Series[float]":
    """Return mean, low, high and seeds of the one row of a kind, weights, quantity and stage."""
    names = ["shortcut", "weights", "quantity", "stage"]
    (at,) = np.flatnonzero((made[names] == list(keys)).all(axis=1))
    return made[["mean", "low", "high", "seeds"]].iloc[at]


def test_the_interval_of_few_draws_is_that_of_students_test() -> None:
    values = [0.91, 0.95, 0.93, 0.97, 0.9]
    found = over_draws(values)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    assert (found.mean, found.n) == pytest.approx((np.mean(values), 5))
    assert over_draws([*values, np.nan]) == found
    assert np.isnan(over_draws([0.5]).low)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return classifiers of three kinds and four seeds, with known maxima of their maps."""
    rows, measured = [], []
    for place, kind in enumerate(KINDS):
        for seed in range(4):
            names = {"trained": f"file:{kind}-{seed}", "random": f"random:{seed}+{kind}"}
            correct = 90 - 5 * place + seed * (1 + place)
            rows.append({
                "data": "digits", "shortcut": kind, "depth": 18, "width": 8, "epochs": 2,
                "seed": seed, "accuracy": correct / 100, "correct": correct, "tested": 100,
                "train_accuracy": 1.0, "precision": "fp32", **names,
            })  # fmt: skip
            for power, weights in enumerate(names.values()):
                measured += [
                    {"arch": "x", "weights": weights, "smoothing": "none", "image": str(image),
                     "layer": "l", "stage": stage, "statistic": name, "seed": seed, "size": 64,
                     "resize": "aspect", "image_digest": "", "value": value}
                    for stage in (0, 1)
                    for image in (0, 1)
                    for name, value in (("max", 10.0 ** (stage + place - power + 2 * image)),
                                        ("entropy", 0.5 + 0.1 * image))
                ]  # fmt: skip
    store.write_accuracy(tmp_path, rows)
    frame(measured, STATISTICS_COLUMNS).to_parquet(tmp_path / "stats.parquet")
    return store.load(tmp_path)


def test_the_table_has_accuracies_differences_and_statistics(results: Results) -> None:
    made = TABLES["accuracy"](results)
    own = row(made, "off", "after training", "accuracy", "")
    wanted = over_draws([0.80, 0.83, 0.86, 0.89])
    assert tuple(own[["mean", "low", "high"]]) == pytest.approx(
        (wanted.mean, wanted.low, wanted.high)
    )
    less = row(made, "off", "after training", "accuracy − that of standard shortcuts", "")
    wanted = over_draws([-0.10, -0.08, -0.06, -0.04])  # of the same seed each
    assert tuple(less[["mean", "low", "high"]]) == pytest.approx(
        (wanted.mean, wanted.low, wanted.high)
    )
    for place, kind in enumerate(KINDS):
        for power, told in enumerate(("after training", "before training")):
            found = row(made, kind, told, "log10 max", "1")
            assert found["mean"] == pytest.approx(1 + place - power + 1)  # images: 10^0 and 10^2
            assert found["seeds"] == 4
            if place:
                less = row(made, kind, told, "log10 max − that of standard shortcuts", "1")
                assert less["mean"] == pytest.approx(place)
            assert row(made, kind, told, "entropy", "0")["mean"] == pytest.approx(0.55)
    assert "quick settings" in TABLES["accuracy"](results).attrs["note"]


def test_the_figure_draws_means_of_both_weights(results: Results) -> None:
    first, *rest = FIGURES["accuracy"](results).axes
    assert [text.get_text() for text in first.get_xticklabels()] == [
        "standard\nshortcuts", "before\nthe ReLU", "no\nshortcuts"
    ]  # fmt: skip
    assert [axes.get_title().partition(",")[0] for axes in rest] == [
        "activation entropy", "activation maximum"
    ]  # fmt: skip
    lines = sorted(tuple(np.log10(line.get_ydata()).round(9)) for line in rest[1].lines)
    wanted = sorted((place - power + 1.0, place - power + 2.0) for place in range(3)
                    for power in range(2))  # fmt: skip
    assert lines == wanted


def test_without_classifiers_there_is_nothing_to_draw(tmp_path: Path) -> None:
    frame([], STATISTICS_COLUMNS).to_parquet(tmp_path / "stats.parquet")
    results = store.load(tmp_path)
    assert isinstance(results.accuracy, pd.DataFrame)
    with pytest.raises(NoDataError, match="no classifiers"):
        FIGURES["accuracy"](results)


def test_without_statistics_the_accuracies_stand_alone(results: Results) -> None:
    (results.folder / "stats.parquet").unlink()
    frame([], STATISTICS_COLUMNS).to_parquet(results.folder / "stats.parquet")
    alone = store.load(results.folder)
    assert len(FIGURES["accuracy"](alone).axes) == 1
    assert len(TABLES["accuracy"](alone)) == 5


def test_kinds_of_blocks_that_nobody_knows_are_left_out(results: Results) -> None:
    known = results.accuracy
    odd = known.assign(shortcut="odd", depth=34)
    more = replace(results, accuracy=pd.concat([odd, odd, known], ignore_index=True))
    pd.testing.assert_frame_equal(TABLES["accuracy"](more), TABLES["accuracy"](results))
    with pytest.raises(NoDataError, match="no classifiers"):
        FIGURES["accuracy"](replace(results, accuracy=odd))


def test_statistics_of_another_size_or_smoothing_are_left_out(results: Results) -> None:
    """As where the same networks were put on the bench again, into this folder."""
    own, few = results.statistics, results.statistics.iloc[:5]
    other = [few.assign(size=32, value=7.0), few.assign(resize="squash", value=7.0),
             own.assign(smoothing="softmax", value=7.0)]  # fmt: skip
    both = replace(results, statistics=pd.concat([*other, own], ignore_index=True))
    made = TABLES["accuracy"](both)
    pd.testing.assert_frame_equal(made, TABLES["accuracy"](results))
    assert made.attrs["note"] == TABLES["accuracy"](results).attrs["note"]
    assert "64 px" in made.attrs["note"]
