"""Simulated participants: they prefer arms by known Bradley–Terry scores, and say that they are."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from stylebench.store import Results
from stylebench.study import design
from stylebench.study.design import Design, Trial
from tests.results import PAIRS, arms, by_arm, write

ARMS = ("p-vgg19", "p-resnet50", "r-vgg19")
SCORES = dict(zip(ARMS, (1.0, 0.2, -1.2), strict=True))


def results(out: Path, names: tuple[str, ...] = ARMS, pairs: int = 8) -> Results:
    """Write a results folder with made-up pictures of arms."""
    many = [*PAIRS, *((f"photo{n}", f"style{n - 6}") for n in range(6, 18))][:pairs]
    return write(out, arms(names, ("none",)), many, 1, by_arm)


def study(out: Path, found: Results, question: str = "style", **more: Any) -> Design:
    """Write the design of a study, always the same of the same results; return it."""
    made = design.make(found, question, chance=Random(0), **more)
    out.mkdir()
    design.write(made, found, out)
    return made


def choice(trial: Trial, scores: Mapping[str, float], chance: np.random.Generator) -> str:
    """Return what one who pays attention chooses."""
    if trial.expected:
        return trial.expected
    odds = scores[trial.b] - scores[trial.a]
    return "a" if chance.random() < 1 / (1 + np.exp(odds)) else "b"


def answers(
    made: Design, scores: Mapping[str, float], chance: np.random.Generator, **more: Any
) -> dict[str, Any]:
    """Return what the file of a participant holds."""
    return {
        "format": 1, "study": made.study, "participant": chance.bytes(8).hex(), "language": "en",
        "exchanged": bool(chance.integers(2)), "simulated": True,
        "answers": [{"trial": t.trial, "choice": choice(t, scores, chance)} for t in made.trials],
        **more,
    }  # fmt: skip


def people(
    out: Path, made: Design, count: int = 12, seed: int = 0, scores: Mapping[str, float] = SCORES,
    **more: Any,
) -> list[Path]:  # fmt: skip
    """Write the answer files of participants."""
    chance, paths = np.random.default_rng(seed), []
    out.mkdir(exist_ok=True)
    for number in range(count):
        paths.append(out / f"p{number:02}.json")
        paths[-1].write_text(json.dumps(answers(made, scores, chance, **more)))
    return paths
