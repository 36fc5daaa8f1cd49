"""The command ``stylebench export``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say


def export(
    model: Annotated[
        str,
        typer.Argument(help="MODEL.safetensors of `stylebench train`, or `registry:magenta`."),
    ],
    output: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Store weights in 16 bits: half the size.")
    ] = False,
    plugin: options.Plugin = None,
    weights: options.Weights = None,
    offline: options.Offline = False,
) -> None:
    """Write a trained network as ONNX, for pictures of any size, and check that it makes the same.

    Examples:

        stylebench export results/train_adain/model.safetensors adain.onnx

        stylebench export registry:magenta magenta.onnx --fp16
    """
    from stylebench.backbones.pretrained import parse_given
    from stylebench.stylisers.styliser import encoders, find, load

    find(model)  # one that is not there is told before torch is imported

    from stylebench.stylisers import export as exporting
    from stylebench.stylisers.graphs import OPSET

    exporting.check_output(output)
    given = parse_given(weights, encoders([model])) if weights else {}
    styliser = load(model, given=given, offline=offline)
    made = exporting.export(styliser, half=fp16)
    exporting.write(output, made)
    say(
        f"{output}: {styliser.name}, {len(made.data) / 1e6:.1f} MB, opset {OPSET}; its "
        f"pictures differ by {made.error:.1g} (relative; bound {made.bound:g}), no pixel by more "
        f"than {made.levels:.2g} of 255 grey levels"
    )
