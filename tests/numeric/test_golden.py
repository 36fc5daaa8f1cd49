"""Regression tests on the entropy statistics of random backbones, and the paper's claim on them."""

import pandas as pd
import pytest
from numpy.testing import assert_allclose

from tests.numeric import golden

RTOL, ATOL = 2e-3, 1e-6
"""Room for the rounding of other processors and thread counts, and nothing more."""


@pytest.fixture(scope="module")
def measured() -> "pd.Series[float]":
    return golden.measure().set_index(golden.KEYS)["value"]


def test_statistics_equal_the_golden_table(measured: "pd.Series[float]") -> None:
    expected = pd.read_csv(golden.PATH).set_index(golden.KEYS)["value"]
    assert sorted(measured.index) == sorted(expected.index)
    found = measured.reindex(expected.index)
    assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=RTOL, atol=ATOL)


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
