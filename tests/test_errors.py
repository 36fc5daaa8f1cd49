"""What of addresses and paths others see: no secrets, no folders that bear a user's name."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image

from stylebench.errors import masked, published, published_command, without_secrets
from stylebench.tracking.address import reason
from tests.cli.bench import invoke, with_database, write_yaml
from tests.e2e.folders import sweep

SECRETS = [
    "http://me:s3:cret@host",
    "http://me:s3@cret@host",
    "http://s3cret@host",
    "http://:s3cret@host",
    "http://me:s3/cret@host",
    "http://me:s3?cret@host",
    "http://me:s3#cret@host",
    "http://me:s3 cret@host",
    "http://me:s3'cret@host",
    "http://host?token=s3cret",
    "http://host/path?a=b&token=s3cret#s3",
    "http://host#s3cret",
    "HTTPS://s3cret@host",
    "postgresql+psycopg2://me:s3cret@host/db?sslpassword=s3cret",
    "databricks://s3cret:me@host",
    "sqlite:///folder/x.db?key=s3cret",
]


@pytest.mark.parametrize("uri", SECRETS)
def test_nothing_secret_is_left_of_an_address(uri: str) -> None:
    for told in (
        masked(uri),
        published_command(f"stylebench track out --tracking-uri {json.dumps(uri)}"),
        published_command(f"stylebench track out {json.dumps('--tracking-uri=' + uri)}"),
        without_secrets(f"cannot connect to {uri}, is it there?", uri),
        reason(ValueError(f"cannot connect to {uri}"), uri),
    ):
        assert "s3" not in told
        assert "cret" not in told
        assert "host" in told or "x.db" in told


@pytest.mark.parametrize(
    ("uri", "said", "told"),
    [
        ("http://me:first@second@host:5000", "no host 'second@host'", "no host '***@host'"),
        ("http://me:first@second@host:5000", "user me, first, second", "user me, ***, ***"),
        ("http://me:pass%40word@host", "user me, pass@word", "user me, ***"),
        ("http://me:pass%40word@host", "pass%40word refused", "*** refused"),
        ("http://host?token=long", "who is long?", "who is ***?"),
        ("http://host", "host answers: me@there", "host answers: me@there"),
        ("sqlite:///a/b.db", "a@b", "a@b"),
    ],
)
def test_a_password_in_parts_is_not_quoted(uri: str, said: str, told: str) -> None:
    assert without_secrets(said, uri) == told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/cat.jpg", "…/cat.jpg"),
        ("//home/ann/cat.jpg", "…/cat.jpg"),
        ("/home/ann/a b/cat.jpg,/home/ann/dog.jpg", "…/cat.jpg,…/dog.jpg"),
        ("vgg19=/home/ann/vgg.pth@sha256:1234", "vgg19=…/vgg.pth@sha256:1234"),
        ("vgg19=file:/home/ann/vgg.pth", "vgg19=file:…/vgg.pth"),
        ("/home/ann/net.py:Net", "…/net.py:Net"),
        ("sqlite:////home/ann/m.db", "sqlite:///…/m.db"),
        ("--content=/home/ann/cat.jpg", "--content=…/cat.jpg"),
        ("/home/ann,private/cat.jpg", "…/cat.jpg"),
        ("/home/ann, her own/a,b/cat.jpg", "…/cat.jpg"),
        ("/home/ann/cat.jpg,chelsea", "…/cat.jpg,chelsea"),
        ("a=/home/ann/a.pth,b=/home/ann/b.pth", "a=…/a.pth,b=…/b.pth"),
        ("/home/ann/cat.jpg,builtin:chelsea,timm:a/b", "…/cat.jpg,builtin:chelsea,timm:a/b"),
        ("../ann/cat.jpg", "…/cat.jpg"),
        ("./../ann/cat.jpg,../bob/dog.jpg", "…/cat.jpg,…/dog.jpg"),
        ("a//..//../ann,x/cat.jpg", "…/cat.jpg"),
        ("--content=../../ann/cat.jpg", "--content=…/cat.jpg"),
        ("~ann/x", "…/x"),
        ("vgg19=file:~ann/a/x.pth,~/y", "vgg19=file:…/x.pth,…/y"),
        ("sqlite:///../ann/m.db", "sqlite:///…/m.db"),
        ("sqlite:///ann/m.db", "sqlite:///ann/m.db"),
        ("photos/~cat..jpg", "photos/~cat..jpg"),
        ("./cat.jpg,a/..b/dog.jpg", "./cat.jpg,a/..b/dog.jpg"),
        ("photos/cat.jpg", "photos/cat.jpg"),
        ("builtin:chelsea", "builtin:chelsea"),
        ("http://host:5000/path/to", "http://host:5000/path/to"),
        ("timm:timm/resnet18.a1_in1k", "timm:timm/resnet18.a1_in1k"),
    ],
)
def test_folders_are_left_out(text: str, shown: str) -> None:
    assert published({"a": [text]}) == {"a": [shown]}
    assert published(published(text)) == shown


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (["/home/a/x.jpg", "/home/b/x.jpg"], ["…/x.jpg", "…/x.jpg (2)"]),
        (["/a/x.jpg", "../x.jpg", "~/x.jpg"], ["…/x.jpg", "…/x.jpg (2)", "…/x.jpg (3)"]),
        (["/a/x", "…/x", "/b/x"], ["…/x (2)", "…/x", "…/x (3)"]),
        (["/a/x", "/b/x", "…/x (2)"], ["…/x", "…/x (3)", "…/x (2)"]),
        (["/a/x (2)", "/a/x", "/b/x"], ["…/x (2)", "…/x", "…/x (3)"]),
        (["http://me:a@host", "http://me:b@host"], ["http://***@host", "http://***@host (2)"]),
        (["brush", "mosaic", "command"], ["brush", "mosaic", "command"]),
        ([1, 2], [1, 2]),
    ],
)
def test_no_style_of_a_blend_is_lost(keys: list[object], shown: list[object]) -> None:
    blend = {key: number / 8 for number, key in enumerate(keys)}
    told = published({"style": {"blend": blend}})["style"]["blend"]
    assert list(told.items()) == [(key, number / 8) for number, key in enumerate(shown)]
    assert published(told) == told


def test_what_is_below_the_working_directory_stays_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert published(f"{tmp_path}/a/cat.jpg,{tmp_path}/b.jpg") == "a/cat.jpg,b.jpg"
    assert published(f"{tmp_path}-other/cat.jpg") == "…/cat.jpg"


def test_in_the_root_folder_no_path_is_taken_for_a_relative_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/")
    assert published(["/home/ann/cat.jpg", "http://host/a"]) == ["…/cat.jpg", "http://host/a"]


@pytest.mark.parametrize("uri", SECRETS)
def test_commands_of_earlier_versions_are_published_as_commands(uri: str) -> None:
    command = shlex.join(["stylebench", "track", "out", f"--tracking-uri={uri}"])
    told = published({"runs": [{"command": command}]})["runs"][0]["command"]
    assert told == published_command(command) == published({"command": told})["command"]
    assert "cret" not in told


@pytest.mark.parametrize(
    "text", ["a", "=", "~", "../", "a/", ",a", "=~a", "/,", "a/../", ":/", ",."]
)
def test_long_texts_are_published_at_once(text: str) -> None:
    published(text * (200_000 // len(text)) + "\n")  # would take minutes if it were quadratic


@pytest.mark.usefixtures("one_thread", "no_weights")
def test_nothing_that_is_published_names_a_folder_of_the_user(tmp_path: Path) -> None:
    home = tmp_path / "home-of-ann"
    home.mkdir()
    for name in ("cat", "brush"):
        Image.radial_gradient("L").convert("RGB").resize((40, 30)).save(home / f"{name}.png")
    keys = {"content": [f"{home}/cat.png"], "style": [f"{home}/brush.png"], "smoothing": ["none"],
            "statistics_images": [f"{home}/cat.png"]}  # fmt: skip
    out = with_database(tmp_path / "out")
    config = write_yaml(home / "mine.yaml", **keys)
    assert sweep(config, "--out", out).status == 0
    assert invoke("report", out).status == 0
    for path in (out / "manifest.json", out / "report.html", *out.glob("tables/*")):
        assert "home-of-ann" not in path.read_text(encoding="utf-8"), path
    for path in out.glob("*.parquet"):
        assert "home-of-ann" not in pd.read_parquet(path).to_csv(), path
    sent = [path for path in (out / "mlartifacts").rglob("*") if path.is_file()]
    assert {"record.json", "manifest.json", "result.png"} <= {path.name for path in sent}
    assert [path for path in sent if b"home-of-ann" in path.read_bytes()] == []
    assert b"home-of-ann" not in (out / "mlflow.db").read_bytes()
    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    assert client.get_experiment_by_name("tiny") is not None
