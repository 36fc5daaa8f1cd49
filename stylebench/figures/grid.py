"""The grid of stylisations: the pictures of the paper's figure 1, and the one in the README."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure, sheet
from stylebench.figures.style import backbone_names, one_setting, order_backbones, order_smoothings
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
    jobs, note = one_setting(results.results.assign(column=backbone_names(results.results)))
    jobs = jobs.assign(
        row=pd.Categorical(jobs["smoothing"], order_smoothings(jobs["smoothing"])),
        column=pd.Categorical(jobs["column"], order_backbones(jobs["column"])),
    )
    return sheet.draw(results, jobs, look=LOOK, left_out=[note] if note else [])
