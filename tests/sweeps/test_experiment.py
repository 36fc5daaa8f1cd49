"""Profiles of an experiment file, and variants: settings laid on the others, jobs put together."""

import re
from pathlib import Path

import pytest
import yaml

from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import configurations, load_sweep

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
TINY = "arch: r-tiny\nsize: 32\nevals: 3\nprecision: fp32\nstatistics_images: []\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text)
    return path


def test_the_first_profile_is_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, "evals: 7\nprofiles:\n  small: {size: 32}\n  large: {size: 512}\n")
    first, second = load_sweep(path), load_sweep(path, {}, "large")
    assert (first.size, first.evals, first.profile) == (32, 7, "small")
    assert (second.size, second.evals, second.profile) == (512, 7, "large")
    assert load_sweep(path, {"size": 64}, "large").size == 64


def test_a_profile_may_set_what_the_file_pairs(tmp_path: Path) -> None:
    path = written(
        tmp_path, "profiles: {a: {content: china, style: [mosaic]}, b: {pairing: product}}"
    )
    assert load_sweep(path).content == ("china",)
    assert load_sweep(path).pairing == "product"


@pytest.mark.parametrize(
    ("text", "profile", "message"),
    [
        ("size: 32", "quick", "no profile 'quick' (known: none)"),
        ("profiles: {quick: {size: 32}}", "quik", "no profile 'quik'; did you mean 'quick'?"),
        ("profiles: [quick]", None, "profiles: expected names with settings"),
        ("profiles: {quick: 3}", None, "profiles: expected names with settings"),
        ("profiles: {quick: {sise: 32}}", None, "unknown key 'sise'"),
        ("variants: [{name: x}]", None, "variant 1: name is the whole sweep's"),
        ("variants: [{}, {sise: 32}]", None, "variant 2: unknown key 'sise'"),
        ("variants: [{loss: {balanse: target}}]", None, "variant 1: unknown key 'loss.balanse'"),
        ("variants: 3", None, "variants: expected a list of settings"),
        ("variants: [3]", None, "variants: expected a list of settings"),
        ("profile: quick", None, "profile is chosen by --profile"),
        ("grid: 3", None, "grid: expected keys with lists of values"),
        ("grid: {image: pixels}", None, "grid: expected keys with lists of values"),
        ("grid: {image: []}", None, "grid: expected keys with lists of values"),
        ("grid: {3: [4]}", None, "grid: expected keys with lists of values"),
        ("grid: {loss.balanse: [target]}", None, "grid: variant 1: unknown key 'loss.balanse'"),
        ("grid: {image.x: [1]}", None, "variant 1: image"),
        ("grid: {name: [a]}", None, "variant 1: name is the whole sweep's"),
        ("grid: {a: &a [1,1,1,1,1,1,1,1,1,1], b: *a, c: *a, d: *a, e: *a}", None, "at most 1,000"),
        ("variants: 3\ngrid: {image: [pixels]}", None, "variants: expected a list of settings"),
    ],
)
def test_wrong_profiles_and_variants_are_one_line(
    text: str, profile: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        load_sweep(written(tmp_path, text), {}, profile)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [("name: 2024-11-29", "2024-11-29"), ("name: on", "True"), ("content: no", "False"),
     ("content: 007", "7"), ("name: 1.10", "1.1")],
)  # fmt: skip
def test_text_that_yaml_reads_as_something_else_wants_quotes(
    text: str, found: str, tmp_path: Path
) -> None:
    more = "" if "content" in text else "\ncontent: chelsea"
    more += "" if "style" in text else "\nstyle: brush"
    message = f"found {found} \\(so YAML reads what is not in quotes\\)"
    with pytest.raises(InputError, match=message):
        load_sweep(written(tmp_path, text + more))


def test_a_sweep_is_the_union_of_its_variants(tmp_path: Path) -> None:
    variants = "variants:\n  - start: style\n  - {start: noise, seed: [0, 1]}\n  - start: style\n"
    planned = plan.expand(load_sweep(written(tmp_path, TINY + variants)))
    found = [(job.start, job.seed, job.smoothing.label) for job in planned.optimisations]
    each = [("style", 0), ("noise", 0), ("noise", 1)]
    assert sorted(set(found)) == sorted((*e, s) for e in each for s in ("none", "softmax"))
    assert len(found) == 2 * len(set(found))  # two pairs, and nothing twice


def test_a_grid_is_every_combination_and_crosses_variants(tmp_path: Path) -> None:
    grid = "preset: balanced\ngrid: {image: [pixels, fourier], loss.style_weight: [1, 30]}\n"
    variants = "variants: [{evals: 2}, {loss: {balance: gradient, style_weight: 5}}]\n"
    pairs = [("pixels", 1), ("pixels", 30), ("fourier", 1), ("fourier", 30)]
    alone = configurations(load_sweep(written(tmp_path, TINY + grid)))
    assert [(arm.image, arm.loss.style_weight) for arm in alone] == pairs
    crossed = configurations(load_sweep(written(tmp_path, TINY + variants + grid)))
    assert [(arm.evals, arm.loss.balance) for arm in crossed] == 4 * [(2, "target")] + 4 * [
        (3, "gradient")
    ]
    assert [(arm.image, arm.loss.style_weight) for arm in crossed] == 2 * pairs


def test_a_variant_keeps_what_it_does_not_name(tmp_path: Path) -> None:
    text = TINY + "preset: balanced\nloss: {content_weight: 3}\n"
    text += "variants: [{loss: {balance: gradient}}, {evals: 9}]\n"
    first, second = configurations(load_sweep(written(tmp_path, text)))
    assert (first.loss.content_weight, first.loss.balance, first.evals) == (3, "gradient", 3)
    assert (second.loss.content_weight, second.loss.balance, second.evals) == (3, "target", 9)


def test_the_preset_of_a_variant_replaces_what_the_file_says(tmp_path: Path) -> None:
    text = TINY + "loss: {content_weight: 3}\nvariants: [{preset: released}]\n"
    (arm,) = configurations(load_sweep(written(tmp_path, text)))
    assert (arm.loss.content_weight, arm.loss.style_weight, arm.resize) == (1, 1e17, "squash")


def test_what_a_variant_leaves_out_has_the_defaults_of_what_it_names(tmp_path: Path) -> None:
    text = TINY + "variants: [{optimiser: {name: adam}}, {content: [china, coffee]}]\n"
    first, second = configurations(load_sweep(written(tmp_path, text)))
    assert first.optimiser.learning_rate == 0.02
    assert second.pairing == "product"


def test_the_preset_of_a_profile_replaces_what_the_file_says(tmp_path: Path) -> None:
    text = "loss: {balance: gradient}\nprofiles: {1: {preset: released}}\n"
    found = load_sweep(written(tmp_path, text))
    assert (found.profile, found.loss.balance, found.resize) == ("1", "none", "squash")


def test_a_limit_holds_for_each_variant(tmp_path: Path) -> None:
    text = TINY + "variants: [{arch: [r-vgg11, r-vgg13]}, {arch: [r-vgg13, r-vgg16]}]\n"
    planned = plan.expand(load_sweep(written(tmp_path, text), {"limit": 1}))
    assert {job.arch for job in planned.jobs} == {"r-vgg11", "r-vgg13"}


def test_flags_go_before_variants(tmp_path: Path) -> None:
    path = written(tmp_path, TINY + "variants: [{start: noise, evals: 9}, {preset: released}]\n")
    config = load_sweep(path, {"evals": 2, "preset": "paper"})
    assert [(arm.evals, arm.preset, arm.start) for arm in configurations(config)] == [
        (2, "paper", "noise"), (2, "paper", "content"),
    ]  # fmt: skip


def test_weights_may_be_given_for_a_backbone_of_one_variant(tmp_path: Path) -> None:
    config = load_sweep(written(tmp_path, TINY + "variants: [{arch: p-vgg11}, {arch: r-tiny}]\n"))
    with pytest.raises(InputError, match=r"absent\.safetensors"):
        plan.expand(config, given={"vgg11": "file:absent.safetensors"})
    with pytest.raises(InputError, match="p-vgg13 is not among the backbones"):
        plan.expand(config, given={"vgg13": "file:absent.safetensors"})


def test_a_sweep_without_pictures_measures_statistics_alone(tmp_path: Path) -> None:
    text = "arch: r-tiny\nsize: 32\ncontent: []\nstyle: []\nstatistics_images: [chelsea]\n"
    planned = plan.expand(load_sweep(written(tmp_path, text)))
    assert (len(planned.jobs), len(planned.statistics)) == (0, 1)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_profile_of_every_experiment_loads(path: Path) -> None:
    profiles = yaml.safe_load(path.read_text()).get("profiles", {})
    assert load_sweep(path).name == path.stem
    for name in profiles:
        config = load_sweep(path, {}, name)
        assert (config.profile, len(configurations(config))) == (name, max(1, len(config.variants)))
    assert not profiles or set(profiles) >= {"quick", "full"}
    assert not profiles or next(iter(profiles)) == "quick"


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=path.stem,
            marks=[pytest.mark.slow] * (path.stem in ("peakiness_predicts", "texture")),
        )
        for path in EXPERIMENTS
    ],
)
def test_the_stated_number_of_stylisations_is_right(path: Path) -> None:
    text = path.read_text()
    stated = re.findall(r"quick:  # (\d+) stylisations, about \d+ min on 2 cores", text)
    assert bool(stated) is ("profiles:" in text)
    if stated:
        planned = plan.expand(load_sweep(path), offline=True, strict=False)
        assert [len(planned.jobs) + len(planned.missing)] == [int(count) for count in stated]


@pytest.mark.parametrize(
    ("flags", "taken"),
    [({"precision": "fp32"}, True), ({"precision": "auto"}, True), ({"precision": "bf16"}, False),
     ({"evals": 5}, False), ({"size": 64}, True)],
)  # fmt: skip
def test_flags_of_make_paper_are_taken_by_statistics_where_they_hold(
    flags: dict[str, object], taken: bool
) -> None:
    """Statistics are in fp32, so that ARGS='--precision fp32' holds for fig3 too."""
    fig3 = next(path for path in EXPERIMENTS if path.stem == "fig3")
    if taken:
        assert load_sweep(fig3, flags).name == "fig3"
    else:
        with pytest.raises(InputError, match="has statistics alone"):
            load_sweep(fig3, flags)
