"""The grid of stylisations: the pictures of the paper's figure 1, and the one in the README."""

from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, sheet, style
from stylebench.store import Results

LOOK = sheet.Look(
    side=22, gap=10, rows=12, around=(3.5, 8.5), name={"fontsize": 7.5}, character=5.9,
    prefix="smoothing: ",
    legend="r- = random weights, p- = pretrained.  Smoothing is applied in the losses only.",
)  # fmt: skip


@figure("grid", sheet=True)
def grid(results: Results) -> Figure:
    """Stylisations: content and style, then a column per backbone and a row per smoothing."""
    if not len(results.results):
        raise NoDataError("no stylisations in these results")
    ranked = style.ranked(results.results)
    jobs = results.results.assign(row=ranked["smoothing"], column=ranked["backbone"])
    jobs, note = style.one_setting(jobs)
    return sheet.draw(results, jobs, look=LOOK, left_out=[note] if note else [])
