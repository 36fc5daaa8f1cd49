"""An experiment with one command: profiles, variants, metrics and its own figures."""

from pathlib import Path

import pandas as pd
import pytest

from stylebench.backbones import pretrained
from stylebench.measures import judges
from stylebench.sweeps import judge
from tests.cli.bench import invoke, no_figures, refused, with_database

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

EXPERIMENT = """
name: gatys_init
description: starts
arch: r-tiny
smoothing: none
content: [chelsea]
style: [mosaic]
statistics_images: []
precision: fp32
judge: true
variants:
  - start: content
  - {start: noise, seed: [0, 1]}
profiles:
  quick: {size: 64, evals: 3}
  full: {size: 512, evals: 1000}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of an experiment that one small network judges."""
    one = {"r-squeezenet1_1": pretrained.resolve("r-squeezenet1_1", 0)}
    monkeypatch.setattr(judges, "choose", lambda archs: one)
    path = tmp_path / "x.yaml"
    path.write_text(EXPERIMENT)
    return path


def test_one_command_runs_judges_and_draws(path: Path, tmp_path: Path) -> None:
    out = with_database(tmp_path / "paper" / "gatys_init")
    done = invoke("sweep", path, "--out", out)
    assert done.status == 0, done
    assert "judge r-squeezenet1_1: weights random:0" in done.out
    assert done.out.count("metrics by r-squeezenet1_1") == 3
    jobs = pd.read_parquet(out / "results.parquet")
    assert sorted(zip(jobs["start"], jobs["seed"], strict=True)) == [
        ("content", 0), ("noise", 0), ("noise", 1),
    ]  # fmt: skip
    assert set(jobs["evals_budget"]) == {3}
    judged = pd.read_parquet(out / "metrics.parquet")
    assert set(judged["job_id"]) == set(jobs["job_id"])
    assert (out / "figures" / "gatys_init.jpg").stat().st_size > 0
    assert not (out / "figures" / "gatys_layers.jpg").exists()

    with no_figures():
        again = invoke("sweep", path, "--out", out)
    assert again.status == 0
    assert "metrics by" not in again.out

    for made in (out / "figures").glob("*.jpg"):
        made.unlink()
    drawn = invoke("figures", tmp_path / "paper")
    assert drawn.status == 0, drawn
    assert (out / "figures" / "gatys_init.jpg").stat().st_size > 0


@pytest.mark.slow
def test_what_is_computed_elsewhere_is_judged_here(path: Path, tmp_path: Path) -> None:
    out = with_database(tmp_path / "out")
    with no_figures():
        assert invoke("sweep", path, "--out", out).status == 0
        next(out.glob("jobs/*/metrics.parquet")).unlink()
        afar = invoke("sweep", path, "--out", out, "--engine", "ray", "--device", "cuda")
    assert afar.status == 0, "judged here, where no GPU need be"
    assert afar.out.count("metrics by r-squeezenet1_1") == 1


@pytest.mark.slow
def test_metrics_that_are_missing_are_exit_status_1(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> float:
        raise ValueError("no such thing")

    monkeypatch.setattr(judge, "measure", broken)
    with no_figures():
        done = invoke("sweep", path, "--out", with_database(tmp_path / "out"))
    assert done.status == 1
    assert done.out.count("not judged in full") == 3
    assert "3 ok, 0 failed" in done.out


def test_the_full_profile_has_its_own_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    full = invoke("sweep", path, "--profile", "full", "--dry-run")
    assert "512 px  1000 evaluations" in full.out
    assert "into results/gatys_init-full" in full.err + full.out
    quick = invoke("sweep", path, "--dry-run")
    assert "64 px  3 evaluations" in quick.out
    assert "into results/gatys_init\n" in quick.err + quick.out


def test_an_unknown_profile_is_one_line(path: Path) -> None:
    told = refused("sweep", path, "--profile", "ful")
    assert "no profile 'ful'; did you mean 'full'?" in told
