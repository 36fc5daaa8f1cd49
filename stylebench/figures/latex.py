"""Tables for papers: LaTeX with booktabs, every text escaped."""

import math
import re
from collections.abc import Iterable
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


def escape(text: str) -> str:
    r"""Return LaTeX that shows a text as it is, on one line.

    >>> escape("r-vgg19_bn 5 % & {x}")
    'r-vgg19\\_bn 5 \\% \\& \\{x\\}'
    """
    return JOINED.sub(r"\g<0>{}", "".join(SIGNS.get(sign, sign) for sign in one_line(text)))


def table(frame: pd.DataFrame, notes: Iterable[str] = ()) -> str:
    """Return a tabular environment with the rules of booktabs.

    Columns ``x`` and ``x_std`` become one. Numbers have three digits and stand right.

    Args:
        frame: the table.
        notes: become comments before it.
    """
    names = [str(name) for name in frame]
    head = [name for name in names if name.removesuffix("_std") == name or name[:-4] not in names]
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in head]
    lines = [f"% {one_line(note)}" for note in notes]
    lines += [r"% needs \usepackage{booktabs}",
              rf"\begin{{tabular}}{{{''.join('r' if n else 'l' for n in numeric)}}}", r"\toprule",
              _row(escape(name.replace("_", " ")) for name in head), r"\midrule"]  # fmt: skip
    for row in frame.astype(object).to_dict("records"):
        lines.append(_row(_cell(row[name], row.get(f"{name}_std")) for name in head))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


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
