"""Commands are quick to start: none imports what it does not use."""

from pathlib import Path

import pytest

from stylebench.store import lock
from tests.cli.bench import modules
from tests.results import make

FOREIGN = {"mlflow", "ray", "timm", "sklearn", "skimage", "plenoptic", "torchmetrics"}
"""Of few commands' use, or of one metric's alone."""
TABLES = {"pandas", "pyarrow", "scipy", "matplotlib"}
NETWORKS = {"torch", "torchvision"}
LISTS = ("archs", "experiments", "smoothings", "images", "trainings", "classifiers")
ALL = FOREIGN | TABLES | NETWORKS | {"numpy", "PIL", "yaml", "rich.progress"}

WITHOUT: list[tuple[set[str], list[str]]] = [
    (ALL, ["--help", "--version", "sweep --help"]),
    (FOREIGN | TABLES | NETWORKS, [f"ls {name}" for name in LISTS]),
    (FOREIGN | NETWORKS | {"scipy", "matplotlib"}, ["status RESULTS"]),
    (FOREIGN | NETWORKS | {"scipy", "matplotlib.pyplot"},
     ["ls figures", "figures RESULTS --only summary"]),
    (FOREIGN | {"torchvision", "scipy", "matplotlib"}, ["sweep --arch r-vgg19 --dry-run"]),
    (FOREIGN | {"torchvision", "scipy", "matplotlib.pyplot"}, ["ls"]),
    (FOREIGN | {"scipy", "matplotlib"},
     ["transfer chelsea mosaic --arch r-vgg11 --size 48 --evals 1"]),
]  # fmt: skip
"""Modules -> commands that must not load them, all of which one process runs."""
LONG = [commands for _, commands in WITHOUT[-3:]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("made") / "out").folder
    lock.announce(folder, [])
    return folder


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("foreign", "commands"),
    [pytest.param(*each, marks=[pytest.mark.slow] * (each[1] in LONG)) for each in WITHOUT],
    ids=[commands[0] for _, commands in WITHOUT],
)
def test_commands_import_what_they_use(
    foreign: set[str], commands: list[str], results: Path, tmp_path: Path
) -> None:
    words = [command.replace("RESULTS", str(results)).split() for command in commands]
    loaded = modules(words, tmp_path)
    assert [sorted(each & foreign) for each in loaded] == [[] for _ in commands], commands
