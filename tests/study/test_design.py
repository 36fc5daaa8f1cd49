"""Designs of studies: balance, repeats, attention checks, and how arms are named."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest

from stylebench.errors import InputError
from stylebench.store import Results
from stylebench.study import design
from stylebench.study.design import SCRAMBLED, UNTOUCHED, Design
from tests.results import PAIRS, arms, by_arm, gone_wrong, make, numbered, write
from tests.study.simulated import ARMS, results


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results(tmp_path_factory.mktemp("results") / "out")


@pytest.mark.parametrize(("count", "comparisons", "pairs"), [
    (3, 24, 8), (3, 9, 3), (4, 24, 8), (5, 10, 6), (2, 7, 7), (6, 15, 1),
])  # fmt: skip
def test_every_two_arms_meet_equally_often_on_both_sides_and_on_the_same_pictures(
    tmp_path: Path, count: int, comparisons: int, pairs: int
) -> None:
    names = ("p-vgg19", "p-resnet50", "r-vgg19", "r-resnet50", "r-alexnet", "p-alexnet")[:count]
    made = design.make(results(tmp_path, names, pairs), "style", comparisons=comparisons)
    trials = made.of_kind("pair")
    each = comparisons // (count * (count - 1) // 2)
    met = Counter(frozenset((t.a, t.b)) for t in trials)
    assert set(met.values()) == {each}
    assert len(met) == count * (count - 1) // 2
    left = Counter((t.a, t.b) for t in trials)
    for a, b in met:
        assert abs(left[a, b] - left[b, a]) == each % 2
        cells = {(t.content, t.style, t.seed) for t in trials if {t.a, t.b} == {a, b}}
        assert len(cells) == each
    assert len({(t.content, t.style, t.seed) for t in trials}) == each
    sides = [sum(t.a == name for t in trials) - sum(t.b == name for t in trials) for name in names]
    assert max(map(abs, sides)) <= (count - 1 if each % 2 else 0)


def test_repeats_come_after_what_they_repeat_with_sides_exchanged(found: Results) -> None:
    made = design.make(found, "style")
    whole = {trial.trial: trial for trial in made.trials}
    assert len(whole) == 24 + 4 + 2
    assert [sum(t.part == part for t in made.of_kind("pair")) for part in range(3)] == [12, 3, 9]
    repeats = made.of_kind("repeat")
    for repeat in repeats:
        shown = whole[repeat.of]
        assert (shown.kind, shown.part, repeat.part) == ("pair", 0, 2)
        assert (repeat.a, repeat.b, repeat.job_a) == (shown.b, shown.a, shown.job_b)
        assert (repeat.content, repeat.style) == (shown.content, shown.style)
    assert len({frozenset((t.a, t.b)) for t in repeats}) == 3


@pytest.mark.parametrize(
    ("question", "beside", "right"),
    [("style", UNTOUCHED, False), ("content", UNTOUCHED, True), ("overall", SCRAMBLED, False)],
)
def test_attention_checks(found: Results, question: str, beside: str, right: bool) -> None:
    made = design.make(found, question)
    checks = made.of_kind("check")
    assert sorted(check.expected for check in checks) == ["a", "b"]
    assert sorted(check.part for check in checks) == [0, 2]
    assert len({(check.content, check.style) for check in checks}) == 2
    for check in checks:
        wanted = check.a if check.expected == "a" else check.b
        assert {check.a, check.b} & {beside}
        assert (wanted == beside) == right


def test_attention_checks_show_what_moved_most(tmp_path: Path) -> None:
    def change(jobs: pd.DataFrame) -> pd.DataFrame:
        jobs["moved"] = range(len(jobs))
        jobs.loc[jobs.index[-1], "flags"] = "did-not-move"
        return jobs

    found = write(tmp_path / "out", arms(ARMS, ("none",)), PAIRS, 1, by_arm, change)
    made = design.make(found, "style")
    assert {int(check.job_a, 16) for check in made.of_kind("check")} == {16, 15}


def test_no_one_can_foresee_a_design_and_one_chance_gives_one(found: Results) -> None:
    one, other = (design.make(found, "style").trials for _ in range(2))
    assert [t.trial for t in one] != [t.trial for t in other]
    assert design.make(found, "style", chance=Random(1)).trials == (
        design.make(found, "style", chance=Random(1)).trials
    )


def test_pictures_are_of_many_pairs_before_they_are_of_many_seeds() -> None:
    cells = [(f"c{c}", f"s{s}", seed) for c in range(3) for s in range(3) for seed in range(4)]
    taken = design.spread(cells, 9, Random(0))
    assert len({cell[:2] for cell in taken}) == 9
    taken = design.spread(cells, 3, Random(0))
    assert len({c for c, _, _ in taken}) == len({s for _, s, _ in taken}) == 3


NAMES = ["r-vgg19", "r-resnet50", "r-resnet50+gamma=0+pool=avg"]


@pytest.mark.parametrize(("texts", "expected"), [
    (["r-vgg19,r-resnet50"], ["r-vgg19, none", "r-resnet50, none"]),
    (["r-vgg19,softmax,r-vgg19,none"], ["r-vgg19, softmax", "r-vgg19, none"]),
    (["r-vgg19, softmax", "r-resnet50"], ["r-vgg19, softmax", "r-resnet50, none"]),
    (["vgg19, softmax(temperature=10), resnet50"],
     ["r-vgg19, softmax(temperature=10)", "r-resnet50, none"]),
    (["r-resnet50+pool=avg+gamma=0,softmax", "r-vgg19"],
     ["r-resnet50+gamma=0+pool=avg, softmax", "r-vgg19, none"]),
])  # fmt: skip
def test_arms_are_named_as_compare_names_them(
    tmp_path: Path, texts: list[str], expected: list[str]
) -> None:
    given = arms(NAMES, ("none", "softmax", "softmax(temperature=10)"))
    found = write(tmp_path / "out", given, PAIRS[:2], 1, by_arm)
    assert design.chosen(design.jobs(found), texts) == expected


def test_arms_that_differ_in_settings_alone(tmp_path: Path) -> None:
    def change(jobs: pd.DataFrame) -> pd.DataFrame:
        return numbered([jobs.assign(style_weight=weight) for weight in (1.0, 10.0)])

    found = make(tmp_path / "out", ["p-vgg19"], ["none"], seeds=1, change=change)
    frame = design.jobs(found)
    names = [str(name) for name in frame["arm"].sort_values().unique()]
    assert len(names) == 2
    assert design.chosen(frame, [",".join(names)]) == names == design.chosen(frame, [])


@pytest.mark.parametrize(("more", "message"), [
    ({"texts": ["p-vgg19"]}, "--arms expects two arms at least, found 'p-vgg19'; there are"),
    ({"texts": ["p-vgg19,p-vgg19"]}, "--arms names 'p-vgg19' twice"),
    ({"texts": ["p-vgg19,p-resnet5"]}, "--arms, found 'p-vgg19, p-resnet5'"),
    ({"texts": ["p-vgg19", "p-resnet5"]}, "did you mean 'p-resnet50'"),
    ({"comparisons": 25}, "expected a multiple of 3, so that every two of 3 arms meet equally "
     "often, such as 24 or 27"),
    ({"comparisons": 0}, "such as 3 or 6"),
    ({"comparisons": 27}, "they have 8 pictures in common; expected --pairs 24 at most"),
])  # fmt: skip
def test_wrong_wishes(found: Results, more: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        design.make(found, "style", **more)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_many_arms_are_no_study_that_nobody_asked_for(tmp_path: Path) -> None:
    found = make(tmp_path / "out", [f"p-a{number}" for number in range(8)], ["none"], seeds=1)
    with pytest.raises(InputError, match=r"make 28 comparisons, expected at most 24 .* --pairs 28"):
        design.make(found, "style")
    assert len(design.make(found, "style", comparisons=28).of_kind("pair")) == 28
    assert len(design.make(found, "style", ["p-a0", "p-a1"]).of_kind("pair")) == 2


def test_what_cannot_be_shown_is_not(tmp_path: Path) -> None:
    found = make(tmp_path / "a", change=gone_wrong)
    (tmp_path / "a" / "images" / f"{8:016x}.jpg").write_bytes(b"no picture")
    made = design.make(found, "style", ["r-vgg19", "r-resnet50"])
    shown = {job for t in made.trials for job in (t.job_a, t.job_b)}
    assert not shown & {f"{number:016x}" for number in (1, 3, 8)}


def test_arms_without_common_pictures(tmp_path: Path) -> None:
    def change(jobs: pd.DataFrame) -> pd.DataFrame:
        return jobs[jobs["arch"].eq("p-vgg19") == jobs["content"].eq("cat")]

    found = make(tmp_path / "out", ["p-vgg19", "p-resnet50"], ["none"], change=change)
    with pytest.raises(InputError, match="the 2 arms have no pictures in common"):
        design.make(found, "style")
    still = make(tmp_path / "still", ["p-vgg19", "p-resnet50"], ["none"],
                 change=lambda jobs: jobs.assign(flags="did-not-move"))  # fmt: skip
    with pytest.raises(InputError, match="none of these results moved"):
        design.make(still, "style")
    failed = make(tmp_path / "failed", change=lambda jobs: jobs.assign(status="failed"))
    with pytest.raises(InputError, match="no finished stylisation"):
        design.make(failed, "style")


@pytest.mark.parametrize("change", [{"seed": -1}, {"job_id": "../../x"}])
def test_jobs_that_are_none_of_ours(tmp_path: Path, change: dict[str, Any]) -> None:
    found = results(tmp_path / "out", pairs=2)
    for key, value in change.items():
        found.results[key] = value
    with pytest.raises(InputError, match=r"results\.parquet has a job whose"):
        design.make(found, "style")


def test_links_in_a_results_folder_are_not_followed(tmp_path: Path) -> None:
    found = results(tmp_path / "out", pairs=2)
    (tmp_path / "out" / "images").rename(tmp_path / "home")
    (tmp_path / "out" / "images").symlink_to(tmp_path / "home")
    with pytest.raises(InputError, match="is a symbolic link"):
        design.make(found, "style")


def test_a_design_is_read_as_it_was_written(found: Results, tmp_path: Path) -> None:
    made = design.make(found, "content", command="stylebench study make")
    (tmp_path / "study").mkdir()
    design.write(made, found, tmp_path / "study")
    assert design.read(tmp_path / "study") == made
    with pytest.raises(InputError, match="holds no study"):
        design.read(tmp_path)
    (tmp_path / "study" / "design.json").write_text(made.model_dump_json()[:-30])
    with pytest.raises(InputError, match="is damaged"):
        design.read(tmp_path / "study")
    assert Design.model_validate(made.model_dump()) == made
