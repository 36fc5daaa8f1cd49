"""``transfer`` for a folder of frames: order, starts, going on, flicker, wrong folders."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebench import images
from stylebench.cli.watch import Watch
from tests.cli.bench import Run, invoke

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

TINY = ("mosaic", "--arch", "r-tiny", "--size", 32)


def write_frames(folder: Path, count: int = 3, names: str = "frame{}.png") -> Path:
    """Write frames of a scene that moves a pixel to the left each time."""
    folder.mkdir()
    pixels = images.read("builtin:chelsea", 64)
    for number in range(count):
        crop = np.ascontiguousarray(pixels[:40, number : number + 48])
        images.save(folder / names.format(number), crop)
    return folder


def transfer(folder: Path, *flags: object, evals: int = 3) -> Run:
    return invoke("transfer", folder, *TINY, "--evals", evals, *flags)


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_frames_come_in_natural_order(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for name in ("frame10", "frame2", "Frame1"):
        Image.new("RGB", (40, 30), "red").save(frames / f"{name}.png")
    done = transfer(frames, "-o", tmp_path / "out", evals=1)
    assert done.status == 0, done
    told = [line.split(":")[0] for line in done.out.splitlines() if line.startswith(("f", "F"))]
    assert told[:3] == ["Frame1.png (1/3)", "frame2.png (2/3)", "frame10.png (3/3)"]
    assert "out: 3 frames, 32 × 24 px, r-tiny, preset robust, start content, " in done.out
    assert done.out.splitlines()[-1] == "flicker 0.0 grey levels a frame; contents 0.0"
    assert len({*made(tmp_path / "out").values()}) == 1, "equal frames are each there"


def test_each_starts_from_the_result_before(tmp_path: Path) -> None:
    frames, flags = write_frames(tmp_path / "frames"), ("--start", "previous")
    assert transfer(frames, *flags, "-o", tmp_path / "chain").status == 0
    assert transfer(frames, "-o", tmp_path / "each").status == 0
    chain, each = made(tmp_path / "chain"), made(tmp_path / "each")
    lines = transfer(frames, *flags, "-o", tmp_path / "again").out.splitlines()
    told = re.fullmatch(
        r"style (\S+) of its start in the first frame, (\S+) in the last: .*", lines[-2]
    )
    assert told is not None
    assert float(told[2]) < float(told[1]) < 1, "each goes on from the one before"
    assert "style" not in transfer(frames, *flags, "-o", tmp_path / "again").out.split("px, ")[-1]
    assert [*chain] == [*each] == ["frame0.png", "frame1.png", "frame2.png"]
    assert chain["frame0.png"] == each["frame0.png"], "the first from its content"
    assert all(chain[name] != each[name] for name in ("frame1.png", "frame2.png"))
    out = tmp_path / "chain"
    (out / "frame2.png").unlink()
    again = transfer(frames, *flags, "-o", out)
    assert "3 frames, 2 made before: " in again.out
    assert made(out) == chain, "it goes on to the bit"
    (out / "frame1.png").unlink()
    again = transfer(frames, *flags, "-o", out)
    assert "3 frames, 1 made before: " in again.out, "the last hangs on the one that is missing"
    assert made(out) == chain
    (tmp_path / "each" / "frame1.png").unlink()
    assert "3 frames, 2 made before: " in transfer(frames, "-o", tmp_path / "each").out
    assert "3 frames, 3 made before: " in transfer(frames, "-o", tmp_path / "each").out
    assert made(tmp_path / "each") == each


def test_a_frame_that_changed_is_made_anew(tmp_path: Path) -> None:
    frames, out = write_frames(tmp_path / "frames"), tmp_path / "out"
    first = transfer(frames, "-o", out)
    before = made(out)
    Image.open(frames / "frame0.png").save(frames / "frame1.png")
    again = transfer(frames, "-o", out)
    assert "3 frames, 2 made before: " in again.out
    assert made(out)["frame1.png"] == before["frame0.png"]
    assert first.out.splitlines()[-1] != again.out.splitlines()[-1]


@pytest.mark.parametrize("gone", ["frame0", "frame1", "frame2"])
def test_what_follows_a_frame_that_is_gone_is_made_anew(gone: str, tmp_path: Path) -> None:
    frames, out, flags = (
        write_frames(tmp_path / "frames"),
        tmp_path / "out",
        ("--start", "previous"),
    )
    for folder in (out, tmp_path / "each"):
        assert transfer(frames, *(flags if folder == out else ()), "-o", folder).status == 0
    each = made(tmp_path / "each")
    (frames / f"{gone}.png").unlink()
    again = transfer(frames, *flags, "-o", out)
    assert f"2 frames, {int(gone[-1])} made before: " in again.out, again
    assert transfer(frames, *flags, "-o", tmp_path / "fresh").status == 0
    fresh, gone = made(tmp_path / "fresh"), f"{gone}.png"
    assert {name: data for name, data in made(out).items() if name != gone} == fresh
    assert "2 frames, 2 made before: " in transfer(frames, "-o", tmp_path / "each").out
    assert made(tmp_path / "each") == each, "those that begin with their contents come out the same"


@pytest.mark.parametrize("start", ["content", "previous"])
@pytest.mark.parametrize(("name", "size"), [("frame0", (32, 32)), ("frame2", (27, 32))])
def test_a_finished_frame_of_another_size_is_one_line(
    name: str, size: tuple[int, int], start: str, tmp_path: Path
) -> None:
    frames, out, flags = write_frames(tmp_path / "frames"), tmp_path / "out", ("--start", start)
    transfer(frames, *flags, "-o", out)
    before = made(out)
    Image.new("RGB", size).save(out / f"{name}.png")
    found = made(out)
    done = transfer(frames, *flags, "-o", out)
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert (
        f"{name}.png' is {size[0]}×{size[1]} px, expected 32×27 as of its content; delete it, or "
        "--force makes all frames anew" in done.err
    )
    assert made(out) == found
    (out / f"{name}.png").write_bytes(before[f"{name}.png"][:-20])
    done = transfer(frames, *flags, "-o", out)
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert "is a picture that is not whole; delete it, or --force makes" in done.err
    assert transfer(frames, *flags, "--force", "-o", out).status == 0
    assert made(out) == before


def test_frames_of_other_settings_are_not_overwritten(tmp_path: Path) -> None:
    frames, out = write_frames(tmp_path / "frames"), tmp_path / "out"
    transfer(frames, "-o", out)
    before = made(out)
    for flags in (("--strength", 2), ("--start", "previous"), ("--seed", 1)):
        done = transfer(frames, *flags, "-o", out)
        assert (done.status, done.err.count("\n")) == (2, 1), done
        assert "holds frame0.png and 2 more of other settings; --force makes them" in done.err
    notes = (out / "frames.json").read_text()
    (out / "frames.json").unlink()
    assert "of other settings" in transfer(frames, "-o", out).err, "nor those of nobody knows what"
    assert made(out) == before
    (tmp_path / "strange").mkdir()
    for folder in (out, tmp_path / "strange"):
        (folder / "frames.json").write_text('{"frames": [1]}')
        done = transfer(frames, "-o", folder)
        assert (done.status, done.err.count("\n")) == (2, 1), done
        assert "frames.json' is damaged, or not ours; --force makes" in done.err
        assert (folder / "frames.json").read_text() == '{"frames": [1]}'
    (out / "frames.json").write_text(notes)
    assert "3 frames, 3 made before" in transfer(frames, "-o", out).out
    done = transfer(frames, "--start", "previous", "--force", "-o", out)
    assert (done.status, "3 frames, 0 made before" in done.out) == (0, True), done
    assert made(out) != before
    told = json.loads((out / "frames.json").read_text())
    assert [*told["frames"]] == [*before]
    assert str(tmp_path) not in (out / "frames.json").read_text()


def test_control_c_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, out = write_frames(tmp_path / "frames"), tmp_path / "out"
    whole = transfer(frames, "--start", "previous", "-o", tmp_path / "whole")
    steps: list[Any] = []
    real = Watch.__call__

    def call(watch: Watch, step: Any) -> bool:
        steps.append(step)
        return real(watch, step) or len(steps) == 5

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "__call__", call)
        done = transfer(frames, "--start", "previous", "-o", out)
    assert done.status == 130
    assert (
        done.out.splitlines()[-1]
        == f"stopped: 1 of 3 frames are in {out}; the same command goes on"
    )
    assert [*made(out)] == ["frame0.png"]
    again = transfer(frames, "--start", "previous", "-o", out)
    assert made(out) == made(tmp_path / "whole")
    assert again.out.splitlines()[-1] == whole.out.splitlines()[-1]

    def interrupted(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stylebench.sweeps.frames.transfer_frames", interrupted)
    done = transfer(frames, "-o", out)
    assert (done.status, done.err) == (
        130, f"stopped: finished frames are in {out}; the same command goes on\n"
    )  # fmt: skip


def test_a_watch_tells_of_each_frame_anew(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.cli.test_transfer import step

    now = [0.0]
    watch = Watch(terminal=False, clock=lambda: now[0])
    for name in ("a.png (1/2)", "b.png (2/2)"):
        watch.begin(name)
        for number in range(1, 9):
            now[0] += 2
            watch(step(number, best=0.48))
    assert capsys.readouterr().out.splitlines() == [
        f"{name}  [  6/200] style 0.12 of start   2.0 s/evaluation   6 min 28 s left   "
        "(Ctrl-C keeps finished frames)"
        for name in ("a.png (1/2)", "b.png (2/2)")
    ]


def test_one_frame_does_not_flicker(tmp_path: Path) -> None:
    done = transfer(write_frames(tmp_path / "frames", 1), "-o", tmp_path / "out", evals=1)
    assert (done.status, "flicker" in done.out) == (0, False), done


def test_frames_have_masks_and_colours_too(tmp_path: Path) -> None:
    frames, mask = write_frames(tmp_path / "frames", 2), tmp_path / "mask.png"
    picture = Image.new("L", (48, 40))
    picture.paste(255, (0, 0, 24, 40))
    picture.save(mask)
    flags = ("--mask", mask, "--keep-colours", "--start", "previous")
    done = transfer(frames, *flags, "-o", tmp_path / "out")
    assert done.status == 0, done
    assert "mosaic@mask" in done.out
    assert len(made(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("-o", "out.png"), "--output expects a folder, as the content is one of frames, found"),
        (("-o", "file"), "as the content is one of frames, found 'file'"),
        (("-o", "notes"), "--output 'notes' holds 'a.txt'; expected a new or empty folder, or one"),
        (("-o", "frames"), "--output 'frames' has the frames in it; give another folder"),
        (("--every", 2), "--every is for one picture; of frames each one is written"),
        (("--start", "previus"), "--start expects one of content, style, noise, previous, found "
         "'previus'; did you mean 'previous'?"),
        (("--arch", "r-tiny,r-vgg11"), "expected one backbone"),
    ],
)  # fmt: skip
def test_wrong_flags_of_frames_are_one_line(
    flags: tuple[Any, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = made(write_frames(tmp_path / "frames", 2))
    Path("file").write_text("")
    Path("notes").mkdir()
    Path("notes", "a.txt").write_text("")
    done = transfer(Path("frames"), *flags, evals=1)
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert text in done.err
    assert made(tmp_path / "frames") == frames
    assert not Path("stylized").exists()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--start", "previous"), "--start previous expects a folder of frames as content"),
        (("--force",), "--force is for a folder of frames; one picture is made anew anyway"),
        (("--start", "white"), "--start expects one of content, style, noise, previous"),
    ],
)
def test_wrong_flags_of_one_picture_are_one_line(
    flags: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    done = invoke("transfer", "chelsea", *TINY, *flags, "-o", tmp_path / "a.png")
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert text in done.err


def test_a_picture_starts_from_noise(tmp_path: Path) -> None:
    for start in ("noise", "style", "content"):
        out = tmp_path / f"{start}.png"
        done = invoke("transfer", "chelsea", *TINY, "--evals", 2, "--start", start, "-o", out)
        assert done.status == 0, done
        assert (f"start={start}" in done.out) is (start != "content")
    assert len({*made(tmp_path).values()}) == 3


def test_a_broken_frame_costs_no_other_unless_they_are_chained(tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames")
    (frames / "frame0.png").write_bytes((frames / "frame0.png").read_bytes()[:300])
    done = transfer(frames, "--start", "previous", "-o", tmp_path / "chain")
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert "with --start previous each frame needs the one before it: mend it" in done.err
    assert not (tmp_path / "chain").exists()
    done = transfer(frames, "-o", tmp_path / "each")
    assert done.status == 1
    assert [*made(tmp_path / "each")] == ["frame1.png", "frame2.png"]
    assert "left out: " in done.out
    assert "frame0.png' is damaged" in done.out
    assert "flicker" not in done.out, "frames that are no neighbours"
    assert done.err == "1 of the frames cannot be read, see above\n"


def test_frames_that_are_none(tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", 2)
    out = ("-o", tmp_path / "out")
    Image.open(frames / "frame0.png").save(frames / "frame0.jpg")
    assert "found two that become 'frame0.png'" in transfer(frames, *out).err
    (frames / "frame0.jpg").unlink()
    Image.new("RGB", (40, 40)).save(frames / "frame7.png")
    assert (
        "expected frames of one size, found frame0 32×27, frame7 32×32 px"
        in transfer(frames, *out).err
    )
    for path in frames.iterdir():
        path.write_bytes(b"no picture")
    done = transfer(frames, *out)
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in transfer(tmp_path / "empty", *out).err
