"""One's own networks, smoothings, statistics and metrics, from files: as a user writes them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from stylebench import registry, store
from stylebench.backbones import graph, names, own
from stylebench.backbones.extractor import backbone as make
from stylebench.config import NodeChoice, SmoothingSpec
from stylebench.errors import InputError
from stylebench.figures import FIGURES, TABLES
from stylebench.measures.metrics import METRICS
from stylebench.measures.statistics import STATISTICS
from stylebench.registry import PLUGINS, Registry, load_plugin
from stylebench.sweeps import plan
from stylebench.sweeps.experiment import load_sweep
from stylebench.sweeps.run import sweep
from stylebench.transfer import smoothing, targets
from stylebench.transfer.smoothing import SMOOTHINGS
from tests import results
from tests.cli.bench import NO_FIGURES, no_figures, with_database

pytestmark = pytest.mark.usefixtures("unloaded")

NET = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.conv(x))


class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.b1, self.b2 = Block(3, 4), Block(4, 8), Block(8, 8)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(self.b2(self.b1(self.stem(x))).mean((2, 3)))


class Flow(MyNet):
    def forward(self, x):
        x = self.stem(x)
        # torch.fx cannot trace this
        x = self.b1(x) if x.mean() >= 0 else torch.cat([x, x], dim=1)
        return self.fc(self.b2(x).mean((2, 3)))


def with_head(classes):
    return MyNet()


nothing = 3
made = MyNet()
"""
OWN = """
from stylebench.measures.metrics import metric
from stylebench.measures.statistics import statistic
from stylebench.transfer.smoothing import smoothing


@smoothing("half", linear=True)
def half(maps, factor: float = 0.5):
    '''σ(F) = F/2.'''
    return maps * factor, 1.0


@statistic("least", scale_free=False)
def least(maps):
    '''Least activation: min F.'''
    return maps.values.min()


@metric("brightness", better="higher", about="content")
def brightness(result, content, style):
    '''Mean of the result. Higher is better.'''
    return float(result.mean())
"""
KEYS: dict[str, Any] = {"content": ["chelsea"], "style": ["brush"], "size": 32, "evals": 2,
        "statistics_images": ["chelsea"]}  # fmt: skip


@pytest.fixture(autouse=True)
def bare() -> Iterator[None]:
    """Let sweeps do no more than what is tested."""
    with no_figures():
        yield


@pytest.fixture
def net(tmp_path: Path) -> Path:
    file = tmp_path / "my_net.py"
    file.write_text(NET)
    return file


def test_a_network_of_a_file_is_a_backbone(net: Path, tmp_path: Path) -> None:
    found = sweep(arch=[f"{net}:MyNet"], smoothing=["none"], out=tmp_path / "out", **KEYS)
    assert list(found.results["arch"]) == ["r-my_net.py:MyNet"]
    assert list(found.results["status"]) == ["ok"]
    assert list(found.statistics["layer"].unique()) == ["stage2", "stage3", "stage4"]


def test_its_maps_are_those_of_the_network_itself(net: Path) -> None:
    """The oracle is the network, called part by part."""
    module = load_plugin(net).module
    for seed, name in enumerate(("MyNet", "Flow")):
        backbone = make(f"{net}:{name}", seed=seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = getattr(module, name)().eval()
        picture = torch.rand(1, 3, 40, 56)
        x = (picture - backbone.mean) / backbone.std
        stem = network.stem(x)
        b1 = network.b1(stem)
        expected = {"stage2": stem, "stage3": b1, "stage4": network.b2(b1)}
        found = backbone(picture)
        assert found.keys() == expected.keys()
        for node, value in expected.items():
            torch.testing.assert_close(found[node], value)


def test_what_cannot_be_traced_runs_up_to_its_last_node(net: Path) -> None:
    load_plugin(net)
    spec = own.spec("my_net.py:Flow").choose(
        "r-my_net.py:Flow", NodeChoice(style=("stem.relu", "b1"), content="b1")
    )
    network = spec.build()
    part = graph.extractor(network, spec.nodes)
    assert isinstance(part, graph.Hooked)
    called: list[bool] = []
    network.get_submodule("fc").register_forward_hook(lambda *args: called.append(True))
    assert [tuple(m.shape[1:]) for m in part(torch.rand(1, 3, 32, 32)).values()] == [
        (4, 16, 16), (8, 8, 8),
    ]  # fmt: skip
    assert not called
    with torch.no_grad():
        nn.init.constant_(network.get_parameter("stem.conv.bias"), float("nan"))
    with pytest.raises(InputError, match="node b1 is not computed for a picture of 32×32 px"):
        part(torch.rand(1, 3, 32, 32))


def test_nodes_and_weights_go_by_the_name_of_the_class(net: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = load_plugin(net).module.MyNet()
    torch.save(network.state_dict(), tmp_path / "my.pth")
    nodes = {"MyNet": {"style": ["stem", "b2"], "content": "b1"}}
    config = load_sweep(None, {**KEYS, "arch": [f"{net}:MyNet"], "nodes": nodes})
    planned = plan.expand(config, given={"MyNet": str(tmp_path / "my.pth")})
    assert {job.arch for job in planned.jobs} == {"p-my_net.py:MyNet"}
    assert list(planned.optimisations[0].nodes.values()) == ["stem", "b2", "b1"]
    assert planned.jobs[0].weights.source == "file:my.pth"
    backbone = make(f"{net}:MyNet", weights=tmp_path / "my.pth")
    picture = torch.rand(1, 3, 32, 32)
    expected = network.stem((picture - backbone.mean) / backbone.std)
    torch.testing.assert_close(backbone(picture)["stage2"], expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MyNett", "my_net.py has no network 'MyNett'; did you mean 'MyNet'"),
        ("nothing", "has no network 'nothing'"),
        ("made", "made of my_net.py is a network that is made already"),
        ("with_head", "with_head of my_net.py cannot be made: TypeError: .* without arguments"),
        ("Block", "Block of my_net.py cannot be made"),
    ],
)
def test_what_makes_no_network_is_one_line(net: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        names.expand([f"{net}:{name}"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "line 1: cannot be imported: SyntaxError|cannot be imported: SyntaxError"),
        ("import nowhere_at_all", "line 1: cannot be imported: ModuleNotFoundError"),
        (OWN.replace("maps, factor: float = 0.5", "maps, factor"), "'half' .*found 'factor' too"),
        (OWN.replace("= 0.5", "= 'x'"), "factor expects a positive number as default, found 'x'"),
        (OWN.replace("def least(maps)", "def least()"), r"'least' .*, found one of \(\)"),
        (OWN.replace("'''Least activation: min F.'''", "pass"), "'least' .*expected a docstring"),
        (OWN.replace("content, style)", "content)"), "'brightness' .*result, content, style"),
        (OWN.replace('"half"', '"softmax"'), "smoothing 'softmax' is registered twice"),
    ],
)
def test_a_plug_in_that_is_wrong_is_one_line(tmp_path: Path, source: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source)
    before = [list(r) for r in (SMOOTHINGS, STATISTICS, METRICS)]
    with pytest.raises(InputError, match=message) as error:
        load_plugin(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)
    assert [list(r) for r in (SMOOTHINGS, STATISTICS, METRICS)] == before


def test_a_changed_network_is_another_job(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    keys: dict[str, Any] = {**KEYS, "arch": [f"{net}:MyNet"], "smoothing": ["none"], "out": out}
    first = sweep(**keys)
    told: list[str] = []
    sweep(**keys, tell=told.append)
    assert told[0] == "0 jobs to run, 2 finished before"
    net.write_text(NET.replace("Block(3, 4), Block(4, 8)", "Block(3, 6), Block(6, 8)"))
    again = sweep(**keys, tell=told.append)
    assert "2 jobs to run, 0 finished before" in told
    assert len(again.results) == len(first.results) == 1
    assert first.results["job_id"][0] != again.results["job_id"][0]
    assert len(store.records(out)) == 2
    assert len(again.statistics) == len(first.statistics)
    a, b = (found.statistics.query("layer == 'stage4'")["value"] for found in (first, again))
    assert not a.equals(b)


def test_a_module_beside_a_plug_in_is_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "blocks_beside.py").write_text("SIZE = 4\n")
    file = tmp_path / "mine.py"
    file.write_text("import blocks_beside\nfrom torch import nn\n" + NET)
    before = load_plugin(file)
    assert set(before.files) == {"mine.py", "blocks_beside.py"}
    (tmp_path / "blocks_beside.py").write_text("SIZE = 5\n")
    after = load_plugin(file)
    assert after.digest != before.digest
    assert sys.modules["blocks_beside"].SIZE == 5
    sys.modules.pop("blocks_beside")


def test_two_plug_ins_of_one_name_are_refused(net: Path, tmp_path: Path) -> None:
    load_plugin(net)
    other = tmp_path / "other" / "my_net.py"
    other.parent.mkdir()
    shutil.copy(net, other)
    assert load_plugin(other).digest == load_plugin(net).digest
    other.write_text(NET + "# changed\n")
    with pytest.raises(InputError, match=r"two plug-ins are called my_net\.py"):
        load_plugin(other)


def test_a_new_statistic_is_measured_where_it_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    keys: dict[str, Any] = {**KEYS, "arch": ["r-tiny"], "smoothing": ["none"], "out": out}
    first = sweep(**keys)
    (tmp_path / "mine.py").write_text(OWN)
    load_plugin(tmp_path / "mine.py")
    told: list[str] = []
    found = sweep(**keys, tell=told.append)
    assert told[0] == "1 jobs to run, 1 finished before"  # the statistics, not the stylisation
    old = found.statistics.query("statistic != 'least'").reset_index(drop=True)
    pd.testing.assert_frame_equal(old, first.statistics)
    assert found.statistics.query("statistic == 'least'")["value"].ge(0).all()  # behind ReLUs
    told.clear()
    sweep(**keys, tell=told.append)
    assert told[0] == "0 jobs to run, 2 finished before"
    (tmp_path / "mine.py").write_text(OWN.replace("values.min()", "values.min() - 1"))
    load_plugin(tmp_path / "mine.py")
    changed = sweep(**keys).statistics.query("statistic == 'least'")["value"]
    assert changed.tolist() == pytest.approx(
        (found.statistics.query("statistic == 'least'")["value"] - 1).tolist()
    )


@pytest.mark.parametrize(
    ("form", "figure", "title"),
    [("scale_free=False", "statistics", "least"),
     ("scale_free=True, title='min F', scale='unit'", "scale_free", "min F")],
)  # fmt: skip
def test_a_new_statistic_has_a_panel_and_columns(
    form: str, figure: str, title: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN.replace("scale_free=False", form))
    before = results.make(tmp_path / "before")
    load_plugin(tmp_path / "mine.py")
    rows = before.statistics.query("statistic == 'max'").assign(statistic="least")
    found = replace(before, statistics=pd.concat([before.statistics, rows], ignore_index=True))
    for each, there in ((found, True), (before, False)):
        titles = [axes.get_title() for axes in FIGURES[figure](each).axes]
        assert (title in titles) == there
        assert ("least" in TABLES["statistics"](each)) == there


@pytest.mark.slow
def test_a_smoothing_of_a_plug_in_is_in_the_job_and_in_workers(tmp_path: Path) -> None:
    """In another process: the command, its worker processes, and a plug-in in the environment."""
    (tmp_path / "mine.py").write_text(OWN)
    env = {**os.environ, registry.VARIABLE: str(tmp_path / "mine.py")}
    command = [
        *NO_FIGURES, "sweep", "--arch", "r-tiny", "--smoothing", "none,half",
        "--content", "chelsea", "--style", "brush", "--size", "32", "--evals", "2",
        "--out", str(with_database(tmp_path / "out")), "--jobs", "2",
    ]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    specs = [job.stylisation for job in store.records(tmp_path / "out")]
    jobs = {spec.smoothing.name: spec for spec in specs}
    digest = load_plugin(tmp_path / "mine.py").digest
    assert jobs["half"].code == {"mine.py": digest}
    assert jobs["none"].code == {}
    Registry.forget("mine.py")
    del PLUGINS["mine.py"]
    with pytest.raises(InputError, match=r"needs the plug-in mine\.py; name it: --plugin mine\.py"):
        registry.check_code(jobs["half"].code)


def test_a_backbone_of_a_module_is_a_copy(net: Path) -> None:
    network = load_plugin(net).module.MyNet()
    network.train()
    backbone = make(network, style=["stem", "b1"], content="b1")
    assert network.training
    assert network.stem.relu.inplace
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    picture = torch.rand(1, 3, 32, 32)
    expected = network.eval().stem((picture - backbone.mean) / backbone.std)
    torch.testing.assert_close(backbone(picture)["stem"], expected)


def test_only_what_a_plug_in_imports_is_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what lies beside it and is loaded: a main file, a virtual environment."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for folder in (".venv", "nets"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "run.py").write_text("")
    (tmp_path / "json.py").write_text("raise SystemExit\n")
    (tmp_path / "nets" / "deep.py").write_text("import late_one\n")
    (tmp_path / "late_one.py").write_text("K = 1\n")
    file = tmp_path / "mine.py"
    file.write_text("import json, torch\n\ndef f():\n    from nets import deep\n    return deep\n")
    found = load_plugin(file)
    assert sorted(found.files) == ["late_one.py", "mine.py", "nets/__init__.py", "nets/deep.py"]
    assert found.module.f().late_one.K == 1
    (tmp_path / "late_one.py").write_text("K = 2\n")
    again = load_plugin(file)
    assert again.digest != found.digest
    assert again.module.f().late_one.K == 2
    for name in ("nets", "nets.deep", "late_one"):
        sys.modules.pop(name, None)


def test_two_plug_ins_may_share_a_module_but_no_name(tmp_path: Path) -> None:
    for place, size in (("a", 1), ("b", 2)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "utils_of_mine.py").write_text(f"K = {size}\n")
        (tmp_path / place / f"plug_{place}.py").write_text("import utils_of_mine\n")
    (tmp_path / "a" / "plug_c.py").write_text("import utils_of_mine\n")
    first, second = (load_plugin(tmp_path / "a" / f"plug_{name}.py") for name in "ac")
    assert set(first.files) & set(second.files) == {"utils_of_mine.py"}
    with pytest.raises(InputError, match=r"utils_of_mine\.py is loaded by that name"):
        load_plugin(tmp_path / "b" / "plug_b.py")
    sys.modules.pop("utils_of_mine")


def test_a_network_that_lost_a_block_leaves_nothing_of_the_old_one(
    net: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    keys: dict[str, Any] = {**KEYS, "arch": [f"{net}:MyNet"], "smoothing": ["none"], "out": out}
    sweep(**keys)
    net.write_text(
        NET.replace(
            "self.fc(self.b2(self.b1(self.stem(x))).mean((2, 3)))",
            "self.fc(self.b1(self.stem(x)).mean((2, 3)))",
        )
    )
    found = sweep(**keys)
    assert len(found.results) == 1
    assert sorted(found.statistics["layer"].unique()) == ["stage3", "stage4"]


def test_a_changed_smoothing_encodes_its_targets_anew(tmp_path: Path) -> None:
    """In one process, whose network and pictures are the same."""
    file = tmp_path / "mine.py"
    losses = []
    for factor in ("0.5", "0.25"):
        file.write_text(OWN.replace("maps * factor", f"(maps.abs() + 0.1) ** {factor}"))
        load_plugin(file)
        keys = {**KEYS, "arch": ["r-tiny"], "smoothing": ["half"]}
        one = sweep(**keys, out=tmp_path / factor).results["loss_initial"][0]
        targets._ENCODED.clear()
        assert one == sweep(**keys, out=tmp_path / f"{factor}-fresh").results["loss_initial"][0]
        losses.append(one)
    assert losses[0] != losses[1]


def test_a_module_that_runs_twice_gives_its_first_map() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1)
            self.relu = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.relu(self.b(self.relu(self.a(x))))
            return found

    backbone = make(Shared)
    maps = backbone(torch.rand(1, 3, 32, 32))
    assert [m.shape[-1] for m in maps.values()] == [16, 8]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("r-tiny", {"weights": "x.pth"}, "r-tiny has random weights"),
        (nn.Conv2d(3, 4, 3), {"weights": "x.pth"}, "load them into the module before"),
        ("r-tiny", {"precision": "fp16"}, "expects auto, fp32"),
        ("r-tiny", {"device": "nonsense"}, "nonsense"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)).double(), {}, "stage4"),
    ],
)
def test_what_backbone_is_given_is_taken_or_refused(
    given: Any, options: dict[str, Any], message: str
) -> None:
    if message == "stage4":
        assert [node.name for node in make(given, **options).style] == ["stage4"]
        return
    with pytest.raises(InputError, match=message):
        make(given, **options)
    with pytest.raises(InputError, match="of what is to become a backbone"):
        make(make("r-tiny"), precision="bf16")


def test_a_plug_in_may_register_a_backbone_that_it_makes(tmp_path: Path) -> None:
    (tmp_path / "bb_of_mine.py").write_text(
        NET + "\nfrom stylebench.backbones.spec import ARCHS, BackboneSpec, Node\n"
        "nodes = tuple(Node(n, n, i) for i, n in enumerate(('stem', 'b1', 'b2'), 2))\n"
        "ARCHS.add('minenet', BackboneSpec('mine', 'bb_of_mine:MyNet', nodes, nodes[1]))\n"
    )
    load_plugin(tmp_path / "bb_of_mine.py")
    maps = make("r-minenet")(torch.rand(1, 3, 32, 32))
    assert [m.shape[-1] for m in maps.values()] == [16, 8, 4]
    sys.modules.pop("bb_of_mine")


def test_a_parameter_is_a_share_where_its_smoothing_says_so(tmp_path: Path) -> None:
    own = "@smoothing({0!r}{1})\ndef f(maps, entropy=0.5):\n    'σ(F) = F.'\n    return maps, 1.0\n"
    text = own.format("free", "") + own.format("bound", ", shares=['entropy']")
    (tmp_path / "mine.py").write_text(
        f"from stylebench.transfer.smoothing import smoothing\n{text}"
    )
    load_plugin(tmp_path / "mine.py")
    smoothing.check(SmoothingSpec(name="free", params={"entropy": 2.0}))
    for name in ("bound", "softmax-fitted"):
        smoothing.check(SmoothingSpec(name=name, params={"entropy": 0.7}))
        with pytest.raises(InputError, match="entropy must be below 1, found 2"):
            smoothing.check(SmoothingSpec(name=name, params={"entropy": 2.0}))
