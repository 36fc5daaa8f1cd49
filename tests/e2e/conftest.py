"""A sweep with the tiny backbone, and a browser: each made once for the tests of a module."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bench import Run, invoke, write_yaml
from tests.e2e.browser import Page, browser


@pytest.fixture(scope="module")
def window() -> Iterator[Page]:
    """Return a browser for the tests of a module that asks for one."""
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Return a sweep of two smoothings and two pairs: nothing is left out, nothing pretended."""
    folder = tmp_path_factory.mktemp("swept")
    out = folder / "out"
    return invoke("sweep", "--out", out, write_yaml(folder / "tiny.yaml")), out


@pytest.fixture
def copy(swept: tuple[Run, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Return (YAML, OUT) of the sweep, copied to another place."""
    shutil.copytree(swept[1], tmp_path / "copy")
    return write_yaml(tmp_path / "tiny.yaml"), tmp_path / "copy"
