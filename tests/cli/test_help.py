"""Help, version, and the commands that README, docs and the help itself show."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from stylebench import __version__
from stylebench.cli import main
from tests.cli.bench import invoke

ROOT = Path(__file__).resolve().parents[2]
GROUP: Any = typer.main.get_command(main.app)
COMMANDS: dict[str, Any] = GROUP.commands
OF_GROUPS: dict[str, Any] = {
    f"{group} {name}": command
    for group in ("study", "weights")
    for name, command in COMMANDS[group].commands.items()
}


def test_all_commands_of_the_contract_are_there() -> None:
    assert set(COMMANDS) == {"sweep", "transfer", "stats", "figures", "ls", "run-job", "weights",
                             "accuracy", "apply", "bench", "compare", "demo", "export", "judge",
                             "leaderboard", "plan", "report", "schema", "status", "study", "track",
                             "train"}  # fmt: skip
    assert set(OF_GROUPS) == {
        *(f"weights {name}" for name in ("ls", "get", "import", "verify")),
        *(f"study {name}" for name in ("make", "serve", "read")),
    }
    shown = invoke("--help")
    assert shown.status == 0
    for name in COMMANDS:
        assert re.search(rf"\b{name} ", shown.out)


@pytest.mark.parametrize("name", COMMANDS | OF_GROUPS)
def test_help_has_examples(name: str) -> None:
    for flag in ("--help", "-h"):
        shown = invoke(*name.split(), flag)
        assert shown.status == 0
        assert shown.err == ""
        assert "Example" in shown.out
        assert f"stylebench {name}" in shown.out


@pytest.mark.parametrize("name", COMMANDS | OF_GROUPS)
def test_help_of_each_option_is_a_sentence(name: str) -> None:
    for parameter in (COMMANDS | OF_GROUPS)[name].params:
        text = getattr(parameter, "help", None) or ""
        if text:
            assert re.fullmatch(r"(?!Of )[A-Z].*\.", text), (parameter.name, text)


def test_no_command_shows_the_help() -> None:
    assert invoke() == invoke("--help")


def test_version() -> None:
    shown = invoke("--version")
    assert (shown.status, shown.out) == (0, f"stylebench {__version__}\n")


def _simple_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a pipeline, without ``NAME=value`` in front."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>"):
            if words:
                yield words
            words = []
        elif words or not re.fullmatch(r"[A-Z_]+=.*", word):
            words.append(word)


def _check(words: list[str]) -> None:
    """Fail unless a command of ours parses: its sub-command and its flags exist."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        for word in words[1:]:
            assert "=" in word or word.startswith("-") or word in targets, words
        return
    if words[1:2] and not words[1].startswith("-"):
        assert words[1] in COMMANDS, words
        command, args = COMMANDS[words[1]], words[2:]
        if words[1] == "weights" and args and not args[0].startswith("-"):
            assert f"weights {args[0]}" in OF_GROUPS, words
            command, args = OF_GROUPS[f"weights {args[0]}"], args[1:]
    else:
        command, args = GROUP, words[1:]
    try:
        command.make_context(words[1], args)
    except typer.Exit:
        pass  # --help, --version
    except Exception as error:
        pytest.fail(f"{shlex.join(words)}: {error}")


def _shown_lines(page: Path) -> Iterator[str]:
    """Yield the commands in the console and shell blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if language in ("console", "sh", "bash", "shell") and line.startswith("$ "):
                yield line[2:]
            elif language in ("sh", "bash", "shell"):
                yield line


def test_commands_in_the_docs_parse() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    found = [
        words for page in pages for line in _shown_lines(page) for words in _simple_commands(line)
    ]
    ours = [words for words in found if Path(words[0]).name in ("stylebench", "make")]
    assert len(ours) >= 60
    for words in ours:
        _check(words)


@pytest.mark.parametrize("name", COMMANDS | OF_GROUPS)
def test_commands_in_the_help_parse(name: str) -> None:
    text = inspect.getdoc((COMMANDS | OF_GROUPS)[name].callback) or ""
    lines = re.findall(r"^ +(stylebench .*)$", text, re.M)
    assert lines
    for line in lines:
        for words in _simple_commands(line):
            if words[0] == "stylebench":
                _check(words)


@pytest.mark.parametrize(
    "line", ["stylebench swep", "stylebench weights gte", "stylebench sweep --szie 3", "make swep"]
)
def test_the_check_of_commands_finds_wrong_ones(line: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        _check(next(_simple_commands(line)))
