"""Commands are quick to start: none imports what it does not use."""

import subprocess
import sys
from pathlib import Path

import pytest

from stylebench.store import lock
from tests.results import make

FOREIGN = {"mlflow", "ray", "timm", "sklearn", "skimage", "plenoptic", "torchmetrics"}
"""Of few commands' use, or of one metric's alone."""
TABLES = {"pandas", "pyarrow", "scipy", "matplotlib"}
NETWORKS = {"torch", "torchvision"}
ALL = FOREIGN | TABLES | NETWORKS | {"numpy", "PIL", "yaml", "rich.progress"}

WITHOUT: dict[str, set[str]] = {
    "--help": ALL,
    "--version": ALL,
    "sweep --help": ALL,
    "ls archs": FOREIGN | TABLES | NETWORKS,
    "ls experiments": FOREIGN | TABLES | NETWORKS,
    "ls smoothings": FOREIGN | TABLES | NETWORKS,
    "ls images": FOREIGN | TABLES | NETWORKS,
    "ls figures": FOREIGN | NETWORKS | {"scipy", "matplotlib.pyplot"},
    "ls": FOREIGN | {"torchvision", "scipy", "matplotlib.pyplot"},
    "sweep --arch r-vgg19 --dry-run": FOREIGN | {"torchvision", "scipy", "matplotlib"},
    "status RESULTS": FOREIGN | NETWORKS | {"scipy", "matplotlib"},
    "figures RESULTS --only summary": FOREIGN | NETWORKS | {"scipy", "matplotlib.pyplot"},
    "transfer chelsea mosaic --arch r-vgg11 --size 48 --evals 1": FOREIGN | {"scipy", "matplotlib"},
}
"""Command -> modules that it must not load."""

CODE = """
import sys
from stylebench.cli.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print("LOADED", *sys.modules)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("made") / "out").folder
    lock.announce(folder, [])
    return folder


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("command", WITHOUT)
def test_command_imports_what_it_uses(command: str, results: Path, tmp_path: Path) -> None:
    words = command.replace("RESULTS", str(results)).split()
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "LOADED" in loaded
    assert sorted(loaded & WITHOUT[command]) == []
