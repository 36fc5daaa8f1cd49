"""Puts analysis/ and experiments/ into the wheel; everything else is said in pyproject.toml."""

from setuptools import find_packages, setup

FOLDERS = {f"stylebench._{name}": name for name in ("analysis", "experiments")}

setup(packages=[*find_packages(include=["stylebench*"]), *FOLDERS], package_dir=FOLDERS)
