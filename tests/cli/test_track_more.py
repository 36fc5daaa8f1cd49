"""MLflow as people keep it: its variables, experiments, tags, and what judges say."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from stylebench import store
from stylebench.sweeps import judge
from stylebench.tracking import address
from tests.cli.bench import invoke, refused, with_database, write_yaml
from tests.e2e.folders import check_mlflow, done, runs, sweep

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")
VALUES = {("colour_share", "", ""): 0.5, ("swd_share", "p-vgg19", "file:1"): 0.25,
          ("gram", "p-timm:lite", "file:1"): 1.5, ("gram", "p-timm:lite", "file:2"): 2.5,
          ("ms_ssim", "", ""): float("nan")}  # fmt: skip
LOGGED = {"colour_share": 0.5, "swd_share/p-vgg19": 0.25, "gram/p-timm_lite/file_1": 1.5,
          "gram/p-timm_lite/file_2": 2.5}  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder of one job, in its database."""
    folder = tmp_path_factory.mktemp("swept")
    out = with_database(folder / "out")
    assert sweep("--out", out, _yaml(folder)).status == 0
    return out


@pytest.fixture
def out(swept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(swept, tmp_path / "out"))


def _yaml(folder: Path, **keys: object) -> Path:
    one = {"smoothing": ["none"], "content": ["chelsea"], "style": ["brush"]}
    return write_yaml(folder / "tiny.yaml", statistics_images=[], **{**one, **keys})


def _judged(out: Path, values: Mapping[tuple[str, str, str], float] = VALUES) -> None:
    """Write metrics of all jobs, as `stylebench judge` does."""
    records = [record for record in store.records(out) if record.ok]
    for record in records:
        judge._write(out / "jobs" / record.job_id, record.job_id, record.stylisation, dict(values))
    store.compact_metrics(out, records)


def _metrics(out: Path, client: MlflowClient | None = None) -> dict[str, list[float]]:
    """Return the history of what judges said of the one job."""
    _, (run,), own = runs(out)
    client = client or own
    names = [n for n in run.data.metrics if n.partition("/")[0] in {key[0] for key in VALUES}]
    return {n: [m.value for m in client.get_metric_history(run.info.run_id, n)] for n in names}


def _last(out: Path, *flags: object) -> str:
    run = invoke("track", out, *flags)
    assert (run.status, run.err) == (0, ""), run
    return run.out.splitlines()[-1]


def test_what_judges_said_since_is_added_once(out: Path) -> None:
    assert _metrics(out) == {}
    _judged(out)
    once = {name: [value] for name, value in LOGGED.items()}
    for _ in range(2):
        assert _last(out).startswith("0 jobs logged, 1 were there")
        assert _metrics(out) == once
    check_mlflow(out)


def test_a_new_judge_and_a_new_value_are_added_alone(out: Path) -> None:
    _judged(out)
    _last(out)
    _judged(out, VALUES | {("colour_share", "", ""): 0.25, ("edges", "", ""): 1.0})
    _last(out)
    _, (run,), client = runs(out)
    assert run.data.metrics["colour_share"] == 0.25, "the newest, though it is smaller"
    assert run.data.metrics["edges"] == 1.0
    found = _metrics(out, client)
    assert {name: sorted(values) for name, values in found.items()} == {
        **{name: [value] for name, value in LOGGED.items()}, "colour_share": [0.25, 0.5]
    }  # fmt: skip


def test_a_kill_between_metrics_and_their_tag_doubles_nothing(out: Path) -> None:
    _judged(out)
    _last(out)
    _, (run,), client = runs(out)
    client.delete_tag(run.info.run_id, "stylebench.judged")
    _last(out)
    assert {len(values) for values in _metrics(out).values()} == {1}


def test_a_new_database_has_the_metrics_too(out: Path) -> None:
    _judged(out)
    with_database(out)
    assert _last(out).startswith("1 jobs logged, 0 were there")
    assert _metrics(out) == {name: [value] for name, value in LOGGED.items()}


def test_judge_logs_where_the_folder_is_tracked(out: Path, tmp_path: Path) -> None:
    flags = ("--judge", "r-tiny", "--offline", "--device", "cpu")
    run = invoke("judge", out, *flags)
    told = run.out.splitlines()
    assert f"metrics of 1 jobs are in MLflow: sqlite:///{out}/mlflow.db" in told, run
    _, (job,), _ = runs(out)
    frame = store.read_metrics(next((out / "jobs").glob("[!.]*")))
    finite = frame[frame["value"].notna() & frame["metric"].eq("colour_share")]
    assert job.data.metrics["colour_share"] == finite["value"].item()
    before = dict(job.data.metrics)
    assert "in MLflow" not in invoke("judge", out, *flags, "--tracking-uri", "off").out
    copy = Path(shutil.copytree(out, tmp_path / "copy", ignore=shutil.ignore_patterns("mlflow*")))
    assert "are in MLflow" not in invoke("judge", copy, *flags).out
    assert not (copy / "mlflow.db").exists()
    _last(with_database(copy))
    _, (job,), _ = runs(copy)
    assert dict(job.data.metrics) == before


def test_judge_goes_on_where_mlflow_does_not_answer(out: Path) -> None:
    (out / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"nothing" * 100)
    run = invoke("judge", out, "--judge", "r-tiny", "--offline", "--device", "cpu")
    assert run.status == 1
    assert f"complete with `stylebench track {out}`" in run.out
    assert (out / "metrics.parquet").exists()


JUDGE = ("--judge", "r-tiny", "--offline", "--device", "cpu")


def test_judge_says_where_a_folder_is_tracked_elsewhere(
    out: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "mlflow.db").unlink()
    address.remember(out, f"sqlite:///{out.resolve() / 'mlflow.db'}")
    own = (out / ".tracked").read_text().split()[-1]
    (out / ".tracked").write_text(own)
    assert "MLflow" not in invoke("judge", out, *JUDGE).out, "its own database was removed"
    _last(out, "--tracking-uri", server)
    here = out.rename(tmp_path / "two words")
    run = invoke("judge", here, *JUDGE)
    told = (
        "not in MLflow: this folder is tracked elsewhere; complete with "
        f"`stylebench track '{here}' --tracking-uri …`"
    )
    assert (run.status, told in run.out.splitlines()) == (0, True), run
    assert not (here / "mlflow.db").exists()
    assert "MLflow" not in invoke("judge", here, *JUDGE, "--tracking-uri", "off").out
    done = invoke("judge", here, *JUDGE, "--tracking-uri", server).out
    assert f"metrics of 1 jobs are in MLflow: {server}" in done
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert told in invoke("judge", here, *JUDGE).out, "never tracked there"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert f"are in MLflow: {server}" in invoke("judge", here, *JUDGE).out


@pytest.mark.parametrize("name", ["", "phd/backbones"])
def test_judge_tells_the_address_that_did_not_answer(
    name: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    uri = "http://me:secret@127.0.0.1:9"
    run = invoke("judge", out, *JUDGE, "--tracking-uri", uri)
    (told,) = (line for line in run.out.splitlines() if line.startswith("not in MLflow: "))
    command = f"stylebench track {out} --tracking-uri 'http://***@127.0.0.1:9'"
    assert told.endswith(f"; complete with `{command}`")
    assert (run.status, "secret" in run.out) == (1, False)


def test_a_sweep_logs_what_its_judges_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(out: Path, *_: Any, **__: Any) -> judge.Summary:
        _judged(out)
        return judge.Summary(1, 0)

    monkeypatch.setattr(judge, "run", judged)
    out = with_database(tmp_path / "out")
    assert sweep("--out", out, _yaml(tmp_path, judge=True)).status == 0
    assert _metrics(out) == {name: [value] for name, value in LOGGED.items()}


@pytest.fixture
def server(tmp_path: Path) -> str:
    return f"sqlite:///{with_database(tmp_path / 'server')}/mlflow.db"


def _runs(uri: str) -> dict[str, list[Any]]:
    """Return the runs of each experiment that has any."""
    client = MlflowClient(uri)
    found = {each.name: client.search_runs([each.experiment_id])
             for each in client.search_experiments()}  # fmt: skip
    return {name: list(each) for name, each in found.items() if len(each)}


def test_variables_of_mlflow_are_heeded_and_told(
    out: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "phd/backbones")
    run = invoke("track", out)
    assert run.out.splitlines() == [
        f"MLflow: at {server} ($MLFLOW_TRACKING_URI), "
        "experiment phd/backbones ($MLFLOW_EXPERIMENT_NAME)",
        f"1 jobs logged, 0 were there: {server}",
    ]
    assert {name: len(found) for name, found in _runs(server).items()} == {"phd/backbones": 2}
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    assert _last(out).startswith("0 jobs logged, 1 were there")
    assert list(_runs(server)) == ["phd/backbones"], "the sweep stays where it is"
    own = f"sqlite:///{out / 'mlflow.db'}"
    assert _last(out, "--tracking-uri", own) == f"0 jobs logged, 1 were there: {own}"


def test_an_address_of_the_environment_that_is_wrong_says_so(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    said = sweep("--out", out, _yaml(tmp_path)).err
    assert said.rstrip().endswith(
        "(the address is $MLFLOW_TRACKING_URI; --tracking-uri goes before it, `off`: no tracking)"
    )
    assert "secret" not in said
    judged = invoke("judge", out, "--judge", "r-tiny", "--offline", "--device", "cpu")
    assert (judged.status, "MLflow" in judged.out) == (0, False), "never tracked there"


def test_experiments_and_tags_of_a_sweep(tmp_path: Path, server: str) -> None:
    out, config = tmp_path / "new", _yaml(tmp_path)
    flags = ("--tracking-uri", server, "--tag", "chapter=3", "--tag", "who=x y")
    name = ("--experiment-name", "phd/backbones")
    assert sweep("--out", out, config, *flags, *name).status == 0
    ((experiment, found),) = _runs(server).items()
    assert (experiment, len(found)) == ("phd/backbones", 2)
    assert {(run.data.tags["chapter"], run.data.tags["who"]) for run in found} == {("3", "x y")}
    (parent,) = (run for run in found if "job_id" not in run.data.tags)
    assert parent.data.tags["mlflow.runName"] == "tiny"
    more = _yaml(tmp_path, seed=[0, 1])
    assert sweep("--out", out, more, "--tracking-uri", server).status == 0
    ((experiment, found),) = _runs(server).items()
    assert (experiment, len(found)) == ("phd/backbones", 3), "it goes on where it began"
    again = refused("track", out, *flags, "--experiment-name", "other")
    assert "the sweep 'tiny' has its runs in 'phd/backbones', and MLflow moves none" in again
    assert "has its runs in" in sweep("--out", out, more, *flags, "--experiment-name", "b").err
    assert _last(out, *flags, *name, "--tag", "new=1").startswith("0 jobs logged, 2 were there")
    tags = [run.data.tags for run in _runs(server)["phd/backbones"]]
    assert [(each["chapter"], each["new"]) for each in tags] == [("3", "1")] * 3
    assert len(done(out)) == 2


def test_two_sweeps_in_one_experiment_have_runs_of_their_own(tmp_path: Path, server: str) -> None:
    out, flags = tmp_path / "new", ("--tracking-uri", server, "--experiment-name", "all")
    for number, name in enumerate(("one", "two")):
        config = _yaml(tmp_path, name=name, seed=[number])
        assert sweep("--out", out, config, *flags).status == 0
    found = _runs(server)["all"]
    parents = {r.info.run_id: r.info.run_name for r in found if "job_id" not in r.data.tags}
    assert sorted(parents.values()) == ["one", "two"]
    of = {r.data.params["seed"]: parents[r.data.tags["mlflow.parentRunId"]]
          for r in found if "job_id" in r.data.tags}  # fmt: skip
    assert of == {"0": "one", "1": "two"}
    assert _last(out, *flags).startswith("0 jobs logged, 2 were there")
    assert len(_runs(server)["all"]) == 4


def test_a_new_sweep_has_an_experiment_of_its_own_beside_an_earlier_one(
    tmp_path: Path, server: str
) -> None:
    out, to = tmp_path / "new", ("--tracking-uri", server)
    one, two = (write_yaml(tmp_path / f"{name}.yaml", name=name, seed=[seed], smoothing=["none"],
                           content=["chelsea"], style=["brush"], statistics_images=[])
                for seed, name in enumerate(("one", "two")))  # fmt: skip
    assert sweep("--out", out, one, *to).status == 0
    run = sweep("--out", out, two, *to, "--experiment-name", "b")
    assert run.status == 0, run
    assert {name: len(found) for name, found in _runs(server).items()} == {"one": 2, "b": 2}
    assert "'one' has its runs in 'one'" in refused("track", out, *to, "--experiment-name", "b")
    for config, name in ((two, "one"), (one, "b")):
        said = sweep("--out", out, config, *to, "--experiment-name", name).err
        assert "has its runs in" in said
    assert _last(out, *to).startswith("0 jobs logged, 2 were there")


def test_runs_of_earlier_versions_are_found(out: Path) -> None:
    parent, _, client = runs(out)
    client.delete_tag(parent.info.run_id, "stylebench.sweep")
    assert _last(out).startswith("0 jobs logged, 1 were there")
    assert runs(out)[0].info.run_id == parent.info.run_id
