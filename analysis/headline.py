"""The first picture: VGG-19 and ResNet-50 with the published losses, ResNet-50 under `robust`."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import NoDataError, figure
from stylebench.figures.arms import labelled
from stylebench.figures.measured import pictures
from stylebench.figures.sheet import Look
from stylebench.store import Results

NAME = "headline"
IMAGES = {"fourier": "in Fourier space", "spectrum": "the picture as its spectrum"}
"""What was optimised, where it was not the pixels."""
WIDTH = 1600
"""Pixels, so that five pictures of 300 and more stand side by side."""


@figure(NAME, experiment=NAME, sheet=True, widest=WIDTH)
def columns(results: Results) -> Figure:
    """Content, style and a column for each backbone and preset."""
    if not len(results.results):
        raise NoDataError("no stylisations in these results")
    jobs = labelled(results.results)
    robust = jobs[jobs["preset"] == "robust"]
    images = list(robust["image"].drop_duplicates())
    names = jobs["backbone"].astype(str) + ", " + jobs["setting"].astype(str)
    order = names[jobs.sort_values("backbone", kind="stable").index].drop_duplicates()
    setting = pd.Categorical(names, order)
    told = (
        "As published: eqs. (3) and (4) with the weights of Gatys et al. 2016, the same for both "
        "backbones."
    )
    if images:
        what = " or ".join(IMAGES.get(image, image) for image in images)
        told += f" Robust: terms matched by their gradients, {what}."
    alone = jobs.assign(setting=setting, backbone="", smoothing="")
    return pictures(results, alone, told=told, look=Look(width=WIDTH, widest=320))
