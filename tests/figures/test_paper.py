"""Figures and tables for papers: PDF, SVG, LaTeX."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from stylebench.figures import FIGURES, draw, latex, layout
from stylebench.figures.register import Paper
from stylebench.store import Results
from tests.cli.bench import invoke, refused
from tests.results import make, scored

NAMES = ("statistics", "curves", "grid")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make(tmp_path_factory.mktemp("paper") / "out", seeds=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [3.3, 6.9])
def test_text_has_seven_points_and_is_in_the_picture(
    name: str, width: float, results: Results
) -> None:
    with layout.wide(width):
        made = FIGURES[name](results)
    layout.settle(made, width)
    canvas: Any = FigureCanvasAgg(made)
    canvas.draw()
    assert made.get_figwidth() <= width + 0.01
    shown = [text for text in made.findobj(Text) if text.get_visible() and text.get_text()]
    assert shown
    for text in shown:
        assert float(text.get_fontsize()) >= 7, text
        box = text.get_window_extent(canvas.get_renderer())
        lines = text.get_text().count("\n") + 1
        upright = box.width if text.get_rotation() == 90 else box.height
        assert upright >= 0.6 * 7 * made.dpi / 72 * lines, f"{text} is smaller than it says"
        if text in made.texts:
            assert box.x0 >= -1, text
            assert box.x1 <= made.bbox.x1 + 1, text


def test_vector_graphics_are_the_same_again_and_have_their_fonts(results: Results) -> None:
    found = []
    for _ in range(2):
        paper = Paper(("pdf", "svg"), 3.3)
        paths = [path for _, path in draw(results.folder, ["statistics"], paper)]
        names = [str(path).rpartition("/")[2] for path in paths]
        assert names == ["statistics.pdf", "statistics.svg", "statistics.md"]
        found.append([path.read_bytes() for path in paths[:2] if isinstance(path, Path)])
    assert found[0] == found[1]
    pdf, svg = found[0]
    assert b"/Type3" not in pdf
    assert b"/CreationDate" not in pdf
    assert b"<dc:date>" not in svg
    assert b">r-vgg19</text>" in svg.replace(b"\n", b"")
    sizes = [float(size) for size in re.findall(rb'style="font(?:-size)?:[^";]*?([\d.]+)px', svg)]
    assert sizes
    assert min(sizes) >= 7  # matplotlib's SVG is in points, and calls them px
    assert not (results.folder / "figures" / "statistics.png").exists()


def test_png_is_the_default_and_not_changed_by_the_others(results: Results) -> None:
    (path,) = (p for _, p in draw(results.folder, ["curves"]))
    assert isinstance(path, Path)
    before = path.read_bytes()
    list(draw(results.folder, ["curves"], Paper(("pdf", "png"), 3.3)))
    assert path.read_bytes() == before


def test_scores_are_laid_out_anew(tmp_path: Path) -> None:
    from stylebench.figures.dots import dots

    made = dots(scored(tmp_path / "out"), "A title that is longer than a column of a paper is wide")
    assert made.get_figwidth() == layout.WIDTH
    with layout.wide(3.3):
        made = dots(scored(tmp_path / "out"), "A title that is longer than a column of a paper")
    assert made.get_figwidth() == 3.3
    layout.settle(made, 3.3)


def test_tables_in_latex(results: Results) -> None:
    list(draw(results.folder, ["summary"], Paper(("tex",))))
    text = (results.folder / "tables" / "summary.tex").read_text(encoding="utf-8")
    assert not list((results.folder / "figures").glob("summary.*"))
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
        assert text.count(rule) == 1
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert (
        len({len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if "&" in line}) == 1
    )
    assert not re.search(r"(?<!\\)[%#_]", body)


def test_what_latex_takes_for_a_command_is_escaped() -> None:
    frame = pd.DataFrame({"a_b": [r"50% & x_y #1 $2 {z} \w ~ ^", "α/β −1\nx"],
                          "v": [0.12345, float("nan")], "v_std": [0.01, 1.0],
                          "n": [1234567.0, -float("inf")], "k": [3, 40]})  # fmt: skip
    lines = latex.table(frame, ["made\nso"]).splitlines()
    assert lines[:2] == ["% made so", r"% needs \usepackage{booktabs}"]
    assert lines[2:5] == [r"\begin{tabular}{lrrr}", r"\toprule", r"a b & v & n & k \\"]
    assert lines[6] == (
        r"50\% \& x\_y \#1 \$2 \{z\} \textbackslash{}w \textasciitilde{} \textasciicircum{}"
        r" & 0.123 $\pm$ 0.01 & $1.23 \cdot 10^{6}$ & 3 \\"
    )
    assert lines[7].endswith(r"& -- & $-\infty$ & 40 \\")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a--b", "a-{}-b"),
        ("---", "-{}-{}-"),
        ("a-b - c", "a-b - c"),
        ("``a''", "`{}`a'{}'"),
        ("'''", "'{}'{}'"),
        ("it's", "it's"),
        ("?`!`", "?{}`!{}`"),
        (",,a, b", ",{},a, b"),
        ("<<>>", r"\textless{}\textless{}\textgreater{}\textgreater{}"),
        ("1–2", r"1\textendash{}2"),
        ("–-––", r"\textendash{}-\textendash{}\textendash{}"),
        ("−-−−", "$-$-$-$$-$"),
        ("--{}--", r"-{}-\{\}-{}-"),
        ("a-\n-b", "a- -b"),
    ],
)
def test_signs_that_latex_joins_stand_apart(text: str, written: str) -> None:
    assert latex.escape(text) == written


@pytest.mark.parametrize("first", ["[2pt]", "*", " [a", "*[a", "[", "[x]--"])
def test_no_row_is_taken_for_an_argument(first: str) -> None:
    frame = pd.DataFrame({first: [first, "a [b]*", first, 1.5], "b": ["[", "*", "x", "y"]})
    lines = latex.table(frame).splitlines()
    head, *rows = (line for line in lines if line.endswith(r" \\"))
    begin = "{}" + latex.escape(first)
    assert head == begin + r" & b \\"
    assert rows == [begin + r" & [ \\", r"a [b]* & * \\", begin + r" & x \\", r"1.5 & y \\"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--format", "tex", "--only", "grid"],
         "--format tex is of tables, 'grid' is a figure; expected png, pdf or svg for it"),
        (["--format", "tex", "--only", "summary", "--only", "curves"], "'curves' is a figure"),
        (["--format", "tex", "--only", "grdi"], "unknown figure or table 'grdi'; did you mean"),
        (["--format", "pfd"], "expects png, pdf, svg, tex, found 'pfd'; did you mean 'pdf'?"),
        (["--format", ""], "expects png, pdf, svg, tex, found ''"),
        (["--width", "3in"], "--width is of PDF and SVG"),
        (["--format", "tex", "--width", "3in"], "--width is of PDF and SVG"),
        (["--format", "pdf", "--width", "3"], "--width expects 2in to 14in"),
        (["--format", "pdf", "--width", "1in"], "--width expects 2in to 14in"),
        (["--format", "pdf", "--width", "9999999mm"], "--width expects 2in to 14in"),
        (["--format", "pdf", "--width", "-3in"], "--width expects 2in to 14in"),
        (["--format", "pdf", "--width", "nanin"], "--width expects 2in to 14in"),
    ],
)  # fmt: skip
def test_bad_flags(flags: list[str], told: str, results: Results) -> None:
    assert told in refused("figures", results.folder, *flags)


def test_the_command_draws_in_several_formats(results: Results) -> None:
    done = invoke("figures", results.folder, "--only", "curves", "--only", "summary",
                  "--format", "svg,tex", "--width", "84 mm")  # fmt: skip
    assert (done.status, done.err) == (0, "")
    ends = [line.rpartition("/")[2] for line in done.out.splitlines()]
    assert ends == ["curves.svg", "summary.tex"]
    svg = (results.folder / "figures" / "curves.svg").read_text()
    points = re.search(r'<svg [^>]*?width="([\d.]+)pt"', svg)
    assert points is not None
    assert float(points[1]) == pytest.approx(84 / 25.4 * 72, abs=0.01)


def test_the_citation_names_what_readme_names() -> None:
    import yaml

    root = Path(__file__).parents[2]
    cff = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    readme = (root / "README.md").read_text(encoding="utf-8")
    (paper,) = cff["references"]
    for text in (cff["title"], paper["title"], str(cff["version"]), "2104.05623"):
        assert text in readme
    assert cff["authors"] == [{"name": "The stylebench authors"}]
    assert [a["family-names"] for a in paper["authors"]] == ["Wang", "Li", "Vasconcelos"]
