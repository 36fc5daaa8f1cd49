"""The tutorial as a notebook: made of docs/tutorial.md by jupytext, and run.

``python -m tests.tutorial`` runs its cells and writes what they print into the page;
``python -m tests.tutorial FILE.ipynb`` writes the notebook.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tutorial.md"
CELL = re.compile(
    r'^```(?P<kind>python|bash)(?: title="(?P<file>[^"]+)")?\n(?P<code>.*?)^```\n'
    r"(?:\n```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
"""A cell of the page: a file that has a title, or code, and below it what that printed."""
KERNEL = """---
jupyter:
  kernelspec: {display_name: Python 3, language: python, name: python3}
---

"""
Command = Callable[[str], str]
"""Runs the lines of a shell and returns what they print."""


def notebook(text: str) -> Any:
    """Return the notebook of a page, without what its cells print; files are written by magic."""
    import jupytext

    def bare(found: re.Match[str]) -> str:
        magic = f"%%writefile {found['file']}\n" if found["file"] else ""
        return f"```{found['kind']}\n{magic}{found['code']}```\n"

    return jupytext.reads(KERNEL + CELL.sub(bare, text), fmt="md")


def cells(text: str) -> list[str]:
    """Return the code cells of a page's notebook."""
    return [str(cell.source) for cell in notebook(text).cells if cell.cell_type == "code"]


def printed(text: str) -> list[str]:
    """Return what stands below each cell of a page."""
    return [found["printed"] or "" for found in CELL.finditer(text)]


def small(text: str) -> str:
    """Return a page whose pictures are tiny."""
    text = re.sub(r"(--size |size=)\d+", r"\g<1>48", text)
    return re.sub(r"(--evals |evals=)\d+", r"\g<1>3", text)


def shell(lines: str) -> str:
    """Run lines in bash."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", lines], env={**os.environ, "PATH": path}, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def stylebench(lines: str) -> str:
    """Run lines that are commands of ours in this process."""
    from tests.cli.bench import invoke

    out = []
    for line in lines.replace("\\\n", " ").splitlines():
        name, *args = shlex.split(line)
        done = invoke(*args)
        assert (name, done.status) == ("stylebench", 0), (line, done)
        out += [done.out, done.err]
    return "".join(out)


def run(text: str, command: Command = shell) -> Iterator[str]:
    """Run the cells of a page in the working directory, and yield what each prints."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for source in cells(text):
        magic, _, rest = source.partition("\n")
        if magic == "%%bash":
            yield command(rest)
        elif magic.startswith("%%writefile "):
            Path(magic.split()[1]).write_text(rest + "\n", encoding="utf-8")
            yield ""
        else:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(source, "tutorial", "exec"), names)
            yield out.getvalue()


def filled(text: str, outputs: Iterator[str]) -> str:
    """Return a page with what its cells printed below them."""

    def cell(found: re.Match[str]) -> str:
        title = f' title="{found["file"]}"' if found["file"] else ""
        shown = next(outputs).rstrip()
        below = f"\n```text\n{shown}\n```\n" if shown else ""
        return f"```{found['kind']}{title}\n{found['code']}```\n{below}"

    return CELL.sub(cell, text)


def main() -> None:
    """Write the notebook, or run the page."""
    text = PAGE.read_text(encoding="utf-8")
    if sys.argv[1:]:
        import jupytext

        jupytext.write(notebook(text), sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        PAGE.write_text(filled(text, run(text)), encoding="utf-8")


if __name__ == "__main__":
    main()
