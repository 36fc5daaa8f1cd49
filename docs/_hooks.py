"""The site beside docs/: README.md and its like become pages, what links lead to is found there.

The commands and their flags are a page, made of the commands themselves, and so is each module that
a page links to, made of its docstrings. mkdocs calls `on_files` and `on_page_markdown`.
"""

import inspect
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files of the checkout that are pages, and their names in the site."""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
PICTURES = (".jpg", ".png")
COMMANDS = "commands.md"


def _commands(command: Any, path: str, context: Any) -> Iterator[str]:
    """Yield lines of Markdown on a command and its flags, and on those of a group."""
    here = type(context)(command, info_name=path, parent=context)
    if hasattr(command, "commands"):
        for name in command.list_commands(here):
            yield from _commands(command.commands[name], f"{path} {name}", context)
        return
    yield from (f"## {path}", "", inspect.cleandoc(command.help or ""), "")
    yield from ("```text", " ".join([path, *command.collect_usage_pieces(here)]), "```", "")
    told = [each.get_help_record(here) for each in command.get_params(here)]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in told if row]
    yield from ("| flag | what it does |", "|---|---|")
    yield from (*(f"| `{name}` | {text} |" for name, text in rows), "")


def _reference() -> str:
    """Return the page of all commands."""
    from stylebench.cli.main import app

    group: Any = typer.main.get_command(app)
    first = ["# Commands", "", "What `stylebench COMMAND --help` says of each.", ""]
    return "\n".join([*first, *_commands(group, "stylebench", typer.Context(group))])


def _module(name: str) -> str:
    """Return the module that a file of the checkout is; "" for what is none of the package."""
    known = name.startswith("stylebench/") and name.endswith(".py") and (ROOT / name).is_file()
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") if known else ""


def _place(name: str) -> str:
    """Return where a file of the checkout stands in the site; "" if it does not.

    >>> _place("docs/findings.md"), _place("README.md"), _place("stylebench/files.py")
    ('findings.md', 'index.md', 'code/stylebench.files.md')
    >>> _place("experiments")
    ''
    """
    if name in BESIDE:
        return BESIDE[name]
    if module := _module(name):
        return f"code/{module}.md"
    inside, _, rest = name.partition("/")
    if inside == "docs":
        return rest
    known = name.endswith(PICTURES) and (ROOT / name).is_file()
    return posixpath.join("pictures", name) if known else ""


def _told(label: str, name: str) -> str:
    """Return the text of a link to a file that is not in the site.

    >>> _told("rule", "experiments/fig3.yaml"), _told("experiments/", "experiments")
    ('rule (`experiments/fig3.yaml`)', '`experiments/`')
    """
    if "`" in label:
        return label
    return f"`{label}`" if posixpath.basename(name) in label else f"{label} (`{name}`)"


def _linked(text: str, folder: str) -> tuple[str, set[str]]:
    """Return a page with links as the site has them, and the pictures and modules they lead to.

    A link to what is not in the site becomes its text, and where in the checkout that is.

    Args:
        text: of the page.
        folder: where its file lies in the checkout.
    """
    pictures = set()

    def link(found: re.Match[str]) -> str:
        mark, label, target = found.groups()
        path, _, anchor = target.partition("#")
        if not path or ":" in path:
            return found[0]
        name = posixpath.normpath(posixpath.join(folder, path))
        place = _place(name)
        if not place:
            return _told(label, name)
        if place.endswith(PICTURES) or _module(name):
            pictures.add(name)
        return f"{mark}[{label}]({place}{'#' * bool(anchor)}{anchor})"

    return LINK.sub(link, text), pictures


def _source(page: str) -> str:
    """Return the path in the checkout of a page's file."""
    return next((name for name, place in BESIDE.items() if place == page), f"docs/{page}")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures that lie outside docs/."""
    for name, place in BESIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    pictures = {
        picture
        for file in files.documentation_pages()
        for picture in _linked(file.content_string, posixpath.dirname(_source(file.src_uri)))[1]
    }
    files.append(File.generated(config, COMMANDS, content=_reference()))
    for name in sorted(pictures):
        if module := _module(name):
            text = f"# {module}\n\n::: {module}\n    options: {{show_root_heading: false}}\n"
            files.append(File.generated(config, _place(name), content=text))
        elif not name.startswith("docs/"):
            files.append(File.generated(config, _place(name), abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page whose links lead where they should in the site."""
    if page.file.src_uri == COMMANDS or page.file.src_uri.startswith("code/"):
        return markdown
    return _linked(markdown, posixpath.dirname(_source(page.file.src_uri)))[0]
