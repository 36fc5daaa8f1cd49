"""The command ``stylebench track``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say


def track(
    folder: Annotated[Path, typer.Argument(help="A results folder of `stylebench sweep`.")],
    tracking_uri: options.TrackingUri = None,
    experiment_name: options.ExperimentName = None,
    tag: options.Tag = None,
) -> None:
    """Complete MLflow from a results folder: every job is there once afterwards.

    A sweep logs its jobs while it runs; this is for what a server that was away has missed, and for
    another server. What is there is completed: metrics of judges, and tags.

    Examples:

        stylebench track results/default

        stylebench track results/default --tracking-uri http://mlflow.example.org:5000

        stylebench track results/default --experiment-name phd/backbones --tag chapter=3
    """
    from stylebench.store import lock
    from stylebench.tracking import background
    from stylebench.tracking.place import chosen

    place = chosen(tracking_uri, experiment_name, tag or [])
    background.check(folder)
    try:
        with lock.claim(folder, "stylebench track"):
            done = background.complete(folder, place, say)
    except KeyboardInterrupt:
        say("stopped: what was logged is kept; run the same command again to go on")
        raise typer.Exit(130) from None
    say(f"{done.logged} jobs logged, {done.there} were there: {done.address}")
    if done.missing or done.late:
        raise typer.Exit(1)
