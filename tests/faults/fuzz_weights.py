"""Hostile weights files: of a small network, damaged, ill-fitting, or made to run code."""

import functools
import io
import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import torch
from safetensors.torch import save
from torch import Tensor

from stylebench.backbones.names import find
from tests.faults.fuzz_bytes import CANARY, DAMAGE, Case, dice

BACKBONE = "timm:test_resnet"
"""0.5 million parameters: the smallest that takes weights."""

State = dict[str, Tensor]


class Evil:
    """What makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (Path(CANARY),)


@functools.cache
def state() -> State:
    """Return the state dict of the backbone, all of it."""
    torch.manual_seed(0)
    return find(f"p-{BACKBONE}").build().state_dict()


def _pth(value: object, *, new: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=new)
    return file.getvalue()


def _with(change: Callable[[Tensor], Tensor], random: Random) -> State:
    """Return the state dict with some of its tensors changed."""
    made = dict(state())
    for key in random.sample(sorted(made), random.randint(1, 5)):
        made[key] = change(made[key])
    return made


def _filled(value: float) -> Callable[[Tensor], Tensor]:
    return lambda tensor: torch.full_like(tensor, value) if tensor.is_floating_point() else tensor


def _quantised(tensor: Tensor) -> Tensor:
    with warnings.catch_warnings(action="ignore"):  # deprecated, but files hold them
        return torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "flattened": lambda tensor: tensor.flatten(),
    "one more dimension": lambda tensor: tensor[None],
    "empty": lambda tensor: tensor.flatten()[:0],
    "NaN": _filled(torch.nan),
    "infinite": _filled(torch.inf),
    "huge": _filled(3e38),
    **{
        str(dtype).removeprefix("torch."): lambda tensor, dtype=dtype: tensor.to(dtype)  # type: ignore[misc]
        for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool,
                      torch.uint8, torch.complex64, torch.float8_e4m3fn)
    },
}  # fmt: skip
"""What both kinds of files can hold."""
ODD: dict[str, Callable[[Tensor], Tensor]] = {
    "meta": lambda tensor: tensor.to("meta"),
    "sparse": lambda tensor: tensor.to_sparse(),
    "quantised": _quantised,
    "of 1e12 elements": lambda tensor: torch.zeros(1).expand(10**6, 10**6),
}
"""What checkpoints alone can hold."""

_VALUES: tuple[object, ...] = (
    [], {}, 3, "x", None, {"state_dict": 3}, {"model": {}}, {1: torch.zeros(1)}, [torch.zeros(1)],
    {"<script>": torch.zeros(1)}, {"x" * 5000: torch.zeros(1)}, {"a\nb\x1b[31m": torch.zeros(1)},
    torch.zeros(3), {"state_dict": {"state_dict": {}}}, {"x": Evil()}, Evil(),
)  # fmt: skip


def _header(random: Random) -> bytes:
    """Return a safetensors file whose header claims what is not there."""
    entry: dict[str, object] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    changes: dict[str, object] = {
        "shape": random.choice([[10**9, 10**9], [-1, 4], [2**63], [], ["x"], [0]]),
        "data_offsets": random.choice([[0, 2**62], [16, 0], [0], [-16, 0], [0, 10**12]]),
        "dtype": random.choice(["F8_E4M3", "BOOL", "x", "", 3]),
    }
    key = random.choice(sorted(changes))
    text = json.dumps({"conv1.weight": entry | {key: changes[key]}}).encode()
    if random.random() < 0.3:
        text = b'{"a":' * 20_000
    length = random.choice([len(text), len(text), 2**63, 2**64 - 1, 10**8, 0])
    return struct.pack("<Q", length) + text + bytes(16)


def _bomb(random: Random) -> bytes:
    """Return a checkpoint whose pickle or storage is 3 GB of zeros, compressed to 3 MB."""
    file = io.BytesIO()
    huge = zipfile.ZipInfo(random.choice(["x/data.pkl", "x/data/0"]))
    huge.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in (("x/data.pkl", b"\x80\x02}q\x00."), ("x/version", b"3\n")):
            if name != huge.filename:
                archive.writestr(zipfile.ZipInfo(name), text)
        with archive.open(huge, "w", force_zip64=True) as part:
            for _ in range(300):
                part.write(bytes(10_000_000))
    return file.getvalue()


def _odd(random: Random) -> tuple[str, bytes, str]:
    """Return (suffix, bytes, what) of a file that is well made, of what it should not hold."""
    roll = random.random()
    if roll < 0.5:
        what = random.choice(sorted(CHANGES))
        made = _with(CHANGES[what], random)
        if random.random() < 0.5:
            whole = {key: value.contiguous() for key, value in made.items()}
            return "safetensors", save(whole), what
        return "pth", _pth(made), what
    if roll < 0.65:
        what = random.choice(sorted(ODD))
        return "pth", _pth(_with(ODD[what], random)), what
    if roll < 0.75:
        return "safetensors", _header(random), "header"
    value = random.choice(_VALUES)
    if random.random() < 0.3:
        return "pth", pickle.dumps(value), f"pickle of {type(value).__name__}"
    return "pth", _pth(value, new=random.random() < 0.7), f"checkpoint of {type(value).__name__}"


def good() -> Case:
    """Return an undamaged file."""
    return Case("weights", -1, "x.safetensors", save(state()), "undamaged")


def make(seed: int, number: int) -> Case:
    """Return hostile weights file `number`."""
    random = dice("weights", seed, number)
    roll = random.random()
    if roll < 0.4:
        suffix = random.choice(["safetensors", "pth"])
        data = (
            save(state()) if suffix == "safetensors" else _pth(state(), new=random.random() < 0.7)
        )
        damage = random.choice(DAMAGE)
        data, what = damage(data, random), damage.__name__
    elif roll < 0.43:
        suffix, data, what = "pth", _bomb(random), "zip bomb"
    elif roll < 0.47:
        suffix, data, what = "safetensors", save(state()), "undamaged"
    else:
        suffix, data, what = _odd(random)
    name = f"x.{suffix}" if random.random() < 0.9 else f"x.{random.choice(['pth', 'safetensors'])}"
    return Case("weights", number, name, data, f"{suffix} {what}")
