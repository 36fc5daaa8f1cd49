"""The tables "metrics" and "comparisons", on made-up numbers."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stylebench.figures import TABLES, NoDataError, draw
from stylebench.report.tables import tables
from stylebench.store import Results
from tests.results import NOBODY, arms, make, write

ARCHS = ("p-vgg19", "p-resnet50", "r-resnet50")
PAIRS = [(f"photo{index}", "mosaic") for index in range(8)]


def nearer(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """p-vgg19 is nearer than p-resnet50, by 0.1 + 0.01·pair."""
    pair = jobs["_pair"].astype(float)
    step = (0.1 + 0.01 * pair) * (jobs["arch"] == "p-resnet50") + 0.2 * jobs["seed"]
    return [("gram", ("r-tiny", "random:0"), 1 + step), ("ssim", NOBODY, 0.5 + 0.0 * pair)]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Results:
    given = arms(ARCHS)
    return write(tmp_path_factory.mktemp("judged") / "out", given, PAIRS, 2, nearer)


def test_means_with_intervals(judged: Results) -> None:
    table = TABLES["metrics"](judged)
    assert len(table) == 3 * 2 * 2
    assert list(table["arch"][:4]) == ["p-vgg19"] * 4
    assert list(table["smoothing"][:4]) == ["none", "none", "softmax", "softmax"]
    assert list(table["metric"][:2]) == ["gram", "ssim"]
    assert list(table["better"][:2]) == ["lower", "higher"]
    row = table[(table["arch"] == "p-resnet50") & (table["metric"] == "gram")].iloc[0]
    assert row["mean"] == pytest.approx(1.1 + 0.01 * np.arange(8).mean())
    assert 1.1 < row["low"] < row["mean"] < row["high"] < 1.18
    assert (row["pairs"], row["seeds"], row["judge"]) == (8, 1, "r-tiny")
    random = table[(table["arch"] == "r-resnet50") & (table["metric"] == "gram")].iloc[0]
    assert (random["pairs"], random["seeds"]) == (8, 2)
    # Seeds differ by 0.2, pairs do not: what is left of the spread is none.
    assert (random["mean"], random["low"], random["high"]) == pytest.approx((1.1, 1.1, 1.1))
    assert random["weights"] == "random:0, random:1"


def test_comparisons_are_paired(judged: Results) -> None:
    table = TABLES["comparisons"](judged)
    gram = table[table["metric"] == "gram"].set_index(["a", "b"])
    row: Any = gram.loc["p-vgg19, none", "p-resnet50, none"]
    assert row["difference"] == pytest.approx(-(0.1 + 0.01 * np.arange(8)).mean())
    assert row["mean_a"] - row["mean_b"] == pytest.approx(row["difference"])
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["p"] == pytest.approx(2 / 2**8)
    assert (row["pairs"], row["favours"]) == (8, "p-vgg19, none")
    smoothings = gram.loc[[(f"{name}, none", f"{name}, softmax") for name in ARCHS]]
    assert set(smoothings["difference"]) == {0.0}
    assert set(smoothings["p"]) == {1.0}
    assert set(smoothings["favours"]) == {""}
    assert set(smoothings["pairs"]) == {8}  # seeds of a pair are not pairs of their own
    counts = ["seeds", "jobs", "still_a", "still_b"]
    assert smoothings[counts].to_numpy().tolist() == [[1, 8, 0, 0], [1, 8, 0, 0], [2, 16, 0, 0]]


def test_all_arms_are_compared_one_change_first(judged: Results) -> None:
    table = TABLES["comparisons"](judged)
    pairs = list(dict.fromkeys(zip(table["a"], table["b"], strict=True)))
    names = [f"{arch}, {smoothing}" for arch in ARCHS for smoothing in ("none", "softmax")]
    assert {frozenset(pair) for pair in pairs} == {
        frozenset(pair) for pair in itertools.combinations(names, 2)
    }
    differ = [sum(x != y for x, y in zip(a.split(", "), b.split(", "), strict=True))
              for a, b in pairs]  # fmt: skip
    assert differ == [1] * 9 + [2] * 6
    assert "note" not in table.attrs


def test_p_is_corrected_over_the_comparisons_of_a_metric_and_judge(judged: Results) -> None:
    table = TABLES["comparisons"](judged)
    assert list(table).index("p_holm") == list(table).index("p") + 1
    for _, part in table.groupby(["metric", "judge"], observed=True):
        p = part["p"].tolist()
        ascending, worst, expected = (
            sorted(range(len(p)), key=lambda i: p[i]),
            0.0,
            dict[int, float](),
        )
        for place, index in enumerate(ascending):  # Holm 1979: (m − k + 1)·p(k), never falling
            worst = max(worst, (len(p) - place) * p[index])
            expected[index] = min(1.0, worst)
        assert part["p_holm"].tolist() == pytest.approx([expected[i] for i in range(len(p))])
    gram = table[table["metric"] == "gram"]
    least = gram[gram["p"] == 2 / 2**8]  # eight of fifteen: each times fifteen
    assert (len(gram), len(least)) == (15, 8)
    assert set(least["p_holm"]) == {15 * 2 / 2**8}


@pytest.mark.slow
def test_of_many_arms_a_table_stays_readable(tmp_path: Path) -> None:
    many = [f"r-resnet50+gamma={number}" for number in range(7)]
    results = write(tmp_path / "out", arms(many), PAIRS[:1], 1, nearer)
    table = TABLES["comparisons"](results)
    assert len(table[["a", "b"]].drop_duplicates()) == 66
    assert table.attrs["note"].startswith("25 of 91 comparisons of 14 arms are left out: `styl")
    one = [a.split(", ")[i] == b.split(", ")[i] for a, b in zip(table["a"], table["b"], strict=True)
           for i in (0, 1)]  # fmt: skip
    assert sum(one) == len(table[["a", "b"]].drop_duplicates().iloc[:49]) * 2
    list(draw(results.folder, ["comparisons"]))
    text = (results.folder / "tables/comparisons.md").read_text(encoding="utf-8")
    assert table.attrs["note"] in text
    (shown,) = [each for each in tables(results) if each.key == "table-comparisons"]
    assert shown.note.endswith(table.attrs["note"])


@pytest.mark.parametrize(
    ("column", "value"),
    [("flags", "did-not-move few-evaluations"), ("stop_reason", "diverged")],
)
def test_jobs_that_did_not_move_favour_nobody(judged: Results, column: str, value: str) -> None:
    jobs = judged.results
    arm = jobs["arch"].eq("p-vgg19") & jobs["smoothing"].eq("none")
    for stuck, favours in ((4, "p-vgg19, none"), (5, "")):
        own = arm & jobs["content"].isin([f"photo{number}" for number in range(stuck)])
        changed = jobs.assign(**{column: jobs[column].mask(own, value)})
        table = TABLES["comparisons"](replace(judged, results=changed))
        found = table[table["metric"] == "gram"].set_index(["a", "b"])
        row: Any = found.loc["p-vgg19, none", "p-resnet50, none"]
        assert (row["still_a"], row["still_b"], row["favours"]) == (stuck, 0, favours)
        other = found.loc[("p-vgg19, softmax", "p-resnet50, softmax"), "favours"]
        assert other == "p-vgg19, softmax"


def test_arms_of_different_precision_are_compared(judged: Results) -> None:
    fast = judged.results["precision"].mask(judged.results["smoothing"].eq("none"), "bf16")
    both = replace(judged, results=judged.results.assign(precision=fast))
    table = TABLES["comparisons"](both)
    pd.testing.assert_frame_equal(table, TABLES["comparisons"](judged))
    assert set(TABLES["metrics"](both)["precision"]) == {"fp32", "bf16"}


def test_higher_is_better_turns_the_favour(judged: Results) -> None:
    turned = judged.metrics.replace({"metric": {"gram": "gram_share"}})
    table = TABLES["comparisons"](replace(judged, metrics=turned))
    row = table[(table["b"] == "p-resnet50, none") & (table["metric"] == "gram_share")].iloc[0]
    assert (row["a"], row["favours"]) == ("p-vgg19, none", "p-resnet50, none")


def test_five_pairs_favour_nobody(judged: Results) -> None:
    few = judged.metrics[judged.metrics["content"] < "photo5"]
    table = TABLES["comparisons"](replace(judged, metrics=few))
    row = table[(table["b"] == "p-resnet50, none") & (table["metric"] == "gram")].iloc[0]
    assert (row["pairs"], row["p"], row["favours"]) == (5, 2 / 2**5, "")
    assert row["high"] < 0


def test_only_a_common_judge_compares_backbones(judged: Results) -> None:
    own = judged.metrics["arch"].eq("p-vgg19") & judged.metrics["judge"].ne("")
    other = judged.metrics.assign(judge=judged.metrics["judge"].mask(own, "r-vgg16"))
    table = TABLES["comparisons"](replace(judged, metrics=other))
    across = table["a"].str.startswith("p-vgg19") & table["b"].str.startswith("p-resnet50")
    assert set(table.loc[across, "metric"]) == {"ssim"}


def test_what_is_not_defined_does_not_count(judged: Results) -> None:
    frame = judged.metrics.copy()
    frame.loc[frame["content"].isin(["photo0", "photo1"]), "value"] = np.nan
    table = TABLES["metrics"](replace(judged, metrics=frame))
    assert set(table["pairs"]) == {6}


def test_metrics_of_an_unknown_plugin_are_shown(judged: Results) -> None:
    other = judged.metrics.replace({"metric": {"ssim": "mine"}})
    both = replace(judged, metrics=other)
    table = TABLES["metrics"](both)
    assert set(table.loc[table["metric"] == "mine", "better"]) == {""}
    assert "mine" in set(TABLES["comparisons"](both)["metric"])


@pytest.mark.parametrize("name", ["metrics", "comparisons"])
def test_old_folders_have_none(name: str, tmp_path: Path) -> None:
    made = make(tmp_path / "out", archs=["r-vgg19"])
    empty = replace(made, metrics=made.metrics[:0])
    with pytest.raises(NoDataError, match="make them with `stylebench judge`"):
        TABLES[name](empty)


def test_nothing_to_compare(judged: Results) -> None:
    one = judged.metrics[
        judged.metrics["smoothing"].eq("none") & judged.metrics["arch"].eq("p-vgg19")
    ]
    with pytest.raises(NoDataError, match="nothing to compare: these results have one arm"):
        TABLES["comparisons"](replace(judged, metrics=one))
