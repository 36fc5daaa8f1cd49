"""Files of equal bytes are one job: under all of their names, whenever they came."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from stylebench.backbones import pretrained
from stylebench.measures import judges
from stylebench.store import Results
from stylebench.store.columns import RESULT_COLUMNS
from stylebench.sweeps.run import sweep
from tests.cli.bench import no_figures


def run(folder: Path, told: list[str], **keys: Any) -> Results:
    with no_figures():
        return sweep(
            out=folder / "out", arch=["r-tiny"], smoothing=["none"], statistics_images=[], size=32,
            evals=2, precision="fp32", tell=told.append, tracking_uri="off", **keys,
        )  # fmt: skip


@pytest.mark.usefixtures("one_thread", "no_weights")
def test_a_file_that_joins_later_is_named_beside_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"r-squeezenet1_1": pretrained.resolve("r-squeezenet1_1", 0)}
    monkeypatch.setattr(judges, "choose", lambda archs: one)
    first, second, style = (str(tmp_path / f"{name}.png") for name in ("a", "b", "s"))
    Image.linear_gradient("L").save(first)
    Image.radial_gradient("L").save(style)
    shutil.copy(first, second)
    told: list[str] = []
    made = run(tmp_path, told, content=[first], style=[style], judge=True)
    assert made.results["content"].tolist() == ["a"]
    picture = (tmp_path / "out" / made.results["picture"][0]).read_bytes()
    told.clear()
    found = run(tmp_path, told, content=[second], style=[style])
    assert told[0] == "0 jobs to run, 1 finished before"
    assert found.results["content"].tolist() == ["a=b"]
    assert set(found.metrics["content"]) == {"a=b"}
    assert len(found.metrics) == len(made.metrics) > 0
    named = {"content", *(name for name in RESULT_COLUMNS if name.endswith("picture"))}
    same = [name for name in RESULT_COLUMNS if name not in named]
    pd.testing.assert_frame_equal(found.results[same], made.results[same])
    assert (tmp_path / "out" / found.results["picture"][0]).read_bytes() == picture
    for content in ([first], [second, first], [first, second]):  # no name comes twice
        found = run(tmp_path, told, content=content, style=[style], pairing="product")
        assert found.results["content"].tolist() == ["a=b"]
    shutil.copy(style, tmp_path / "t.png")
    found = run(tmp_path, told, content=[second], style=[str(tmp_path / "t.png")])
    assert found.results[["content", "style"]].to_numpy().tolist() == [["a=b", "s=t"]]


def test_statistics_count_a_picture_once_under_all_its_names(tmp_path: Path) -> None:
    first, second, other = (str(tmp_path / f"{name}.png") for name in "abc")
    Image.linear_gradient("L").save(first)
    Image.radial_gradient("L").save(other)
    shutil.copy(first, second)

    def found(*pictures: str) -> "pd.Series[float]":
        (tmp_path / "x.yaml").write_text(
            f"content: []\nstyle: []\nstatistics_images: {[*pictures]}"
        )
        with no_figures():
            table = sweep(tmp_path / "x.yaml", out=tmp_path / "out", arch=["r-tiny"], size=32,
                          smoothing=["none"], tracking_uri="off").statistics  # fmt: skip
        return table.set_index(["image", "layer", "statistic"])["value"].sort_index()

    alone = found(first, other)
    assert set(alone.index.get_level_values("image")) == {"a", "c"}
    both = found(first, second, other)
    assert set(both.index.get_level_values("image")) == {"a=b", "c"}
    assert both.to_list() == alone.to_list()  # of which means are the same
