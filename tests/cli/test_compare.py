"""The command ``stylebench compare``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stylebench.figures import TABLES
from stylebench.store import Results
from tests.cli.bench import invoke, refused
from tests.results import NOBODY, PAIRS, arms, make, numbered, write

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")
NAMES = ["r-vgg19", "r-resnet50", "r-resnet50+gamma=0+pool=avg"]


def by_pair(jobs: pd.DataFrame) -> list[tuple[str, tuple[str, str], "pd.Series[float]"]]:
    """An arm's colour is 0.1 more than that of the one before, ± 0.014 a pair, 0.3 a seed."""
    value = 0.1 * jobs["_arm"] + 0.014 * jobs["_pair"] * (jobs["_arm"] % 3) + 0.3 * jobs["seed"]
    judges = ("p-a", "file:1"), ("p-a", "file:2")
    return [("colour_share", NOBODY, value), *(("swd_share", judge, value) for judge in judges)]


def folder(pairs: int = 3, seeds: int = 3) -> Results:
    given = arms(NAMES, ("none", "softmax", "softmax(temperature=10)"))
    return write(Path("out"), given, PAIRS[:pairs], seeds, by_pair)


def test_two_arms_a_line_a_metric_and_judge() -> None:
    folder()
    done = invoke("compare", "out", "--a", "r-vgg19,softmax", "--b", "r-vgg19")
    assert (done.status, done.err) == (0, "")
    said = "+0.114 [0.100, 0.128] p 0.25, 3 pairs × 3 seeds (under 6 pairs p cannot be below 0.05)"
    assert done.out.splitlines() == [
        "a  r-vgg19, softmax",
        "b  r-vgg19, none",
        f"swd_share by p-a file:1  {said}",
        f"swd_share by p-a file:2  {said}",
        f"colour_share             {said}",
    ]


def test_six_pairs_tell_what_they_would_have_shown_and_which_is_better() -> None:
    made = folder(6, 1)
    row = invoke("compare", "out", "--a", "r-vgg19", "--b", "r-vgg19 softmax").out.splitlines()[-1]
    told = "-0.135 [-0.154, -0.116] p 0.031, 6 pairs × 1 seed"
    assert row.startswith(f"colour_share             {told}")
    assert row.endswith(" would have shown); b is better")
    jobs = made.results
    stuck = jobs["arch"].eq("r-vgg19") & jobs["smoothing"].eq("softmax")
    jobs["flags"] = jobs["flags"].mask(stuck, "did-not-move")
    jobs.to_parquet("out/results.parquet")
    row = invoke("compare", "out", "--a", "r-vgg19", "--b", "r-vgg19 softmax").out.splitlines()[-1]
    assert row.endswith(" would have shown); 0 of a and 6 of b did not move or diverged")


def test_a_judge_that_judged_no_pair_of_both_is_named() -> None:
    made = folder()
    ours = made.results.loc[made.results["arch"].eq("r-vgg19"), "job_id"]
    away = made.metrics["job_id"].isin(ours) & made.metrics["judge_weights"].eq("file:1")
    made.metrics["judge"] = made.metrics["judge"].mask(away, "p-b")
    made.metrics.to_parquet("out/metrics.parquet")
    done = invoke("compare", "out", "--a", "r-vgg19", "--b", "r-resnet50")
    assert done.out.splitlines()[-1].startswith("left out: p-b judged no pair of pictures of both")
    row = json.loads(
        invoke("compare", "out", "--a", "r-vgg19", "--b", "r-resnet50", "--json").out.splitlines()[
            0
        ]
    )
    assert row["judge"] != "p-b"


def test_numbers_are_those_of_the_table() -> None:
    table = TABLES["comparisons"](folder(6, 2))
    a, b = "r-vgg19, none", "r-resnet50, none"
    rows = table[(table["a"] == a) & (table["b"] == b)].drop(columns="p_holm").to_dict("records")
    done = invoke("compare", "out", "--a", "r-vgg19", "--b", "r-resnet50", "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == rows

    assert rows[0]["difference"] == pytest.approx(-0.3)


def test_json_has_null_for_what_is_not_known() -> None:
    folder(1, 1)
    done = invoke("compare", "out", "--a", "r-vgg19", "--b", "r-resnet50", "--json")
    first = json.loads(done.out.splitlines()[0])
    assert [first[key] for key in ("low", "high", "p", "detectable")] == [None] * 4
    shown = invoke("compare", "out", "--a", "r-vgg19", "--b", "r-resnet50").out.splitlines()[-1]
    assert (
        shown.split(None, 1)[1] == "-0.30, 1 pair × 1 seed (under 6 pairs p cannot be below 0.05)"
    )


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("r-vgg19", "r-vgg19, none"),
        ("r-vgg19,none", "r-vgg19, none"),
        ("r-vgg19 softmax", "r-vgg19, softmax"),
        ("r-vgg19, softmax", "r-vgg19, softmax"),
        ("softmax r-vgg19", "r-vgg19, softmax"),
        ("r-vgg19,softmax(temperature=10)", "r-vgg19, softmax(temperature=10)"),
        ("r-resnet50", "r-resnet50, none"),
        ("vgg19", "r-vgg19, none"),
        ("softmax vgg19", "r-vgg19, softmax"),
        ("r-resnet50+gamma=0+pool=avg", "r-resnet50+gamma=0+pool=avg, none"),
        ("r-resnet50+pool=avg+gamma=0,softmax", "r-resnet50+gamma=0+pool=avg, softmax"),
    ],
)
def test_how_an_arm_is_called(text: str, arm: str) -> None:
    folder(1, 1)
    other = "r-vgg19,softmax" if "none" in arm else "r-vgg19"
    done = invoke("compare", "out", "--a", text, "--b", other)
    assert done.out.splitlines()[0] == f"a  {arm}"


def test_options_that_all_arms_share_may_be_named_or_not() -> None:
    given = arms(["r-vgg19+pool=avg", "r-resnet50+pool=avg"], ["none"])
    write(Path("out"), given, PAIRS[:2], 1, by_pair)
    for a in ("r-vgg19", "r-vgg19+pool=avg"):
        done = invoke("compare", "out", "--a", a, "--b", "r-resnet50")
        assert done.out.startswith("a  r-vgg19\nb  r-resnet50\n"), done


def test_settings_are_named_by_their_words() -> None:
    def change(jobs: pd.DataFrame) -> pd.DataFrame:
        return numbered([jobs.assign(image=image) for image in ("pixels", "fourier")])

    write(Path("out"), arms(["r-vgg19"]), PAIRS[:2], 1, by_pair, change)
    told = refused("compare", "out", "--a", "r-vgg19", "--b", "fourier")
    assert "--a, 'r-vgg19' names 2 of them: 'none, fourier', 'none, pixels'" in told
    done = invoke("compare", "out", "--a", "pixels", "--b", "fourier softmax")
    assert done.out.startswith("a  none, pixels\nb  softmax, fourier\n")


@pytest.mark.parametrize(
    "text",
    ["Small", "nets.py:Small", "./nets.py:Small", "/home/me/my/nets.py:Small",
     "r-../nets.py:Small none", "none,p/q/nets.py:Small"],
)  # fmt: skip
def test_a_network_of_a_file_is_called_as_it_was_given(text: str) -> None:
    write(Path("out"), arms(["r-nets.py:Small", "r-nets.py:Large"]), PAIRS[:2], 1, by_pair)
    done = invoke("compare", "out", "--a", text, "--b", "r-nets.py:Large")
    assert done.out.startswith("a  r-nets.py:Small, none\n"), done
    line = refused("compare", "out", "--a", text.replace("Small", "Smal"), "--b", "nets.py:Large")
    assert "; did you mean 'r-nets.py:Small, none' or '" in line


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "expected --a ARM and --b ARM; there are 'r-vgg19, none', "),
        (["--a", "r-vgg19"], "expected --a ARM and --b ARM; there are "),
        (
            ["--a", "r-vgg91", "--b", "r-vgg19"],
            "--a, found 'r-vgg91'; did you mean 'r-vgg19, none'",
        ),
        (["--a", "r-vgg19", "--b", "mean"], "--b, found 'mean'; there are 'r-vgg19, none'"),
        (["--a", "r-vgg19", "--b", ""], "--b, found ''; there are 'r-vgg19, none'"),
        (["--a", "r-vgg19", "--b", " , "], "--b, found ' , '; there are "),
        (
            ["--a", "softmax", "--b", "r-vgg19"],
            "--a, 'softmax' names 3 of them: 'r-vgg19, softmax'",
        ),
        (
            ["--a", "r-vgg19", "--b", "r-vgg19,none"],
            "--a and --b are both 'r-vgg19, none'; expected",
        ),
    ],
)
def test_bad_arms(flags: list[str], told: str) -> None:
    folder(1, 1)
    assert told in refused("compare", "out", *flags)


def test_at_most_a_dozen_names() -> None:
    write(Path("out"), arms([f"r-resnet50+gamma={n}" for n in range(20)]), PAIRS[:1], 1, by_pair)
    told = refused("compare", "out")
    assert told.count("r-resnet50") == 12
    assert told.endswith(" and 28 more\n")


def test_bad_folders() -> None:
    both = ("--a", "r-vgg19", "--b", "r-resnet50")
    assert "holds no results" in refused("compare", "missing", *both)
    make(Path("out"), scores=lambda jobs: [("gram", NOBODY, jobs["style_loss"] * np.nan)])
    apart = "'r-vgg19, none' and 'r-resnet50, none' share no pair of pictures under a common metric"
    assert apart in refused("compare", "out", *both)
    Path("out/metrics.parquet").unlink()
    assert "'out' holds no metrics; make them with `stylebench judge out`" in refused(
        "compare", "out", *both
    )
    shutil.rmtree("out")
