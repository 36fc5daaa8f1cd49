"""What docs/findings.md says, for the page: its answer, and its claims with their evidence."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
"""HTML is shown as it is written, and pictures as links: the page loads nothing."""

CHAPTER = re.compile(r"(?:(?:.*/)?results/[^/]+/(?=.*/)|#)([\w.-]+)(?:/.*)?")
"""The target of a link to a chapter of the page, or to a file of the folder that it shows."""


SENTENCE = re.compile(r"[^.]+\.")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
"""What asks for a table (``make findings``), which no reader needs."""


@dataclass(frozen=True)
class Claim:
    """A heading of the third level, the first paragraph below it, and the rest; safe HTML."""

    title: Markup
    verdict: Markup
    evidence: Markup


@dataclass(frozen=True)
class Findings:
    """The claims of a Markdown file.

    `question` and `answer` are the first heading of the second level, and the first sentence below
    it; empty where there is none.
    """

    claims: tuple[Claim, ...]
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


def _html(tokens: Sequence[Token], anchors: Collection[str]) -> Markup:
    """Return blocks, or the text of one, as HTML."""
    for token in tokens:
        token.children = token.children and [*_linked(token.children, anchors)]
    return Markup(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))


def _claims(tokens: Sequence[Token], anchors: Collection[str]) -> Iterator[Claim]:
    for place, token in enumerate(tokens):
        if (token.type, token.tag) == ("heading_open", "h3"):
            below = [*takewhile(lambda each: each.type != "heading_open", tokens[place + 3 :])]
            title = tokens[place + 1 : place + 2]
            end = 3 if below and below[0].type == "paragraph_open" else 0
            parts = (title, below[1:end][:1], below[end:])
            yield Claim(*(_html(part, anchors) for part in parts))


def parse(text: str, anchors: Collection[str] = ()) -> Findings | None:
    """Return what a Markdown text claims, None if it claims nothing.

    Args:
        text: Markdown; each heading of the third level is a claim, with a paragraph below it.
        anchors: of the chapters of the page; ``#ANCHOR`` leads there, and what leads to a file of
            ``results/…/ANCHOR/``.
    """
    tokens = MARKDOWN.parse(COMMENT.sub("", text))
    claims = tuple(_claims(tokens, anchors))
    return Findings(claims, *_answer(tokens)) if claims else None


def _answer(tokens: Sequence[Token]) -> tuple[str, str]:
    """Return the first heading of the second level, and the first sentence below it."""
    for place, token in enumerate(tokens):
        if (token.type, token.tag) == ("heading_open", "h2"):
            below = next((t.content for t in tokens[place + 3 :] if t.type == "inline"), "")
            first = SENTENCE.match(below.replace("\n", " "))
            return tokens[place + 1].content, first[0] if first else ""
    return "", ""


def read(path: Path, anchors: Collection[str] = ()) -> Findings | None:
    """Return `parse` of a Markdown file, None if there is no such file."""
    return parse(path.read_text(encoding="utf-8"), anchors) if path.is_file() else None
