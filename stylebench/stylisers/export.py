"""Stylisers as ONNX files, for other programs and for browsers; checked against what they are.

All have the same three inputs and one output, whatever network is in them: ``content`` (1, 3, H, W)
and ``style`` (1, 3, H', W'), RGB in [0, 1], of sizes that do not depend on each other; ``strength``
(1,), from 0 to 1; ``picture`` (1, 3, H, W) in [0, 1].
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from stylebench import __version__, files, images, named
from stylebench.config import Frozen, first_problem
from stylebench.errors import InputError, JobError, describe, published
from stylebench.stylisers import graphs, ort
from stylebench.stylisers.card import KEY, MOST_CARD, Card
from stylebench.stylisers.magenta import Magenta
from stylebench.stylisers.network import Network, Trained, full
from stylebench.stylisers.styliser import Styliser

if TYPE_CHECKING:
    from torch.export import ExportedProgram

BOUND = 1e-4
"""‖found − expected‖ / ‖expected‖ of a picture, at most; a pixel may be off by more in float32,
where channels of an encoder that hardly vary are divided by their deviation."""
BOUND_HALF = 2e-2
"""Likewise with weights in 16 bits."""
TRIED = (("chelsea", 96, "brush", 80, 1.0), ("coffee", 119, "mosaic", 101, 0.6),
         ("astronaut", 80, "woodcut", 131, 0.0))  # fmt: skip
"""Content and its size, style and its size, strength: what a file is checked on."""
NAMES = ("content", "style", "strength")

PAD = """
pad (float[1,3,H,W] content) => (float[1,3,V,U] canvas)
<int64 multiple = {MULTIPLE}, int64[4] before = {0, 0, 0, 0}, int64[2] none = {0, 0}>
{
  sides = Shape<start = 2>(content)
  negative = Neg(sides)
  missing = Mod(negative, multiple)
  pads = Concat<axis = 0>(before, none, missing)
  canvas = Pad<mode = "edge">(content, pads)
}
"""
"""The content, continued to multiples of a stride as `Trained.stylise` does it."""
CUT = """
cut (float[1,3,V,U] painted, float[1,3,H,W] content) => (float[1,3,H,W] picture)
<int64[2] begin = {0, 0}, int64[2] axes = {2, 3}>
{
  end = Shape<start = 2>(content)
  picture = Slice(painted, begin, end, axes)
}
"""


@dataclass(frozen=True)
class Exported:
    """A styliser in ONNX: the file's bytes, and by how much its pictures are off, at most.

    `error` is relative, as its `bound` is; `levels` is the worst pixel, in grey levels of 255.
    """

    data: bytes
    error: float
    bound: float
    levels: float


def export(styliser: Styliser, *, half: bool = False) -> Exported:
    """Return a styliser as ONNX, of any sizes, checked on three pairs of pictures.

    Args:
        styliser: as `stylebench.stylisers.styliser.load` returned it.
        half: store weights in 16 bits, in half the space; they are computed with in 32.

    Raises:
        UnavailableError: what exports is not installed.
        InputError: its network cannot be exported.
        JobError: what was exported makes other pictures.
    """
    ort.require("export")
    if isinstance(styliser, Magenta):
        model = styliser.graph()
    elif isinstance(styliser, Trained):
        model = _graph(styliser)
    else:
        raise InputError(f"export: expected a model of stylebench, found {type(styliser).__name__}")
    if half:
        graphs.halve(model.graph)
    model.producer_name, model.producer_version = KEY, __version__
    told = model.metadata_props.add()
    told.key, told.value = KEY, about(styliser, half=half).model_dump_json(exclude_none=True)
    data = model.SerializeToString()
    bound = BOUND_HALF if half else BOUND
    error, levels = difference(styliser, data)
    if not error <= bound:
        raise JobError(
            f"export: pictures of the ONNX network differ by {error:.2g} (relative), "
            f"expected at most {bound:g}; nothing was written"
        )
    return Exported(data, error, bound, levels)


def write(path: Path, exported: Exported) -> None:
    """Write an ONNX file, whole or not at all."""
    with files.replacing(path) as file:
        file.write(exported.data)


def check_output(path: Path) -> None:
    """Raise InputError for a place where no ONNX file can be written."""
    if path.suffix.lower() != ".onnx":
        raise InputError(f"export expects a name in .onnx, found {str(path)!r}")
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; expected the name of an ONNX file")
    if not path.parent.is_dir():
        raise InputError(f"{str(path)!r}: no folder {str(path.parent)!r}")


class About(Frozen):
    """What an ONNX file says of the styliser in it: name, file, 16 bits or not, and its card."""

    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    half: bool
    card: Card | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The method, and of a network that was trained here its encoder and what saw its losses.

        The latter is named where it was another backbone, or its maps were smoothed.
        """
        if self.card is None:
            return (self.name,)
        loss = self.card.trained.loss
        smoothing = "" if loss.smoothing.name == "none" else loss.smoothing.label
        seer = " ".join(filter(None, (loss.network, smoothing)))
        return self.name, self.card.encoder, *([f"loss of {seer}"] if seer else [])


def about(styliser: Styliser, *, half: bool = False) -> About:
    """Return what an ONNX file says of the styliser in it."""
    own = styliser.card if isinstance(styliser, Trained) else None
    card = Card.model_validate(published(own.model_dump(mode="json"))) if own else None
    return About(name=styliser.name, sha256=styliser.sha256, half=half, card=card)


def read(path: Path) -> tuple[bytes, About]:
    """Return an ONNX file that `export` made, and what it says of itself.

    Raises:
        InputError: it is none.
    """
    expected = f"{str(path)!r}: expected an ONNX file that `stylebench export` wrote"
    named.check_regular(path, "an ONNX file that `stylebench export` wrote")
    try:
        data = files.read(path)
    except FileNotFoundError:
        raise InputError(f"{expected}, found no file") from None
    session = ort.Session(data, repr(str(path)))
    text = session.metadata().get(KEY, "")
    if not text:
        raise InputError(f"{expected}, found another network")
    if len(text) > MOST_CARD:
        raise InputError(f"{expected}, found a card of {len(text):,} characters")
    try:
        found = About.model_validate_json(text)
    except ValidationError as error:
        place, wanted, value = first_problem(error)
        raise InputError(f"{expected}: card: {place}: {wanted}, found {value!r:.60}") from None
    if session.ends() != ([*NAMES], [*graphs.PICTURE]):
        raise InputError(f"{expected}, found a network of other inputs or outputs")
    return data, found


def difference(styliser: Styliser, data: bytes) -> tuple[float, float]:
    """Return by how much pictures of an ONNX network are off, at most; see `Exported`."""
    session, worst, levels = ort.Session(data, "export"), 0.0, 0.0
    for content, size, style, style_size, strength in TRIED:
        pair = images.to_tensor(content, size=size), images.to_tensor(style, "style", style_size)
        expected = styliser.stylise(*pair, strength)
        given = (*pair, torch.tensor([strength]))
        found = session(**{k: v.numpy() for k, v in zip(NAMES, given, strict=True)})
        if found.shape != expected.shape:
            return float("inf"), float("inf")
        off = torch.from_numpy(found) - expected.cpu()
        worst = max(worst, float(off.norm() / expected.norm().clamp_min(1e-12)))
        levels = max(levels, float(off.abs().max()) * 255)
    return worst, levels


class _Whole(nn.Module):
    """A network for contents of full size: where convolutions pad nothing, it is enlarged."""

    def __init__(self, network: Network, enlarge: bool) -> None:
        super().__init__()
        self.network, self.enlarge = network, enlarge

    def forward(self, canvas: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        made: Tensor = self.network(canvas, style, strength)
        return full(made, canvas) if self.enlarge else made


def _graph(styliser: Trained) -> Any:
    """Return a trained network as an `onnx.ModelProto` that takes contents of any size."""
    multiple = styliser.multiple
    with _bare(styliser.network) as network:
        made = _traced(network, multiple)
    pad = PAD.replace("MULTIPLE", str(multiple))
    parts = [graphs.parsed(pad), made, graphs.parsed(CUT)]
    inputs = graphs.CONTENT | graphs.STYLE | graphs.STRENGTH
    return graphs.joined(parts, inputs, graphs.PICTURE)


@contextlib.contextmanager
def _bare(network: Network) -> Iterator[Network]:
    """Have a backbone of timm without what brings pictures to a size that it takes."""
    backbone = network.backbone
    features = backbone.features
    maps = getattr(features, "maps", None)
    if isinstance(maps, nn.Module):
        backbone.features = maps
    try:
        yield network
    finally:
        backbone.features = features


def _traced(network: Network, multiple: int) -> Any:
    """Return the graph of a network for contents whose sides are multiples of a number."""
    from torch.export import Dim

    side = 6 * multiple
    given = (torch.rand(1, 3, side, side + multiple), torch.rand(1, 3, side + 5, side + 9),
             torch.rand(1))  # fmt: skip
    with torch.no_grad():
        enlarge = network(*given).shape != given[0].shape
    height, width = (Dim(name, min=1, max=1024) * multiple for name in ("height", "width"))
    shapes: Any = ({2: height, 3: width}, {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}, {})
    try:
        with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.export.export(
                _Whole(network, enlarge).eval(), given, dynamic_shapes=shapes, strict=False
            )
            return _translated(program)
    except Exception as error:  # of many kinds, of every layer that cannot be exported
        raise InputError(
            f"{network.backbone.arch} cannot be exported to ONNX: {describe(error)}"
        ) from None


def _translated(program: "ExportedProgram") -> Any:
    found = torch.onnx.export(
        program, input_names=["canvas", *NAMES[1:]], output_names=["painted"],
        opset_version=graphs.OPSET, dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    return cast("Any", found).model_proto.graph
