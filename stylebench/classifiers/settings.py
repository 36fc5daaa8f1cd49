"""What classifiers are trained on, and how: the settings of ``stylebench accuracy``."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator

from stylebench.config import NAME, Count, Frozen, NonNegative, NoSwitch, Seed, Share, Size

Shortcut = Literal["on", "pre-relu", "off"]
Depth = Literal[18, 34, 50, 101]
Width = Literal[8, 16, 32, 64, 128]
DataName = Literal["digits", "cifar100"]
SHORTCUTS: tuple[Shortcut, ...] = get_args(Shortcut)
BACKBONE = "cifar-resnet"
"""Of the networks, on the bench."""
EPOCH = ("learning_rate", "loss", "train_accuracy", "test_accuracy")
"""What each epoch tells: the rate at its end, means over its batches, and the test split's."""


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _switches(value: Any) -> Any:
    """Take YAML's on and off, which it reads as true and false, as they were written."""
    words = {True: "on", False: "off"}
    return [words[each] if isinstance(each, bool) else each for each in _listed(value)]


class AccuracySettings(Frozen):
    """Classifiers that differ in their blocks alone, each trained once a seed.

    Defaults are those usual for CIFAR (He et al. 2016, section 4.2, with the cosine schedule of
    Loshchilov & Hutter 2017 and the weight decay of Zagoruyko & Komodakis 2016): SGD with momentum,
    crops of padded pictures, mirrored at random where the data set bears it, cross-entropy without
    label smoothing.

    Attributes:
        name: of the experiment.
        description: in a line.
        profile: of the file it comes from.
        data: ``digits``, 1797 handwritten digits of 8 px that come with scikit-learn, or
            ``cifar100``, 60,000 photographs of 32 px.
        folder: where cifar100 is, see `stylebench.classifiers.data.cifar100`; "" for digits.
        shortcut: kinds of blocks: ``on``, standard; ``pre-relu``, taken before the ReLU; ``off``,
            none.
        depth: layers with weights; 50 and 101 have bottlenecks, the others basic blocks.
        width: channels of the stem, 64 in He et al.; each stage doubles them.
        epochs: passes over the training split.
        batch: pictures a step.
        learning_rate: at the start; it falls to 0 along half a cosine, step by step.
        momentum: of SGD.
        weight_decay: of all parameters.
        seed: of the weights at the start, of the order, the crops and the mirroring; kinds of
            blocks have these in common.
        checkpoint: epochs from one checkpoint to the next.
        precision: of the network in training; weights and momenta are fp32, and so is all of it
            when it is tested.
        statistics_images: photographs on which the trained networks' maps are measured; () for
            none.
        size: long side of these in px.
    """

    name: str = Field("accuracy", pattern=NAME)
    description: str = ""
    profile: str = ""
    data: DataName = "cifar100"
    folder: str = ""
    shortcut: Annotated[tuple[Shortcut, ...], BeforeValidator(_switches), Field(min_length=1)] = (
        SHORTCUTS
    )
    depth: Depth = 50
    width: Width = 64
    epochs: Annotated[Count, Field(le=10_000)] = 200
    batch: Annotated[Count, Field(ge=2, le=65_536)] = 128
    learning_rate: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False), NoSwitch] = 0.1
    momentum: Share = 0.9
    weight_decay: NonNegative = 5e-4
    seed: Annotated[
        tuple[Seed, ...], BeforeValidator(_listed), Field(min_length=1, max_length=1000)
    ] = (0, 1, 2, 3, 4)
    checkpoint: Count = 10
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    statistics_images: Annotated[
        tuple[str, ...], BeforeValidator(_listed), Field(max_length=1000)
    ] = ("builtin",)
    size: Size = 256

    @field_validator("shortcut", "seed")
    @classmethod
    def _once(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) < len(value):
            raise ValueError("expected each value once")
        return value

    @field_validator("folder")
    @classmethod
    def _of_data(cls, value: str, info: Any) -> str:
        if value and info.data.get("data") == "digits":
            raise ValueError("digits come with scikit-learn; expected a folder with cifar100 alone")
        return value

    def options(self, shortcut: str) -> dict[str, str]:
        """Return the options of the backbone that a network becomes."""
        return {"depth": str(self.depth), "width": str(self.width), "shortcut": shortcut}
