"""Figures and tables for papers: PDF, SVG, LaTeX."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from stylebench.figures import FIGURES, draw, latex, layout, paper
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
    paper.settle(made, width)
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
        kinds = Paper(("pdf", "svg"), 6.9)
        paths = [path for _, path in draw(results.folder, ["statistics"], kinds)]
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
    paper.settle(made, 3.3)


def test_a_narrow_grid_has_whole_names_and_pictures_that_can_be_seen(tmp_path: Path) -> None:
    names = ["r-vgg19", "r-pseudo-resvgg", "r-noresnet50"]
    results = make(tmp_path / "out", names, ["none", "softmax"], seeds=1)
    with layout.wide(3.3):
        made = FIGURES["grid"](results)
    shown = [re.sub(r"\s", "", text.get_text()) for text in made.texts]
    assert {*names} <= {*shown}
    assert "content:cat" in shown
    assert not [text for text in shown if "…" in text]
    widths = [axes.get_position().width * made.get_figwidth() for axes in made.axes]
    assert min(widths) >= 0.6, "inches, of one that stands upright in its cell"
    assert max(widths) >= 0.9


TALL = ["r-resnet50+gamma=0.25", "r-resnet50+downsample=blur+gamma=0.25"]


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of many smoothings and long names, of which figures are taller than a page."""
    smoothings = ["none", *(f"softmax(temperature={t})@deep" for t in (1, 10, 100))]
    return make(tmp_path_factory.mktemp("tall") / "out", TALL, smoothings, seeds=1)


def _ink(figure: Any) -> list[tuple[Any, Any]]:
    """Return what a figure is made of with the box of each in inches."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [
        (artist, artist.get_tightbbox(canvas.get_renderer()))
        for artist in figure.get_children()
        if artist is not figure.patch and artist.get_visible()
    ]
    scaled = [(a, box.transformed(figure.dpi_scale_trans.inverted())) for a, box in boxes if box]
    return [(artist, box) for artist, box in scaled if box.height > 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width"),
    [("scale_free", 3.3), ("curves", 2.0), ("grid", 3.3), ("gradients", 3.3), ("gradients", 6.9)],
)
def test_no_part_is_taller_than_a_page_and_nothing_is_cut(
    name: str, width: float, tall: Results
) -> None:
    with layout.wide(width):
        made = FIGURES[name](tall)
    paper.settle(made, width)
    whole = {id(artist) for artist, _ in _ink(made)}
    parts = paper.parts(made)
    drawn: list[int] = []
    for part in parts:
        place = paper.shown(made, part)
        assert place.width == pytest.approx(width, abs=0.01)
        assert place.height <= paper.TALLEST
        for artist, box in _ink(made):
            drawn.append(id(artist))
            assert box.y0 >= place.y0 - 0.01, artist
            assert box.y1 <= place.y1 + 0.01, artist
            assert box.x0 >= -0.02, artist
            assert box.x1 <= width + 0.02, artist
        for text in made.findobj(Text):
            assert not text.get_text() or float(text.get_fontsize()) >= paper.SMALLEST
    assert len(drawn) == len(set(drawn))
    assert {*drawn} == whole


@pytest.mark.parametrize("width", [2.5, 3.3])
def test_names_of_panels_stand_apart(width: float, tall: Results) -> None:
    with layout.wide(width):
        made = FIGURES["curves"](tall)
    paper.settle(made, width)
    canvas: Any = FigureCanvasAgg(made)
    canvas.draw()
    found = [made.texts[0], *(axes.title for axes in made.axes if axes.get_title())]
    found += [axes.xaxis.label for axes in made.axes if axes.get_visible() and axes.lines]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in found if text.get_text()]
    for place, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[place + 1 :]), found[place]


def test_a_figure_is_cut_where_nothing_is_drawn_into_parts_of_one_height() -> None:
    from matplotlib.figure import Figure

    made = Figure(figsize=(3, 20))
    for number in range(10):
        made.text(0.5, 0.05 + number / 10, str(number))
    assert [len(part.artists) for part in paper.parts(made)] == [5, 5]
    assert [len(part.artists) for part in paper.parts(made, 8)] == [4, 4, 2]
    assert len(paper.parts(made, 100)) == 1
    whole = Figure(figsize=(3, 20))
    whole.add_axes((0.2, 0.05, 0.7, 0.9))
    assert len(paper.parts(whole)) == 1  # no place to cut


@pytest.mark.slow
def test_tall_figures_become_files(tall: Results) -> None:
    found = [path for _, path in draw(tall.folder, ["scale_free"], Paper(("pdf", "svg"), 3.3))]
    names = [path.name for path in found if isinstance(path, Path)]
    count = len(names) // 2
    ends = ["", *(f"-{number}" for number in range(2, count + 1))]
    assert count > 1
    assert names == [f"scale_free{end}.{kind}" for kind in ("pdf", "svg") for end in ends]
    for path in found[count:]:
        assert isinstance(path, Path)
        flat = re.search(r'<svg [^>]*?height="([\d.]+)pt"', path.read_text())
        assert flat is not None
        assert float(flat[1]) <= 72 * paper.TALLEST


def test_parts_that_are_left_of_another_width_are_removed(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    def high(_: Results) -> Figure:
        made = Figure(figsize=(3, 20))
        for number in range(10):
            made.text(0.5, 0.05 + number / 10, str(number))
        return made

    folder = results.folder / "figures"
    for name in ("high", "high-79"):
        monkeypatch.setitem(FIGURES._entries, name, high)
    list(draw(results.folder, ["high"], Paper(("pdf", "svg"), 3.3)))
    parts = {path.name for path in folder.glob("high-*.svg")}
    assert "high-2.svg" in parts
    (folder / "high-77.pdf").mkdir()
    (folder / "high-78.pdf").symlink_to(folder / "high.svg")
    ends = ("02.pdf", "x.pdf", "2.txt", "2-2.pdf", "0.pdf", "1.pdf", "79.pdf")
    others = {*(f"high-{end}" for end in ends), "my_high-2.pdf"}
    for other in others:
        (folder / other).write_text("")
    found = [path for _, path in draw(results.folder, ["high"], Paper(("pdf",)))]
    assert [*map(str, found)] == [str(folder / "high.pdf")]
    left = {path.name for path in folder.glob("*high-*")}
    others |= {"high-77.pdf", "high-78.pdf"}
    assert left == {*others, *parts}, "those of the other format stay, and what has other names"


def test_wide_tables_have_small_letters_and_say_what_is_the_same() -> None:
    names = [f"r-resnet50+downsample=blur+gamma={n}" for n in range(60)]
    frame = pd.DataFrame({"preset": "robust", "arch": names, "weights": names, "size": 256,
                          "a_long_name_of_a_number": range(60), "smoothing": names})  # fmt: skip
    lines = latex.table(frame[:3]).splitlines()
    assert lines[0] == "% the same in all rows, for the caption: preset robust; size 256"
    assert lines[1] == r"% needs \usepackage{booktabs}"
    assert lines[2:4] == [
        r"{\footnotesize\setlength{\tabcolsep}{3pt}", r"\begin{tabular}{llrl}",
    ]  # fmt: skip
    assert r"\shortstack[r]{a \\ long \\ name \\ of \\ a \\ number}" in lines[5]
    broken = r"\parbox[t]{10em}{\raggedright r-resnet50+\allowbreak{}downsample=\allowbreak{}blur"
    assert broken in lines[7]
    assert lines[-1] == r"\end{tabular}}"
    long = latex.table(frame[["arch", "size"]].assign(size=range(60))).splitlines()
    assert long[0] == r"% needs \usepackage{booktabs}, \usepackage{longtable}"
    assert long[1] == (
        "% 60 rows, more than a page: on pages of one column, in no table environment"
    )
    assert long[2] == r"\begin{longtable}{lr}"
    assert r"\endhead" in long
    assert long[-1] == r"\end{longtable}"
    many = latex.table(pd.concat([frame.add_suffix(str(n)) for n in range(3)], axis=1)[:3])
    assert "% in 3 parts, one below the other, as it is wider than a page" in many
    heads = [line for line in many.splitlines() if line.startswith("arch0 & ")]
    assert len(heads) == 3, "what tells rows apart begins each part"
    for name in ("arch1", "arch2"):
        assert sum(f" {name} " in head for head in heads) == 1


def test_what_follows_from_a_column_is_in_the_key_and_intervals_are_one_column() -> None:
    rows = [
        {"arch": arch, "weights": f"a-long-name-of-weights-of-{arch}", "metric": metric,
         "better": {"swd": "lower", "ssim": "higher"}[metric], "judge": judge,
         "judge_weights": "" if not judge else "another-long-name-of-weights",
         "mean": place / 8, "low": place / 9, "high": place / 7}
        for place, (arch, metric, judge) in enumerate(
            (arch, metric, judge) for arch in ("p-vgg19", "r-vgg19")
            for metric in ("swd", "ssim") for judge in ("", "p-b"))
    ]  # fmt: skip
    lines = latex.table(pd.DataFrame(rows)).splitlines()
    key = [line.removeprefix("% key, for the caption: ") for line in lines if "% key" in line]
    assert key == [
        "weights: p-vgg19 a-long-name-of-weights-of-p-vgg19; "
        "r-vgg19 a-long-name-of-weights-of-r-vgg19",
        "better: swd lower; ssim higher",
        "judge weights: p-b another-long-name-of-weights",
    ]
    assert r"arch & metric & judge & mean [low, high] \\" in lines
    assert r"p-vgg19 & swd & p-b & 0.125 [0.111, 0.143] \\" in lines
    narrow = latex.table(pd.DataFrame(rows)[["arch", "weights", "mean"]]).splitlines()
    assert not [line for line in narrow if "% key" in line], "what is narrow stays whole"


@pytest.mark.parametrize(
    ("columns", "form", "told"),
    [({"a": ["x", "x"], "b": [1, 1]}, "l", ["% the same in all rows, for the caption: b 1"]),
     ({"b": [1, 1, 1], "a": ["x"] * 3}, "r", ["% the same in all rows, for the caption: a x"]),
     ({"a": ["x", "x"]}, "l", []),
     ({"v": [1.5, 1.5], "v_std": [0.5, 0.5], "a": ["x", "x"]}, "r",
      ["% the same in all rows, for the caption: a x"]),
     ({"a": ["x"], "b": [1]}, "lr", []),
     ({"a": ["x"] * 60, "b": [1] * 60}, "l", ["% the same in all rows, for the caption: b 1"])],
)  # fmt: skip
def test_a_table_of_equal_rows_has_its_rows(
    columns: dict[str, list[Any]], form: str, told: list[str]
) -> None:
    frame = pd.DataFrame(columns)
    lines = latex.table(frame).splitlines()
    assert [line for line in lines if "the same in all" in line] == told
    kind = "longtable" if len(frame) > latex.ROWS else "tabular"
    assert rf"\begin{{{kind}}}{{{form}}}" in lines
    assert sum(line.endswith(r" \\") for line in lines) == 1 + len(frame)


def test_tables_in_latex(results: Results) -> None:
    list(draw(results.folder, ["summary"], Paper(("tex",))))
    text = (results.folder / "tables" / "summary.tex").read_text(encoding="utf-8")
    assert not list((results.folder / "figures").glob("summary.*"))
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
        assert text.count(rule) == text.count(r"\begin{tabular}") > 0
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
