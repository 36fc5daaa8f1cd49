"""Which way to optimise is fastest to a picture: ``python bench/bakeoff.py OUT.csv``.

Each arm stylises the same pairs. At some evaluations the best picture so far is taken, and told:
the processor time until then (one thread, targets and balance included, judging not), the losses of
two fixed objectives, whatever the arm minimised, and what judges say. One row a picture that was
taken; what the file has, by network, size, precision, arm and pair, is not run again.
"""

import argparse
import csv
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from stylebench import runtime
from stylebench.backbones.extractor import Backbone, backbone
from stylebench.config import LossSpec, OptimiserSpec, SmoothingSpec
from stylebench.images import to_tensor
from stylebench.measures import judges
from stylebench.measures.metrics import measure
from stylebench.timing.race import Look
from stylebench.transfer.objective import Objective
from stylebench.transfer.optimisers import iterate
from stylebench.transfer.parameterisation import PIXELS, Fourier, Parameterisation

PAIRS = (("chelsea", "brush"), ("china", "mosaic"), ("rocket", "pointillism"), ("flower", "ihc"))
LOOKS = (10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 500)
JUDGES = ("r-densenet121", "r-googlenet")


class Tilted(Fourier):
    """`Fourier` with another slope, and its colours to a power: U s^power Vᵀ of their SVD.

    Slope 1/2 and power 0 are `Spectrum`, but for a rotation of the colours.
    """

    def __init__(self, like: Tensor, slope: float, power: float) -> None:
        self.SLOPE, self._power = slope, power
        super().__init__(like)

    def colours(self) -> Tensor:
        """Return the colours."""
        u, s, vh = torch.linalg.svd(super().colours())
        powered: Tensor = u @ (s**self._power).diag() @ vh
        return powered


@dataclass(frozen=True)
class Arm:
    """A way to optimise.

    Attributes:
        balance: of the loss.
        slope: of the amplitudes; None: pixels.
        power: of the colours.
        stages: (share of the size, evaluations) in turn; None: all that are left.
        optimiser: keys of `OptimiserSpec`.
    """

    balance: Any = "gradient"
    slope: float | None = 0.5
    power: float = 0.0
    stages: tuple[tuple[float, int | None], ...] = ((1.0, None),)
    optimiser: Mapping[str, Any] = field(default_factory=dict)


SPECTRUM, FOURIER, PLAIN = Arm(), Arm(slope=1.0, power=1.0), Arm(slope=None)
BALANCED = Arm(balance="target", slope=None)
HALF = ((0.5, 60), (1.0, None))
ARMS = {
    "spectrum": SPECTRUM,
    "fourier": FOURIER,
    "pixels": PLAIN,
    "slope 1/3": replace(SPECTRUM, slope=1 / 3),
    "slope 2/3": replace(SPECTRUM, slope=2 / 3),
    "slope 1": replace(SPECTRUM, slope=1.0),
    "spectrum, colours 1/2": replace(SPECTRUM, power=0.5),
    "spectrum, colours 1": replace(SPECTRUM, power=1.0),
    "slope 2/3, colours 1": replace(SPECTRUM, slope=2 / 3, power=1.0),
    "fourier, adam": replace(FOURIER, optimiser={"name": "adam", "learning_rate": 0.05}),
    "fourier, half the size first": replace(FOURIER, stages=HALF),
    "target, pixels": BALANCED,
    "target, spectrum": replace(BALANCED, slope=0.5),
    "target, spectrum, colours 1/2": replace(BALANCED, slope=0.5, power=0.5),
    "target, spectrum, colours 1": replace(BALANCED, slope=0.5, power=1.0),
    "target, slope 1/4, colours 1": replace(BALANCED, slope=0.25, power=1.0),
    "target, pixels, history 30": replace(BALANCED, optimiser={"history": 30}),
    "target, pixels, no line search": replace(BALANCED, optimiser={"line_search": "none"}),
    "target, pixels, half the size first": replace(BALANCED, stages=HALF),
}


def _pictures(pair: tuple[str, str], size: int) -> tuple[Tensor, Tensor]:
    return to_tensor(pair[0], "content", size), to_tensor(pair[1], "style", size)


def _space(arm: Arm, like: Tensor) -> Parameterisation:
    return PIXELS if arm.slope is None else Tilted(like, arm.slope, arm.power)


def looks(
    arm: Arm, network: Backbone, pair: tuple[str, str], size: int, evals: int
) -> Iterator[Look]:
    """Yield the best pictures of an arm at the evaluations of `LOOKS`; of the last size alone."""
    picture, done, clock = None, 0, time.process_time()
    for share, count in arm.stages:
        side = round(size * share)
        content, style = _pictures(pair, side)
        if picture is None:
            picture = content
        picture = interpolate(picture, content.shape[-2:], mode="bicubic", antialias=True)
        space = _space(arm, picture)
        spec = LossSpec(balance=arm.balance)
        objective = Objective(network, [(content, style)], SmoothingSpec(name="none"), spec, space)
        objective.balance_gradients(content, [0])
        optimiser = OptimiserSpec.model_validate(arm.optimiser)
        left = max(evals - done, 1) if count is None else count
        for seen in iterate(objective, space.vector(picture), optimiser, left):
            done += 1
            if count is None and done in LOOKS:
                best = space.image(seen.image.view_as(picture)).clamp(0, 1)
                spent = time.process_time() - clock
                yield Look(done, spent, best)
                clock = time.process_time() - spent
        picture = space.image(seen.image.view_as(picture)).clamp(0, 1)


class Scores:
    """What is said of pictures of one pair."""

    def __init__(
        self, network: Backbone, panel: list[judges.Judge], pair: tuple[str, str], size: int
    ) -> None:
        self._pair = _pictures(pair, size)
        self._panel = panel
        self._losses = {}
        for balance in ("target", "gradient"):
            spec = LossSpec(balance=balance)
            made = Objective(network, [self._pair], SmoothingSpec(name="none"), spec)
            made.balance_gradients(self._pair[0], [0])
            self._losses[balance] = made

    def __call__(self, picture: Tensor) -> dict[str, float]:
        """Return the losses and the scores of a picture (1, 3, H, W)."""
        found, (content, style) = dict[str, float](), self._pair
        for balance, objective in self._losses.items():
            objective(picture)
            found[f"loss_{balance}"] = objective.losses(0, -1).loss
        for name in ("colour_share", "texture_share", "ssim", "edges"):
            found[name] = measure(name, picture, content, style)
        for who in self._panel:
            found[f"swd_share {who.name}"] = measure("swd_share", picture, content, style, who)
        return found


def _done(out: Path) -> dict[tuple[str, ...], int]:
    """Return how many evaluations there are rows of, by network, size, precision, arm and pair."""
    if not out.exists():
        return {}
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("arch", "size", "precision", "arm", "pair")
    most: dict[tuple[str, ...], int] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        most[key] = max(most.get(key, 0), int(row["evaluations"]))
    return most


def main() -> None:
    """Run the arms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--arch", default="p-resnet50")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evals", type=int, default=200)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    precision = runtime.resolve_precision(given.precision, "cpu")
    network = backbone(given.arch, precision=precision, offline=True)
    panel = judges.make(judges.named(JUDGES, {}, offline=True), "cpu")
    done, last = _done(given.out), max((n for n in LOOKS if n <= given.evals), default=0)
    if not last:
        parser.error(f"--evals: expected {LOOKS[0]} or more, found {given.evals}")
    for pair in PAIRS[: given.pairs]:
        scores = Scores(network, panel, pair, given.size)
        for arm in given.arms:
            key = given.arch, str(given.size), precision, arm, "×".join(pair)
            if done.get(key, 0) >= last:
                continue
            rows = [
                {"arm": arm, "pair": "×".join(pair), "arch": given.arch, "size": given.size,
                 "precision": precision, "evaluations": look.evaluations,
                 "seconds": round(look.seconds, 3), **scores(look.picture)}
                for look in looks(ARMS[arm], network, pair, given.size, given.evals)
            ]  # fmt: skip
            new = not given.out.exists()
            with given.out.open("a", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                if new:
                    writer.writeheader()
                writer.writerows(rows)
            print(arm, *pair, f"{rows[-1]['seconds']} s")


if __name__ == "__main__":
    main()
