"""The command ``stylebench leaderboard``; like main.py, it imports nothing heavy before its use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebench.cli import options
from stylebench.cli.progress import say
from stylebench.errors import InputError

if TYPE_CHECKING:
    from stylebench.report.leaderboard import Board


def leaderboard(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Results folders that were judged, or folders of such."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Write leaderboard.html and .csv into this folder.")
    ] = Path("leaderboard"),
    study: Annotated[
        list[Path] | None,
        typer.Option(
            "--study",
            help="Show what people prefer, of a study that was read (`stylebench study read`). "
            "Repeatable.",
        ),
    ] = None,
    plugin: options.Plugin = None,
) -> None:
    """Rank the arms of many results folders, of other people too, by style at equal content.

    Jobs are merged by their ids. What does not compare, as of another size, preset, other style
    weights or pairs, stands on a board of its own, which says so.

    Examples:

        stylebench leaderboard results/frontier results/theirs

        stylebench leaderboard results --out board --study study
    """
    from stylebench.report import leaderboard as boards
    from stylebench.study import read

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {str(out)!r}: expected a folder, found a file")
    preferences: dict[str, tuple[str, float, float, float]] = {}
    for folder in study or []:
        preferences |= read.preferred(folder)
    made = boards.make(folders, preferences)
    out.mkdir(parents=True, exist_ok=True)
    for number, board in enumerate(made.boards, 1):
        say(f"board {number}: {board.title}; by {board.measure}")
        if board.apart:
            say(f"  {board.apart}")
        say(*_lines(board))
    say(*made.remarks)
    say(*map(str, boards.write(made, out)))


def _lines(board: "Board") -> list[str]:
    from stylebench.cli.show import table
    from stylebench.errors import one_line

    rows = board.rows.to_dict("records")
    return table([
        [f"{row['place']:3}", one_line(row["arm"]), f"{row['style']:.3f}",
         f"[{row['low']:.3f}, {row['high']:.3f}]" if row["low"] == row["low"] else "",
         f"{row['pairs']} × {row['seeds']}", row["preference"]]
        for row in rows
    ])  # fmt: skip
