"""The command ``stylebench transfer``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebench.cli import bounds, complete, options
from stylebench.cli.flags import engine_options, given_flags, run_options
from stylebench.cli.progress import counted, duration, say
from stylebench.cli.watch import share, watch
from stylebench.errors import InputError, suggestion

if TYPE_CHECKING:
    from stylebench.images import ImageSource
    from stylebench.sweeps.run import RunOptions
    from stylebench.sweeps.single import Made


def _told(output: Path, made: "Made", strength: float) -> str:
    """Return the line on a picture that was made."""
    job, record = made.job, made.record
    width, height = made.pixels
    ended = record.stop_reason == "tolerance"
    smoothing = [] if job.smoothing.name == "none" else [job.smoothing.label]
    parts = [
        f"{output}: {width} × {height} px",
        " ".join([job.label, *smoothing]),
        f"preset {job.preset}",
        *([f"strength {strength:g}"] if strength != 1 else []),
        counted(record.evals or 0, "evaluation")
        + (f" (--tolerance {job.tolerance:g})" if ended else ""),
        share(record.style_loss_initial, record.style_loss),
        *record.flags,
        duration(record.seconds or 0.0),
    ]
    return ", ".join(parts)


STARTS = ("content", "style", "noise", "previous")


def _check(start: str | None, every: int | None, *, of_frames: bool, force: bool) -> None:
    """Raise InputError for flags that would do nothing, and for a start that is none."""
    if start is not None and start not in STARTS:
        near = suggestion(start, STARTS)
        raise InputError(f"--start expects one of {', '.join(STARTS)}, found {start!r}{near}")
    if of_frames and every is not None:
        raise InputError("--every is for one picture; of frames each one is written")
    if not of_frames and start == "previous":
        raise InputError("--start previous expects a folder of frames as content")
    if not of_frames and force:
        raise InputError("--force is for a folder of frames; one picture is made anew anyway")


def _frames(
    frames: "list[ImageSource]",
    flags: dict[str, Any],
    how: "RunOptions",
    output: Path,
    start: Any,
    strength: float,
    *,
    force: bool,
) -> None:
    """Stylise the frames of a folder into another one."""
    from stylebench.sweeps.frames import transfer_frames

    again = "the same command goes on"
    try:
        with watch() as progress:
            made = transfer_frames(
                frames, flags, how, output, start, say, progress.begin, progress, strength,
                force=force,
            )  # fmt: skip
    except KeyboardInterrupt:
        say(f"stopped: finished frames are in {output}; {again}", error=True)
        raise typer.Exit(130) from None
    if made.done < made.count:
        say(f"stopped: {made.done} of {made.count} frames are in {output}; {again}")
        raise typer.Exit(130)
    width, height = made.pixels
    parts = [f"{output}: {made.count} frames", f"{width} × {height} px", made.job.label,
             f"preset {made.job.preset}", f"start {start}", duration(made.seconds)]  # fmt: skip
    say(", ".join(parts))
    if made.styles:
        first, last = made.styles
        say(
            f"style {first:.2g} of its start in the first frame, {last:.2g} in the last: each goes "
            "on from the one before"
        )
    if made.left_out:
        say(f"{len(made.left_out)} of the frames cannot be read, see above", error=True)
        raise typer.Exit(1)
    if found := made.flicker:
        say(f"flicker {found.excess:.1f} grey levels a frame; contents {found.contents:.1f}")


def transfer(
    content: Annotated[
        str,
        typer.Argument(
            help="A photograph: a file or a built-in name; or a folder of frames, all of one size.",
            autocompletion=complete.photographs,
        ),
    ],
    style: Annotated[
        str,
        typer.Argument(
            help="A style: a file or a built-in name; or several, a comma list (`--blend`).",
            autocompletion=complete.styles,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="PNG or JPEG to write, or a folder for frames; default: stylized.png or stylized.",
        ),
    ] = None,
    arch: Annotated[
        str, typer.Option("--arch", help="One backbone.", autocompletion=complete.archs)
    ] = "p-resnet50",
    smoothing: Annotated[
        str,
        typer.Option("--smoothing", help="One smoothing.", autocompletion=complete.smoothings),
    ] = "none",
    nodes: options.Nodes = None,
    content_node: options.ContentNode = None,
    plugin: options.Plugin = None,
    size: Annotated[
        int, typer.Option("--size", help="Long side in px.", callback=bounds.SIDE)
    ] = 512,
    evals: Annotated[
        int, typer.Option("--evals", help="Closure evaluations, at most.", callback=bounds.COUNT)
    ] = 200,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            help="End where the loss fell by less than this share in 20 evaluations; 0: never.",
            callback=bounds.SHARE,
        ),
    ] = 0.05,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            help="Begin with the `content` (default), the `style` or `noise`; each frame of a "
            "folder with the `previous` result.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make all frames anew.")] = False,
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            metavar="N",
            help="Write the best picture so far every N evaluations too: OUTPUT-0050.png.",
            callback=bounds.COUNT,
        ),
    ] = None,
    blend: options.Blend = None,
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            metavar="FILE,FILE…",
            help="Put each style where its mask is white, a picture in the content's proportions; "
            "with one mask less the last style takes the rest.",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            "--strength", help="Times the preset's weight of the style.", callback=bounds.POSITIVE
        ),
    ] = 1.0,
    style_scale: Annotated[
        float,
        typer.Option(
            "--style-scale",
            help="Times --size: the style picture, and its strokes.",
            callback=bounds.POSITIVE,
        ),
    ] = 1.0,
    keep_colours: Annotated[
        bool, typer.Option("--keep-colours", help="The content's: `--colours luminance`.")
    ] = False,
    colours: Annotated[
        str | None,
        typer.Option(
            "--colours",
            help="Take the colours of the `style`, or the content's: `luminance` stylises "
            "the luminance alone, `matched` brings the style's colours to the content's first.",
        ),
    ] = None,
    resize: options.Resize = None,
    seed: Annotated[
        int,
        typer.Option("--seed", help="Draw random weights from this seed.", callback=bounds.SEED),
    ] = 0,
    preset: options.Preset = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    weights: options.Weights = None,
    offline: options.Offline = False,
) -> None:
    """Stylise one picture, or the frames in a folder. Ctrl-C ends with the best so far.

    Of frames it ends with those that are finished; the same command goes on.

    Examples:

        stylebench transfer chelsea mosaic --arch r-vgg19 -o cat.png

        stylebench transfer me.jpg night.jpg --weights resnet50=resnet50.safetensors --size 768

        stylebench transfer me.jpg brush,mosaic --blend 0.7,0.3 --strength 2 --keep-colours

        stylebench transfer me.jpg brush,mosaic --mask sky.png

        stylebench transfer frames/ mosaic --start previous -o out/
    """
    from stylebench.sweeps.experiment import load_sweep
    from stylebench.sweeps.frames import listed
    from stylebench.sweeps.single import mixed, transfer_one

    if keep_colours and colours not in (None, "luminance"):
        raise InputError(f"expected --keep-colours or --colours {colours}, found both")
    frames = listed(content, say)
    _check(start, every, of_frames=frames is not None, force=force)
    output = output or Path("stylized.png" if frames is None else "stylized")
    flags = given_flags(arch=[arch], smoothing=[smoothing], content=[content],
                        style=[mixed(style, blend, mask, say)], style_scale=style_scale,
                        colours="luminance" if keep_colours else colours, size=size,
                        evals=evals, tolerance=tolerance, seed=[seed], preset=preset,
                        precision=precision, resize=resize, nodes=nodes,
                        content_node=content_node)  # fmt: skip
    load_sweep(None, flags)  # what is wrong is told before torch is imported
    how = run_options(
        output.parent, engine_options(device), weights, [arch], shared=True, offline=offline
    )
    if frames is not None:
        _frames(frames, flags, how, output, start or "content", strength, force=force)
        return
    if start is not None:
        flags["start"] = start
    try:
        with watch() as progress:
            made = transfer_one(flags, how, output, say, progress, every, strength)
    except KeyboardInterrupt:  # before the first evaluation, or a second time
        say(f"stopped: {output} was not written", error=True)
        raise typer.Exit(130) from None
    say(_told(output, made, strength))
    if made.record.stop_reason == "stopped":
        say(f"stopped: {output} is the best picture so far")
        raise typer.Exit(130)
