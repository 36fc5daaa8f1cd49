"""The watchers of `tests.faults.stranger` see what they watch for, and every mutation is made."""

import collections
import shutil
import sys
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from tests import jobs
from tests.faults import hostile_tables, mutations, outside, stranger_worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify and /proc are Linux's")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "out"
    jobs.add(out, gradients=True)
    for name in ("figures", "tables", "statistics"):
        (out / name).mkdir()
    Image.new("RGB", (9, 9)).save(out / "figures" / "grid.png")
    (out / "tables" / "summary.md").write_text("x")
    (out / "manifest.json").write_text('{"runs": [{"command": "x", "environment": {}}]}')
    return out


@pytest.fixture
def folder(results: Path, tmp_path: Path) -> stranger_worker.Folder:
    return stranger_worker.Folder(tmp_path / "w", results, tmp_path / "x.yaml")


def test_nothing_is_seen_where_nothing_was_done(folder: stranger_worker.Folder) -> None:
    assert folder.touched() == []
    assert list(folder.outside.rglob("*"))
    assert folder.touched() != []


@pytest.mark.parametrize("name", ["bashrc", "private.jpg", "run/results.parquet"])
def test_reading_is_seen_through_any_link(
    name: str, folder: stranger_worker.Folder, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder.outside / name)
    (tmp_path / "link").read_bytes()
    assert folder.touched() == [f"opened outside: {Path(name).name}"]
    assert folder.touched() == []


def test_writing_is_seen_and_undone(folder: stranger_worker.Folder) -> None:
    place = folder.outside / "bashrc"
    before = place.read_text()
    folder.touched()
    place.write_text("else")
    assert "changed outside: bashrc" in folder.touched()
    assert place.read_text() == before
    (folder.outside / "new").touch()
    assert "changed outside: new" in folder.touched()


def test_canaries_are_known_in_files_pages_and_other_sizes(
    folder: stranger_worker.Folder, tmp_path: Path
) -> None:
    picture = folder.outside / "private.jpg"
    assert outside.shows(picture.read_bytes()) == "text"
    with Image.open(picture) as image:
        image.resize((200, 100)).save(tmp_path / "other.png")
    assert outside.shows((tmp_path / "other.png").read_bytes()) == "a picture"
    Image.new("RGB", (50, 50), (10, 90, 200)).save(tmp_path / "mine.png")
    assert outside.shows((tmp_path / "mine.png").read_bytes()) == ""


def test_every_mutation_changes_something(results: Path, tmp_path: Path) -> None:
    made: collections.Counter[str] = collections.Counter()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "bashrc").write_text("mine")
    few = {mutation for mutation in mutations.KINDS if mutation is not hostile_tables.bomb}
    for number in range(6):
        for mutation in few:
            out = tmp_path / "out"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(results, out)
            (out / "mlflow.db").write_bytes(b"")
            try:
                made[mutation.__name__] += bool(mutation(out, tmp_path / "outside", Random(number)))
            except (OSError, ValueError):
                made[mutation.__name__] += 0
    assert {mutation.__name__ for mutation in few} == {
        name for name, count in made.items() if count
    }


def test_a_case_is_the_same_again(results: Path, tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(results, out)
        told.append(mutations.mutate(out, tmp_path, Random("0:3")))
    assert told[0] == told[1] != []


def test_what_is_wrong_with_what_was_said(tmp_path: Path) -> None:
    def said(status: int, **texts: str) -> list[str]:
        for name in ("out", "err"):
            (tmp_path / name).write_text(texts.get(name, ""))
        return stranger_worker._said(tmp_path, status, killed=False)

    assert said(0, out="fine") == []
    assert said(2, err="stylebench: refused") == []
    assert "2 lines of error" in said(2, err="stylebench: refused\nagain")[0]
    assert said(70) == ["exit status 70"]
    assert said(0, out=f"a {outside.TOKEN}") == ["text from outside in out"]
    assert said(0, out="\x1b[31mred") == ["escapes in out"]
    assert said(1, out="x: failed, KeyError: 'y'") == ["broke: failed, KeyError: 'y'"]
    text = (
        'Traceback (most recent call last):\n  File "/x/stylebench/a.py", line 3, in f\nKeyError: 1'
    )
    assert said(1, err=text) == ["traceback: a.py:3 f: KeyError: 1"]
