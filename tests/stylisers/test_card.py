"""Files of models: what a stranger's, a damaged or another file ends in is one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stylebench.errors import InputError
from stylebench.stylisers import card
from stylebench.stylisers.styliser import load
from tests.stylisers.tiny import model

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("good"), steps=1)


def changed(good: Path, place: Path, changes: dict[str, Any], drop: tuple[str, ...] = ()) -> Path:
    """Return a copy of a model, some keys of its card and some of its tensors changed."""
    told = {**json.loads(card.read(good).model_dump_json()), **changes}
    state = {k: v for k, v in load_file(good).items() if k not in drop}
    save_file(state, place / "x.safetensors", {card.KEY: json.dumps(told)})
    return place / "x.safetensors"


def refused(path: Path) -> str:
    with pytest.raises(InputError) as told:
        load(path, offline=True)
    assert "\n" not in str(told.value)
    assert len(str(told.value).replace(str(path.parent), "")) < 320  # the folder's name is as it is
    return str(told.value)


def test_a_copy_loads(good: Path, tmp_path: Path) -> None:
    assert load(changed(good, tmp_path, {})).name == "sanet"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [10**9, 8]}, "card: widths.0: expected at most 4096"),
        ({"widths": [8] * 1000}, "card: widths: expected at most 2 items"),
        ({"widths": [8]}, "card: widths .* do not fit"),
        ({"widths": [16, 8]}, "card: widths .* do not fit"),
        ({"widths": [8, 4096]}, "is not as its card says"),
        ({"decoder": [8, 4096, 4096, 4096]}, "is not as its card says"),
        ({"decoder": [8, 32, 32]}, "card: widths .* do not fit"),
        ({"decoder": [8, 32]}, "card: decoder: expected at least 3 items"),
        ({"decoder": [8, 1e300, 32, 32]}, "card: decoder.1: expected a whole number"),
        ({"steps": 10**400}, "card: "),
        ({"steps": 0}, "card: steps"),
        ({"seed": -1}, "card: seed"),
        ({"format": 2}, "card: format: expected 1"),
        ({"name": "magenta"}, "card: name: expected 'adain' or 'sanet'"),
        ({"name": "adain"}, "do not fit"),
        ({"encoder": "r-tniy"}, "its encoder r-tniy: unknown backbone 'r-tniy'"),
        ({"encoder": "r-vgg11"}, "has maps of other widths"),
        ({"encoder": "r-*"}, "its encoder"),
        ({"encoder": "r-alexnet+gamma=3"}, "its encoder"),
        ({"encoder": "p-vgg19"}, "its encoder p-vgg19: .*weights"),
        ({"weights": {"source": "random:0", "sha256": "ab" * 32}}, "sha256 abababababab"),
        ({"more": 1}, "card: more: unknown key"),
        ({"training": {"x": "y" * 2_000_000}}, "found a card of 2,0"),
    ],
)
def test_a_strangers_card(
    good: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    found = refused(changed(good, tmp_path, changes))
    assert re.search(message, found), found


def test_a_card_runs_no_file(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where it says nor in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "of_a_card.py").write_text("open('ran', 'w')\n")
    for encoder in (
        "of_a_card.py:Net",
        "r-of_a_card.py:Net",
        f"{tmp_path}/of_a_card.py:Net",
        "./of_a_card.py:Net",
    ):
        assert "its encoder" in refused(changed(good, tmp_path, {"encoder": encoder}))
    code = {"code": {"of_a_card.py": "0" * 16}, "encoder": "r-of_a_card.py:Net"}
    assert "needs the plug-in of_a_card.py" in refused(changed(good, tmp_path, code))
    assert not (tmp_path / "ran").exists()


def test_other_files(good: Path, tmp_path: Path) -> None:
    assert "no model " in refused(tmp_path / "none.safetensors")
    assert "found a folder" in refused(tmp_path)
    (tmp_path / "text.safetensors").write_text("no model")
    assert "expected a model that `stylebench train` wrote" in refused(
        tmp_path / "text.safetensors"
    )
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:-100])
    assert "train` wrote, found another file, or a part" in refused(tmp_path / "cut.safetensors")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    assert "expected a model that" in refused(tmp_path / "empty.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert "without its card: other weights?" in refused(tmp_path / "other.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "bad.safetensors", {card.KEY: "{"})
    assert "card: " in refused(tmp_path / "bad.safetensors")


def test_tensors_that_are_not_what_the_card_says(good: Path, tmp_path: Path) -> None:
    name = "decoder.0.1.weight"
    assert f"{name!r} is not as its card says" in refused(changed(good, tmp_path, {}, (name,)))
    text, state = card.read(good).model_dump_json(), load_file(good)
    for value, message in (
        (torch.full_like(state[name], torch.nan), "has values that are not finite"),
        (state[name].half(), "is not as its card says"),
        (state[name][:1], "is not as its card says"),
    ):
        save_file({**state, name: value.contiguous()}, tmp_path / "t.safetensors", {card.KEY: text})
        assert message in refused(tmp_path / "t.safetensors")


def test_a_published_styliser_that_is_none() -> None:
    with pytest.raises(
        InputError, match="no model 'registry:magneta'; did you mean 'registry:magenta'"
    ):
        load("registry:magneta")
