"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import bounds, complete

Experiment = Annotated[
    Path | None,
    typer.Argument(
        help="The experiment: a YAML file, or a name (`stylebench ls experiments`).",
        autocompletion=complete.experiments,
    ),
]

Arch = Annotated[
    list[str] | None,
    typer.Option(
        "--arch",
        help="Backbones to run: names, comma lists, globs or `all`; NAME+OPTION=VALUE sets an "
        "option, FILE.py:CLASS is a network of yours. Repeatable.",
        autocompletion=complete.archs,
    ),
]
Nodes = Annotated[
    str | None,
    typer.Option(
        "--nodes",
        metavar="PATH,PATH…",
        help="Take these style nodes of the one backbone of --arch, by path, index or Gatys' "
        "name (`stylebench ls archs -v --arch NAME`).",
    ),
]
ContentNode = Annotated[
    str | None,
    typer.Option(
        "--content-node",
        metavar="PATH",
        help="Take this content node beside --nodes; default: their last but one.",
    ),
]


def _load(files: list[Path] | None) -> list[Path] | None:
    from stylebench.registry import load_plugin

    for file in files or []:
        load_plugin(file)
    return files


Plugin = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        callback=_load,
        help="Load a Python file with smoothings, statistics, metrics or figures of yours. "
        "Repeatable.",
    ),
]
"""Loaded when the flag is read, so that the command finds what it registers."""
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        help="Address of MLflow, or `off`; default: $MLFLOW_TRACKING_URI, or mlflow.db in the "
        "results folder.",
    ),
]
ExperimentName = Annotated[
    str | None,
    typer.Option(
        "--experiment-name",
        help="Log under it in MLflow; default: $MLFLOW_EXPERIMENT_NAME or the sweep's name.",
    ),
]
Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Tag all runs in MLflow so. Repeatable."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        help="Run at most so many backbones, each with all its options: those that are not timm's, "
        "then the smallest of each timm family (Python module), smallest first, then the second "
        "of each, and so on.",
        callback=bounds.COUNT,
    ),
]
System = Annotated[
    list[str] | None,
    typer.Option(
        "--system",
        help="What makes the pictures: `optimise` (default), MODEL.safetensors of `stylebench "
        "train`, `registry:magenta`. Repeatable.",
    ),
]
Smoothing = Annotated[
    list[str] | None,
    typer.Option(
        "--smoothing",
        help="Smoothings to run, by name (`stylebench ls smoothings`). Repeatable.",
        autocompletion=complete.smoothings,
    ),
]
Content = Annotated[
    list[str] | None,
    typer.Option(
        "--content",
        help="Photographs to stylise: files, folders, built-in names, comma lists. Repeatable.",
        autocompletion=complete.photographs,
    ),
]
Style = Annotated[
    list[str] | None,
    typer.Option(
        "--style",
        help="Styles to give them; every content is paired with every style given. Repeatable.",
        autocompletion=complete.styles,
    ),
]
StatisticsImages = Annotated[
    list[str] | None,
    typer.Option(
        "--statistics-images",
        help="Measure statistics on these photographs; default: the ten built-in.",
        autocompletion=complete.photographs,
    ),
]
NoStatistics = Annotated[
    bool | None, typer.Option("--no-statistics", help="Measure no statistics of feature maps.")
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size", help="Make the long side of the pictures so many px.", callback=bounds.SIDE
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(
        "--resize",
        help="Keep the pictures' proportions (`aspect`), or make them square (`squash`).",
    ),
]
Evals = Annotated[
    int | None,
    typer.Option(
        "--evals", help="Take at most so many closure evaluations per job.", callback=bounds.COUNT
    ),
]
Seed = Annotated[
    list[str] | None,
    typer.Option(
        "--seed",
        metavar="N,N…",
        help="Draw random weights and noise from these seeds: `0,1,2`. Repeatable.",
        callback=bounds.SEEDS,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Take losses, optimiser and image from a preset: `robust` (the default of what "
        "names none), `balanced`, `paper`, `released` or `keras`; these two squash pictures to a "
        "square, unless --resize says otherwise.",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile", help="Take this profile of the file: `quick`, `full` …; default: its first."
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision", help="Run the network in this precision: `auto | fp32 | tf32 | bf16`."
    ),
]
Blend = Annotated[
    str | None,
    typer.Option(
        "--blend",
        metavar="X,Y…",
        help="Weights of several styles; default: equal ones.",
        callback=bounds.WEIGHTS,
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", help="Compute on this device: `auto | cpu | cuda | cuda:N | mps`."),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="NAME=SOURCE",
        help="Take a backbone's weights from a file, `registry:vgg19` …; of the only pretrained "
        "backbone without `NAME=`. Repeatable.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never download weights.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        help="Use so many worker processes, with one thread each, or one GPU in turn; default, "
        "and with 1: all jobs run in this process, with all of its cores.",
        callback=bounds.COUNT,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", help="Run jobs by `inline`, `local` or `ray`; default: `local` with --jobs."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Use the Ray cluster at this address; default: $RAY_ADDRESS or this machine.",
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        help="Stop the worker of a job after so many seconds; 0: never; default: a day.",
        callback=bounds.LIMIT,
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        help="Try a job whose worker died or hung so many times more; default: 2.",
        callback=bounds.TRIES,
    ),
]
Batch = Annotated[
    str,
    typer.Option(
        "--batch",
        help="Compute so many stylisations together: `auto` or a number.",
        callback=bounds.BATCH,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run finished jobs again.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Write into this results folder; default: results/NAME."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
