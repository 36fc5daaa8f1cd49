"""``transfer`` for people who want a picture: how far it is, Ctrl-C, pictures on the way."""

import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebench import images
from stylebench.cli.watch import Watch, pace, share
from tests.cli.bench import NO_FIGURES, invoke, refused
from tests.cli.test_terminal import Terminal, terminals  # noqa: F401  a fixture

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

TINY = ("transfer", "chelsea", "mosaic", "--arch", "r-tiny", "--size", 32)


def step(number: int, first: float = 4.0, best: float = 1.0) -> Any:
    return SimpleNamespace(
        number=number,
        evals=200,
        initial=SimpleNamespace(style_loss=first),
        best=SimpleNamespace(style_loss=best),
    )


def test_a_line_every_ten_seconds_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [100.0]
    watch = Watch(terminal=False, clock=lambda: now[0])
    with watch:
        for number in range(1, 31):
            now[0] += 0.8
            assert watch(step(number, best=0.48)) is False
    assert capsys.readouterr().out.splitlines() == [
        "[ 14/200] style 0.12 of start   0.8 s/evaluation   2 min 29 s left   "
        "(Ctrl-C keeps the best so far)",
        "[ 27/200] style 0.12 of start   0.8 s/evaluation   2 min 18 s left   "
        "(Ctrl-C keeps the best so far)",
    ]


def test_a_share_of_nothing_is_none() -> None:
    assert share(4, 1) == "style 0.25 of its start"
    assert share(0, 0.5) == "style loss 0.5"
    assert share(None, None) == "style not known"
    assert [pace(seconds) for seconds in (12.34, 0.8, 0.031)] == ["12.3", "0.8", "0.031"]


def test_control_c_is_for_the_watch_between_its_first_step_and_its_end() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Watch(terminal=False) as watch:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert watch(step(1)) is False
            signal.raise_signal(signal.SIGINT)
            assert watch(step(2)) is True
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_control_c_on_a_terminal_writes_the_best_picture(
    tmp_path: Path,
    terminals: list[Terminal],  # noqa: F811
) -> None:
    path = tmp_path / "out.png"
    terminals.append(Terminal(*TINY, "--evals", 10**6, "-o", path))
    (terminal,) = terminals
    terminal.read(until="s/evaluation")
    os.write(terminal.master, b"\x03")
    terminal.read()
    assert terminal.process.wait() == 130, terminal.shown
    assert f"stopped: {path} is the best picture so far" in terminal.shown.replace("\r\n", "")
    assert "Traceback" not in terminal.shown
    assert terminal.is_as_before()
    with Image.open(path) as picture:
        assert picture.size == (32, 21)


@pytest.mark.slow
def test_control_c_elsewhere_does_too(tmp_path: Path) -> None:
    command = [*NO_FIGURES, *map(str, TINY), "--evals", "1000000", "--every", "2", "-o", "out.png"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    end = time.monotonic() + 100
    while not (tmp_path / "out-0002.png").exists() and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    told, _ = running.communicate(timeout=100)
    assert running.returncode == 130, told
    assert told.splitlines()[-1] == "stopped: out.png is the best picture so far"
    assert "px, r-tiny, preset robust, " in told
    assert (tmp_path / "out.png").exists()


def test_pictures_on_the_way(tmp_path: Path) -> None:
    done = invoke(*TINY, "--evals", 7, "--every", 3, "-o", tmp_path / "a.b.jpg")
    assert done.status == 0, done
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.b-0003.jpg", "a.b-0006.jpg", "a.b.jpg"]
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 3


@pytest.mark.parametrize("number", [0, -1])
def test_every_is_a_positive_number(number: int, tmp_path: Path) -> None:
    done = invoke(*TINY, "--every", number, "-o", tmp_path / "a.png")
    assert done.status == 2
    assert f"--every expects a positive number, found {number}" in done.err


@pytest.mark.parametrize("preset", ["released", "keras"])
def test_a_preset_that_squashes_says_so(preset: str, tmp_path: Path) -> None:
    command = (*TINY, "--preset", preset, "--evals", 2, "-o", tmp_path / "a.png")
    done = invoke(*command)
    assert f"preset {preset} squashes the pictures to a square" in done.out
    assert "a.png: 32 × 32 px" in done.out
    for resize, size in (("aspect", "32 × 21"), ("squash", "32 × 32")):
        done = invoke(*command, "--resize", resize)
        assert "keeps their form" not in done.out, "they know"
        assert f"a.png: {size} px" in done.out


# ------------------------------------------------------- strength, scale, colours, blends


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_every_control_has_its_flag(tmp_path: Path) -> None:
    plain, out = tmp_path / "plain.png", tmp_path / "out.png"
    short = (*TINY, "--evals", 4)
    assert invoke(*short, "-o", plain).status == 0
    for flags, told in (
        (("--strength", 2), "style_weight=20.0"),
        (("--style-scale", 1.5), "style_scale=1.5"),
        (("--keep-colours",), "colours=luminance"),
        (("--colours", "matched"), "colours=matched"),
    ):
        done = invoke(*short, *flags, "-o", out)
        assert done.status == 0, done
        assert told in done.out
        assert (pixels(out) != pixels(plain)).any(), flags
    done = invoke(*short, "--strength", 2, "-o", out)
    assert "preset robust (modified), strength 2, 4 evaluations" in done.out


def test_colours_that_are_kept(tmp_path: Path) -> None:
    """Red minus green and green minus blue are the content's, but where white or black ends."""
    for flags in (("--keep-colours",), ("--keep-colours", "--colours", "luminance")):
        done = invoke(*TINY, "--evals", 10, *flags, "-o", tmp_path / "a.png")
        assert done.status == 0, done
    found, content = pixels(tmp_path / "a.png"), images.read("builtin:chelsea", 32).astype(int)
    inside = ((found > 0) & (found < 255)).all(axis=2)
    assert inside.mean() > 0.9
    off = np.diff(found, axis=2) - np.diff(content, axis=2)
    assert np.abs(off[inside]).max() <= 1


def test_styles_are_blended_by_weights(tmp_path: Path) -> None:
    made = {}
    for blend in (None, "1,1", "7,3", "0.7,0.3"):
        flags = () if blend is None else ("--blend", blend)
        done = invoke("transfer", "chelsea", "mosaic,brush", *TINY[3:], "--evals", 3, *flags,
                      "-o", tmp_path / "a.png")  # fmt: skip
        assert done.status == 0, done
        made[blend] = done.out.splitlines()[0], (tmp_path / "a.png").read_bytes()
    assert "chelsea × mosaic*0.5+brush*0.5" in made[None][0]
    assert "chelsea × mosaic*0.7+brush*0.3" in made["7,3"][0]
    assert made[None] == made["1,1"]
    assert made["7,3"] == made["0.7,0.3"]
    assert made[None][1] != made["7,3"][1]


def test_styles_go_where_masks_are_white(tmp_path: Path) -> None:
    """Colours of the picture on the left are those of the first style, on the right the other's."""
    mask = tmp_path / "left.png"
    Image.new("L", (64, 42)).save(mask)
    with Image.open(mask) as picture:
        picture.paste(255, (0, 0, 32, 42))
        picture.save(mask)
    for name in ("red", "blue"):
        Image.new("RGB", (40, 40), name).save(tmp_path / f"{name}.png")
    styles = f"{tmp_path / 'red.png'},{tmp_path / 'blue.png'}"
    out = tmp_path / "out.png"
    done = invoke("transfer", "chelsea", styles, *TINY[3:], "--mask", mask, "--strength", 20,
                  "--evals", 20, "-o", out)  # fmt: skip
    assert done.status == 0, done
    assert "chelsea × red@left+blue@rest" in done.out
    found = pixels(out)
    redder = (found[..., 0] - found[..., 2]).mean(axis=0)
    assert redder[:12].mean() > redder[-12:].mean() + 30


@pytest.mark.parametrize(
    ("styles", "flags", "text"),
    [
        ("brush", ("--mask", "white.png,white.png"), "or one less, where the last style takes the "
         "rest; found 2 for 1"),
        ("brush,mosaic,woodcut", ("--mask", "white.png"), "found 1 for 3"),
        ("brush,mosaic", ("--mask", "white.png", "--blend", "1,1"), "--mask and --blend: expected"),
        ("brush,mosaic", ("--mask", "white.png"), "the other masks leave nothing for it"),
        ("brush,brush", ("--mask", "white.png"), "--mask expects each style once"),
        ("brush", ("--mask", "black.png"), "but it is all black"),
        ("brush", ("--mask", "tall.png"), "in the proportions of the content, 32×21, found 21×32"),
        ("brush", ("--mask", "tall.png", "--resize", "squash"), "in the proportions of the"),
        ("brush", ("--mask", "sky.png"), "mask 'sky.png' is neither a file, a folder nor"),
        ("brush", ("--mask", ""), "mask has an empty entry"),
        ("brush", ("--mask", "white.png", "-o", "white.png"), "of which the result is made"),
    ],
)  # fmt: skip
def test_wrong_masks_are_one_line(
    styles: str, flags: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size in {"white": (60, 40), "black": (60, 40), "tall": (40, 60)}.items():
        Image.new("L", size, 0 if name == "black" else 255).save(f"{name}.png")
    done = invoke("transfer", "chelsea", styles, *TINY[3:], *flags)
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert text in done.err


@pytest.mark.parametrize("name", ["photo.png", "link.png", "./photo.png"])
def test_the_photograph_is_not_overwritten(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), "red").save("photo.png")
    Path("link.png").symlink_to("photo.png")
    before = Path("photo.png").read_bytes()
    for pair in (("photo.png", "brush"), ("chelsea", "photo.png"), ("chelsea", "brush,photo.png")):
        done = invoke("transfer", *pair, *TINY[3:], "-o", name)
        assert (done.status, done.err.count("\n")) == (2, 1), done
        assert "of which the result is made; give another name" in done.err
    assert Path("photo.png").read_bytes() == before


def test_control_c_before_the_first_evaluation_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stylebench.sweeps.single.transfer_one", interrupted)
    done = invoke(*TINY, "-o", tmp_path / "a.png")
    assert done.status == 130
    assert done.err == f"stopped: {tmp_path / 'a.png'} was not written\n"


@pytest.mark.parametrize("style", ["builtin", "."])
def test_a_folder_of_styles_is_no_blend(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("red", "blue"):
        Image.new("RGB", (40, 30), name).save(tmp_path / f"{name}.png")
    done = invoke("transfer", "chelsea", style, *TINY[3:], "-o", "made.png")
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert "expected one backbone, one content, one style and one smoothing, found" in done.err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--strength", 0), "--strength expects a positive number, found "),
        (("--strength", "nan"), "--strength expects a positive number, found "),
        (("--strength", "-1"), "--strength expects a positive number, found "),
        (("--style-scale", 0), "--style-scale expects a positive number, found 0"),
        (("--style-scale", "nan"), "--style-scale expects a positive number, found nan"),
        (("--style-scale", 0.1), "style_scale: expected a style picture of 16 to 4096 px, found 32 "
         "px × 0.1 = 3 px"),
        (("--style-scale", 1000), "expected a style picture of 16 to 4096 px"),
        (("--colours", "luminence"), "colours: expected 'style', 'luminance' or 'matched'"),
        (("--keep-colours", "--colours", "matched"), "expected --keep-colours or --colours"),
        (("--blend", "0.5"), "a weight for each of two styles or more, found 1 styles and 1"),
        (("--blend", "0.5,0.5"), "found 1 styles and 2 weights"),
        (("--blend", "half"), "--blend expects positive numbers, as 0.7,0.3, found 'half'"),
        (("--blend", ""), "--blend"),
    ],
)  # fmt: skip
def test_wrong_controls_are_one_line(flags: tuple[Any, ...], text: str, tmp_path: Path) -> None:
    done = invoke(*TINY, *flags, "-o", tmp_path / "a.png")
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert text in done.err
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("blend", ["1,-1", "0,1", "nan,1", "1,2,3", "1"])
def test_wrong_weights_are_one_line(blend: str, tmp_path: Path) -> None:
    done = invoke("transfer", "chelsea", "mosaic,brush", *TINY[3:], "--blend", blend)
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert "blend" in done.err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="has a folder that takes no files")
def test_a_place_that_takes_no_file_is_told_before_all_work() -> None:
    line = refused("transfer", "chelsea", "mosaic", "--arch", "r-tiny", "-o", "/proc/x.png")
    assert line.startswith("stylebench: cannot write into '/proc': ")
