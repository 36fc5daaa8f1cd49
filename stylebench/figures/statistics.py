"""Activation and Gram statistics by stage: figure 3 of the paper, equations (5) to (8).

Wang, Li, Vasconcelos, CVPR 2021: in networks with shortcuts the activations of deep stages are
peaky (large maxima, entropy near 0), and softmax smoothing takes that away.
"""

from matplotlib.figure import Figure

from stylebench.figures import figure
from stylebench.figures.panels import Panel, draw_panels
from stylebench.store import Results

PANELS = (
    Panel("max", "activation maximum, eq. (5)", "log"),
    Panel("entropy", "activation entropy, eq. (6)", "unit"),
    Panel("gram_max", "Gram maximum (G/M), eq. (7)", "log"),
    Panel("gram_entropy", "Gram entropy (G/M), eq. (8)", "unit"),
)


@figure("statistics")
def statistics(results: Results) -> Figure:
    """Maxima and entropies of activations and Gram matrices by stage (the paper's figure 3)."""
    return draw_panels(results, PANELS, "Activation and Gram statistics by stage")
