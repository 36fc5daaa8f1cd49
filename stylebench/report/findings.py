"""The table of findings in docs/findings.md, as fields of a table of the page."""

import re
from collections.abc import Sequence
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


def _link(found: re.Match[str]) -> str:
    """Keep links to the web; others lead to files that are not in the page, and become text."""
    text, target = found.groups()
    web = target.startswith(("https://", "http://"))
    return f'<a href="{target}">{text}</a>' if web else text


def inline(text: str) -> Markup:
    """Return a line of Markdown as HTML: code, strong, emphasis, links; all else is escaped."""
    parts = re.split(CODE, re.sub(LINK, _link, str(escape(text))))
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    for place in range(0, len(parts), 2):
        strong = re.sub(BOLD, r"<strong>\1</strong>", parts[place])
        parts[place] = re.sub(EMPHASIS, r"<em>\1</em>", strong)
    return Markup("".join(parts))


def _cells(line: str) -> list[Markup]:
    body = re.sub(r"^\||(?<!\\)\|$", "", line.strip())
    return [inline(c.strip().replace("\\|", "|")) for c in re.split(r"(?<!\\)\|", body)]


def first_table(lines: Sequence[str]) -> Findings | None:
    """Return the first table of a Markdown text, None if it has none; short rows are filled."""
    for place in range(1, len(lines)):
        if "|" in lines[place - 1] and "-" in lines[place] and RULE.fullmatch(lines[place]):
            break
    else:
        return None
    head, rows = _cells(lines[place - 1]), []
    for line in lines[place + 1 :]:
        if "|" not in line:
            break
        rows.append(tuple((_cells(line) + [Markup()] * len(head))[: len(head)]))
    return Findings(tuple(head), tuple(rows))


def read(path: Path) -> Findings | None:
    """Return the first table of a Markdown file, None if there is no such file or table."""
    if not path.is_file():
        return None
    return first_table(path.read_text(encoding="utf-8").splitlines())
