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
ASKED = {
    "style-weight": ("--strength X", "`loss: {style_weight: 20}`"),
    "content-weight": ("--strength X", "`loss: {content_weight: 2}`"),
    "tv-weight": ("`loss: {tv_weight: 0.01}`", "`loss: {tv_weight: 0.01}`"),
    "original-colors": ("--keep-colours", "`colours: luminance`"),
    "keep-colors": ("--keep-colours", "`colours: luminance`"),
    "preserve-color": ("--keep-colours", "`colours: luminance`"),
    "iterations": ("--evals N", "--evals N"),
    "num-iterations": ("--evals N", "--evals N"),
    "steps": ("--evals N", "--evals N"),
    "epochs": ("--evals N", "--evals N"),
    "gpu": ("--device cuda", "--device cuda"),
    "cuda": ("--device cuda", "--device cuda"),
    "model": ("--arch NAME", "--arch NAME"),
    "backbone": ("--arch NAME", "--arch NAME"),
    "network": ("--arch NAME", "--arch NAME"),
    "image-size": ("--size PX", "--size PX"),
    "output-image": ("--output FILE", "--out FOLDER"),
    "content-image": ("the first two arguments:", "--content FILES"),
    "style-image": ("the first two arguments:", "--style FILES"),
    "s": ("the first two arguments:", "--style FILES"),
    "init": ("--start noise", "`start: noise`"),
    "optimizer": ("`optimiser: {name: adam}`", "`optimiser: {name: adam}`"),
    "lr": ("`optimiser: {name: adam, learning_rate: 0.02}`",) * 2,
    "learning-rate": ("`optimiser: {name: adam, learning_rate: 0.02}`",) * 2,
    "style-blend-weights": ("--blend 0.7,0.3", "a blend in `style:`"),
    "style-scale": (None, "`style_scale: 1.5`"),
    "pooling": ("--arch NAME+pool=avg", "--arch NAME+pool=avg"),
    "batch-size": ("not needed for one picture;", "--batch N"),
    "workers": ("not needed for one picture;", "--jobs N"),
    "verbose": ("not needed: what happens is told", "not needed: what happens is told"),
}
"""Word -> how the hints of transfer and of sweep begin; None where there is such an option."""


@pytest.mark.parametrize(
    ("command", "word", "hint"),
    [
        (command, word, hint)
        for word, hints in ASKED.items()
        for command, hint in zip(ARGUMENTS, hints, strict=True)
    ],
)
def test_what_is_guessed_is_told(word: str, command: str, hint: str | None) -> None:
    assert (f"--{word}" in FLAGS[command]) is (hint is None)
    if hint is not None:
        line = refused(command, *ARGUMENTS[command], f"--{word}", "1")
        here = hint if hint.startswith("not needed") else f"here it is {hint}"
        assert f"No such option: --{word}; {here}" in line


@pytest.mark.parametrize(
    ("command", "word"),
    [("stats", "iterations"), ("track", "gpu"), ("ls", "steps"), ("figures", "image-size"),
     ("report", "model"), ("judge", "epochs"), ("schema", "workers"), ("transfer", "nonsense")],
)  # fmt: skip
def test_nothing_is_guessed_that_a_command_cannot_do(command: str, word: str) -> None:
    line = refused(command, f"--{word}", "1")
    assert line.startswith(f"stylebench: No such option: --{word}")
    assert "here it is" not in line


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
    for word, hints in guesses.GUESSES.items():
        for hint in hints:
            flags = set(re.findall(r"--[a-z0-9-]+", f"{hint.needs} {hint.text}"))
            assert flags <= every, word
            if hint.needs and not hint.needs.startswith("--"):
                assert hint.needs in JobSpec.model_fields
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
