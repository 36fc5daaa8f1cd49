"""What stylises a picture in one pass, and how one is loaded: trained here, or published."""

import contextlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from stylebench.errors import InputError, closest, either

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from stylebench.transfer.targets import Blend

REGISTRY = "registry:"
"""Before the name of a published styliser."""
PUBLISHED = {"magenta": "stylebench.stylisers.magenta:load"}
"""Published stylisers: name -> ``module:function`` that loads one, of the keywords of `load`."""
MODEL = "model.safetensors"
"""In the folder of a training: its result."""


@runtime_checkable
class Styliser(Protocol):
    """A network that stylises any picture in any style.

    Attributes:
        name: the method: ``adain``, ``sanet``, ``magenta``.
        sha256: of the file that it came from.
        summary: what records say of it: its method, and of a trained one how it was trained.
    """

    name: str
    sha256: str

    @property
    def summary(self) -> "dict[str, str | int]":
        """What records say of it."""

    def stylise(
        self, content: "Tensor", style: "Tensor | Blend", strength: float = 1.0
    ) -> "Tensor":
        """Return the content picture in a style.

        Args:
            content: (1, 3, H, W), RGB in [0, 1].
            style: (1, 3, H', W'), or a blend of several.
            strength: 0 is the content as the network passes it on, 1 all of the style.

        Returns:
            (1, 3, H, W), in [0, 1].
        """


def check_strength(strength: float) -> None:
    """Raise InputError for a strength that is not between 0 and 1."""
    if not 0 <= strength <= 1:
        raise InputError(f"strength: expected a number from 0 to 1, found {strength:g}")


def find(source: str | Path) -> Path | None:
    """Return the file of a styliser, None for a published one.

    Raises:
        InputError: there is neither, with what is near.
    """
    text = str(source)
    name = text.rpartition(":")[2].strip()
    if text.startswith(REGISTRY) and text.removeprefix(REGISTRY) in PUBLISHED:
        return None
    path, there, found = Path(text).expanduser(), [], ""
    with contextlib.suppress(OSError, ValueError):  # a text that can be no path
        if path.exists() and not path.is_dir():
            return path
        own = (path / MODEL, Path(f"{path}.safetensors"), Path("results", text, MODEL),
               Path("results", f"train_{text}", MODEL))  # fmt: skip
        there = [str(each) for each in own if each.is_file()][:1]
        found = ", found a folder" if path.is_dir() else ""
    near = there or [REGISTRY + each for each in closest(name, PUBLISHED, 0.6)]
    known = ", ".join(REGISTRY + each for each in PUBLISHED)
    raise InputError(
        f"no model {text!r}{found}{either(near)} (expected MODEL.safetensors that `stylebench "
        f"train` wrote, or {known})"
    )


def encoders(sources: "Iterable[str | Path]", *, own: bool = False) -> list[str]:
    """Return the encoders of models that are files, as ``--arch`` takes them.

    Args:
        sources: as `load` takes them, and ONNX files.
        own: with those of a Python file too, which runs where such a name is expanded: a model may
            come from a stranger.
    """
    from stylebench.stylisers import card

    models = (find(source) for source in sources if not str(source).lower().endswith(".onnx"))
    found = [card.read(model).encoder for model in models if model is not None]
    return [encoder for encoder in found if own or ".py" not in encoder]


def load(
    source: str | Path,
    *,
    given: "Mapping[str, str] | None" = None,
    device: str = "cpu",
    offline: bool = False,
) -> Styliser:
    """Return a styliser.

    Published ones are computed on the processor.

    Args:
        source: MODEL.safetensors that `stylebench.stylisers.training` wrote, or ``registry:NAME``.
        given: backbone name (without prefix) -> source of the encoder's weights.
        device: as torch names it.
        offline: never download.

    Raises:
        InputError: there is none, it is damaged, or its encoder's weights are not at hand.
    """
    path, text = find(source), str(source)
    target = "stylebench.stylisers.network:load"
    if path is None:
        if given:
            raise InputError(f"--weights are of the encoder of a model, which {text} has not")
        if device != "cpu":
            raise InputError(f"device: {text} is computed on the cpu alone, found {device}")
        target = PUBLISHED[text.removeprefix(REGISTRY)]
    module, _, function = target.partition(":")
    loader = getattr(import_module(module), function)
    first = [path] if path else []
    return cast("Styliser", loader(*first, given=given, device=device, offline=offline))
