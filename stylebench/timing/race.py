"""How long it takes to what the plain way reaches: ``stylebench bench --to-loss``.

The plain way and ours take evaluations in turns, each on a clock of its own, so that all see the
same machine. Ours are three: the preset ``balanced``, which minimises the plain way's loss, the
same with the picture as its spectrum, and ``robust``, by which `stylebench transfer` makes its
pictures. Afterwards their best pictures on the way are looked at: which is the first whose loss, by
the plain way's own network in float32, is as low as the plain way's lowest, and which the first
that judges find as good as the plain way's.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from stylebench import runtime
from stylebench.backbones import names, pretrained
from stylebench.backbones.extractor import build, whole_network
from stylebench.config import TransferSettings, WeightsRef
from stylebench.errors import InputError, UnavailableError
from stylebench.images import ROLES, to_tensor
from stylebench.measures import judges
from stylebench.measures.metrics import measure
from stylebench.timing.bench import Machine, Work, machine, wait
from stylebench.timing.plain import Plain
from stylebench.transfer import presets
from stylebench.transfer.objective import Objective
from stylebench.transfer.optimisers import iterate
from stylebench.transfer.parameterisation import parameterise

PAIR = ("chelsea", "brush")
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "balanced": ("balanced", {}),
    "balanced, spectrum": ("balanced", {"image": "spectrum"}),
    "robust": ("robust", {}),
}
"""Names of ours -> preset, and what else is set."""
EVALUATIONS = 300
"""Of each way. Published scripts take 300 to 1000."""
LOOK_EVERY = 5
SCORES = ("colour_share", "swd_share")
"""By which a picture is as good: shares of the way from the content to the style."""
PLAIN = "plain"


@dataclass(frozen=True)
class Look:
    """The best picture (1, 3, H, W) after so many evaluations and so much time."""

    evaluations: int
    seconds: float
    picture: Tensor


@dataclass
class Way:
    """One way to a picture: its evaluations, the clock of these, and what it had on the way."""

    step: Iterator[Tensor]
    device: str = "cpu"
    seconds: float = 0.0
    looks: list[Look] = field(default_factory=list)
    _best: tuple[int, Tensor] = (0, torch.empty(0))

    def turn(self, number: int) -> None:
        """Take evaluation `number`, from 1; a GPU has done what others gave it, and this, by then.

        Where nothing is left to gain the last picture stays, and the clock stands.
        """
        wait(self.device)
        began = time.perf_counter()
        picture = next(self.step, None)
        wait(self.device)
        if picture is None:
            return
        self.seconds += time.perf_counter() - began
        self._best = number, picture
        if number % LOOK_EVERY == 0:
            self.look()

    def look(self) -> None:
        """Keep the best picture so far, once."""
        number, picture = self._best
        if not self.looks or self.looks[-1].evaluations < number:
            self.looks.append(Look(number, self.seconds, picture.clamp(0, 1).clone()))


class Row(Work):
    """What one of ours needs to what the plain way has after all of its evaluations.

    Attributes:
        preset: which of `OURS`, by its name there.
        weights: of the network; random ones where there are none on this machine.
        plain_seconds: of the plain way, as are `plain_loss`, its lowest, and `plain_scores`.
        loss: evaluations to a loss as low; seconds_to_loss the time until then. None: not reached.
        scores: evaluations to scores that are each as high; seconds_to_scores likewise.
        lowest, best: of ours after all evaluations: the lowest loss, the last scores.
    """

    preset: str
    weights: str
    evaluations: int
    plain_seconds: float
    plain_loss: float
    plain_scores: dict[str, float]
    seconds: float
    loss: int | None = None
    seconds_to_loss: float | None = None
    scores: int | None = None
    seconds_to_scores: float | None = None
    lowest: float
    best: dict[str, float]

    def times(self, seconds: float | None) -> float | None:
        """Return how many times as fast as the plain way that is."""
        return seconds and self.plain_seconds / seconds


class Report(BaseModel):
    """What ``stylebench bench --to-loss --json`` prints."""

    machine: Machine
    pair: tuple[str, str] = PAIR
    judges: dict[str, str]
    rows: list[Row]


def _weights(arch: str) -> tuple[str, WeightsRef]:
    """Return the pretrained network of a name without p-, or the random one."""
    if arch in pretrained.known() or arch.startswith(names.TIMM):
        with contextlib.suppress(UnavailableError):
            return f"p-{arch}", pretrained.resolve(f"p-{arch}", 0, offline=True)
    return f"r-{arch}", pretrained.resolve(f"r-{arch}", 0)


def _plain(made: Plain) -> Iterator[Tensor]:
    """Yield the best picture so far after each evaluation of the plain way."""
    lowest, best = float("inf"), made.image.detach()
    while True:
        before = made.image.detach().clone()
        loss = made.step()
        if loss < lowest:
            lowest, best = loss, before
        yield best


def _ours(
    work: Work, arch: str, ref: WeightsRef, pair: tuple[Tensor, Tensor], how: TransferSettings
) -> Iterator[Tensor]:
    """Yield the best picture so far after each evaluation of ours, the network built first."""
    backbone = build(arch, ref, 0, precision=work.precision, device=work.device)
    content, style = pair
    space = parameterise(how.image, content)
    objective = Objective(backbone, [(content, style)], how.smoothing, how.loss, space)
    objective.balance_gradients(content, [0])
    start = space.vector(content)
    for seen in iterate(objective, start, how.optimiser, 10**6):
        yield space.image(seen.image.view_as(content))


def _ways(
    work: Work, arch: str, ref: WeightsRef, pair: tuple[Tensor, Tensor]
) -> tuple[Plain, dict[str, Way]]:
    """Return the plain way, and every way by its name: the plain one is `PLAIN`."""
    began = time.perf_counter()
    try:
        plain = Plain(*whole_network(arch, ref, 0), *pair)
    except (AttributeError, RuntimeError) as error:
        raise InputError(f"{work.title}: the plain way cannot be run: {error}") from None
    ways = {PLAIN: Way(_plain(plain), work.device, time.perf_counter() - began)}
    for name, (preset, given) in OURS.items():
        made = _ours(work, arch, ref, pair, presets.settings(preset, given))
        ways[name] = Way(made, work.device)
    return plain, ways


@dataclass(frozen=True)
class _Yardstick:
    """By what looks are compared: the loss of the plain way, and the judges' shares."""

    plain: Plain
    pair: tuple[Tensor, Tensor]
    panel: Sequence[judges.Judge]

    def loss(self, look: Look) -> float:
        with torch.no_grad():
            return float(self.plain.loss(look.picture))

    def scores(self, look: Look) -> dict[str, float]:
        """Return the share of each of `SCORES`, by each judge where one is needed."""
        found = {}
        for name in SCORES:
            for who in self.panel if name == "swd_share" else [None]:
                key = f"{name} {who.name}" if who else name
                found[key] = measure(name, look.picture, *self.pair, who)
        return found


def race(
    work: Work, arch: str, ref: WeightsRef, evaluations: int, panel: Sequence[judges.Judge]
) -> list[Row]:
    """Return a row for each of ours.

    Args:
        work: what to measure; a batch of one.
        arch: of its network, with r- or p-.
        ref: its weights.
        evaluations: of each way.
        panel: who judges; none of the network's own architecture.

    Raises:
        InputError: see `run`.
    """
    content, style = (
        to_tensor(name, role, work.size).to(work.device)
        for name, role in zip(PAIR, ROLES, strict=True)
    )
    runtime.configure(tf32=work.precision == "tf32")
    plain, ways = _ways(work, arch, ref, (content, style))
    by = _Yardstick(plain, (content, style), panel)
    for number in range(1, evaluations + 1):
        for way in ways.values():
            way.turn(number)
    for way in ways.values():
        way.look()

    slow = ways.pop(PLAIN)
    least, most = by.loss(slow.looks[-1]), by.scores(slow.looks[-1])
    rows = []
    for name, way in ways.items():
        low = _first(way.looks, lambda look: by.loss(look) <= least)
        good = _first(
            way.looks, lambda look: all(v >= most[key] for key, v in by.scores(look).items())
        )
        rows.append(
            Row(
                **work.model_dump() | {"arch": arch},
                preset=name,
                weights=ref.label,
                evaluations=evaluations,
                plain_seconds=slow.seconds,
                plain_loss=least,
                plain_scores=most,
                seconds=way.seconds,
                loss=low and low.evaluations,
                seconds_to_loss=low and low.seconds,
                scores=good and good.evaluations,
                seconds_to_scores=good and good.seconds,
                lowest=by.loss(way.looks[-1]),
                best=by.scores(way.looks[-1]),
            )
        )
    return rows


def _first(looks: Sequence[Look], fine: Callable[[Look], bool]) -> Look | None:
    return next((look for look in looks if fine(look)), None)


def run(works: Sequence[Work], evaluations: int, tell: Callable[[str], None]) -> Report:
    """Race each piece of work, one picture at a time.

    Raises:
        InputError: a network whose nodes hooks do not reach, a picture too small for it, or no
            evaluations.
    """
    if evaluations < 1:
        raise InputError(f"--evals: expected a positive number, found {evaluations}")
    networks = [_weights(work.arch) for work in works]
    chosen = judges.choose([arch for arch, _ in networks])
    panel = judges.make(chosen, works[0].device)
    rows: list[Row] = []
    for work, (arch, ref) in zip(works, networks, strict=True):
        tell(f"{work.title}: {evaluations} evaluations of each way …")
        able = [who for who in panel if judges.judged_by(arch, who.name)]
        rows += race(work, arch, ref, evaluations, able)
    named = {name: ref.label for name, ref in chosen.items()}
    return Report(machine=machine(works[0].device), judges=named, rows=rows)
