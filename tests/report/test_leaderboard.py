"""Leaderboards: jobs are merged, arms ranked, and what does not compare is kept apart."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stylebench.errors import InputError
from stylebench.report import leaderboard
from stylebench.store import Results
from tests.results import NOBODY, PAIRS, Change, arms, numbered, write

JUDGE = ("p-judge", "file:1")


def scores(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """A later arm gives more style, and all keep as much of the content at a style weight."""
    kept = 0.9 - 0.2 * jobs["style_weight"].rank(method="dense")
    given = 0.1 + 0.1 * jobs["arch"].map({"p-a": 0, "p-b": 1, "p-c": 2}) + 0.01 * jobs["_pair"]
    given += 0.2 * jobs["style_weight"].rank(method="dense")
    return [("ssim", NOBODY, kept), ("swd_share", JUDGE, given), ("gram_share", JUDGE, 0 * given)]


def at(weights: tuple[float, ...] = (1.0, 10.0), first: int = 0, **more: Any) -> Change:
    """Return a change that runs all jobs with style weights, numbered from a number on."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        every = numbered([frame.assign(style_weight=weight, **more) for weight in weights])
        return every.assign(job_id=[f"{int(job, 16) + first:016x}" for job in every["job_id"]])

    return change


def folder(
    out: Path, names: tuple[str, ...], change: Change, pairs: tuple[tuple[str, str], ...] = PAIRS
) -> Results:
    return write(out, arms(names, ("none",)), pairs, 1, scores, change)


def test_arms_of_two_folders_stand_on_one_board(tmp_path: Path) -> None:
    folder(tmp_path / "mine", ("p-a", "p-b"), at())
    folder(tmp_path / "theirs", ("p-c",), at(first=1000))
    made = leaderboard.make([tmp_path / "mine", tmp_path / "theirs"])
    (board,) = made.boards
    assert board.rows["arm"].tolist() == ["p-c", "p-b", "p-a"]
    assert board.rows["folders"].tolist() == ["theirs", "mine", "mine"]
    assert board.rows["pairs"].tolist() == [6, 6, 6]
    assert board.measure == "swd_share by p-judge"
    assert (board.rows["low"] < board.rows["style"]).all()
    assert (board.rows["style"] < board.rows["high"]).all()
    assert board.apart == ""
    assert made.remarks == ["versions: torch 2.0"]
    assert leaderboard.make([tmp_path]).boards[0].rows.equals(board.rows)


def test_who_gives_as_much_has_the_same_place(tmp_path: Path) -> None:
    def alike(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
        found = scores(jobs.assign(arch=jobs["arch"].replace({"p-b": "p-a", "p-d": "p-b"})))
        first = jobs["arch"].eq("p-a") * 1e-15  # what rounding does is no difference
        return [(name, judge, values + first) for name, judge, values in found]

    names = ("p-a", "p-b", "p-c", "p-d")
    write(tmp_path / "one", arms(names, ("none",)), PAIRS, 1, alike, at())
    (board,) = leaderboard.make([tmp_path]).boards
    assert board.rows["arm"].tolist()[:2] == ["p-c", "p-d"]
    assert board.rows["place"].tolist() == [1, 2, 3, 3]


def test_a_job_of_two_folders_counts_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder(tmp_path / name, ("p-a", "p-b"), at())
    made = leaderboard.make([tmp_path / "one", tmp_path / "two", tmp_path / "one"])
    alone = leaderboard.make([tmp_path / "one"])
    (board,) = made.boards
    assert board.rows.equals(alone.boards[0].rows)
    assert "24 jobs are in several folders and count once" in made.remarks


@pytest.mark.parametrize(("more", "told"), [
    ({"size": 128}, "other size"), ({"preset": "paper"}, "other preset"),
    ({"evals_budget": 9}, "other evaluations"), ({"resize": "square"}, "other resizing"),
])  # fmt: skip
def test_what_was_run_otherwise_is_kept_apart(
    tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    folder(tmp_path / "one", ("p-a", "p-b"), at())
    folder(tmp_path / "two", ("p-c",), at(first=1000, **more))
    first, second = leaderboard.make([tmp_path]).boards
    assert first.rows["arm"].tolist() == ["p-b", "p-a"]
    assert second.rows["arm"].tolist() == ["p-c"]
    assert second.apart == f"not comparable with the first: {told}"


def test_other_pairs_and_style_weights_are_kept_apart_and_common_ones_compared(
    tmp_path: Path,
) -> None:
    folder(tmp_path / "one", ("p-a", "p-b"), at())
    folder(tmp_path / "two", ("p-c",), at((1.0, 3.0, 10.0), first=1000), PAIRS[:3])
    made = leaderboard.make([tmp_path])
    shown = {(board.title.split("style weight ")[1], *board.rows["arm"]) for board in made.boards}
    assert shown == {("1, 10, 6 pairs", "p-b", "p-a"), ("1, 3, 10, 3 pairs", "p-c")}
    folder(tmp_path / "three", ("p-c",), at(first=2000), PAIRS[:2])
    made = leaderboard.make([tmp_path])
    shown = {(board.title.split("style weight ")[1], *board.rows["arm"]) for board in made.boards}
    assert ("1, 10, 2 pairs", "p-c", "p-b", "p-a") in shown


def test_what_people_prefer_stands_beside_it(tmp_path: Path) -> None:
    found = folder(tmp_path / "one", ("p-a", "p-b"), at())
    job = found.results.loc[found.results["arch"].eq("p-a"), "job_id"].iloc[0]
    made = leaderboard.make([tmp_path], {job: ("style", 0.5, 0.25, 0.75)})
    rows = made.boards[0].rows.set_index("arm")["preference"]
    assert rows.to_dict() == {"p-a": "style +0.50 [+0.25, +0.75]", "p-b": ""}


def test_page_and_table_say_all_and_obey_no_name(tmp_path: Path) -> None:
    found = folder(tmp_path / "one", ("p-a", "p-b"), at())
    hostile = found.results.assign(weights="=<script>alert(1)</script>")
    hostile.to_parquet(tmp_path / "one" / "results.parquet")
    made = leaderboard.make([tmp_path])
    page, table = leaderboard.write(made, tmp_path)
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    rows = pd.read_csv(table)
    assert rows["place"].tolist() == [1, 2]
    assert rows["weights"].str.startswith("'=").all()


def test_what_holds_no_metrics(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results, and no folders with results"):
        leaderboard.make([tmp_path])
    folder(tmp_path / "one", ("p-a",), at())
    (tmp_path / "one" / "metrics.parquet").unlink()
    with pytest.raises(InputError, match="no metrics; make them with `stylebench judge`"):
        leaderboard.make([tmp_path])
    folder(tmp_path / "two", ("p-b",), at(first=1000, size=128))
    (remark, _) = leaderboard.make([tmp_path]).remarks[::-1][:2]
    assert remark.startswith("left out, without metrics of style and content: 64 px")
