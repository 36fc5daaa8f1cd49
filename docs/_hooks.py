"""The site beside docs/: README.md and its like become pages, what links lead to is found there.

mkdocs calls `on_files` and `on_page_markdown`.
"""

import posixpath
import re
from pathlib import Path

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


def _place(name: str) -> str:
    """Return where a file of the checkout stands in the site; "" if it does not.

    >>> _place("docs/findings.md"), _place("README.md"), _place("stylebench/files.py")
    ('findings.md', 'index.md', '')
    """
    if name in BESIDE:
        return BESIDE[name]
    inside, _, rest = name.partition("/")
    if inside == "docs":
        return rest
    known = name.endswith(PICTURES) and (ROOT / name).is_file()
    return posixpath.join("pictures", name) if known else ""


def _linked(text: str, folder: str) -> tuple[str, set[str]]:
    """Return a page with links as the site has them, and the pictures that they lead to.

    Of a link to what is not in the site its text stays.

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
            return label
        if place.endswith(PICTURES):
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
    for name in sorted(pictures):
        if not name.startswith("docs/"):
            files.append(File.generated(config, _place(name), abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page whose links lead where they should in the site."""
    return _linked(markdown, posixpath.dirname(_source(page.file.src_uri)))[0]
