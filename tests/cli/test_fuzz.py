"""Some hostile inputs through the command line; ``python -m tests.faults.fuzz`` has hundreds."""

import contextlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.faults import fuzz_worker, hostile
from tests.faults.hostile import CANARY, Case
from tests.faults.hostile_weights import good, weights

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")


def finding(case: Case, folder: Path) -> str:
    with contextlib.chdir(folder):
        return fuzz_worker.judge(case, folder).finding


@pytest.mark.parametrize(
    ("inputs", "count"),
    [(hostile.images(), 18), (hostile.yamls(light=True), 14), (weights(), 8)],
    ids=["images", "yamls", "weights"],
)
def test_hostile_inputs(inputs: st.SearchStrategy[Case], count: int, tmp_path: Path) -> None:
    @settings(max_examples=count, derandomize=True, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(inputs)
    def is_refused_or_fine(case: Case) -> None:
        assert not finding(case, tmp_path)

    is_refused_or_fine()


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "webp", "bmp"])
def test_huge_pictures_claim_to_be_huge(suffix: str, tmp_path: Path) -> None:
    for number, (other, _, data) in enumerate(hostile.seed_files()):
        if other == suffix:
            place = tmp_path / f"{number}.{suffix}"
            place.write_bytes(hostile.huge(suffix, data))
            with pytest.raises(Image.DecompressionBombError, match="3600000000 pixels"):
                Image.open(place)


@pytest.mark.parametrize("status", [0, 3])
def test_a_finding_is_found(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def executes() -> None:
        if not status:
            Path(CANARY).touch()
        raise SystemExit(status)

    monkeypatch.setattr("stylebench.cli.main.main", executes)
    assert ("exit status 3" if status else "executed") in finding(good(), tmp_path)


def test_a_traceback_and_a_second_line_are_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks() -> None:
        raise KeyError("oops")

    monkeypatch.setattr("stylebench.cli.main.main", breaks)
    assert "KeyError: 'oops'" in fuzz_worker.run(["sweep"], tmp_path)[1]

    def talks() -> None:
        os.write(2, b"from C\n")
        print("stylebench: refused", file=sys.stderr)
        raise SystemExit(2)

    monkeypatch.setattr("stylebench.cli.main.main", talks)
    assert "2 lines" in fuzz_worker.run(["sweep"], tmp_path)[1]
