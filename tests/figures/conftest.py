"""Every figure of made-up results, drawn once for a module."""

import pytest
from matplotlib.figure import Figure

from stylebench.figures import FIGURES
from stylebench.store import Results
from tests.results import FIGURE_NAMES


@pytest.fixture(scope="module")
def drawn(made: Results) -> dict[str, Figure]:
    return {name: FIGURES[name](made) for name in FIGURE_NAMES}
