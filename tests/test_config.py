"""Configuration: defaults, presets, YAML and flags, and what a job id means."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from stylebench.classifiers.settings import AccuracySettings
from stylebench.config import (
    Frozen,
    ImageRef,
    Ingredient,
    JobSpec,
    LossSpec,
    NodeChoice,
    OptimiserSpec,
    Region,
    SmoothingSpec,
    WeightsRef,
)
from stylebench.stylisers.settings import TrainSettings
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.settings import SweepConfig
from stylebench.transfer.presets import PRESETS
from tests.jobs import job

EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").glob("*.yaml"))


def test_experiments_default_spells_out_the_default() -> None:
    default = Path("experiments/default.yaml")
    path = next(p for p in EXPERIMENTS if p.name == default.name)
    spelled = load_sweep(path).model_dump(exclude={"description"})
    assert spelled == load_sweep().model_dump(exclude={"description"})
    assert set(yaml.safe_load(path.read_text())) == set(SweepConfig.model_fields) - {
        "backbone_options", "weights", "input", "nodes", "limit", "profile", "judge", "variants"
    }  # fmt: skip


def test_a_preset_from_the_command_line_replaces_what_the_file_says(tmp_path: Path) -> None:
    path = next(p for p in EXPERIMENTS if p.name == "default.yaml")
    found = load_sweep(path, {"preset": "released"})
    assert (found.loss.balance, found.loss.style_weight, found.resize) == ("none", 1e17, "squash")
    assert found.optimiser.line_search == "none"
    assert found.size == load_sweep(path).size


def test_the_default_preset_is_robust() -> None:
    config = load_sweep()
    found = (config.preset, config.loss.balance, config.image)
    assert found == ("robust", "gradient", "spectrum")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_of_stylisations_names_its_preset(path: Path) -> None:
    """Its numbers stay what they are when the default changes."""
    written = yaml.safe_load(path.read_text())
    named = [{**written, **variant} for variant in written.get("variants", [{}])]
    assert all("preset" in arm for arm in named) or path.stem in ("fig3", "smoke")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_set_the_loss_and_yaml_goes_before_them(preset: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"preset: {preset}\nloss: {{style_weight: 7}}\n")
    config = load_sweep(path)
    expected = LossSpec.model_validate({**PRESETS[preset].get("loss", {}), "style_weight": 7})
    assert config.loss == expected
    optimiser = OptimiserSpec.model_validate(PRESETS[preset].get("optimiser", {}))
    assert config.optimiser == optimiser
    assert config.resize == ("squash" if preset in ("released", "keras") else "aspect")
    assert config.image == ("spectrum" if preset == "robust" else "pixels")


def test_the_presets_of_published_code_are_theirs() -> None:
    """torch's L-BFGS as declared; Keras' weights, and fmin_l_bfgs_b with its default history."""
    for name in ("paper", "released"):
        config = load_sweep(None, {"preset": name})
        assert (config.optimiser.line_search, config.optimiser.history) == ("none", 100)
        assert config.optimiser.first_step == "torch"
    keras = load_sweep(None, {"preset": "keras"})
    assert (keras.optimiser.name, keras.optimiser.history) == ("lbfgsb", 10)
    assert (keras.loss.normalisation, keras.loss.balance) == ("keras", "none")
    assert (keras.loss.content_weight, keras.loss.tv_weight) == (2.5e-8, 1e-6)
    assert 5 * keras.loss.style_weight == pytest.approx(1e-6)


def test_flags_go_before_yaml_and_pair_everything(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("size: 100\nevals: 9\npairing: zip\n")
    config = load_sweep(path, {"size": 200, "content": ["chelsea"], "arch": None})
    assert (config.name, config.size, config.evals, config.pairing) == ("mine", 200, 9, "product")
    assert config.arch == ("all",)


def test_short_forms(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "arch: r-vgg19\nseed: 3\nsmoothing: {name: softmax, temperature: 10, layers: deep}\n"
    )
    config = load_sweep(path)
    assert (config.arch, config.seed) == (("r-vgg19",), (3,))
    (smooth,) = config.smoothing
    assert smooth == SmoothingSpec(name="softmax", layers="deep", params={"temperature": 10.0})
    assert smooth.label == "softmax(temperature=10)@deep"
    assert SmoothingSpec.model_validate(smooth.model_dump()) == smooth


@pytest.mark.parametrize(
    "label", ["softmax", "softmax(temperature=10)", "scale@deep", "nested(a=1,b=0.5)@deep"]
)
def test_a_smoothing_may_be_written_as_tables_name_it(label: str) -> None:
    assert SmoothingSpec.model_validate(label).label == label


@pytest.mark.parametrize("text", ["softmax(", "softmax(10)", "softmax(t=1)x", "a@b", "@deep", ""])
def test_what_is_no_label_is_a_name(text: str) -> None:
    assert SmoothingSpec.model_validate(text).name == text


def test_adam_has_its_own_learning_rate() -> None:
    assert OptimiserSpec.model_validate({"name": "adam"}).learning_rate == 0.02
    assert OptimiserSpec.model_validate({"name": "adam", "learning_rate": 1}).learning_rate == 1
    assert OptimiserSpec().learning_rate == 1


def test_job_id_ignores_where_things_are_and_what_they_are_called() -> None:
    moved = job(
        weights=WeightsRef(source="file:b.safetensors", sha256="a" * 64, path="/y/b"),
        content=ImageRef(name="other", ref="/y/c.png", digest="1"),
        style=ImageRef(name="other", ref="/y/s.png", digest="2"),
        preset="paper",
    )
    assert moved.job_id == job().job_id


def region(digest: str, mask: str | None = None, name: str = "m") -> Region:
    ref = None if mask is None else ImageRef(name=name, ref=f"/x/{name}.png", digest=mask)
    return Region(picture=ImageRef(name="s", ref="/x/s.png", digest=digest), mask=ref)


def ingredient(digest: str, share: float, name: str = "s") -> Ingredient:
    return Ingredient(
        picture=ImageRef(name=name, ref=f"/{name}/{digest}", digest=digest), share=share
    )


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "p-resnet50"},
        {"nodes": {"features.1": "relu1_1", "features.3": "relu1_2"}},
        {"weights": WeightsRef(source="file:a.safetensors", sha256="b" * 64)},
        {"weights": WeightsRef(source="f", sha256="a" * 64, options={"stride_in": "conv1"})},
        {"smoothing": SmoothingSpec(name="softmax")},
        {"smoothing": SmoothingSpec(name="none", layers="deep")},
        {"content": ImageRef(name="c", ref="/x/c.png", digest="3")},
        {"style": ImageRef(name="s", ref="/x/s.png", digest="3")},
        {"loss": LossSpec(tv_weight=1)},
        {"optimiser": OptimiserSpec(history=11)},
        {"optimiser": OptimiserSpec(first_step=0.5)},
        {"start": "noise"},
        {"size": 65},
        {"resize": "squash"},
        {"evals": 6},
        {"seed": 1},
        {"precision": "bf16"},
        {"image": "fourier"},
        {"gradients": True},
        {"tolerance": 0.01},
        {"style_scale": 1.5},
        {"colours": "luminance"},
        {"blend": (ingredient("2", 0.7), ingredient("3", 0.3))},
        {"regions": (region("2", "8"),)},
        {"regions": (region("2", "8"), region("3"))},
    ],
    ids=lambda change: "-".join(change),
)
def test_job_id_depends_on_every_part_of_the_meaning(change: dict[str, Any]) -> None:
    assert job(**change).job_id != job().job_id


def test_the_id_of_a_blend_is_of_digests_and_shares() -> None:
    def of(*blend: Ingredient) -> str:
        return job(blend=blend).job_id

    one = of(ingredient("2", 0.7), ingredient("3", 0.3))
    assert of(ingredient("2", 0.7, "other"), ingredient("3", 0.3, "names")) == one
    assert of(ingredient("2", 0.6), ingredient("3", 0.4)) != one
    assert of(ingredient("2", 0.7), ingredient("4", 0.3)) != one


@pytest.mark.parametrize("digests", ["2", "32", "33"])
def test_a_blend_has_the_style_first(digests: str) -> None:
    with pytest.raises(ValueError, match="two styles or more, the first of them as style"):
        job(blend=tuple(ingredient(digest, 0.5) for digest in digests))


def test_the_shares_of_a_blend_add_up_to_1() -> None:
    with pytest.raises(ValueError, match="shares that add up to 1"):
        job(blend=(ingredient("2", 5), ingredient("3", 5)))


def test_the_id_of_regions_is_of_digests() -> None:
    def of(*regions: Region) -> str:
        return job(regions=regions).job_id

    one = of(region("2", "8"), region("3"))
    assert of(region("2", "8", "other"), region("3")) == one
    others = (
        of(region("2", "9"), region("3")),
        of(region("2", "8"), region("4")),
        of(region("2"), region("3", "8")),
        of(region("2", "8"), region("3", "8")),
        of(region("2", "8")),
    )
    assert len({one, *others}) == 6


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"regions": (region("3", "8"),)}, "the first of them as style"),
        ({"regions": (region("2"),)}, "expected masks"),
        ({"regions": (region("2"), region("3"))}, "expected masks"),
        ({"regions": (region("2", "8"),), "gradients": True}, "without a mask"),
        (
            {"regions": (region("2", "8"),), "blend": (ingredient("2", 0.5), ingredient("3", 0.5))},
            "no blend",
        ),
    ],
)
def test_regions_that_are_none(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        job(**changes)


def test_a_change_of_pictures_reaches_each() -> None:
    spec = job(regions=(region("2", "8"), region("3")))
    found = spec.with_pictures(lambda ref: ref.model_copy(update={"name": "new"}))
    assert [picture.name for picture in found.pictures] == ["new"] * 4
    assert (found.style.name, found.job_id) == ("new", spec.job_id)


def test_job_id_is_the_same_for_ever() -> None:
    """A changed id would make every finished job run again: raise SCHEMA_VERSION knowingly."""
    assert job().job_id == "5322216e395f28c0"
    as_torch = OptimiserSpec(first_step="torch")
    assert job(optimiser=as_torch).job_id == "60a4e6cd80a97a92"
    added = {"chosen": None, "image": "pixels", "gradients": False, "style_scale": 1.0,
             "colours": "style", "blend": (), "regions": (), "tolerance": 0.0}  # fmt: skip
    assert job(optimiser=as_torch, **added).job_id == "60a4e6cd80a97a92"
    chosen = NodeChoice(style=("features.1", "features.6"), content=6)
    assert job(optimiser=as_torch, chosen=chosen).job_id == "51140332020adf2c"


def test_a_job_of_before_the_first_step_was_a_key_is_what_it_was() -> None:
    spec = job().model_dump(mode="json")
    del spec["optimiser"]["first_step"]
    assert JobSpec.model_validate(spec).optimiser.first_step == "torch"
    assert JobSpec.model_validate(spec).job_id == "60a4e6cd80a97a92"


@pytest.mark.parametrize("name", ["adam", "lbfgsb"])
def test_optimisers_without_a_first_step_keep_their_ids(name: str) -> None:
    ids = {
        job(optimiser=OptimiserSpec.model_validate({"name": name, "first_step": first})).job_id
        for first in (1.0, "torch")
    }
    assert len(ids) == 1


def numbers(schema: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the way to each number that a JSON schema takes, and a value with true in its place."""
    for each in schema.get("anyOf", [schema]):
        found = known.get(each.get("$ref", "").rpartition("/")[2], each)
        if found.get("type") in ("number", "integer"):
            yield (), True
        elif found.get("type") == "array":
            item = found.get("items") or found["prefixItems"][0]
            for path, value in numbers(item, known):
                yield ("0", *path), [value] * max(1, found.get("minItems", 1))
        elif found.get("type") == "object":
            inner = found.get("additionalProperties")
            keys = found.get("properties", {}) | ({"x": inner} if isinstance(inner, dict) else {})
            for key, part in keys.items():
                for path, value in numbers(part, known):
                    yield (key, *path), {key: value}


@pytest.mark.parametrize("model", [SweepConfig, TrainSettings, AccuracySettings])
def test_no_number_is_true_or_false(model: type[Frozen]) -> None:
    schema = model.model_json_schema()
    found = list(numbers(schema, schema.get("$defs", {})))
    assert len(found) > 8
    for path, value in found:
        with pytest.raises(ValidationError) as error:
            model.model_validate({"method": "adain"} | value)
        told = [e["input"] is True or "expected a number" in e["msg"] for e in error.value.errors()]
        assert any(told), path


def test_bounds_of_numbers_stand_in_the_schema() -> None:
    """A bound that pydantic cannot hand on is a key of its own there."""
    text = json.dumps(
        [m.model_json_schema() for m in (SweepConfig, TrainSettings, AccuracySettings)]
    )
    assert not {'"le"', '"lt"', '"ge"', '"gt"'} & {*re.findall(r'"\w+"', text)}
