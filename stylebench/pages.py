"""What all HTML pages share: how templates are filled in, a style sheet, what a policy allows."""

import base64
import functools
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

SHARED = Path(__file__).with_name("page.css")


def template(path: Path) -> Template:
    """Return a template, which may include others of its folder; what is filled in is escaped."""
    return _folder(path.parent).get_template(path.name)


@functools.cache
def _folder(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def stylesheet(path: Path) -> str:
    """Return a page's style sheet: what all pages share, then its own."""
    return "".join(each.read_text(encoding="utf-8") for each in (SHARED, path))


def source(text: str) -> str:
    """Return the source of a content security policy that allows this very text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
