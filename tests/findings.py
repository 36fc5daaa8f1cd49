"""The tables of docs/findings.md, cut from those of results/reference.

``python -m tests.findings`` writes below each comment of the page that names a table what it asks
for, as rows of Markdown:

    <!-- evidence
    of: frontier/tables/frontier.csv
    arms: ["p-resnet50, preset robust − p-vgg19, preset robust"]
    measures: [swd_share r-googlenet, colour_share]
    at: common
    -->

`arms` are two of columns a and b, in the order of the difference, `measures` a metric and its
judge; any other key is a column, with the value or the values that its rows have. Rows stand in the
order in which the comment has their values; what matches no row, or more than one, is an error.
"""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "findings.md"
REFERENCE = ROOT / "results" / "reference"
BLOCK = re.compile(r"<!-- evidence\n(?P<asked>[^>]*)-->\n(?P<table>\n(?:\|.*\n)+)?")
MINUS = " − "
ESTIMATES = ("difference", "rho", "mean")
COUNTS = {"pairs": "pairs", "n": "networks", "images": "photographs", "seeds": "seeds"}
"""Columns that say of how many, the first of a table that is there, and their heads."""
HEADS = {
    "measures": "measure", "backbone": "network", "arch": "network", "mean_a": "first",
    "mean_b": "second", "style_weight": "style weight",
}  # fmt: skip
MEASURES = {
    "gram_share": "style", "swd_share": "SWD", "texture_share": "texture", "colour_share": "colour",
    "ssim": "SSIM", "max_over_mean": "maximum over mean", "entropy": "entropy (6)",
    "gram_entropy": "Gram entropy (8)", "gram_diagonal_share": "diagonal share of the Gram matrix",
}  # fmt: skip
"""What the page calls the shares of the way, and statistics."""

MOST_DIGITS = 4
"""Behind the point, where a bound would else be 0."""

Row = dict[str, Any]


def read(name: str) -> pd.DataFrame:
    """Return a table of the reference results; all that is no number is text."""
    return pd.read_csv(REFERENCE / name, keep_default_na=False, na_values={"p": ["", "–"]})


def _values(asked: Any) -> list[Any]:
    return asked if isinstance(asked, list) else [asked]


def _arms(frame: pd.DataFrame, text: str) -> pd.DataFrame:
    """Return the rows of two arms, turned round where the table has them the other way."""
    a, b = text.split(MINUS)
    found = frame.loc[(frame["a"] == a) & (frame["b"] == b)]
    if len(found):
        return found
    turned = frame.loc[(frame["a"] == b) & (frame["b"] == a)]
    numbers = {key: pd.to_numeric(turned[key]) for key in ("difference", "low", "high")}
    means = {key: turned[other] for key, other in (("mean_a", "mean_b"), ("mean_b", "mean_a"))
             if other in turned}  # fmt: skip
    return turned.assign(
        difference=-numbers["difference"], low=-numbers["high"], high=-numbers["low"], **means
    )


def _picked(frame: pd.DataFrame, key: str, value: Any) -> pd.DataFrame:
    """Return the rows that have one value of one key of a comment."""
    if key == "arms":
        return _arms(frame, value)
    if key == "measures":
        metric, _, judge = value.partition(" ")
        return _picked(_picked(frame, "metric", metric), "judge", judge)
    values = frame[key]
    if isinstance(value, int | float):
        values = pd.to_numeric(values, errors="coerce")
    found: pd.DataFrame = frame[values == value]
    return found


def rows(asked: dict[str, Any]) -> Iterator[tuple[Row, "pd.Series[Any]"]]:
    """Yield the keys of a comment with one value each, and the row of the table that has them."""
    keys = {key: _values(asked[key]) for key in asked if key not in ("of", "digits")}
    frame = read(asked["of"])
    for values in itertools.product(*keys.values()):
        found = frame
        row = dict(zip(keys, values, strict=True))
        for key, value in row.items():
            found = _picked(found, key, value)
        if len(found) != 1:
            raise ValueError(f"expected one row of {asked['of']} with {row}, found {len(found)}")
        yield row, found.iloc[0]


def number(value: Any, digits: int, *, sign: bool = False) -> str:
    """Return a number as the page writes it, a dash for none."""
    if value == "" or not math.isfinite(float(value)):
        return "–"
    rounded = round(float(value), digits) + 0.0  # no −0
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")


def _p(value: Any) -> str:
    """Return a probability with two digits that count."""
    if value == "" or not math.isfinite(float(value)):
        return "–"
    return f"{float(value):.2g}" if float(value) >= 0.0001 else "< 0.0001"


def _measure(text: str) -> str:
    metric, _, judge = text.partition(" ")
    by = f", {judge.replace('timm:', '')}" if judge else ""
    return MEASURES.get(metric, metric) + by


def _label(key: str, value: Any) -> str:
    if key == "measures":
        return _measure(value)
    return re.sub("timm:|preset ", "", MEASURES.get(value, str(value)))


def _numbers(row: "pd.Series[Any]", digits: int) -> Row:
    """Return the cells that tell the outcome of a row."""
    estimate = next(key for key in ESTIMATES if key in row)
    bounds = [float(row[key]) for key in ("low", "high") if row[key] != ""]
    while digits < MOST_DIGITS and any(value and not round(value, digits) for value in bounds):
        digits += 1  # on which side of 0 is it
    signed = estimate == "difference"
    inside = ", ".join(number(row[key], digits) for key in ("low", "high"))
    cells = {HEADS[key]: number(row[key], digits) for key in ("mean_a", "mean_b") if key in row}
    cells[f"{estimate} [95 %]"] = f"{number(row[estimate], digits, sign=signed)} [{inside}]"
    if "p" in row:
        cells["p"] = _p(row["p"])
    if "p_holm" in row and estimate == "rho":
        cells["p, Holm"] = _p(row["p_holm"])
    if "detectable" in row:
        cells["would have shown"] = number(row["detectable"], digits)
    count = next((key for key in COUNTS if key in row), None)
    return cells | ({COUNTS[count]: str(row[count])} if count else {})


def table(comment: str) -> str:
    """Return what a comment asks for, as lines of Markdown."""
    asked = yaml.safe_load(comment)
    told = [key for key in asked if key == "arms" or isinstance(asked[key], list)]
    lines: list[list[str]] = []
    before: dict[str, str] = {}
    for row, found in rows(asked):
        labels = {HEADS.get(key, key): _label(key, row[key]) for key in told}
        shown = {key: "" if before.get(key) == text else text for key, text in labels.items()}
        cells = shown | _numbers(found, asked.get("digits", 2))
        lines = lines or [[*cells], ["---"] * len(cells)]
        lines.append([*cells.values()])
        before = labels
    if not lines:
        raise ValueError(f"expected rows of {asked['of']}, found no values for a key")
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def filled(text: str) -> str:
    """Return a page with the rows that its comments ask for below them."""
    return BLOCK.sub(
        lambda found: f"<!-- evidence\n{found['asked']}-->\n\n{table(found['asked'])}", text
    )


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
