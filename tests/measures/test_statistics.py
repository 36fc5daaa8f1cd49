"""Statistics against closed forms and float64 numpy and scipy."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import Tensor

import stylebench
from stylebench.errors import InputError
from stylebench.measures.statistics import STATISTICS, measure


def random_map(seed: int = 0, shape: tuple[int, int, int] = (6, 5, 4)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).relu() * 3


def one_hot(value: float = 1.0) -> Tensor:
    maps = torch.zeros(6, 5, 4)
    maps[2, 3, 1] = value
    return maps


def test_uniform_map() -> None:
    found = measure(torch.full((6, 5, 4), 0.7))
    expected = {"max": 0.7, "entropy": 1, "l1_entropy": 1, "max_over_mean": 1,
                "participation_ratio": 1, "gram_max": 0.49, "gram_entropy": 1,
                "gram_effective_rank": 1, "gram_top_share": 1,
                "gram_diagonal_share": 1 / 6}  # fmt: skip
    assert list(found) == list(STATISTICS)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_one_hot_map() -> None:
    found = measure(one_hot(2.0))
    expected = {"max": 2, "l1_entropy": 0, "max_over_mean": 120, "participation_ratio": 1 / 120,
                "gram_max": 4 / 20, "gram_effective_rank": 1, "gram_top_share": 1,
                "gram_diagonal_share": 1}  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_a_large_peak_has_no_softmax_entropy_and_a_small_one_has_all() -> None:
    assert measure(one_hot(1e4), ["entropy"])["entropy"] == pytest.approx(0, abs=1e-12)
    assert measure(one_hot(1e-4), ["entropy"])["entropy"] == pytest.approx(1, abs=1e-8)


def test_orthogonal_channels_have_full_effective_rank() -> None:
    found = measure(torch.eye(6).reshape(6, 3, 2))
    assert found["gram_effective_rank"] == pytest.approx(6)
    assert found["gram_top_share"] == pytest.approx(1 / 6)
    assert found["gram_diagonal_share"] == pytest.approx(1)


@pytest.mark.parametrize("shape", [(6, 5, 4), (30, 3, 2), (1, 4, 4), (3, 1, 1)])
def test_all_statistics_equal_numpy_and_scipy(shape: tuple[int, int, int]) -> None:
    maps = random_map(3, shape) + 0.01
    f = maps.numpy().reshape(shape[0], -1)
    gram = f @ f.T / f.shape[1]
    p, q = scipy.special.softmax(f.ravel()), scipy.special.softmax(gram.ravel())
    share = np.clip(np.linalg.eigvalsh(gram), 0, None) / np.trace(gram)
    expected = {
        "max": f.max(),
        "entropy": scipy.stats.entropy(p) / math.log(f.size),
        "gram_max": gram.max(),
        "gram_entropy": scipy.stats.entropy(q) / math.log(gram.size) if gram.size > 1 else 1.0,
        "l1_entropy": scipy.stats.entropy(f.ravel()) / math.log(f.size),
        "max_over_mean": f.max() / f.mean(),
        "participation_ratio": (f**2).sum() ** 2 / (f.size * (f**4).sum()),
        "gram_effective_rank": math.exp(scipy.stats.entropy(share)),
        "gram_top_share": share.max(),
        "gram_diagonal_share": (np.diag(gram) ** 2).sum() / (gram**2).sum(),
    }
    found = measure(maps)
    for name, value in expected.items():
        assert_allclose(found[name], value, rtol=1e-9, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 100))
def test_scale_free_statistics_do_not_feel_scale(factor: float, seed: int) -> None:
    maps = random_map(seed)
    before, after = measure(maps), measure(maps * factor)
    for name, statistic in STATISTICS.items():
        if statistic.scale_free:
            assert after[name] == pytest.approx(before[name], rel=1e-6, abs=1e-9), name


def test_the_papers_statistics_feel_scale() -> None:
    before, after = measure(random_map()), measure(random_map() * 0.01)
    changed = {name for name in STATISTICS if abs(before[name] - after[name]) > 1e-3}
    assert changed >= {name for name, found in STATISTICS.items() if not found.scale_free}


def test_a_map_of_zeros_gives_nan_where_nothing_is_defined() -> None:
    found = measure(torch.zeros(3, 2, 2))
    assert found["entropy"] == pytest.approx(1)
    assert math.isnan(found["max_over_mean"])


@pytest.mark.parametrize(
    ("smoothing", "said"),
    [({"name": "softmax", "temperature": "hot"}, r"smoothing: .*temperature.*found 'hot'"),
     ([3], r"^smoothing: expected a name.*found 3$"), (3, r"^smoothing: expected a name.*found 3$"),
     ("softmx", "unknown smoothing 'softmx'; did you mean 'softmax'"),
     ([], "^smoothing: expected one at least, as none, found an empty list$")],
)  # fmt: skip
def test_a_wrong_smoothing_is_told_in_a_line(smoothing: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        stylebench.statistics("r-tiny", "coffee", smoothing=smoothing, size=32, device="cpu")
    assert "\n" not in str(caught.value)


def test_unknown_arguments_are_told() -> None:
    with pytest.raises(InputError, match="unknown argument 'sed'; did you mean 'seed'"):
        stylebench.statistics("r-tiny", "coffee", sed=3)
    with pytest.raises(InputError, match=r"^size: expected a whole number, found 'big'$"):
        stylebench.statistics("r-tiny", "coffee", size="big")  # type: ignore[arg-type]


def test_one_smoothing_may_be_a_mapping() -> None:
    found = stylebench.statistics(
        "r-tiny", "coffee", smoothing={"name": "softmax", "temperature": 3}, size=32, device="cpu"
    )
    assert set(found["smoothing"]) == {"softmax(temperature=3)"}
