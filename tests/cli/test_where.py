"""Errors in an experiment say where the key is written, as it is written there."""

from pathlib import Path

import pytest

import stylebench
from stylebench.errors import InputError
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
