"""What the tests of pictures share."""

from pathlib import Path

import pytest
from PIL import Image

from tests.unit.pictures import QUADRANTS, expand


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(expand(QUADRANTS)).save(path)
    return path
