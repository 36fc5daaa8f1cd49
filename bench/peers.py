"""Ours against others that do the same work: ``python bench/peers.py --neural-style-pt DIR``.

Each program is run as its users run it, whole processes in turns, with few evaluations and with
more; what an evaluation takes is the difference. One JSON document: seconds by program and turn,
medians, and the peers' as a ratio to ours. VGG-19 with random weights, which change no time, in the
layout that the peer reads; both on the CPU, from the content picture, without a total variation.

neural-style-pt: https://github.com/ProGamerGov/neural-style-pt, a checkout of it.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import PIL.Image
import torch
import torchvision

from stylebench import images, runtime

FEW, MORE = 5, 25
PAIR = ("chelsea", "brush")
Command = Callable[[int], Sequence[str | Path]]
"""What to run for so many evaluations."""


def ours(size: int, folder: Path) -> Command:
    """Return our command; the network is drawn at random in each run, which is in no difference."""
    return lambda count: [
        sys.executable, "-m", "stylebench", "transfer", *PAIR, "--arch", "r-vgg19", "--size",
        str(size), "--evals", str(count), "--tolerance", "0", "--preset", "balanced", "--device",
        "cpu", "-o", folder / "ours.png",
    ]  # fmt: skip


def neural_style_pt(checkout: Path, size: int, folder: Path) -> Command:
    """Return neural-style-pt's command, its weights and pictures written to files."""
    network = torchvision.models.vgg19(weights=None).features
    weights = folder / "vgg19.pth"
    torch.save({f"features.{name}": value for name, value in network.state_dict().items()}, weights)
    given = []
    for name in PAIR:
        given.append(folder / f"{name}.png")
        PIL.Image.fromarray(images.read(f"builtin:{name}", size)).save(given[-1])
    return lambda count: [
        sys.executable, checkout.resolve() / "neural_style.py", "-gpu", "c", "-model_file", weights,
        "-content_image", given[0], "-style_image", given[1], "-image_size", str(size),
        "-num_iterations", str(count), "-init", "image", "-tv_weight", "0", "-print_iter", "0",
        "-save_iter", "0", "-output_image", folder / "peer.png", "-disable_check", "-backend",
        "mkl",
    ]  # fmt: skip


def seconds(command: Sequence[str | Path], folder: Path) -> float:
    """Return how long a command takes; what it says where it fails ends this."""
    began = time.perf_counter()
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return time.perf_counter() - began


def main() -> None:
    """Run all in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neural-style-pt", type=Path, metavar="DIR", required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    runtime.wait_passively()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = {
            "stylebench": ours(given.size, folder),
            "neural-style-pt": neural_style_pt(given.neural_style_pt, given.size, folder),
        }
        took: dict[str, list[float]] = {key: [] for key in commands}
        for _, (key, command) in itertools.product(range(given.turns), commands.items()):
            few, more = (seconds(command(count), folder) for count in (FEW, MORE))
            took[key].append(round((more - few) / (MORE - FEW), 4))
            print(key, took[key][-1], file=sys.stderr)
    medians = {key: statistics.median(each) for key, each in took.items()}
    ratios = {key: round(each / medians["stylebench"], 3) for key, each in medians.items()}
    print(json.dumps({"size": given.size, "seconds": took, "medians": medians, "ratios": ratios}))


if __name__ == "__main__":
    main()
