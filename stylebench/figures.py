"""Figures and tables: functions of a results folder, in analysis/, loaded from there by path.

To add one: a function in a file in analysis/, decorated with ``@figure(name)`` or ``@table(name)``.
"""

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stylebench import store
from stylebench.errors import InputError
from stylebench.registry import Registry
from stylebench.store import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FigureFunction = Callable[[Results], "Figure"]
TableFunction = Callable[[Results], pd.DataFrame]
FIGURES: Registry[FigureFunction] = Registry("figure")
TABLES: Registry[TableFunction] = Registry("table")
figure = FIGURES.register
table = TABLES.register

ANALYSIS = Path(__file__).resolve().parent.parent / "analysis"
"""Beside the package in a checkout; not in the wheel."""


class NoDataError(Exception):
    """Raised by a figure whose data are not in the results; it is skipped with this reason."""


def load_analysis(folder: Path = ANALYSIS) -> None:
    """Import every file in analysis/, once; each registers its figures and tables."""
    if not folder.is_dir():
        raise InputError(
            f"no folder {str(folder)!r}: figures are drawn by the scripts in analysis/, which are "
            "in a checkout of stylebench and not in the wheel"
        )
    if "__loaded__" in _loaded:
        return
    _loaded.add("__loaded__")
    for path in sorted(folder.glob("[!_]*.py")):
        spec = importlib.util.spec_from_file_location(f"stylebench_analysis_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_loaded: set[str] = set()


def provenance(results: Results) -> list[str]:
    """Return the lines that stand under every table: what was run, with which weights and versions."""
    frame, manifest = results.results, results.manifest
    lines = []
    if len(frame):
        done = frame[frame["status"] == "ok"]
        lines.append(_settings(done if len(done) else frame))
        lines.append("weights: " + ", ".join(sorted(set(frame["weights"]))))
    if manifest:
        versions = manifest.get("environment", {})
        told = ", ".join(
            f"{key} {versions[key]}"
            for key in ("stylebench", "torch", "torchvision")
            if key in versions
        )
        lines += [f"command: {manifest.get('command', '')}", f"versions: {told}"]
    return lines


def _settings(frame: pd.DataFrame) -> str:
    columns = ("preset", "size", "evals_budget", "start", "precision", "seed")
    names = {"size": "px", "evals_budget": "closure evaluations"}
    parts = []
    for column in columns:
        values = ", ".join(str(value) for value in sorted(set(frame[column])))
        parts.append(f"{values} {names[column]}" if column in names else f"{column} {values}")
    pairs = frame[["content", "style"]].drop_duplicates()
    return "; ".join([*parts, f"pairs {len(pairs)}"])


def draw(out: Path, names: Iterable[str] | None = None) -> Iterator[tuple[str, Path | str]]:
    """Draw figures and tables of a results folder into OUT/figures and OUT/tables.

    Args:
        out: results folder.
        names: of figures and tables; all by default.

    Yields:
        (name, path), or (name, reason) for one whose data are not there.

    Raises:
        InputError: an unknown name, or a folder that holds no results.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    load_analysis()
    results = store.load(out)
    wanted = list(names) if names else [*FIGURES, *TABLES]
    for name in wanted:
        if name not in TABLES:
            FIGURES[name]
    for name in wanted:
        try:
            path = _save_table(results, name) if name in TABLES else _save_figure(results, name)
            yield name, path
        except NoDataError as reason:
            yield name, str(reason)


def _save_figure(results: Results, name: str) -> Path:
    import matplotlib.pyplot as plt

    made = FIGURES[name](results)
    path = results.folder / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{name}.tmp.png")
    made.savefig(temporary, metadata={"Software": None})
    plt.close(made)
    return temporary.replace(path)


def _save_table(results: Results, name: str) -> Path:
    made = TABLES[name](results)
    folder = results.folder / "tables"
    folder.mkdir(exist_ok=True)
    made.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    lines = [_markdown(made), "", *(f"{line}  " for line in provenance(results)), ""]
    path = folder / f"{name}.md"
    store.write_text(path, "\n".join(lines))
    return path


def _markdown(frame: pd.DataFrame) -> str:
    def cell(value: object) -> str:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        return text.replace("|", "\\|").replace("\n", " ")

    head: list[list[object]] = [list(frame.columns), ["---"] * len(frame.columns)]
    rows = [*head, *(list(row) for row in frame.itertuples(index=False))]
    return "\n".join("| " + " | ".join(cell(value) for value in row) + " |" for row in rows)
