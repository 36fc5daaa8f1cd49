"""What jobs are made of, validated: losses, smoothings, optimisers, pictures and weights."""

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from stylebench.errors import InputError

PRESET = "robust"
"""The preset of what names none; `stylebench.transfer.presets` says what it sets."""


def _no_switch(value: Any) -> Any:
    """Refuse true and false (in YAML on, off, yes and no too), which Python counts as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


NoSwitch = BeforeValidator(_no_switch)
"""Behind the bounds of a number: what follows it is no bound in the JSON schema."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), NoSwitch]
Finite = Annotated[float, Field(allow_inf_nan=False), NoSwitch]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), NoSwitch]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), NoSwitch]
Count = Annotated[int, Field(ge=1, lt=2**63, strict=True)]
SIDES = (16, 4096)
"""Px of the long side of a picture, at least and at most: in float32 the first maps of VGG,
64 × 4096 × 4096, take 4 GB each."""
Size = Annotated[int, Field(ge=SIDES[0], le=SIDES[1], strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Precision = Literal["fp32", "tf32", "bf16"]
Kind = Literal["transfer", "statistics"]
OPTIMISE = "optimise"
"""The system that optimises a picture; others are networks that were trained to make one."""
MODEL = "model:"
"""Before the name of a trained network, where weights have their source."""
System = Literal["adain", "sanet", "magenta", "unknown"]
Strength = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), NoSwitch]
Image = Literal["pixels", "fourier", "spectrum"]
Start = Literal["content", "style", "noise"]
Colours = Literal["style", "luminance", "matched"]


NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""Names of experiments: of folders, too."""


class Frozen(BaseModel):
    """A model that cannot be changed and knows no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_WORDS = {
    "^Value error, ": "",  # before texts of ours
    "^Input should be ": "expected ",
    "^expected a valid integer.*": "expected a whole number",
    "^expected a valid number.*": "expected a number",
    "^expected a valid string.*": "expected a text",
    "^expected a valid (list|tuple|array).*": "expected a list",
    "^expected a valid (dictionary|mapping|object).*": "expected a mapping",
    "^expected a valid boolean.*": "expected true or false",
    "^expected greater than or equal to ": "expected at least ",
    "^expected less than or equal to ": "expected at most ",
    "^expected greater than ": "expected more than ",
    r"^(?:Tuple|List|Dictionary) should have (at \w+ \d+ items?).*": r"expected \1",
    r"^String should have (at \w+ \d+ character)": r"expected \1",
    "^Extra inputs are not permitted$": "unknown key",
    "^Field required$": "expected a value",
    f"^String should match pattern '{re.escape(NAME)}'$": "expected 1 to 100 letters, digits, ., _ "
    "and -, the first a letter or a digit",
    "^String should match pattern ": "expected a text of the form ",
}
"""What pydantic says -> what is said here, one after the other."""


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


def problem(of: ErrorDetails) -> tuple[str, str, Any]:
    """Return where a problem of a validation is, what was expected, and what was found."""
    path = ".".join(str(part) for part in of["loc"])
    told = of["msg"]
    for said, here in _WORDS.items():
        told = re.sub(said, here, told)
    return path, told, _Nothing() if of["type"] == "missing" else of["input"]


def first_problem(error: ValidationError) -> tuple[str, str, Any]:
    """Return the first problem of a validation, see `problem`."""
    return problem(error.errors()[0])


LABEL = re.compile(r"(?P<name>[^()@]+)(?:\((?P<params>[^()]*)\))?(?P<deep>@deep)?")
"""A smoothing as tables name it, see `SmoothingSpec.label`."""


class SmoothingSpec(Frozen):
    """A smoothing, its parameters, and the layers that it is applied to.

    In YAML a name (``softmax``), a mapping (``{name: softmax, temperature: 10}``), or as tables
    name it (``softmax(temperature=10)@deep``).
    `layers`: ``all``, or ``deep`` for the two deepest stages, as in the released code.
    """

    name: str
    layers: Literal["all", "deep"] = "all"
    params: dict[str, Annotated[float, NoSwitch]] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            found = LABEL.fullmatch(value)
            params = filter(None, (found["params"] or "").split(",")) if found else ()
            pairs = [text.partition("=") for text in params]
            if not found or not all(key and equals for key, equals, _ in pairs):
                return {"name": value}
            layers = {"layers": "deep"} if found["deep"] else {}
            return {"name": found["name"], **layers, "params": {k.strip(): v for k, _, v in pairs}}
        if isinstance(value, Mapping) and "params" not in value:
            known = {key: value[key] for key in ("name", "layers") if key in value}
            return {**known, "params": {k: v for k, v in value.items() if k not in known}}
        if not isinstance(value, Mapping | SmoothingSpec):
            raise ValueError("expected a name, as softmax, or {name: softmax, temperature: 10}")
        return value

    @property
    def label(self) -> str:
        """The name in tables: ``softmax``, ``softmax(temperature=10)``, ``scale@deep``."""
        params = ",".join(f"{key}={value:g}" for key, value in sorted(self.params.items()))
        return (
            self.name
            + (f"({params})" if params else "")
            + ("@deep" if self.layers == "deep" else "")
        )


class LossSpec(Frozen):
    """The objective: α·content + β·Σ w_l·style_l + γ·total variation.

    Attributes:
        balance: ``target`` divides each term by the squared norm of its target, so that terms are
            relative errors (the total variation has none and stays); ``gradient`` divides each by
            its gradient norm near the start (`stylebench.transfer.objective.PROBE`); ``none``
            leaves them as `normalisation` says.
        normalisation: of the terms, where `balance` is ``none``; ``paper`` is eqs. (3) and (4),
            ``released`` the authors' code, ``keras`` Chollet's Keras example. A balance cancels it,
            but for the form of the total variation.
        content_weight: α.
        style_weight: β.
        tv_weight: γ, weight of the total variation: a mean over pixels in [0, 1] with exponent 2;
            in ``keras`` a sum over pixels in 0..255 with exponent 2.5.
        layer_weights: w_l by name of the style node; those not named have weight 1.
    """

    normalisation: Literal["paper", "released", "keras"] = "paper"
    balance: Literal["none", "target", "gradient"] = "target"
    content_weight: NonNegative = 1.0
    style_weight: NonNegative = 10.0
    tv_weight: NonNegative = 0.0
    layer_weights: dict[str, NonNegative] = {}


class OptimiserSpec(Frozen):
    """How the image is optimised.

    ``lbfgs`` is ours, for batches, ``lbfgsb`` scipy's L-BFGS-B, in float64 and anew every 20
    evaluations, as in Chollet's Keras example: one image at a time. Adam has no `history` and no
    `line_search`; scipy has its own line search, and no `learning_rate`; neither has `first_step`.

    `history` is the number of pairs that L-BFGS keeps; each is two pictures in float32, 6.3 MB at
    512 × 512 px, twice that in scipy's float64. Ten, as in scipy, reach the losses of torch's
    default, 100 (docs/performance.md).

    The default has a line search, which shortens steps that go too far; torch declares L-BFGS
    without one, and so the released code uses it.

    `learning_rate` is 1 for L-BFGS (torch's default) and 0.02 for Adam unless given; the unit of
    Adam's is pixel values in [0, 1].

    `first_step` of ``lbfgs``: the share of −g, the negative gradient at the start, that is tried
    first. The objective is scaled so that all of −g changes a pixel by 10 to 20 grey levels in the
    mean (`stylebench.transfer.objective.FIRST_STEP`). ``torch`` is torch.optim.LBFGS's
    min(1, 1/‖g‖₁): a pixel moves by a thousandth of a grey level, so that in float32 the first
    curvature is mostly rounding, and about fifteen evaluations go by before there is a better one
    (docs/performance.md).
    """

    name: Literal["lbfgs", "adam", "lbfgsb"] = "lbfgs"
    learning_rate: Positive = 1.0
    history: Count = 10
    line_search: Literal["none", "strong_wolfe"] = "strong_wolfe"
    first_step: Positive | Literal["torch"] = 1.0

    @field_validator("first_step", mode="before")
    @classmethod
    def _number_or_torch(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value == "torch" or (number and 0 < value < math.inf):
            return value
        raise ValueError("expected a positive number or torch")

    @model_validator(mode="before")
    @classmethod
    def _default_rate(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("name") == "adam":
            return {"learning_rate": 0.02, **value}
        return value


class ImageRef(Frozen):
    """A picture of a job: `name` for tables, `ref` where it is read, `digest` what it contains."""

    name: str
    ref: str
    digest: str


class Ingredient(Frozen):
    """One style of a blend, and its share: the shares of a blend add up to 1."""

    picture: ImageRef
    share: Positive


class Region(Frozen):
    """One style of several that have their places: where its mask is white.

    Without a mask it is where no other is.
    """

    picture: ImageRef
    mask: ImageRef | None = None


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Return the shares of the styles of a blend: their weights, over the sum of these.

    Raises:
        InputError: a weight that is not a positive number.
    """
    numbers = [float(w) if isinstance(w, Real) else math.nan for w in weights]
    total = sum(numbers)
    found = [round(number / total, 9) if total else 0.0 for number in numbers]
    for weight, share in zip(weights, found, strict=True):
        if not (share > 0 and math.isfinite(total)):
            raise InputError(f"blend: expected positive weights, found {weight!r:.40}")
    return tuple(found)


def blend_weights(text: str | None, count: int) -> list[float]:
    """Return the weights of so many styles from ``--blend``; equal ones where it is not given.

    Raises:
        InputError: what is no weight, or another count of them.
    """
    try:
        numbers = [float(part) for part in text.split(",")] if text else [1.0] * count
    except ValueError:
        raise InputError(f"--blend expects numbers, as 0.7,0.3, found {text!r}") from None
    if text is not None and (len(numbers) != count or count < 2):
        raise InputError(
            f"--blend expects a weight for each of two styles or more, found {count} styles "
            f"and {len(numbers)} weights"
        )
    return numbers


def style_size(size: int, scale: float) -> int:
    """Return the long side in px of style pictures, `scale` times that of the content.

    Raises:
        InputError: it is none that a picture can have.
    """
    found = size * scale
    least, most = SIDES
    if not least - 0.5 < found < most + 0.5:
        told = f"{size} px × {scale:g} = {found:.0f} px"
        expected = f"a style picture of {least} to {most} px"
        raise InputError(f"style_scale: expected {expected}, found {told}")
    return round(found)


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation of RGB in [0, 1], torchvision's convention."""


class InputSpec(Frozen):
    """What weights take for a picture x in [0, 1]: (scale · x − mean) / std.

    `order` is that of its channels, in which `mean` and `std` stand, in units of `scale`. One
    number is all three.
    """

    order: Literal["rgb", "bgr"] = "rgb"
    scale: Positive = 1.0
    mean: tuple[Finite, Finite, Finite]
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)

    @field_validator("order", mode="before")
    @classmethod
    def _small_letters(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _three(cls, value: Any) -> Any:
        return (value,) * 3 if isinstance(value, int | float) else value

    @property
    def unit(self) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
        """Order, mean and deviation for `scale` 1: equal where two mean the same."""
        mean, std = (
            tuple(round(v / self.scale, 7) for v in each) for each in (self.mean, self.std)
        )
        return self.order, mean, std

    @property
    def label(self) -> str:
        """The input in tables: ``bgr*255-103.939,116.779,123.68``."""
        mean, std = (",".join(f"{v:g}" for v in each) for each in (self.mean, self.std))
        scale = f"*{self.scale:g}" if self.scale != 1 else ""
        return f"{self.order}{scale}-{mean}" + (f"/{std}" if set(self.std) != {1.0} else "")


class WeightsRef(Frozen):
    """Weights of a job: `source` for tables (``random:0``, ``file:vgg19.safetensors``).

    `sha256` of the file and the `options` of the backbone are their identity, timm's `tag` where
    its weights want another normalisation than the backbone's own tag, and `input` where they take
    pictures in another way than the backbone's own. `path` is where they are on this machine. A
    non-empty `missing` says why there are none.
    """

    source: str
    sha256: str = ""
    path: str = ""
    options: dict[str, str] = {}
    tag: str = ""
    input: InputSpec | None = None
    missing: str = ""

    @property
    def label(self) -> str:
        """The identity in tables: source, first 12 digits of the sha256, options and input."""
        digest = f"@sha256:{self.sha256[:12]}" if self.sha256 else ""
        taken = f"+input={self.input.label}" if self.input else ""
        return self.source + digest + self.settings + taken

    @property
    def settings(self) -> str:
        """The options as ``--arch`` takes them behind a name: ``+gamma=0.5+pool=avg``."""
        return "".join(f"+{key}={value}" for key, value in sorted(self.options.items()))


def _node(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected the path of a node, or a number")
    return value


NodePath = Annotated[int | str, BeforeValidator(_node)]


class NodeChoice(Frozen):
    """Nodes in place of a backbone's own: paths in its graph, or timm's modules or indices.

    One to 64 style nodes, shallow to deep. Stages of up to five end at 4, one a node; those of more
    follow from the resolutions of the maps, the coarsest being stage 4 (`backbones.nodes.choose`).
    """

    style: tuple[NodePath, ...] = Field(min_length=1, max_length=64)
    content: NodePath
