"""docs/tutorial.md, run as its readers run it, with tiny pictures."""

import re
from pathlib import Path

import pytest

from tests import tutorial

pytest.importorskip("jupytext")

TEXT = tutorial.PAGE.read_text(encoding="utf-8")


def stable(printed: str) -> list[str]:
    """Return the lines of an output without what differs with sizes, machines and clocks.

    They are sorted: jobs are judged in the order of their names, which hang on all settings. Lines
    of comparisons are left out: not every metric is defined for tiny pictures.
    """
    text = re.sub(r"\[ *\d+/\d+\] style .*\n", "", printed)  # told after some seconds alone
    text = re.sub(r"(\d+ h )?(\d+ min )?\d[\d.]* s\b", "T", text)
    text = re.sub(r"^\S+(?: by \S+)? +[-+]\d.* pairs × .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"[-+]?\d[\d.,e-]*", "0", text)
    return sorted(" ".join(line.split()) for line in text.splitlines())


@pytest.mark.slow
def test_what_the_page_shows_is_what_its_cells_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_weights: None, one_thread: None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = list(tutorial.run(tutorial.small(TEXT), tutorial.stylebench))
    for new, old in zip(found, tutorial.printed(TEXT), strict=True):
        assert stable(new) == stable(old)
    assert re.search(r"^ssim +[-+]\d.* p [\d.]+, 6 pairs × 1 seed", "".join(found), re.MULTILINE)
    for name in ("cat.png", "plain.png", "results/own/report.html"):
        assert (tmp_path / name).stat().st_size


def test_the_notebook_has_every_cell_and_its_files() -> None:
    made = tutorial.cells(TEXT)
    assert len(made) == len(tutorial.printed(TEXT)) > 7
    assert [cell.partition("\n")[0] for cell in made if "class Block" in cell] == [
        "%%writefile nets.py"
    ]
    words = "\n".join(c.source for c in tutorial.notebook(TEXT).cells if c.cell_type == "markdown")
    assert "```text" not in words
    assert "# Your own network on the bench" in words


def test_what_is_below_a_cell_is_replaced() -> None:
    page = "a\n\n```bash\nx\n```\n\n```text\nold\n```\n\n```python\ny\n```\n\nz\n"
    filled = tutorial.filled(page, iter(["new\n", "2\n"]))
    assert tutorial.printed(filled) == ["new\n", "2\n"]
    assert tutorial.filled(filled, iter(["", ""])).count("```text") == 0
    assert filled.startswith("a\n\n```bash\nx\n```\n\n```text\nnew\n```\n\n```python")
    assert filled.endswith("\n\nz\n")
