"""A chapter of the page: everything that is shown of one results folder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from stylebench.errors import published_command
from stylebench.figures import style
from stylebench.report import pictures, tables
from stylebench.report.drawings import Figure
from stylebench.report.pictures import Cell, Grid
from stylebench.report.tables import Table
from stylebench.store import Results

CURVES = "curves"
"""The figure that stands below the tables, folded: it is long, and the last that one asks for."""


@dataclass(frozen=True)
class Run:
    """How a part of the folder was made: a run of the manifest."""

    command: str
    began: str
    device: str
    versions: tuple[tuple[str, str], ...]
    weights: tuple[tuple[str, str, str], ...]
    """(backbone, source, sha256) of each."""


def _prefix(anchor: str) -> str:
    """Return what the ids in a chapter begin with; no anchor holds a slash."""
    return f"{anchor}/" if anchor else ""


@dataclass(frozen=True)
class Chapter:
    """A results folder in the page; `trouble` says why there is nothing but its name."""

    name: str
    anchor: str
    """Of its heading, as in ``report.html#fig6``; empty where the folder is the whole page."""
    description: str = ""
    facts: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    grids: Sequence[Grid] = ()
    tables: Sequence[Table] = ()
    curves: Figure | None = None
    runs: Sequence[Run] = ()
    trouble: str = ""

    @property
    def prefix(self) -> str:
        """What the ids of its elements begin with."""
        return _prefix(self.anchor)

    @property
    def quick(self) -> bool:
        """Whether pictures or evaluations are fewer than the paper's."""
        return bool(self.facts) and self.facts[0].startswith("quick")

    @property
    def comparison(self) -> list[dict[str, Any]]:
        """The pairs with the pictures that can be compared, for the script of the page."""
        pairs = []
        for grid in self.grids:
            for row in grid.rows:
                arms = [{"label": c.label, "key": c.key} for c in row.cells if c.picture]
                label = f"{row.content} × {row.style}" + (f" ({grid.title})" if grid.title else "")
                if len(arms) > 1:
                    pairs.append({"label": label, "arms": arms, "first": _apart(row.cells)})
        return pairs


def _apart(cells: Sequence[Cell]) -> tuple[int, int]:
    """Return which two of the cells with pictures the comparison begins with.

    Two results that differ from each other and from the content, so that neither is a photograph
    that nothing was done to where others are: of these three distances the least is the largest,
    by what they look like at 16 × 16 px. Of fewer than two results the first two pictures.
    """
    shown = [cell for cell in cells if cell.picture]
    small = [pictures.small(cell) for cell in shown]
    content = [small[i] for i, cell in enumerate(shown) if cell.label == "content"]
    made = [i for i, cell in enumerate(shown) if cell.label not in ("content", "style")]
    if len(made) < 2:
        return 0, 1

    def apart(two: tuple[int, int]) -> tuple[float, float]:
        one, other = (small[place] for place in two)
        changes = [np.abs(one - other).mean()]
        changes += [np.abs(each - given).mean() for given in content for each in (one, other)]
        return float(min(changes)), float(changes[0])

    return max(combinations(made, 2), key=apart)


def make(results: Results, anchor: str, side: int, drawn: Sequence[Figure]) -> Chapter:
    """Return the chapter of a results folder, with fewer pairs where it is one of several.

    Args:
        results: of the folder.
        anchor: of its heading; empty if it is the whole page, which shows all pairs.
        side: the long side of its pictures in px.
        drawn: its figures.
    """
    pairs = pictures.PAIRS if anchor else None
    grids = pictures.grids(results, side, pairs, _prefix(anchor))
    return Chapter(
        name=results.folder.absolute().name,
        anchor=anchor,
        description=_description(results),
        facts=_facts(results, grids),
        figures=[figure for figure in drawn if figure.name != CURVES],
        grids=grids,
        tables=tables.tables(results),
        curves=next((figure for figure in drawn if figure.name == CURVES), None),
        runs=[_run(run) for run in results.manifest.get("runs", [])],
    )


def job_facts(results: Iterable[Results]) -> list[str]:
    """Return how many jobs ended how, and whether backbones have random weights."""
    found = list(results)
    counts = pd.concat([r.results["status"] for r in found]).value_counts()
    labels = {label for r in found for label in (*r.results["weights"], *r.statistics["weights"])}
    made_up = sum(label.startswith("random") for label in labels)
    facts = []
    if len(counts):
        facts.append("jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    if made_up:
        facts.append(
            "backbones named r-… have random weights; they know nothing of pictures"
            + ("" if made_up < len(labels) else ": there are no others here")
        )
    return facts


def _description(results: Results) -> str:
    found = [
        str(config["description"])
        for run in results.manifest.get("runs", [])
        if isinstance(config := run.get("config"), dict) and config.get("description")
    ]
    return found[-1] if found else ""


def _facts(results: Results, grids: Sequence[Grid]) -> list[str]:
    """Return what stands at the top: how large the results are, with which weights."""
    facts = list(dict.fromkeys(grid.caption for grid in grids))
    if not grids and len(results.statistics):
        facts = [style.caption(results, results.results)]
    if len(facts) > 1:
        quick = any(fact.startswith("quick") for fact in facts)
        facts = [f"{'quick results in part; ' * quick}{len(grids)} settings, named at each grid"]
    return [*facts, *job_facts([results])]


def _run(run: dict[str, Any]) -> Run:
    weights = [entry for entry in run.get("weights", []) if isinstance(entry, dict)]
    return Run(
        command=published_command(str(run["command"])),
        began=str(run.get("began", "")),
        device=str(run.get("device", "")),
        versions=tuple((str(k), str(v)) for k, v in dict(run["environment"]).items()),
        weights=tuple(
            (str(w.get("arch", "")), str(w.get("source", "")), str(w.get("sha256", "")))
            for w in weights
        ),
    )
