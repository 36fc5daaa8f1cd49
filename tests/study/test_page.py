"""The page of a study: its size, what it does not tell, and its languages."""

import base64
import io
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebench.errors import InputError
from stylebench.store import Results
from stylebench.study import design, page
from tests.study.simulated import results


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Results:
    made = results(tmp_path_factory.mktemp("results") / "out", pairs=3)
    for number, name in enumerate(made.results["picture"]):
        pixels = np.full((24, 36, 3), (20 + 20 * number, 100, 220 - 20 * number), np.uint8)
        Image.fromarray(pixels).save(made.folder / name, quality=100)
    return made


def data_of(html: str) -> dict[str, Any]:
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert text is not None
    data: dict[str, Any] = json.loads(text[1])
    return data


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


def colour(image: Image.Image) -> tuple[int, ...]:
    return tuple(np.asarray(image.convert("RGB"))[12, 18].tolist())


@pytest.mark.parametrize("question", design.QUESTIONS)
def test_each_trial_shows_the_pictures_of_its_jobs(found: Results, question: str) -> None:
    made = design.make(found, question)
    data = data_of(page.build(made, found, page.languages(), Random(0)))
    files = found.results.set_index("job_id")["picture"]
    shown = {trial["trial"]: trial for part in data["parts"] for trial in part}
    assert {*shown} == {trial.trial for trial in made.trials}
    for trial in made.trials:
        for side, name, job in (("a", trial.a, trial.job_a), ("b", trial.b, trial.job_b)):
            image = picture(data["pictures"][shown[trial.trial][side]])
            if name == design.UNTOUCHED:
                assert shown[trial.trial][side] == shown[trial.trial]["content"]
            elif name != design.SCRAMBLED:
                true = colour(Image.open(found.folder / files[job]))
                assert np.abs(np.subtract(colour(image), true)).max() <= 3
            assert image.size == (36, 24)
            assert not image.getexif()
    assert [{made_of["trial"] for made_of in part} for part in data["parts"]] == [
        {trial.trial for trial in made.trials if trial.part == part} for part in range(3)
    ]


def test_a_page_tells_nobody_which_arm_is_which(found: Results) -> None:
    made = design.make(found, "style")
    html = page.build(made, found, page.languages(), Random(0))
    for trial in made.trials:
        for told in (trial.content, trial.style, trial.a, trial.b, trial.job_a, trial.job_b):
            assert told not in html
    keys = {key for part in data_of(html)["parts"] for trial in part for key in trial}
    assert keys == {"trial", "content", "style", "a", "b"}
    others = [data_of(page.build(made, found, page.languages(), Random(n))) for n in (1, 2)]
    assert others[0]["pictures"] != others[1]["pictures"]
    assert sorted(others[0]["pictures"]) == sorted(others[1]["pictures"])


def test_a_result_in_pieces_has_its_pixels_and_not_its_picture() -> None:
    chance = np.random.default_rng(0)
    image = Image.fromarray(chance.integers(0, 255, (48, 72, 3), dtype=np.uint8))
    made = page._in_pieces(image)
    assert made.size == image.size
    one, other = (np.asarray(each).reshape(-1, 3) for each in (image, made))
    assert (np.sort(one, axis=0) == np.sort(other, axis=0)).all()
    assert (one != other).any(axis=1).mean() > 0.9
    assert page._in_pieces(Image.new("RGB", (3, 200))).size[0] == 3


def test_a_page_is_under_five_megabytes(found: Results, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(found.folder, tmp_path / "out")
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 255, (700, 900, 3), dtype=np.uint8)
    for file in (tmp_path / "out" / "images").iterdir():
        Image.fromarray(pixels).save(file, quality=80)
    from stylebench import store

    large = store.load(tmp_path / "out")
    made = design.make(large, "style", comparisons=3)
    html = page.build(made, large, page.languages(), Random(0))
    assert 2_500_000 < len(html.encode()) < page.MOST
    sizes = {picture(uri).size for uri in data_of(html)["pictures"]}
    assert max(max(size) for size in sizes) <= page.LARGEST


def test_too_many_pictures(found: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PICTURES", 1000)
    with pytest.raises(InputError, match="do not fit into a page of 5 MB: expected fewer --pairs"):
        page.build(design.make(found, "style"), found, page.languages(), Random(0))


def test_languages_say_the_same_things() -> None:
    texts = page.languages()
    assert [text.code for text in texts] == ["en", "ko", "de"]
    first = texts[0].model_dump()
    for text in texts[1:]:
        own = text.model_dump()
        assert not {key for key in own if key not in ("code",) and own[key] == first[key]}
        assert len(own["introduction"]) == len(first["introduction"])
    for text in texts:
        assert {"{n}", "{all}"} <= {*re.findall(r"\{\w+\}", text.progress)}
        assert all(arrow in text.keys for arrow in "←→↓⌫")


def test_a_language_of_a_file(tmp_path: Path) -> None:
    english = json.loads((page.TEMPLATES / "en.json").read_text("utf-8"))
    path = tmp_path / "own.json"
    path.write_text(json.dumps(english | {"code": "eo", "name": "Esperanto"}))
    assert [text.code for text in page.languages([path])] == ["en", "ko", "de", "eo"]
    path.write_text(json.dumps(english | {"title": "Another"}))
    assert page.languages([path])[0].title == "Another"
    for wrong, told in (
        ({"start": ""}, "start"), ({"nonsense": "x"}, "nonsense"), ({"code": "<b>"}, "code"),
        ({"question": {"style": "x"}}, "question"), ({"introduction": []}, "introduction"),
    ):  # fmt: skip
        path.write_text(json.dumps(english | wrong))
        with pytest.raises(InputError, match=told):
            page.languages([path])
    path.write_text("{")
    with pytest.raises(InputError, match=r"own\.json"):
        page.languages([path])
    with pytest.raises(InputError, match="no such file"):
        page.languages([tmp_path / "none.json"])
