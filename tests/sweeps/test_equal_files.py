"""Files of equal bytes are one job: under all of their names, whenever they came."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from stylebench.store import Results
from stylebench.store.columns import RESULT_COLUMNS
from stylebench.sweeps.run import sweep


def run(folder: Path, told: list[str], **keys: Any) -> Results:
    return sweep(
        out=folder / "out", arch=["r-tiny"], smoothing=["none"], statistics_images=[], size=32,
        evals=2, precision="fp32", tell=told.append, **keys,
    )  # fmt: skip


def test_a_file_that_joins_later_is_named_beside_the_first(tmp_path: Path) -> None:
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
