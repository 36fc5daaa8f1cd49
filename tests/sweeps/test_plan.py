"""Plans: which jobs a configuration comes to."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stylebench.config import Spec
from stylebench.errors import InputError, UnavailableError
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep

pytestmark = pytest.mark.usefixtures("no_weights")


def expand(**flags: Any) -> plan.Plan:
    base = {"arch": ["r-tiny"], "size": 32, "evals": 3, "statistics_images": []}
    return plan.expand(load_sweep(None, base | flags), offline=True)


def test_products_in_order() -> None:
    found = expand(content=["chelsea", "china"], style=["mosaic"], seed=[0, 1]).jobs
    rows = [(j.seed, j.content.name, j.smoothing.label) for j in found]
    assert rows == [
        (seed, content, smooth)
        for seed in (0, 1)
        for content in ("chelsea", "china")
        for smooth in ("none", "softmax")
    ]


def test_all_without_weights() -> None:
    told: list[str] = []
    config = load_sweep(None, {"size": 32})
    found = plan.expand(config, offline=True, tell=told.append)
    assert len(found.jobs) == 5 * 2 * 2
    assert {job.arch for job in found.missing} == {"p-vgg19", "p-resnet50"}
    assert len(found.missing) == 2 * 2 * 2
    assert [text.split(":")[0] for text in told] == ["p-vgg19", "p-resnet50"]
    assert len(found.statistics) == 5
    assert all(len(spec.images) == 10 for spec in found.statistics)


def test_an_explicit_name_without_weights_is_an_error() -> None:
    with pytest.raises(UnavailableError, match="--weights vgg19=PATH"):
        expand(arch=["r-tiny", "p-vgg19"])


def test_jobs_take_over_what_is_optimised_and_measured() -> None:
    found = expand(image="fourier", gradients=True).optimisations
    assert {(job.image, job.gradients) for job in found} == {("fourier", True)}


def test_the_same_picture_twice_is_one_job() -> None:
    assert len(expand(content=["chelsea", "chelsea,builtin:chelsea"], style=["mosaic"]).jobs) == 2


def test_equal_files_are_one_job_under_all_names(tmp_path: Path) -> None:
    for name, level in (("a", 9), ("b", 9), ("c", 10)):
        Image.new("RGB", (32, 32), (level, 60, 40)).save(tmp_path / f"{name}.png")
    jobs = expand(content=[str(tmp_path)], style=["mosaic"], smoothing=["none"]).jobs
    assert [job.content.name for job in jobs] == ["a=b", "c"]
    paths = [str(tmp_path / f"{name}.png") for name in "ab"]
    file = tmp_path / "two.yaml"
    rest = "arch: r-tiny\nsize: 32\nstyle: mosaic\nsmoothing: none\nstatistics_images: []\n"
    file.write_text(f"variants: [{{content: {paths[0]}}}, {{content: {paths[1]}}}]\n{rest}")
    jobs = plan.expand(load_sweep(file, {}), offline=True).jobs
    assert [job.content.name for job in jobs] == ["a=b"]
    zipped = expand(content=paths, style=["mosaic", "brush"], smoothing=["none"], pairing="zip")
    assert [(j.content.name, j.style.name) for j in zipped.jobs] == [
        ("a", "mosaic"),
        ("b", "brush"),
    ]
    (spec,) = expand(content=["coffee"], style=["mosaic"], statistics_images=paths).statistics
    assert [image.name for image in spec.images] == ["a", "b"]


def test_variants_share_their_pictures_and_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stylebench import images
    from stylebench.backbones import pretrained

    asked: list[object] = []
    hash_of, resolve = images.digest, pretrained.resolve

    def hashing(ref: str, *args: Any, **more: Any) -> Any:
        asked.append(ref)
        return hash_of(ref, *args, **more)

    def resolving(arch: str, *args: Any, **more: Any) -> Any:
        asked.append(arch)
        return resolve(arch, *args, **more)

    monkeypatch.setattr(images, "digest", hashing)
    monkeypatch.setattr(pretrained, "resolve", resolving)
    file = tmp_path / "x.yaml"
    file.write_text(
        "arch: [r-tiny, p-resnet5*]\nsize: 32\nstatistics_images: []\n"
        "content: chelsea\nstyle: brush\n"
        "grid: {evals: [1, 2, 3, 4, 5, 6, 7, 8]}\n"
    )
    found = plan.expand(load_sweep(file), offline=True)
    assert (len(found.jobs), len(found.missing)) == (16, 16)
    assert sorted(map(str, asked)) == ["builtin:brush", "builtin:chelsea", "p-resnet50", "r-tiny"]


def test_what_a_folder_leaves_out_is_told_once(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    (tmp_path / "b.dng").touch()
    told: list[str] = []
    flags = {"arch": ["r-tiny"], "size": 32, "content": [str(tmp_path)], "style": [str(tmp_path)]}
    flags["statistics_images"] = [str(tmp_path)]
    plan.expand(load_sweep(None, flags), offline=True, tell=told.append)
    assert [text.partition(":")[0].split()[0] for text in told] == ["content", "style"]
    assert all(
        text.endswith("b.dng (a camera's raw file: export it as JPEG, PNG or TIFF)")
        for text in told
    )


def test_weights_for_what_does_not_run_are_refused() -> None:
    config = load_sweep(None, {"arch": ["r-vgg19"], "size": 32})
    with pytest.raises(InputError, match="p-vgg19 is not among the backbones to run"):
        plan.expand(config, given={"vgg19": "/nowhere"}, offline=True)


def test_zip_may_name_a_picture_twice() -> None:
    found = expand(content=["chelsea", "chelsea"], style=["mosaic", "brush"], pairing="zip").jobs
    assert {(j.content.name, j.style.name) for j in found} == {
        ("chelsea", "mosaic"), ("chelsea", "brush")
    }  # fmt: skip


def test_defaults_written_out_are_the_same_job() -> None:
    smoothing = [
        "softmax",
        {"name": "softmax", "temperature": 1},
        {"name": "none", "layers": "deep"},
    ]
    found = expand(smoothing=smoothing, content=["chelsea"], style=["brush"]).jobs
    assert [job.smoothing.label for job in found] == ["softmax", "none"]


def test_a_changed_preset_is_told() -> None:
    labels = [
        expand(loss=loss, preset="paper").optimisations[0].preset
        for loss in ({}, {"content_weight": 2})
    ]
    assert labels == ["paper", "paper (modified)"]


def test_layer_weights_reach_the_backbones_that_have_the_layer() -> None:
    weights = {"relu1_1": 2.0, "stage4": 3.0}
    found = expand(arch=["r-tiny", "r-vgg19"], loss={"layer_weights": weights}).optimisations
    assert {job.arch: job.loss.layer_weights for job in found} == {
        "r-tiny": {"stage4": 3.0}, "r-vgg19": {"relu1_1": 2.0}
    }  # fmt: skip
    with pytest.raises(InputError, match="no style node 'relu9_9'"):
        expand(loss={"layer_weights": {"relu9_9": 1}})


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("auto", {"none": "bf16", "scale": "bf16", "softmax": "fp32", "softmax-space": "fp32"}),
        ("fp32", dict.fromkeys(("none", "scale", "softmax", "softmax-space"), "fp32")),
        ("bf16", dict.fromkeys(("none", "scale", "softmax", "softmax-space"), "bf16")),
    ],
)
def test_auto_is_fp32_where_maps_are_exponentiated(
    precision: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    keys = {"arch": ["r-tiny"], "smoothing": list(expected), "precision": precision,
            "size": 32, "content": ["chelsea"], "style": ["brush"]}  # fmt: skip
    planned = plan.expand(load_sweep(None, keys))
    assert {job.smoothing.name: job.precision for job in planned.optimisations} == expected


@pytest.mark.parametrize(
    ("arch", "written", "meant"),
    [
        ("r-resnet18", "shortcut: off", {"shortcut": "off"}),
        ("r-resnet18", "shortcut: on", {}),
        ("r-resnet18", "gamma: 1.0", {}),
        ("r-resnet18", "gamma: .5", {"gamma": "0.5"}),
        ("r-resnet18", "gamma: '0.50'", {"gamma": "0.5"}),
        ("r-resnet18+gamma=1.0", "batchnorm: eval", {}),
        ("r-resnet18+gamma=5e-1", "batchnorm: train", {"batchnorm": "train", "gamma": "0.5"}),
        ("r-resnet18+shortcut=False", "pool: AVG", {"shortcut": "off", "pool": "avg"}),
        ("r-resnet18+shortcut=no", "batchnorm: Eval", {"shortcut": "off"}),
        ("r-resnet18+pool=Max", "shortcut: 'Pre-ReLU'", {"shortcut": "pre-relu"}),
    ],
)
def test_options_are_taken_as_people_write_them(
    arch: str, written: str, meant: dict[str, str], tmp_path: Path
) -> None:
    """YAML 1.1 reads off as a boolean and 1.0 as a number."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"arch: {arch}\ncontent: chelsea\nstyle: brush\nsize: 32\nsmoothing: none\n"
        f"statistics_images: []\nbackbone_options: {{resnet18: {{{written}}}}}\n"
    )
    (job,) = plan.expand(load_sweep(file)).jobs
    assert job.weights.options == meant


FLAGS: dict[str, object] = {
    "arch": ["r-tiny"], "content": ["coffee"], "style": ["woodcut"], "size": 48, "evals": 3,
    "preset": "keras", "seed": [11], "precision": "bf16",
    "smoothing": ["softmax-space"], "statistics_images": ["coffee"],
}  # fmt: skip
"""A value of each flag of a sweep that no experiment has."""


QUICKLY = ("fig3", "smoke", "released")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(path.stem, marks=() if path.stem in QUICKLY else pytest.mark.slow)
        for path in sorted(Path("experiments").glob("*.yaml"))
    ],
)
def test_every_flag_has_an_effect_or_is_refused(name: str) -> None:
    """Of each experiment file: other jobs than without the flag, or one line."""
    base = {"size": 32, "arch": ["r-tiny", "r-squeezenet1_1"], "seed": [0]}
    path = Path("experiments") / f"{name}.yaml"

    def jobs(flags: dict[str, object]) -> list[Spec]:
        made = plan.expand(load_sweep(path, flags), strict=False, offline=True)
        return [*made.jobs, *made.statistics, *made.missing, *made.missing_statistics]

    def ids(flags: dict[str, object]) -> set[str]:
        return {spec.job_id for spec in jobs(flags)}

    try:
        before = ids(base)
    except InputError:  # nodes of other backbones
        base = {key: value for key, value in base.items() if key != "arch"}
        before = ids(base)
    idle = []
    squashed = {job.resize for job in jobs(base)} == {"squash"}  # as the preset has it
    for key, value in {**FLAGS, "resize": "aspect" if squashed else "squash"}.items():
        try:
            flags = {**base, key: value}
            said_before = load_sweep(path, flags) == load_sweep(path, base)
            if not said_before and ids(flags) == before:
                idle.append(key)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert idle == []
