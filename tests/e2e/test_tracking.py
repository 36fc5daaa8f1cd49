"""MLflow where it cannot be reached, is damaged, or lies elsewhere."""

import inspect
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient

from stylebench import store
from stylebench.errors import InputError
from stylebench.tracking import address
from stylebench.tracking import mlflow as ours
from tests.cli.bench import invoke, refused, with_database, write_yaml
from tests.e2e.folders import done, job_tags, sweep

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")


@pytest.mark.timeout(90)
@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nonsense://x", "sqlite:///{}/garbage.db"])
def test_tracking_server_that_cannot_be_reached(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    (tmp_path / "garbage.db").write_text("this is no database " * 100)
    config, out = write_yaml(tmp_path / "tiny.yaml"), tmp_path / "out"
    run = sweep("--tracking-uri", uri.format(tmp_path), "--out", out, config)
    assert run.status == 2
    lines = [line for line in run.err.splitlines() if line.startswith("stylebench: ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"stylebench: MLflow at {uri.format(tmp_path)}: ")
    assert len(lines[0]) < 400
    assert "Traceback" not in run.err
    assert not (out / "jobs").exists()


class Absent:
    """Finds no MLflow, as where it is not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == "mlflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


WITHOUT = f"""
import sys

{inspect.getsource(Absent)}
sys.meta_path.insert(0, Absent())
from stylebench import figures
figures.draw = lambda *_: iter(())
from stylebench.cli.main import main
main()
"""


@pytest.mark.slow
def test_without_tracking_mlflow_is_not_needed_and_can_be_told_later(tmp_path: Path) -> None:
    config, out = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3), tmp_path / "out"
    flags = ["sweep", "--tracking-uri", "off", "--out", str(out), str(config)]
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, *flags], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not list(out.glob("mlflow*"))
    assert "expected the address of an MLflow" in refused("track", out, "--tracking-uri", "off")
    assert invoke("track", out).status == 0
    assert job_tags(out).keys() == set(store.load_results(out)["job_id"])


ABSENT = "MLflow is not installed: pip install mlflow, or --tracking-uri off"


def test_without_mlflow_a_sweep_goes_on_and_all_else_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mlflow")
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    config, out = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3), tmp_path / "out"
    to = ("--tracking-uri", "http://127.0.0.1:9")
    ran = sweep("--out", out, config, *to)
    assert (ran.status, ran.err) == (2, f"stylebench: {ABSENT}\n")
    assert not (out / "jobs").exists()
    ran = sweep("--out", out, config)
    assert (ran.status, f"not tracked: {ABSENT}\n" in ran.out) == (0, True), ran
    assert set(store.load_results(out)["status"]) == {"ok"}
    for flags in ((), to):
        ran = invoke("track", out, *flags)
        assert (ran.status, ran.out, ran.err) == (2, "", f"stylebench: {ABSENT}\n")
    (out / "mlflow.db").touch()
    ran = invoke("judge", out, "--judge", "r-tiny", "--offline", "--device", "cpu")
    assert (ran.status, f"not in MLflow: {ABSENT}; complete with" in ran.out) == (1, True), ran
    assert (out / "metrics.parquet").exists()


@pytest.mark.parametrize(
    "error", [ImportError("cannot import name 'x' from 'y'"), ModuleNotFoundError("no z", name="z")]
)
def test_mlflow_that_is_not_whole(error: ImportError, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "mlflow":
                raise error

    monkeypatch.delitem(sys.modules, "mlflow")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(InputError, match=rf"^MLflow cannot be imported \({error}\): install it"):
        address.client()


def test_damaged_database_does_not_stop_a_sweep(tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    out = tmp_path / "out"
    out.mkdir()
    (out / "mlflow.db").write_text("this is no database " * 100)
    run = sweep("--out", out, config)
    assert run.status == 0
    assert "not tracked: MLflow at sqlite:///" in run.out
    assert "Traceback" not in run.err
    assert set(store.load_results(out)["status"]) == {"ok"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["q?x", "p%41"])
def test_folder_that_mlflow_would_misread(name: str, tmp_path: Path) -> None:
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    run = sweep("--out", tmp_path / name, config)
    assert run.status == 0
    assert "not tracked: sqlite:///" in run.out
    assert {path.name for path in tmp_path.iterdir()} == {name, config.name}
    assert set(store.load_results(tmp_path / name)["status"]) == {"ok"}


def test_other_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = write_yaml(tmp_path / "tiny.yaml", smoothing=["none"], evals=3)
    database = with_database(tmp_path / "elsewhere") / "mlflow.db"
    out = tmp_path / "out"
    run = sweep("--tracking-uri", f"sqlite:///{database}", "--out", out, config)
    assert run.status == 0
    assert not (out / "mlflow.db").exists()
    assert job_tags(database.parent) == Counter(list(done(out)))
    assert list((tmp_path / "elsewhere" / "mlartifacts").rglob("result.png"))
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.slow
def test_jobs_are_found_among_many_experiments(
    copy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = copy
    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    names = {client.get_experiment(client.create_experiment(f"other-{i}")).name for i in range(5)}
    one_by_one = partial(client.search_experiments, max_results=1)
    assert names < {found.name for found in ours._pages(one_by_one)}
    monkeypatch.setattr(ours, "EXPERIMENTS", 2)
    assert sweep("--out", out, config).status == 0
    assert job_tags(out) == Counter(list(done(out)))
