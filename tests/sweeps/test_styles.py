"""Styles of a sweep: blends, their scale and colours, from YAML to the tables."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stylebench import images, store
from stylebench.config import JobSpec
from stylebench.errors import InputError
from stylebench.sweeps import plan
from stylebench.sweeps.batches import groups
from stylebench.sweeps.engines.cluster import inputs, moved
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.job import run_job
from stylebench.sweeps.judge import JudgeOptions
from stylebench.sweeps.judge import run as judge
from tests.cli.bench import invoke, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

SMALL = {"arch": ["r-tiny"], "smoothing": ["none"], "content": ["chelsea"], "size": 32, "evals": 2,
         "statistics_images": [], "preset": "balanced", "pairing": "product"}  # fmt: skip


def planned(path: Path, **keys: Any) -> tuple[JobSpec, ...]:
    return plan.expand(load_sweep(write_yaml(path / "t.yaml", **{**SMALL, **keys}))).optimisations


def test_a_blend_is_one_style(tmp_path: Path) -> None:
    mixed = {"blend": {"brush": 3, "mosaic": 1}}
    for style in (mixed, [mixed], ["woodcut", mixed]):
        *_, job = planned(tmp_path, style=style)
        assert job.style.name == "brush*0.75+mosaic*0.25"
        assert job.style.ref == "builtin:brush"
        assert [(e.picture.name, e.share) for e in job.blend] == [("brush", 0.75), ("mosaic", 0.25)]
    plain, *_ = planned(tmp_path, style=["brush", mixed])
    assert plain.blend == ()
    assert plain.style.digest == job.style.digest
    (alone,) = planned(tmp_path, style={"blend": {"brush": 3}})
    assert alone == plain
    (twice,) = planned(tmp_path, style={"blend": {"brush": 3, "builtin:brush": 2}})
    assert twice == plain, "the same picture twice is one"


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (5, "style"),
        ([5], "expected a picture, {blend: {picture: weight, picture: weight}}, or {regions: {"),
        ([["brush"]], "expected a picture, {blend"),
        ({"mix": {"brush": 1}}, "blend: expected a value"),
        ({"blend": {}}, "blend: expected at least 1 item"),
        ({"blend": ["brush"]}, "blend: expected a mapping"),
        ({"blend": {"brush": 0, "mosaic": 1}}, "blend.brush: expected more than 0"),
        ({"blend": {"brush": ".nan", "mosaic": 1}}, "blend.brush: "),
        ({"blend": {"brush": 1e-300, "mosaic": 1}}, "expected positive weights"),
        ({"blend": {"brush": 1, "mosaik": 1}}, "did you mean 'mosaic'"),
        (
            {"blend": {"brush": 1, "builtin": 1}},
            "expected one picture, found 5 in 'builtin'",
        ),
    ],
)
def test_a_wrong_blend_is_one_line(style: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        planned(tmp_path, style=style)
    assert text in str(told.value)
    assert "\n" not in str(told.value)


def test_scale_and_colours_are_of_the_job(tmp_path: Path) -> None:
    found = planned(tmp_path, style="brush", grid={"style_scale": [1, 1.5],
                                                  "colours": ["style", "matched"]})  # fmt: skip
    assert {(job.style_scale, job.colours) for job in found} == {
        (1.0, "style"), (1.0, "matched"), (1.5, "style"), (1.5, "matched")
    }  # fmt: skip
    assert len({job.job_id for job in found}) == 4
    assert len({job.title for job in found}) == 4
    assert {job.style_size for job in found} == {32, 48}
    with pytest.raises(InputError, match="found 32 px × 200 = 6400 px"):
        planned(tmp_path, style="brush", style_scale=200)


def test_a_picture_may_be_content_and_style_at_two_sizes(tmp_path: Path) -> None:
    (job,) = planned(tmp_path, style="chelsea", style_scale=2)
    assert job.content.digest == images.digest("builtin:chelsea", 32)
    assert job.style.digest == images.digest("builtin:chelsea", 64)
    assert run_job(job, tmp_path / "out").ok


def test_a_sweep_keeps_what_its_jobs_are(tmp_path: Path) -> None:
    Image.effect_noise((40, 40), 90).convert("RGB").save(tmp_path / "night.png")
    mixed = {"blend": {str(tmp_path / "night.png"): 0.7, "mosaic": 0.3}}
    grid = {"style_scale": [1, 1.5], "colours": ["style", "luminance"]}
    path = write_yaml(tmp_path / "t.yaml", **{**SMALL, "style": [mixed], "grid": grid})
    out = tmp_path / "out"
    done = invoke("sweep", path, "--out", out, "--tracking-uri", "off")
    assert done.status == 0, done
    assert "4 ok" in done.out
    again = invoke("sweep", path, "--out", out, "--tracking-uri", "off")
    assert "0 jobs to run, 4 finished before" in again.out
    manifest = (out / "manifest.json").read_text()
    assert "night.png" in manifest
    assert str(tmp_path) not in manifest, "no folder of this machine, in no key either"
    results = store.load_results(out)
    assert set(results["style"]) == {"night*0.7+mosaic*0.3"}
    assert set(zip(results["style_scale"], results["colours"], strict=True)) == {
        (1.0, "style"), (1.5, "style"), (1.0, "luminance"), (1.5, "luminance")
    }  # fmt: skip
    assert results["style_picture"].nunique() == 2, "a picture of each size"
    for row in results.itertuples():
        with Image.open(out / str(row.style_picture)) as picture:
            assert max(picture.size) == 32 * float(row.style_scale)  # type: ignore[arg-type]
        record = json.loads((out / "jobs" / str(row.job_id) / "record.json").read_text())
        assert [each["share"] for each in record["spec"]["blend"]] == [0.7, 0.3]
    told = judge(out, JudgeOptions(names=["r-tiny"], offline=True), lambda text: None)
    assert (told.judged, told.failed) == (4, 0)


def test_another_machine_gets_every_picture_of_a_blend(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.effect_noise((40, 40), 90).convert("RGB").save(tmp_path / f"{name}.png")
    paths = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    (job,) = planned(tmp_path, style={"blend": dict.fromkeys(paths, 1)})
    assert set(inputs(job)) == set(paths)
    there = moved(job, {path: f"/there/{Path(path).name}" for path in paths})
    assert isinstance(there, JobSpec)
    assert [ref.ref for ref in (there.style, *there.styles)] == [
        "/there/a.png", "/there/a.png", "/there/b.png"
    ]  # fmt: skip
    assert there.job_id == job.job_id
    assert JobSpec.model_validate_json(job.model_dump_json()) == job


def test_a_picture_of_a_blend_that_changed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "b.png"
    Image.new("RGB", (40, 40), "red").save(path)
    (job,) = planned(tmp_path, style={"blend": {"brush": 1, str(path): 1}})
    Image.new("RGB", (40, 40), "blue").save(path)
    record = run_job(job, tmp_path / "out")
    assert not record.ok
    assert "b.png: the picture changed after the job was planned" in record.error
    assert str(tmp_path) not in record.error


def test_blends_of_one_kind_are_a_batch(tmp_path: Path) -> None:
    mixed = {"blend": {"brush": 1, "mosaic": 1}}
    found = planned(
        tmp_path, content=["chelsea", "coffee"], style=[mixed, "brush"], resize="squash"
    )
    sizes = sorted(len(group) for group in groups(found, "cpu", None))
    assert sizes == [2, 2]


# ------------------------------------------------------------------------------- regions


def drawn(path: Path, size: tuple[int, int] = (60, 40), white: float = 0.5) -> str:
    """Write a mask that is white on the left, in chelsea's proportions."""
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, round(white * size[0]), size[1]))
    mask.save(path)
    return str(path)


def test_regions_are_one_style(tmp_path: Path) -> None:
    sky, ground = drawn(tmp_path / "sky.png"), drawn(tmp_path / "ground.png", white=0.3)
    style = [
        {"regions": {"brush": sky, "mosaic": "rest"}},
        {"regions": {"brush": sky, "mosaic": ground}},
        {"regions": {"brush": sky}},
        "brush",
    ]
    rest, both, one, plain = planned(tmp_path, style=style)
    assert rest.style.name == "brush@sky+mosaic@rest"
    assert both.style.name == "brush@sky+mosaic@ground"
    assert one.style.name == "brush@sky"
    assert [picture.name for picture in rest.pictures] == ["chelsea", "brush", "mosaic", "sky"]
    assert {job.style.digest for job in (rest, both, one)} == {plain.style.digest}
    assert len({job.job_id for job in (rest, both, one, plain)}) == 4
    assert plain.regions == ()
    drawn(tmp_path / "sky.png", white=0.6)
    (again, *_) = planned(tmp_path, style=style)
    assert again.job_id != rest.job_id, "another mask is another job"


@pytest.mark.parametrize(
    ("regions", "text"),
    [
        ({}, "regions: expected at least 1 item"),
        ({"brush": 1}, "regions.brush: expected a text"),
        ({"brush": "rest"}, "expected `rest` once, beside masks, found it 1 times"),
        ({"brush": "rest", "mosaic": "rest"}, "found it 2 times"),
        (
            {"brush": "sky.png", "builtin:brush": "sky.png"},
            "each style once, found 'builtin:brush'",
        ),
        ({"brush": "sky.jpg"}, "mask 'sky.jpg' is neither a file"),
        ({"brush": "builtin"}, "regions: expected one picture, found 5 in 'builtin'"),
        ({"brush": "square.png"}, "mask 'square' of content 'chelsea': expected a mask in the"),
        ({"brush": "black.png"}, "mask 'black': expected white where the style goes"),
        ({"brush": "white.png", "mosaic": "rest"}, "style 'mosaic': .* leave nothing for it"),
    ],
)
def test_wrong_regions_are_one_line(
    regions: Any, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn(tmp_path / "sky.png")
    drawn(tmp_path / "square.png", (40, 40))
    drawn(tmp_path / "black.png", white=0)
    drawn(tmp_path / "white.png", white=1)
    for resize in ("aspect", "squash"):
        with pytest.raises(InputError, match=text) as told:
            planned(tmp_path, style={"regions": regions}, resize=resize)
        assert "\n" not in str(told.value)


def test_masks_have_no_gradient_budget(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gradients: expected styles without masks"):
        planned(tmp_path, style={"regions": {"brush": drawn(tmp_path / "a.png")}}, gradients=True)


def test_a_sweep_keeps_its_regions(tmp_path: Path) -> None:
    style = {"regions": {"brush": drawn(tmp_path / "sky.png"), "mosaic": "rest"}}
    path = write_yaml(tmp_path / "t.yaml", **{**SMALL, "style": [style, "brush"]})
    out = tmp_path / "out"
    done = invoke("sweep", path, "--out", out, "--tracking-uri", "off")
    assert (done.status, "2 ok" in done.out) == (0, True), done
    again = invoke("sweep", path, "--out", out, "--tracking-uri", "off")
    assert "0 jobs to run, 2 finished before" in again.out
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    results = store.load_results(out)
    assert set(results["style"]) == {"brush@sky+mosaic@rest", "brush"}
    drawn(tmp_path / "sky.png", white=0.6)
    (job, _) = planned(tmp_path, style=[style, "brush"])
    assert job.job_id not in set(results["job_id"])
    record = run_job(job, out)
    assert record.ok
    store.compact(out)
    assert len(store.load_results(out)) == 2, "that of the mask of before counts no more"
    told = judge(out, JudgeOptions(names=["r-tiny"], offline=True), lambda text: None)
    assert (told.judged, told.failed) == (2, 0)


def test_another_machine_gets_the_masks(tmp_path: Path) -> None:
    sky = drawn(tmp_path / "sky.png")
    (job,) = planned(tmp_path, style={"regions": {"brush": sky, "mosaic": "rest"}})
    assert set(inputs(job)) == {sky}
    there = moved(job, {sky: "/there/sky.png"})
    assert isinstance(there, JobSpec)
    assert [mask and mask.ref for mask in there.masks] == ["/there/sky.png", None]
    assert there.job_id == job.job_id
    assert JobSpec.model_validate_json(job.model_dump_json()) == job
    Path(sky).write_bytes(b"")
    record = run_job(job, tmp_path / "out")
    assert (record.ok, str(tmp_path) in record.error) == (False, False)


def test_contents_with_equal_masks_are_a_batch(tmp_path: Path) -> None:
    square = drawn(tmp_path / "half.png", (64, 64))
    for name in ("a", "b"):
        Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / f"{name}.png")
    contents = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    style = {"regions": {"brush": square, "mosaic": "rest"}}
    found = planned(tmp_path, content=contents, style=[style, "brush"])
    assert sorted(len(group) for group in groups(found, "cpu", None)) == [2, 2]
