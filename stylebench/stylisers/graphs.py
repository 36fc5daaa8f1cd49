"""ONNX graphs: written as text, put one behind the other, and with their weights in other types."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from stylebench.stylisers.ort import Array

OPSET, IR = 18, 10
"""Of ONNX: 18 is the first whose Resize has no aliasing."""
Shape = tuple[int | str, ...]

CONTENT: dict[str, Shape] = {"content": (1, 3, "height", "width")}
STYLE: dict[str, Shape] = {"style": (1, 3, "style_height", "style_width")}
STRENGTH: dict[str, Shape] = {"strength": (1,)}
PICTURE: dict[str, Shape] = {"picture": (1, 3, "height", "width")}


def parsed(text: str) -> Any:
    """Return the `onnx.GraphProto` that a text describes."""
    import onnx

    return onnx.parser.parse_graph(text)


def joined(graphs: Iterable[Any], inputs: Mapping[str, Shape], output: Mapping[str, Shape]) -> Any:
    """Return graphs one behind the other as an `onnx.ModelProto`; equal names are one value.

    Args:
        graphs: in the order in which they are computed.
        inputs: names and shapes of what is taken.
        output: likewise of what is returned.
    """
    import onnx

    helper, parts = onnx.helper, list(graphs)
    taken, made = (
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in ends.items()
        ]
        for ends in (inputs, output)
    )
    nodes = [node for part in parts for node in part.node]
    weights = [tensor for part in parts for tensor in part.initializer]
    graph = helper.make_graph(nodes, "stylise", taken, made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def unrounded(graph: Any) -> None:
    """Take quantisation out of an `onnx.GraphProto`: integers become the numbers they stand for."""
    import onnx

    stored = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    alias: dict[str, str] = {}
    kept = []
    for node in graph.node:
        inputs = [alias.get(name, name) for name in node.input]
        if node.op_type == "DequantizeLinear" and inputs[0] in stored:
            stored[node.output[0]] = _dequantised(node, *(stored[name] for name in inputs))
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            alias[node.output[0]] = inputs[0]
        else:
            node.input[:] = inputs
            kept.append(node)
    ends = [each.name for each in graph.output if each.name in alias]
    kept += [onnx.helper.make_node("Identity", [alias[name]], [name]) for name in ends]
    used = {name for node in kept for name in node.input}
    made = [onnx.numpy_helper.from_array(stored[name], name) for name in stored if name in used]
    for old, new in ((graph.node, kept), (graph.initializer, made), (graph.value_info, [])):
        del old[:]
        old.extend(new)


def _dequantised(node: Any, values: Any, scale: Any, zero: Any) -> "Array":
    """Return the numbers that integers stand for, by one scale, or by one for each of an axis."""
    axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
    if scale.ndim:
        shape = [-1 if place == axis else 1 for place in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    found: Array = (values.astype(np.float32) - zero.astype(np.float32)) * scale
    return found


def halve(graph: Any) -> None:
    """Store weights of an `onnx.GraphProto` in 16 bits, each with a cast behind it."""
    import onnx

    casts = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=1))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
