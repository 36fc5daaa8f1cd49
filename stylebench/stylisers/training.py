"""How a generator is trained, and how a training that was stopped goes on to the same bits.

What is in the folder of a training:

model.safetensors    the result, with its card (`stylebench.stylisers.card`); model.json for people
checkpoint.pt        weights, Adam's state, the step and the losses so far; gone at the end
losses.csv           the terms of every step, up to the last checkpoint
samples/             pictures at each checkpoint, made once it is written

What a step draws follows from the seed and its number (`stylebench.stylisers.data`), so that no
state of a random generator has to be kept. The bits are those of a CPU with as many threads: on a
GPU the gradients of padding, upsampling and attention are summed in any order.
"""

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylebench import files, images, runtime
from stylebench.backbones.names import code_of, find
from stylebench.config import NodeChoice
from stylebench.errors import InputError, JobError, published, some
from stylebench.images import ROLES
from stylebench.images.given import to_pixels
from stylebench.stylisers import card, data, decoder, encoder
from stylebench.stylisers.adain import Maps
from stylebench.stylisers.losses import LossNetwork
from stylebench.stylisers.network import Generator, Network, Trained, full, strides
from stylebench.stylisers.settings import LOSSES, PUBLISHED_STRIDE, SAMPLES, TERMS, TrainSettings
from stylebench.stylisers.styliser import MODEL
from stylebench.training import checkpoint
from stylebench.training.checkpoint import State
from stylebench.transfer import smoothing

CHECKPOINT = "checkpoint.pt"
MEANING = 1
"""Of what settings, weights and pictures come to: a change of it makes each training another."""
TITLES = {"name", "description", "profile", "samples"}
"""Settings on which no weight of the result depends."""
LAST = 100
"""Steps at the end, of which the card has the mean losses."""
WARM = 100
"""Steps after those of reconstruction in which the rate grows to what it is: Adam begins anew."""
SHOWN = 3
"""Styles of the sample pictures, at most."""


@dataclass(frozen=True)
class Step:
    """What is told after each step: its number from 1, how many in all, terms."""

    number: int
    steps: int
    losses: Mapping[str, float]


class Training:
    """One training in a folder of its own.

    Args:
        settings: what is trained, and on what.
        out: its folder, made if need be.
        given: backbone name (without prefix) -> source of its weights.
        device: as torch names it.
        offline: never download.
        command: that trains, for the card.
        tell: called with a line for every folder of pictures of which something is left out.

    Raises:
        InputError: wrong settings, pictures or weights; a folder that holds another training.
    """

    def __init__(
        self, settings: TrainSettings, out: Path, *, given: Mapping[str, str] | None = None,
        device: str = "cpu", offline: bool = False, command: str = "",
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self.settings, self.out, self.device, self._command = settings, out, device, command
        smoothing.check(settings.loss.smoothing)
        self._precision = smoothing.precision(settings.precision, settings.loss.smoothing, device)
        self._strides = strides(settings.method, settings.stride)
        self._encoder, self._seer = (
            encoder.choose(name, given or {}, settings.seed, self._strides, offline=offline)
            for name in (settings.encoder, settings.loss.network or settings.encoder)
        )
        self._check_networks(given or {})
        self.pools = {
            role: data.Pool(role, values, settings.size, settings.crop, tell)
            for role, values in zip(ROLES, (settings.content, settings.style), strict=True)
        }
        self._data = {role: pool.data for role, pool in self.pools.items()}
        self._samples = self._chosen_samples(tell)
        self._nodes = self._style_nodes()
        self.digest = self._identity()
        if self.is_finished:
            self._check_finished(out / MODEL)

    def _check_networks(self, given: Mapping[str, str]) -> None:
        """Raise InputError for crops that are too small for a network, or weights of no one's."""
        chosen = (self._encoder, self._seer)
        encoder.check_given(given, [each.arch for each in chosen])
        for each in chosen:
            least = find(each.arch).min_side
            if self.settings.crop < least:
                raise InputError(
                    f"crop: expected at least {least} px, which {each.arch} needs, found "
                    f"{self.settings.crop}"
                )

    @property
    def is_finished(self) -> bool:
        """Whether its model was there before."""
        return self.out.is_dir() and files.exists(self.out / MODEL, self.out)

    @property
    def counts(self) -> dict[str, int]:
        """How many contents and styles there are."""
        return {role: self._data[role].count for role in ROLES}

    def _chosen_samples(self, tell: Callable[[str], None]) -> list[Tensor]:
        """Return the sample contents, squashed to the size of the crops, as all are in training."""
        wanted, side = self.settings.samples, self.settings.crop
        found = [s for value in wanted for s in images.resolve(value, "content", tell)][:16]
        refs = [source.ref for source in found] or self.pools["content"].first(1)
        return [images.to_tensor(ref, "content", side, "squash") for ref in refs]

    def _identity(self) -> str:
        """Return what tells this training from others, whatever pictures and weights are called."""
        names = (*TITLES, "content", "style", "encoder")
        without: Any = {**dict.fromkeys(names, True), "loss": {"network"}}
        if self.settings.stride == PUBLISHED_STRIDE:  # once there were no others
            without["stride"] = True
        own = self.settings.model_dump_json(exclude=without)
        weights = [each.weights.sha256 + each.label for each in (self._encoder, self._seer)]
        pictures = [self._data[role].digest for role in ROLES]
        code = [code_of(self._encoder.arch), code_of(self._seer.arch)]
        code.append(smoothing.SMOOTHINGS.code(self.settings.loss.smoothing.name))
        parts = [str(MEANING), own, *weights, *pictures, self._precision, repr(code)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _levels(self, of: encoder.Chosen) -> tuple[encoder.Level, ...]:
        return encoder.at_strides(of.arch, of.known, self._strides)

    def _generator(self) -> Generator:
        """Return the generator with weights drawn from the seed."""
        widths = [level.width for level in self._levels(self._encoder)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            made = Generator(self.settings.method, widths, self._decoder())
        return made.to(self.device)

    def _decoder(self) -> tuple[int, ...]:
        """Return the channels of the decoder."""
        known = {level.stride: level.width for level in self._encoder.known}
        return decoder.widths(known, self.settings.width, self.settings.stride)

    def _style_nodes(self) -> list[Any]:
        """Return the nodes at which the loss network sees style."""
        how, seer = self.settings.loss, self._seer
        if how.nodes:
            choice = NodeChoice(style=how.nodes, content=how.nodes[-1])
            return list(find(seer.arch).choose(seer.arch, choice, seer.weights.options).style)
        coarsest = strides(self.settings.method)[-1]
        return [level.node for level in seer.known if level.stride <= coarsest]

    def loss_network(self) -> LossNetwork:
        """Return the network whose losses train, with its weights."""
        style = self._nodes
        content = [level.node for level in self._levels(self._seer)]
        every = {node.path: node for node in (*style, *content)}
        order = {level.node.path: index for index, level in enumerate(self._seer.known)}
        nodes = sorted(every.values(), key=lambda node: order.get(node.path, -1))
        backbone = self._seer.build(nodes, self.device, self._precision)
        return LossNetwork(backbone, content, style, self.settings.loss, self.settings.method)

    def _adam(self, generator: Generator) -> torch.optim.Adam:
        return torch.optim.Adam(generator.parameters(), lr=self.settings.learning_rate)

    def _state(self) -> State[Generator]:
        """Return the state at the start, or that of the checkpoint.

        Raises:
            InputError: the checkpoint is damaged, or of another training.
        """
        generator = self._generator()
        state = State(generator, self._adam(generator))
        with contextlib.suppress(*files.ABSENT):
            checkpoint.restore(state, self.out / CHECKPOINT, self.digest, TERMS)
        return state

    def run(self, watch: Callable[[Step], bool | None], saved: Callable[[], None]) -> Path | None:
        """Train from where it is to the end; return the model's file.

        Args:
            watch: called after each step; where it returns True, that was the last, and there is a
                checkpoint but no model: None is returned.
            saved: called after each checkpoint, when losses and samples are in the folder.

        Raises:
            JobError: the loss stopped being finite.
            InputError: the folder holds another training.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        if self.is_finished:
            return self._finished()
        state, loss = self._state(), self.loss_network()
        network = self._network(state, loss)
        if state.step and not files.exists(self._sheet_of(state), self.out):
            self._show(state, network)
        batches = self._batches(state.step)
        for number, (content, style) in enumerate(batches, start=state.step + 1):
            state.rows.append(self._step(state, network, loss, content, style))
            terms = dict(zip(TERMS, state.rows[-1], strict=True))
            stop = watch(Step(number, self.settings.steps, terms))
            last = number == self.settings.steps
            if number % self.settings.checkpoint == 0 or stop or last:
                self._save(state, network)
                saved()
            if stop and not last:
                return None
        card.write(self.out / MODEL, self._card(state), state.network.state_dict(), self.out)
        return self._finished()

    def _finished(self) -> Path:
        """Return the model, with its card for people beside it and without a checkpoint."""
        model = self.out / MODEL
        if not files.exists(model.with_suffix(".json"), self.out):
            card.write_copy(model, self.out)
        (self.out / CHECKPOINT).unlink(missing_ok=True)
        return model

    def _check_finished(self, model: Path) -> None:
        """Raise InputError for a model of another training than this."""
        found = card.read(model)
        if found.training.get("digest") == self.digest:
            return
        own = published(self.settings.model_dump(mode="json", exclude=TITLES))
        before = {"stride": PUBLISHED_STRIDE, **found.training}  # once there were no others
        keys = [key for key in own if before.get(key, own[key]) != own[key]]
        told = [f"{key} {before[key]!r:.40}, not {own[key]!r:.40}" for key in keys]
        raise InputError(
            f"{str(model)!r} is finished, after {found.steps} steps, and of another training: "
            f"{some(told, 3) or 'other pictures or weights'}; a finished one does not go on: "
            "another --out trains anew"
        )

    def _network(self, state: State[Generator], loss: LossNetwork) -> Network:
        """Return the network, with the loss network as its encoder where they are one."""
        nodes = [level.node for level in self._levels(self._encoder)]
        same = (self._seer.label, self._seer.weights) == (
            self._encoder.label, self._encoder.weights)  # fmt: skip
        backbone = (
            loss.backbone if same else self._encoder.build(nodes, self.device, self._precision)
        )
        return Network(backbone, [node.path for node in nodes], state.network)

    def _batches(self, done: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield contents and styles of the steps to come; the next ones are read meanwhile."""
        how = self.settings

        def draw(step: int) -> tuple[Tensor, ...]:
            return tuple(self.pools[r].draw(how.seed, step, how.batch) for r in ROLES)

        with ThreadPoolExecutor(max_workers=1) as pool:
            coming = pool.submit(draw, done)
            for step in range(done, how.steps):
                content, style = (part.to(self.device) for part in coming.result())
                if step + 1 < how.steps:
                    coming = pool.submit(draw, step + 1)
                yield content, style

    def _step(
        self,
        state: State[Generator],
        network: Network,
        loss: LossNetwork,
        content: Tensor,
        style: Tensor,
    ) -> tuple[float, ...]:
        """Make one step of Adam; return the losses before it, as `TERMS` names them."""
        how = self.settings
        if state.step == how.reconstructing > 0:  # gradients of these terms are of another size
            state.optimiser = self._adam(state.network)
        since = state.step - how.reconstructing
        warm = min(1.0, (since + 1) / WARM) if since >= 0 < how.reconstructing else 1.0
        for group in state.optimiser.param_groups:
            group["lr"] = warm * how.learning_rate / (1 + how.decay * state.step)
        pictures = torch.cat([content, style])
        if state.step < how.reconstructing:
            terms = self._reconstruction(network, pictures)
            total = terms[2]
        else:
            terms = self._terms(network, loss, pictures)
            weights = (how.loss.content_weight, how.loss.style_weight, how.loss.identity_pixels,
                       how.loss.identity_maps)  # fmt: skip
            total = torch.stack([w * t for w, t in zip(weights, terms, strict=True) if w]).sum()
        state.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        state.optimiser.step()
        found = tuple(torch.stack([total, *terms]).detach().double().cpu().tolist())
        if not math.isfinite(found[0]):
            raise JobError(
                f"the loss became {found[0]} at step {state.step + 1}: lower learning_rate, or "
                "look at the scale of the loss network (balance: target)"
            )
        return found

    def _reconstruction(self, network: Network, pictures: Tensor) -> tuple[Tensor, ...]:
        """Return the terms of pictures that are made of themselves: that of the pixels alone."""
        with torch.no_grad():
            maps = network.encode(pictures)
        made = self._made(network, maps, maps, pictures)
        nothing = made.new_zeros(())
        pixels = 2 * (made - pictures).square().mean()  # of contents and of styles, a mean each
        return nothing, nothing, pixels, nothing

    def _made(self, network: Network, content: Maps, style: Maps, pictures: Tensor) -> Tensor:
        """Return what the generator makes of maps, in the precision of the training.

        Args:
            network: whose generator it is.
            content: maps of contents.
            style: maps of as many styles.
            pictures: of the size of the contents.
        """
        bf16 = self._precision == "bf16"
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=bf16):
            made = network.generator(content, style)
        return full(runtime.float32(made), pictures)

    def _terms(self, network: Network, loss: LossNetwork, pictures: Tensor) -> tuple[Tensor, ...]:
        """Return the terms of a batch, contents and then styles, as `LossNetwork.terms`."""
        count = len(pictures) // 2
        with torch.no_grad():
            maps = loss.backbone(pictures)
            same = network.backbone is loss.backbone
            both = network.taken(maps) if same else network.encode(pictures)
        own, other = (tuple(m[at : at + count] for m in both) for at in (0, count))
        pairs = [(own, other)]
        if self.settings.loss.has_identity:
            pairs += [(own, own), (other, other)]
        sides = [
            tuple(map(torch.cat, zip(*side, strict=True))) for side in zip(*pairs, strict=True)
        ]
        return loss.terms(self._made(network, sides[0], sides[1], pictures), pictures, maps)

    def _save(self, state: State[Generator], network: Network) -> None:
        """Write losses and checkpoint, and then the samples, which are for people alone."""
        checkpoint.write_table(state, self.out / LOSSES, ("step", *TERMS), self.out)
        checkpoint.write(state, self.out / CHECKPOINT, self.digest)
        self._show(state, network)

    def _sheet_of(self, state: State[Generator]) -> Path:
        """Return where the samples of a checkpoint are."""
        return self.out / SAMPLES / f"step-{state.step:06d}.png"

    def _show(self, state: State[Generator], network: Network) -> None:
        """Write the samples: styles above, and beside each content what is made of it."""
        side = self.settings.crop
        found = self.pools["style"].first(SHOWN)
        styles = [images.to_tensor(ref, "style", side, "squash") for ref in found]
        styliser = Trained(self._card(state), network)
        rows = [[np.full((side, side, 3), 255, np.uint8), *map(to_pixels, styles)]]
        for content in self._samples:
            made = [styliser.stylise(content.to(self.device), s.to(self.device)) for s in styles]
            rows.append(list(map(to_pixels, [content, *made])))
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
        images.save(self._sheet_of(state), sheet, root=self.out)

    def _card(self, state: State[Generator]) -> card.Card:
        """Return the card of what is trained so far."""
        levels = self._levels(self._encoder)
        own = self.settings.model_dump(mode="json")
        last = torch.tensor(state.rows[-LAST:], dtype=torch.float64).mean(dim=0).tolist()
        return card.Card(
            name=self.settings.method,
            encoder=self._encoder.label,
            weights=self._encoder.weights.model_copy(update={"path": ""}),
            seed=self.settings.seed,
            code=code_of(self._encoder.arch),
            nodes=tuple(level.node.name for level in levels),
            widths=tuple(level.width for level in levels),
            decoder=self._decoder(),
            steps=state.step,
            training={**published(own), "digest": self.digest, "precision": self._precision},
            data={role: self._data[role] for role in ROLES},
            losses=dict(zip(TERMS, last, strict=True)),
            versions=dict(runtime.environment()),
            command=self._command,
        )
