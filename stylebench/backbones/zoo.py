"""The registered backbones and their nodes: the paper's, torchvision's, one for tests; no torch.

The rule for torchvision's: the stem, then the last block before each halving of the resolution; the
content node is the style node of stage 3. VGGs have Gatys' nodes, Inception-v3 those that the
paper's supplement is said to use. A node is taken after a ReLU where the network has one there;
MobileNets, EfficientNet and ConvNeXt end their blocks without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stylebench.backbones.spec import ARCHS, BackboneSpec, Node

ControlValues = dict[str, tuple[str, ...]]
NORM: ControlValues = {"batchnorm": ("eval", "train", "calibrated")}
POOLED: ControlValues = {"pool": ("max", "avg"), "activation": ("relu", "leaky")}
PLAIN: ControlValues = POOLED | {"rescale": ("none", "mean")}
BATCHNORM: ControlValues = POOLED | NORM
PLAIN_RESNET: ControlValues = BATCHNORM | {"downsample": ("strided", "blur")}
RESIDUAL: ControlValues = PLAIN_RESNET | {
    "gamma": ("1", "0.5", "0.25", "0"),
    "shortcut": ("on", "off", "pre-relu"),
}
STRIDE_IN: ControlValues = {"stride_in": ("conv2", "conv1")}
SHAPES: ControlValues = {
    "depth": ("18", "34", "50", "101"),
    "width": ("64", "8", "16", "32", "128"),
    "shortcut": ("on", "off", "pre-relu"),
}
"""Controls of kinds of networks, and the values of each."""


def vgg_relu(block: int, number: int, counts: Sequence[int], step: int) -> str:
    """Return the path of relu<block>_<number> in torchvision's VGG (both from 1).

    Args:
        block: 1 to 5.
        number: of the convolution in its block.
        counts: convolutions per block; a block ends with a pooling layer.
        step: layers per convolution: 2, or 3 with BatchNorm.
    """
    before = sum(count * step + 1 for count in counts[: block - 1])
    return f"features.{before + number * step - 1}"


def gatys_names(counts: Sequence[int], step: int) -> dict[str, str]:
    """Return Gatys' names of all ReLUs of torchvision's VGG, ``relu1_1`` to ``relu5_4``: paths."""
    return {
        f"relu{block}_{number}": vgg_relu(block, number, counts, step)
        for block, count in enumerate(counts, start=1)
        for number in range(1, count + 1)
    }


_STEM = Node("stem", "relu", 0)
_STAGES = tuple(Node(f"stage{stage}", f"layer{stage}", stage) for stage in (1, 2, 3, 4))
RESNET_NODES = (_STEM, *_STAGES)

ARCHS.add(
    "vgg19",
    BackboneSpec(
        description="VGG-19 (Simonyan & Zisserman 2015), torchvision; nodes of Gatys et al. 2016",
        target="stylebench.backbones.paper:vgg19",
        style=(
            Node("relu1_1", "features.1", 0),
            Node("relu2_1", "features.6", 1),
            Node("relu3_1", "features.11", 2),
            Node("relu4_1", "features.20", 3),
            Node("relu5_1", "features.29", 4),
        ),
        content=Node("relu4_2", "features.22", 3),
        checkpoint="vgg19-dcbb9e9d.pth",
        unused=("classifier.", "features.30", "features.32", "features.34"),
        options=PLAIN,
        aliases=gatys_names((2, 2, 4, 4, 4), 2),
    ),
)
ARCHS.add(
    "resnet50",
    BackboneSpec(
        description="ResNet-50 (He et al. 2016), torchvision; stride_in=conv1 is He's own layout",
        target="stylebench.backbones.paper:resnet50",
        style=RESNET_NODES,
        content=_STAGES[2],
        checkpoint="resnet50-0676ba61.pth",
        unused=("fc.",),
        options=RESIDUAL | STRIDE_IN,
    ),
)
ARCHS.add(
    "noresnet50",
    BackboneSpec(
        description="NoResNet: ResNet-50 with every shortcut removed, nothing else changed",
        target="stylebench.backbones.paper:noresnet50",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=PLAIN_RESNET,
    ),
)
ARCHS.add(
    "pseudo-vgg",
    BackboneSpec(
        description="pseudo-VGG: NoResNet with 3x3 stem, basic blocks and 2x2 max pooling",
        target="stylebench.backbones.paper:pseudo_vgg",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=PLAIN_RESNET,
    ),
)
ARCHS.add(
    "pseudo-resvgg",
    BackboneSpec(
        description="pseudo-ResVGG: pseudo-VGG with the shortcuts put back",
        target="stylebench.backbones.paper:pseudo_resvgg",
        style=RESNET_NODES,
        content=_STAGES[2],
        options=RESIDUAL,
    ),
)
ARCHS.add(
    "cifar-resnet",
    BackboneSpec(
        description="ResNet with a CIFAR stem, as `stylebench accuracy` trains it: 3x3, stride 1",
        target="stylebench.backbones.paper:cifar_resnet",
        style=RESNET_NODES,
        content=_STAGES[2],
        published="`stylebench accuracy` trains such networks and writes their files",
        unused=("fc.",),
        options=SHAPES | NORM | {"activation": ("relu", "leaky")},
        shape=tuple(SHAPES),
    ),
)
ARCHS.add(
    "tiny",
    BackboneSpec(
        description="a five-stage network of a few thousand parameters, for tests",
        target="stylebench.backbones.tiny:tiny",
        style=tuple(Node(f"stage{i}", f"stages.{i}", i) for i in range(5)),
        content=Node("stage3", "stages.3", 3),
        hidden=True,
    ),
)

TORCHVISION = "torchvision.models:"


def _nodes(*paths: str) -> tuple[Node, ...]:
    """Return five nodes, called after their stage: stem, stage1 to stage4."""
    names = ("stem", "stage1", "stage2", "stage3", "stage4")
    return tuple(
        Node(name, path, stage) for stage, (name, path) in enumerate(zip(names, paths, strict=True))
    )


def _add(
    name: str,
    description: str,
    style: Sequence[Node],
    checkpoint: str,
    *,
    content: Node | None = None,
    arguments: Mapping[str, object] | None = None,
    unused: tuple[str, ...] = (),
    options: Mapping[str, tuple[str, ...]] | None = None,
    min_side: int = 32,
    renamed: Mapping[str, str] | None = None,
    dormant: bool = False,
    aliases: Mapping[str, str] | None = None,
) -> None:
    ARCHS.add(
        name,
        BackboneSpec(
            description=description,
            target=TORCHVISION + name,
            arguments=dict(arguments or {}),
            style=tuple(style),
            content=content or style[3],
            checkpoint=checkpoint,
            unused=unused,
            options=dict(options or {}),
            min_side=min_side,
            renamed=dict(renamed or {}),
            dormant=dormant,
            aliases=dict(aliases or {}),
        ),
    )


_VGGS = {
    "vgg11": ((1, 1, 2, 2, 2), "8a719046"), "vgg11_bn": ((1, 1, 2, 2, 2), "6002323d"),
    "vgg13": ((2, 2, 2, 2, 2), "19584684"), "vgg13_bn": ((2, 2, 2, 2, 2), "abd245e5"),
    "vgg16": ((2, 2, 3, 3, 3), "397923af"), "vgg16_bn": ((2, 2, 3, 3, 3), "6c64b313"),
    "vgg19_bn": ((2, 2, 4, 4, 4), "c79401a0"),
}  # fmt: skip
for _name, (_counts, _hash) in _VGGS.items():
    _step = 3 if _name.endswith("_bn") else 2
    _layers = f"{_name[3:5]} layers" + (" with BatchNorm" if _step == 3 else "")
    _last = sum(count * _step + 1 for count in _counts[:4])
    _add(
        _name,
        f"VGG of {_layers} (Simonyan & Zisserman 2015); nodes of Gatys et al. 2016",
        [
            Node(f"relu{block}_1", vgg_relu(block, 1, _counts, _step), block - 1)
            for block in range(1, 6)
        ],
        f"{_name}-{_hash}.pth",
        content=Node("relu4_2", vgg_relu(4, 2, _counts, _step), 3),
        unused=("classifier.", *(f"features.{i}." for i in range(_last + _step, _last + 12))),
        options=BATCHNORM if _step == 3 else PLAIN,
        aliases=gatys_names(_counts, _step),
    )

for _name, _what, _hash in (
    ("resnet18", "ResNet-18 (He et al. 2016)", "f37072fd"),
    ("resnet34", "ResNet-34 (He et al. 2016)", "b627a593"),
    ("resnet101", "ResNet-101 (He et al. 2016)", "63fe2227"),
    ("resnet152", "ResNet-152 (He et al. 2016)", "394f9c45"),
    ("wide_resnet50_2", "Wide ResNet-50-2 (Zagoruyko & Komodakis 2016)", "95faca4d"),
    ("resnext50_32x4d", "ResNeXt-50 32x4d (Xie et al. 2017)", "7cdf4587"),
):
    _deep = _name not in ("resnet18", "resnet34")
    _add(
        _name,
        _what,
        RESNET_NODES,
        f"{_name}-{_hash}.pth",
        unused=("fc.",),
        options=RESIDUAL | STRIDE_IN if _deep else RESIDUAL,
    )

_add(
    "densenet121",
    "DenseNet-121 (Huang et al. 2017); nodes after the ReLU of each transition",
    _nodes("features.relu0", *(f"features.transition{i}.relu" for i in (1, 2, 3)), "relu"),
    "densenet121-a639ec97.pth",
    unused=("classifier.",),
    options=NORM,
    # As torchvision's own loader renames its file, whose modules were called norm.1 and conv.2.
    renamed={r"(denselayer\d+\.(?:norm|conv))\.([12]\.)": r"\1\2"},
)
_add(
    "googlenet",
    "GoogLeNet (Szegedy et al. 2015), with the input scaled as its weights want it",
    _nodes("conv1", "conv3", "inception3b", "inception4e", "inception5b"),
    "googlenet-1378be20.pth",
    arguments={"aux_logits": False, "transform_input": True, "init_weights": True},
    unused=("fc.", "aux1.", "aux2."),
    options=NORM,
)
_add(
    "inception_v3",
    "Inception-v3 (Szegedy et al. 2016), with the input scaled as its weights want it",
    _nodes("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
    "inception_v3_google-0cc3c7bd.pth",
    arguments={"aux_logits": False, "transform_input": True, "init_weights": True},
    unused=("fc.", "AuxLogits."),
    min_side=75,
    options=NORM,
)
_add(
    "mobilenet_v2",
    "MobileNetV2 (Sandler et al. 2018); after the stem, nodes are linear bottlenecks",
    _nodes(*(f"features.{i}" for i in (0, 3, 6, 13, 17))),
    "mobilenet_v2-b0353104.pth",
    unused=("classifier.", "features.18."),
    options=NORM,
)
_add(
    "mobilenet_v3_large",
    "MobileNetV3 large (Howard et al. 2019); after the stem, nodes are linear bottlenecks",
    _nodes(*(f"features.{i}" for i in (0, 3, 6, 12, 15))),
    "mobilenet_v3_large-8738ca79.pth",
    unused=("classifier.", "features.16."),
    options=NORM,
)
_add(
    "mobilenet_v3_small",
    "MobileNetV3 small (Howard et al. 2019); after the stem, nodes are linear bottlenecks",
    _nodes(*(f"features.{i}" for i in (0, 1, 3, 8, 11))),
    "mobilenet_v3_small-047dcff4.pth",
    unused=("classifier.", "features.12."),
    options=NORM,
)
_add(
    "efficientnet_b0",
    "EfficientNet-B0 (Tan & Le 2019); after the stem, nodes are linear bottlenecks",
    _nodes(*(f"features.{i}" for i in (0, 2, 3, 5, 7))),
    "efficientnet_b0_rwightman-7f5810bc.pth",
    unused=("classifier.", "features.8."),
    options=NORM,
)
_add(
    "convnext_tiny",
    "ConvNeXt tiny (Liu et al. 2022); the stem divides by 4, no ReLU anywhere",
    _nodes(*(f"features.{i}" for i in (0, 1, 3, 5, 7))),
    "convnext_tiny-983f1562.pth",
    unused=("classifier.",),
    dormant=True,
)
_add(
    "regnet_y_400mf",
    "RegNetY-400MF (Radosavovic et al. 2020)",
    _nodes("stem", *(f"trunk_output.block{i}" for i in (1, 2, 3, 4))),
    "regnet_y_400mf-c65dace8.pth",
    unused=("fc.",),
    options=NORM,
)
_add(
    "squeezenet1_1",
    "SqueezeNet 1.1 (Iandola et al. 2016); nodes before each pooling, then two of the last stage",
    _nodes(*(f"features.{i}" for i in (1, 4, 7, 10, 12))),
    "squeezenet1_1-b8a52dc0.pth",
    unused=("classifier.",),
    options=POOLED,
)
_add(
    "alexnet",
    "AlexNet (Krizhevsky 2014), its five ReLUs",
    _nodes(*(f"features.{i}" for i in (1, 4, 7, 9, 11))),
    "alexnet-owt-7be5be79.pth",
    unused=("classifier.",),
    options=PLAIN,
    min_side=63,
)

ARCHS.add(
    "robust-resnet50",
    replace(
        ARCHS["resnet50"],
        description="ResNet-50 with adversarially trained weights (Salman et al. 2020) of a file",
        checkpoint="",
        random=False,
        published="Salman et al. 2020 publish resnet50_l2_eps3.ckpt at "
        "https://huggingface.co/madrylab/robust-imagenet-models; of what `torch.load` reads there, "
        "with pickle_module=dill, save `model` into a file of its own",
        unused=("fc.", "normalizer.", "normalize."),
        # DataParallel's module., and model. or attacker.model. of the package robustness.
        renamed={r"^(module\.)?(attacker\.)?(model\.)?": ""},
    ),
)
