"""Scale-free statistics by stage, beside the paper's figure 3.

The paper's entropies measure scale: multiply a map by 0.001 and its softmax entropy becomes 1.
These six do not change when a map is multiplied by a constant, so they show shape alone.
"""

from matplotlib.figure import Figure

from stylebench.figures import figure
from stylebench.figures.panels import Panel, draw_panels
from stylebench.store import Results

PANELS = (
    Panel("l1_entropy", "entropy of |F|/Σ|F|", "unit"),
    Panel("max_over_mean", "max|F| / mean|F|", "log"),
    Panel("participation_ratio", "participation ratio", "log"),
    Panel("gram_effective_rank", "effective rank of G", "log"),
    Panel("gram_top_share", "share of G's top eigenvalue", "unit"),
    Panel("gram_diagonal_share", "share of G's diagonal", "unit"),
)


@figure("scale_free")
def scale_free(results: Results) -> Figure:
    """Statistics that a constant factor does not change, by stage, beside the paper's figure 3."""
    return draw_panels(results, PANELS, "Scale-free statistics of activations and Gram matrices")
