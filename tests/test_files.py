"""Files are written whole or not at all, and through no link."""

import contextlib
import stat
from pathlib import Path

import pytest

from stylebench import files
from stylebench.errors import describe


def test_a_file_is_the_old_one_or_the_whole_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_text(path, "old")
    with contextlib.suppress(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    files.write_text(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_the_suffix_stays_and_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "a.png") as temporary:
        assert temporary.suffix == ".png"
    (tmp_path / "b").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.png", "b")]
    assert modes[0] == modes[1]


def test_nothing_is_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    link = tmp_path / "a.txt"
    link.symlink_to(mine)
    files.write_text(link, "new")
    assert (mine.read_text(), link.read_text(), link.is_symlink()) == ("mine", "new", False)

    monkeypatch.setattr("stylebench.files.secrets.token_hex", lambda count: "guessed")
    (tmp_path / ".guessed.part.txt").symlink_to(mine)
    with pytest.raises(FileExistsError):
        files.write_text(link, "other")
    with pytest.raises(OSError, match="symbolic links"):
        open(tmp_path / ".guessed.part.txt", "w", opener=files.open_no_link)  # noqa: SIM115
    assert mine.read_text() == "mine"


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a").startswith("ba7816bf8f01cfea")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" two\n\n lines ", "two lines"),
        ("", "ValueError"),
        ("\x1b[2J", "\\x1b[2J"),
        ("x" * 200, "x" * 160),
    ],
)
def test_describe(text: str, line: str) -> None:
    assert describe(ValueError(text)) == line


def test_only_our_own_folders_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "stylebench"
    for folder in (package, tmp_path / "analysis"):
        folder.mkdir()
    monkeypatch.setattr(files, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    assert files.locate("analysis") is None, "beside an installed package it is another's"
    (package / "_analysis").mkdir()
    assert files.locate("analysis") == package / "_analysis"
    (package / "_analysis").rmdir()
    (tmp_path / "pyproject.toml").touch()
    assert files.locate("analysis") == tmp_path / "analysis"
    assert files.locate("experiments") is None
