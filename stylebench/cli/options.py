"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import complete

Experiment = Annotated[
    Path | None,
    typer.Argument(
        help="A YAML file, or a name (`stylebench ls experiments`).",
        autocompletion=complete.experiments,
    ),
]

Arch = Annotated[
    list[str] | None,
    typer.Option(
        "--arch",
        help="Backbones: names, comma lists, globs, or `all`; NAME+OPTION=VALUE; FILE.py:CLASS. "
        "Repeatable.",
        autocompletion=complete.archs,
    ),
]
Nodes = Annotated[
    str | None,
    typer.Option(
        "--nodes",
        metavar="PATH,PATH…",
        help="Style nodes of the one backbone of --arch (`stylebench ls archs -v --arch NAME`).",
    ),
]
ContentNode = Annotated[
    str | None,
    typer.Option(
        "--content-node", metavar="PATH", help="With --nodes; default: their last but one."
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
        help="A Python file with smoothings, statistics, metrics or figures of yours. Repeatable.",
    ),
]
"""Loaded when the flag is read, so that the command finds what it registers."""
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        help="At most so many backbones, each with all its options: those that are not timm's, "
        "then the smallest of each timm family (Python module), smallest first, then the second "
        "of each ...",
    ),
]
Smoothing = Annotated[
    list[str] | None,
    typer.Option(
        "--smoothing",
        help="Smoothings by name (`stylebench ls smoothings`).",
        autocompletion=complete.smoothings,
    ),
]
Content = Annotated[
    list[str] | None,
    typer.Option(
        "--content",
        help="Photographs: files, folders, built-in names, comma lists.",
        autocompletion=complete.photographs,
    ),
]
Style = Annotated[
    list[str] | None,
    typer.Option(
        "--style",
        help="Styles; every content is paired with every style given.",
        autocompletion=complete.styles,
    ),
]
StatisticsImages = Annotated[
    list[str] | None,
    typer.Option(
        "--statistics-images",
        help="Photographs on which statistics are measured; default: the ten built-in.",
        autocompletion=complete.photographs,
    ),
]
NoStatistics = Annotated[
    bool | None, typer.Option("--no-statistics", help="Measure no statistics of feature maps.")
]
Size = Annotated[int | None, typer.Option("--size", help="Long side of the pictures in px.")]
Resize = Annotated[
    str | None, typer.Option("--resize", help="`aspect`, or `squash` for square pictures.")
]
Evals = Annotated[int | None, typer.Option("--evals", help="Closure evaluations per job, at most.")]
Seed = Annotated[
    list[str] | None,
    typer.Option(
        "--seed", metavar="N,N…", help="Seeds of random weights and noise: `0,1,2`. Repeatable."
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Losses, optimiser and image: `robust` (the default of what names none), `balanced`, "
        "`paper`, `released` or `keras`.",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Of the file: `quick`, `full` …; default: its first."),
]
Precision = Annotated[
    str | None,
    typer.Option("--precision", help="Of the network: `auto | fp32 | tf32 | bf16`."),
]
Device = Annotated[str, typer.Option("--device", help="`auto | cpu | cuda | cuda:N | mps`")]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", metavar="NAME=SOURCE", help="A file, `registry:vgg19` … Repeatable."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never download weights.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        help="Worker processes, one thread each, or one GPU in turn; default: all jobs in this "
        "process, with all of its cores.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="`inline`, `local` or `ray`; default: `local` with --jobs."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Of a Ray cluster; default: $RAY_ADDRESS or this machine."),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        help="Seconds a job may take before its worker is stopped; 0: any; default: a day.",
    ),
]
Retries = Annotated[
    int | None,
    typer.Option("--retries", help="More tries of a job whose worker died or hung; default: 2."),
]
Batch = Annotated[
    str, typer.Option("--batch", help="Stylisations computed together: `auto` or a number.")
]
Force = Annotated[bool, typer.Option("--force", help="Run finished jobs again.")]
Out = Annotated[Path | None, typer.Option("--out", help="Results folder; default: results/NAME.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
