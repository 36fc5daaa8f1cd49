"""The command ``stylebench compare``; like main.py, it imports nothing heavy before its use."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylebench.cli import options
from stylebench.cli.progress import counted, say
from stylebench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def compare(
    folder: Annotated[Path, typer.Argument(help="A results folder that was judged.")],
    a: Annotated[
        str | None,
        typer.Option(
            "--a",
            metavar="ARM",
            help="A backbone as `--arch` takes it, a smoothing (default: `none`) and words of its "
            "settings, as far as arms differ in them: `p-resnet50,softmax`.",
        ),
    ] = None,
    b: Annotated[str | None, typer.Option("--b", metavar="ARM", help="The other one.")] = None,
    as_json: options.AsJson = False,
    plugin: options.Plugin = None,
) -> None:
    """Compare two arms of a results folder, pair by pair, under every metric and judge.

    A line a metric: the mean of a − b over pairs of pictures, each averaged over its seeds first,
    its bootstrap 95 % interval, p of Wilcoxon's test. A distance whose share is judged too is left
    out.

    Examples:

        stylebench compare results/default --a r-vgg19 --b r-resnet50

        stylebench compare results/default --a p-resnet50 --b p-resnet50,softmax
    """
    from stylebench import store
    from stylebench.figures import NoDataError, arms, claims

    try:
        frame = arms.judged(store.load(folder))
    except NoDataError:
        raise InputError(
            f"{str(folder)!r} holds no metrics; make them with `stylebench judge {folder}`"
        ) from None
    there = claims.listed([str(name) for name in frame["arm"].sort_values().unique()])
    if a is None or b is None:
        raise InputError(f"expected --a ARM and --b ARM; there are {there}")
    one, other = (claims.named(frame, *each) for each in ((a, "--a"), (b, "--b")))
    if one == other:
        raise InputError(f"--a and --b are both {one!r}; expected two of {there}")
    try:
        found = claims.claims(frame, [(one, other)])
    except NoDataError:
        raise InputError(
            f"{one!r} and {other!r} share no pair of pictures under a common metric and judge"
        ) from None
    rows = [{str(k): v for k, v in row.items()} for row in found.to_dict("records")]
    if as_json:
        for row in rows:
            print(json.dumps({k: None if _unknown(v) else v for k, v in row.items()}))
        return
    names = _names(found)
    widest = max(map(len, names))
    say(f"a  {one}", f"b  {other}")
    say(*(f"{name:{widest}}  {line(row)}" for name, row in zip(names, rows, strict=True)))
    asked = frame.loc[frame["arm"].isin([one, other]) & frame["judge"].ne(""), "judge"]
    if left := sorted({*asked} - {*found["judge"]}):
        say(f"left out: {', '.join(left)} judged no pair of pictures of both (none judges its own)")


def _names(found: "pd.DataFrame") -> list[str]:
    """Return metric and judge of each row, with the judge's weights where one has several."""
    several = found.groupby("judge")["judge_weights"].transform("nunique") > 1
    weights = found["judge_weights"].where(several, "")
    judges = [" ".join(filter(None, each)) for each in zip(found["judge"], weights, strict=True)]
    pairs = zip(found["metric"].astype(str), judges, strict=True)
    return [" by ".join(filter(None, pair)) for pair in pairs]


def _unknown(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def line(row: dict[str, Any]) -> str:
    """Return what a comparison says: ``+0.12 [0.07, 0.21] p 0.031, 6 pairs × 3 seeds``.

    Args:
        row: of `claims.claims`.
    """
    from stylebench.figures.intervals import ALPHA, FEWEST

    low, high, pairs = row["low"], row["high"], row["pairs"]
    width = high - low if high > low else abs(row["difference"])
    places = min(8, max(2, 1 - math.floor(math.log10(width)))) if width > 0 else 2  # two digits
    ends = "" if _unknown(low) else f" [{low:.{places}f}, {high:.{places}f}]"
    p = "" if _unknown(row["p"]) else f" p {row['p']:.2g}"
    over = f"{counted(pairs, 'pair')} × {counted(row['seeds'], 'seed')}"
    if pairs < FEWEST:
        told = f" (under {FEWEST} pairs p cannot be below {ALPHA:g})"
    else:
        told = f" ({row['detectable']:.{places}f} would have shown)"
    moved = ""
    if row["still_a"] or row["still_b"]:
        moved = f"; {row['still_a']} of a and {row['still_b']} of b did not move or diverged"
    best = {row["a"]: "a", row["b"]: "b"}.get(row["favours"], "")
    better = f"; {best} is better" if best else ""
    return f"{row['difference']:+.{places}f}{ends}{p}, {over}{told}{better}{moved}"
