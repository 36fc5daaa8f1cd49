"""What softmax does to a loss, on made-up numbers."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from stylebench.figures import FIGURES, TABLES, NoDataError
from stylebench.store import Results
from stylebench.store.columns import MET
from stylebench.transfer.stylize import MOVED
from tests.figures.drawn import texts, xdata, ydata
from tests.results import Arm, arms, by_loss, write

PAIRS = (("cat", "mosaic"), ("house", "brush"))
ARCHS = ("p-vgg19", "p-resnet50")
LEVEL = 1 / 255
ENDS = {  # of (arch, smoothing): style loss, loss, its start, moved, flags, gradient
    ("p-vgg19", "none"): (0.02, 0.04, 40.0, 50 * LEVEL, "", 8.0),
    ("p-vgg19", "softmax"): (0.92, 0.919, 80.0, 0.16 * LEVEL, "did-not-move loss-stood", 4e-5),
    ("p-resnet50", "none"): (0.034, 0.05, 111.0, 40 * LEVEL, "", 300.0),
    ("p-resnet50", "softmax"): (0.0013, 0.002, 4e5, 0.4 * LEVEL, "did-not-move loss-met", 4e6),
}


def ended(jobs: pd.DataFrame) -> pd.DataFrame:
    keys = zip(jobs["arch"], jobs["smoothing"], strict=True)
    columns = ["style_loss", "loss_ratio", "loss_initial", "moved", "flags", "initial_gradient"]
    return jobs.assign(**pd.DataFrame([ENDS[key] for key in keys], jobs.index, columns))


def made(out: Path, given: list[Arm] | None = None) -> Results:
    given = arms(ARCHS) if given is None else given
    return write(out, given, PAIRS, 1, by_loss, ended, name="at_rest")


def keep(results: Results, job: str, change: int) -> None:
    """Write the lossless pictures of a job: grey, the result brighter by `change`."""
    place = results.folder / "jobs" / job
    place.mkdir(parents=True)
    for name, value in (("content", 100), ("result", 100 + change)):
        Image.new("RGB", (48, 32), (value, value, value)).save(place / f"{name}.png")


def beside(figure: Figure, label: str) -> list[Axes]:
    """Return the plots, in the order of the rows: labels of their last x axis tell them apart."""
    own = [axes for axes in figure.axes if not axes.images and len(axes.get_xticks())]
    last = next(axes for axes in own if axes.get_xlabel() == label)
    return [axes for axes in own if axes.get_position().x0 == last.get_position().x0]


def test_the_table_tells_what_became_of_every_job(tmp_path: Path) -> None:
    table = TABLES["at_rest"](made(tmp_path))
    assert list(table["content"]) == ["cat"] * 4 + ["house"] * 4
    assert list(table["outcome"][:4]) == ["changed", "at rest", "changed", "loss met"]
    for _, row in table.iterrows():
        style, ratio, start, moved, _, gradient = ENDS[row["backbone"], row["smoothing"]]
        found = row[["style_loss_ratio", "loss_ratio", "moved_grey_levels", "gradient"]].tolist()
        assert found == pytest.approx([style, ratio, 255 * moved, gradient])
        # The pictures are 48 × 32. So far along −g, the loss falls by its whole start.
        step = np.zeros((3, 32, 48))
        step[:] = row["reach_grey_levels"] / 255
        assert gradient * np.linalg.norm(step) == pytest.approx(start)
        assert row["largest_term"] == "stem"
        assert row["largest_share"] == pytest.approx(100 / 103.000001)


def test_rows_say_what_one_sees(tmp_path: Path) -> None:
    told = list(texts(FIGURES["at_rest"](made(tmp_path))))
    rows = ["p-vgg19, none", "p-vgg19, softmax", "p-resnet50, none", "p-resnet50, softmax"]
    sentences = [told[told.index(row) + 1].partition(";")[0] for row in rows]
    assert sentences == [
        "changed: style loss fell to 2.0 % of its start, picture changed by 50 grey levels",
        "at rest: style loss at 92 % of its start, picture changed by 0.16 grey levels",
        "changed: style loss fell to 3.4 % of its start, picture changed by 40 grey levels",
        "loss met: style loss fell to 0.13 % of its start, picture changed by 0.4 grey levels",
    ]
    assert "Two ways for a picture to stay as it is" in told
    slope = f"after {255 * 111 / 300 / math.sqrt(3 * 48 * 32):.2g} grey levels"
    assert told[told.index("p-resnet50, none") + 1].endswith(slope)


def test_the_rules_that_the_figure_tells_are_those_of_the_flags(tmp_path: Path) -> None:
    told = "\n".join(texts(FIGURES["at_rest"](made(tmp_path))))
    assert (MOVED, MET) == (1 / 255, 0.5)
    assert "by one grey level of 255" in told
    assert "fell to half or less" in told


def test_differences_are_of_lossless_pictures(tmp_path: Path) -> None:
    results = made(tmp_path)
    assert list(texts(FIGURES["at_rest"](results))).count("no lossless pictures here") == 4
    changes = (12, 0, -3, 1)
    jobs = results.results[results.results["content"] == "cat"]
    for job, change in zip(jobs["job_id"], changes, strict=True):
        keep(results, job, change)
    figure = FIGURES["at_rest"](results)
    seen = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert [set(picture.ravel()) for picture in seen[3::2]] == [
        {min(128 + 10 * change, 255)} for change in changes
    ]
    assert all(picture.shape[1] == 256 for picture in seen)


def test_plots_share_their_axes(tmp_path: Path) -> None:
    results = made(tmp_path)
    trace = results.trace.assign(
        loss=np.resize([8.0, 9.0, 2.0, 4.0], len(results.trace)),
        style_loss=np.resize([4.0, 1.0, 0.4, 0.1], len(results.trace)),
    )
    figure = FIGURES["at_rest"](replace(results, trace=trace))
    losses = beside(figure, "closure evaluation")
    gradients = beside(figure, "‖∂(weighted term)/∂x‖")
    assert (len(losses), len(gradients)) == (4, 4)
    for axes in losses:
        course = next(line for line in axes.lines if len(xdata(line)) == 4)
        np.testing.assert_allclose(ydata(course), [1, 1, 0.1, 0.1])  # of the best picture so far
        assert axes.get_ylim() == losses[0].get_ylim()
    for axes, (*_, whole) in zip(gradients, ENDS.values(), strict=True):
        assert [label.get_text() for label in axes.get_yticklabels()] == ["stem", "deep", "content"]
        assert [text.get_text() for text in axes.texts] == ["97 %", "0 %", "3 %"]
        dots = [float(xdata(line)[0]) for line in axes.lines if line.get_marker() == "o"]
        assert dots == [100, 1e-6, 3]
        assert xdata(axes.lines[-1]).tolist() == [whole, whole]
        assert axes.get_xlim() == gradients[0].get_xlim()


def test_no_gradient_is_an_empty_dot(tmp_path: Path) -> None:
    results = made(tmp_path)
    gradients = results.gradients.assign(gradient=0.0)
    figure = FIGURES["at_rest"](replace(results, gradients=gradients))
    for axes in beside(figure, "‖∂(weighted term)/∂x‖"):
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [line.get_markerfacecolor() for line in dots] == ["white"] * 3
        assert not axes.texts
    jobs = results.results.assign(initial_gradient=0.0)
    told = "\n".join(texts(FIGURES["at_rest"](replace(results, results=jobs))))
    assert told.count("the loss has no slope at its start") == 4
    figure = FIGURES["at_rest"](replace(results, gradients=gradients[:0]))
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert inside == ["not measured"] * 4


def test_the_pair_that_moved_least_is_shown(tmp_path: Path) -> None:
    results = made(tmp_path)
    jobs = results.results
    cat = jobs["content"].eq("cat") & jobs["smoothing"].eq("softmax")
    moved = jobs["moved"].mask(cat, 20 * LEVEL)
    told = list(texts(FIGURES["at_rest"](replace(results, results=jobs.assign(moved=moved)))))
    assert "content: house" in told
    flags = jobs["flags"].str.replace("loss-met", "loss-stood")
    told = list(texts(FIGURES["at_rest"](replace(results, results=jobs.assign(flags=flags)))))
    assert "What softmax does to a loss" in told
    assert any("of 2 pairs" in text and "moved least" in text for text in told)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    results = made(tmp_path)
    jobs = results.results
    jobs.loc[0, ["status", "picture"]] = ["failed", ""]
    jobs.loc[2, ["moved", "style_loss"]] = math.nan
    jobs.loc[2, "flags"] = ""
    jobs = jobs.drop(index=[1, 3, 4])  # of p-vgg19 with the other pair, of p-resnet50 unsmoothed
    kept = replace(results, results=jobs, trace=results.trace[:0])
    told = list(texts(FIGURES["at_rest"](kept)))
    assert told[told.index("p-vgg19, none") + 1] == "failed"
    assert told[told.index("p-resnet50, none") + 1] == "not run"
    assert told[told.index("p-vgg19, softmax") + 1].startswith("changed: its end is not known;")
    assert len(TABLES["at_rest"](kept)) == 4


def test_one_arm_is_drawn_and_none_is_told(tmp_path: Path) -> None:
    results = made(tmp_path, arms(("p-vgg19",), ("softmax",)))
    assert "p-vgg19" in texts(FIGURES["at_rest"](results))
    failed = replace(results, results=results.results.assign(status="failed"))
    for registry in (FIGURES, TABLES):
        with pytest.raises(NoDataError, match="no stylisation of these results succeeded"):
            registry["at_rest"](failed)
