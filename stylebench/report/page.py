"""The page: everything that is read from a results folder, put into the template of analysis/."""

import base64
import hashlib
import importlib
import inspect
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from stylebench import figures, store
from stylebench.errors import InputError
from stylebench.report import curves, findings, pictures, tables
from stylebench.report.pictures import Grid
from stylebench.store import Results
from stylebench.version import __version__

FINDINGS = figures.ANALYSIS.parent / "docs" / "findings.md"

WIDEST = 1400
"""Pixels: figures that are wider are made smaller."""


@dataclass(frozen=True)
class Figure:
    """A drawn figure: its name, what it shows, and the embedded picture."""

    name: str
    text: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Run:
    """How a part of the folder was made: a run of the manifest."""

    command: str
    began: str
    device: str
    versions: tuple[tuple[str, str], ...]
    weights: tuple[tuple[str, str, str], ...]
    """(backbone, source, sha256) of each."""


def render(folder: Path) -> str:
    """Return the page of a results folder; the same results give the same page.

    Args:
        folder: results, as a sweep leaves them.

    Raises:
        InputError: the folder holds no results, or tables that are not those of stylebench.
    """
    package = figures.load_analysis()
    common, grid, drawing = (
        importlib.import_module(f"{package}.{name}") for name in ("_common", "grid", "curves")
    )
    results = store.load(folder)
    if not (len(results.results) or len(results.statistics)):
        raise InputError(f"{str(folder)!r} holds no results: its tables are empty")
    grids = pictures.grids(results, common, grid.FLAGS)
    return _fill(
        name=folder.resolve().name,
        description=_description(results),
        facts=_facts(results, grids),
        findings=findings.read(FINDINGS),
        grids=grids,
        comparison=_comparison(grids),
        tables=tables.tables(results, common),
        curves=curves.curves(results, common, drawing),
        size=(curves.WIDTH, curves.HEIGHT, curves.LEFT, curves.RIGHT, curves.TOP, curves.BOTTOM),
        figures=_figures(folder),
        runs=[_run(run) for run in results.manifest.get("runs", [])],
        version=__version__,
    )


def write(folder: Path, output: Path | None = None) -> Path:
    """Write the page of a results folder; the file is the old one or the whole new one.

    Args:
        folder: results.
        output: HTML file; FOLDER/report.html by default.

    Returns:
        Where it was written.

    Raises:
        InputError: no results, or an output that cannot be a file.
    """
    output = output or folder / "report.html"
    if output.is_dir():
        raise InputError(f"--output {str(output)!r}: expected a file, found a folder")
    text = render(folder)
    if not output.parent.is_dir():
        raise InputError(f"--output {str(output)!r}: no folder {str(output.parent)!r}")
    store.write_text(output, text)
    return output


def _fill(**context: Any) -> str:
    """Put the context into the template; the page may run and load what stands in it, no more."""
    style, script = (
        (figures.ANALYSIS / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js")
    )
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    environment = Environment(
        loader=FileSystemLoader(figures.ANALYSIS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    own = {"style": Markup(style), "script": Markup(script)}
    return template.render(policy=policy, **own, **context)


def _digest(text: str) -> str:
    """Return the source of a content security policy that allows this very text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _description(results: Results) -> str:
    found = [
        str(config["description"])
        for run in results.manifest.get("runs", [])
        if isinstance(config := run.get("config"), dict) and config.get("description")
    ]
    return found[-1] if found else ""


def _facts(results: Results, grids: Sequence[Grid]) -> list[str]:
    """Return what stands at the top: how large the results are, with which weights."""
    frame = results.results
    facts = list(dict.fromkeys(grid.caption for grid in grids))
    if len(facts) > 1:
        quick = any(fact.startswith("quick") for fact in facts)
        facts = [f"{'quick results in part; ' * quick}{len(grids)} settings, named at each grid"]
    if not facts:
        facts = figures.provenance(results)[:1]
    counts = frame["status"].value_counts()
    if len(frame):
        facts.append("jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    labels = {*frame["weights"], *results.statistics["weights"]}
    made_up = sum(label.startswith("random") for label in labels)
    if made_up:
        facts.append(
            "backbones named r-… have random weights; they know nothing of pictures"
            + ("" if made_up < len(labels) else ": there are no others here")
        )
    return facts


def _comparison(grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Return the pairs with the pictures that can be compared, for the script of the page."""
    pairs = []
    for grid in grids:
        for row in grid.rows:
            arms = [{"label": c.label, "key": c.key} for c in row.cells if c.picture]
            label = f"{row.content} × {row.style}" + (f" ({grid.title})" if grid.title else "")
            if len(arms) > 1:
                pairs.append({"label": label, "arms": arms})
    return pairs


def _figures(folder: Path) -> list[Figure]:
    """Return the figures of OUT/figures, each as the smaller of a palette PNG and a JPEG."""
    made = []
    for path in sorted((folder / "figures").glob("[!.]*.png")):
        try:
            with Image.open(path) as image:
                picture = image.convert("RGB")
        except (OSError, ValueError):
            continue
        picture.thumbnail((WIDEST, 8 * WIDEST), Image.Resampling.LANCZOS)
        kind, data = min(_encoded(picture).items(), key=lambda item: len(item[1]))
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        known = path.stem in figures.FIGURES
        text = inspect.getdoc(figures.FIGURES[path.stem]) if known else ""
        first = (text or path.stem).splitlines()[0]
        made.append(Figure(path.stem.replace("_", " "), first, uri, *picture.size))
    return made


def _encoded(picture: Image.Image) -> dict[str, bytes]:
    png, jpeg = io.BytesIO(), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    picture.save(jpeg, "JPEG", quality=pictures.QUALITY, optimize=True)
    return {"png": png.getvalue(), "jpeg": jpeg.getvalue()}


def _run(run: dict[str, Any]) -> Run:
    weights = [entry for entry in run.get("weights", []) if isinstance(entry, dict)]
    return Run(
        command=str(run["command"]),
        began=str(run.get("began", "")),
        device=str(run.get("device", "")),
        versions=tuple((str(k), str(v)) for k, v in dict(run["environment"]).items()),
        weights=tuple(
            (str(w.get("arch", "")), str(w.get("source", "")), str(w.get("sha256", "")))
            for w in weights
        ),
    )
