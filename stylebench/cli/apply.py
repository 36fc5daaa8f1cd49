"""The command ``stylebench apply``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import Annotated

import typer

from stylebench.cli import bounds, complete, options
from stylebench.cli.progress import say


def apply(
    model: Annotated[
        str,
        typer.Argument(help="MODEL.safetensors of `stylebench train`, or `registry:magenta`."),
    ],
    content: Annotated[
        str,
        typer.Argument(
            help="Photographs: a file, a folder, a built-in name, or a comma list of these.",
            autocompletion=complete.photographs,
        ),
    ],
    style: Annotated[
        str,
        typer.Argument(
            help="A style: a file or a built-in name; or several, a comma list, that are mixed.",
            autocompletion=complete.styles,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="PNG or JPEG to write; of several photographs a folder."
        ),
    ] = Path("stylized.png"),
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            help="Long side in px; default: the photograph's own, up to 1024 px.",
            callback=bounds.SIDE,
        ),
    ] = None,
    style_size: Annotated[
        int,
        typer.Option("--style-size", help="Long side of the style in px.", callback=bounds.SIDE),
    ] = 512,
    strength: Annotated[
        float,
        typer.Option(
            "--strength", help="How much of the style, from 0 to 1.", callback=bounds.UNIT
        ),
    ] = 1.0,
    blend: options.Blend = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    weights: options.Weights = None,
    offline: options.Offline = False,
) -> None:
    """Stylise photographs with a network that was trained for it, in one pass each.

    Of several, those that cannot be read are named, and the others are made; exit status 1.

    Examples:

        stylebench apply results/train_adain/model.safetensors chelsea mosaic -o cat.png

        stylebench apply model.safetensors photos/ night.jpg,scream.jpg --blend 0.7,0.3 -o styled/

        stylebench apply registry:magenta me.jpg night.jpg --strength 0.6
    """
    from stylebench import images, runtime
    from stylebench.backbones.pretrained import parse_given
    from stylebench.stylisers.styliser import REGISTRY, encoders, find

    find(model)  # what is not there is told before torch is imported
    images.resolve(content, "content")
    images.resolve(style, "style")

    from stylebench.stylisers.applying import Applied, apply_to

    def told(made: Applied) -> None:
        say(f"{made.output}: {made.width} × {made.height} px, {made.name}, {made.seconds:.2f} s")

    left: list[str] = []

    def broken(text: str) -> None:
        left.append(text)
        say(f"left out: {text}", error=True)

    given = parse_given(weights, encoders([model])) if weights else {}
    published = model.startswith(REGISTRY) and device == "auto"
    apply_to(
        model, content, style, output, size=size, style_size=style_size, strength=strength,
        blend=blend, given=given, offline=offline, tell=say, done=told, broken=broken,
        device="cpu" if published else runtime.resolve_device(device),
    )  # fmt: skip
    if left:
        say(f"{len(left)} of the photographs cannot be read, see above", error=True)
        raise typer.Exit(1)
