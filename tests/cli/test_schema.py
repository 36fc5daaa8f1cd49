"""The JSON Schema of experiment files: it says of a file what reading it says."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stylebench.cli.schema import of_experiments
from stylebench.errors import InputError
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.reading import shipped
from stylebench.sweeps.settings import SweepConfig
from tests.cli.bench import invoke

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = of_experiments()
CHECK: Any = jsonschema.Draft202012Validator(SCHEMA)


def test_the_command_prints_it() -> None:
    shown = invoke("schema")
    assert (shown.status, shown.err) == (0, "")
    assert json.loads(shown.out) == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", shipped())
def test_shipped_experiments_are_valid(name: str) -> None:
    CHECK.validate(yaml.safe_load(shipped()[name].read_text(encoding="utf-8")))


def test_every_key_is_there_and_described() -> None:
    keys = SCHEMA["properties"]
    assert set(keys) == {*SweepConfig.model_fields, "profiles", "grid"} - {"profile"}
    models = [model for model in SCHEMA["$defs"].values() if "properties" in model]
    assert len(models) >= 4
    for own in [keys, *(model["properties"] for model in models)]:
        for key, described in own.items():
            assert described.get("description"), key


GOOD = """
system: optimise
arch: r-vgg19
smoothing: {name: softmax, temperature: 10, layers: deep}
content: chelsea
style: [mosaic, brush]
seed: 3
statistics_images: []
loss: {style_weight: 1.0e+5, layer_weights: {relu1_1: 0.5}}
backbone_options: {resnet50: {shortcut: off, gamma: 0.5, pool: avg}}
weights: {vgg19: "registry:vgg19"}
input: {vgg19: {order: bgr, scale: 255, mean: [103.939, 116.779, 123.68], std: 1}}
nodes: {vgg19: {style: [0, relu2_1, features.20], content: relu4_2}}
optimiser: {name: adam, learning_rate: 0.02}
judge: true
limit: 3
variants:
  - {start: noise, loss: {balance: gradient}}
  - {preset: paper, seed: [1, 2]}
grid: {loss.style_weight: [1, 10], image: [pixels, fourier]}
profiles:
  quick: {size: 64, evals: 5, grid: {seed: [0, 1]}}
  full: {size: 512, variants: [{arch: all}]}
"""
BAD = (
    "szie: 64", "size: large", "size: 0", "evals: [3]", "profile: quick", "loss: {weight: 3}",
    "loss: {style_weight: -1}", "loss: 3", "preset: papr", "start: white", "smoothing: [3]",
    "smoothing: {temperature: 3}", "variants: {start: noise}", "variants: [{strat: noise}]",
    "variants: [{judge: true}]", "variants: [{name: x}]", "grid: {image: pixels}",
    "grid: {imag: [pixels]}", "grid: {loss.weight: [1]}", "grid: {image: []}",
    "profiles: {quick: {szie: 3}}", "profiles: [3]", "optimiser: {name: sgd}",
    "nodes: {vgg19: {style: []}}", "nodes: {vgg19: {style: [relu1_1]}}",
    "input: {vgg19: {mean: [1, 2], std: 1}}", "arch: []", "seed: x", "pairing: zipped",
    "name: -x", "weights: {vgg19: 3}", "profiles: {quick: {profiles: {}}}",
)  # fmt: skip


def _reads(text: str, path: Path) -> bool:
    path.write_text(text, encoding="utf-8")
    try:
        load_sweep(path)
    except InputError:
        return False
    return True


def test_short_forms_are_valid(tmp_path: Path) -> None:
    CHECK.validate(yaml.safe_load(GOOD))
    assert _reads(GOOD, tmp_path / "good.yaml")


@pytest.mark.parametrize("text", BAD)
def test_what_is_refused_is_invalid(text: str, tmp_path: Path) -> None:
    assert not CHECK.is_valid(yaml.safe_load(text))
    assert not _reads(text, tmp_path / "bad.yaml")
