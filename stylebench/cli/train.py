"""The command ``stylebench train``; like main.py, it imports nothing heavy before its use."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebench.cli import bounds, complete, options
from stylebench.cli.flags import command
from stylebench.cli.progress import duration, say
from stylebench.cli.watch import Watch, pace, resumable, stopped

if TYPE_CHECKING:
    from stylebench.stylisers.training import Step, Training


class TrainingWatch(Watch):
    """Tells how far a training is; at Ctrl-C it ends with a checkpoint, at a second one without."""

    def line(self, step: "Step", seconds: float) -> str:
        """Return the line of a step, at so many seconds a step."""
        terms = {"content": "content", "style": "style", "identity_pixels": "identity"}
        shown = (
            f"{name} {step.losses[key]:.3g}" for key, name in terms.items() if step.losses[key]
        )
        parts = (
            f"[{step.number:>{len(str(step.steps))}}/{step.steps}] {'  '.join(shown)}",
            f"{pace(seconds)} s/step",
            f"{duration(seconds * (step.steps - step.number))} left",
            "(Ctrl-C keeps what is trained)",
        )
        return "   ".join(parts)


def _began(training: "Training") -> None:
    how = training.settings
    seer = f", seen by {how.loss.network}" if how.loss.network else ""
    smoothing = "" if how.loss.smoothing.name == "none" else f" {how.loss.smoothing.label}"
    counts = " × ".join(f"{n} {role}s" for role, n in training.counts.items())
    say(
        f"{how.method}  {how.encoder}{seer}{smoothing}: {counts}, {how.crop} px, batches of "
        f"{how.batch}, {how.steps} steps on {training.device} …"
    )


def train(
    experiment: Annotated[
        Path,
        typer.Argument(
            help="The training: a YAML file, or a name (`stylebench ls trainings`).",
            autocompletion=complete.trainings,
        ),
    ],
    profile: options.Profile = None,
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content",
            help="Train on these photographs: files, folders, built-in names. Repeatable.",
            autocompletion=complete.photographs,
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            help="Train on these styles: files, folders, built-in names. Repeatable.",
            autocompletion=complete.styles,
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Make so many steps.", callback=bounds.COUNT)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Draw weights and crops from this seed.", callback=bounds.SEED),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="Train in this precision: `auto | fp32 | bf16`."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write into this folder; default: results/NAME."),
    ] = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    weights: options.Weights = None,
    tracking_uri: options.TrackingUri = None,
    experiment_name: options.ExperimentName = None,
    tag: options.Tag = None,
    offline: options.Offline = False,
) -> None:
    """Train a network that stylises in one pass: AdaIN or SANet, with any backbone.

    It goes on from its last checkpoint, on a CPU to the same bits on the same machine.
    OUT/model.safetensors is what `stylebench apply` takes.

    Examples:

        stylebench train adain

        stylebench train sanet --profile full --content coco/ --style wikiart/ --device cuda
    """
    from stylebench import runtime
    from stylebench.backbones.pretrained import parse_given
    from stylebench.store import MARKS
    from stylebench.stylisers.settings import LOSSES
    from stylebench.stylisers.styliser import MODEL
    from stylebench.sweeps import training
    from stylebench.sweeps.experiment import results_folder
    from stylebench.sweeps.run import check_folder
    from stylebench.tracking.place import chosen

    flags: dict[str, Any] = {"content": content, "style": style, "steps": steps, "seed": seed,
                             "precision": precision}  # fmt: skip
    settings = training.load_training(experiment, flags, profile)
    archs = [settings.encoder, *filter(None, [settings.loss.network])]
    folder = out or results_folder(settings)
    check_folder(folder, ours=(MODEL, LOSSES, *MARKS))
    place = chosen(tracking_uri, experiment_name, tag or [])
    runtime.configure()
    began, before = time.monotonic(), False

    def begin(training: "Training") -> None:
        nonlocal before
        before = training.is_finished
        if not before:
            _began(training)

    with resumable(), TrainingWatch(terminal=sys.stdout.isatty()) as watch:
        model = training.train(
            settings, folder, watch, say, tracking=place, begin=begin,
            given=parse_given(weights or [], archs), device=runtime.resolve_device(device),
            offline=offline, command=command(),
        )  # fmt: skip
    if model is None:
        raise stopped(folder)
    from stylebench.stylisers.card import read

    losses = "  ".join(f"{k} {v:.3g}" for k, v in read(model).losses.items() if v)
    if before:
        say(f"finished already: {model} ({settings.steps} steps, {losses}); another --out trains "
            "it anew")  # fmt: skip
    else:
        say(f"{model}: {settings.steps} steps, {losses}, {duration(time.monotonic() - began)}")
