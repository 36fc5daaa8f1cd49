"""Data sets: what is read from files, and the crops that are drawn of it."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision.transforms import functional

from stylebench.classifiers import data
from stylebench.errors import InputError
from tests.classifiers import small


def test_digits_are_split_in_one_place() -> None:
    found, given = data.digits(), load_digits()
    assert (len(found.train.labels), len(found.test.labels)) == (1437, 360)
    both = torch.cat([found.train.pictures, found.test.pictures])
    assert torch.equal((both[:, 0].double() * 16 / 255).round(), torch.from_numpy(given.images))
    assert torch.cat([found.train.labels, found.test.labels]).tolist() == given.target.tolist()
    assert both.shape[1:] == (3, 8, 8)
    assert all(torch.equal(both[:, 0], both[:, n]) for n in (1, 2))
    assert not found.mirrored
    assert found.digest == data.digits().digest


def test_no_digit_of_the_test_split_is_in_the_other() -> None:
    found = data.digits()
    train, test = ({p.numpy().tobytes() for p in s.pictures} for s in (found.train, found.test))
    assert len(train) > 1400
    assert not train & test


def cifar(folder: Path, counts: tuple[int, int] = (5, 3)) -> list[np.ndarray[Any, Any]]:
    """Write files as those of cifar-100-binary, with other pictures; return their records."""
    folder.mkdir(parents=True, exist_ok=True)
    random, rows = np.random.default_rng(0), []
    for name, count in zip(("train.bin", "test.bin"), counts, strict=True):
        found = random.integers(256, size=(count, 3074), dtype=np.uint8)
        found[:, 0], found[:, 1] = 7, np.arange(count) + 90
        (folder / name).write_bytes(found.tobytes())
        rows.append(found)
    return rows


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let CIFAR-100 have as many pictures as `cifar` writes."""
    monkeypatch.setattr(data, "CIFAR_COUNTS", {"train.bin": 5, "test.bin": 3})


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("inside", ["", "cifar-100-binary"])
def test_cifar100_is_read_from_its_binary_files(tmp_path: Path, inside: str) -> None:
    """A record: coarse label, label, then red, green and blue, each row by row."""
    rows = cifar(tmp_path / inside)
    found = data.load("cifar100", str(tmp_path))
    for split, wanted in zip((found.train, found.test), rows, strict=True):
        assert split.labels.tolist() == wanted[:, 1].tolist()
        assert split.pictures.shape == (len(wanted), 3, 32, 32)
        assert split.pictures[2, 1, 4, 9] == wanted[2, 2 + 1024 + 4 * 32 + 9]
    assert (found.classes, found.mirrored, found.pad) == (100, True, 4)


def test_a_part_of_cifar100_is_not_taken_for_it(tmp_path: Path) -> None:
    cifar(tmp_path)
    with pytest.raises(InputError, match=r"expected 50,000 pictures .* 5\.0 pictures; take the"):
        data.load("cifar100", str(tmp_path))


@pytest.mark.usefixtures("few")
def test_other_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected CIFAR-100 in it: .*--download fetches it"):
        data.load("cifar100", str(tmp_path))
    with pytest.raises(InputError, match="expected a folder with it: --folder DIR"):
        data.load("cifar100")
    with pytest.raises(InputError, match="--download is of cifar100"):
        data.load("digits", download=True)
    cifar(tmp_path)
    (tmp_path / "test.bin").unlink()
    with pytest.raises(
        InputError, match=r"test.bin': expected a binary file of CIFAR-100, found n"
    ):
        data.load("cifar100", str(tmp_path))
    cifar(tmp_path)
    for changed in (b"", b"1" * 3073):
        (tmp_path / "train.bin").write_bytes(changed)
        with pytest.raises(InputError, match=f"of 3074 bytes each, found {len(changed):,} bytes"):
            data.load("cifar100", str(tmp_path))
    (tmp_path / "train.bin").write_bytes(b"\xff" * 3074 * 5)
    with pytest.raises(InputError, match="expected labels under 100, found 255"):
        data.load("cifar100", str(tmp_path))


def test_pickles_of_anybody_are_not_read(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[Path]]:
            return (Path.mkdir, (tmp_path / "gone",))

    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match=r"CIFAR-100 cannot be had: .*corrupted"):
        data.load("cifar100", str(tmp_path))
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("mirrored", [True, False])
def test_crops_are_those_of_torchvision(mirrored: bool) -> None:
    found = small.data(mirrored=mirrored)
    draws = data.Draws.of(3, 1, found)
    chosen = draws.order[:9]
    cut = draws.cut(found.train.pictures, chosen, 2)
    for number, picture in zip(chosen.tolist(), cut, strict=True):
        wanted = functional.pad(found.train.pictures[number], [2, 2, 2, 2])
        top, left = int(draws.top[number]), int(draws.left[number])
        wanted = functional.crop(wanted, top, left, 8, 8)
        if draws.mirrored[number]:
            wanted = functional.hflip(wanted)
        assert torch.equal(picture, wanted)
    assert bool(draws.mirrored.any()) == mirrored
    assert sorted(draws.order.tolist()) == list(range(26))


def test_draws_follow_from_seed_and_epoch_and_reach_every_corner() -> None:
    found = small.data()
    many = [data.Draws.of(seed, epoch, found) for seed in range(5) for epoch in range(5)]
    assert {int(t) for d in many for t in d.top} == set(range(2 * found.pad + 1))
    assert len({tuple(d.order.tolist()) for d in many}) == len(many)
    again = data.Draws.of(0, 0, found)
    assert torch.equal(again.order, many[0].order)
    assert torch.equal(again.left, many[0].left)


def test_pictures_of_the_training_split_have_mean_0_and_deviation_1() -> None:
    found = small.data()
    values = found.normalised(found.train.pictures).double()
    assert torch.allclose(values.mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-6)
    assert torch.allclose(values.std((0, 2, 3), correction=0), torch.ones(3).double(), atol=1e-5)
