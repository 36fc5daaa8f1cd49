"""The page: a chapter for each results folder, put into the template."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stylebench import __version__, figures, files, pages, store
from stylebench.errors import InputError
from stylebench.report import chapter, drawings, findings, opening, pictures, tables
from stylebench.report.chapter import Chapter
from stylebench.report.findings import Findings
from stylebench.store import Results
from stylebench.store.columns import slug

TEMPLATES = Path(__file__).resolve().parent / "templates"
FINDINGS = files.locate("docs/findings.md")
REFERENCE = Path("results/reference")
"""Beside docs/ in a checkout: the folder whose results the findings are."""

OWN_IDS = ("main", "contents", "contents-title", "findings", "findings-title", "opening")
"""Of the page itself; a chapter of such a name gets another anchor."""

SHOWN_ANYWAY = ("grid",)
"""Figures that the page leaves out, as it shows the same pictures itself."""


def render(
    folder: Path,
    tell: Callable[[str], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> str:
    """Return the page of a results folder, or of a folder of such; the same gives the same page.

    Args:
        folder: results, as a sweep leaves them, or a folder whose subfolders hold results: each
            becomes a chapter, whose heading has the subfolder's name as its anchor.
        tell: takes a line for every subfolder that cannot be read, which the page says too.
        progress: takes a line before each piece of the work.

    Raises:
        InputError: no results, or tables that are not those of stylebench (of several folders: in
            all of them).
    """
    progress("reading the tables …")
    figures.load()
    parts = [] if store.holds_results(folder) else store.folders(folder)
    if parts:
        return _fill(folder, **_of_several(folder, parts, tell, progress))
    results = _load(folder)
    made = _alone(results, progress)
    return _fill(
        folder, name=made.name, description=made.description, facts=made.facts, chapters=[made],
        opening=opening.make(results),
    )  # fmt: skip


def write(
    folder: Path,
    output: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write the page of a results folder; the file is the old one or the whole new one.

    Args:
        folder: results, or a folder of results folders.
        output: HTML file; FOLDER/report.html by default.
        tell: as that of `render`.
        progress: likewise.

    Returns:
        Where it was written.

    Raises:
        InputError: no results, or an output that cannot be a file.
    """
    output = output or folder / "report.html"
    if output.is_dir():
        raise InputError(f"--output {str(output)!r}: expected a file, found a folder")
    text = render(folder, tell, progress)
    if not output.parent.is_dir():
        raise InputError(f"--output {str(output)!r}: no folder {str(output.parent)!r}")
    files.write_text(output, text)
    return output


def anchors(names: Iterable[str]) -> list[str]:
    """Return an id for each name, the name itself where it can be one, all different.

    >>> anchors(["fig1_2", "my fig", "my-fig", "main"])
    ['fig1_2', 'my-fig', 'my-fig-2', 'main-2']
    """
    taken, made = set(OWN_IDS), []
    for name in names:
        anchor, number = slug(name), 1
        while anchor in taken:
            number += 1
            anchor = f"{slug(name)}-{number}"
        taken.add(anchor)
        made.append(anchor)
    return made


def _load(folder: Path) -> Results:
    results = store.load(folder)
    if not (len(results.results) or len(results.statistics)):
        raise InputError(f"{str(folder)!r} holds no results: its tables are empty")
    return results


def _alone(results: Results, progress: Callable[[str], None]) -> Chapter:
    """Return the chapter that is the whole page."""
    progress("encoding its figures …")
    side = pictures.long_side(pictures.count(results.results))
    drawn = drawings.read(drawings.paths(results.folder, SHOWN_ANYWAY))
    progress("encoding its pictures, and making its tables …")
    return chapter.make(results, "", side, [*drawn.values()])


def _of_several(
    folder: Path,
    parts: Sequence[Path],
    tell: Callable[[str], None],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Return the context of a page of several folders; one that is damaged leaves the rest whole.

    Raises:
        InputError: all are damaged.
    """
    parts = sorted(parts, key=lambda part: opening.turn(part.name))
    found: dict[Path, Results] = {}
    trouble: dict[Path, Exception] = {}
    pixels = 0
    for part in parts:
        try:
            results = _load(part)
            pixels += pictures.count(results.results, pictures.PAIRS)
            found[part] = results
        except Exception as error:
            trouble[part] = error
    side = pictures.long_side(pixels)
    progress(f"encoding the figures of {len(found)} chapters …")
    drawn = drawings.read([path for part in found for path in drawings.paths(part, SHOWN_ANYWAY)])
    chapters = []
    named = zip(parts, anchors(part.name for part in parts), strict=True)
    for number, (part, anchor) in enumerate(named, start=1):
        if part in found:
            progress(f"[{number}/{len(parts)}] {part.name} …")
            mine = [figure for path, figure in drawn.items() if path.parent.parent == part]
            try:
                chapters.append(chapter.make(found[part], anchor, side, mine))
                continue
            except Exception as error:
                trouble[part] = error
        told = _told(part, trouble[part])
        tell(f"{part.name}: {told}")
        chapters.append(Chapter(part.name, anchor, trouble=told))
    if len(trouble) == len(parts):
        raise InputError(f"{str(folder)!r} holds no results that can be read: {trouble[parts[0]]}")
    short = tables.fit({made.name: made.tables for made in chapters})
    first = (opening.make(found[part]) for part in parts if part not in trouble)
    return {
        "opening": next(filter(None, first), None),
        "name": folder.resolve().name,
        "description": "",
        "facts": _facts(chapters, [found[part] for part in parts if part not in trouble]),
        "chapters": [replace(made, tables=short[made.name]) for made in chapters],
    }


def _told(part: Path, error: Exception) -> str:
    """Return one line of an error, without the path of the folder, which is another elsewhere."""
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).replace(str(part), part.name).split())


def _facts(chapters: Sequence[Chapter], results: Sequence[Results]) -> list[str]:
    quick = sum(made.quick for made in chapters)
    facts = [f"{len(chapters)} experiments, a chapter each"]
    if quick:
        facts.insert(0, f"quick results in {quick} of {len(chapters)} chapters, which say so")
    damaged = [made.name for made in chapters if made.trouble]
    facts += [f"cannot be read: {', '.join(damaged)}"] if damaged else []
    return facts + chapter.job_facts(results)


def _findings(folder: Path, anchors: Sequence[str]) -> Findings | None:
    """Return the findings where the page is of the results that they rest on, else None."""
    if FINDINGS is None or folder.resolve() != FINDINGS.parent.parent / REFERENCE:
        return None
    return findings.read(FINDINGS, anchors)


def _fill(folder: Path, chapters: Sequence[Chapter], **context: Any) -> str:
    """Put the context into the template; the page may run and load what stands in it, no more."""
    style = pages.stylesheet(TEMPLATES / "report.css")
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{pages.source(style)}'; script-src '{pages.source(script)}'"
    )
    return pages.template(TEMPLATES / "report.html.j2").render(
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        version=__version__,
        findings=_findings(folder, [made.anchor for made in chapters]),
        chapters=chapters,
        **context,
    )
