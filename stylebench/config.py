"""What is to be computed: frozen, validated configuration, from YAML and flags alike.

Nothing here says where or how fast (device, worker processes, folders): that is run-time. Two equal
configurations have equal job ids, wherever their pictures have equal pixels.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stylebench.errors import InputError
from stylebench.registry import suggestion

SCHEMA_VERSION = 1
"""Part of every job id: raised when the same configuration begins to mean another computation."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Size = Annotated[int, Field(ge=16, le=16384, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Precision = Literal["fp32", "bf16"]
Option = Annotated[str, Field(coerce_numbers_to_str=True)]


class Frozen(BaseModel):
    """A model that cannot be changed and knows no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SmoothingSpec(Frozen):
    """A smoothing, its parameters, and the layers that it is applied to.

    In YAML either a name (``softmax``) or a mapping (``{name: softmax, temperature: 10}``).
    `layers`: ``all``, or ``deep`` for the two deepest stages, as in the released code.
    """

    name: str
    layers: Literal["all", "deep"] = "all"
    params: dict[str, float] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and "params" not in value:
            known = {key: value[key] for key in ("name", "layers") if key in value}
            return {**known, "params": {k: v for k, v in value.items() if k not in known}}
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
            its gradient norm near the start (`stylebench.transfer.PROBE`); ``none`` leaves them as
            `normalisation` says.
        normalisation: of the terms, where `balance` is ``none``; ``paper`` is eqs. (3) and (4),
            ``released`` the authors' code. A balance cancels it.
        content_weight: α.
        style_weight: β.
        tv_weight: weight of the total variation, which is a mean over pixels.
        layer_weights: w_l by name of the style node; those not named have weight 1.
    """

    normalisation: Literal["paper", "released"] = "paper"
    balance: Literal["none", "target", "gradient"] = "target"
    content_weight: NonNegative = 1.0
    style_weight: NonNegative = 10.0
    tv_weight: NonNegative = 0.0
    layer_weights: dict[str, NonNegative] = {}


class OptimiserSpec(Frozen):
    """How the image is optimised. `history` and `line_search` belong to L-BFGS alone.

    The default has a line search, which shortens steps that go too far; torch declares L-BFGS
    without one, and so the released code uses it.

    `learning_rate` is 1 for L-BFGS (torch's default) and 0.02 for Adam unless given; the unit of
    Adam's is pixel values in [0, 1].
    """

    name: Literal["lbfgs", "adam"] = "lbfgs"
    learning_rate: Positive = 1.0
    history: Count = 100
    line_search: Literal["none", "strong_wolfe"] = "strong_wolfe"

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


class WeightsRef(Frozen):
    """Weights of a job: `source` for tables (``random:0``, ``file:vgg19.safetensors``).

    `sha256` of the file and the `options` of the backbone are their identity; `path` is where they
    are on this machine. A non-empty `missing` says why there are none.
    """

    source: str
    sha256: str = ""
    path: str = ""
    options: dict[str, str] = {}
    missing: str = ""

    @property
    def label(self) -> str:
        """The identity in tables: source, first 12 digits of the sha256, options if any."""
        digest = f"@sha256:{self.sha256[:12]}" if self.sha256 else ""
        return self.source + digest + self.settings

    @property
    def settings(self) -> str:
        """The options as ``--arch`` takes them behind a name: ``+gamma=0.5+pool=avg``."""
        return "".join(f"+{key}={value}" for key, value in sorted(self.options.items()))


def _digest(meaning: dict[str, Any]) -> str:
    if meaning.get("chosen") is None:  # ids as they were before nodes could be chosen
        meaning = {key: value for key, value in meaning.items() if key != "chosen"}
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _weights_identity(weights: WeightsRef) -> dict[str, Any]:
    what = weights.sha256 or weights.source
    return {"weights": what, "options": weights.options}


class NodeChoice(Frozen):
    """Nodes in place of a backbone's own: paths in its graph, or timm's modules or indices.

    One to five style nodes, shallow to deep; their stages end at 4.
    """

    style: tuple[int | str, ...] = Field(min_length=1, max_length=5)
    content: int | str


class JobSpec(Frozen):
    """One stylisation: everything that decides its result, and where to read its inputs.

    `nodes` are the backbone's, path -> name, so that a change of nodes is another job; `chosen` is
    what the sweep says of them.
    """

    arch: str
    nodes: dict[str, str]
    chosen: NodeChoice | None = None
    weights: WeightsRef
    smoothing: SmoothingSpec
    content: ImageRef
    style: ImageRef
    preset: str
    loss: LossSpec
    optimiser: OptimiserSpec
    start: Literal["content", "style", "noise"]
    size: Size
    resize: Literal["aspect", "squash"]
    evals: Count
    seed: Seed
    precision: Precision

    @property
    def job_id(self) -> str:
        """Hash of the meaning: 16 hexadecimal digits; paths, names and machines do not enter."""
        meaning = self.model_dump(exclude={"weights", "content", "style", "preset"})
        return _digest(
            {
                **meaning,
                **_weights_identity(self.weights),
                "content": self.content.digest,
                "style": self.style.digest,
                "schema": SCHEMA_VERSION,
            }
        )


class StatisticsSpec(Frozen):
    """The statistics of one backbone with one set of weights, on a set of images."""

    arch: str
    nodes: dict[str, str]
    chosen: NodeChoice | None = None
    weights: WeightsRef
    smoothing: tuple[SmoothingSpec, ...]
    images: tuple[ImageRef, ...]
    size: Size
    resize: Literal["aspect", "squash"]
    seed: Seed

    @property
    def job_id(self) -> str:
        """Hash of the meaning, as of a JobSpec; names of images enter, as the rows show them."""
        return _digest(
            {
                **self.model_dump(exclude={"weights", "images"}),
                **_weights_identity(self.weights),
                "images": [(image.name, image.digest) for image in self.images],
                "schema": SCHEMA_VERSION,
            }
        )


class SweepConfig(Frozen):
    """One sweep: the product of backbones, smoothings, pairs of pictures and seeds.

    `statistics_images` are the pictures on which statistics are measured: the ten built-in
    photographs by default, as the paper averages over ten images; none switches them off.
    `weights`: backbone -> source (``registry:vgg19``, ``file:PATH@sha256:HEX``; default ``auto``).
    `nodes`: other nodes for a backbone (without r- or p-). `limit`: at most so many backbones.
    `pairing`: ``product`` takes every content with every style, ``zip`` the first with the first…
    """

    name: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    description: str = ""
    arch: tuple[str, ...] = Field(("all",), min_length=1)
    smoothing: tuple[SmoothingSpec, ...] = Field(
        (SmoothingSpec(name="none"), SmoothingSpec(name="softmax")), min_length=1
    )
    content: tuple[str, ...] = Field(("chelsea", "china"), min_length=1)
    style: tuple[str, ...] = Field(("brush", "mosaic"), min_length=1)
    pairing: Literal["product", "zip"] = "zip"
    statistics_images: tuple[str, ...] = ("builtin",)
    preset: Literal["paper", "released", "balanced"] = "balanced"
    loss: LossSpec = LossSpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    start: Literal["content", "style", "noise"] = "content"
    size: Size = 256
    resize: Literal["aspect", "squash"] = "aspect"
    evals: Count = 60
    seed: tuple[Seed, ...] = Field((0,), min_length=1)
    precision: Precision = "fp32"
    backbone_options: dict[str, dict[str, Option]] = {}
    weights: dict[str, str] = {}
    nodes: dict[str, NodeChoice] = {}
    limit: Count | None = None


PRESETS: dict[str, dict[str, Any]] = {
    # α/β = 1e-3: Gatys et al. 2016, fig. 3; the paper's own ratio is not known.
    "paper": {
        "loss": {"balance": "none", "content_weight": 1.0, "style_weight": 1e3},
        "optimiser": {"line_search": "none"},
    },
    # The authors' script: 1 : 1e17, squashed to a square, torch's L-BFGS without line search.
    "released": {
        "loss": {
            "normalisation": "released",
            "balance": "none",
            "content_weight": 1.0,
            "style_weight": 1e17,
        },
        "optimiser": {"line_search": "none"},
        "resize": "squash",
    },
    # Ours, the defaults of LossSpec and OptimiserSpec: relative errors, so that one setting serves
    # every backbone, and a line search, so that none is lost to a step that goes too far.
    "balanced": {},
}
"""What each preset sets; what is given beside it goes before it."""
OF_PRESET = ("loss", "optimiser", "resize")
"""Keys that a preset decides; a preset from the command line replaces them in the file."""


def preset_label(config: "SweepConfig") -> str:
    """Return the preset's name for tables, with "(modified)" where the configuration departs."""
    pure = SweepConfig.model_validate({"preset": config.preset, **PRESETS[config.preset]})
    same = all(getattr(config, key) == getattr(pure, key) for key in OF_PRESET)
    return config.preset if same else f"{config.preset} (modified)"


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it, mappings merged key by key."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _explain(error: ValidationError, where: str) -> str:
    """Return the first problem of a validation error in one line, with a suggestion for a key."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        models: dict[str, type[Frozen]] = {
            "loss": LossSpec, "optimiser": OptimiserSpec, "smoothing": SmoothingSpec
        }  # fmt: skip
        owner = (
            models.get(str(first["loc"][0]), SweepConfig) if len(first["loc"]) > 1 else SweepConfig
        )
        key = str(first["loc"][-1])
        known = ", ".join(owner.model_fields)
        return (
            f"{where}: unknown key {path!r}{suggestion(key, owner.model_fields)} (known: {known})"
        )
    more = len(error.errors()) - 1
    found = repr(first["input"])
    found = found if len(found) <= 60 else found[:57] + "..."
    return f"{where}: {path}: {first['msg']}, found {found}" + (
        f" (and {more} more)" if more else ""
    )


class _Loader(yaml.SafeLoader):
    """Reads YAML, and refuses a key that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; anything else raises InputError."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        near = suggestion(str(path), (str(p) for p in path.parent.glob("*.yaml")))
        raise InputError(f"no experiment file {str(path)!r}{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable text file: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected YAML: {line}") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise InputError(
            f"{path}: expected a mapping of keys to values, found {type(data).__name__}"
        )
    return data


def _as_lists(data: Mapping[str, Any]) -> dict[str, Any]:
    """Allow a single value where a list is expected: ``arch: r-vgg19``, ``seed: 3``."""
    plural = ("arch", "smoothing", "content", "style", "seed", "statistics_images")
    single = (str, int, float, dict)
    return {k: [v] if k in plural and isinstance(v, single) else v for k, v in data.items()}


def load_sweep(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> SweepConfig:
    """Return the configuration of a sweep.

    Args:
        path: an experiment file; its stem is the sweep's name unless the file gives one. None
            means the built-in default, which experiments/default.yaml spells out.
        flags: keys from the command line, which go before the file's; None values are left out.
            Contents or styles from the command line are all paired with each other; those of a
            file too, unless it says ``pairing: zip``. A preset from the command line replaces the
            file's loss, optimiser and resize.

    Raises:
        InputError: unknown keys, values of the wrong type or range; the text names the first.
    """
    data = read_yaml(path) if path else {}
    if path:
        data.setdefault(
            "name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip(".-_")[:100] or "sweep"
        )
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    if "content" in given or "style" in given:
        given.setdefault("pairing", "product")
    if "content" in data or "style" in data:
        data.setdefault("pairing", "product")
    if "preset" in given:
        data = {key: value for key, value in data.items() if key not in OF_PRESET}
    where = str(path) if path else "sweep"
    merged = _merged(_as_lists(data), _as_lists(given))
    preset = merged.get("preset", SweepConfig.model_fields["preset"].default)
    if not isinstance(preset, str) or preset not in PRESETS:
        near = suggestion(str(preset), PRESETS)
        raise InputError(f"{where}: unknown preset {preset!r}{near} (known: {', '.join(PRESETS)})")
    try:
        return SweepConfig.model_validate(_merged(PRESETS[preset], merged))
    except ValidationError as error:
        raise InputError(_explain(error, where)) from None
