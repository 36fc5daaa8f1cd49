"""What people type who know other tools ends in a suggestion of ours, on one line."""

import re
from typing import Any

import pytest
import typer

from stylebench.cli import guesses, main
from stylebench.config import JobSpec
from tests.cli.bench import refused

COMMANDS: dict[str, Any] = typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
FLAGS = {
    name: [flag for each in command.params for flag in each.opts]
    for name, command in COMMANDS.items()
}
ARGUMENTS = {"transfer": ("chelsea", "mosaic"), "sweep": ()}
ASKED = [
    "style-weight",
    "content-weight",
    "tv-weight",
    "original-colors",
    "keep-colors",
    "preserve-color",
    "iterations",
    "num-iterations",
    "steps",
    "gpu",
    "cuda",
    "model",
    "backbone",
    "network",
    "image-size",
    "output-image",
    "content-image",
    "style-image",
    "init",
    "optimizer",
    "lr",
    "learning-rate",
    "style-blend-weights",
    "style-scale",
    "pooling",
    "epochs",
    "batch-size",
    "workers",
    "verbose",
]


def _expected(command: str, word: str) -> bool:
    """Tell whether a command can do what a word asks for in any way."""
    return any(guesses._follows(hint, FLAGS[command]) for hint in guesses.GUESSES[word])


@pytest.mark.parametrize("command", ARGUMENTS)
@pytest.mark.parametrize("word", ASKED)
def test_what_is_guessed_is_told(word: str, command: str) -> None:
    if f"--{word}" in FLAGS[command]:
        pytest.skip("it exists")
    line = refused(command, *ARGUMENTS[command], f"--{word}", "1")
    assert f"No such option: --{word}" in line
    assert ("; here it is " in line or "; not needed" in line) is _expected(command, word)


@pytest.mark.parametrize(
    ("args", "here"),
    [
        (["transfer", "a", "b", "--iterations", "5"], "here it is --evals N"),
        (["transfer", "a", "b", "--num_iterations=5"], "here it is --evals N"),
        (["transfer", "--content-image", "a", "--style-image", "b"], "transfer CONTENT STYLE"),
        (["transfer", "-content_image", "a", "-style_image", "b"], "transfer CONTENT STYLE"),
        (["transfer", "a", "b", "-gpu", "0"], "-gpu; here it is --device cuda"),
        (["transfer", "a", "b", "-output_image", "out.png"], "here it is --output FILE"),
        (["transfer", "a", "b", "-optimizer", "adam"], "here it is `optimiser: {name: adam}`"),
        (["sweep", "--output", "out"], "here it is --out FOLDER"),
        (["sweep", "--TV_weight", "3"], "here it is `loss: {tv_weight: 0.01}`"),
        (["sweep", "--pooling", "avg"], "here it is --arch NAME+pool=avg"),
        (["stats", "--gpu", "0"], "here it is --device cuda"),
        (["stats", "--iterations", "5"], "No such option: --iterations\n"),
        (["stylize", "a", "b"], "here it is: stylebench transfer"),
        (["evaluate", "results/default"], "here it is: stylebench judge"),
        (["swep"], "Did you mean 'sweep'?"),
        (["sweep", "--arhc", "all"], "--arch"),
    ],
)
def test_each_has_its_own(args: list[str], here: str) -> None:
    assert here in refused(*args)


def test_hints_name_what_exists() -> None:
    every = {flag for flags in FLAGS.values() for flag in flags}
    to_come = {"--strength", "--keep-colours", "--colours", "--blend", "--style-scale", "--every"}
    for word, hints in guesses.GUESSES.items():
        for hint in hints:
            flags = set(re.findall(r"--[a-z-]+", f"{hint.needs} {hint.text}"))
            assert flags <= every | to_come, word
            if hint.needs and not hint.needs.startswith("--"):
                assert hint.needs in {*JobSpec.model_fields, "colours", "blend", "style_scale"}
    for command in guesses.COMMANDS.values():
        assert command.split()[0] in COMMANDS
        assert command not in guesses.COMMANDS


def test_keys_in_hints_are_valid() -> None:
    import yaml

    from stylebench.sweeps.experiment import load_sweep

    for hints in guesses.GUESSES.values():
        for text in (hint.text for hint in hints if hint.needs in JobSpec.model_fields):
            if found := re.match("`(.*?)`", text):
                load_sweep(None, yaml.safe_load(found[1]))
