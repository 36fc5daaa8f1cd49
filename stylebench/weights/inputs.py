"""What weights take for a picture: what their file states, what is known of it, what it shows.

Right keys say nothing of the order of the channels, of 0..1 or 0..255, of mean and deviation. Where
nothing is stated, known files are told by their sha256, known weights by the size of some filters
of their first layer, and of others that layer's responses to a photograph are compared: with what
the BatchNorm behind it saw in training, or with those of known weights of that architecture.
"""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from stylebench import images
from stylebench.config import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from stylebench.errors import InputError
from stylebench.weights import files

if TYPE_CHECKING:
    from torch import Tensor, nn

OXFORD = InputSpec(order="bgr", scale=255, mean=(103.939, 116.779, 123.68))
"""Of the networks of Oxford and of He et al., in Caffe and Keras."""
MSRA = InputSpec(order="bgr", scale=255, mean=(103.53, 116.28, 123.675))
CAFFE = InputSpec(order="bgr", scale=255, mean=(102.9801, 115.9465, 122.7717))
CAFFE_RGB = InputSpec(order="rgb", scale=255, mean=(123.675, 116.28, 103.53))
"""As detection frameworks state them for the files below."""

KNOWN: dict[str, InputSpec] = {
    "d01eb7cb": OXFORD,  # vgg19-d01eb7cb.pth, of jcjohnson/pytorch-vgg
    "00b39a1b": OXFORD,  # vgg16-00b39a1b.pth, likewise
    "292e1171": CAFFE_RGB,  # vgg16_caffe-292e1171.pth, of mmdetection, as are those that follow
    "5891d200": MSRA,  # resnet50_msra-5891d200.pth
    "6cc46731": MSRA,  # resnet101_msra-6cc46731.pth
    "788b5fa3": CAFFE,  # resnet50_caffe-788b5fa3.pth
    "3ad79236": CAFFE,  # resnet101_caffe-3ad79236.pth
}
"""How the sha256 of files that people have begins, which their names state -> their input."""

FAR = 2.5
"""Responses so many times as large or as small as expected are not of pictures as they are given.

Those of He et al.'s ResNet-50 are 1.2 to 1.9 times off on our photographs, 45 times where their
input is in 0..255.
"""
SAME = 0.05
"""Filters of known weights are so near to theirs: 256 levels a layer change them by 1 %."""
NEAR = 0.02
"""Means in [0, 1] that differ by less are the same: those of Caffe's files do by 0.004."""
PHOTOGRAPH = "astronaut"
SIDE = 224


@dataclass(frozen=True)
class Known:
    """Known weights of an architecture without BatchNorm behind its first layer.

    Attributes:
        whose: they are.
        filters: of the first layer by number: the norms of the kernels of red, green and blue.
        input: for which these hold.
        response: median over the filters of the deviation of their responses to the photograph.
        biases: of these filters; none where they are not known, and the mean is taken on trust.
    """

    whose: str
    filters: Mapping[int, tuple[float, float, float]]
    input: InputSpec
    response: float
    biases: tuple[float, ...] = ()


_IMAGENET = InputSpec(mean=IMAGENET_MEAN, std=IMAGENET_STD)
FIRST_LAYERS: dict[str, tuple[Known, ...]] = {
    "vgg19": (
        Known(
            "Oxford's",
            {8: (20.06, 36.13, 16.74), 31: (22.98, 20.26, 22.17), 59: (21.32, 28.82, 33.9)},
            _IMAGENET,
            68.1,
            (1.134, 0.766, 0.77),
        ),
        Known(
            "torchvision's",
            {0: (0.1195, 0.3962, 0.1807), 62: (0.8464, 0.7831, 0.6454), 63: (1.935, 0.7, 1.569)},
            _IMAGENET,
            0.68,
        ),
    )
}
"""Backbone -> its known weights. These filters of Oxford's tell colours, not edges."""


def stated(path: Path) -> InputSpec | None:
    """Return the input that a safetensors file states: JSON, as ``input`` of its metadata.

    Raises:
        InputError: the mapping is none of an input; prose under that name states nothing.
    """
    text = files.metadata(path).get("input", "")
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    try:
        return InputSpec.model_validate(found)
    except ValidationError as error:
        raise InputError(
            f'{path}: expected input in its metadata as {{"order": "bgr", "scale": 255, "mean": '
            f'[103.939, 116.779, 123.68], "std": 1}}, found {text[:80]!r} '
            f"({error.error_count()} wrong)"
        ) from None


def known(digest: str) -> InputSpec | None:
    """Return the input of a file that people have, by its sha256."""
    return KNOWN.get(digest[:8])


@dataclass(frozen=True)
class _First:
    """The layer that takes the picture, and the deviations that the BatchNorm behind it saw."""

    path: str
    kernel: "Tensor"
    bias: "Tensor | None"
    seen: "Tensor | None"


def _first(state: "Mapping[str, Tensor]", network: "nn.Module") -> _First | None:
    """Return the first layer of a network if it is a convolution of the picture, else None."""
    from torch import nn

    layers = [(path, m) for path, m in network.named_modules() if m._parameters]
    path, first = layers[0] if layers else ("", network)
    kernel = state.get(f"{path}.weight")
    plain = type(first).__name__ in ("Conv2d", "Conv2dSame")  # others may standardise the kernel
    changed = getattr(network, "transform_input", False)  # torchvision's Inceptions scale it first
    if kernel is None or kernel.ndim != 4 or kernel.shape[1] != 3 or not plain or changed:
        return None
    seen = None
    norm, batchnorm = layers[1] if len(layers) > 1 else ("", None)
    if isinstance(batchnorm, nn.BatchNorm2d) and batchnorm.num_features == first.out_channels:
        variance = state.get(f"{norm}.running_var")
        seen = None if variance is None else variance.double().clamp_min(0).sqrt()
    bias = state.get(f"{path}.bias")
    return _First(path, kernel.double(), None if bias is None else bias.double(), seen)


@functools.lru_cache(maxsize=1)
def _photograph() -> "Tensor":
    import torch

    pixels = images.read(images.PREFIX + PHOTOGRAPH, SIDE, resize="squash")
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].double() / 255


def _solved(known: Known, first: _First) -> InputSpec | None:
    """Return for which input a first layer is that of known weights, None if for none.

    The deviations follow from the norms of the kernels of each colour, the means from the biases:
    b' + Σ k'·(m − m')/s' = b for a picture of the known mean m.
    """
    import torch

    numbers = list(known.filters)
    if max(numbers) >= len(first.kernel):
        return None
    kernel, wanted = first.kernel[numbers], torch.tensor(list(known.filters.values())).double()
    for order in ("rgb", "bgr"):
        kernel = kernel.flip(1) if order == "bgr" else kernel
        ratios = kernel.flatten(2).norm(dim=2) / wanted
        scale = ratios.mean(0)
        if not ((ratios / scale - 1).abs() < SAME).all():
            continue
        mean, std = (torch.tensor(v).double() for v in known.input.unit[1:])
        std = std * scale
        if known.biases and first.bias is not None:
            shift = first.bias[numbers] - torch.tensor(known.biases).double()
            mean = mean + std * (torch.linalg.pinv(kernel.sum((2, 3))) @ shift)
        if mean.isfinite().all():
            step = -1 if order == "bgr" else 1
            three = {"mean": mean.tolist()[::step], "std": std.tolist()[::step]}
            return InputSpec.model_validate({"order": order, **three})
    return None


def _alike(a: InputSpec, b: InputSpec) -> bool:
    """Tell whether two inputs are one but for what is measured of them."""
    (order, mean, std), (other, center, spread) = a.unit, b.unit
    means = (abs(x - y) < NEAR for x, y in zip(mean, center, strict=True))
    stds = (abs(x / y - 1) < SAME for x, y in zip(std, spread, strict=True))
    return order == other and all(means) and all(stds)


def text(given: InputSpec) -> str:
    """Return an input as it stands in an experiment file, to three digits behind the point."""
    scale = 255 if max(given.unit[2]) < 0.05 else 1
    mean, std = (", ".join(f"{round(v * scale, 3) + 0:g}" for v in each) for each in given.unit[1:])
    return f"{{order: {given.order}, scale: {scale}, mean: [{mean}], std: [{std}]}}"


def _ratio(first: _First, given: InputSpec, known: Sequence[Known]) -> tuple[float, str]:
    """Return by which factor responses to the photograph are off, and from whose."""
    import torch

    order, mean, std = given.unit
    picture = _photograph().flip(1) if order == "bgr" else _photograph()
    at, over = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (mean, std))
    responses = torch.nn.functional.conv2d((picture - at) / over, first.kernel)
    spread = responses.std((0, 2, 3))
    if first.seen is not None:
        alive = first.seen > 0.01 * first.seen.max()
        return float(
            (spread / first.seen)[alive].median()
        ), "the BatchNorm behind it saw in training"
    found = [(float(spread.median()) / each.response, each.whose) for each in known]
    ratio, whose = min(found, key=lambda each: abs(math.log(max(each[0], 1e-30))))
    return ratio, f"those of {whose} weights"


def shown(
    name: str, state: "Mapping[str, Tensor]", network: "nn.Module", own: InputSpec
) -> tuple[InputSpec | None, str]:
    """Return the input that the first layer of weights tells, and a doubt, each if there is one.

    Beside a doubt the input is a proposal; else it is to be taken.

    Args:
        name: of the backbone, without prefix.
        state: the weights, with the names that the network has.
        network: without weights.
        own: the input that the backbone has where nothing else is said.
    """
    first = _first(state, network)
    others = FIRST_LAYERS.get(name, ())
    if first is None or (first.seen is None and not others):
        return None, ""
    for known in others:
        if found := _solved(known, first):
            for given in (own, OXFORD, CAFFE_RGB):
                if _alike(found, given):
                    return (None if given is own else given), ""
            return (
                found,
                f"{first.path} is that of {known.whose} weights for another order or scale.",
            )
    ratio, whose = _ratio(first, own, others)
    if math.isnan(ratio) or 1 / FAR < ratio < FAR:
        return None, ""
    off = (
        f"{ratio:.3g} times as strong" if ratio > 1 else f"1/{1 / max(ratio, 1e-30):.3g} as strong"
    )
    told = f"{first.path} answers a photograph {off} as {whose}"
    return None, f"{told}; do its weights take pictures in another order or scale?"
