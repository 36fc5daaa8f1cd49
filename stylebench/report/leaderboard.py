"""A leaderboard of results folders: style at equal content, and apart what does not compare.

The way of the data:
1. the jobs and metrics of all folders are laid together by job id: one that several have counts
   once;
2. arms with the same size, evaluations, preset, style weights and pairs make a board;
3. on a board they stand by the style that they give over all contents (`frontiers.area`), averaged
   over pairs, under one metric and judge that judged them all.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from stylebench import __version__, files, pages, store
from stylebench.errors import InputError
from stylebench.figures import NoDataError
from stylebench.figures.arms import MEASURE, OPTIONS
from stylebench.figures.claims import judges
from stylebench.figures.frontiers import areas, points
from stylebench.figures.intervals import means
from stylebench.figures.notes import versions
from stylebench.figures.register import inert
from stylebench.figures.style import SETTINGS, alike, without_seed
from stylebench.report.page import TEMPLATES
from stylebench.store import Results

RANKED = ("swd_share", "gram_share", "texture_share", "colour_share")
"""Metrics by which a board is ordered: the first that all its arms were judged by. The Gram share
is near 1 for most."""

WEIGHTS = ("content_weight", "style_weight")
FIXED = ("size", "resize", "evals_budget", "preset")
ALIKE = ("size", "resizing", "evaluations", "preset", "style weights", "pairs")
"""What arms of a board share: `FIXED`, what the style weighs to the content, pairs of pictures."""

Shared = tuple[Any, ...]
"""The values of `ALIKE`."""

Preferences = Mapping[str, tuple[str, float, float, float]]
"""Job -> question, score of its arm in a study, and the ends of its interval."""


@dataclass(frozen=True)
class Board:
    """Arms that compare, the best first."""

    title: str
    apart: str
    """Why it is not one with the first board, "" for that."""
    measure: str
    """By what it is ordered."""
    rows: pd.DataFrame


@dataclass(frozen=True)
class Leaderboard:
    """Boards, the one of most arms first, and what is to be said of the folders."""

    boards: list[Board]
    remarks: list[str]


def make(folders: Sequence[Path], preferences: Preferences | None = None) -> Leaderboard:
    """Return the leaderboard of results folders, or of folders of such.

    Args:
        folders: that were judged.
        preferences: of people; none by default.

    Raises:
        InputError: no results, or none with metrics.
    """
    loaded, remarks = _loaded(folders)
    jobs, metrics = _together(loaded, remarks)
    found: list[tuple[Shared, str, pd.DataFrame]] = []
    for shared, rows in _boards(jobs):
        part = rows.drop_duplicates("job_id")
        chosen = Results(
            loaded[0].folder, part, loaded[0].statistics[:0], loaded[0].trace[:0], {},
            metrics[metrics["job_id"].isin(part["job_id"])],
        )  # fmt: skip
        try:
            found.append((shared, *_board(chosen, preferences or {})))
        except NoDataError:
            remarks.append(f"left out, without metrics of style and content: {_title(shared)}")
    if not found:
        raise InputError(
            f"{', '.join(repr(str(folder)) for folder in folders)}: no metrics; make them with "
            "`stylebench judge`"
        )
    found.sort(key=lambda board: (-len(board[2]) * len(board[0][-1]), _title(board[0])))
    first = found[0][0]
    boards = [
        Board(_title(shared), _apart(shared, first), measure, rows)
        for shared, measure, rows in found
    ]
    return Leaderboard(boards, remarks)


def _loaded(folders: Sequence[Path]) -> tuple[list[Results], list[str]]:
    found: list[Path] = []
    for folder in folders:
        parts = [folder] if store.holds_results(folder) else store.folders(folder)
        if not parts:
            raise InputError(
                f"{str(folder)!r} holds no results, and no folders with results; make some with "
                "`stylebench sweep`"
            )
        found += parts
    loaded = [store.load(folder) for folder in dict.fromkeys(path.resolve() for path in found)]
    told = {
        versions(run["environment"]) for each in loaded for run in each.manifest.get("runs", [])
    }
    return loaded, [f"versions: {text}" for text in sorted(told - {""})]


def _together(loaded: Sequence[Results], remarks: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the jobs that are ok, with their folder's name, and their metrics, each once."""
    frames = [
        each.results[each.results["status"].eq("ok")].assign(folder=each.folder.name)
        for each in loaded
    ]
    every = pd.concat(frames, ignore_index=True)
    if twice := int(every["job_id"].duplicated().sum()):
        remarks.append(f"{twice} jobs are in several folders and count once")
    metrics = pd.concat([each.metrics for each in loaded], ignore_index=True)
    return every, metrics.drop_duplicates(["job_id", *MEASURE], keep="first", ignore_index=True)


def _network(jobs: pd.DataFrame) -> "pd.Series[str]":
    """Return the weights of each job without options, seeds of random ones being repetitions."""
    return without_seed(jobs["weights"].str.replace(OPTIONS, "", regex=True))


def _marked(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return jobs with what makes a board (fixed), an arm (key), and a place of it (cell)."""
    jobs = alike(jobs)
    marked = jobs.assign(preset=jobs["preset"].str.removesuffix(" (modified)"))
    marked["network"] = _network(jobs)
    own = [key for key in SETTINGS if key not in {*FIXED, *WEIGHTS}]
    ratio = (jobs["style_weight"] / jobs["content_weight"]).fillna(0).round(9)
    pair = zip(jobs["content_digest"], jobs["style_digest"], strict=True)
    keys = [*own, "arch", "options", "smoothing", "network"]
    columns = {
        "fixed": marked[[*FIXED]].itertuples(index=False, name=None),
        "key": marked[keys].itertuples(index=False, name=None),
        "cell": zip(ratio, pair, strict=True),
    }
    for name, values in columns.items():
        marked[name] = pd.Series([*values], marked.index, dtype=object)
    return marked


def _boards(every: pd.DataFrame) -> Iterator[tuple[Shared, pd.DataFrame]]:
    """Yield what the arms of a board share, and their jobs.

    What an arm has in one folder, all its style weights on all pairs that have them, makes a board,
    with every arm that has as much; one whose arms have more in common on another is left out.
    """
    marked = _marked(every)
    for _, part in marked.groupby("fixed", sort=False):
        fixed: Shared = part["fixed"].iloc[0]
        grids = {key: {*cells} for key, cells in part.groupby("key", sort=False)["cell"]}
        asked = {
            _whole({*cells}) for _, cells in part.groupby(["key", "folder"], sort=False)["cell"]
        }
        members = {
            grid: {key for key, cells in grids.items() if cells >= {*itertools.product(*grid)}}
            for grid in asked
            if grid[1]
        }
        for grid in sorted(members):
            cells = {*itertools.product(*grid)}
            more = (
                other for other, arms in members.items()
                if other != grid and arms >= members[grid] and {*itertools.product(*other)} >= cells
            )  # fmt: skip
            if not any(more):
                rows = part["key"].isin(members[grid]) & part["cell"].isin(cells)
                yield (*fixed, *grid), every.loc[part.index[rows]]


def _whole(cells: set[Any]) -> tuple[tuple[float, ...], tuple[Any, ...]]:
    """Return the style weights of cells, and the pairs that have all of them."""
    ratios = tuple(sorted({ratio for ratio, _ in cells}))
    pairs = sorted({pair for _, pair in cells})
    return ratios, tuple(p for p in pairs if all((ratio, p) in cells for ratio in ratios))


def _title(shared: Shared) -> str:
    size, resize, evals, preset, ratios, pairs = shared
    weights = ", ".join(f"{ratio:g}" for ratio in ratios)
    how = f"{evals} evaluations, preset {preset}, style weight {weights}"
    told = how if preset else "trained networks"
    return f"{size} px ({resize}), {told}, {len(pairs)} pair{'s' * (len(pairs) != 1)}"


def _apart(shared: Shared, first: Shared) -> str:
    differs = [
        name for name, mine, other in zip(ALIKE, shared, first, strict=True)
        if mine != other
    ]  # fmt: skip
    return f"not comparable with the first: other {', other '.join(differs)}" if differs else ""


def _board(results: Results, preferences: Preferences) -> tuple[str, pd.DataFrame]:
    """Return by what a board is ordered, and its rows.

    Raises:
        NoDataError: its arms have no metrics of style and content.
    """
    plain = results.results.assign(preset=results.results["preset"].str.split(" ").str[0])
    found = points(replace(results, results=plain))
    values = areas(found)
    if values.empty:
        raise NoDataError("no shares of style that all arms were judged by")
    metric, judge, weights = _ranked(values)
    chosen = values[
        values["metric"].eq(metric)
        & values["judge"].eq(judge)
        & values["judge_weights"].eq(weights)
    ]
    table = means(chosen, ["arm"]).rename(columns={"mean": "style", "n": "pairs"}).reset_index()
    table["arm"] = table["arm"].astype(str)
    table = table.sort_values("style", ascending=False, ignore_index=True, kind="stable")
    places = table["style"].round(9).rank(method="min", ascending=False).astype(int)
    table.insert(0, "place", places)
    jobs = results.results.set_index("job_id")
    of_arm = found.drop_duplicates("job_id").groupby(found["arm"].astype(str))["job_id"].agg(list)
    own = [jobs.loc[of_arm[arm]] for arm in table["arm"]]
    table["preference"] = [_preferred(each.index, preferences) for each in own]
    table["weights"] = [_told(_network(each)) for each in own]
    table["folders"] = [_told(each["folder"]) for each in own]
    return " by ".join(filter(None, (metric, judge))), table


def _ranked(values: pd.DataFrame) -> tuple[str, str, str]:
    """Return the metric and judge by which a board is ordered."""
    metric = next(name for name in (*RANKED, *values["metric"]) if name in {*values["metric"]})
    of = values[values["metric"].eq(metric)]
    order = judges(of.assign(metric="gram_share"))
    judge, weights = order[0] if order else (of["judge"].iloc[0], of["judge_weights"].iloc[0])
    return metric, str(judge), str(weights)


def _preferred(jobs: Iterable[str], preferences: Preferences) -> str:
    found = dict.fromkeys(preferences[job] for job in jobs if job in preferences)
    return "; ".join(
        f"{question} {score:+z.2f} [{low:+z.2f}, {high:+z.2f}]"
        for question, score, low, high in found
    )


def _told(values: "pd.Series[str]") -> str:
    return ", ".join(sorted({re.sub(r"\s+", " ", str(value)) for value in values}))


def table(made: Leaderboard) -> pd.DataFrame:
    """Return all boards as one table, with a column that says which."""
    frames = [
        board.rows.assign(board=number, of=board.title, by=board.measure)
        for number, board in enumerate(made.boards, 1)
    ]
    found = pd.concat(frames, ignore_index=True)
    first = ["board", "of", "by"]
    return found[[*first, *(name for name in found if name not in first)]]


def page(made: Leaderboard) -> str:
    """Return the leaderboard as one HTML page that needs no other file and runs nothing."""
    style = pages.stylesheet(TEMPLATES / "report.css")
    return pages.template(TEMPLATES / "leaderboard.html.j2").render(
        policy=f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{pages.source(style)}'",
        style=Markup(style), version=__version__, boards=made.boards, remarks=made.remarks,
    )  # fmt: skip


def write(made: Leaderboard, folder: Path) -> list[Path]:
    """Write leaderboard.html and leaderboard.csv into a folder; return their paths."""
    text = table(made).map(inert).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    paths = [folder / "leaderboard.html", folder / "leaderboard.csv"]
    for path, content in zip(paths, (page(made), text), strict=True):
        files.write_text(path, content, folder)
    return paths
