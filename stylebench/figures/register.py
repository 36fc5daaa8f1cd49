"""Figures and tables: functions of a results folder, by name.

Those of any results are in this package, those of the papers in analysis/, one file an experiment.
To add one: a function in a file of either, decorated with ``@figure(name)`` or ``@table(name)``,
that takes a `Results` and returns a ``matplotlib.figure.Figure`` or a DataFrame. With
``experiment=NAME`` it is of that experiment alone (the ``name`` in its YAML file).
"""

import contextlib
import html
import importlib
import io
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from PIL import Image

from stylebench import files, store
from stylebench.errors import InputError, is_full, listing, one_line, suggestion
from stylebench.figures import latex
from stylebench.figures.notes import provenance
from stylebench.registry import Registry, check_function
from stylebench.store import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
FigureFunction = Callable[[Results], "Figure"]
TableFunction = Callable[[Results], pd.DataFrame]
FIGURES: Registry[FigureFunction] = Registry("figure")
TABLES: Registry[TableFunction] = Registry("table")
QUALITY, WIDEST = 62, 1100
"""Of sheets, and their width in px at most: they are for looking, the jobs have the pictures."""

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 100,
    "font.size": 8,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "text.parse_math": False,  # names may hold dollar signs
    "xtick.color": "#333333",
    "xtick.labelsize": 7.5,
    "ytick.color": "#333333",
    "ytick.labelsize": 7.5,
}
"""matplotlib's defaults apart from these, whatever the user's matplotlibrc says."""


FORMATS = ("png", "pdf", "svg", "tex")
"""Of figures; tables are LaTeX too with the last."""
VECTOR = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "stylebench",
}
"""Fonts that can be searched, text that stays text, ids that do not change."""


class NoDataError(Exception):
    """Raised by a figure whose data are not in the results; it is skipped with this reason."""


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw what is drawn inside in `STYLE`, so that the same results give the same bytes."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # names in any script
        yield


def figure(
    name: str, *, experiment: str = "", sheet: bool = False, widest: int = WIDEST
) -> Callable[[FigureFunction], FigureFunction]:
    """Register a function of the results that draws a figure; it runs in `style`.

    Args:
        name: of the figure.
        experiment: that it is of alone; "" for any.
        sheet: it consists of pictures, and is saved as JPEG, others as PNG of 256 colours.
        widest: of the file of a sheet, in px.
    """

    def decorate(function: FigureFunction) -> FigureFunction:
        check_function("figure", name, function, "results")

        @wraps(function)
        def styled(results: Results) -> "Figure":
            from matplotlib.figure import Figure

            with style():
                return _checked(function(results), Figure, FIGURES.called(name))

        return FIGURES.add(name, styled, experiment=experiment, sheet=sheet, widest=widest)

    return decorate


def table(name: str, *, experiment: str = "") -> Callable[[TableFunction], TableFunction]:
    """Register a function of the results that returns a table."""

    def decorate(function: TableFunction) -> TableFunction:
        check_function("table", name, function, "results")

        @wraps(function)
        def checked(results: Results) -> pd.DataFrame:
            return _checked(function(results), pd.DataFrame, TABLES.called(name))

        return TABLES.add(name, checked, experiment=experiment)

    return decorate


def _checked(found: Any, kind: type[T], who: str) -> T:
    """Return what a function of a user's may have made, if it is of a kind."""
    if not isinstance(found, kind):
        wanted = f"{kind.__module__.partition('.')[0]} {kind.__name__}"
        raise InputError(f"{who}: expected a {wanted}, found {type(found).__name__}")
    return found


def experiments() -> dict[str, str]:
    """Return the figures and tables that are of one experiment alone, with it."""
    each = [(name, registry) for registry in (FIGURES, TABLES) for name in registry]
    found = {name: str(registry.fact(name, "experiment") or "") for name, registry in each}
    return {name: experiment for name, experiment in found.items() if experiment}


def names(results: Results) -> list[str]:
    """Return the figures and tables of results: those of all, and those of their experiments."""
    configs = [run.get("config") for run in results.manifest.get("runs", [])]
    ran = {config.get("name", "") for config in configs if isinstance(config, dict)}
    known, of = dict.fromkeys([*FIGURES, *TABLES]), experiments()
    return [name for name in known if of.get(name, "") in ("", *ran)]


def load(analysis: Path | None = None) -> None:
    """Import whatever registers figures and tables, once: this package, and files in analysis/.

    They are imported in the order of their names. The folder becomes a package (of a name of its
    own, so that it hides no other ``analysis``).

    Args:
        analysis: the folder; by default that of the project.

    Raises:
        InputError: the folder that is given does not exist.
    """
    folder = analysis or files.locate("analysis")
    if analysis and not analysis.is_dir():
        raise InputError(f"expected a folder with files of figures, found no {str(folder)!r}")
    package = "stylebench.figures"
    found = [(name, package) for _, name, _ in pkgutil.iter_modules([str(Path(__file__).parent)])]
    if folder:
        package = "stylebench_" + re.sub(r"\W", "_", str(folder.resolve()))
        if package not in sys.modules:
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = [str(folder)]
        found += [(path.stem, package) for path in folder.glob("[!_.]*.py")]
    for name, package in sorted(found):
        importlib.import_module(f"{package}.{name}")


@dataclass(frozen=True)
class Paper:
    """How figures are drawn: `formats` of `FORMATS`, and the width of vector graphics in inches."""

    formats: tuple[str, ...] = FORMATS[:1]
    width: float | None = None


SCREEN = Paper()


def draw(
    out: Path, only: Iterable[str] | None = None, paper: Paper = SCREEN
) -> Iterator[tuple[str, Path | Exception]]:
    """Draw figures and tables of a results folder into OUT/figures and OUT/tables.

    Args:
        out: results folder.
        only: of figures and tables (one that is both gives both); by default all of `names`.
        paper: their formats; tables are CSV and Markdown, and LaTeX too if that is among these.

    Yields:
        (name, path), or (name, error): NoDataError for one whose data are not there, any other for
        one that is broken, which does not keep the rest from being drawn.

    Raises:
        InputError: an unknown name, one in `only` that has none of the formats, or a folder that
            holds no results.
        OSError: the disk is full.
    """
    load()
    results = store.load(out)
    wanted = list(dict.fromkeys(only or ())) or names(results)
    formats = [kind for kind in paper.formats if kind != "tex"]
    for name in wanted:
        _check_name(name)
        if only and not formats and name not in TABLES:
            raise InputError(
                f"--format tex is of tables, {name!r} is a figure; expected png, pdf or svg for it"
            )
    save: Callable[[Results, str], list[Path]]
    jobs: list[tuple[str, Callable[[Results, str], list[Path]]]] = []
    for kind in formats:
        save = _save_figure if kind == "png" else partial(_save_vector, kind=kind, paper=paper)
        jobs += [(name, save) for name in wanted if name in FIGURES]
    save = partial(_save_table, tex="tex" in paper.formats)
    jobs += [(name, save) for name in wanted if name in TABLES]
    for name, save in jobs:
        try:
            for path in save(results, name):
                yield name, path
        except Exception as error:
            if is_full(error):
                raise
            yield name, error


def told(name: str, found: Path | Exception) -> str:
    """Return the line that says what became of a figure or table."""
    if isinstance(found, NoDataError):
        return one_line(f"{name}: not drawn, {found}")
    if isinstance(found, InputError):
        return one_line(f"{name}: failed, {found}")
    if isinstance(found, Exception):
        return one_line(f"{name}: failed, {type(found).__name__}: {found}")
    return one_line(str(found))


def _check_name(name: str) -> None:
    known = list(dict.fromkeys([*FIGURES, *TABLES]))
    if name not in known:
        raise InputError(
            f"unknown figure or table {name!r}{suggestion(name, known)} "
            f"{listing(known, 'stylebench ls figures')}"
        )


def _save_figure(results: Results, name: str) -> list[Path]:
    made = FIGURES[name](results)
    sheet = FIGURES.fact(name, "sheet")
    path = results.folder / "figures" / f"{name}.{'jpg' if sheet else 'png'}"
    drawn = io.BytesIO()
    with style():
        made.savefig(drawn, metadata={"Software": None})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(made)
    with Image.open(drawn) as image:
        picture = image.convert("RGB")
    with files.replacing(path, results.folder) as file:
        if sheet:
            widest = FIGURES.fact(name, "widest")
            picture.thumbnail((widest, 8 * widest), Image.Resampling.LANCZOS)
            picture.save(file, "JPEG", quality=QUALITY, optimize=True)
        else:
            picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return [path]


def _save_vector(results: Results, name: str, *, kind: str, paper: Paper) -> list[Path]:
    """Save a figure as PDF or SVG, without dates, its fonts embedded, its text text.

    With a width it is cut into NAME, NAME-2, NAME-3 … of the height of a page at most. Parts of it
    that are left of a cut into more are removed.
    """
    from stylebench.figures import layout
    from stylebench.figures.paper import parts, settle, shown

    with layout.wide(paper.width):
        made = FIGURES[name](results)
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    how: dict[str, Any] = {"format": kind, "metadata": {**dates, "Creator": "stylebench"}}
    drawn = []
    with style(), mpl_settings(VECTOR):
        if paper.width:
            settle(made, paper.width)
        every = parts(made) if paper.width else []
        for box in (shown(made, part) for part in every) if len(every) > 1 else [None]:
            drawn.append(io.BytesIO())
            made.savefig(drawn[-1], bbox_inches=box, **how)
    folder, paths = results.folder / "figures", []
    for number, data in enumerate(drawn, 1):
        paths.append(folder / f"{name}{f'-{number}' * (number > 1)}.{kind}")
        with files.replacing(paths[-1], results.folder) as file:
            file.write(data.getvalue())
    for path in files.listed(folder, results.folder, f"*.{kind}"):
        part = re.fullmatch(rf"{re.escape(name)}-([1-9][0-9]*)", path.stem)
        if part and int(part[1]) > len(paths) and path.stem not in FIGURES:
            files.remove(path, results.folder)
    return paths


def mpl_settings(settings: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
    """Return a context with some of matplotlib's settings."""
    import matplotlib as mpl

    return mpl.rc_context(settings)  # type: ignore[arg-type]


def _save_table(results: Results, name: str, *, tex: bool = False) -> list[Path]:
    made = TABLES[name](results)
    folder = results.folder / "tables"
    shown = made.rename(columns=inert).map(inert)
    text = shown.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    files.write_text(folder / f"{name}.csv", text, results.folder)
    told = [*filter(None, [made.attrs.get("note")]), *provenance(results)]
    lines = [_markdown(made), "", *(f"{_plain(line)}  " for line in told), ""]
    path = folder / f"{name}.md"
    files.write_text(path, "\n".join(lines), results.folder)
    if tex:
        path = folder / f"{name}.tex"
        files.write_text(path, latex.table(made, told), results.folder)
    return [path]


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets compute begins so."""


def inert(value: Any) -> Any:
    """Return a cell of a CSV file that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.4g}"


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it is: on one line, no HTML, no links, no cells."""
    return html.escape(one_line(text), quote=False).replace("|", "\\|").replace("](", "]\\(")


def _cell(value: object) -> str:
    return _plain(_number(value) if isinstance(value, float) else str(value))


def _markdown(frame: pd.DataFrame) -> str:
    """Return a table in Markdown; columns ``x`` and ``x_std`` become one, "mean ± deviation"."""
    names = [str(column) for column in frame]
    spreads = {name: f"{name}_std" for name in names if f"{name}_std" in names}
    head = [name for name in names if name not in spreads.values()]
    rows = [head, ["---"] * len(head)]
    for _, row in frame.astype(object).iterrows():
        cells = {name: _cell(row[name]) for name in head}
        for name, spread in spreads.items():
            if row[spread] == row[spread]:
                cells[name] += f" ± {row[spread]:.2g}"
        rows.append(list(cells.values()))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
