"""The command ``stylebench demo``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say


def demo(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…",
            help="MODEL.safetensors of `stylebench train`, ONNX files of `stylebench export`, or "
            "`registry:magenta`.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Write into this folder, which is new or empty.")
    ] = Path("demo"),
    ort: Annotated[
        Path | None,
        typer.Option(
            "--ort",
            metavar="DIR",
            help="Take onnxruntime-web from this folder, its npm package's dist; default: npm "
            "fetches it.",
        ),
    ] = None,
    plugin: options.Plugin = None,
    weights: options.Weights = None,
    offline: options.Offline = False,
) -> None:
    """Write a page on which networks stylise pictures in the browser; it loads nothing elsewhere.

    Examples:

        stylebench demo registry:magenta --out demo

        stylebench demo adain.onnx sanet.onnx --ort node_modules/onnxruntime-web/dist
    """
    from stylebench.backbones.pretrained import parse_given
    from stylebench.stylisers import demo as page
    from stylebench.stylisers.styliser import encoders

    given = parse_given(weights, encoders(models)) if weights else {}
    size = page.write(models, out, dist=ort, given=given, offline=offline, tell=say)
    say(
        f"{out}: {size / 1e6:.0f} MB; python -m http.server --directory {out}, then open "
        "http://localhost:8000"
    )
