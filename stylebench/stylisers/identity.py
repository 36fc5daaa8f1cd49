"""Which model a job is made by: what a plan has to know of a styliser, and how the job opens it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from stylebench import files, named
from stylebench.backbones import names, pretrained
from stylebench.config import MODEL, PassSpec, SmoothingSpec, System, WeightsRef
from stylebench.errors import InputError, UnavailableError, published
from stylebench.stylisers import card, ort
from stylebench.stylisers.settings import TrainSettings
from stylebench.stylisers.styliser import MODEL as FILE
from stylebench.stylisers.styliser import REGISTRY, Styliser, find

NONE = SmoothingSpec(name="none")
LONGEST = 200
"""Characters of what tables call a model, at most."""
ENCODER = TrainSettings.model_fields["encoder"].default
"""The encoder that goes without saying."""
MAGENTA = ("r-vgg16", "r-inception_v3")
"""Architectures that Magenta's was trained with: Ghiasi et al. 2017, sections 2 and 3."""


@dataclass(frozen=True)
class Model:
    """What jobs of a model say of it: the fields of `PassSpec`."""

    system: System
    arch: str
    weights: WeightsRef
    encoder: WeightsRef | None = None
    seen_by: tuple[str, ...] = ()
    smoothing: SmoothingSpec = NONE
    seed: int = 0
    code: Mapping[str, str] | None = None

    @property
    def shared(self) -> dict[str, Any]:
        """The fields by name."""
        return {**vars(self), "code": dict(self.code or {})}


def called(path: Path) -> str:
    """Return what a model's file is called: by its folder, where the file has the usual name.

    >>> called(Path("results/train_adain/model.safetensors")), called(Path("nets/small.onnx"))
    ('train_adain', 'small')
    """
    return path.absolute().parent.name if path.name == FILE else path.stem


def missing(source: str, why: UnavailableError) -> Model:
    """Return a model that cannot be had."""
    name = source.removeprefix(REGISTRY) if source.startswith(REGISTRY) else ""
    told = name or published(called(Path(source)))
    ref = WeightsRef(source="unavailable", missing=str(why))
    return Model("magenta" if name == "magenta" else "unknown", told, ref)


def identify(source: str, *, given: Mapping[str, str], offline: bool) -> Model:
    """Return which model a source is; a published one is fetched if it is not here.

    Args:
        source: as `stylebench.stylisers.styliser.load` takes it.
        given: backbone name (without prefix) -> source of its weights, for encoders.
        offline: never download.

    Raises:
        UnavailableError: no such file, or one whose encoder has no weights on this machine.
        InputError: it is no model.
    """
    if source.startswith(REGISTRY):
        return _of_registry(source, offline=offline)
    path = named.expanded(source)
    if not path.exists():
        raise UnavailableError(
            f"no model {source!r}; train it first (`stylebench train`, `stylebench ls trainings`)"
        )
    found = card.read(path)
    arch, smoothing = _arch(found), found.trained.loss.smoothing
    for text in (arch, smoothing.label):
        if len(text) > LONGEST or not text.isprintable():
            raise InputError(f"{card.expected(path)}, found one of {text!r:.60}…")
    return Model(
        system=found.name,
        arch=arch,
        weights=WeightsRef(
            source=f"{MODEL}{called(path)}", sha256=files.sha256(path), path=str(path.absolute())
        ),
        encoder=_encoder(path, found, given, offline=offline),
        seen_by=_seen_by(path, found),
        smoothing=smoothing,
        seed=found.trained.seed,
        code=found.code,
    )


def _arch(found: card.Card) -> str:
    """Return what tables call a model: ``adain p-vgg19``, ``sanet r-vgg19 on p-resnet50``.

    The method, the network that saw the losses, and the encoder unless it is the usual one.
    """
    if found.encoder != ENCODER:
        return f"{found.name} {found.loss_network} on {found.encoder}"
    own = found.loss_network == found.encoder
    return f"{found.name} {_bare(ENCODER) if own else found.loss_network}"


def _of_registry(source: str, *, offline: bool) -> Model:
    from stylebench import weights

    find(source)
    name = source.removeprefix(REGISTRY)
    ort.require(source)
    _, path = weights.find(weights.Wanted(name), weights.Source("registry", name), offline=offline)
    ref = WeightsRef(source=source, sha256=files.sha256(path), path=str(path.absolute()))
    return Model("magenta", name, ref, seen_by=MAGENTA)


def _seen_by(path: Path, found: card.Card) -> tuple[str, ...]:
    """Return the networks of a model's training, its encoder first."""
    try:
        return tuple(dict.fromkeys(map(_bare, (found.encoder, found.loss_network))))
    except InputError as error:
        raise InputError(f"{str(path)!r}: its networks: {error}") from None


def _bare(arch: str) -> str:
    """Return a backbone without its options, and with a prefix, whatever it is."""
    name, _ = names.parse(arch)
    return name if name.startswith(("r-", "p-")) else f"r-{name}"


def _encoder(
    path: Path, found: card.Card, given: Mapping[str, str], *, offline: bool
) -> WeightsRef:
    """Return the weights of a model's encoder, which are those that it was trained with."""
    try:
        arch, options = names.parse(found.encoder)
        ref = pretrained.resolve(arch, found.seed, given=given, options=options, offline=offline)
    except InputError as error:
        raise type(error)(f"{str(path)!r}: its encoder {found.encoder}: {error}") from None
    card.check_weights(path, found, ref)
    return ref


_KEPT: dict[tuple[str, str], Styliser] = {}
"""The model of the last job, by sha256 and device."""


def open_model(spec: PassSpec, device: str) -> Styliser:
    """Return the styliser of a job; that of the last job is kept.

    Raises:
        InputError: its file is not what it was when the job was planned.
    """
    path, key = Path(spec.weights.path), (spec.weights.sha256, device)
    if not path.is_file() or files.sha256(path) != spec.weights.sha256:
        raise InputError(
            f"{spec.weights.path}: the model changed after the job was planned; plan it again"
        )
    if key not in _KEPT:
        _KEPT.clear()
        _KEPT[key] = _open(spec, device)
    return _KEPT[key]


def _open(spec: PassSpec, device: str) -> Styliser:
    path = Path(spec.weights.path)
    if spec.weights.source.startswith(REGISTRY):
        from stylebench.stylisers.magenta import Magenta

        ort.require(spec.weights.source)
        return Magenta(path)
    from stylebench.stylisers.network import load

    return cast("Styliser", load(path, device=device, offline=True, weights=spec.encoder))
