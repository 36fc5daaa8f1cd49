"""A page as its elements, read with Python's own parser of HTML."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "link", "img", "input", "br"}


class Element:
    """An element: its tag, attributes, the elements above it, and all text in it."""

    def __init__(self, tag: str, attributes: dict[str, str], above: "list[Element]") -> None:
        self.tag, self.attributes, self.above = tag, attributes, above
        self.text = ""

    def inside(self, tag: str) -> bool:
        return any(element.tag == tag for element in self.above)


class Page(HTMLParser):
    """All elements of a page, in their order; tags that do not close fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        assert not self._open, [element.tag for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs}, [*self._open])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag
            and all(element.attributes.get(key) == value for key, value in attributes.items())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found

    def rows(self, table: str) -> Iterator[list[Element]]:
        """Yield the cells of each body row of a table, by its id."""
        for row in self.all("tr"):
            if row.inside("tbody") and row.above[-2].attributes.get("id") == table:
                yield [e for e in self.elements if e.tag == "td" and row in e.above]


def check_structure(shown: Page) -> None:
    """Check what holds for every page: ids, names for those who do not see it, headings."""
    assert shown.one("html").attributes["lang"] == "en"
    for tag in ("h1", "main", "nav", "header", "footer"):
        shown.one(tag)
    ids = [e.attributes["id"] for e in shown.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in shown.elements:
        attributes = element.attributes
        assert attributes.get("aria-labelledby", ids[0]) in ids
        if element.tag == "img" and element.above[-1].attributes.get("class") != "compare":
            assert attributes["alt"], attributes
        if attributes.get("role") in ("region", "img"):
            assert attributes["aria-label"]
        if element.tag in ("input", "select"):
            assert element.inside("label") or attributes["aria-label"]
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
    levels = [int(e.tag[1]) for e in shown.elements if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert all(new <= old + 1 for old, new in pairwise(levels))
