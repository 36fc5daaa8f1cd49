"""From a name and weights to a network that returns its feature maps."""

import functools
import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from stylebench import images, runtime
from stylebench.backbones import controls, fold, initial, names, own, pretrained
from stylebench.backbones.graph import Hooked, not_in_place
from stylebench.backbones.names import BackboneName, code_of, find
from stylebench.backbones.spec import BackboneSpec, Node, last_but_one, normalised
from stylebench.config import InputSpec, NodeChoice, WeightsRef
from stylebench.errors import InputError, of_python
from stylebench.weights import load_state, sha256, used_state


class Backbone(nn.Module):
    """A frozen network, truncated at the deepest node in use, in evaluation mode.

    BatchNorm uses its running statistics, which are mean 0 and variance 1 in a random network.
    `arch` is its name.
    """

    mean: Tensor
    std: Tensor
    precision = "fp32"

    def __init__(self, spec: BackboneSpec, network: nn.Module, arch: str = "") -> None:
        super().__init__()
        self.arch = arch
        self.style: tuple[Node, ...] = spec.style
        self.content: Node = spec.content
        self._name, self._min_side, self._size = spec.description, spec.min_side, spec.size
        self._order = spec.order
        self.features = spec.extractor(not_in_place(network).eval())
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the feature maps of images.

        Args:
            image: (B, 3, H, W), RGB, nominally in [0, 1].

        Returns:
            Name of the node -> feature map (B, D, H_l, W_l), in the type that the network gives:
            that of its weights and the image, or bfloat16.

        Raises:
            InputError: the image is too small for the network.
        """
        if min(image.shape[-2:]) < self._min_side:
            height, width = image.shape[-2:]
            raise InputError(
                f"{self.arch or self._name} needs pictures of at least {self._min_side} px on "
                f"the short side, found {width}×{height}; use a larger --size"
            )
        x = normalised(image, self._order, self.mean, self.std)
        if self.precision != "fp32":
            x = x.contiguous(memory_format=torch.channels_last)
        bf16 = self.precision == "bf16"
        with torch.autocast(image.device.type, torch.bfloat16, enabled=bf16):
            return cast("dict[str, Tensor]", self.features(x))

    @property
    def within(self) -> str:
        """What of ours stands before the network's own paths of its modules."""
        return f"features.{getattr(self.features, 'WITHIN', '')}"

    def settle(self, precision: str) -> None:
        """Fold BatchNorm and store the weights in a precision, when weights and controls are final.

        Until then the network runs in fp32, so that what controls measure depends on no precision.
        """
        if not isinstance(self.features, Hooked):  # else one picture does not tell what takes what
            fold.fold(self.features, self._size)
        fold.lower(self.features, precision)
        self.precision = precision


def random_network(spec: BackboneSpec, seed: int, init: str = initial.AS_BUILT) -> nn.Module:
    """Return the whole network as its code initialises it after ``manual_seed(seed)``.

    The global random state is left as it was. `init` is one of `spec.INIT`, see `initial`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = spec.build()
        initial.initialise(network, init)
    return network


def whole_network(
    arch: str, weights: WeightsRef, seed: int, nodes: NodeChoice | None = None
) -> tuple[BackboneSpec, nn.Module]:
    """Return a backbone and its whole network with weights and the controls that measure nothing.

    Args:
        arch: ``r-…`` or ``p-…``.
        weights: what `stylebench.backbones.pretrained.resolve` returned.
        seed: of the random initialisation.
        nodes: chosen in place of the backbone's own.

    Raises:
        InputError: weights that are not there, are not what was planned, or do not fit.
    """
    if weights.missing:
        raise InputError(weights.missing)
    spec = find(f"{arch}.{weights.tag}" if weights.tag else arch).taking(weights.input)
    spec = spec.choose(arch, nodes, weights.options).shaped(weights.options)
    network = random_network(spec, seed, weights.options.get("init", initial.AS_BUILT))
    if BackboneName.parse(arch).pretrained:
        if sha256(Path(weights.path)) != weights.sha256:
            raise InputError(f"{weights.path}: the weights changed after the job was planned")
        network.load_state_dict(used_state(load_state(weights.path), spec), strict=False)
    controls.apply(network, weights.options, spec.defaults)
    return spec, network


def pictures() -> Tensor:
    """Return the ten built-in photographs, on which controls are measured: (10, 3, 256, 256)."""
    names = (images.PREFIX + name for name in images.PHOTOGRAPHS)
    found = [torch.from_numpy(images.read(name, 256, resize="squash")) for name in names]
    return torch.stack(found).permute(0, 3, 1, 2).float().contiguous() / 255


SAME = 1e-3
"""By so much of its largest value may a map differ between two passes: rounding on some GPU."""


def _check_repeats(backbone: Backbone, spec: BackboneSpec, network: nn.Module) -> None:
    """Raise InputError for a user's network that gives other maps when it is asked again.

    It is traced again for that: torch.fx takes ``torch.rand(1)`` for a constant.
    """
    traced = not isinstance(backbone.features, Hooked)
    picture = torch.linspace(0, 1, 3 * spec.size[0] * spec.size[1]).view(1, 3, *spec.size)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            other = Backbone(spec, network, backbone.arch) if traced else backbone
            first, again = backbone(picture), other(picture)
        except Exception:  # it is made for other pictures
            return
    for name, found in first.items():
        off = float((again[name] - found).abs().max() / found.abs().max().clamp_min(1e-30))
        if off > SAME:
            raise InputError(
                f"{backbone.arch}: expected the same maps for the same picture, but two passes "
                f"differ at {name}: it draws random numbers, as F.dropout(x) does, whose default "
                "is training=True; pass training=self.training"
            )


@functools.lru_cache(maxsize=2)
def _cached(
    arch: str, weights: str, nodes: NodeChoice | None, seed: int, precision: str, device: str,
    code: str,
) -> Backbone:  # fmt: skip
    ref = WeightsRef.model_validate_json(weights)
    spec, network = whole_network(arch, ref, seed, nodes)
    backbone = Backbone(spec, network, arch)
    controls.apply_measured(backbone, ref.options, pictures)
    if code_of(arch):
        _check_repeats(backbone, spec, network)
    backbone.settle(precision)
    del network
    gc.collect()  # its layers behind the deepest node: most of VGG-19, in a cycle of references
    return backbone.to(device)


def build(
    arch: str,
    weights: WeightsRef,
    seed: int,
    *,
    nodes: NodeChoice | None = None,
    precision: str = "fp32",
    device: str = "cpu",
) -> Backbone:
    """Return the backbone `arch` with `weights`; the last two built are kept for the next job.

    Args:
        arch: ``r-…`` or ``p-…``, a name that ``stylebench ls archs`` shows.
        weights: what `stylebench.backbones.pretrained.resolve` returned.
        seed: of the random initialisation; pretrained weights overwrite it.
        nodes: chosen in place of the backbone's own.
        precision: ``fp32``; ``bf16`` for weights and autocast in bf16; ``tf32``, which
            `runtime.configure` has to allow too.
        device: as torch names it.

    Raises:
        InputError: unknown name, or weights that cannot be read or do not fit.
    """
    seed = 0 if BackboneName.parse(arch).pretrained else seed
    code = str(code_of(arch))
    return _cached(arch, weights.model_dump_json(), nodes, seed, precision, device, code)


@of_python
def backbone(
    given: str | nn.Module | Callable[[], nn.Module] | BackboneSpec,
    *,
    style: int | str | Sequence[int | str] = (),
    content: int | str | None = None,
    weights: str | os.PathLike[str] | None = None,
    taken: InputSpec | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    offline: bool = False,
) -> Backbone:
    """Return a backbone: of a name, or of a network of one's own.

    Args:
        given: a name as ``--arch`` takes it (``p-vgg19``, ``r-resnet50+downsample=blur``,
            ``p-timm:resnet18``, ``my_net.py:MyNet``); a module, which is copied and keeps its
            weights; or a class or function that makes one, whose weights are random.
        style: nodes in place of its own, shallow to deep: paths (``ls archs -v`` shows them).
        content: the content node, with `style`; by default its last but one.
        weights: of a pretrained name: a file, or a source as ``--weights`` takes it.
        taken: what these weights, or the module, take for a picture, where that is not known.
        seed: of random weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``fp32``, ``tf32``, ``bf16`` or ``auto``.
        offline: never download weights.

    Raises:
        InputError: unknown name, node or device, weights that are not there or do not fit, what
            makes no network of pictures.
    """
    if isinstance(given, Backbone):
        if style or weights is not None or taken or (device, precision) != ("auto", "fp32"):
            raise InputError("style, weights, device … are of what is to become a backbone")
        return given
    nodes = _chosen(style, content)
    on = runtime.resolve_device(device)
    precision = runtime.resolve_precision(precision, on)
    runtime.configure(tf32=precision == "tf32")
    if isinstance(given, str):
        arch, ref = _named(given, seed, nodes, weights, taken, offline)
        return build(arch, ref, seed, nodes=nodes, precision=precision, device=on)
    if weights is not None:
        raise InputError("weights are of a backbone by name; load them into the module before")
    if not (isinstance(given, nn.Module | BackboneSpec) or callable(given)):
        kind = type(given).__name__
        raise InputError(
            f"expected a backbone's name, a torch.nn.Module or what makes one, found {kind}; a "
            "Backbone of yours: stylebench.backbone(module, style=[paths of its modules])"
        )
    kind = type(given).__name__ if isinstance(given, nn.Module) else getattr(given, "__name__", "")
    arch = f"r-{kind or 'network'}"
    spec = own.of(given, kind or "network").taking(taken).choose(arch, nodes)
    network = random_network(spec, seed)
    made = Backbone(spec, network, arch)
    _check_repeats(made, spec, network)
    made.settle(precision)
    return made.to(on)


def _chosen(style: int | str | Sequence[int | str], content: int | str | None) -> NodeChoice | None:
    """Return the nodes that are chosen in place of a backbone's own; None for none."""
    nodes = (style,) if isinstance(style, str | int) else tuple(style)
    if nodes:
        return NodeChoice(style=nodes, content=last_but_one(nodes) if content is None else content)
    if content is not None:
        raise InputError("content: expected style nodes beside it, as style=[...]")
    return None


def _named(
    text: str,
    seed: int,
    nodes: NodeChoice | None,
    weights: str | os.PathLike[str] | None,
    taken: InputSpec | None,
    offline: bool,
) -> tuple[str, WeightsRef]:
    """Return the one backbone that a name stands for, and its weights; see `backbone`."""
    stem, options = names.parse(text)
    attribute = stem.rpartition(":")[2]
    arch, *more = names.expand([stem], () if weights is None else (attribute,))
    if more:
        raise InputError(f"expected one backbone, found {len(more) + 1} in {text!r}")
    name = BackboneName.parse(arch)
    if weights is not None and not name.pretrained:
        raise InputError(f"{arch} has random weights; with weights it is p-{name.name}")
    return arch, pretrained.resolve(
        arch, seed, options=options, nodes=nodes, offline=offline,
        given={} if weights is None else {name.name: weights},
        taken={} if taken is None else {name.name: taken},
    )  # fmt: skip
