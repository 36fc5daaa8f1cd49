"""The table of findings in docs/findings.md, as fields of a table of the page."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
CODE, BOLD, EMPHASIS = r"`([^`]+)`", r"\*\*(.+?)\*\*", r"(?<!\*)\*(?![\s*])([^*]+)\*"
LINK = r"!?\[([^\]]*)\]\(([^)\s]*)\)"


@dataclass(frozen=True)
class Findings:
    """The first table of a Markdown file; texts are safe HTML."""

    head: tuple[Markup, ...]
    rows: tuple[tuple[Markup, ...], ...]


CHAPTER = r"(?:(?:.*/)?report\.html)?#([\w.-]+)"
"""The target of a link to a chapter of the page."""


def _link(found: re.Match[str], anchors: Collection[str]) -> str:
    """Keep links to the web and to chapters; others lead to files that are not in the page."""
    text, target = found.groups()
    if target.startswith(("https://", "http://")):
        return f'<a href="{target}">{text}</a>'
    chapter = re.fullmatch(CHAPTER, target)
    return f'<a href="#{chapter[1]}">{text}</a>' if chapter and chapter[1] in anchors else text


def inline(text: str, anchors: Collection[str] = ()) -> Markup:
    """Return a line of Markdown as HTML: code, strong, emphasis, links; all else is escaped.

    Args:
        text: Markdown.
        anchors: of the chapters of the page; ``report.html#ANCHOR`` leads there.
    """
    linked = re.sub(LINK, lambda found: _link(found, anchors), str(escape(text)))
    parts = re.split(CODE, linked)
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    for place in range(0, len(parts), 2):
        strong = re.sub(BOLD, r"<strong>\1</strong>", parts[place])
        parts[place] = re.sub(EMPHASIS, r"<em>\1</em>", strong)
    return Markup("".join(parts))


def _cells(line: str, anchors: Collection[str]) -> list[Markup]:
    body = re.sub(r"^\||(?<!\\)\|$", "", line.strip())
    return [inline(c.strip().replace("\\|", "|"), anchors) for c in re.split(r"(?<!\\)\|", body)]


def first_table(lines: Sequence[str], anchors: Collection[str] = ()) -> Findings | None:
    """Return the first table of a Markdown text, None if it has none; short rows are filled."""
    for place in range(1, len(lines)):
        if "|" in lines[place - 1] and "-" in lines[place] and RULE.fullmatch(lines[place]):
            break
    else:
        return None
    head, rows = _cells(lines[place - 1], anchors), []
    for line in lines[place + 1 :]:
        if "|" not in line:
            break
        rows.append(tuple((_cells(line, anchors) + [Markup()] * len(head))[: len(head)]))
    return Findings(tuple(head), tuple(rows))


def read(path: Path, anchors: Collection[str] = ()) -> Findings | None:
    """Return the first table of a Markdown file, None if there is no such file or table.

    Args:
        path: of the file.
        anchors: of the chapters of the page, to which links may lead.
    """
    if not path.is_file():
        return None
    return first_table(path.read_text(encoding="utf-8").splitlines(), anchors)
