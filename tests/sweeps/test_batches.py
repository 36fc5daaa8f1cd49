"""Which stylisations are computed together, and what happens when a batch fails."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stylebench import images
from stylebench.config import JobSpec, Spec
from stylebench.errors import InputError, one_line
from stylebench.sweeps import batches, job, plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.transfer.stylize import Stylization, stylize_batch

pytestmark = pytest.mark.usefixtures("one_thread")

CONTENTS = ["chelsea", "coffee", "rocket", "flower"]


def planned(**flags: object) -> list[Spec]:
    keys = {"arch": ["r-tiny"], "smoothing": ["none"], "content": CONTENTS, "pairing": "product",
            "style": ["brush"], "size": 32, "resize": "squash", "evals": 3,
            "statistics_images": []} | flags  # fmt: skip
    made = plan.expand(load_sweep(None, keys))
    return [*made.statistics, *made.jobs]


def names(groups: list[list[Spec]]) -> list[list[str]]:
    return [[spec.content.name for spec in g if isinstance(spec, JobSpec)] for g in groups]


def test_pairs_of_equal_settings_go_together() -> None:
    assert names(batches.groups(planned(), "cpu", None)) == [CONTENTS]
    assert names(batches.groups(planned(), "cpu", 3)) == [CONTENTS[:3], CONTENTS[3:]]
    assert names(batches.groups(planned(), "cpu", 1)) == [[name] for name in CONTENTS]


def test_auto_keeps_to_the_pixels_of_the_device() -> None:
    assert len(batches.groups(planned(size=128), "cpu", None)) == 1
    assert len(batches.groups(planned(size=256), "cpu", None)) == 4
    assert len(batches.groups(planned(size=256), "cuda:1", None)) == 1


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        ({"smoothing": ["none", "softmax"]}, 2),
        ({"arch": ["r-tiny", "r-vgg11"]}, 2),
        ({"seed": [0, 1]}, 2),
        ({"arch": ["r-resnet18+batchnorm=train"]}, 4),
        ({"arch": ["r-resnet18+batchnorm=calibrated"]}, 1),
        ({"optimiser": {"name": "lbfgsb"}}, 4),
        ({"resize": "aspect", "content": ["chelsea", "astronaut"]}, 2),
        ({"statistics_images": ["chelsea"]}, 2),
    ],
)
def test_what_differs_in_more_than_pictures_is_apart(flags: dict[str, Any], count: int) -> None:
    groups = batches.groups(planned(**flags), "cpu", None)
    assert len(groups) == count
    assert sum(map(len, groups)) == len(planned(**flags))


def test_groups_keep_the_order_of_their_first_jobs() -> None:
    specs = planned(smoothing=["none", "softmax"])
    groups = batches.groups(specs, "cpu", None)
    assert [group[0] for group in groups] == specs[:2]


def test_a_batch_that_does_not_fit_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def small(backbone: Any, pairs: Any, *rest: Any) -> list[Stylization]:
        tried.append(len(pairs))
        if len(pairs) > 2:
            raise torch.OutOfMemoryError("no room")
        return stylize_batch(backbone, pairs, *rest)

    monkeypatch.setattr(job, "stylize_batch", small)
    records = job.run_jobs(planned(), tmp_path)
    assert tried == [4, 2, 2]
    assert [record.status for record in records] == ["ok"] * 4
    assert [record.batch for record in records] == [2] * 4
    assert [record.stylisation.content.name for record in records] == CONTENTS


def test_a_job_that_fails_costs_its_batch_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = job.load_pair

    def broken(spec: JobSpec, device: str) -> Any:
        if spec.content.name == "rocket":
            raise ValueError("a bad picture")
        return real(spec, device)

    monkeypatch.setattr(job, "load_pair", broken)
    found = [record for record, _ in job.compute(planned())]
    assert [record.status for record in found] == ["ok", "ok", "failed", "ok"]
    assert found[2].error == "ValueError: a bad picture"


def test_a_batch_gives_what_its_jobs_give_alone(tmp_path: Path) -> None:
    specs = planned(evals=4)
    together = job.run_jobs(specs, tmp_path / "together")
    for spec, record in zip(specs, together, strict=True):
        alone = job.run_job(spec, tmp_path / "alone")
        assert record.job_id == alone.job_id == spec.job_id
        assert record.batch == 4
        assert alone.batch == 1
        for key in ("loss_initial", "loss_final", "style_loss", "moved", "initial_gradient"):
            assert getattr(record, key) == pytest.approx(getattr(alone, key), rel=1e-2), key
        folders = [tmp_path / where / "jobs" / spec.job_id for where in ("together", "alone")]
        assert sorted(p.name for p in folders[0].iterdir()) == sorted(
            p.name for p in folders[1].iterdir()
        )


def test_each_content_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = images.read

    def read(ref: str, *args: Any, **settings: Any) -> Any:
        seen.append(ref)
        return real(ref, *args, **settings)

    specs = planned(smoothing=["none", "softmax", "scale"], seed=[0, 1])
    monkeypatch.setattr(images, "read", read)
    batches.groups(specs, "cpu", None)
    assert len(seen) == len(set(seen)) == len(CONTENTS)


@pytest.mark.parametrize(
    "name", ["a\n b.png", 'it\'s "a".png', "\udcff.png", "a\\b.png", "\x1b.png"]
)
def test_a_failure_names_no_folder_however_it_shows_the_path(name: str) -> None:
    path = f"/home/o'bob\t\udcfe/{name}"
    (spec, *_) = planned()
    assert isinstance(spec, JobSpec)
    spec = spec.model_copy(update={"content": spec.content.model_copy(update={"ref": path})})
    for said in (path, repr(path), one_line(path), str(OSError(2, "gone", path))):
        assert "bob" not in job._failure(InputError(f"cannot read {said}"), spec)["error"]
