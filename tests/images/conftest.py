"""A picture in a file."""

from pathlib import Path

import pytest
from PIL import Image

from tests.images.pictures import QUADRANTS, expand


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(expand(QUADRANTS)).save(path)
    return path
