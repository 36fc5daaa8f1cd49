"""``registry:magenta``: arbitrary stylisation as Magenta published it, without training.

Ghiasi et al. 2017, "Exploring the structure of a real-time, arbitrary neural artistic stylization
network" (arXiv 1705.06830). One network makes a vector of 100 numbers of a picture of 256 × 256
px, another one paints a picture by a vector. The mobile version, in 8 bits, taken out of a package
(`stylebench.weights.packages`).

Deviations. The weights are the published integers times their scales, but maps are not rounded to
8 bits: processors round differently, by 3 to 5 grey levels in the mean of a picture (against 8 to 9
by which all of them differ from this). Pictures may have any size where the published file has 384
× 384 px alone: its layers do not depend on it. Their sides are brought to multiples of four as its
own reflecting padding does, and cut.

Strength and blends are as the authors have them: weighted means of vectors, of the content's own
and the style's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylebench.stylisers import graphs, ort
from stylebench.stylisers.graphs import CONTENT, PICTURE, STRENGTH, STYLE, parsed
from stylebench.stylisers.styliser import check_strength
from stylebench.weights import Source, Wanted, find, sha256

if TYPE_CHECKING:
    from torch import Tensor

    from stylebench.transfer.targets import Blend

NAME = "magenta"
VECTOR: dict[str, graphs.Shape] = {"vector": (1, 1, 1, 100)}
VECTORS: dict[str, graphs.Shape] = {"vectors": (2, 1, 1, 100)}

SIDE = 256
"""Of the picture of which a vector is made."""
WEIGHTS = """
  size_KEY = Shape<start = AXIS, end = BEHIND>(PICTURE)
  count_KEY = Squeeze(size_KEY)
  numbers_KEY = Range(zero, count_KEY, step)
  float_KEY = Cast<to = 1>(numbers_KEY)
  places_KEY = Add(float_KEY, half)
  length_KEY = Cast<to = 1>(count_KEY)
  scale_KEY = Div(length_KEY, side)
  centres_KEY = Mul(rows, scale_KEY)
  off_KEY = Sub(places_KEY, centres_KEY)
  away_KEY = Abs(off_KEY)
  reach_KEY = Max(scale_KEY, one)
  share_KEY = Div(away_KEY, reach_KEY)
  rest_KEY = Sub(one, share_KEY)
  height_KEY = Relu(rest_KEY)
  sum_KEY = ReduceSum(height_KEY, last)
  weights_KEY = Div(height_KEY, sum_KEY)
"""
"""Weights (256, N) of the N lines of a picture along an axis: triangles, wider where it shrinks.

Resize with ``antialias`` does the same, but onnxruntime has it on processors alone.
"""
SMALL = """
  high_PICTURE = MatMul(weights_PICTURE_rows, PICTURE)
  lying_PICTURE = Transpose<perm = [1, 0]>(weights_PICTURE_columns)
  small_PICTURE = MatMul(high_PICTURE, lying_PICTURE)
"""
ENCODE = """
encode (float[1,3,H,W] content, float[1,3,h,w] style) => (float[2,256,256,3] pictures)
<int64 zero = {0}, int64 step = {1}, float half = {0.5}, float one = {1}, float side = {256},
 int64[1] last = {1}>
{
BODY
  pair = Concat<axis = 0>(small_content, small_style)
  pictures = Transpose<perm = [0, 2, 3, 1]>(pair)
}
"""
MIX = """
mix (float[2,1,1,100] vectors, float[1] strength) => (float[1,1,1,100] vector)
<float[1] whole_share = {1}, int64[4] column = {2, 1, 1, 1}, int64[1] batch = {0}>
{
  rest = Sub(whole_share, strength)
  shares = Concat<axis = 0>(rest, strength)
  standing = Reshape(shares, column)
  parts = Mul(vectors, standing)
  vector = ReduceSum(parts, batch)
}
"""
PAINT = """
paint (float[1,3,H,W] content) => (float[1,H,W,3] canvas)
{
  canvas = Transpose<perm = [0, 2, 3, 1]>(content)
}
"""
CUT = """
cut (float[1,V,U,3] painted, float[1,3,H,W] content) => (float[1,3,H,W] picture)
<int64[2] begin = {0, 0}, int64[2] axes = {2, 3}>
{
  whole = Transpose<perm = [0, 3, 1, 2]>(painted)
  end = Shape<start = 2>(content)
  picture = Slice(whole, begin, end, axes)
}
"""


def load(
    *, given: Mapping[str, str] | None = None, device: str = "cpu", offline: bool = False
) -> "Magenta":
    """Return the styliser, fetched with pip if it is not in the cache; see `styliser.load`.

    Raises:
        UnavailableError: it is not here and cannot be had, or onnxruntime is missing.
    """
    ort.require(f"registry:{NAME}")
    _, path = find(Wanted(NAME), Source("registry", NAME), offline=offline)
    return Magenta(path)


class Magenta:
    """The two networks, as `stylebench.stylisers.styliser.Styliser`.

    Args:
        path: of the file that `stylebench.weights.packages` made.
    """

    name = NAME

    def __init__(self, path: Path) -> None:
        from safetensors.numpy import load_file

        self.sha256 = sha256(path)
        files = load_file(path)
        predict, transform = (_network(files[key].tobytes(), key) for key in _ENDS)
        self._vectors = [_encode(), predict]
        self._picture = [parsed(PAINT), transform, parsed(CUT)]
        encode = graphs.joined(self._vectors, CONTENT | STYLE, VECTORS)
        paint = graphs.joined(self._picture, CONTENT | VECTOR, PICTURE)
        self._encode = ort.Session(encode.SerializeToString(), NAME)
        self._paint = ort.Session(paint.SerializeToString(), NAME)

    @property
    def summary(self) -> dict[str, str | int]:
        """What records say of it."""
        return {"system": NAME}

    def graph(self) -> Any:
        """Return both networks as one, of content, style and strength: an `onnx.ModelProto`."""
        parts = [*self._vectors, parsed(MIX), *self._picture]
        return graphs.joined(parts, CONTENT | STYLE | STRENGTH, PICTURE)

    def stylise(
        self, content: "Tensor", style: "Tensor | Blend", strength: float = 1.0
    ) -> "Tensor":
        """Return the content picture in a style, or in the mean of several; see `Styliser`."""
        import torch

        check_strength(strength)
        parts = [(style, 1.0)] if isinstance(style, torch.Tensor) else _parts(style)
        own = content.detach().cpu().float().numpy()
        pairs = [self._encode(content=own, style=each.cpu().float().numpy()) for each, _ in parts]
        mixed = sum(share * pair[1:] for (_, share), pair in zip(parts, pairs, strict=True))
        vector = (1 - strength) * pairs[0][:1] + strength * mixed
        made = self._paint(content=own, vector=vector.astype(np.float32))
        return torch.from_numpy(made).to(content.device)


def _parts(blend: "Blend") -> "list[tuple[Tensor, float]]":
    return list(zip(blend.pictures, blend.shares, strict=True))


_ENDS = {"predict": ("pictures", "vectors"), "transform": ("canvas", "vector", "painted")}
"""Network -> what its inputs and its output are called here."""


def _encode() -> Any:
    """Return the graph that brings two pictures to the size of which vectors are made."""
    import onnx

    body = ""
    for picture in ("content", "style"):
        for axis, key in ((2, "rows"), (3, "columns")):
            text = WEIGHTS.replace("AXIS", str(axis)).replace("BEHIND", str(axis + 1))
            body += text.replace("KEY", f"{picture}_{key}").replace("PICTURE", picture)
        body += SMALL.replace("PICTURE", picture)
    graph = parsed(ENCODE.replace("BODY", body))
    rows = np.arange(SIDE, dtype=np.float32)[:, None] + np.float32(0.5)
    graph.initializer.append(onnx.numpy_helper.from_array(rows, "rows"))
    return graph


def _network(data: bytes, key: str) -> Any:
    """Return the graph of a published network with weights in float32 and maps unrounded."""
    import onnx

    graph = onnx.load_from_string(data).graph
    if key == "predict":  # of two pictures at once: content and style
        shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
        for tensor in graph.initializer:
            if tensor.name in shapes:
                shape = [-1, *onnx.numpy_helper.to_array(tensor)[1:]]
                made = onnx.numpy_helper.from_array(np.array(shape, np.int64), tensor.name)
                tensor.CopyFrom(made)
    graphs.unrounded(graph)
    ends = [each.name for each in (*graph.input, *graph.output)]
    named = dict(zip(ends, _ENDS[key], strict=True))
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [named.get(name, f"{key}/{name}" if name else "") for name in names]
        node.name = ""  # two might be the same
    for tensor in graph.initializer:
        tensor.name = f"{key}/{tensor.name}"
    return graph
