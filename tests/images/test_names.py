"""Names of pictures: files, folders and built-ins; what identifies and saves them."""

import errno
import hashlib
import os
import socket
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stylebench import images
from stylebench.errors import InputError
from stylebench.images import ImageSource, formats
from tests.images.pictures import GREYS, QUADRANTS, WIDTH, corners, expand


def _refs(sources: list[ImageSource]) -> list[str]:
    return [source.ref for source in sources]


def test_resolve_all_builtins() -> None:
    content, style = images.resolve("builtin", "content"), images.resolve("builtin", "style")
    assert [source.name for source in content] == list(images.PHOTOGRAPHS)
    assert len(content) == 10
    assert [source.name for source in style] == list(images.PAINTINGS)
    assert len(style) == 5
    assert list(images.builtins()) == [source.name for source in content + style]


def test_resolve_lists_in_order(photo: Path) -> None:
    sources = images.resolve(f"mosaic, builtin:chelsea,{photo}", "content")
    assert _refs(sources) == ["builtin:mosaic", "builtin:chelsea", str(photo)]
    assert [source.name for source in sources] == ["mosaic", "chelsea", "photo"]


def test_resolve_takes_an_existing_path_with_a_comma_whole(photo: Path) -> None:
    odd = photo.rename(photo.with_name("coffee,chelsea.png"))
    assert _refs(images.resolve(str(odd), "style")) == [str(odd)]


def test_resolve_folder(photo: Path) -> None:
    for name in ("b.JPG", "a.webp", "notes.txt", ".hidden.png"):
        (photo.parent / name).touch()
    (photo.parent / "folder.png").mkdir()
    sources = images.resolve(str(photo.parent), "content")
    assert [source.name for source in sources] == ["a", "b", "photo"]


def test_a_folder_tells_what_it_leaves_out(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)  # no pillow-heif
    formats.readable.cache_clear()
    formats.suffixes.cache_clear()
    folder = photo.parent
    for name in ("a.jpe", "b.JPG", "c.avif", "d.jp2", "e.ppm"):
        (folder / name).touch()
    heif = b"\0\0\0\x18ftypheic" + bytes(16)
    files = {
        "f.heic": heif,
        "g": heif,
        "h.heic": photo.read_bytes(),
        "i.jpg_large": b"\xff\xd8\xff",
    }
    files |= {"j.NEF": b"MM\0*", "k.svg": b"<svg/>", "notes.txt": b"II", ".hidden.heic": heif}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "l.png").symlink_to("nowhere")
    (folder / "more").mkdir()
    (folder / "more" / "z.png").touch()
    (folder / "other").mkdir()
    os.mkfifo(folder / "m.png")
    told: list[str] = []
    taken = [source.name for source in images.resolve(str(folder), "style", told.append)]
    assert taken == ["a", "b", "c", "d", "e", "photo"]
    (line,) = told
    assert line == (
        f"style folder {str(folder)!r}: left out: f.heic, g (HEIF: install pillow-heif, or save it "
        "as PNG); h.heic (PNG by its content: name it .png); i.jpg_large (JPEG by its content: "
        "name it .jpg); j.NEF (a camera's raw file: export it as JPEG, PNG or TIFF); k.svg (none "
        f"of {formats.text()}); l.png, m.png (no regular file); more (a folder: name it too)"
    )
    formats.readable.cache_clear()
    formats.suffixes.cache_clear()


def test_whatever_pillow_calls_a_picture_is_taken_or_told(photo: Path) -> None:
    """Pillow's own list of suffixes is the oracle."""
    kinds = Image.registered_extensions()
    assert len(kinds) > 50
    for suffix in kinds:
        (photo.parent / f"of{suffix}").touch()
    told: list[str] = []
    names = (Path(s.ref).name for s in images.resolve(str(photo.parent), "content", told.append))
    taken = {*names} - {photo.name}
    left = {f"of{suffix}" for suffix in kinds} - taken
    assert taken >= {"of.jpg", "of.png", "of.jp2", "of.tiff", "of.gif"}
    assert f" and {len(left) - 5} more (none of " in told[0]


def test_a_folder_of_what_is_left_out_alone_is_refused(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.cr2").touch()
    message = r"holds no pictures; left out: 0.cr2, 1.cr2, 2.cr2, 3.cr2, 4.cr2 and 2 more \(a cam"
    with pytest.raises(InputError, match=message):
        images.resolve(str(tmp_path), "content")


def test_nothing_is_told_of_a_folder_of_pictures(photo: Path) -> None:
    told: list[str] = []
    (photo.parent / "notes.txt").write_text("BM of the BMW")
    images.resolve(str(photo.parent), "content", told.append)
    assert not told


@pytest.mark.parametrize("name", ["a.jpe", "a.avif", "a.jp2", "a.j2k", "a.ppm", "a.pgm", "a.heic"])
def test_more_formats_are_read(tmp_path: Path, name: str) -> None:
    if Path(name).suffix not in formats.suffixes():
        pytest.skip("not installed")
    options = {"a.jpe": {"format": "JPEG"}}.get(name, {})
    mode = "L" if name == "a.pgm" else "RGB"
    Image.new(mode, (32, 32), 90 if mode == "L" else (90, 90, 90)).save(tmp_path / name, **options)
    (source,) = images.resolve(str(tmp_path), "content")
    assert np.abs(images.read(source.ref, 32).astype(int) - 90).max() <= 2


def test_resolve_prefers_builtins_to_bare_names(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    photo.rename("chelsea")
    assert _refs(images.resolve("chelsea", "content")) == ["builtin:chelsea"]
    assert _refs(images.resolve("./chelsea", "content")) == [str(photo.parent / "chelsea")]


def test_resolve_long_lists() -> None:
    assert len(images.resolve(",".join(["chelsea"] * 1000), "content")) == 1000


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "chelsa",
            r"^content 'chelsa' is neither a file, a folder nor a built-in image; "
            r"did you mean 'chelsea'.*\? \(stylebench ls images\)$",
        ),
        ("builtin:wodcut", "did you mean 'woodcut'"),
        ("no/such.png", "content 'no/such.png' is neither"),
        ("coffee,,flower", "empty entry"),
        ("", "empty entry"),
        ("a\0b", "is neither"),
        ("~no-such-user/x.png", "is neither"),
        ("x" * 5000, "is neither"),
    ],
)
def test_resolve_refuses(value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        images.resolve(value, "content")


def test_unique_names() -> None:
    sources = [
        ImageSource("cat", "/one/cat.png"),
        ImageSource("chelsea", "builtin:chelsea"),
        ImageSource("cat", "/two/cat.png"),
        ImageSource("cat", "/two/cat.jpg"),
        ImageSource("dog", "/two/dog.jpg"),
        ImageSource("cat", "/one/cat.png"),
        ImageSource("chelsea", "/two/chelsea.png"),
    ]
    unique = images.unique_names(sources)
    assert [(source.name, source.ref) for source in unique] == [
        ("one-cat", "/one/cat.png"),
        ("chelsea", "builtin:chelsea"),
        ("two-cat.png", "/two/cat.png"),
        ("two-cat.jpg", "/two/cat.jpg"),
        ("dog", "/two/dog.jpg"),
        ("two-chelsea", "/two/chelsea.png"),
    ]
    assert images.unique_names(unique) == unique


@given(st.lists(st.tuples(*[st.sampled_from(["a", "b", "a-b", "a-2"])] * 3), max_size=12))
def test_unique_names_always_differ(parts: list[tuple[str, str, str]]) -> None:
    sources = [ImageSource(c, f"/{a}/{b}/{c}.png") for a, b, c in parts]
    unique = images.unique_names(sources)
    assert len({source.name for source in unique}) == len(unique) == len(set(parts))


# --- digests, saving, the built-ins


def test_digest_of_a_file_is_of_its_bytes(photo: Path) -> None:
    first = images.digest(str(photo), 64)
    assert len(first) == 32
    assert images.digest(str(photo.rename(photo.with_name("other.png"))), 128) == first
    photo.write_bytes(b"another")
    assert images.digest(str(photo), 64) != first


def test_digest_of_a_builtin_is_of_its_pixels() -> None:
    for size in (64, 65):
        pixels = images.read("builtin:coffee", size)
        expected = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:32]
        assert images.digest("builtin:coffee", size) == expected


def test_digest_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        images.digest(str(tmp_path / "none.png"), 64)


@pytest.mark.parametrize(("name", "tolerance"), [("a.png", 0), ("new/a.jpg", 12), ("a.JPEG", 12)])
def test_save(tmp_path: Path, name: str, tolerance: int) -> None:
    path = tmp_path / name
    images.save(path, expand(QUADRANTS))
    images.save(path, expand(QUADRANTS))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert np.abs(corners(images.read(str(path), WIDTH)) - QUADRANTS).max() <= tolerance


def test_save_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a name in .png, .jpg or .jpeg"):
        images.save(tmp_path / "a.gif", expand(QUADRANTS))
    with pytest.raises(InputError, match=r"expected uint8 \(H, W, 3\), found uint8 \(32, 48\)"):
        images.save(tmp_path / "a.png", expand(GREYS))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot save"):
        images.save(tmp_path / "file" / "a.png", expand(QUADRANTS))


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [(errno.EIO, InputError, "input/output error"), (errno.ENOSPC, OSError, "No space left")],
)
def test_save_leaves_the_old_file_when_it_fails(
    photo: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], told: str
) -> None:
    def full(image: Image.Image, file: BinaryIO, **_: object) -> NoReturn:
        file.write(b"half")
        raise OSError(number, os.strerror(number))

    before = photo.read_bytes()
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(kind, match=told):
        images.save(photo, expand(QUADRANTS))
    assert photo.read_bytes() == before
    assert list(photo.parent.iterdir()) == [photo]


@pytest.mark.parametrize("name", list(images.PHOTOGRAPHS))
def test_photographs_ship_with_the_packages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def blocked(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a built-in picture must not touch the network")

    monkeypatch.setattr(socket.socket, "connect", blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    picture = images.read(f"builtin:{name}", 96)
    assert max(picture.shape[:2]) == 96
    assert picture.std() > 15
    assert images.PHOTOGRAPHS[name].description
    assert images.PHOTOGRAPHS[name].credit
    assert images.read(f"builtin:{name}", 40, resize="squash").shape == (40, 40, 3)


def test_a_builtin_too_small_to_show_names_no_folder() -> None:
    with pytest.raises(InputError, match=r"^image 'skimage/data/chelsea.png' is 451×300 px: at"):
        images.read("builtin:chelsea", 16)
    with pytest.raises(InputError, match="did you mean 'woodcut'"):
        images.read("builtin:wodcut", 64)


def test_a_missing_package_is_named() -> None:
    missing = images.Builtin("no_such_package", "x.png", "", "")
    with pytest.raises(InputError, match=r"no_such_package has no x.png; install the tested"):
        missing.render(64)
