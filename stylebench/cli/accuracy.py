"""The command ``stylebench accuracy``; like main.py, it imports nothing heavy before its use."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebench.cli import bounds, complete, options
from stylebench.cli.flags import command, given_flags
from stylebench.cli.progress import duration, say
from stylebench.cli.watch import Watch, pace, resumable, stopped

if TYPE_CHECKING:
    from stylebench.classifiers.training import Step


class EpochWatch(Watch):
    """Tells how far a classifier is; at Ctrl-C it ends with the epoch, at a second one at once."""

    def __call__(self, step: "Step") -> bool:
        """Tell of a step; True if its epoch is to be the last."""
        if step.number == 1:
            self._seen = False  # of another network: pace and time left begin anew
        return super().__call__(step)

    def line(self, step: "Step", seconds: float) -> str:
        """Return the line of a step, at so many seconds a step."""
        parts = (
            f"{step.network}  epoch {step.epoch:>{len(str(step.epochs))}}/{step.epochs}  loss "
            f"{step.loss:.3g}",
            f"{pace(seconds)} s/step",
            f"{duration(seconds * (step.steps - step.number))} left of this network",
            "(Ctrl-C keeps what is trained)",
        )
        return "   ".join(parts)


def accuracy(
    experiment: Annotated[
        Path,
        typer.Argument(
            help="The experiment: a YAML file, or a name (`stylebench ls classifiers`).",
            autocompletion=complete.classifiers,
        ),
    ],
    profile: options.Profile = None,
    data_folder: Annotated[
        str | None,
        typer.Option("--folder", metavar="DIR", help="Take cifar100 from this folder."),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download cifar100 into that folder if need be.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            help="Make so many passes over the training split.",
            callback=bounds.COUNT,
        ),
    ] = None,
    seed: options.Seed = None,
    precision: options.Precision = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write into this results folder; default: results/NAME."),
    ] = None,
    device: options.Device = "auto",
    tracking_uri: options.TrackingUri = None,
    experiment_name: options.ExperimentName = None,
    tag: options.Tag = None,
) -> None:
    """Train classifiers that differ in their shortcuts: what each kind of block costs in accuracy.

    The networks go back on the bench: OUT/networks/*.safetensors are weights of `p-cifar-resnet`,
    and entropies of their maps, by stage, stand beside the accuracies. The same command goes on
    from the last checkpoint.

    Examples:

        stylebench accuracy blocks

        stylebench accuracy blocks --profile full --folder cifar/ --download --device cuda
    """
    from stylebench import runtime
    from stylebench.classifiers.data import load
    from stylebench.sweeps import accuracy, classifiers
    from stylebench.sweeps.engines import EngineOptions
    from stylebench.sweeps.experiment import results_folder
    from stylebench.sweeps.run import RunOptions, check_folder
    from stylebench.tracking.place import chosen

    flags: dict[str, Any] = {"folder": data_folder, "epochs": epochs, "precision": precision}
    settings = classifiers.load_settings(experiment, flags | given_flags(seed=seed), profile)
    folder = out or results_folder(settings)
    check_folder(folder)
    place = chosen(tracking_uri, experiment_name, tag or [])
    on = runtime.resolve_device(device)
    runtime.configure()
    found = load(settings.data, settings.folder, download=download)
    how = RunOptions(out=folder, engine=EngineOptions(device=on), tracking=place, command=command())

    def begin() -> None:
        say(
            f"{settings.data}: {len(found.train.labels):,} to learn from, "
            f"{len(found.test.labels):,} to be tested on; ResNet-{settings.depth}, width "
            f"{settings.width}, shortcuts {', '.join(settings.shortcut)}; {len(settings.seed)} "
            f"seeds, {settings.epochs} epochs on {on} …"
        )

    began = time.monotonic()
    with resumable(), EpochWatch(terminal=sys.stdout.isatty()) as watch:
        done = accuracy.run(settings, found, how, accuracy.Watching(begin, watch, say))
    if not done:
        raise stopped(folder)
    say(f"{folder}: {duration(time.monotonic() - began)}")
