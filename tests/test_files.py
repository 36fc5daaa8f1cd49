"""Files are written whole or not at all, and through no link."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from stylebench import files, named
from stylebench.errors import InputError, describe


def test_a_file_is_the_old_one_or_the_whole_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_text(path, "old")
    with contextlib.suppress(RuntimeError), files.replacing(path) as temporary:
        temporary.write(b"half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    files.write_text(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.png", "")
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
    (tmp_path / ".guessed.part").symlink_to(mine)
    with pytest.raises(FileExistsError):
        files.write_text(link, "other")
    with pytest.raises(OSError, match="symbolic links"):
        open(tmp_path / ".guessed.part", "w", opener=files.open_no_link)  # noqa: SIM115
    assert mine.read_text() == "mine"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return a folder that is itself reached by a link, beside one that is nobody's business."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    (tmp_path / "disk" / "jobs").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    return tmp_path / "out"


def _pipe(place: Path) -> None:
    os.mkfifo(place)


def _socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(place.parent):
        server.bind(place.name)


PLANTED: list[tuple[Callable[[Path], object], str]] = [
    (lambda place: place.symlink_to(place.parents[2] / "elsewhere" / "secret"), "a symbolic link"),
    (lambda place: place.symlink_to("nowhere"), "a symbolic link"),
    (lambda place: place.symlink_to("/dev/zero"), "a symbolic link"),
    (_pipe, "a pipe"),
    (_socket, "a socket"),
    (Path.mkdir, "a folder"),
]


@pytest.mark.parametrize(("plant", "told"), PLANTED)
def test_what_is_read_is_a_regular_file(
    plant: Callable[[Path], object], told: str, out: Path
) -> None:
    """A pipe or a device would be waited for, or never end."""
    plant(out / "jobs" / "x")
    for open_it in (files.opened, files.read, files.exists, files.size):
        with pytest.raises(InputError, match=f"jobs/x' is {told}, expected a regular file"):
            open_it(out / "jobs" / "x", out)


@pytest.mark.parametrize(
    "name",
    ["../elsewhere/secret", "jobs/../../elsewhere/secret", "/etc/passwd", "a\0b", "\ud800", ".."],
)
def test_nothing_outside_the_root_has_a_name(name: str, out: Path) -> None:
    for use in (files.read, files.exists, lambda path, root: files.write_text(path, "", root)):
        with pytest.raises(InputError, match="is outside of"):
            use(out / name, out)
    assert (out.parent / "elsewhere" / "secret").read_text() == "secret"


def test_no_folder_on_the_way_is_a_link(out: Path) -> None:
    elsewhere = out.parent / "elsewhere"
    (out / "jobs" / "a").symlink_to(elsewhere)
    (out / "images").symlink_to(elsewhere)
    uses: list[Callable[[], object]] = [
        lambda: files.read(out / "jobs" / "a" / "secret", out),
        lambda: files.read(out / "jobs" / "a" / "gone", out),
        lambda: files.listed(out / "images", out),
        lambda: files.write_text(out / "images" / "secret", "", out),
        lambda: files.make_folder(out / "images" / "deeper", out),
        lambda: files.check_own(out / "jobs", out),
    ]
    for use in uses:
        with pytest.raises(InputError, match="is a symbolic link"):
            use()
    assert [path.name for path in elsewhere.iterdir()] == ["secret"]
    assert (elsewhere / "secret").read_text() == "secret"


def test_a_folder_behind_a_link_is_used_like_any(out: Path) -> None:
    files.write_text(out / "jobs" / "a" / "b.json", "ä", out)
    assert files.read_text(out / "jobs" / "a" / "b.json", out) == "ä"
    assert files.listed(out, pattern="j*") == [out / "jobs"]
    assert files.listed(out / "nothing", out) == []
    with pytest.raises(FileNotFoundError, match="jobs/c"):
        files.read(out / "jobs" / "c", out)
    with pytest.raises(NotADirectoryError, match=r"b\.json"):
        files.read(out / "jobs" / "a" / "b.json" / "c", out)


def test_a_second_name_of_a_file_keeps_what_it_had(out: Path) -> None:
    """Hard links are read, as copies made of them (cp -l) are; nothing is written through them."""
    secret = out.parent / "elsewhere" / "secret"
    (out / "a").hardlink_to(secret)
    assert files.read_text(out / "a") == "secret"
    with pytest.raises(InputError, match=r"has 2 names \(hard links\), expected one"):
        files.check_own(out / "a", out)
    with files.appending(out / "a"):
        pass
    files.write_text(out / "a", "new")
    assert (secret.read_text(), (out / "a").read_text()) == ("secret", "new")
    files.check_own(out / "a", out)


def test_a_file_that_is_too_large_is_not_read(out: Path) -> None:
    os.truncate((out / "a").open("w").name, 1 << 40)
    with pytest.raises(InputError, match="has over 268,435,456 bytes"):
        files.read(out / "a")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_what_cannot_be_read_is_told_and_not_taken_for_absent(
    number: int, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    (out / "a").write_text("x")
    monkeypatch.setattr("stylebench.files.os.open", broken)
    for use in (files.read, files.listed):
        with pytest.raises(InputError, match=f"cannot be read: {os.strerror(number).lower()}"):
            use(out if use is files.listed else out / "a", out)


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


def test_what_a_killed_process_left_goes_when_another_writes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young, mine = (
        tmp_path / name for name in (f".{'a' * 16}.part", f".{'b' * 16}.part", ".my.part")
    )
    for path in (old, young, mine):
        path.touch()
    for path in (old, mine):
        os.utime(path, (0, 0))
    files.write_text(tmp_path / "a", "")
    assert {path.name for path in tmp_path.iterdir()} == {"a", young.name, mine.name}


@pytest.mark.parametrize(
    ("there", "ours", "free"),
    [
        ((), (), True),
        ((".DS_Store", ".gitkeep"), (), True),
        (("cat.jpg",), (), False),
        (("photos/",), (), False),
        (("photos/", "default/"), ("jobs",), True),
        (("cat.jpg", "photos/"), ("jobs",), False),
        (("jobs/", "notes.txt"), ("jobs",), True),
        ((".lock", "notes.txt"), ("jobs", ".lock"), True),
    ],
)
def test_a_folder_with_files_of_others_is_not_free(
    there: tuple[str, ...], ours: tuple[str, ...], free: bool, tmp_path: Path
) -> None:
    for name in there:
        path = tmp_path / name
        path.mkdir() if name.endswith("/") else path.touch()
    if free:
        named.check_free(tmp_path, ours)
    else:
        first = repr(there[0].rstrip("/"))
        with pytest.raises(InputError, match=f"--out .* holds {first}.*; expected a new or empty"):
            named.check_free(tmp_path, ours)
