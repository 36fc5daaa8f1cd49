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

import torch
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from stylebench.backbones.names import find
from tests.faults.hostile import CANARY, Case, damaged, often

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
_HEADER: dict[str, object] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
_CLAIMS: tuple[tuple[str, object], ...] = (
    *(("shape", each) for each in ([10**9, 10**9], [-1, 4], [2**63], [], ["x"], [0])),
    *(("data_offsets", each) for each in ([0, 2**62], [16, 0], [0], [-16, 0], [0, 10**12])),
    *(("dtype", each) for each in ("F8_E4M3", "BOOL", "x", "", 3)),
)


@st.composite
def _with(draw: st.DrawFn, changes: dict[str, Callable[[Tensor], Tensor]]) -> State:
    """Draw the state dict with some of its tensors changed."""
    made, change = dict(state()), changes[draw(st.sampled_from(sorted(changes)))]
    for key in draw(st.sets(st.sampled_from(sorted(made)), min_size=1, max_size=5)):
        made[key] = change(made[key])
    return made


@st.composite
def _header(draw: st.DrawFn) -> bytes:
    """Draw a safetensors file whose header claims what is not there."""
    text = json.dumps({"conv1.weight": _HEADER | dict([draw(st.sampled_from(_CLAIMS))])}).encode()
    text = draw(st.sampled_from([text, text, b'{"a":' * 20_000]))
    length = draw(st.sampled_from([len(text), len(text), 2**63, 2**64 - 1, 10**8, 0]))
    return struct.pack("<Q", length) + text + bytes(16)


def _bomb(part: str) -> bytes:
    """Return a checkpoint whose pickle or storage is 3 GB of zeros, compressed to 3 MB."""
    file = io.BytesIO()
    huge = zipfile.ZipInfo(part)
    huge.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in (("x/data.pkl", b"\x80\x02}q\x00."), ("x/version", b"3\n")):
            if name != huge.filename:
                archive.writestr(zipfile.ZipInfo(name), text)
        with archive.open(huge, "w", force_zip64=True) as written:
            for _ in range(300):
                written.write(bytes(10_000_000))
    return file.getvalue()


def bombs() -> list[Case]:
    """Return checkpoints that unpack to 3 GB: too slow to be drawn at random."""
    parts = ("x/data.pkl", "x/data/0")
    return [Case("weights", "x.pth", _bomb(part), f"bomb in {part}") for part in parts]


def good() -> Case:
    """Return an undamaged file."""
    return Case("weights", "x.safetensors", save(state()), "undamaged")


@st.composite
def _of_network(draw: st.DrawFn, how: str) -> tuple[str, bytes]:
    """Draw (suffix, bytes) of the state dict, of what it should hold or not."""
    if how == "odd":
        return "pth", _pth(draw(_with(ODD)))
    made = draw(_with(CHANGES)) if how == "changed" else state()
    if draw(st.booleans()):
        return "safetensors", save({key: value.contiguous() for key, value in made.items()})
    return "pth", _pth(made, new=how == "changed" or draw(st.booleans()))


@st.composite
def weights(draw: st.DrawFn) -> Case:
    """Draw a weights file of either format, sometimes under the name of the other."""
    how = draw(often(undamaged=1, header=2, pickled=2, odd=3, value=4, changed=8, damaged=13))
    suffix = "pth"
    if how == "header":
        suffix, data = "safetensors", draw(_header())
    elif how == "pickled":
        data = pickle.dumps(draw(st.sampled_from(_VALUES)))
    elif how == "value":
        data = _pth(draw(st.sampled_from(_VALUES)), new=draw(st.booleans()))
    else:
        suffix, data = draw(_of_network(how))
        data = draw(damaged(data)) if how == "damaged" else data
    named = draw(st.sampled_from(9 * [suffix] + ["pth", "safetensors"]))
    return Case("weights", f"x.{named}", data, f"{suffix} {how}")
