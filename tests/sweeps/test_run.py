"""How a sweep ends where its engine gives up in the middle."""

from collections.abc import Iterator, Sequence
from multiprocessing import process
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stylebench import figures, store
from stylebench.config import Spec
from stylebench.errors import InputError, JobError
from stylebench.measures.statistics import STATISTICS
from stylebench.sweeps import engines, run
from tests.cli.bench import invoke, no_figures, with_database, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


FIRST = engines.run


def lost(specs: Sequence[Spec], out: Path, how: engines.EngineOptions) -> Iterator[store.JobRecord]:
    """Run the first job, then lose the cluster."""
    yield from FIRST(specs[:1], out, how)
    raise JobError("the cluster is lost")


def test_what_an_earlier_run_left_is_no_outcome_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"content": ["chelsea"], "style": ["brush"], "smoothing": ["none"], "evals": 2}
    out = with_database(tmp_path / "out")
    flags = ("--out", out, write_yaml(tmp_path / "tiny.yaml", **keys))
    with no_figures():
        assert invoke("sweep", *flags).status == 0
        monkeypatch.setattr(engines, "run", lost)
        done = invoke("sweep", "--force", *flags)
        assert done.status == 1, done
        assert "1 of 2 jobs have no outcome of this run in " in done.out
        assert "1 ok, 0 failed, 0 unavailable, 1 missing in " in done.out
        assert len(store.records(out)) == 1, "what there was is kept"
        assert invoke("sweep", *flags).status == 0, "nothing is to do"


def test_statistics_that_were_not_filled_up_have_no_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = (
        "--arch",
        "r-tiny",
        "--seed",
        0,
        "--seed",
        1,
        "--content",
        "chelsea",
        "--size",
        32,
        "--out",
        tmp_path,
    )
    with no_figures():
        assert invoke("stats", *flags).status == 0
        monkeypatch.setitem(STATISTICS._entries, "own", next(iter(STATISTICS._entries.values())))
        monkeypatch.setattr(engines, "run", lost)
        run = invoke("stats", *flags)
    assert run.status == 1, run
    assert "1 of 2 jobs have no outcome of this run in " in run.out


def test_what_is_not_drawn_for_one_reason_is_one_line(
    made: store.Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure and a table may have one name; what is broken is counted, and told by itself.

    Of those of any sweep nothing is told.
    """
    none, broken = figures.NoDataError("no metrics"), ValueError("a bug")
    drawn = [("fig4", none), ("fig4", none), ("fig6", none), ("grid", broken), ("metrics", none)]
    monkeypatch.setattr(figures, "draw", lambda out: iter(drawn))
    told: list[str] = []
    reporter: Any = SimpleNamespace(message=told.append)
    assert run._draw(made.folder, reporter) == 1
    assert told[-2:] == [
        "grid: failed, ValueError: a bug", "fig4, fig6: not drawn, no metrics"
    ]  # fmt: skip


def test_a_script_without_a_guard_is_told_so_in_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What multiprocessing says of a process that imports the script which started it."""
    monkeypatch.setattr(process.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(InputError, match=r"put what is to run once under `if __name__ == '__main_"):
        run.sweep(arch=["r-tiny"], out=tmp_path / "out", jobs=2)
    assert not (tmp_path / "out").exists()
