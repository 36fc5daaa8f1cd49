"""Pictures with labels: scikit-learn's digits, and CIFAR-100 from its files."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stylebench import files, named
from stylebench.errors import InputError, describe

DIGITS_TEST = 360
"""Digits of the test split: the last fifth of the file, 1437 are before it."""
CIFAR_CLASSES, CIFAR_SIDE = 100, 32
CIFAR_COUNTS = {"train.bin": 50_000, "test.bin": 10_000}
"""Pictures in CIFAR-100's binary files: a part of them, or another data set, is not CIFAR-100."""
RECORD = 2 + 3 * CIFAR_SIDE**2
"""Bytes of a picture in CIFAR-100's binary files: coarse label, label, red, green, blue."""


@dataclass(frozen=True)
class Split:
    """Pictures, uint8 (N, 3, S, S), and their labels, int64 (N,)."""

    pictures: Tensor
    labels: Tensor

    def to(self, device: str) -> "Split":
        """Return the split on a device."""
        return Split(self.pictures.to(device), self.labels.to(device))


@dataclass(frozen=True)
class DataSet:
    """Pictures to learn from, and others to be tested on.

    Attributes:
        name: of the data set.
        classes: labels are 0 to classes − 1.
        train: to learn from.
        test: never learned from.
        mirrored: whether a mirrored picture has the same label: a digit has not.
    """

    name: str
    classes: int
    train: Split
    test: Split
    mirrored: bool

    @property
    def side(self) -> int:
        """Of the pictures, in px."""
        return self.train.pictures.shape[-1]

    @property
    def pad(self) -> int:
        """Px of black round a picture before it is cut: an eighth, 4 of 32, as is usual."""
        return self.side // 8

    @cached_property
    def input(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each channel over the training split, of pictures in [0, 1]."""
        values = self.train.pictures.double() / 255
        mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3), correction=0).clamp_min(1e-3)
        return tuple(mean.tolist()), tuple(std.tolist())

    @cached_property
    def digest(self) -> str:
        """Of all pictures and labels, in their order."""
        found = hashlib.sha256()
        for split in (self.train, self.test):
            for part in (split.pictures, split.labels):
                found.update(repr(tuple(part.shape)).encode() + part.contiguous().numpy().tobytes())
        return found.hexdigest()[:32]

    def normalised(self, pictures: Tensor) -> Tensor:
        """Return uint8 pictures (N, 3, S, S) as networks take them, float32 of mean 0."""
        mean, std = (torch.tensor(v, device=pictures.device).view(1, 3, 1, 1) for v in self.input)
        return (pictures.float() / 255 - mean) / std


@dataclass(frozen=True)
class Draws:
    """What chance decides of an epoch, by picture: order, corner of the crop, mirrored or not.

    They follow from the seed and the number of the epoch, so that no state of a random generator
    has to be kept.
    """

    order: Tensor
    top: Tensor
    left: Tensor
    mirrored: Tensor

    @classmethod
    def of(cls, seed: int, epoch: int, data: DataSet) -> "Draws":
        """Return the draws of an epoch, of which the first is 0."""
        random, count = np.random.default_rng([seed, epoch]), len(data.train.labels)
        order, corners = (
            random.permutation(count),
            random.integers(2 * data.pad + 1, size=(2, count)),
        )
        mirrored = (random.random(count) < 0.5) & data.mirrored
        return cls(*map(torch.from_numpy, (order, *corners, mirrored)))

    def cut(self, pictures: Tensor, chosen: Tensor, pad: int) -> Tensor:
        """Return the crops of pictures, uint8 (n, 3, S, S).

        Args:
            pictures: all of the split, (N, 3, S, S).
            chosen: numbers of those to be cut, (n,), on the CPU.
            pad: px of black round each.
        """
        side, device = pictures.shape[-1], pictures.device
        padded = functional.pad(pictures[chosen.to(device)], (pad,) * 4)
        top, left, mirrored = (
            part[chosen].to(device) for part in (self.top, self.left, self.mirrored)
        )
        along = torch.arange(side, device=device)
        rows, columns = top[:, None] + along, left[:, None] + along
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
        each = torch.arange(len(chosen), device=device)[:, None, None]
        return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def digits() -> DataSet:
    """Return scikit-learn's digits: 1797 of 8 × 8 px, 16 levels of grey, as RGB.

    The split is fixed: the last 360 of the file's order, which is not shuffled, are the test split.
    Source: Alpaydin & Kaynak 1998, the test set of the UCI repository's optdigits.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    grey = torch.from_numpy(np.rint(found.images * (255 / 16)).astype(np.uint8))
    pictures = grey[:, None].expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(found.target.astype(np.int64))
    at = len(labels) - DIGITS_TEST
    splits = Split(pictures[:at], labels[:at]), Split(pictures[at:], labels[at:])
    return DataSet("digits", 10, *splits, mirrored=False)


def cifar100(folder: Path, *, download: bool = False) -> DataSet:
    """Return CIFAR-100: 50,000 photographs to learn from, 10,000 to be tested on, of 100 classes.

    Args:
        folder: with train.bin and test.bin of the binary version, or ``cifar-100-binary`` with
            them, or ``cifar-100-python`` of the other, which is read only if it has the published
            MD5 sums: its files are pickles.
        download: the last, into the folder, by torchvision.

    Raises:
        InputError: there is none of them, or a file is damaged.
    """
    for place in (folder, folder / "cifar-100-binary"):
        if (place / "train.bin").is_file():
            train, test = (_records(place / name, n) for name, n in CIFAR_COUNTS.items())
            return DataSet("cifar100", CIFAR_CLASSES, train, test, mirrored=True)
    if not download and not (folder / "cifar-100-python").is_dir():
        raise InputError(
            f"{str(folder)!r}: expected CIFAR-100 in it: train.bin and test.bin, or a folder "
            "cifar-100-binary or cifar-100-python; --download fetches it"
        )
    from torchvision.datasets import CIFAR100

    try:
        found = [CIFAR100(folder, train=train, download=download) for train in (True, False)]
    except Exception as error:  # of the network, of the disk, and RuntimeError for another MD5
        raise InputError(f"{str(folder)!r}: CIFAR-100 cannot be had: {describe(error)}") from None
    train, test = (
        Split(torch.from_numpy(each.data).permute(0, 3, 1, 2), torch.tensor(each.targets))
        for each in found
    )
    return DataSet("cifar100", CIFAR_CLASSES, train, test, mirrored=True)


def _records(path: Path, count: int) -> Split:
    """Return the pictures in a binary file of CIFAR-100, which has so many."""
    try:
        data = np.frombuffer(files.read(path), np.uint8)
    except files.ABSENT:
        raise InputError(
            f"{str(path)!r}: expected a binary file of CIFAR-100, found none"
        ) from None
    if len(data) != count * RECORD:
        raise InputError(
            f"{str(path)!r}: expected {count:,} pictures of {RECORD} bytes each, found "
            f"{len(data):,} bytes, {len(data) / RECORD:,.1f} pictures; take the file as published"
        )
    rows = data.reshape(-1, RECORD)
    labels = rows[:, 1].astype(np.int64)
    if labels.max() >= CIFAR_CLASSES:
        raise InputError(
            f"{str(path)!r}: expected labels under {CIFAR_CLASSES}, found {labels.max()}"
        )
    pictures = rows[:, 2:].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).copy()
    return Split(torch.from_numpy(pictures), torch.from_numpy(labels))


def load(name: str, folder: str = "", *, download: bool = False) -> DataSet:
    """Return a data set by name; what is not there or damaged is an InputError."""
    if name == "digits":
        if download:
            raise InputError("--download is of cifar100: digits come with scikit-learn")
        return digits()
    if not folder:
        raise InputError(
            "cifar100: expected a folder with it: --folder DIR, or folder: in the file"
        )
    return cifar100(named.expanded(folder), download=download)
