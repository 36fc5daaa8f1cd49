"""The documentation as a site: built without the network, as strictly as mkdocs can."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import stylebench

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")

ROOT = Path(__file__).parents[1]
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
OUTSIDE = re.compile(r"(?:https?:)?//")


class Loads(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        if tag in LOADING and found.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(found.get(LOADING[tag], ""))
        if tag == "a":
            self.links.append(found.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def pages(site: Path) -> Iterator[tuple[Path, Loads]]:
    for path in sorted(site.rglob("*.html")):
        yield path, Loads(path.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    found = [load for _, page in pages(site) for load in page.loads]
    assert len(found) > 20
    assert [load for load in found if OUTSIDE.match(load)] == []
    for path in site.rglob("*.css"):
        for target in re.findall(r"(?:url\(|@import\s*)[\"']?([^\"')]+)", path.read_text("utf-8")):
            assert not OUTSIDE.match(target), (path, target)


def test_pictures_and_links_are_there(site: Path) -> None:
    for path, page in pages(site):
        if path.name == "404.html":
            continue
        for target in [*page.loads, *page.links]:
            name = target.partition("#")[0]
            if name and ":" not in name:
                assert (path.parent / name).resolve().exists(), (path.name, target)


def test_files_that_texts_link_to_are_there() -> None:
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    found = 0
    for path in texts:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            name = target.partition("#")[0]
            if name and not OUTSIDE.match(name):
                assert (path.parent / name).exists(), (path.name, target)
                found += 1
    assert found > 50


def test_every_public_name_is_described(site: Path) -> None:
    text = (site / "api.html").read_text(encoding="utf-8")
    for name in stylebench.__all__:
        if name != "__version__":
            assert f'<h2 id="stylebench.{name}"' in text, name
    assert re.findall(r"\b(?:Args|Returns|Yields):\s*(?:\w+:|<p>)|:::", text) == []


def test_every_command_is_described_with_its_flags(site: Path) -> None:
    import typer

    from stylebench.cli import main

    text = (site / "commands.html").read_text(encoding="utf-8")
    group: Any = typer.main.get_command(main.app)
    for first, command in group.commands.items():
        for name, own in getattr(command, "commands", {"": command}).items():
            path = f"stylebench {first} {name}".strip()
            assert f'<h2 id="{path.replace(" ", "-")}">{path}' in text, path
            section = text.split(f">{path}<a", 1)[1].split("<h2", 1)[0]
            for parameter in own.params:
                flag = parameter.opts[0] if parameter.param_type_name == "option" else "</code>"
                assert flag in section, (path, flag)


def test_links_to_code_lead_to_its_page_or_say_where_it_is(site: Path) -> None:
    text = (site / "pictures.html").read_text(encoding="utf-8")
    assert '<a href="code/stylebench.transfer.colours.html">formulas</a>' in text
    assert "luminance" in (site / "code" / "stylebench.transfer.colours.html").read_text("utf-8")
    assert "<code>experiments/</code>" in (site / "sweeps.html").read_text(encoding="utf-8")


def test_each_page_is_in_the_menu(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert f'href="{path.stem}.html"' in text
