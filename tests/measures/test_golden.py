"""Regression tests on the entropy statistics of random backbones, and the paper's claim on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.measures import golden


@pytest.fixture(scope="module", params=[2, pytest.param(10, marks=pytest.mark.slow)])
def photographs(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def measured(photographs: int) -> "pd.Series[float]":
    return golden.measure(photographs)


def test_statistics_equal_the_golden_table(measured: "pd.Series[float]", photographs: int) -> None:
    expected = golden.read(golden.PATHS[photographs])
    assert sorted(measured.index) == sorted(expected.index)
    wrong = ~golden.is_right(measured.reindex(expected.index), expected)
    assert not wrong.any(), expected[wrong]


def test_rows_that_are_right_are_not_written_anew(tmp_path: Path) -> None:
    copy = tmp_path / "golden.csv"
    committed = golden.PATHS[10].read_bytes()
    copy.write_bytes(committed)
    before = golden.read(copy)
    off = before * (1 + golden.RTOL * np.linspace(-0.9, 0.9, len(before)))
    golden.write(off, copy)
    assert copy.read_bytes() == committed
    off.iloc[7] *= 1.01
    golden.write(off, copy)
    assert (golden.read(copy) != before).sum() == 1


@pytest.mark.parametrize(
    ("arch", "peaky"),
    [
        ("r-resnet50", True),
        ("r-pseudo-resvgg", True),
        ("r-noresnet50", False),
        ("r-pseudo-vgg", False),
        ("r-vgg19", False),
    ],
)
def test_entropy_of_the_last_stage(measured: "pd.Series[float]", arch: str, peaky: bool) -> None:
    values = measured.to_dict()
    raw, smoothed = (values[(arch, name, 4, "entropy")] for name in ("none", "softmax"))
    assert raw < 0.2 if peaky else raw > 0.95
    assert smoothed > 0.999  # as for any map into [0, 1]; what can fail is the next line
    l1_entropy = values[(arch, "softmax", 4, "l1_entropy")]
    assert l1_entropy == pytest.approx(raw, rel=1e-3, abs=1e-5), "(6) is the entropy of σ(F)"
