"""Errors in an experiment say where the key is written, as it is written there."""

from pathlib import Path
from typing import Any

import pytest

import stylebench
from stylebench.errors import InputError, of_python
from tests.cli.bench import refused

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights", "in_an_empty_folder")

IN_THE_FILE = {
    "backbone_options: {resnet5: {gamma: 0.5}}": "x.yaml: backbone_options: unknown backbone",
    "backbone_options: {resnet50: 3}": "x.yaml: backbone_options.resnet50: ",
    "arch: r-resnet50\nnodes: {resnet50: {style: [x], content: y}}": "x.yaml: nodes: r-resnet50 ",
    "nodes: {vgg19: {style: [relu1_1], content: relu1_1}}": "x.yaml: nodes: 'vgg19' is not among",
    "loss: {layer_weights: {nope: 2}}": "x.yaml: loss.layer_weights: no style node 'nope'",
    "weights: {vg19: x.pth}\narch: p-vgg19": "x.yaml: weights: no backbone 'vg19' takes weights",
    "input: {vg19: {mean: 0}}": "x.yaml: input: p-vg19 is not among",
    "content: nothere": "x.yaml: content 'nothere' is neither a file",
    "style: nothere": "x.yaml: style 'nothere' is neither a file",
    "arch: r-vgg": "x.yaml: unknown backbone 'r-vgg'",
    "smoothing: sofmax": "x.yaml: unknown smoothing 'sofmax'; did you mean 'softmax'",
    "statistics_images: nothere": "x.yaml: photograph 'nothere' is neither a file",
    "style: [brush, mosaic]\npairing: zip": "x.yaml: pairing zip expects as many",
    "style_scale: 1000": "x.yaml: style_scale: expected a style picture",
    "seed: -1": "x.yaml: seed: expected",
    "seed: [0, -1]": "x.yaml: seed.1: expected",
    "profiles: {quick: {sise: 3}}": "x.yaml: profiles.quick: unknown key 'sise'",
    "profiles: {quick: {}, full: {size: 3}}": "x.yaml: profiles.full: size: expected",
    "profiles: {full: {nodes: {vgg19: {style: [a], content: a}}}}": "x.yaml: profiles.full: nodes",
    "grid: {loss.balanse: [none]}": "x.yaml: grid: variant 1: unknown key 'loss.balanse'",
    "variants: [{sise: 3}]": "x.yaml: variant 1: unknown key 'sise'",
    "style: [{blend: {brush: -1, mosaic: 2}}]": "x.yaml: style: blend.brush: expected",
}


@pytest.mark.parametrize("text", IN_THE_FILE)
def test_a_key_of_the_file_is_named_with_the_file(text: str) -> None:
    keys = {"arch": "r-tiny", "content": "chelsea", "style": "brush", "size": "32"}
    more = "\n".join(f"{key}: {value}" for key, value in keys.items() if f"{key}:" not in text)
    Path("x.yaml").write_text(f"{text}\n{more}\n")
    flags = ("--profile", "full") if "full:" in text else ()
    for command in (("sweep", "x.yaml", "--dry-run", *flags), ("plan", "x.yaml", *flags)):
        assert refused(*command).startswith(f"stylebench: {IN_THE_FILE[text]}"), command


def test_a_flag_is_named_as_a_flag() -> None:
    Path("x.yaml").write_text("arch: r-tiny\nsize: 32\n")
    for flag, value in (("--size", -3), ("--seed", -1), ("--evals", 0)):
        for file in ((), ("x.yaml",)):
            line = refused("sweep", *file, "--dry-run", flag, value)
            assert line.startswith(f"stylebench: {flag} expects "), line
    nodes = ("--arch", "r-tiny", "--nodes", "nope", "--content-node", "nope")
    line = refused("sweep", "x.yaml", "--dry-run", *nodes)
    assert line.startswith("stylebench: --nodes: r-tiny has no node 'nope'"), line


def test_in_python_too() -> None:
    Path("x.yaml").write_text("arch: r-tiny\nsize: 32\ninput: {vg19: {mean: 0}}\n")
    with pytest.raises(InputError, match=r"^x\.yaml: input: p-vg19 is not among"):
        stylebench.sweep("x.yaml", tracking_uri="off")


TINY = {"arch": "r-tiny", "size": 32, "content": "chelsea", "style": "brush"}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"content": [], "style": []}, "content: sweep has statistics alone, on statistics_images; "
         "for stylisations give content and style"),
        ({"size": -3}, "size: expected at least 16, found -3"),
        ({"device": "gpu"}, "device expects auto, cpu, cuda, cuda:N or mps, found 'gpu'"),
        ({"arch": "r-tiny+pool"}, "backbone 'r-tiny+pool': expected NAME+OPTION=VALUE"),
        ({"tags": {"a": "b"}, "tracking_uri": "off"},
         "experiment_name and tags do nothing with tracking_uri off"),
        ({"system": "optimize"}, "system: expected optimise or a model, found 'optimize'"),
        ({"out": "photos"}, "out 'photos' holds 'cat.jpg'; expected a new"),
        ({"weights": {"vgg19": "x"}}, "weights vgg19=…: p-vgg19 is not among the backbones"),
    ],
)  # fmt: skip
def test_arguments_are_named_as_arguments(keys: dict[str, Any], text: str) -> None:
    Path("photos").mkdir()
    Path("photos", "cat.jpg").touch()
    with pytest.raises(InputError) as error:
        stylebench.sweep(**{**TINY, **keys})
    assert str(error.value).startswith(text)


def test_commands_that_an_error_names_stay() -> None:
    @of_python
    def fail(tags: str) -> None:
        raise InputError(f"--tag {tags}, 'a --size/b': see `stylebench ls --all`, or give --size")

    with pytest.raises(InputError) as error:
        fail("a")
    assert str(error.value) == "tags a, 'a --size/b': see `stylebench ls --all`, or give size"
