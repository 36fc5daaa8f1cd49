"""The figure of the experiment feedforward: systems beside each other, by network and smoothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from stylebench.figures import FIGURES, TABLES
from stylebench.figures.arms import labelled
from stylebench.figures.style import one_setting
from stylebench.store import Results
from stylebench.sweeps.experiment import load_sweep, results_folder
from stylebench.sweeps.reading import shipped
from stylebench.sweeps.training import load_training
from tests.results import Arm, arms, experiment, network

NETWORKS = ("p-vgg19", "p-resnet50", "r-vgg19", "r-resnet50")
SMOOTHINGS = ("none", "softmax-fitted")
TRAINED = ("sanet", "adain")


def every() -> list[Arm]:
    trained = [network(s, n, sm) for s in TRAINED for n in NETWORKS for sm in SMOOTHINGS]
    return [*arms(("p-vgg19", "p-resnet50"), ("none",)), *trained, network("magenta", "")]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return experiment(tmp_path_factory.mktemp("made") / "out", "feedforward", every(), seeds=1)


def test_the_title_says_how_small_the_trainings_are(results: Results) -> None:
    texts = [text.get_text() for text in FIGURES["feedforward"](results).texts]
    assert any("adain, sanet (quick: 1,000 steps, published 160,000)" in text for text in texts)
    assert any("quick settings" in text for text in texts)


def means(axes: Axes) -> list[float]:
    """Return the means that are drawn, in the order of the rows."""
    drawn = [line for line in axes.lines if line.get_zorder() == 4]
    return [round(float(np.asarray(line.get_xdata())[0]), 3) for line in drawn]


def test_rows_are_arms_and_their_seconds_are_of_a_pass(results: Results) -> None:
    made = FIGURES["feedforward"](results)
    scatter, style, content, seconds = made.axes
    rows = [text.get_text().strip() for text in style.texts]
    of_a_network = [n if s == "none" else f"{n}, {s}" for n in NETWORKS for s in SMOOTHINGS]
    assert rows == [
        "optimisation", "SANet", "AdaIN", "Magenta", "p-vgg19", "p-resnet50", *of_a_network,
        *of_a_network, "as published",
    ]  # fmt: skip
    assert means(seconds) == [1.5] * 2 + [0.2] * 17
    assert len(means(style)) == 1 + 2 * 7, "to p-vgg19 of the same system: Magenta has none"
    assert means(style)[:4] == [0.05, 0.05, 0.10, 0.15]
    assert len(means(scatter)) == 19
    assert content.get_title().endswith("SSIM")
    assert seconds.get_xscale() == "log"


def test_the_table_compares_networks_smoothings_and_systems(results: Results) -> None:
    found = TABLES["feedforward"](results)
    pairs = set(zip(found["a"], found["b"], strict=True))
    assert ("sanet p-resnet50, none", "sanet p-vgg19, none") in pairs
    assert ("adain r-vgg19, softmax-fitted", "adain r-vgg19, none") in pairs
    assert ("magenta, none", "p-vgg19, none") in pairs
    assert ("adain p-vgg19, none", "sanet p-vgg19, none") in pairs
    own = found[(found["a"] == "p-resnet50, none") & (found["metric"] == "ssim")]
    assert own["difference"].tolist() == pytest.approx([0.05])


def test_models_that_are_missing_are_told(tmp_path: Path) -> None:
    made = every()
    gone = {"status": "unavailable", "weights": "unavailable", "model": "", "system": "unknown"}
    made[3] |= {**gone, "arch": "train_sanet-fitted", "picture": ""}
    results = experiment(tmp_path / "out", "feedforward", made, seeds=1)
    texts = [text.get_text() for text in FIGURES["feedforward"](results).texts]
    assert any("unavailable: 6 jobs of train_sanet-fitted" in text for text in texts)


def test_settings_of_optimisations_tell_no_network_apart(results: Results) -> None:
    rows = results.results
    shown, note = one_setting(rows)
    assert (len(shown), note) == (len(rows), "")
    assert set(labelled(rows)["setting"]) == {""}
    twice = rows.assign(weights=rows["weights"].str.replace("@sha256:0", "@sha256:1"))
    sanet = twice[twice["arch"] == "sanet p-vgg19"]
    both = pd.concat([rows, sanet], ignore_index=True)
    names = labelled(both).loc[both["arch"] == "sanet p-vgg19", "backbone"].unique()
    assert len(names) == 4, "two files of one name are two networks, for each smoothing"


def test_it_expects_the_models_that_its_trainings_make() -> None:
    systems = load_sweep(shipped()["feedforward"]).system
    profiles = [f"{n}{s}" for n in ("", *NETWORKS[1:]) for s in ("", "-fitted")]
    folders = [
        results_folder(load_training(Path(method), None, profile.strip("-") or None))
        for method in TRAINED
        for profile in profiles
    ]
    models = [f"{folder}/model.safetensors" for folder in folders]
    assert list(systems) == ["optimise", *models, "registry:magenta"]
    makefile = Path(__file__).parents[2] / "Makefile"
    named = makefile.read_text().partition("\nNETWORKS := ")[2].partition("\n")[0].split()
    assert named == ["quick", *(profile.strip("-") for profile in profiles[1:])]


def test_contents_are_none_of_the_trainings() -> None:
    config = load_sweep(shipped()["feedforward"])
    for method in TRAINED:
        seen = load_training(Path(method)).content
        assert not {*config.content} & {*seen}
    assert len(set(config.content)) == 6
