"""The command ``stylebench judge``; like main.py, it imports nothing heavy before its use."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say
from stylebench.errors import InputError, masked

if TYPE_CHECKING:
    from stylebench.tracking.place import Place


def judge(
    folder: Annotated[Path, typer.Argument(help="A results folder of `stylebench sweep`.")],
    judges: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            help="Backbones that judge, p-NAME or r-NAME, comma lists; default: p-vgg19, "
            "p-resnet50, p-timm:efficientnet_lite0 where their weights are on this machine, "
            "random ones if they are too few. Repeatable.",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="NAME=SOURCE",
            help="Take the weights of a --judge from there. Repeatable.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="Compute on this device: `auto | cpu | cuda | cuda:N`.")
    ] = "auto",
    offline: Annotated[
        bool, typer.Option("--offline", help="Never download weights of a --judge.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compute again what these judges said.")
    ] = False,
    tracking_uri: options.TrackingUri = None,
    jobs: options.Jobs = None,
    plugin: options.Plugin = None,
) -> None:
    """Measure finished stylisations with metrics that were not optimised, into metrics.parquet.

    Nothing is stylised again; what was measured before is kept. No backbone judges its own jobs.
    Where the folder is tracked, the metrics go into MLflow.

    Examples:

        stylebench judge results/default

        stylebench judge results/default --judge r-densenet121,r-googlenet --offline
    """
    from stylebench import store

    if not folder.is_dir():  # told before torch is imported
        raise InputError(f"no folder {str(folder)!r}; expected one of stylebench sweep")

    from stylebench import figures, runtime
    from stylebench.backbones.pretrained import parse_given
    from stylebench.store import lock
    from stylebench.sweeps import judge
    from stylebench.tracking.place import chosen

    place = chosen(tracking_uri)
    given = parse_given(weights or [], judges or [])
    how = judge.JudgeOptions(
        names=judges or [], given=given, device=runtime.resolve_device(device),
        workers=jobs or 1, offline=offline, force=force,
    )  # fmt: skip
    there = store.holds_results(folder)  # else judging says what is wrong
    with lock.claim(folder, "stylebench judge") if there else contextlib.nullcontext():
        try:
            summary = judge.run(folder, how, say)
        except KeyboardInterrupt:
            say("stopped: what was measured is kept; run the same command again to go on")
            raise typer.Exit(130) from None
        for name, found in figures.draw(folder, ["metrics", "comparisons"]):
            say(figures.told(name, found))
        logged = _log(folder, place)
    say(f"{summary.judged} judged, {summary.failed} not in full: {folder / 'metrics.parquet'}")
    if summary.failed or not logged:
        raise typer.Exit(1)


def _log(folder: Path, place: "Place") -> bool:
    """Complete MLflow where a folder is tracked; return whether all is there."""
    from stylebench.tracking import background

    if not background.is_tracked(folder, place):
        if background.is_tracked_elsewhere(folder, place):
            command = f"{background.completing(folder, place)} --tracking-uri …"
            say(f"not in MLflow: this folder is tracked elsewhere; complete with `{command}`")
        return True
    try:
        done = background.complete(folder, place, say)
    except InputError as error:
        command = background.completing(folder, place, masked(place.uri or ""))
        say(f"not in MLflow: {error}; complete with `{command}`")
        return False
    say(f"metrics of {done.there + done.logged} jobs are in MLflow: {done.address}")
    return not (done.missing or done.late)
