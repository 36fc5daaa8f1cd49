"""What docs/findings.md says, for the page: its answer, and its table of claims."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
"""HTML is shown as it is written, and pictures as links: the page loads nothing."""

CHAPTER = re.compile(r"(?:(?:.*/)?results/[^/]+/(?=.*/)|#)([\w.-]+)(?:/.*)?")
"""The target of a link to a chapter of the page, or to a file of the folder that it shows."""


SENTENCE = re.compile(r"[^.]+\.")


@dataclass(frozen=True)
class Findings:
    """The first table of a Markdown file; texts are safe HTML.

    `question` and `answer` are the first heading of the second level, and the first sentence below
    it; empty where there is none.
    """

    head: tuple[Markup, ...]
    rows: tuple[tuple[Markup, ...], ...]
    question: str = ""
    answer: str = ""


def _href(target: str, anchors: Collection[str]) -> str:
    """Return where a link leads in the page, "" where it leads to a file that is not in it."""
    if target.startswith(("https://", "http://")):
        return target
    chapter = CHAPTER.fullmatch(target)
    return f"#{chapter[1]}" if chapter and chapter[1] in anchors else ""


def _linked(tokens: Sequence[Token], anchors: Collection[str]) -> Iterator[Token]:
    """Yield the tokens of a text; of links that lead nowhere, the text alone."""
    href = ""
    for token in tokens:
        if token.type == "link_open":
            href = _href(str(token.attrs["href"]), anchors)
            token.attrs = {"href": href}
        if href or token.type not in ("link_open", "link_close"):
            yield token


def first_table(text: str, anchors: Collection[str] = ()) -> Findings | None:
    """Return the first table of a Markdown text, None if it has none.

    Args:
        text: Markdown.
        anchors: of the chapters of the page; ``#ANCHOR`` leads there, and what leads to a file of
            ``results/…/ANCHOR/``.
    """
    rows: list[list[Markup]] = []
    every = MARKDOWN.parse(text)
    tokens = dropwhile(lambda token: token.type != "table_open", every)
    for token in takewhile(lambda token: token.type != "table_close", tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            cell = [*_linked(token.children or [], anchors)]
            rows[-1].append(Markup(MARKDOWN.renderer.render(cell, MARKDOWN.options, {})))
    if not rows:
        return None
    return Findings(tuple(rows[0]), tuple(map(tuple, rows[1:])), *_answer(every))


def _answer(tokens: Sequence[Token]) -> tuple[str, str]:
    """Return the first heading of the second level, and the first sentence below it."""
    for place, token in enumerate(tokens):
        if (token.type, token.tag) == ("heading_open", "h2"):
            below = next((t.content for t in tokens[place + 3 :] if t.type == "inline"), "")
            first = SENTENCE.match(below.replace("\n", " "))
            return tokens[place + 1].content, first[0] if first else ""
    return "", ""


def read(path: Path, anchors: Collection[str] = ()) -> Findings | None:
    """Return `first_table` of a Markdown file, None if there is no such file."""
    return first_table(path.read_text(encoding="utf-8"), anchors) if path.is_file() else None
