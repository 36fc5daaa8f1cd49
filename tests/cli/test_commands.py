"""What each command does and prints when its input is right."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from stylebench import store
from stylebench.backbones import names
from stylebench.cli import progress
from stylebench.cli.ls import wrapped
from stylebench.config import JobSpec
from stylebench.images import PAINTINGS, PHOTOGRAPHS
from stylebench.measures.statistics import BRANCH_CHANGE, STATISTICS
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.transfer.smoothing import SMOOTHINGS
from tests.cli.bench import Run, invoke, no_figures, with_database, write_yaml

pytestmark = pytest.mark.usefixtures("one_thread", "no_weights")

KINDS = ("archs", "smoothings", "statistics", "metrics", "images", "figures")
STATS_COLUMNS = ["arch", "weights", "smoothing", "image", "layer", "stage", "statistic", "value",
                 "seed"]  # fmt: skip


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_yaml(tmp_path / "tiny.yaml")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Return a sweep of four jobs, and its folder."""
    folder = tmp_path_factory.mktemp("swept")
    out = with_database(folder / "out")
    with no_figures():
        return invoke("sweep", "--out", out, write_yaml(folder / "tiny.yaml")), out


# ------------------------------------------------------------------------------------- dry run


def test_dry_run_lists_the_jobs(tiny: Path, tmp_path: Path) -> None:
    done = invoke("sweep", "--dry-run", "--out", tmp_path / "out", tiny)
    assert done.status == 0
    lines = done.out.splitlines()
    ids = [spec.job_id for spec in plan.expand(load_sweep(tiny)).jobs]
    assert [line.split()[0] for line in lines] == ids
    assert "to do" in lines[0]
    assert re.search(
        r"r-tiny +none +chelsea × mosaic  robust  32 px  5 evaluations  \w+  seed 0", lines[0]
    )
    assert "4 jobs, 4 to do, 0 unavailable; 1 statistics job; " in done.err
    assert not (tmp_path / "out").exists()


def test_dry_run_as_json_are_the_jobs(tiny: Path, tmp_path: Path) -> None:
    done = invoke("sweep", "--dry-run", "--json", "--out", tmp_path / "out", tiny)
    assert done.status == 0
    jobs = [JobSpec.model_validate_json(line) for line in done.out.splitlines()]
    assert tuple(jobs) == plan.expand(load_sweep(tiny)).jobs
    assert not (tmp_path / "out").exists()


def test_dry_run_knows_what_is_finished(swept: tuple[Run, Path], tmp_path: Path) -> None:
    flags = ["sweep", "--dry-run", "--out", swept[1]]
    done = invoke(*flags, write_yaml(tmp_path / "t.yaml", seed=[0, 1]))
    assert [line.split("  ")[1] for line in done.out.splitlines()] == ["finished"] * 4 + [
        "to do"
    ] * 4
    forced = invoke(*flags, "--force", write_yaml(tmp_path / "t.yaml", seed=[0, 1]))
    assert "8 jobs, 8 to do" in forced.err


def test_all_without_weights_lists_pretrained_as_unavailable(tiny: Path) -> None:
    done = invoke("sweep", "--arch", "all", "--dry-run", "--offline", tiny)
    assert done.status == 0
    rows = [re.split(r"  +", line) for line in done.out.splitlines()]
    archs = {row[2]: row[1] for row in rows}
    assert archs == {a: "unavailable" if a.startswith("p-") else "to do" for a in names.ALL}
    assert len(rows) == 7 * 4
    assert "8 unavailable" in done.err
    assert re.search(r"^p-vgg19: unavailable: .*--weights vgg19=PATH", done.err, re.MULTILINE)


@pytest.mark.parametrize(
    ("flags", "archs"),
    [
        (["--arch", "r-*vgg"], ["r-pseudo-vgg", "r-pseudo-resvgg"]),
        (["--arch", "r-tiny,r-vgg19"], ["r-tiny", "r-vgg19"]),
        (["--arch", "r-vgg19", "--arch", "r-tiny"], ["r-vgg19", "r-tiny"]),
        (["--arch", "r-vgg19,r-vgg1[9]"], ["r-vgg19"]),
    ],
)
def test_choice_of_backbones(flags: list[str], archs: list[str], tiny: Path) -> None:
    done = invoke("sweep", *flags, "--dry-run", "--json", tiny)
    found = [json.loads(line)["arch"] for line in done.out.splitlines()]
    assert list(dict.fromkeys(found)) == archs


def test_options_of_a_group_go_where_they_can(tiny: Path) -> None:
    done = invoke("sweep", "--arch", "all+batchnorm=train", "--dry-run", "--json", tiny)
    jobs = [json.loads(line) for line in done.out.splitlines()]
    options = {job["arch"]: job["weights"]["options"] for job in jobs}
    without = {"r-vgg19", "p-vgg19"}
    assert {arch for arch, own in options.items() if "batchnorm" not in own} == without
    line = "batchnorm=train: r-vgg19, p-vgg19 cannot have it and run without"
    assert done.err.splitlines().count(line) == 1
    assert line in invoke("ls", "archs", "--arch", "all+batchnorm=train").out


def test_options_that_none_of_a_group_has_are_refused(tiny: Path) -> None:
    for text, why in {
        "all+batchnrm=train": "none of r-vgg19, p-vgg19, r-resnet50, p-resnet50, r-noresnet50, "
        "r-pseudo-vgg, r-pseudo-resvgg has an option 'batchnrm'; did you mean 'batchnorm'?",
        "all+batchnorm=trian": "option batchnorm is one of eval, train, calibrated, found 'trian'",
        "r-vgg*+shortcut=off": "vgg19_bn has an option 'shortcut'",
    }.items():
        done = invoke("sweep", "--arch", text, "--dry-run", tiny)
        assert (done.status, why in done.err) == (2, True), done.err
    named = invoke("sweep", "--arch", "r-vgg19+batchnorm=train,all+batchnorm=train", tiny)
    assert "r-vgg19 has no option 'batchnorm'" in named.err


@pytest.mark.parametrize(
    "flags", [["--seed", "0,1,2"], ["--seed", "0, 1", "--seed", "2"], ["--seed=0,1,2"]]
)
def test_seeds_may_be_a_comma_list(flags: list[str], tiny: Path) -> None:
    done = invoke("sweep", "--dry-run", "--json", *flags, tiny)
    assert [json.loads(line)["seed"] for line in done.out.splitlines()][::4] == [0, 1, 2]


@pytest.mark.parametrize("text", ["0,x", "0,,1", "", "1.5", "0-3", "9" * 5000])
def test_seeds_that_are_none(text: str, tiny: Path) -> None:
    for command in ("sweep", "stats"):
        done = invoke(command, "--arch", "r-tiny", "--size", 32, f"--seed={text}")
        assert done.status == 2
        assert "--seed expects whole numbers from 0 on, as 0 or 0,1,2, found" in done.err
        assert len(done.err) < 300


def test_statistics_may_be_left_out(tiny: Path) -> None:
    with_them = invoke("sweep", "--dry-run", tiny)
    without = invoke("sweep", "--dry-run", "--no-statistics", tiny)
    assert "; 1 statistics job;" in with_them.err
    assert "; 0 statistics jobs;" in without.err
    assert without.out == with_them.out
    both = invoke("sweep", "--no-statistics", "--statistics-images", "chelsea", tiny)
    assert (both.status, "expected one of both" in both.err) == (2, True)


def test_nodes_by_gatys_names(tiny: Path) -> None:
    done = invoke("sweep", "--arch", "r-vgg19", "--nodes", "relu1_1,relu2_2", "--content-node",
                  "relu3_4", "--dry-run", "--json", tiny)  # fmt: skip
    nodes = {"features.1": "relu1_1", "features.8": "relu2_2", "features.17": "relu3_4"}
    assert json.loads(done.out.splitlines()[0])["nodes"] == nodes
    shown = invoke("ls", "archs", "-v", "--arch", "r-vgg19").out
    assert "names    relu1_1 = features.1, relu1_2 = features.3," in shown


def test_flags_go_before_the_file(tiny: Path) -> None:
    done = invoke(
        "sweep", "--dry-run", "--json", "--smoothing", "scale,softmax-space", "--smoothing", "none",
        "--content", "coffee,chelsea", "--style", "brush", "--size", 48, "--evals", 3,
        "--seed", 7, "--seed", 8, "--preset", "paper", "--precision", "bf16", tiny,
    )  # fmt: skip
    jobs = [json.loads(line) for line in done.out.splitlines()]
    assert len(jobs) == 3 * 2 * 2
    assert {job["smoothing"]["name"] for job in jobs} == {"scale", "softmax-space", "none"}
    assert {job["content"]["name"] for job in jobs} == {"coffee", "chelsea"}
    for key, value in {"size": 48, "evals": 3, "preset": "paper", "precision": "bf16"}.items():
        assert {job[key] for job in jobs} == {value}
    assert {job["seed"] for job in jobs} == {7, 8}
    assert {job["loss"]["style_weight"] for job in jobs} == {1000}


def test_folder_of_pictures(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("b.png", "a.jpg", ".hidden.png"):
        Image.new("RGB", (30, 20), "red" if "a" in name else "blue").save(
            tmp_path / "photos" / name
        )
    done = invoke("sweep", "--dry-run", "--json", "--content", tmp_path / "photos", tiny)
    names = [json.loads(line)["content"]["name"] for line in done.out.splitlines()]
    assert list(dict.fromkeys(names)) == ["a", "b"]


# --------------------------------------------------------------------------------------- sweep


def test_plain_output_is_a_line_a_job(swept: tuple[Run, Path]) -> None:
    done, out = swept
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "5 jobs to run"
    for number, line in enumerate(lines[1:6], start=1):
        assert line.startswith(f"[{number}/5] ok  r-tiny  ")
        assert re.search(r"\d+\.\d s  \(\d+ s left\)$", line)
    assert lines[5].endswith("(0 s left)")
    assert re.fullmatch(rf"5 ok, 0 failed, 0 unavailable in \d+ s: {re.escape(str(out))}", lines[6])
    assert "\x1b" not in done.out
    assert "\r" not in done.out


def test_json_output_is_events(tmp_path: Path) -> None:
    out = with_database(tmp_path / "out")
    config = write_yaml(tmp_path / "t.yaml", content=["chelsea"], style=["brush"])
    with no_figures():
        done = invoke("sweep", "--json", "--out", out, config)
    assert done.status == 0
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["begin", "job", "job", "job", "end"]
    assert events[0] == {"event": "begin", "jobs": 3, "finished": 0}
    jobs = [event for event in events if event.get("kind") == "transfer"]
    assert [job["status"] for job in jobs] == ["ok", "ok"]
    assert {job["job_id"] for job in jobs} == set(store.load_results(out)["job_id"])
    assert all(job["seconds"] > 0 for job in jobs)
    end = events[-1]
    assert (end["ok"], end["failed"], end["unavailable"], end["out"]) == (3, 0, 0, str(out))


def test_default_folder_is_named_after_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, text, name in [
        ("my sweep.yaml", "arch: r-tiny", "my-sweep"),
        ("x.yaml", "name: other", "other"),
        ("画像.yaml", "arch: r-tiny", "sweep"),
    ]:
        (tmp_path / path).write_text(text)
        done = invoke("sweep", "--dry-run", "--arch", "r-tiny", "--size", 32, path)
        assert done.status == 0
        assert done.err.endswith(f"into results/{name}\n")


# ------------------------------------------------------------------------------------ transfer


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("b.jpg", "JPEG"), ("c.JPEG", "JPEG")]
)
def test_transfer_writes_a_picture(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / name
    done = invoke("transfer", "chelsea", "mosaic", "--arch", "r-tiny", "--size", 48, "--evals", 6,
                  "-o", path)  # fmt: skip
    assert done.status == 0
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == (kind, "RGB", (48, 32))
    told = r"(\S+): 48 × 32 px, r-tiny, preset robust, 6 evaluations, style (\S+) of its start"
    found = re.search(told, done.out)
    assert found
    assert (found[1], float(found[2]) < 1) == (str(path), True)
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_transfer_into_its_own_style(tmp_path: Path) -> None:
    done = invoke("transfer", "chelsea", "chelsea", "--arch", "r-tiny", "--size", 32, "--evals", 3,
                  "-o", tmp_path / "out.png")  # fmt: skip
    assert done.status == 0
    assert "did-not-move" in done.out  # its style loss is 0, or what rounding leaves


def test_transfer_of_files(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((40, 60)).save(tmp_path / "grey one.png")
    done = invoke("transfer", tmp_path / "grey one.png", "brush", "--arch", "r-tiny",
                  "--smoothing", "softmax", "--size", 48, "--evals", 3, "--preset", "paper",
                  "-o", tmp_path / "out.png")  # fmt: skip
    assert done.status == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (32, 48)


# --------------------------------------------------------------------------------------- stats


def test_stats_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with no_figures():
        done = invoke("stats", "--arch", "r-tiny", "--smoothing", "none,softmax-channels",
                      "--content", "chelsea,coffee", "--size", 32, "--seed", 0, "--seed", 1,
                      "--out", out)  # fmt: skip
    assert done.status == 0, done
    table = pd.read_parquet(out / "stats.parquet")
    assert [c for c in table.columns if c in STATS_COLUMNS] == STATS_COLUMNS
    assert set(table["statistic"]) == set(STATISTICS)
    assert set(table["image"]) == {"chelsea", "coffee"}
    assert set(table["smoothing"]) == {"none", "softmax-channels"}
    assert set(table["weights"]) == {"random:0", "random:1"}
    assert set(table["stage"]) == {0, 1, 2, 3, 4}
    assert len(table) == 2 * 2 * 2 * 5 * len(list(STATISTICS))
    assert not table.duplicated(STATS_COLUMNS).any()
    assert len(store.load_results(out)) == 0
    assert not (out / "jobs").exists()
    assert not (out / "mlflow.db").exists()


def test_stats_are_those_of_the_sweep(swept: tuple[Run, Path], tmp_path: Path) -> None:
    with no_figures():
        done = invoke("stats", "--arch", "r-tiny", "--content", "chelsea", "--size", 32,
                      "--out", tmp_path)  # fmt: skip
    assert done.status == 0
    mine, theirs = (pd.read_parquet(out / "stats.parquet") for out in (tmp_path, swept[1]))
    assert len(mine)
    pd.testing.assert_frame_equal(mine, theirs)


# ------------------------------------------------------------------------------------- run-job


def test_run_job_is_the_job_of_the_plan(tiny: Path, tmp_path: Path) -> None:
    listed = invoke("sweep", "--dry-run", "--json", tiny).out.splitlines()
    spec = plan.expand(load_sweep(tiny)).jobs[1]
    (tmp_path / "job.json").write_text(listed[1])
    for job, stdin in ((tmp_path / "job.json", ""), ("-", listed[1])):
        out = tmp_path / ("file" if stdin else "stdin")
        done = invoke("run-job", job, "--out", out, stdin=stdin)
        assert done.status == 0
        assert done.out.startswith(f"{spec.job_id}  ok  r-tiny  softmax  chelsea × mosaic")
        record = json.loads((out / "jobs" / spec.job_id / "record.json").read_text())
        assert (record["job_id"], record["status"]) == (spec.job_id, "ok")
        assert record["spec"] == json.loads(listed[1])
        assert store.pending(out, [spec]) == []


def test_run_job_that_fails_exits_1(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    config = write_yaml(tmp_path / "t.yaml", content=[str(tmp_path / "a.png")], style=["brush"])
    listed = invoke("sweep", "--dry-run", "--json", config).out.splitlines()[0]
    Image.new("RGB", (40, 40), "blue").save(tmp_path / "a.png")
    done = invoke("run-job", "-", "--out", tmp_path / "out", stdin=listed)
    assert done.status == 1
    assert "failed" in done.out
    assert "the picture changed after the job was planned" in done.out
    assert done.err == ""


# ---------------------------------------------------------------------------- what is printed

ESCAPE = "\x1b]0;mine\x07\x9b31m\u202egnp"
"""What renames the window of a terminal, colours its text and turns it around."""


def test_names_do_not_command_the_terminal(tiny: Path, tmp_path: Path) -> None:
    job = json.loads(invoke("sweep", "--dry-run", "--json", tiny).out.splitlines()[0])
    job["content"]["name"] = ESCAPE
    out = tmp_path / "out"
    assert invoke("run-job", "-", "--out", out, stdin=json.dumps(job)).status == 0
    commands = [
        ("run-job", "-", "--out", out),
        ("judge", out, "--judge", "r-tiny", "--offline"),
        ("report", out),
        ("figures", out),
        ("track", out),
        ("weights", "verify", ESCAPE),
        ("report", tmp_path / ESCAPE),
        ("transfer", "chelsea", "brush", "--arch", "r-tiny", "--size", 32, "--evals", 1,
         "-o", tmp_path / f"{ESCAPE}.png"),
    ]  # fmt: skip
    for command in commands:
        done = invoke(*command, stdin=json.dumps(job))
        assert {char for char in done.out + done.err if not char.isprintable()} <= {"\n"}, command
        assert done.out + done.err


@pytest.mark.parametrize("name", [ESCAPE, "é"])
def test_json_of_jobs_does_not_command_the_terminal(name: str, tmp_path: Path) -> None:
    picture = tmp_path / f"{name}.png"
    Image.new("RGB", (40, 40), "red").save(picture)
    done = invoke(
        "sweep", "--dry-run", "--json", "--arch", "r-tiny", "--content", picture, "--style", "brush"
    )
    assert {char for char in done.out + done.err if not char.isprintable()} <= {"\n"}
    assert json.loads(done.out.splitlines()[0])["content"]["ref"] == str(picture)


def test_all_that_is_printed_goes_one_way() -> None:
    """But JSON, of which `json.dumps` escapes everything, and what `main` says of errors."""
    alone = {"main.py", "progress.py"}
    for path in Path(progress.__file__).parent.glob("*.py"):
        printed = re.findall(r"\bprint\((.*)|(?<=\W)print(?=[,)])", path.read_text())
        assert path.name in alone or all("json.dumps(" in text for text in printed), path


# ------------------------------------------------------------------------------- ls and figures


def _first_words(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def test_ls_of_each_kind() -> None:
    assert _first_words(invoke("ls", "archs").out) == [*names.known(), "timm:NAME"]
    assert "r-tiny" not in names.known()
    assert _first_words(invoke("ls", "smoothings").out) == list(SMOOTHINGS)
    assert _first_words(invoke("ls", "statistics").out) == [*STATISTICS, BRANCH_CHANGE]
    images = [line.split()[:2] for line in invoke("ls", "images").out.splitlines()]
    assert images == [["photograph", n] for n in PHOTOGRAPHS] + [["painting", n] for n in PAINTINGS]
    assert len(images) == 15
    figures = [line.split()[:2] for line in invoke("ls", "figures").out.splitlines()]
    assert {kind for kind, _ in figures} == {"figure", "table"}
    assert {"grid", "curves", "statistics", "scale_free"} <= {name for _, name in figures}


def test_ls_shows_the_nodes_of_a_model_of_timm() -> None:
    shown = invoke("ls", "archs", "-v", "--arch", "timm:test_convnext").out
    assert shown.startswith("r-timm:test_convnext  ")
    assert "stem = input of stages.0 (stage 0), stage1 = stages.0 (stage 1)" in shown
    assert "content  stage3 = stages.2" in shown
    assert "nodes    0 stages.0, 1 stages.1, 2 stages.2, 3 stages.3, 4 input of stages.0" in shown
    assert invoke("ls", "images", "--arch", "r-tiny").status == 2


def test_ls_shows_the_nodes_that_options_leave() -> None:
    shown = invoke("ls", "archs", "-v", "--arch", "r-resnet18,r-resnet34+shortcut=off").out
    plain, without = shown.split("r-resnet34")
    assert "8 layer1.0.conv2, 9 layer1.0.bn2, 10 layer1.0.add" in plain
    assert "layer1.0.relu2" in without
    assert "add" not in without


def test_ls_states_the_rule_for_timm() -> None:
    tail = invoke("ls", "archs", "-v").out.partition("\ntimm:NAME")[2]
    assert "one for each reduction" in tail
    assert "content  the last style node but one" in tail


def test_ls_of_all_kinds_has_each() -> None:
    everything = invoke("ls")
    assert everything.status == 0
    for kind in KINDS:
        assert f"{kind}:\n{invoke('ls', kind).out}" in everything.out


@pytest.mark.parametrize("kind", KINDS)
def test_verbose_ls_says_more(kind: str) -> None:
    short, long = invoke("ls", kind), invoke("ls", kind, "-v")
    assert long.status == 0
    assert len(long.out) > len(short.out)


@pytest.mark.parametrize("width", [40, 60, 100, 300])
def test_lists_are_wrapped_to_the_terminal(width: int) -> None:
    for kind in ("archs", "smoothings", "metrics", "experiments"):
        for line in invoke("ls", kind, "-v").out.splitlines():
            parts = wrapped(line, width)
            longest = max(map(len, line.split()), default=0)
            assert all(len(part) <= max(width, longest + width // 2) for part in parts)
            assert " ".join(parts).split() == line.split()
            if len(line) <= width:
                assert parts == [line]
    assert wrapped("a  bb   one two three", 18) == ["a  bb   one two", "        three"]
    assert wrapped("", 40) == [""]


UNKNOWN = (
    ["sweep", "--arch", "r-vgg91"],
    ["sweep", "--arch", "nothing-like-it"],
    ["sweep", "--arch", "r-nothing*"],
    ["sweep", "--arch", "p-timm:vit_base_patch16_224.x"],
    ["sweep", "--arch", "r-vgg19", "--weights", "vgg91=a.pth"],
    ["sweep", "--arch", "r-vgg19", "--nodes", "relu9_9"],
    ["sweep", "frontiers"],
    ["figures", "results/reference", "--only", "gird"],
    ["sweep", "wrong.yaml"],
    ["stats", "--arch", "r-vgg19,timm:resnet5"],
)


@pytest.mark.parametrize("args", UNKNOWN)
def test_an_error_lists_ten_names_at_most(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("szie: 32")
    Path("results/reference").mkdir(parents=True)
    store.compact(Path("results/reference"))
    done = invoke(*args)
    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert done.err.count(", ") <= 14, done.err
    assert len(done.err) < 500


def test_figures_without_data_are_counted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    store.compact(out)
    done = invoke("figures", out)
    assert done.status == 0
    count = re.fullmatch(
        r"(\d+) figures and tables have nothing to show \(--verbose tells why\)",
        done.out.splitlines()[-1],
    )
    assert count
    assert "not drawn" not in done.out
    verbose = invoke("figures", out, "--verbose").out
    assert verbose.count(": not drawn, ") == int(count[1])
    assert "nothing to show" not in verbose
    assert "curves: not drawn, " in invoke("figures", out, "--only", "curves").out


def test_figures_draws_what_is_asked_for(swept: tuple[Run, Path]) -> None:
    out = swept[1]
    done = invoke("figures", out, "--only", "curves", "--only", "summary")
    assert done.status == 0, done
    assert done.out.split() == [f"{out}/figures/curves.png", f"{out}/tables/summary.md"]
    with Image.open(out / "figures" / "curves.png") as picture:
        assert min(picture.size) > 100
    assert len(pd.read_csv(out / "tables" / "summary.csv")) == 2
    assert "r-tiny" in (out / "tables" / "summary.md").read_text()
    assert [path.name for path in (out / "figures").iterdir()] == ["curves.png"]
