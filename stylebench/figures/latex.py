"""Tables for papers: LaTeX with booktabs, every text escaped."""

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real

import pandas as pd

from stylebench.errors import one_line

SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "_": r"\_",
    "#": r"\#", "$": r"\$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "α": r"$\alpha$", "β": r"$\beta$",
    "γ": r"$\gamma$", "∞": r"$\infty$", "…": r"\dots{}", "–": r"\textendash{}",
}  # fmt: skip
"""What LaTeX takes for a command, or has no letter for, and how it is written."""
JOINED = re.compile(r"-(?=-)|`(?=`)|'(?=')|,(?=,)|[?!](?=`)")
"""What becomes one sign with the next: dashes, quotation marks, and ¿ and ¡."""

TEXT, EM, SMALL, PAGE, ROWS = 20, 0.5, 80, 105, 45
"""Characters of a column of text until it is broken into lines, and what each takes; characters
over which a table has small letters, and that a page is wide in these; rows of a page."""
BETWEEN = "\n\n\\medskip\n\\noindent\n"
"""Of two parts of a table."""
BREAKS, BREAK = re.compile(r"(?<=[+=,/@:])"), r"\\allowbreak{}"
"""Where names without spaces may be broken."""


def escape(text: str) -> str:
    r"""Return LaTeX that shows a text as it is, on one line.

    >>> escape("r-vgg19_bn 5 % & {x}")
    'r-vgg19\\_bn 5 \\% \\& \\{x\\}'
    """
    return JOINED.sub(r"\g<0>{}", "".join(SIGNS.get(sign, sign) for sign in one_line(text)))


@dataclass(frozen=True)
class _Column:
    """A column: its name, cells in LaTeX, and how many characters it is wide."""

    name: str
    cells: tuple[str, ...]
    numeric: bool
    wide: int
    form: str
    """How a tabular environment is told of it."""

    def broken(self) -> "_Column":
        """Return it in lines of `TEXT` characters where it is a longer text."""
        if self.numeric or self.wide <= TEXT:
            return self
        box = rf"\parbox[t]{{{TEXT * EM:g}em}}"
        cells = (
            rf"{box}{{\raggedright {BREAKS.sub(BREAK, cell)}\strut}}" if cell else ""
            for cell in self.cells
        )
        return replace(self, cells=tuple(cells), wide=TEXT)

    @property
    def head(self) -> str:
        """Its name; a line a word where that is longer than its cells."""
        words = escape(self.name.replace("_", " ")).split(" ")
        if len(self.name) <= self.wide:
            return " ".join(words)
        lines = r" \\ ".join(words)
        return rf"\shortstack[{'r' if self.numeric else 'l'}]{{{lines}}}"


def table(frame: pd.DataFrame, notes: Iterable[str] = ()) -> str:
    """Return a tabular environment with the rules of booktabs, or longtable of more than a page.

    Columns ``x`` and ``x_std`` become one, and so do a number and its ends, ``low`` and ``high``.
    Numbers have three digits and stand right. What is the same in all rows goes into a comment (not
    the first column, where all are so). A table that is wide has small letters, long texts in
    lines, and in a comment the columns that follow from another, as weights from the backbone; one
    that is wider than a page even so is cut into parts.

    Args:
        frame: the table.
        notes: become comments before it.
    """
    columns, same = _columns(frame)
    columns = _with_ends(columns)
    small, long, key = _wide(columns) > SMALL, len(frame) > ROWS, list[str]()
    if small:
        columns, key = _keyed(columns)
        columns = [column.broken() for column in columns]
    parts = _split(columns)
    told = [f"the same in all rows, for the caption: {'; '.join(same)}"] if same else []
    told += [f"key, for the caption: {line}" for line in key]
    told += [r"needs \usepackage{booktabs}" + r", \usepackage{longtable}" * long]
    if long:
        told += [
            f"{len(frame)} rows, more than a page: on pages of one column, in no table environment"
        ]
    if len(parts) > 1:
        told += [f"in {len(parts)} parts, one below the other, as it is wider than a page"]
    return "\n".join([
        *(f"% {one_line(line)}" for line in (*notes, *told)),
        *[r"{\footnotesize\setlength{\tabcolsep}{3pt}"] * small,
        BETWEEN.join(_part(part, long=long) for part in parts) + "}" * small,
        "",
    ])  # fmt: skip


def _part(columns: Sequence[_Column], *, long: bool) -> str:
    """Return columns as an environment, longtable if it is of more than a page."""
    kind, form = "longtable" if long else "tabular", "".join(column.form for column in columns)
    return "\n".join([
        rf"\begin{{{kind}}}{{{form}}}", r"\toprule",
        _row(column.head for column in columns), r"\midrule", *[r"\endhead"] * long,
        *(_row(cells) for cells in zip(*(column.cells for column in columns), strict=True)),
        r"\bottomrule", rf"\end{{{kind}}}",
    ])  # fmt: skip


def _wide(columns: Iterable[_Column]) -> int:
    return sum(column.wide + 2 for column in columns)


def _split(columns: Sequence[_Column]) -> list[list[_Column]]:
    """Return columns in parts no wider than a page, each beginning with what tells rows apart."""
    if _wide(columns) <= PAGE:
        return [list(columns)]
    labels: list[_Column] = []
    for column in columns:
        before, after = (
            len(set(zip(*(each.cells for each in those), strict=True))) if those else 1
            for those in (labels, [*labels, column])
        )
        if after > before and not column.numeric:
            labels.append(column)
    parts = [list(labels)]
    for column in (column for column in columns if column not in labels):
        if _wide([*parts[-1], column]) > PAGE and len(parts[-1]) > len(labels):
            parts.append(list(labels))
        parts[-1].append(column)
    return parts


def _with_ends(columns: Sequence[_Column]) -> list[_Column]:
    """Return columns in which ``low`` and ``high`` stand in brackets behind their number."""
    found: list[_Column] = []
    for column in columns:
        found.append(column)
        if [each.name for each in found[-2:]] == ["low", "high"] and found[-3:-2]:
            number, low, high = found[-3:]
            if number.numeric:
                rows = zip(number.cells, low.cells, high.cells, strict=True)
                cells = tuple(f"{a} [{b}, {c}]" for a, b, c in rows)
                wide = number.wide + low.wide + high.wide + 4
                name = f"{number.name} [low, high]"
                found[-3:] = [_Column(name, cells, numeric=True, wide=wide, form="r")]
    return found


def _keyed(columns: Sequence[_Column]) -> tuple[list[_Column], list[str]]:
    """Return columns without those that follow from one before, and in words what follows.

    A column may be such a key if its values stand twice in the mean, or more often.
    """
    kept: list[_Column] = []
    key: list[str] = []
    for column in columns:
        for other in kept:
            pairs = dict.fromkeys(zip(other.cells, column.cells, strict=True))
            several = len(set(other.cells))
            if several == len(pairs) <= len(column.cells) / 2:
                told = "; ".join(f"{a} {b}" for a, b in pairs if a or b)
                key.append(f"{column.name.replace('_', ' ')}: {told}")
                break
        else:
            kept.append(column)
    return kept, key


def _columns(frame: pd.DataFrame) -> tuple[list[_Column], list[str]]:
    """Return the columns of a table, and in words those that are the same in all rows."""
    rows = frame.astype(object).to_dict("records")
    columns, equal, same = [], [], []
    for name in map(str, frame):
        if name.removesuffix("_std") != name and name[:-4] in frame:
            continue
        column = _column(name, rows, numeric=pd.api.types.is_numeric_dtype(frame[name]))
        if len(rows) > 1 and len(set(column.cells)) == 1 and f"{name}_std" not in frame:
            equal.append(column)
            same.append(f"{name.replace('_', ' ')} {rows[0][name]}")
        else:
            columns.append(column)
    return (columns, same) if columns else (equal[:1], same[1:])


def _column(name: str, rows: Sequence[Mapping[Hashable, object]], *, numeric: bool) -> _Column:
    """Return a column of a table's rows."""
    texts = [one_line(str(row[name])) for row in rows]
    cells = [_cell(row[name], row.get(f"{name}_std")) for row in rows]
    shown = texts if not numeric else [re.sub(r"\\\w+|[${}]", "", cell) for cell in cells]
    wide = max([*map(len, shown), *map(len, name.split("_"))])
    return _Column(name, tuple(cells), numeric, wide, "r" if numeric else "l")


def _row(cells: Iterable[str]) -> str:
    """Return a line of a table; LaTeX looks behind the line before it for a star or a bracket."""
    row = " & ".join(cells) + r" \\"
    return "{}" * row.lstrip().startswith(("[", "*")) + row


def _cell(value: object, spread: object = None) -> str:
    if isinstance(value, bool) or not isinstance(value, Real):
        return escape(str(value))
    text = _number(float(value))
    known = isinstance(spread, Real) and math.isfinite(spread) and math.isfinite(value)
    return rf"{text} $\pm$ {_number(float(spread))}" if known else text  # type: ignore[arg-type]


def _number(value: float) -> str:
    """Return a number in LaTeX: three digits, whole ones below a million as they are."""
    if not math.isfinite(value):
        return "--" if math.isnan(value) else r"$\infty$" if value > 0 else r"$-\infty$"
    digits = (
        f"{abs(value):.0f}" if value == round(value) and abs(value) < 1e6 else f"{abs(value):.3g}"
    )
    mantissa, _, exponent = digits.partition("e")
    sign = "-" if value < 0 else ""
    if exponent:
        return rf"${sign}{mantissa} \cdot 10^{{{int(exponent)}}}$"
    return f"${sign}$" * bool(sign) + digits
