"""The command ``stylebench report``."""

from pathlib import Path

import pandas as pd
import pytest

from stylebench.store.columns import RESULT_COLUMNS
from tests.cli.bench import invoke, refused
from tests.results import make

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_page_is_written_and_told() -> None:
    make(Path("out"), seeds=1)
    done = invoke("report", "out")
    path = Path("out/report.html")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{path}: {path.stat().st_size / 1e6:.1f} MB\n"
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert invoke("report", "out", "--output", "page.html").status == 0
    assert Path("page.html").read_bytes() == path.read_bytes()


def test_page_of_several_folders() -> None:
    Path("all").mkdir()
    make(Path("all/fig3"), ["r-vgg19"], seeds=1)
    Path("all/fig4").mkdir()
    Path("all/fig4/stats.parquet").write_text("no table")
    done = invoke("report", "all")
    assert done.status == 0
    assert done.err.startswith("fig4: fig4/stats.parquet: expected a parquet table")
    assert done.out.startswith(f"{Path('all/report.html')}: ")


def test_bad_input() -> None:
    assert "holds no results" in refused("report", "missing")
    Path("empty").mkdir()
    assert "holds no results" in refused("report", "empty")
    pd.DataFrame(columns=list(RESULT_COLUMNS)).to_parquet("empty/results.parquet")
    assert "its tables are empty" in refused("report", "empty")
    make(Path("out"), seeds=1)
    assert "expected a file, found a folder" in refused("report", "out", "--output", "empty")
    assert "no folder 'gone'" in refused("report", "out", "--output", "gone/page.html")
    Path("out/results.parquet").write_text("no table")
    assert "expected a parquet table" in refused("report", "out")
    assert not list(Path().glob("**/*.html"))
