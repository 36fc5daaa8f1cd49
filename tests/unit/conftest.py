"""What tests of several modules share: a picture, a results folder with made-up numbers."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from stylebench.figures import FIGURES
from stylebench.store import Results
from tests.unit.pictures import QUADRANTS, expand
from tests.unit.results import FIGURE_NAMES, make


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(expand(QUADRANTS)).save(path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make(tmp_path_factory.mktemp("results") / "out")


@pytest.fixture(scope="module")
def drawn(made: Results) -> dict[str, Figure]:
    return {name: FIGURES[name](made) for name in FIGURE_NAMES}
