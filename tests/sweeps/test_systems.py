"""Pictures of trained networks as jobs of a sweep: what they are, beside those of optimisations."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stylebench import figures, store
from stylebench.backbones import pretrained
from stylebench.config import ImageRef, PassSpec, Spec, WeightsRef
from stylebench.errors import InputError
from stylebench.figures.arms import labelled
from stylebench.measures import judges
from stylebench.store import JobRecord
from stylebench.sweeps import batches, plan
from stylebench.sweeps.engines import cluster
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.job import run_job, run_jobs
from stylebench.sweeps.single import run_one
from tests.cli.bench import invoke, no_figures, refused, with_database, write_yaml
from tests.jobs import job
from tests.stylisers.tiny import model

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("models") / "train_mine", steps=2)


@pytest.fixture(scope="module")
def swept(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep: an optimisation, a trained network and a missing one."""
    place = tmp_path_factory.mktemp("swept")
    judging = {name: pretrained.resolve(name, 0) for name in ("r-squeezenet1_1", "r-tiny")}
    systems = ["optimise", str(trained), str(place / "train_other" / "model.safetensors")]
    tiny = write_yaml(place / "tiny.yaml", system=systems, smoothing=["none"], size=48, judge=True)
    out = with_database(place / "out")
    with pytest.MonkeyPatch.context() as patch, no_figures():
        patch.setenv("STYLEBENCH_CACHE", str(place / "cache"))
        patch.setenv("STYLEBENCH_OFFLINE", "1")
        patch.setattr(judges, "choose", lambda archs: judging)
        run = invoke("sweep", tiny, "--out", out)
    assert run.status == 0, run
    assert "train_other: unavailable: no model" in run.out
    assert "5 ok, 0 failed, 2 unavailable" in run.out
    return out


def planned(trained: Path, **keys: Any) -> list[Spec]:
    flags = {"system": [str(trained)], "content": ["chelsea"], "style": ["brush"], "size": 32}
    return list(plan.expand(load_sweep(None, {**flags, **keys})).jobs)


def spec(**changes: Any) -> PassSpec:
    fields: dict[str, Any] = {
        "system": "adain", "arch": "adain p-vgg19", "size": 64, "resize": "aspect",
        "weights": WeightsRef(source="model:train_adain", sha256="a" * 64, path="/x/m"),
        "content": ImageRef(name="c", ref="/x/c.png", digest="1"),
        "style": ImageRef(name="s", ref="/x/s.png", digest="2"),
    }  # fmt: skip
    return PassSpec(**{**fields, **changes})


def test_the_id_is_the_same_for_ever() -> None:
    assert spec().job_id == "c2f9c8f73a2e2daa"


def test_the_id_is_of_the_file_and_not_of_what_it_is_called() -> None:
    other = WeightsRef(source="model:mine", sha256="a" * 64, path="/y/n")
    same = spec(weights=other, arch="adain r-vgg19", seed=3, seen_by=("p-vgg19",))
    assert same.job_id == spec().job_id
    changes: list[dict[str, Any]] = [
        {"weights": WeightsRef(source="model:train_adain", sha256="b" * 64)},
        {"size": 65}, {"resize": "squash"}, {"style_scale": 0.5}, {"strength": 0.5},
        {"content": ImageRef(name="c", ref="/x/c.png", digest="3")},
        {"style": ImageRef(name="s", ref="/x/s.png", digest="3")}, {"code": {"net.py": "1"}},
    ]  # fmt: skip
    ids = {spec(**change).job_id for change in changes}
    assert len(ids | {spec().job_id}) == len(changes) + 1


def test_a_record_says_which_kind_of_job_it_is(tmp_path: Path) -> None:
    old = JobRecord.of(job(), status="ok", finished=1.0)
    assert "system" not in json.loads(old.json_text())["spec"], "records are as they were"
    for known in (old, JobRecord.of(spec(), status="ok", finished=1.0, model={"steps": 3})):
        folder = store.place(tmp_path, known.spec)
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(known.json_text())
        assert store.record.read(folder) == known


def test_pictures_are_those_of_apply_to_the_bit(trained: Path, swept: Path, tmp_path: Path) -> None:
    for content, style in (("chelsea", "mosaic"), ("china", "brush")):
        flags = ("--size", 48, "--style-size", 48, "--device", "cpu", "-o", tmp_path / "a.png")
        assert invoke("apply", trained, content, style, *flags).status == 0
        rows = store.load(swept).results
        found = rows[(rows["system"] == "sanet") & (rows["content"] == content)]
        (picture,) = (swept / "jobs" / name / "result.png" for name in found["job_id"])
        assert (store.read_picture(picture) == store.read_picture(tmp_path / "a.png")).all()
        assert np.ptp(store.read_picture(picture)) > 0


def test_what_is_known_of_them(swept: Path, trained: Path) -> None:
    rows = store.load(swept).results.set_index("system")
    assert rows.index.value_counts().to_dict() == {"optimise": 2, "sanet": 2, "unknown": 2}
    absent, made, plain = (rows.loc[[name]] for name in ("unknown", "sanet", "optimise"))
    assert absent["status"].eq("unavailable").all()
    assert absent["error"].str.contains("train it first").all()
    assert set(made["arch"]) == {"sanet r-tiny on r-tiny"}
    assert made["weights"].str.match("model:train_mine@sha256:[0-9a-f]{12}$").all()
    assert (made["pass_seconds"] > 0).all()
    assert plain["pass_seconds"].isna().all()
    told = json.loads(made["model"].iloc[0])
    expected = {"system": "sanet", "encoder": "r-tiny", "loss_network": "r-tiny"}
    assert told == {**expected, "smoothing": "none", "steps": 2, "profile": ""}
    folder = swept / "jobs" / made["job_id"].iloc[0]
    assert {path.name for path in folder.iterdir()} == {
        "record.json", "result.png", "content.png", "style.png", "metrics.parquet"
    }  # fmt: skip
    assert store.read_record(folder) is not None


def test_finished_ones_are_not_made_again(trained: Path, swept: Path) -> None:
    jobs = planned(trained, content=["chelsea"], style=["mosaic"], size=48)
    assert store.pending(swept, jobs) == []


def test_they_are_judged_compared_and_drawn(swept: Path) -> None:
    rows = store.load(swept)
    judged = rows.metrics[rows.metrics["arch"].str.startswith("sanet")]
    assert set(judged["judge"]) == {"", "r-squeezenet1_1"}, "not by its own encoder, r-tiny"
    compared = invoke("compare", swept, "--a", "sanet r-tiny on r-tiny", "--b", "r-tiny")
    assert compared.status == 0, compared
    assert re.search(r"swd_share by r-squeezenet1_1 .* 2 pairs × 1 seed", compared.out)
    drawn = dict(figures.draw(swept))
    for name in ("grid", "curves", "metrics", "comparisons", "summary"):
        assert isinstance(drawn[name], Path), drawn[name]
    table = pd.read_csv(swept / "tables" / "summary.csv")
    assert set(table["arch"]) >= {"sanet r-tiny on r-tiny", "r-tiny", "train_other"}
    assert "start" not in table, "what trained networks do not have tells nobody apart"
    notes = (swept / "tables" / "summary.md").read_text()
    assert "sanet (quick: 2 steps, published 160,000)" in notes


def test_a_report_shows_them_beside_the_others(swept: Path) -> None:
    assert invoke("report", swept).status == 0
    page = (swept / "report.html").read_text()
    assert page.count("sanet r-tiny on r-tiny") > 3
    heads = re.findall(r"chelsea in the style of mosaic by ([^,<]+),", page)
    assert {"r-tiny", "sanet r-tiny on r-tiny"} <= set(heads)


def test_they_are_in_mlflow(swept: Path) -> None:
    from mlflow import MlflowClient

    done = invoke("track", swept)
    assert done.status == 0, done
    client = MlflowClient(f"sqlite:///{swept / 'mlflow.db'}")
    (place,) = (e for e in client.search_experiments() if e.name == "tiny")
    runs = client.search_runs([place.experiment_id], "params.system = 'sanet'")
    assert len(runs) == 2
    for run in runs:
        assert run.data.params["arch"] == "sanet r-tiny on r-tiny"
        assert "optimiser" not in run.data.params
        assert "evals_budget" not in run.data.params
        assert run.data.metrics["pass_seconds"] > 0
        assert [f.path for f in client.list_artifacts(run.info.run_id)].count("result.png") == 1


def test_a_model_that_changed_is_refused(trained: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(trained.read_bytes())
    (known,) = planned(mine)
    mine.write_bytes(model(tmp_path / "other", steps=1, seed=5).read_bytes())
    record = run_job(known, tmp_path / "out")
    assert (record.status, record.traceback) == ("failed", "")
    assert (
        record.error
        == "…/mine.safetensors: the model changed after the job was planned; plan it again"
    )
    mine.unlink()
    assert run_job(known, tmp_path / "out").status == "failed"


def test_several_are_of_one_network(trained: Path, tmp_path: Path) -> None:
    jobs = planned(trained, content=["chelsea", "china"], style=["brush", "mosaic"])
    assert len(jobs) == 4
    records = run_jobs(jobs, tmp_path)
    assert [record.status for record in records] == ["ok"] * 4
    assert {record.batch for record in records} == {4}


def test_a_blend_is_that_of_apply(trained: Path, tmp_path: Path) -> None:
    blend = {"blend": {"brush": 3, "mosaic": 1}}
    (known,) = planned(trained, style=[blend], strength=0.5)
    assert isinstance(known, PassSpec)
    assert run_job(known, tmp_path / "out").ok
    flags = ("--size", 32, "--style-size", 32, "--blend", "3,1", "--strength", 0.5)
    more = ("--device", "cpu", "-o", tmp_path / "a.png")
    assert invoke("apply", trained, "chelsea", "brush,mosaic", *flags, *more).status == 0
    made = store.read_picture(store.place(tmp_path / "out", known) / "result.png")
    assert (made == store.read_picture(tmp_path / "a.png")).all()


def test_run_job_takes_what_a_dry_run_prints(trained: Path, tmp_path: Path) -> None:
    flags = ("--system", trained, "--content", "chelsea", "--style", "brush", "--size", 32)
    dry = invoke("sweep", *flags, "--dry-run", "--json")
    (text,) = dry.out.splitlines()
    done = invoke("run-job", "-", "--out", tmp_path, stdin=text)
    assert done.status == 0, done
    assert "model:train_mine" in invoke("sweep", *flags, "--dry-run").out
    with pytest.raises(InputError, match="expected a job as JSON: system"):
        run_one(text.replace('"sanet"', '"sanat"'), None)  # type: ignore[arg-type]


def test_both_files_travel_to_another_machine(trained: Path) -> None:
    (known,) = planned(trained)
    assert isinstance(known, PassSpec)
    encoder = WeightsRef(source="file:e.pth", sha256="e" * 64, path="/x/e.pth")
    known = known.model_copy(update={"encoder": encoder})
    assert cluster.inputs(known) == {str(trained): known.weights.sha256, "/x/e.pth": "e" * 64}
    there = cluster.moved(known, {str(trained): "/there/m", "/x/e.pth": "/there/e"})
    assert isinstance(there, PassSpec)
    assert there.encoder is not None
    assert (there.weights.path, there.encoder.path) == ("/there/m", "/there/e")
    assert there.job_id == known.job_id


def test_what_it_cannot_do_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="strength: expected a trained network"):
        plan.expand(load_sweep(None, {"arch": ["r-tiny"], "strength": 0.5}))
    regions = {"regions": {"brush": "rest"}}
    with pytest.raises(InputError, match="regions: expected"):
        planned(trained, style=[regions])
    for flag, value in (("--arch", "r-tiny"), ("--evals", 3), ("--smoothing", "none")):
        told = refused("sweep", "--system", trained, flag, value, "--out", tmp_path / "o")
        assert f"{flag}: sweep has trained networks alone" in told
    assert "did you mean 'registry:magenta'" in refused("sweep", "--system", "registry:magneta")
    assert "did you mean 'registry:magenta'?" in refused("sweep", "--system", "magenta")
    gone = refused("sweep", "--system", tmp_path / "gone.safetensors")
    assert "--system: expected optimise or a model: no model" in gone
    assert "did you mean 'optimise'?" in refused("sweep", "--system", "optimize")
    experiment = tmp_path / "own.yaml"
    experiment.write_text("name: own\nsystem: optimize\n")
    assert "system: expected optimise or a model, found 'optimize'" in refused("sweep", experiment)
    assert f"found a folder; did you mean '{trained}'" in refused(
        "sweep", "--system", trained.parent
    )
    told = refused("sweep", "--system", trained, "--statistics-images", "chelsea")
    assert "--statistics-images: sweep has trained networks alone" in told


def test_pictures_of_one_network_are_computed_in_groups_of_a_few() -> None:
    a, b = ([spec(size=32 + n, weights=weights) for n in range(20)] for weights in (
        WeightsRef(source="model:a", sha256=name * 64, path="/x/m") for name in "ab"))  # fmt: skip
    found = batches.groups([*a, *b], "cpu", None)
    assert found == [a[:16], a[16:], b[:16], b[16:]]
    assert batches.groups(a, "cpu", 7) == [a[:7], a[7:14], a[14:]]
    assert batches.groups(a, "cpu", 1) == [[each] for each in a]


def test_a_strangers_file_is_refused_in_a_line(trained: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.safetensors"

    def told(data: bytes) -> str:
        stranger.write_bytes(data)
        return refused("sweep", "--system", stranger, "--out", tmp_path / "out")

    assert "expected a model that `stylebench train` wrote" in told(b"PK\x03\x04" + bytes(99))
    whole = trained.read_bytes()
    assert "expected a model that `stylebench train` wrote" in told(whole[: len(whole) // 2])
    assert "card: name" in told(whole.replace(b'\\"sanet\\",\\"enc', b'\\"sanat\\",\\"enc', 1))
    wrong = whole.replace(b'\\"network\\":\\"\\"', b'\\"network\\":\\"r-x+bad\\"', 1)
    wrong = (int.from_bytes(whole[:8], "little") + 7).to_bytes(8, "little") + wrong[8:]
    assert "stranger.safetensors': its networks: " in told(wrong)
    with stranger.open("wb") as file:
        file.truncate((1 << 30) + 1)
    huge = refused("sweep", "--system", stranger, "--out", tmp_path / "out")
    assert huge.count("expected a model that `stylebench train` wrote, found one of over") == 1
    assert huge.count("expected a model") == 1
    assert not (tmp_path / "out" / "jobs").exists()


def test_settings_of_optimisations_tell_no_network_apart(swept: Path) -> None:
    rows = store.load(swept).results
    rows = rows[rows["status"] == "ok"]
    assert set(labelled(rows)["arm"]) == {"r-tiny", "sanet r-tiny on r-tiny"}
    more = rows[rows["system"] == "optimise"].assign(style_weight=99.0)
    found = labelled(pd.concat([rows, more], ignore_index=True))
    arms = found.groupby("arch")["arm"].unique()
    assert list(arms["sanet r-tiny on r-tiny"]) == ["sanet r-tiny on r-tiny"]
    assert len(arms["r-tiny"]) == 2
