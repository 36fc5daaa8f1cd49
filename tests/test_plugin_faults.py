"""What functions of plug-ins return that is wrong: one line that names the plug-in, and exit 1."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from stylebench.config import SmoothingSpec
from stylebench.errors import InputError
from stylebench.figures import FIGURES, experiments
from stylebench.measures import metrics, statistics
from stylebench.registry import Registry, load_plugin
from stylebench.sweeps.run import sweep
from stylebench.transfer import smoothing
from tests.cli.bench import invoke, no_figures

pytestmark = pytest.mark.usefixtures("unloaded")

HEAD = """
import numpy as np
import torch
from stylebench.figures import figure, table
from stylebench.measures.metrics import metric
from stylebench.measures.statistics import statistic
from stylebench.transfer.smoothing import smoothing
"""
SMOOTHING = """
@smoothing("own")
def own(maps):
    '''σ(F) = F.'''
    return {}
"""
STATISTIC = """
@statistic("own", scale_free=False)
def own(maps):
    '''Own.'''
    return {}
"""
METRIC = """
@metric("own", better="lower", about="style")
def own(result, content, style):
    '''Own. Lower is better.'''
    return {}
"""
FIGURE = """
@{0}("own")
def own(results):
    '''Own.'''
    return {1}
"""
KEYS: dict[str, Any] = {
    "arch": ["r-tiny"], "content": ["chelsea"], "style": ["brush"], "size": 32, "evals": 2,
    "smoothing": ["none"], "statistics_images": ["chelsea"], "precision": "fp32",
}  # fmt: skip


def write(folder: Path, text: str) -> Path:
    (folder / "mine.py").write_text(HEAD + text)
    return folder / "mine.py"


SHAPE = "Tensor of shape (1, 4, 8, 8)"


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        ("maps", SHAPE),
        ("None", "None"),
        ("maps.mean(1), 1.0", "Tensor of shape (1, 8, 8), 1.0"),
        ("maps, 'one'", f"{SHAPE}, 'one'"),
        ("maps, float('nan')", f"{SHAPE}, nan"),
        ("maps, 1.0, 2.0", f"{SHAPE}, 1.0, 2.0"),
        ("(1.0, maps)", f"1.0, {SHAPE}"),
        ("maps[..., :0], 1.0", "Tensor of shape (1, 4, 8, 0), 1.0"),
    ],
)
def test_a_smoothing_that_returns_something_else(returned: str, found: str, tmp_path: Path) -> None:
    load_plugin(write(tmp_path, SMOOTHING.format(returned)))
    with pytest.raises(InputError) as refused:
        smoothing.apply(SmoothingSpec(name="own"), torch.rand(1, 4, 8, 8), 0)
    expected = "smoothing 'own' of mine.py: expected a map of shape (1, 4, 8, 8) and a number"
    assert str(refused.value) == f"{expected}, found {found}"


@pytest.mark.parametrize("returned", ["maps, np.float32(1)", "[maps, 1]"])
def test_numbers_of_other_kinds_are_numbers(returned: str, tmp_path: Path) -> None:
    load_plugin(write(tmp_path, SMOOTHING.format(returned)))
    assert smoothing.apply(SmoothingSpec(name="own"), torch.rand(1, 4, 8, 8), 0)[1] == 1.0


@pytest.mark.parametrize(
    ("returned", "found"),
    [("'1.5'", "str '1.5'"), ("None", "NoneType"), ("[1.0]", "list"), ("1j", "complex"),
     ("torch.zeros(2)", "Tensor of shape (2,)"), ("np.array('x')", "ndarray of shape ()")],
)  # fmt: skip
def test_statistics_and_metrics_that_are_no_numbers(
    returned: str, found: str, tmp_path: Path
) -> None:
    load_plugin(write(tmp_path, STATISTIC.format(returned) + METRIC.format(returned)))
    with pytest.raises(InputError, match=re.escape(f"'own' of mine.py: {NUMBER}{found}")):
        statistics.measure(torch.rand(4, 8, 8), ["own"])
    picture = torch.rand(1, 3, 32, 32)
    for name in ("own", "own_share"):
        with pytest.raises(InputError, match=re.escape(f"'own' of mine.py: {NUMBER}{found}")):
            metrics.measure(name, picture, picture, picture)


NUMBER = "expected a number, found "


def test_what_is_no_number_fails_its_job_and_the_command(tmp_path: Path) -> None:
    wrong = SMOOTHING.format("maps") + STATISTIC.format("None") + METRIC.format("'1.5'")
    load_plugin(write(tmp_path, wrong))
    with no_figures():
        done = invoke("sweep", "--arch", "r-tiny", "--smoothing", "none,own", "--content",
                      "chelsea", "--style", "brush", "--size", 32, "--evals", 2,
                      "--statistics-images", "chelsea", "--out", tmp_path / "out")  # fmt: skip
    assert done.status == 1
    assert f"statistic 'own' of mine.py: {NUMBER}NoneType" in done.out
    assert "smoothing 'own' of mine.py: expected a map of shape" in done.out
    judged = invoke("judge", tmp_path / "out", "--judge", "r-squeezenet1_1")
    assert judged.status == 1
    assert f"metric 'own' of mine.py: {NUMBER}str '1.5'" in judged.out


def test_a_statistic_that_is_not_finite_is_told(tmp_path: Path) -> None:
    load_plugin(write(tmp_path, STATISTIC.format("torch.tensor(torch.nan)")))
    told: list[str] = []
    with no_figures():
        sweep(out=tmp_path / "out", tell=told.append, **KEYS)
    (line,) = (line for line in told if "own" in line and "values" in line)
    assert line.startswith("statistic 'own' of mine.py: 5 of 5 values are not finite")


def test_figures_that_fail_are_told_and_the_status_is_1(tmp_path: Path) -> None:
    both = FIGURE.format("figure", "None") + FIGURE.format("table", "{}")
    load_plugin(write(tmp_path, both + FIGURE.format("table", "1 / 0").replace('"own"', '"odd"')))
    done = invoke("stats", "--arch", "r-tiny", "--smoothing", "none", "--content", "chelsea",
                  "--size", 32, "--out", tmp_path / "out")  # fmt: skip
    drawn = invoke("figures", tmp_path / "out", "--only", "own", "--only", "odd")
    for told in (
        "own: failed, figure 'own' of mine.py: expected a matplotlib Figure, found NoneType",
        "own: failed, table 'own' of mine.py: expected a pandas DataFrame, found dict",
        "odd: failed, ZeroDivisionError: division by zero",
    ):
        assert told in done.out
        assert told in drawn.out
    assert (done.status, drawn.status) == (1, 1)


def test_what_is_said_of_an_entry_goes_with_it(tmp_path: Path) -> None:
    """A plug-in that is loaded again is no sheet, of no experiment, not linear any more."""
    text = SMOOTHING.format("maps, 1.0") + FIGURE.format("figure", "None")
    said = text.replace('@smoothing("own"', '@smoothing("own", linear=True, fit=print').replace(
        '@figure("own"', '@figure("own", experiment="fig3", sheet=True'
    )

    def found() -> list[Any]:
        facts = [FIGURES.fact("own", "sheet")]
        facts += [smoothing.SMOOTHINGS.fact("own", key) for key in ("linear", "fit")]
        return [experiments().get("own"), *facts]

    load_plugin(write(tmp_path, said))
    assert found() == ["fig3", True, True, print]
    load_plugin(write(tmp_path, text))
    assert found() == [None, False, False, None]
    Registry.forget("mine.py")
    assert found() == [None] * 4
