"""Some hostile inputs through the command line; ``python -m tests.faults.fuzz`` has hundreds."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import fuzz, fuzz_images, fuzz_weights, fuzz_worker, fuzz_yamls
from tests.faults.fuzz_bytes import CANARY, Case

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")

SEED = 6
"""With it, the first inputs are quick to make: no picture of 100 million pixels, no zip bomb."""


def light(make: Callable[[int, int], Case], count: int) -> Iterator[Case]:
    """Return the first cases, of experiments those whose backbones and pictures are quick."""
    made = (make(SEED, number) for number in range(1000))
    full = (c for c in made if c.kind != "yamls" or c.mutation.startswith("full.yaml"))
    return itertools.islice(full, count)


@pytest.mark.parametrize(
    ("make", "count"), [(fuzz_images.make, 18), (fuzz_yamls.make, 14), (fuzz_weights.make, 8)]
)
def test_hostile_inputs(make: Callable[[int, int], Case], count: int, tmp_path: Path) -> None:
    told = []
    for case in light(make, count):
        with contextlib.chdir(tmp_path):
            finding = fuzz_worker.judge(case, tmp_path).finding
        told += [f"{case.label} ({case.mutation}): {finding}"] if finding else []
    assert not told


def test_inputs_are_made_by_their_seed() -> None:
    for make in fuzz.MAKERS.values():
        assert [make(SEED, n) for n in range(9)] == [make(SEED, n) for n in range(9)]
        assert make(SEED, 5) != make(SEED, 6) != make(8, 6)


@pytest.mark.parametrize("status", [0, 3])
def test_a_finding_is_found(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def executes() -> None:
        if not status:
            Path(CANARY).touch()
        raise SystemExit(status)

    monkeypatch.setattr("stylebench.cli.main.main", executes)
    with contextlib.chdir(tmp_path):
        finding = fuzz_worker.judge(fuzz_yamls.good(), tmp_path).finding
    assert ("exit status 3" if status else "executed") in finding


def test_a_traceback_and_a_second_line_are_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks() -> None:
        raise KeyError("oops")

    monkeypatch.setattr("stylebench.cli.main.main", breaks)
    assert "KeyError: 'oops'" in fuzz_worker.run(["sweep"], tmp_path)[1]

    def talks() -> None:
        import os
        import sys

        os.write(2, b"from C\n")
        print("stylebench: refused", file=sys.stderr)
        raise SystemExit(2)

    monkeypatch.setattr("stylebench.cli.main.main", talks)
    assert "2 lines" in fuzz_worker.run(["sweep"], tmp_path)[1]
