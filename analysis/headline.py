"""The first picture: VGG-19 and ResNet-50 with the published losses, ResNet-50 under `robust`."""

import pandas as pd
from matplotlib.figure import Figure

from stylebench.figures import figure
from stylebench.figures.arms import labelled
from stylebench.figures.measured import pictures
from stylebench.figures.sheet import Look
from stylebench.store import Results

NAME = "headline"
CALLED = {"paper": "as published"}
"""What a preset is called over its column."""
LOOK = Look(width=1600, widest=320)
"""Five pictures of 300 px and more stand side by side."""


@figure(NAME, experiment=NAME, sheet=True)
def columns(results: Results) -> Figure:
    """Content, style and a column for each backbone and preset."""
    jobs = labelled(results.results)
    preset = jobs["preset"].map(lambda name: CALLED.get(name, name))
    names = jobs["backbone"].astype(str) + ", " + preset
    order = names[jobs.sort_values("backbone", kind="stable").index].drop_duplicates()
    setting = pd.Categorical(names, order)
    told = (
        "As published: eqs. (3) and (4) with the weights of Gatys et al. 2016, the same for both "
        "backbones. Robust: terms matched by their gradients, in Fourier space."
    )
    alone = jobs.assign(setting=setting, backbone="", smoothing="")
    return pictures(results, alone, told=told, look=LOOK)
