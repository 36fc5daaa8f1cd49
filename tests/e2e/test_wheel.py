"""A built wheel, unpacked elsewhere: it holds everything, and experiments run by their names."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "from setuptools import build_meta as b; print(b.{}('dist'), file=open('made', 'w'))"


def _build(source: Path, what: str) -> Path:
    subprocess.run([sys.executable, "-c", BUILD.format(what)], cwd=source, check=True)
    return source / "dist" / (source / "made").read_text().strip()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what a wheel is built from."""
    source = tmp_path_factory.mktemp("source")
    for name in ("stylebench", "analysis", "experiments"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return _build(source, "build_wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel unpacked, and beside it what is another's."""
    place = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    _lay_traps(place)
    return place


def _lay_traps(place: Path) -> None:
    """Make folders named as ours, with code in them that must not run."""
    for name in ("analysis", "experiments"):
        (place / name).mkdir()
        for file in ("fig3.py", "foreign.py"):
            (place / name / file).write_text("raise SystemExit('foreign code ran')\n")
    (place / "experiments" / "fig3.yaml").write_text("arch: [r-foreign]\n")


def _run(installed: Path, here: Path, *args: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed), "STYLEBENCH_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "stylebench", *args],
        cwd=here, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout


def _data(folder: Path) -> set[str]:
    """Return the files in a package, but for its compiled ones."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}


@pytest.mark.parametrize("kind", ["wheel", "wheel of the source distribution"])
def test_a_wheel_holds_everything(kind: str, source: Path, wheel: Path, tmp_path: Path) -> None:
    if kind != "wheel":
        known = hasattr(tarfile, "data_filter")  # not before Python 3.11.4
        safe: Any = {"filter": "data"} if known else {}
        shutil.unpack_archive(_build(source, "build_sdist"), tmp_path, **safe)
        wheel = _build(next(tmp_path.iterdir()), "build_wheel")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("stylebench/") for name in archive.namelist()}
    ours = {
        f"_{name}/{file}" for name in ("analysis", "experiments") for file in _data(ROOT / name)
    }
    assert {name for name in names if ".dist-info/" not in name} == _data(
        ROOT / "stylebench"
    ) | ours


def test_the_wheel_knows_its_experiments_and_figures(installed: Path, tmp_path: Path) -> None:
    _lay_traps(tmp_path)
    names = {path.stem for path in (ROOT / "experiments").glob("*.yaml")}
    listed = _run(installed, tmp_path, "ls", "experiments").splitlines()
    assert {line.split()[0] for line in listed} == names
    kinds = {
        tuple(line.split()[:2]) for line in _run(installed, tmp_path, "ls", "figures").splitlines()
    }
    assert {("figure", "fig3"), ("table", "fig3"), ("figure", "grid")} <= kinds


@pytest.mark.slow
def test_an_experiment_of_the_wheel_runs_and_gets_its_own_figures(
    installed: Path, tmp_path: Path
) -> None:
    _lay_traps(tmp_path)
    out = tmp_path / "out"
    shown = _run(installed, tmp_path, "sweep", "fig3", "--arch", "r-vgg11", "--size", "48",
                 "--seed", "0", "--out", str(out))  # fmt: skip
    assert "1 ok, 0 failed" in shown
    assert (out / "figures" / "fig3.png").stat().st_size
    (out / "tables" / "fig3.csv").unlink()
    _run(installed, tmp_path, "figures", str(out), "--only", "fig3")
    assert (out / "tables" / "fig3.csv").stat().st_size
    _run(installed, tmp_path, "report", str(out))
    assert "fig3" in (out / "report.html").read_text(encoding="utf-8")
