"""Answers, and what is read of them: scores, agreement, metrics, who is left out and why."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stylebench.errors import InputError
from stylebench.study import answers, read, scores
from stylebench.study.design import Design
from tests.study.simulated import SCORES, people, results, study
from tests.study.simulated import answers as answered


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def made(folder: Path) -> Design:
    return study(folder / "study", results(folder / "out"))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "RESAMPLES", 200)


def inside(table: pd.DataFrame, true: dict[str, float]) -> bool:
    """Tell whether the true scores of all arms are within their intervals."""
    wanted = table["arm"].map(true).to_numpy() - np.mean([*true.values()])
    return bool(((table["low"] <= wanted) & (wanted <= table["high"])).all())


def recovered(folder: Path, made: Design, studies: int) -> int:
    """Return in how many simulated studies all intervals hold the true scores."""
    count = 0
    for seed in range(studies):
        kept = answers.gather(people(folder / "answers", made, seed=seed), made)
        assert not any(each.left_out for each in kept)
        found = read.read(made, read.metrics_of(made, folder / "study"), kept)
        assert found.simulated
        count += inside(found.tables["scores"], SCORES)
    return count


@pytest.mark.usefixtures("few")
def test_a_few_simulated_studies_tell_what_was_put_in(folder: Path, made: Design) -> None:
    assert recovered(folder, made, 3) >= 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_simulated_studies_tell_what_was_put_in(folder: Path, made: Design) -> None:
    assert recovered(folder, made, 100) >= 90


def won(scored: scores.Array, chance: np.random.Generator) -> scores.Array:
    """Return (…, n, n): 1 where the arm of the row is preferred, by Bradley–Terry's odds."""
    n = scored.shape[-1]
    found = np.zeros((*scored.shape, n))
    for i, j in itertools.combinations(range(n), 2):
        found[..., i, j] = chance.random(scored.shape[:-1]) < odds(scored[..., i] - scored[..., j])
        found[..., j, i] = 1 - found[..., i, j]
    return found


def odds(difference: scores.Array) -> scores.Array:
    return np.asarray(1 / (1 + np.exp(-difference)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_intervals_allow_for_people_and_pictures_that_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 100 studies intervals that draw single answers hold the true scores of 55."""
    monkeypatch.setattr(scores, "RESAMPLES", 400)
    spread, mean = 0.5, np.array([*SCORES.values()])
    drawn = mean + np.random.default_rng(99).normal(0, spread * 2**0.5, (400_000, 3))
    every = odds(drawn[:, :, None] - drawn[:, None]).mean(0) * (1 - np.eye(3))
    true, held = scores.bradley_terry(1e6 * every), 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        person, pair = (chance.normal(0, spread, shape) for shape in ((12, 1, 3), (1, 8, 3)))
        ends = scores.intervals(won(mean + person + pair, chance), np.random.default_rng(0))
        held += bool(((ends[:, 0] <= true) & (true <= ends[:, 1])).all())
    assert held >= 90


@pytest.mark.usefixtures("few")
def test_every_table_says_that_answers_are_simulated(folder: Path, made: Design) -> None:
    participants = answers.gather(people(folder / "some", made, 2), made)
    found = read.read(made, read.metrics_of(made, folder / "study"), participants)
    assert {*found.tables} == {"scores", "preferences", "metrics", "agreement", "participants"}
    paths = read.write(found, folder / "study")
    for path in paths:
        assert pd.read_csv(path)["simulated"].all(), path.name
    assert [path.parent.name for path in paths] == ["tables"] * 5


@pytest.mark.usefixtures("few")
def test_simulated_answers_never_count_beside_those_of_people(folder: Path, made: Design) -> None:
    fake = people(folder / "fake", made, 2)
    real = people(folder / "real", made, 2, seed=9, simulated=False)
    participants = answers.gather([*fake, *real], made)
    assert [each.left_out for each in participants] == [
        *["simulated, beside answers of people"] * 2, "", "",
    ]  # fmt: skip
    found = read.read(made, read.metrics_of(made, folder / "study"), participants)
    assert not found.tables["scores"]["simulated"].any()
    assert found.tables["participants"]["simulated"].tolist() == [True, True, False, False]


def put(made: Design, change: dict[str, Any]) -> bytes:
    """Return an answer file in which something is another than it should be."""
    return json.dumps(answered(made, SCORES, np.random.default_rng(0)) | change).encode()


def test_broken_and_foreign_files_are_named_and_left_out(folder: Path, made: Design) -> None:
    good = answered(made, SCORES, np.random.default_rng(0))
    rest = good["answers"]
    strange = [{"trial": "0" * 16, "choice": "a"}, *rest[1:]]
    bad: dict[str, bytes] = {
        "empty": b"", "binary": b"\xff\xfe\0", "half": json.dumps(good)[:-40].encode(),
        "list": b"[]", "number": b"1", "deep": b"[" * 100_000, "nan": b'{"format": NaN}',
        "large": b" " * (answers.MOST + 1), "foreign": put(made, {"study": "0" * 16}),
        "format": put(made, {"format": 2}), "more": put(made, {"name": "Ann"}),
        "few": put(made, {"answers": rest[:-3]}), "strange": put(made, {"answers": strange}),
        "twice": put(made, {"answers": [*rest[:-1], rest[0]]}),
        "choice": put(made, {"answers": [{**rest[0], "choice": "c"}, *rest[1:]]}),
        "person": put(made, {"participant": "Ann"}), "text": put(made, {"exchanged": "no"}),
        "escape": put(made, {"language": "en\x1b[31m"}), "digits": b"9" * 5000,
    }  # fmt: skip
    place = folder / "bad"
    place.mkdir()
    for name, data in bad.items():
        (place / f"{name}.json").write_bytes(data)
    (place / "good.json").write_bytes(put(made, {}))
    (place / "marked.json").write_bytes(b"\xef\xbb\xbf" + put(made, {}))
    (place / "again.json").write_bytes(put(made, {}))
    (place / "folder.json").mkdir()
    paths = [place / f"{name}.json" for name in (*bad, "folder", "gone", "good", "again")]
    found = {each.name.removesuffix(".json"): each for each in answers.gather(paths, made)}
    assert [name for name, each in found.items() if not each.left_out] == ["good"]
    told = {name: each.left_out for name, each in found.items()}
    assert told["foreign"].startswith("answers to another study, 0000")
    assert told["few"] == "not whole: 27 of 30 answers"
    assert told["twice"] == "two answers to one comparison"
    assert told["strange"] == f"answers to what was not asked: {'0' * 16}"
    assert told["again"] == "the same participant as good.json"
    assert "at most 1,000,000 bytes" in told["large"]
    assert all(text.isprintable() for text in told.values())
    assert told["empty"] == "no answers to a study: no JSON: it is empty"
    assert told["half"].startswith("no answers to a study: no JSON: at line 1, column ")
    assert told["digits"] == "no answers to a study: a number of 5,000 digits"
    assert told["list"] == "no answers to a study: expected a mapping"
    assert told["binary"].endswith("in UTF-8: byte 1 is not")
    (marked,) = answers.gather([place / "marked.json"], made)
    assert marked.left_out == ""  # editors put a byte order mark before what they save


def test_who_fails_an_attention_check_is_left_out(folder: Path, made: Design) -> None:
    (path,) = people(folder / "careless", made, 1)
    given = json.loads(path.read_text())
    (first, _) = made.of_kind("check")
    for each in given["answers"]:
        each["choice"] = "same" if each["trial"] == first.trial else each["choice"]
    path.write_text(json.dumps(given))
    (found,) = answers.gather([path], made)
    assert found.left_out == "failed 1 of 2 attention checks"
    with pytest.raises(InputError, match=r"no answers that count: .* all 1 are left out"):
        read.read(made, read.metrics_of(made, folder / "study"), [found])


def test_bradley_terry_is_the_maximum_of_its_likelihood() -> None:
    from scipy.optimize import minimize

    wins = np.array([[0, 7, 9.5], [3, 0, 6], [0.5, 4, 0]])
    counted = wins + 0.5 * (1 - np.eye(3))

    def loss(x: scores.Array) -> float:
        return float((counted * np.log1p(np.exp(x[None, :] - x[:, None]))).sum())

    best = minimize(loss, np.zeros(3), tol=1e-10).x
    assert scores.bradley_terry(wins) == pytest.approx(best - best.mean(), abs=1e-4)
    near = scores.bradley_terry(wins, best + 0.3)
    assert near == pytest.approx(best - best.mean(), abs=1e-3)


def test_who_always_wins_has_a_finite_score() -> None:
    found = scores.bradley_terry(np.array([[0, 9.0], [0, 0]]))
    assert found == pytest.approx([np.log(9.5 / 0.5) / 2, -np.log(9.5 / 0.5) / 2])


def test_intervals_need_two_participants_or_two_pairs(few: None) -> None:
    chance = np.random.default_rng(0)
    wins = chance.integers(0, 3, (4, 5, 2, 2)) * (1 - np.eye(2))
    assert np.isnan(scores.intervals(wins[:1, :1], chance)).all()
    for part in (wins[:1], wins[:, :1], wins):
        assert np.isfinite(scores.intervals(part, chance)).all()


def test_krippendorffs_alpha_of_his_own_example() -> None:
    """Krippendorff 2011, section C: four observers, twelve units, nominal: 0.743."""
    observers = [
        "1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]  # fmt: skip
    rows = [each.split() for each in observers]
    units = [[v for v in unit if v != "."] for unit in zip(*rows, strict=True)]
    assert scores.krippendorff(units) == pytest.approx(0.743, abs=5e-4)


def test_krippendorffs_alpha_at_its_ends() -> None:
    assert scores.krippendorff([["a", "a"], ["b", "b"]]) == 1
    assert scores.krippendorff([["a", "b"], ["b", "a"]]) < 0
    assert np.isnan(scores.krippendorff([["a", "a"], ["a", "a"]]))
    assert np.isnan(scores.krippendorff([["a"], ["b"]]))


def test_rank_agreement_does_not_depend_on_what_is_called_a() -> None:
    from scipy.stats import spearmanr

    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(2, 20))
    y[:4] = 0
    turn = chance.choice([-1, 1], 20)
    found = scores.rank_agreement(x, y)
    assert found == pytest.approx(scores.rank_agreement(x * turn, y * turn))
    both = spearmanr(np.concatenate([x, -x]), np.concatenate([y, -y]))
    assert found == pytest.approx(both.statistic)
    weights = chance.integers(0, 3, (1, 20)).astype(float)
    twice = [np.repeat(side, weights[0].astype(int)) for side in (x, y)]
    assert scores._rank_agreements(x, y, weights) == pytest.approx(scores.rank_agreement(*twice))
    assert scores.rank_agreement(x, x**3) == pytest.approx(1)
    assert np.isnan(scores.rank_agreement(x, 0 * y))


@pytest.mark.usefixtures("few")
def test_a_metric_that_ranks_as_people_do(folder: Path, made: Design) -> None:
    participants = answers.gather(people(folder / "many", made, 6), made)
    found = read.read(made, read.metrics_of(made, folder / "study"), participants)
    table = found.tables["metrics"].set_index("metric")
    # by_arm: values grow with the arm's number, and so fall with the score that people gave it
    rho = table["rho"]
    assert (rho[table.index == "gram_share"] < -0.5).all()  # higher is better
    assert (rho[table.index == "gram"] > 0.5).all()  # lower is better
    assert (table["low"] <= table["rho"]).all()
    assert (table["rho"] <= table["high"]).all()
    assert (table["same_side"][table.index == "gram"] > 0.8).all()
    assert table["comparisons"].eq(24).all()
    preferences = found.tables["preferences"]
    assert preferences["a"].map(made.arms.index).lt(preferences["b"].map(made.arms.index)).all()
    total = preferences[["chose_a", "chose_b", "no_difference"]].sum(axis=1)
    assert total.eq(6).all()


@pytest.mark.usefixtures("few")
def test_agreement_with_oneself_and_the_side_that_one_takes(folder: Path, made: Design) -> None:
    place = folder / "left"
    (path,) = people(place, made, 1)
    given = json.loads(path.read_text())
    expected = {trial.trial: trial.expected for trial in made.trials}
    for each in given["answers"]:  # always left, but where they are tested
        each["choice"] = expected[each["trial"]] or ("b" if given["exchanged"] else "a")
    path.write_text(json.dumps(given))
    found = read.read(made, read.metrics_of(made, folder / "study"), answers.gather([path], made))
    (row,) = found.tables["participants"].to_dict("records")
    assert (row["left"], row["repeats_alike"], row["no_difference"]) == (1, 0, 0)
    scored = found.tables["scores"]
    assert scored["won"].tolist() == pytest.approx([0.5] * 3)


@pytest.mark.usefixtures("few")
def test_metrics_of_a_folder_that_was_judged_since(folder: Path, made: Design) -> None:
    now = read.metrics_of(made, folder / "study", folder / "out")
    then = read.metrics_of(made, folder / "study")
    assert sorted(now["value"]) == sorted(then["value"])
    other = results(folder / "other", ("r-alexnet", "r-resnet50"))
    other.results.assign(job_id="f" * 16).to_parquet(folder / "other" / "results.parquet")
    with pytest.raises(InputError, match="has none of the jobs of this study"):
        read.metrics_of(made, folder / "study", folder / "other")
    (folder / "bare").mkdir()
    assert read.metrics_of(made, folder / "bare").empty
    (folder / "bare" / "metrics.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="is damaged"):
        read.metrics_of(made, folder / "bare")
