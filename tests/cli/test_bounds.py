"""Numbers of flags: each is checked as it is read, before torch or a file is looked for."""

import inspect
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from stylebench.cli import main
from tests.cli.bench import modules, refused

GROUP: Any = typer.main.get_command(main.app)
COMMANDS: dict[str, Any] = {
    name: command
    for first, each in GROUP.commands.items()
    for name, command in [(first, each)]
    if not hasattr(each, "commands")
} | {
    f"{group} {name}": command
    for group in ("study", "weights")
    for name, command in GROUP.commands[group].commands.items()
}
TEXTS = {"--seed": "-1", "--blend": "1,-1", "--batch": "0"}
"""Flags that are numbers in a text -> what is wrong."""


def is_number(kind: Any) -> bool:
    """Tell whether an annotation is of a number, of several, or of none."""
    return kind in (int, float) or any(map(is_number, get_args(kind)))


def numbers(command: Any) -> list[str]:
    """Return the flags of a command that are numbers."""
    kinds = {n: p.annotation for n, p in inspect.signature(command.callback).parameters.items()}
    return [
        parameter.opts[0]
        for parameter in command.params
        if is_number(kinds.get(parameter.name)) or parameter.opts[0] in TEXTS
    ]


NUMBERS = [(name, flag) for name, command in COMMANDS.items() for flag in numbers(command)]


def wrong(flag: str) -> str:
    return TEXTS.get(flag, "-1")


def test_there_are_numbers() -> None:
    assert {"transfer", "apply", "train", "sweep", "plan", "bench", "study make"} <= {
        name for name, _ in NUMBERS
    }
    assert {"--every", "--time-limit", "--port", "--limit", "--steps"} <= {f for _, f in NUMBERS}


@pytest.mark.parametrize(("name", "flag"), NUMBERS)
def test_a_wrong_number_is_told_before_all_else(name: str, flag: str) -> None:
    """The arguments are not even there."""
    line = refused(*name.split(), f"{flag}={wrong(flag)}")
    assert line.startswith(f"stylebench: {flag} expects ")
    assert line.rstrip().rstrip("'").endswith(wrong(flag))


def test_nothing_is_imported_for_that(tmp_path: Path) -> None:
    words = [[*name.split(), f"{flag}={wrong(flag)}"] for name, flag in NUMBERS]
    assert not {"torch", "pandas", "matplotlib"} & modules(words, tmp_path, status=2)[-1]


def test_unknown_names_are_told_before_torch_is_imported(tmp_path: Path) -> None:
    commands = [["plan", "smok"]]
    for words in (["sweep"], ["plan"], ["stats"], ["transfer", "chelsea", "brush"]):
        commands += [[*words, "--arch", "r-vgg99"], [*words, "--arch", "no*such"]]
        if words != ["stats"]:
            commands.append([*words, "--smoothing", "sofmax"])
        commands += [[*words, "--arch", arch] for arch in ("r-vgg19+foo=1", "r-vgg19+pool=maxx")]
    commands += [["sweep", "--arch", f"{name}+foo=1"] for name in ("all", "r-vgg*")]
    (tmp_path / "x.yaml").write_text("backbone_options: {resnet50: {gama: 1}}\narch: all")
    (tmp_path / "train.yaml").write_text("method: adain\nencoder: p-vgg19+foo=1")
    commands += [["sweep", "x.yaml"], ["train", "train.yaml"]]
    assert "torch" not in modules(commands, tmp_path, status=2)[-1]
