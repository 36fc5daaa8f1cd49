"""A trained styliser as a file: MODEL.safetensors, with a card that says how it came about.

The card is JSON in the metadata of the file, so that one sha256 stands for all that its pictures
depend on; MODEL.json beside it is a copy for people and is never read. A file may come from a
stranger: what the card says is bounded before anything of its size is made.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from stylebench import files, named
from stylebench.config import Count, Frozen, Seed, SmoothingSpec, WeightsRef, first_problem
from stylebench.errors import InputError, describe
from stylebench.stylisers.settings import Method

KEY = "stylebench"
"""Of the metadata: one key alone, as safetensors writes several in any order."""
MOST = 1 << 30
"""Bytes of a file; SANet with VGG-19 has 47 million."""
MOST_CARD = 1_000_000
"""Characters of a card; ours have some thousands."""
Width = Annotated[int, Field(ge=1, le=4096, strict=True)]
Text = Annotated[str, Field(max_length=10_000)]


class Data(Frozen):
    """Pictures that a network was trained on: how many, their names if few, and one digest."""

    count: Count
    names: tuple[Text, ...] = Field((), max_length=100)
    digest: Text


class TrainedBy(BaseModel):
    """The network that saw the losses of a training ("" is the encoder), and their smoothing."""

    network: Text = ""
    smoothing: SmoothingSpec = SmoothingSpec(name="none")


class Trained(BaseModel):
    """What is read of a training's settings; a card has all of them."""

    loss: TrainedBy = TrainedBy()
    profile: Text = ""
    seed: Seed = 0


class Card(Frozen):
    """What a trained styliser is, and how it came about.

    Attributes:
        format: of the card.
        name: the method.
        encoder: the backbone with its options, as ``--arch`` takes it.
        weights: of the encoder, without a path.
        seed: of a random encoder's weights.
        code: of an encoder of a user's own: its plug-in, with the digest of its sources.
        nodes: names of the encoder's nodes, the shallower first.
        widths: channels of their maps.
        decoder: channels of the decoder at each stride, from that of its map to 1.
        steps: of the training.
        training: its settings.
        data: contents and styles.
        losses: terms, the mean of the last steps.
        versions: of stylebench, Python and packages.
        command: that trained it.
    """

    format: Literal[1] = 1
    name: Method
    encoder: Text
    weights: WeightsRef
    seed: Seed
    code: dict[Text, Text] = Field({})
    nodes: tuple[Text, ...] = Field(min_length=1, max_length=2)
    widths: tuple[Width, ...] = Field(min_length=1, max_length=2)
    decoder: tuple[Width, ...] = Field(min_length=3, max_length=4)
    steps: Count
    training: dict[str, Any]
    data: dict[Literal["content", "style"], Data]
    losses: dict[str, float]
    versions: dict[str, str]
    command: Text = ""

    @model_validator(mode="after")
    def _of_a_training(self) -> Self:
        _ = self.trained
        return self

    @property
    def trained(self) -> Trained:
        """How it was trained, as far as tables tell it."""
        return Trained.model_validate(self.training)

    @property
    def stride(self) -> int:
        """Of the finest map, from which the decoder comes back to a picture."""
        return int(2 ** (len(self.decoder) - 1))

    @property
    def loss_network(self) -> str:
        """The backbone that saw the losses, as ``--arch`` takes it: the encoder as published."""
        return self.trained.loss.network or self.encoder

    @property
    def summary(self) -> dict[str, str | int]:
        """What the record of a picture says of the model."""
        return {
            "system": self.name,
            "encoder": self.encoder,
            "loss_network": self.loss_network,
            "smoothing": self.trained.loss.smoothing.label,
            "steps": self.steps,
            "profile": self.trained.profile,
        }


def expected(path: Path) -> str:
    """Return how messages about a file begin that is no model."""
    return f"{str(path)!r}: expected a model that `stylebench train` wrote"


def read(path: Path) -> Card:
    """Return the card of a model.

    Raises:
        InputError: there is no such file, it is damaged, too large, or not ours.
    """
    from safetensors import SafetensorError, safe_open

    named.check_regular(path, "a model that `stylebench train` wrote")
    try:
        if path.stat().st_size > MOST:
            raise InputError(f"{expected(path)}, found one of over {MOST:,} bytes")
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY, "")
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{expected(path)}, found another file, or a part of one ({describe(error)})"
        ) from None
    if not text:
        raise InputError(f"{expected(path)}, found safetensors without its card: other weights?")
    return _parsed(text, path)


def _parsed(text: str, path: Path) -> Card:
    if len(text) > MOST_CARD:
        raise InputError(f"{expected(path)}, found a card of {len(text):,} characters")
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        place, wanted, found = first_problem(error)
        shown = f"{found!r:.60}"
        raise InputError(f"{expected(path)}: card: {place}: {wanted}, found {shown}") from None


def check_weights(path: Path, card: Card, weights: WeightsRef) -> None:
    """Raise InputError for weights of the encoder that are not those of the training."""
    if weights.sha256 != card.weights.sha256:
        raise InputError(
            f"{str(path)!r}: expected the weights of {card.encoder} with sha256 "
            f"{card.weights.sha256[:12]}, found {weights.sha256[:12]} "
            f"({weights.source}); give --weights NAME=SOURCE ({card.weights.source})"
        )


def tensors(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the tensors of a model, which have these names and shapes, float32 and finite.

    Raises:
        InputError: they are others.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            odd = sorted(names ^ wanted.keys())
            odd += [
                name
                for name in sorted(names & wanted.keys())
                if tuple(file.get_slice(name).get_shape()) != wanted[name]
                or file.get_slice(name).get_dtype() != "F32"
            ]
            if odd:
                raise InputError(f"{expected(path)}: {odd[0]!r} is not as its card says")
            found = {name: file.get_tensor(name) for name in wanted}
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{expected(path)}: {describe(error)}") from None
    for name, value in found.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{expected(path)}: {name!r} has values that are not finite")
    return found


def write(path: Path, card: Card, state: Mapping[str, Any], root: Path) -> None:
    """Write a model, whole or not at all; `root` as of `stylebench.files.replacing`."""
    from safetensors.torch import save

    with files.replacing(path, root) as file:
        file.write(save(dict(state), {KEY: card.model_dump_json()}))


def write_copy(path: Path, root: Path) -> None:
    """Write the card of a model beside it, for people."""
    pretty = json.dumps(json.loads(read(path).model_dump_json()), indent=2, ensure_ascii=False)
    files.write_text(path.with_suffix(".json"), pretty + "\n", root)
